"""What one batch of the uplink path writes: typed rows in, one statement per table, all in the caller's transaction.

Rows reach the server in one of two ways, whichever is faster for their number (see ``Stage``); the statement that
stores them is the same. Rows are plain tuples, because thousands a second are made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from smartdorf.errors import DataRejectedError


class UplinkRow(NamedTuple):
    """Table uplink."""

    time: datetime
    deduplication_id: UUID
    device_id: int
    dev_addr: str
    f_cnt: int
    f_port: int
    dr: int
    adr: bool
    confirmed: bool
    encrypted: bool
    frequency: int | None
    data: bytes
    object: str | None  # JSON
    best_rssi: int | None
    best_snr: float | None
    gateway_count: int
    ns_time: datetime | None
    reported_time: datetime | None
    received_at: datetime
    status: str
    fault: str | None
    fault_detail: str | None
    model: str | None


class ReceptionRow(NamedTuple):
    """Table reception."""

    time: datetime
    device_id: int
    gateway_id: int
    f_cnt: int
    rssi: int
    snr: float


class MeasurementRow(NamedTuple):
    """Tables measurement and measurement_latest."""

    time: datetime
    device_id: int
    channel: int
    metric_id: int
    value: float
    quality: int
    place_id: int | None


class SessionRow(NamedTuple):
    """Table frame_gap: the session's counts as they are after this batch."""

    device_id: int
    dev_addr: str
    started_at: datetime
    first_f_cnt: int
    last_f_cnt: int
    received: int
    retransmissions: int
    last_time: datetime


class DeviceEventRow(NamedTuple):
    """Table device_event."""

    time: datetime
    device_id: int
    type: str
    key: str
    payload: str  # JSON
    received_at: datetime


class QuarantineRow(NamedTuple):
    """Table quarantine."""

    hash: bytes
    topic: str
    payload: bytes
    reason: str
    detail: str
    source: str
    received_at: datetime


class UnknownDevice(NamedTuple):
    """A device heard for the first time, as the network server calls it."""

    dev_eui: str
    name: str
    profile_name: str
    application_name: str


def json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


# Measured with three measurements per uplink: below this number of rows the arrays win (a temporary table must be
# emptied at commit, which costs milliseconds), above it COPY does, by a factor of two at a thousand uplinks.
COPY_FROM = 100  # rows


@dataclass(frozen=True)
class Stage:
    """The way of rows to the server: arrays that are unnested, or COPY into a temporary table."""

    name: str
    columns: Mapping[str, str]  # name → type

    @property
    def create(self) -> str:
        columns = ", ".join(f"{name} {type_}" for name, type_ in self.columns.items())
        return f"CREATE TEMPORARY TABLE IF NOT EXISTS {self.name} ({columns}) ON COMMIT DELETE ROWS"

    @property
    def arrays(self) -> str:
        arrays = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(self.columns.values(), 1))
        return f"unnest({arrays}) AS {self.name} ({', '.join(self.columns)})"

    async def bring(self, connection: asyncpg.Connection, rows: Sequence[tuple[Any, ...]]) -> _Brought:
        if len(rows) < COPY_FROM:
            return _Brought(connection, self.arrays, tuple(zip(*rows, strict=True)))
        await _copy(connection, self.name, rows, list(self.columns))
        return _Brought(connection, self.name, ())


@dataclass(frozen=True)
class _Brought:
    """Rows that the server can select from; ``{rows}`` in a statement stands for them."""

    connection: asyncpg.Connection
    source: str
    arguments: tuple[Any, ...]

    async def fetch(self, statement: str) -> list[asyncpg.Record]:
        return await self.connection.fetch(statement.format(rows=self.source), *self.arguments)


