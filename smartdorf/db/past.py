"""What is stored, in the order of time and in constant memory: what rules are tried on.

Inside a read-only transaction, so that a service may go on writing meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta

import asyncpg

SLICE = timedelta(days=1)  # what the server puts in order at once
BATCH = 5_000  # rows in memory
TIMEOUT = 600.0  # seconds, for one slice

# Without ordering by time over all chunks: each device's ends are found by its index.
_HEARD = """
    SELECT asked.id, first.time, last.time
    FROM unnest($1::bigint[]) AS asked (id)
    CROSS JOIN LATERAL (SELECT time FROM uplink WHERE device_id = asked.id AND time >= $2 AND time < $3
                        ORDER BY time LIMIT 1) first
    CROSS JOIN LATERAL (SELECT time FROM uplink WHERE device_id = asked.id AND time >= $2 AND time < $3
                        ORDER BY time DESC LIMIT 1) last
"""


async def fetch_heard(
    connection: asyncpg.Connection, devices: Collection[int], begin: datetime, until: datetime
) -> dict[int, tuple[datetime, datetime]]:
    """The first and the last uplink of each device between both times."""
    rows = await connection.fetch(_HEARD, list(devices), begin, until, timeout=TIMEOUT)
    return {row[0]: (row[1], row[2]) for row in rows}


_EXTENT = """
    SELECT min(ends.first), max(ends.last) FROM (
        SELECT (SELECT min(time) FROM uplink WHERE device_id = d.id) AS first,
               (SELECT max(time) FROM uplink WHERE device_id = d.id) AS last
        FROM device d
        UNION ALL
        SELECT (SELECT min(time) FROM measurement m WHERE m.device_id = l.device_id AND m.channel = l.channel
                AND m.metric_id = l.metric_id), l.time
        FROM measurement_latest l
    ) ends
"""


async def fetch_extent(connection: asyncpg.Connection) -> tuple[datetime, datetime] | None:
    """From when to when there is something stored; None where there is nothing."""
    row = await connection.fetchrow(_EXTENT, timeout=TIMEOUT)
    return (row[0], row[1]) if row is not None and row[0] is not None else None


# An uplink and the values of its time become one row. Values without one are records that a device sent later, or
# their uplink was deleted before them.
_PAST = """
    SELECT time, device_id, bool_or(heard), bool_or(readable), coalesce(bool_and(recorded), false),
           array_agg(channel) FILTER (WHERE channel IS NOT NULL),
           array_agg(metric_id) FILTER (WHERE channel IS NOT NULL),
           array_agg(value) FILTER (WHERE channel IS NOT NULL)
    FROM (
        SELECT time, device_id, true AS heard, status = 'decoded' AS readable, NULL::boolean AS recorded,
               NULL::smallint AS channel, NULL::smallint AS metric_id, NULL::double precision AS value
        FROM uplink
        WHERE time >= $1 AND time < $2 AND device_id = ANY ($3::bigint[]) AND status <> 'retransmission'
        UNION ALL
        SELECT time, device_id, false, false, quality & 4 <> 0, channel, metric_id, value
        FROM measurement
        WHERE time >= $1 AND time < $2 AND device_id = ANY ($3::bigint[]) AND metric_id = ANY ($4::smallint[])
    ) stored
    GROUP BY time, device_id ORDER BY time, device_id
"""


async def past(
    connection: asyncpg.Connection,
    devices: Collection[int],
    metrics: Collection[int],
    begin: datetime,
    until: datetime,
) -> AsyncIterator[list[asyncpg.Record]]:
    """Time, device, whether it was heard, whether that could be decoded, whether the values are a device's records;
    channels, metrics and values, or None.

    Oldest first, a batch at a time; an empty one where a slice holds nothing.
    """
    ids, wanted = list(devices), list(metrics)
    while begin < until:
        end = min(begin + SLICE, until)
        cursor = await connection.cursor(_PAST, begin, end, ids, wanted, timeout=TIMEOUT)
        while rows := await cursor.fetch(BATCH, timeout=TIMEOUT):
            yield rows
        begin = end
