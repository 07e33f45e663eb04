"""Work that people asked for: alerts closed, quarantined messages tried again, stored uplinks decoded anew.

All of it goes through the one writer. What is decoded anew is stored, and becomes the latest value where it is the
newest; it does not pass the rules: an alert about the past helps nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

import msgspec
import structlog

from smartdorf.alerting.engine import AlertKey, AlertState, Changes, Evaluation, Transition
from smartdorf.alerting.memory import Series
from smartdorf.alerting.windows import Reading
from smartdorf.clock import Clock
from smartdorf.db import batches as db
from smartdorf.db import lifecycle
from smartdorf.db import requests as db_requests
from smartdorf.db.requests import QuarantinedMessage, RedecodedRow, RedecodeRequest, StoredUplink
from smartdorf.db.stages import MeasurementRow, Packed
from smartdorf.directory import Device
from smartdorf.errors import DataRejectedError
from smartdorf.ingest import rows
from smartdorf.ingest.memory import Memory
from smartdorf.ingest.pipeline import Pipeline
from smartdorf.ingest.series import noted
from smartdorf.ingest.source import Message
from smartdorf.model import DeviceInfo, Sample, Uplink
from smartdorf.vocabulary import DECODE_FAULT

log = structlog.get_logger(__name__)

_BEGINNING = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
SLICE = 500  # uplinks a transaction, so that live ones never wait long
_USED = ("decoded", "nothing")
REPLAYED_AT_ONCE = 20  # messages in memory; one may have two megabytes


async def work_off_requests(pipeline: Pipeline, clock: Clock) -> None:
    """Do all that was asked for, in slices between which live batches get their turn."""
    await _close_alerts(pipeline, clock)
    while await _replay_some(pipeline, clock):
        await _close_alerts(pipeline, clock)
    requests = await _redecode_requests(pipeline)
    for request in requests:
        await _redecode(pipeline, request)
    if requests:  # once for all: a hundred sensors may be onboarded in a morning
        async with pipeline.writer.turn:
            await pipeline.writer.patiently(pipeline.writer.reload_windows)


async def _close_alerts(pipeline: Pipeline, clock: Clock) -> None:
    """Close what people want closed, in the database and in memory: the rules see it as closed from now on."""
    writer = pipeline.writer

    async def close() -> None:
        memory, now = await writer.open(), clock.now()
        async with writer.transaction() as connection:
            closed = await lifecycle.close_requested(connection, now, memory.rules.waiting(now))
        if not closed:
            return
        states = {
            AlertKey(row.rule, row.subject_kind, row.subject_id): AlertState("closed", row.since, 0)
            for row in closed
        }
        ends = [Transition(key, "resolved", state.since, state.since) for key, state in states.items()]
        changes = Changes(dict(states), {}, {}, dict.fromkeys(states), {})
        pipeline.committed(memory, Evaluation(memory.rules, changes, ends), told=True)

    async with writer.turn:
        await writer.patiently(close)


async def _replay_some(pipeline: Pipeline, clock: Clock) -> bool:
    writer = pipeline.writer

    async def fetch() -> list[QuarantinedMessage]:
        await writer.open()
        async with writer.transaction() as connection:
            return await db_requests.fetch_replay_requests(connection, REPLAYED_AT_ONCE)

    async with writer.turn:
        requested = await writer.patiently(fetch)
    for quarantined in requested:
        await _replay(pipeline, quarantined, clock)
    return bool(requested)


async def _replay(pipeline: Pipeline, quarantined: QuarantinedMessage, clock: Clock) -> None:
    message = Message(quarantined.topic, bytes(quarantined.payload), 1, clock.now(), duplicate=False)
    outcome = await pipeline.handle_replay(message)
    writer = pipeline.writer

    async def finish() -> None:
        await writer.open()
        async with writer.transaction() as connection:
            rejection = (outcome.reason, rows.storable(outcome.detail)) if outcome is not None else None
            await db_requests.finish_replay(connection, quarantined.id, clock.now(), rejection)

    async with writer.turn:
        await writer.patiently(finish)
    log.info("quarantined message replayed", id=quarantined.id, reason=outcome.reason if outcome else "used")


async def _redecode_requests(pipeline: Pipeline) -> list[RedecodeRequest]:
    writer = pipeline.writer

    async def fetch() -> list[RedecodeRequest]:
        await writer.open()
        async with writer.transaction() as connection:
            requests = await db_requests.fetch_redecode_requests(connection)
        if requests:  # read after them: their devices are known, and as what they were asked for
            await writer.reload_directory()
        return requests

    async with writer.turn:
        return await writer.patiently(fetch)


async def _redecode(pipeline: Pipeline, request: RedecodeRequest) -> None:
    """Decode the device's stored uplinks, oldest first: what gave no values so far, or all since the time asked for.

    Where the database refuses what a decoder made, one by one until the uplink is found: it stays a fault.
    """
    writer, after, count, size, refusal = pipeline.writer, _BEGINNING, 0, SLICE, ""
    while True:
        work = partial(_redecode_slice, pipeline, request, after, size, refusal)
        try:
            async with writer.turn:
                stored = await writer.patiently(work)
        except DataRejectedError as error:
            if refusal:
                raise  # not even that it was refused: a mistake of ours
            size, refusal = (1, "") if size > 1 else (1, str(error))
            continue
        count += len(stored)
        if len(stored) < size:
            break
        if refusal:
            size, refusal = SLICE, ""
        after = (stored[-1].time, stored[-1].deduplication_id)
    log.info("stored uplinks decoded anew", device_id=request.device_id, uplinks=count)


async def _redecode_slice(
    pipeline: Pipeline, request: RedecodeRequest, after: tuple[datetime, UUID], size: int, refusal: str
) -> Sequence[StoredUplink]:
    """``refusal``: why the database refused what the one uplink gave."""
    memory = await pipeline.writer.open()
    device = memory.directory.devices[request.device_id]
    async with pipeline.writer.transaction() as connection:
        stored = await db_requests.fetch_stored(connection, device.id, after, size, request.since)
        again = _decode_again(pipeline, memory, device, stored)
        if refusal:
            again = _Redecoded([_refused(row, device, refusal) for row in stored], [], [], [])
        if again.superseded:
            kept = [(sample.channel, memory.metrics[sample.metric], sample.time) for sample in again.samples]
            await db_requests.delete_superseded(connection, device.id, again.superseded, kept)
        await db_requests.save_redecoded(connection, again.uplinks)
        await db.insert_measurements(connection, again.measurements, replace=True)
        if len(stored) < size:
            await db_requests.finish_redecode(connection, request)
    _remember(memory, device, again.samples)
    return stored


class _Redecoded(NamedTuple):
    uplinks: list[RedecodedRow]
    measurements: list[MeasurementRow | Packed]
    samples: list[Sample]  # what the measurements say
    superseded: list[datetime]  # of uplinks that gave values before


def _refused(row: StoredUplink, device: Device, refusal: str) -> RedecodedRow:
    detail = rows.storable(refusal)
    return RedecodedRow(
        row.time, row.deduplication_id, "fault", "refused_by_database", detail, device.model, row.object
    )


def _remember(memory: Memory, device: Device, samples: Sequence[Sample]) -> None:
    """Values from the past that are the newest of their series: the rules know them from now on."""
    latest: dict[Series, Reading] = {}
    for sample in samples:
        series = (device.id, sample.channel, sample.metric)
        known = latest.get(series) or memory.state.latest.get(series)
        if known is None or sample.time >= known[1]:
            latest[series] = (sample.value, sample.time)
    memory.series.remember(device.id, samples)
    memory.state.apply(Evaluation(memory.rules, Changes({}, latest, {}, {}, {}), []))


def _decode_again(
    pipeline: Pipeline, memory: Memory, device: Device, stored: Sequence[StoredUplink]
) -> _Redecoded:
    again, oldest = _Redecoded([], [], [], []), pipeline.oldest()
    for row in stored:
        uplink = uplink_of(row, device)
        decoded = pipeline.decode(uplink, device, memory.directory)
        if row.status in _USED:
            if decoded is None or decoded.fault is not None:
                continue  # what was read once stays, whatever the new decoder thinks of it
            again.superseded.append(row.time)
        # made as if it had just come in; only what decoding determines is kept
        made = rows.make_rows(
            uplink, device, decoded, row.time, memory.directory, {}, memory.metrics, oldest=oldest, pack=False
        )
        new = made.uplink
        again.uplinks.append(
            RedecodedRow(
                new.time, new.deduplication_id, new.status, new.fault, new.fault_detail, new.model, new.object
            )
        )
        again.measurements.extend(made.measurements)
        again.samples.extend(made.samples)
        if row.status == "fault" and made.uplink.status in _USED:
            readable = noted(DECODE_FAULT, row.time, is_bad=False)  # in the place of what was noted then
            again.samples.append(readable)
            again.measurements.extend(
                rows.measurement_rows([readable], device.id, memory.directory, memory.metrics, row.time, 0)
            )
    return again


def uplink_of(row: StoredUplink, device: Device) -> Uplink:
    return Uplink(
        deduplication_id=row.deduplication_id,
        device=DeviceInfo(device.dev_eui),
        dev_addr=row.dev_addr,
        time=row.time,
        f_cnt=row.f_cnt,
        f_port=row.f_port,
        data=bytes(row.data),
        object=msgspec.json.decode(row.object) if row.object else None,
        reported_time=row.reported_time,
        encrypted=row.encrypted,
    )