UPLINKS = Stage(
    "new_uplink",
    {
        "time": "timestamptz",
        "deduplication_id": "uuid",
        "device_id": "bigint",
        "dev_addr": "text",
        "f_cnt": "bigint",
        "f_port": "smallint",
        "dr": "smallint",
        "adr": "boolean",
        "confirmed": "boolean",
        "encrypted": "boolean",
        "frequency": "bigint",
        "data": "bytea",
        "object": "text",
        "best_rssi": "smallint",
        "best_snr": "real",
        "gateway_count": "smallint",
        "ns_time": "timestamptz",
        "reported_time": "timestamptz",
        "received_at": "timestamptz",
        "status": "text",
        "fault": "text",
        "fault_detail": "text",
        "model": "text",
    },
)
MEASUREMENTS = Stage(
    "new_measurement",
    {
        "time": "timestamptz",
        "device_id": "bigint",
        "channel": "smallint",
        "metric_id": "smallint",
        "value": "double precision",
        "quality": "smallint",
        "place_id": "bigint",
    },
)
SESSIONS = Stage(
    "new_session",
    {
        "device_id": "bigint",
        "dev_addr": "text",
        "started_at": "timestamptz",
        "first_f_cnt": "bigint",
        "last_f_cnt": "bigint",
        "received": "bigint",
        "retransmissions": "bigint",
        "last_time": "timestamptz",
    },
)
EVENTS = Stage(
    "new_device_event",
    {
        "time": "timestamptz",
        "device_id": "bigint",
        "type": "text",
        "key": "text",
        "payload": "text",
        "received_at": "timestamptz",
    },
)
QUARANTINED = Stage(
    "new_quarantine",
    {
        "hash": "bytea",
        "topic": "text",
        "payload": "bytea",
        "reason": "text",
        "detail": "text",
        "source": "text",
        "received_at": "timestamptz",
    },
)


async def _copy(
    connection: asyncpg.Connection, table: str, rows: Sequence[tuple[Any, ...]], columns: Sequence[str]
) -> None:
    """COPY. A value that its column cannot hold is refused before it is sent, and must look as if the server did.

    asyncpg wraps such errors in its DataError where a statement's arguments are concerned, but not here.
    """
    try:
        await connection.copy_records_to_table(table, records=rows, columns=columns)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataRejectedError(f"{table}: {error}") from error


async def create_stages(connection: asyncpg.Connection) -> None:
    """Make the temporary tables of this connection; once, after connecting."""
    for stage in (UPLINKS, MEASUREMENTS, SESSIONS, EVENTS, QUARANTINED):
        await connection.execute(stage.create)


_ADD_DEVICES = """
    INSERT INTO device (dev_eui, name, profile_name, application_name)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
    ON CONFLICT (dev_eui) DO UPDATE SET dev_eui = excluded.dev_eui
    RETURNING dev_eui, id
"""


async def add_devices(
    connection: asyncpg.Connection, devices: Collection[UnknownDevice]
) -> Mapping[str, int]:
    """Ids by dev_eui; a device that somebody added a moment ago keeps its row."""
    rows = await connection.fetch(_ADD_DEVICES, *zip(*devices, strict=True))
    return {row["dev_eui"]: row["id"] for row in rows}


_ADD_GATEWAYS = """
    INSERT INTO gateway (gateway_id) SELECT * FROM unnest($1::text[])
    ON CONFLICT (gateway_id) DO UPDATE SET gateway_id = excluded.gateway_id
    RETURNING gateway_id, id
"""


async def add_gateways(connection: asyncpg.Connection, gateway_ids: Collection[str]) -> Mapping[str, int]:
    """Ids by gateway_id."""
    rows = await connection.fetch(_ADD_GATEWAYS, list(gateway_ids))
    return {row["gateway_id"]: row["id"] for row in rows}


# A redelivered message inserts nothing and returns no row.
_INSERT_UPLINKS = """
    INSERT INTO uplink (time, deduplication_id, device_id, dev_addr, f_cnt, f_port, dr, adr, confirmed, encrypted,
                        frequency, data, object, best_rssi, best_snr, gateway_count, ns_time, reported_time,
                        received_at, status, fault, fault_detail, model)
    SELECT time, deduplication_id, device_id, dev_addr, f_cnt, f_port, dr, adr, confirmed, encrypted,
           frequency, data, object::jsonb, best_rssi, best_snr, gateway_count, ns_time, reported_time,
           received_at, status, fault, fault_detail, model
    FROM {rows}
    ON CONFLICT (deduplication_id, time) DO NOTHING
    RETURNING deduplication_id
"""


async def insert_uplinks(connection: asyncpg.Connection, rows: Sequence[UplinkRow]) -> set[UUID]:
    """Insert; returns the deduplication ids of those that were not there yet."""
    if not rows:
        return set()
    brought = await UPLINKS.bring(connection, rows)
    return {row[0] for row in await brought.fetch(_INSERT_UPLINKS)}


