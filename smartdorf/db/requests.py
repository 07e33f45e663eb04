"""Work that people ask of the writer: replay quarantined messages, decode stored uplinks anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg


class QuarantinedMessage(NamedTuple):
    id: int
    topic: str
    payload: bytes
    received_at: datetime


async def fetch_replay_requests(connection: asyncpg.Connection, limit: int) -> list[QuarantinedMessage]:
    """Quarantined messages that somebody wants to be tried again, oldest first."""
    rows = await connection.fetch(
        "SELECT id, topic, payload, received_at FROM quarantine "
        "WHERE replay_requested_at IS NOT NULL ORDER BY id LIMIT $1",
        limit,
    )
    return [QuarantinedMessage(*row) for row in rows]


async def finish_replay(
    connection: asyncpg.Connection, quarantine_id: int, now: datetime, rejection: tuple[str, str] | None
) -> None:
    """Note how a replay ended: used (``rejection`` None), or refused again with (reason, detail)."""
    if rejection is None:
        await connection.execute(
            "UPDATE quarantine SET replayed_at = $2, replay_requested_at = NULL, attempts = attempts + 1 WHERE id = $1",
            quarantine_id,
            now,
        )
    else:
        await connection.execute(
            "UPDATE quarantine SET replay_requested_at = NULL, attempts = attempts + 1, reason = $2, detail = $3 "
            "WHERE id = $1",
            quarantine_id,
            *rejection,
        )


class StoredUplink(NamedTuple):
    """What decoding needs of a stored uplink."""

    time: datetime
    deduplication_id: UUID
    dev_addr: str
    f_cnt: int
    f_port: int
    data: bytes
    object: str | None  # JSON
    reported_time: datetime | None
    encrypted: bool
    status: str


class RedecodeRequest(NamedTuple):
    """``since``: what gave values is decoded anew as well, from then on; None: only what gave none."""

    device_id: int
    requested_at: datetime
    since: datetime | None


async def fetch_redecode_requests(connection: asyncpg.Connection) -> list[RedecodeRequest]:
    """Devices whose stored uplinks are to be decoded anew."""
    rows = await connection.fetch(
        "SELECT device_id, requested_at, since FROM redecode_request ORDER BY requested_at"
    )
    return [RedecodeRequest(*row) for row in rows]


_STORED = """
    SELECT time, deduplication_id, dev_addr, f_cnt, f_port, data, object::text, reported_time, encrypted, status
    FROM uplink
    WHERE device_id = $1 AND (time, deduplication_id) > ($2, $3)
      AND (status IN ('unknown_device', 'fault') OR (time >= $5::timestamptz AND status <> 'retransmission'))
    ORDER BY time, deduplication_id LIMIT $4
"""


async def fetch_stored(
    connection: asyncpg.Connection,
    device_id: int,
    after: tuple[datetime, UUID],
    limit: int,
    since: datetime | None,
) -> list[StoredUplink]:
    """Stored uplinks of the device behind ``after``, oldest first: those without values, and all from ``since`` on."""
    return [StoredUplink(*row) for row in await connection.fetch(_STORED, device_id, *after, limit, since)]


_SUPERSEDED = """
    DELETE FROM {table} m WHERE m.device_id = $1 AND m.time = ANY ($2::timestamptz[])
    AND NOT EXISTS (
        SELECT FROM unnest($3::smallint[], $4::smallint[], $5::timestamptz[]) AS new (channel, metric_id, time)
        WHERE new.channel = m.channel AND new.metric_id = m.metric_id AND new.time = m.time)
"""


async def delete_superseded(
    connection: asyncpg.Connection,
    device_id: int,
    times: Sequence[datetime],
    kept: Sequence[tuple[int, int, datetime]],
) -> None:
    """Delete what the uplinks of ``times`` gave and give no more.

    ``kept``: channel, metric id and time of what stays.
    """
    columns = zip(*kept, strict=True) if kept else ((), (), ())
    channels, metrics, at = map(list, columns)
    for table in ("measurement", "measurement_latest"):
        statement = _SUPERSEDED.format(table=table)
        await connection.execute(statement, device_id, list(times), channels, metrics, at)


class RedecodedRow(NamedTuple):
    time: datetime
    deduplication_id: UUID
    status: str
    fault: str | None
    fault_detail: str | None
    model: str | None
    object: str | None  # JSON


_REDECODED = """
    UPDATE uplink SET status = new.status, fault = new.fault, fault_detail = new.fault_detail, model = new.model,
                      object = new.object::jsonb
    FROM unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
         AS new (time, deduplication_id, status, fault, fault_detail, model, object)
    WHERE uplink.deduplication_id = new.deduplication_id AND uplink.time = new.time
"""


async def save_redecoded(connection: asyncpg.Connection, rows: Sequence[RedecodedRow]) -> None:
    """Write what the uplinks' status is now."""
    if rows:
        await connection.execute(_REDECODED, *zip(*rows, strict=True))


async def finish_redecode(connection: asyncpg.Connection, request: RedecodeRequest) -> None:
    """One that was asked again meanwhile, with another model perhaps, stays."""
    await connection.execute(
        "DELETE FROM redecode_request WHERE device_id = $1 AND requested_at = $2",
        request.device_id,
        request.requested_at,
    )
