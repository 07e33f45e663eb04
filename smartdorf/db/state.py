"""What a starting (or reconnecting) writer reads back: the state that its memory had."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from uuid import UUID

import asyncpg

from smartdorf.db.stages import SessionRow


class RecentFrame(NamedTuple):
    device_id: int
    dev_addr: str
    f_cnt: int
    time: datetime
    data: bytes
    deduplication_id: UUID


class SeriesValue(NamedTuple):
    device_id: int
    channel: int
    metric: str
    value: float
    time: datetime


class LatestValue(NamedTuple):
    device_id: int
    channel: int
    metric: str
    value: float
    time: datetime
    quality: int


class StillSeries(NamedTuple):
    """Since when a series has had the value that it has, and with how many readings."""

    device_id: int
    channel: int
    metric: str
    since: datetime
    readings: int


class RuleStateRow(NamedTuple):
    """Table rule_state."""

    rule: str
    subject_kind: str
    subject_id: int
    phase: Literal["pending", "firing", "closed"]
    since: datetime
    readings: int
    fired_at: datetime | None
    stage: int = 0
    rising: str = "[]"  # JSON by stage: null, or [since, readings]
    clearing: datetime | None = None
    eased: bool = False
    muted_by: str = "[]"  # JSON: [rule, kind, id] of each alert


_SESSIONS = """
    SELECT DISTINCT ON (device_id, dev_addr) device_id, started_at, first_f_cnt, last_f_cnt, received,
           retransmissions, last_time, dev_addr
    FROM (SELECT *, max(last_time) OVER (PARTITION BY device_id) AS last_heard FROM frame_gap) session
    WHERE last_time >= last_heard - $1::interval
    ORDER BY device_id, dev_addr, started_at DESC
"""


async def fetch_sessions(connection: asyncpg.Connection, kept: timedelta) -> list[SessionRow]:
    """The newest session of each (device, dev_addr), but for those that ended ``kept`` before the device's last."""
    return [SessionRow(*row) for row in await connection.fetch(_SESSIONS, kept)]


# Device by device, by their index: an index by time alone would cost every uplink something. OFFSET 0 keeps the
# planner from joining the other way round, which would read a week of uplinks.
_RECENT = """
    WITH start AS (SELECT max(last_time) - $1::interval AS time FROM frame_gap)
    SELECT u.* FROM (SELECT DISTINCT device_id FROM frame_gap, start WHERE last_time > start.time) heard,
         LATERAL (SELECT device_id, dev_addr, f_cnt, time, data, deduplication_id FROM uplink
                  WHERE device_id = heard.device_id AND time > (SELECT time FROM start)
                    AND status <> 'retransmission' OFFSET 0) u
    ORDER BY u.time
"""


async def fetch_recent_frames(connection: asyncpg.Connection, window: timedelta) -> list[RecentFrame]:
    """The frames of the last minutes of event time, oldest first."""
    return [RecentFrame(*row) for row in await connection.fetch(_RECENT, window)]


_LATEST = """
    SELECT l.device_id, l.channel, m.name, l.value, l.time, l.quality
    FROM measurement_latest l JOIN metric m ON m.id = l.metric_id
"""


async def fetch_latest(connection: asyncpg.Connection) -> list[LatestValue]:
    return [LatestValue(*row) for row in await connection.fetch(_LATEST)]


# For most series the first row that is looked at differs already. Devices that have been silent for longer are left
# out: their last values are in chunks that would have to be unpacked.
_STILL = """
    SELECT l.device_id, l.channel, asked.metric, still.since, still.readings
    FROM unnest($1::text[], $2::interval[]) AS asked (metric, longest)
    JOIN metric m ON m.name = asked.metric
    JOIN measurement_latest l ON l.metric_id = m.id
         AND l.time > (SELECT max(time) FROM measurement_latest) - 2 * asked.longest
    CROSS JOIN LATERAL (
        SELECT min(s.time) AS since, count(*) AS readings FROM measurement s
        WHERE s.device_id = l.device_id AND s.metric_id = l.metric_id AND s.channel = l.channel AND s.time <= l.time
          AND s.time > coalesce(
              (SELECT max(o.time) FROM measurement o
               WHERE o.device_id = l.device_id AND o.metric_id = l.metric_id AND o.channel = l.channel
                 AND o.value <> l.value AND o.time < l.time AND o.time > l.time - 2 * asked.longest),
              l.time - 2 * asked.longest)
    ) still
    WHERE still.readings > 1
"""


async def fetch_still(connection: asyncpg.Connection, longest: Mapping[str, timedelta]) -> list[StillSeries]:
    """The series that have not moved. ``longest``: by quantity, how long one of them may stay the same."""
    rows = await connection.fetch(_STILL, list(longest), list(longest.values()))
    return [StillSeries(*row) for row in rows]


# Two windows back: the newest value of a window that is known is at most one old, the one before its begin another.
_HISTORY = """
    SELECT m.device_id, m.channel, q.name, m.value, m.time
    FROM unnest($1::bigint[], $2::text[], $3::interval[]) AS wanted (device_id, metric, span)
    JOIN metric q ON q.name = wanted.metric
    CROSS JOIN LATERAL (SELECT max(l.time) AS time FROM measurement_latest l
                        WHERE l.device_id = wanted.device_id AND l.metric_id = q.id) newest
    JOIN measurement m ON m.device_id = wanted.device_id AND m.metric_id = q.id
         AND m.time > newest.time - 2 * wanted.span
    WHERE newest.time > (SELECT max(time) FROM measurement_latest) - 2 * wanted.span
    ORDER BY m.time
"""


async def fetch_history(
    connection: asyncpg.Connection, spans: Mapping[tuple[int, str], timedelta]
) -> list[SeriesValue]:
    """The last values of devices' quantities, oldest first. ``spans``: how far back, by device and quantity."""
    devices, metrics = zip(*spans, strict=True) if spans else ((), ())
    rows = await connection.fetch(_HISTORY, list(devices), list(metrics), list(spans.values()))
    return [SeriesValue(*row) for row in rows]


_STARTS = """
    SELECT device_id, started_at FROM frame_gap
    WHERE started_at > (SELECT max(last_time) FROM frame_gap) - $1::interval ORDER BY started_at
"""


async def fetch_starts(connection: asyncpg.Connection, within: timedelta) -> list[tuple[int, datetime]]:
    """Which devices have begun a session lately, and when."""
    return [(row[0], row[1]) for row in await connection.fetch(_STARTS, within)]


_LAST_HEARD = "SELECT device_id, max(last_time) FROM frame_gap GROUP BY device_id"


async def fetch_last_heard(connection: asyncpg.Connection) -> dict[int, datetime]:
    """When each device was last heard."""
    return {row[0]: row[1] for row in await connection.fetch(_LAST_HEARD)}


_RULE_STATE = """
    SELECT rule, subject_kind, subject_id, phase, since, readings, fired_at, stage, rising::text, clearing, eased,
           muted_by::text
    FROM rule_state
"""


async def fetch_rule_state(connection: asyncpg.Connection) -> list[RuleStateRow]:
    return [RuleStateRow(*row) for row in await connection.fetch(_RULE_STATE)]
