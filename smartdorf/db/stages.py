"""The way of rows to the server: what a batch writes as typed rows, and how they get there.

Rows reach the server in one of two ways, whichever is faster for their number (see ``Stage``); the statement that
stores them is the same. Rows are plain tuples, because thousands a second are made; their columns stand in the order
that ``CopyFormat`` is fastest with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from smartdorf.db.copy_format import CopyFormat


class UplinkRow(NamedTuple):
    """Table uplink."""

    time: datetime
    deduplication_id: UUID
    device_id: int
    f_cnt: int
    f_port: int
    dr: int
    adr: bool
    confirmed: bool
    encrypted: bool
    gateway_count: int
    received_at: datetime
    frequency: int | None
    best_rssi: int | None
    best_snr: float | None
    ns_time: datetime | None
    dev_addr: str
    data: bytes
    status: str
    model: str | None
    object: str | None  # JSON
    reported_time: datetime | None
    fault: str | None
    fault_detail: str | None


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
    started_at: datetime
    first_f_cnt: int
    last_f_cnt: int
    received: int
    retransmissions: int
    last_time: datetime
    dev_addr: str


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


Packed = bytes  # a row that ``CopyFormat.pack`` has made ready for COPY

# Measured with three measurements per uplink: below this number of rows the arrays win (a temporary table must be
# emptied at commit, which costs milliseconds), above it COPY does, by a factor of two at a thousand uplinks.
COPY_FROM = 100  # rows


@dataclass(frozen=True)
class Stage:
    """The way of one table's rows: arrays that are unnested, or COPY into a temporary table."""

    name: str
    format: CopyFormat

    @property
    def create(self) -> str:
        columns = ", ".join(f"{name} {type_}" for name, type_ in self.format.columns.items())
        return f"CREATE TEMPORARY TABLE IF NOT EXISTS {self.name} ({columns}) ON COMMIT DELETE ROWS"

    @property
    def arrays(self) -> str:
        types = self.format.columns.values()
        arrays = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(types, 1))
        return f"unnest({arrays}) AS {self.name} ({', '.join(self.format.columns)})"

    async def bring(
        self, connection: asyncpg.Connection, rows: Sequence[tuple[Any, ...] | Packed]
    ) -> Brought:
        loose = [row for row in rows if not isinstance(row, Packed)]
        if len(loose) == len(rows) < COPY_FROM:
            return Brought(connection, self.arrays, tuple(zip(*loose, strict=True)))
        await copy(connection, self.name, self.format, rows)
        return Brought(connection, self.name, ())


@dataclass(frozen=True)
class Brought:
    """Rows that the server can select from; ``{rows}`` in a statement stands for them."""

    connection: asyncpg.Connection
    source: str
    arguments: tuple[Any, ...]

    async def fetch(self, statement: str) -> list[asyncpg.Record]:
        return await self.connection.fetch(statement.format(rows=self.source), *self.arguments)


async def copy(
    connection: asyncpg.Connection,
    table: str,
    format_: CopyFormat,
    rows: Sequence[tuple[Any, ...] | Packed],
) -> None:
    """COPY. A value that its column cannot hold is refused before anything is sent."""
    source = _at_once(format_.stream(rows))
    await connection.copy_to_table(table, source=source, columns=list(format_.columns), format="binary")


async def _at_once(data: bytes) -> AsyncIterator[bytes]:
    """What the driver reads from without a thread."""
    yield data


UPLINKS = Stage(
    "new_uplink",
    CopyFormat(
        {
            "time": "timestamptz",
            "deduplication_id": "uuid",
            "device_id": "bigint",
            "f_cnt": "bigint",
            "f_port": "smallint",
            "dr": "smallint",
            "adr": "boolean",
            "confirmed": "boolean",
            "encrypted": "boolean",
            "gateway_count": "smallint",
            "received_at": "timestamptz",
            "frequency": "bigint",
            "best_rssi": "smallint",
            "best_snr": "real",
            "ns_time": "timestamptz",
            "dev_addr": "text",
            "data": "bytea",
            "status": "text",
            "model": "text",
            "object": "text",
            "reported_time": "timestamptz",
            "fault": "text",
            "fault_detail": "text",
        }
    ),
)
RECEPTIONS = CopyFormat(
    {
        "time": "timestamptz",
        "device_id": "bigint",
        "gateway_id": "bigint",
        "f_cnt": "bigint",
        "rssi": "smallint",
        "snr": "real",
    }
)
MEASUREMENTS = Stage(
    "new_measurement",
    CopyFormat(
        {
            "time": "timestamptz",
            "device_id": "bigint",
            "channel": "smallint",
            "metric_id": "smallint",
            "value": "double precision",
            "quality": "smallint",
            "place_id": "bigint",
        }
    ),
)
SESSIONS = Stage(
    "new_session",
    CopyFormat(
        {
            "device_id": "bigint",
            "started_at": "timestamptz",
            "first_f_cnt": "bigint",
            "last_f_cnt": "bigint",
            "received": "bigint",
            "retransmissions": "bigint",
            "last_time": "timestamptz",
            "dev_addr": "text",
        }
    ),
)
EVENTS = Stage(
    "new_device_event",
    CopyFormat(
        {
            "time": "timestamptz",
            "device_id": "bigint",
            "type": "text",
            "key": "text",
            "payload": "text",
            "received_at": "timestamptz",
        }
    ),
)
QUARANTINED = Stage(
    "new_quarantine",
    CopyFormat(
        {
            "hash": "bytea",
            "topic": "text",
            "payload": "bytea",
            "reason": "text",
            "detail": "text",
            "source": "text",
            "received_at": "timestamptz",
        }
    ),
)
STAGES = (UPLINKS, MEASUREMENTS, SESSIONS, EVENTS, QUARANTINED)


async def create_stages(connection: asyncpg.Connection) -> None:
    """Make the temporary tables of this connection; once, after connecting."""
    for stage in STAGES:
        await connection.execute(stage.create)
