"""Each stage of an uplink's path alone, with nothing else running: microseconds an uplink.

Calls the functions that the pipeline calls, in its order. Only the database stages do I/O.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

import asyncpg

from smartdorf.alerting.engine import Observation, evaluate
from smartdorf.bench.village import MODEL
from smartdorf.db import batches as db
from smartdorf.db.stages import COPY_FROM, Packed, SessionRow, UplinkRow, create_stages
from smartdorf.decoding.registry import decode_uplink
from smartdorf.ingest import rows
from smartdorf.ingest.chirpstack import parse_event
from smartdorf.ingest.frames import FrameLedger
from smartdorf.ingest.memory import Content, Memory, load_memory
from smartdorf.ingest.rows import Item
from smartdorf.ingest.series import Watched, judged
from smartdorf.ingest.source import Message
from smartdorf.model import Uplink
from smartdorf.simulate import ledger as simulate

ROUNDS = 3  # the best one counts: the others were disturbed
BATCH = 1000  # the largest that the MQTT source hands out
PER_ROUND = 5000  # uplinks
WRITTEN = {1: 0.02, 50: 0.3, BATCH: 0.68}  # batch size → share of a round's uplinks that is written in it

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    microseconds: float  # per uplink
    own_cpu: float | None = None  # of these, processor time of this process; the rest is the database's


class _Rows(NamedTuple):
    """What one batch writes, and what the rules see of it."""

    first: list[UplinkRow | Packed]
    further: rows.FurtherRows
    sessions: list[SessionRow]


@dataclass(frozen=True, slots=True)
class _Measured(Generic[R]):
    stage: Stage
    made: list[R]  # by round


def stage_uplinks(uplinks: int) -> int:
    """How many uplinks the stages need, beside a benchmark of so many."""
    return ROUNDS * max(100, min(PER_ROUND, uplinks // 12))


async def measure_stages(
    connection: asyncpg.Connection,
    content: Content,
    messages: Sequence[simulate.Message],
    protobuf: Sequence[simulate.Message],
    now: datetime,
) -> list[Stage]:
    """``protobuf``: the same uplinks as ``messages``, which are JSON and get stored.

    The stages that write create temporary tables: ``connection`` should be closed afterwards.
    """
    await create_stages(connection)
    memory = await load_memory(connection, content)
    rounds = list(_rounds(messages, now))
    stages = [_measure("parse Protobuf", list(_rounds(protobuf, now)), _parse).stage]
    parsed = _measure("parse JSON", rounds, _parse)
    arrived = [list(zip(*pair, strict=True)) for pair in zip(rounds, parsed.made, strict=True)]
    decoded = _measure("decode", arrived, lambda pairs: _decode(pairs, content, memory))
    memory.gateways = await _gateways(connection, memory, parsed.made)
    prepared = _measure("rows", decoded.made, lambda items: _rows(items, memory, content.watched, BATCH))
    observations = [[batch.further.observations for batch in made] for made in prepared.made]
    uplinks = len(messages) // ROUNDS
    evaluated = _measure("rules", observations, lambda seen: _evaluate(seen, memory), uplinks)
    stages += [parsed.stage, decoded.stage, prepared.stage, evaluated.stage]
    memory.ledger = FrameLedger()  # what was counted was not stored
    begin = 0
    for size, share in WRITTEN.items():
        end = begin + max(size, int(share * uplinks))
        made = [_rows(items[begin:end], memory, content.watched, size) for items in decoded.made]
        stages.append(await _measure_writing(connection, made, size))
        begin = end
    return stages


def _measure(
    name: str, inputs: Sequence[T], work: Callable[[T], R], uplinks: int | None = None
) -> _Measured[R]:
    """Do ``work`` on the input of each round; ``uplinks``: how many one is, where that is not its length."""
    best, made = float("inf"), []
    for given in inputs:
        began = time.perf_counter()
        made.append(work(given))
        count = uplinks if uplinks is not None else len(given)  # type: ignore[arg-type]  # a list then
        best = min(best, (time.perf_counter() - began) / count)
    return _Measured(Stage(name, round(best * 1e6, 2)), made)


def _rounds(messages: Sequence[simulate.Message], now: datetime) -> Iterator[list[Message]]:
    size = len(messages) // ROUNDS
    for number in range(ROUNDS):
        yield [
            Message(message.topic, message.payload, 1, now, duplicate=False)
            for message in messages[number * size : (number + 1) * size]
        ]


def _parse(messages: Sequence[Message]) -> list[Uplink]:
    events = (parse_event(m.topic, m.payload, m.received_at) for m in messages)
    return [event for event in events if isinstance(event, Uplink)]


def _decode(arrived: Sequence[tuple[Message, Uplink]], content: Content, memory: Memory) -> list[Item]:
    model, directory, items = content.catalogue.models[MODEL], memory.directory, []
    for message, uplink in arrived:
        device = directory.by_dev_eui[uplink.dev_eui]
        decoded = decode_uplink(model, uplink, directory.parameters_at(device, uplink.time))
        items.append(Item(message, uplink, None, device, decoded))
    return items


async def _gateways(
    connection: asyncpg.Connection, memory: Memory, parsed: Sequence[Sequence[Uplink]]
) -> dict[str, int]:
    heard = {r.gateway_id for uplinks in parsed for uplink in uplinks for r in uplink.receptions}
    unknown = heard - memory.gateways.keys()
    return {**memory.gateways, **(await db.add_gateways(connection, unknown) if unknown else {})}


def _rows(items: Sequence[Item], memory: Memory, watched: Mapping[str, Watched], size: int) -> list[_Rows]:
    made = []
    for begin in range(0, len(items), size):
        ledger = memory.ledger.begin()
        batch = [_with_rows(item, memory, pack=size >= COPY_FROM) for item in items[begin : begin + size]]
        first = rows.first_rows(batch, ledger)
        series = memory.series.begin()
        first = judged(first, first.keys(), series, watched, ledger, memory.directory, memory.metrics)
        memory.series.apply(series)
        further = rows.further_rows(first, first.keys(), ledger)
        sessions = [rows.session_row(*entry) for entry in ledger.sessions.items()]
        memory.ledger.apply(ledger)
        made.append(_Rows(rows.uplinks_of(first), further, sessions))
    return made


def _with_rows(item: Item, memory: Memory, *, pack: bool) -> Item:
    assert isinstance(item.event, Uplink)
    assert item.device is not None
    made = rows.make_rows(
        item.event,
        item.device,
        item.decoded,
        item.message.received_at,
        memory.directory,
        memory.gateways,
        memory.metrics,
        oldest=item.message.received_at - timedelta(days=53),  # as with the settings' defaults
        pack=pack,
    )
    return Item(item.message, item.event, None, item.device, item.decoded, made)


def _evaluate(seen: Sequence[list[Observation]], memory: Memory) -> None:
    for observations in seen:
        memory.state.apply(evaluate(memory.rules, memory.state, observations))


async def _measure_writing(
    connection: asyncpg.Connection, rounds: Sequence[Sequence[_Rows]], size: int
) -> Stage:
    best = (float("inf"), 0.0)
    for batches in rounds:
        began, own = time.perf_counter(), time.process_time()
        for batch in batches:
            await _write(connection, batch)
        taken = time.perf_counter() - began, time.process_time() - own
        uplinks = sum(len(batch.first) for batch in batches)
        best = min(best, (taken[0] / uplinks, taken[1] / uplinks))
    return Stage(f"write {size} at a time", round(best[0] * 1e6, 2), round(best[1] * 1e6, 2))


async def _write(connection: asyncpg.Connection, batch: _Rows) -> None:
    async with connection.transaction():
        await db.insert_uplinks(connection, batch.first)
        await db.insert_receptions(connection, batch.further.receptions)
        await db.insert_measurements(connection, batch.further.measurements)
        await db.save_sessions(connection, batch.sessions)
