"""The path of an uplink, top to bottom: parse → decode → insert, keep the new → evaluate → write → commit.

``prepare`` is pure and runs while the batch before is being committed; ``handle_batch`` stores and acknowledges.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter

import asyncpg
import structlog
from msgspec.structs import replace

from smartdorf.alerting.engine import TOLD, Evaluation, evaluate, reconcile, tick
from smartdorf.clock import Clock
from smartdorf.db import batches as db
from smartdorf.db.directory import save_firmware
from smartdorf.db.hearing import save_hearing, save_told
from smartdorf.db.stages import COPY_FROM, DeviceEventRow, QuarantineRow, UplinkRow
from smartdorf.db.trials import save_trials
from smartdorf.decoding.registry import decode_uplink
from smartdorf.directory import Device, Directory
from smartdorf.errors import DatabaseUnavailableError, DataRejectedError, SmartdorfError
from smartdorf.ingest import rows
from smartdorf.ingest.chirpstack import Rejected, gateway_of_stats, parse_event
from smartdorf.ingest.memory import Content, Memory
from smartdorf.ingest.rows import Item, Rejection
from smartdorf.ingest.series import judged
from smartdorf.ingest.source import Batch, Message
from smartdorf.ingest.transitions import write_evaluation
from smartdorf.ingest.writer import Writer
from smartdorf.metrics import Metrics
from smartdorf.model import Decoded, DeviceEvent, Fault, Uplink

log = structlog.get_logger(__name__)

SLICE = 10  # messages, less than half a millisecond of work


@dataclass(slots=True)
class Prepared:
    """Messages after parse and decode, and the directory that decoding used (None: there was none yet)."""

    source: str
    items: list[Item]
    directory: Directory | None

    def part(self, items: list[Item]) -> Prepared:
        return Prepared(self.source, items, self.directory)


class Pipeline:
    """``wake_notifier`` is called after a commit that put something into the outbox.

    ``late``: how old a value may be when it arrives and still take part in the aggregates.
    """

    def __init__(
        self,
        writer: Writer,
        content: Content,
        *,
        clock: Clock,
        metrics: Metrics,
        late: timedelta,
        wake_notifier: Callable[[], None],
    ) -> None:
        self.writer = writer
        self._content = content
        self._clock = clock
        self._metrics = metrics
        self._late = late
        self._wake_notifier = wake_notifier

    # -- the path -------------------------------------------------------------------------------------------

    async def handle_batch(self, prepared: Prepared, batch: Batch) -> None:
        """Store one batch, however long the database takes, and only then acknowledge it."""
        async with self.writer.turn:
            await self._store(prepared)
        batch.acknowledge()

    async def handle_replay(self, message: Message) -> Rejection | None:
        """Store one message that was quarantined; returns why it is refused again, if it is."""
        prepared = await self.prepare("replay", [message])
        if (rejection := prepared.items[0].rejection) is not None:
            return rejection
        async with self.writer.turn:
            try:
                await self.writer.patiently(lambda: self._write(prepared))
            except DataRejectedError as error:
                return Rejection("refused_by_database", str(error))
            except SmartdorfError:
                raise
            except Exception as error:  # as in _store
                log.exception("storing failed", messages=1)
                return Rejection("internal_error", f"{type(error).__name__}: {error}")
        return None

    async def prepare(self, source: str, messages: Sequence[Message]) -> Prepared:
        """Steps 1 and 2: parse and decode. Changes nothing.

        In slices, between which the batch before gets on with its commit: the database would wait for us else.
        """
        memory = self.writer.memory
        items: list[Item] = []
        pack = len(messages) >= COPY_FROM
        for start in range(0, len(messages), SLICE):
            items += [
                self._prepare(message, memory, pack=pack) for message in messages[start : start + SLICE]
            ]
            await asyncio.sleep(0)
        return Prepared(source, items, memory.directory if memory is not None else None)

    def _prepare(self, message: Message, memory: Memory | None, *, pack: bool) -> Item:
        if message.original_size is not None:
            detail = f"{message.original_size} bytes; only the beginning was kept"
            return Item(message, rejection=Rejection("too_large", detail))
        if (gateway_id := gateway_of_stats(message.topic)) is not None:
            return Item(message, gateway_id=gateway_id)
        try:
            event = parse_event(message.topic, message.payload, message.received_at)
            device = memory.directory.by_dev_eui.get(event.dev_eui) if memory is not None else None
            item = Item(message, event, device=device)
            if memory is None or device is None or not isinstance(event, Uplink):
                return item
            return self._with_rows(item, memory.directory, memory.gateways, memory.metrics, pack=pack)
        except Rejected as rejected:
            return Item(message, rejection=Rejection(rejected.reason, rejected.detail))
        except Exception as error:  # a mistake of ours must not stop the messages behind this one
            log.exception("message could not be prepared", topic=message.topic)
            return Item(message, rejection=Rejection("internal_error", f"{type(error).__name__}: {error}"))

    def _with_rows(
        self,
        item: Item,
        directory: Directory,
        gateways: Mapping[str, int],
        metrics: Mapping[str, int],
        *,
        pack: bool,
    ) -> Item:
        """Decode an uplink and make its rows, where all its gateways are known."""
        uplink, device = item.event, item.device
        assert isinstance(uplink, Uplink)
        assert device is not None
        decoded = item.decoded or self.decode(uplink, device, directory)
        made = None
        if all(reception.gateway_id in gateways for reception in uplink.receptions):
            received_at = item.message.received_at
            oldest = received_at - self._late
            made = rows.make_rows(
                uplink, device, decoded, received_at, directory, gateways, metrics, oldest=oldest, pack=pack
            )
        return Item(item.message, uplink, None, device, decoded, made)

    def _prepare_again(self, prepared: Prepared, memory: Memory) -> Prepared:
        """With what is known by now; what was rejected stays rejected."""
        pack = len(prepared.items) >= COPY_FROM
        items = [
            item if item.rejection is not None else self._prepare(item.message, memory, pack=pack)
            for item in prepared.items
        ]
        return Prepared(prepared.source, items, memory.directory)

    def oldest(self) -> datetime:
        """Values from before are too late for the aggregates if they are stored now."""
        return self._clock.now() - self._late

    def decode(self, uplink: Uplink, device: Device | None, directory: Directory) -> Decoded | None:
        """The uplink's values; None where nobody has said yet which model the device is."""
        if device is None or device.model is None:
            return None
        model = self._content.catalogue.models.get(device.model)
        if model is None:
            return Decoded(fault=Fault("unknown_model", f"no decoder named {device.model} is installed"))
        return decode_uplink(model, uplink, directory.parameters_at(device, uplink.time))

    async def _store(self, prepared: Prepared) -> None:
        try:
            await self.writer.patiently(lambda: self._write(prepared))
        except DataRejectedError as error:
            await self._set_aside(prepared, "refused_by_database", error)
        except SmartdorfError:
            raise  # no message's fault: another writer, another schema
        except (
            Exception
        ) as error:  # a mistake of ours in rows or rules must not stop the messages behind this one
            if len(prepared.items) == 1:  # not for each half on the way there
                log.exception("storing failed", topic=prepared.items[0].message.topic)
            await self._set_aside(prepared, "internal_error", error)

    async def _set_aside(self, prepared: Prepared, reason: str, error: Exception) -> None:
        """Find the one message that cannot be stored, and quarantine that one alone."""
        items = prepared.items
        if len(items) > 1:
            middle = len(items) // 2
            await self._store(prepared.part(items[:middle]))
            await self._store(prepared.part(items[middle:]))
            return
        if items[0].rejection is not None:
            raise error  # not even its quarantine can be stored: no reason to lose it
        message = items[0].message
        log.warning("message set aside", topic=message.topic, reason=reason, error=str(error))
        rejection = Rejection(reason, f"{type(error).__name__}: {error}")
        await self._store(prepared.part([Item(message, rejection=rejection)]))

    async def _write(self, prepared: Prepared) -> None:
        """Steps 3 to 6 in one transaction; what memory knows changes after its commit."""
        started = perf_counter()
        memory = await self.writer.open()
        if prepared.directory is not memory.directory:  # somebody has onboarded a device meanwhile
            prepared = self._prepare_again(prepared, memory)
        now = self._clock.now()
        async with self.writer.transaction() as connection:
            items, directory, gateways = await self._identify(connection, memory, prepared.items)
            ledger = memory.ledger.begin()
            first = rows.first_rows(items, ledger)
            new = await db.insert_uplinks(connection, rows.uplinks_of(first))
            series = memory.series.begin()
            first = judged(first, new, series, self._content.watched, ledger, directory, memory.metrics)
            further = rows.further_rows(first, new, ledger)
            words = rows.words(items, gateways)
            evaluation = evaluate(memory.rules, memory.state, [*further.observations, *words])
            await db.insert_receptions(connection, further.receptions)
            await db.insert_measurements(connection, further.measurements)
            await db.save_sessions(
                connection, [rows.session_row(*entry) for entry in ledger.sessions.items()]
            )
            await db.insert_device_events(connection, _event_rows(items))
            await db.insert_quarantine(connection, _quarantine_rows(prepared))
            if (hearing := evaluation.changes.hearing) is not None:
                await save_hearing(connection, hearing.last, hearing.pairs, hearing.pauses)
                await save_told(connection, hearing.told, hearing.told.keys() - memory.state.hearing.told)
            firmware = rows.new_firmware(items)
            await save_firmware(connection, firmware)
            told = await write_evaluation(connection, evaluation, memory.rules, now)
        directory = directory.with_firmware(firmware) if firmware else directory
        memory.directory, memory.gateways = directory, gateways
        memory.ledger.apply(ledger)
        memory.series.apply(series)
        self.committed(memory, evaluation, told=told)
        stored = [made.uplink for key, (_uplink, made) in first.items() if key in new]
        self._count(items, stored, directory, further.missing_frames, perf_counter() - started)

    async def _identify(
        self, connection: asyncpg.Connection, memory: Memory, items: Sequence[Item]
    ) -> tuple[Sequence[Item], Directory, dict[str, int]]:
        """Give every device and gateway its id, where one was never heard of before, and make the rows that lacked it.

        The items given stay as they are: should the transaction fail, the new ids are void.
        """
        directory, gateways = memory.directory, memory.gateways
        strangers = {
            i.event.dev_eui: i.event.device for i in items if i.event is not None and i.device is None
        }
        if strangers:
            ids = await db.add_devices(
                connection,
                [
                    db.UnknownDevice(eui, info.device_name, info.device_profile_name, info.application_name)
                    for eui, info in strangers.items()
                ],
            )
            directory = directory.with_devices(
                Device(ids[eui], eui, info.device_name) for eui, info in strangers.items()
            )
        lacking = [item for item in items if isinstance(item.event, Uplink) and item.rows is None]
        heard = {
            r.gateway_id for item in lacking if isinstance(item.event, Uplink) for r in item.event.receptions
        }
        heard.update(item.gateway_id for item in items if item.gateway_id is not None)
        if unknown := heard - gateways.keys():
            gateways = {**gateways, **await db.add_gateways(connection, unknown)}
        if strangers or lacking:
            items = [self._completed(item, directory, gateways, memory.metrics) for item in items]
        return items, directory, gateways

    def _completed(
        self, item: Item, directory: Directory, gateways: Mapping[str, int], metrics: Mapping[str, int]
    ) -> Item:
        if item.event is None or item.rows is not None:
            return item
        known = replace(item, device=directory.by_dev_eui[item.event.dev_eui])
        if not isinstance(item.event, Uplink):
            return known
        return self._with_rows(known, directory, gateways, metrics, pack=False)  # written at once

    def committed(self, memory: Memory, evaluation: Evaluation, *, told: bool) -> None:
        """The evaluation is in the database: memory follows, and the notifier is woken."""
        memory.state.apply(evaluation)
        self._metrics.count_transitions(t.kind for t in evaluation.transitions if t.kind in TOLD)
        if told:
            self._wake_notifier()

    # -- time -----------------------------------------------------------------------------------------------

    async def tick(self, now: datetime, listening_since: datetime | None = None) -> None:
        """Let the rules' timers advance to ``now``; the caller sees to it that the sources have caught up.

        ``listening_since``: when we began to, after a break in which what is sent with QoS 0 was lost.

        While the database is away nothing advances: the next tick does it.
        """
        async with self.writer.turn:
            memory = self.writer.memory
            if memory is None:
                return
            memory.state.hearing.since = listening_since
            try:
                await self._write_evaluation(memory, tick(memory.rules, memory.state, now), now)
            except DatabaseUnavailableError as error:
                self.writer.lost(error)

    async def rebind(self) -> None:
        """Devices or places were changed, or the service starts: alerts of what is gone are closed."""

        async def work() -> None:
            memory = await self.writer.reload_directory()
            now = self._clock.now()
            await self._write_evaluation(memory, reconcile(memory.rules, memory.state, now), now)
            async with self.writer.transaction() as connection:
                await _note_trials(connection, memory, now)

        async with self.writer.turn:
            await self.writer.patiently(work)

    async def _write_evaluation(self, memory: Memory, evaluation: Evaluation, now: datetime) -> None:
        if evaluation.is_empty:
            return
        async with self.writer.transaction() as connection:
            told = await write_evaluation(connection, evaluation, memory.rules, now)
        self.committed(memory, evaluation, told=told)

    # -- counting -------------------------------------------------------------------------------------------

    def _count(
        self,
        items: Sequence[Item],
        stored: Sequence[UplinkRow],
        directory: Directory,
        missing: int,
        seconds: float,
    ) -> None:
        arrived = sum(isinstance(item.event, Uplink) for item in items)
        by_status = Counter(row.status for row in stored)
        self._metrics.count_batch(
            messages=len(items),
            commit_seconds=seconds,
            uplinks={
                "stored": len(stored),
                "duplicate": arrived - len(stored),
                "retransmission": by_status["retransmission"],
                "unknown_device": by_status["unknown_device"],
            },
            events=Counter(item.event.type for item in items if isinstance(item.event, DeviceEvent)),
            faults=Counter(
                (row.fault, row.model or "", directory.devices[row.device_id].firmware)
                for row in stored
                if row.fault is not None
            ),
            quarantined=Counter(item.rejection.reason for item in items if item.rejection is not None),
            missing_frames=missing,
        )
        newest = max((row.ns_time for row in stored if row.ns_time is not None), default=None)
        if newest is not None:
            self._metrics.lag.set((self._clock.now() - newest).total_seconds())


async def _note_trials(connection: asyncpg.Connection, memory: Memory, now: datetime) -> None:
    """Which rules are on trial. That of a rule which is only broken goes on."""
    on_trial = [rule.name for rule in memory.rules.rules.values() if rule.mode == "shadow"]
    files = memory.rules.kept
    kept = files.broken - memory.rules.rules.keys() if files is not None and files.complete else None
    await save_trials(connection, on_trial, now, kept=kept)


def _event_rows(items: Iterable[Item]) -> list[DeviceEventRow]:
    return [
        rows.device_event_row(item.event, item.device.id, item.message.received_at)
        for item in items
        if isinstance(item.event, DeviceEvent) and item.device is not None
    ]


def _quarantine_rows(prepared: Prepared) -> list[QuarantineRow]:
    return [
        rows.quarantine_row(item.message, item.rejection, prepared.source)
        for item in prepared.items
        if item.rejection is not None
    ]
