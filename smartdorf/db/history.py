"""What is stored of a model's devices, for comparing it with what the decoder says now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from smartdorf.db.requests import StoredUplink
from smartdorf.vocabulary import NOTED

SLICE = 500


async def fetch_devices_of(connection: asyncpg.Connection, model: str) -> list[int]:
    """Ids of the model's devices."""
    return [
        row[0] for row in await connection.fetch("SELECT id FROM device WHERE model = $1 ORDER BY id", model)
    ]


_UPLINKS = """
    SELECT time, deduplication_id, dev_addr, f_cnt, f_port, data, object::text, reported_time, encrypted, status
    FROM uplink
    WHERE device_id = $1 AND time >= $2 AND (time, deduplication_id) > ($2, $3) AND status <> 'retransmission'
    ORDER BY time, deduplication_id LIMIT $4
"""


async def stored_uplinks(
    connection: asyncpg.Connection, device_id: int, since: datetime
) -> AsyncIterator[list[StoredUplink]]:
    """The device's uplinks, oldest first, a slice at a time."""
    after = (since, UUID(int=0))
    while rows := await connection.fetch(_UPLINKS, device_id, *after, SLICE):
        yield [StoredUplink(*row) for row in rows]
        after = (rows[-1]["time"], rows[-1]["deduplication_id"])


async def fetch_values(
    connection: asyncpg.Connection, device_id: int, times: Sequence[datetime]
) -> list[tuple[int, str, datetime, float]]:
    """What decoding gave of the device at these times: channel, quantity, time, value."""
    rows = await connection.fetch(
        "SELECT m.channel, q.name, m.time, m.value FROM measurement m JOIN metric q ON q.id = m.metric_id "
        "WHERE m.device_id = $1 AND m.time = ANY ($2::timestamptz[]) AND q.name <> ALL ($3::text[])",
        device_id,
        sorted(set(times)),
        NOTED,
    )
    return [tuple(row) for row in rows]