async def insert_receptions(connection: asyncpg.Connection, rows: Sequence[ReceptionRow]) -> None:
    """Insert; the caller passes only those of new uplinks, so nothing can be there twice."""
    if rows:
        await _copy(connection, "reception", rows, ReceptionRow._fields)


_INSERT_MEASUREMENTS = """
    INSERT INTO measurement (time, device_id, channel, metric_id, value, quality, place_id)
    SELECT time, device_id, channel, metric_id, value, quality, place_id FROM {rows}
    ON CONFLICT (device_id, channel, metric_id, time) DO NOTHING
"""
# Decoding anew may give another value for the same moment: the newer decoder is right.
_REPLACE_MEASUREMENTS = """
    INSERT INTO measurement (time, device_id, channel, metric_id, value, quality, place_id)
    SELECT DISTINCT ON (device_id, channel, metric_id, time)
           time, device_id, channel, metric_id, value, quality, place_id FROM {rows}
    ON CONFLICT (device_id, channel, metric_id, time)
    DO UPDATE SET value = excluded.value, quality = excluded.quality, place_id = excluded.place_id
"""
_SAVE_LATEST = """
    INSERT INTO measurement_latest AS known (time, device_id, channel, metric_id, value, quality, place_id)
    SELECT DISTINCT ON (device_id, channel, metric_id)
           time, device_id, channel, metric_id, value, quality, place_id FROM {rows}
    ORDER BY device_id, channel, metric_id, time DESC
    ON CONFLICT (device_id, channel, metric_id)
    DO UPDATE SET time = excluded.time, value = excluded.value, quality = excluded.quality,
                  place_id = excluded.place_id
    WHERE excluded.time >= known.time
"""


async def insert_measurements(
    connection: asyncpg.Connection, rows: Sequence[MeasurementRow], *, replace: bool = False
) -> None:
    """Insert, and keep the newest value of each series; with ``replace``, a value that is there gives way."""
    if not rows:
        return
    brought = await MEASUREMENTS.bring(connection, rows)
    await brought.fetch(_REPLACE_MEASUREMENTS if replace else _INSERT_MEASUREMENTS)
    await brought.fetch(_SAVE_LATEST)


_SAVE_SESSIONS = """
    INSERT INTO frame_gap (device_id, dev_addr, started_at, first_f_cnt, last_f_cnt, received, retransmissions,
                           last_time)
    SELECT device_id, dev_addr, started_at, first_f_cnt, last_f_cnt, received, retransmissions, last_time FROM {rows}
    ON CONFLICT (device_id, dev_addr, started_at)
    DO UPDATE SET first_f_cnt = excluded.first_f_cnt, last_f_cnt = excluded.last_f_cnt,
                  received = excluded.received, retransmissions = excluded.retransmissions,
                  last_time = excluded.last_time
"""


async def save_sessions(connection: asyncpg.Connection, rows: Sequence[SessionRow]) -> None:
    """Write the sessions' counts; they are totals, so writing them twice changes nothing."""
    if rows:
        await (await SESSIONS.bring(connection, rows)).fetch(_SAVE_SESSIONS)


_INSERT_EVENTS = """
    INSERT INTO device_event (time, device_id, type, key, payload, received_at)
    SELECT time, device_id, type, key, payload::jsonb, received_at FROM {rows}
    ON CONFLICT (type, key, time) DO NOTHING
"""


async def insert_device_events(connection: asyncpg.Connection, rows: Sequence[DeviceEventRow]) -> None:
    """Insert those that are not there yet."""
    if rows:
        await (await EVENTS.bring(connection, rows)).fetch(_INSERT_EVENTS)


_QUARANTINE = """
    INSERT INTO quarantine (hash, topic, payload, reason, detail, source, received_at)
    SELECT hash, topic, payload, reason, detail, source, received_at FROM {rows}
    ON CONFLICT (hash) DO NOTHING
"""


async def insert_quarantine(connection: asyncpg.Connection, rows: Sequence[QuarantineRow]) -> None:
    """Keep what could not be used, once."""
    if rows:
        await (await QUARANTINED.bring(connection, rows)).fetch(_QUARANTINE)
