"""The village at a glance: what the demo's live view and its last line show."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec


class LatestOfPlace(NamedTuple):
    slug: str
    name: str
    place_type: str
    metric: str
    value: float
    time: datetime


_LATEST = """
    SELECT p.slug, p.name, p.place_type, m.name, l.value, l.time
    FROM (SELECT DISTINCT ON (place_id, metric_id) * FROM measurement_latest ORDER BY place_id, metric_id, channel) l
    JOIN place p ON p.id = l.place_id JOIN metric m ON m.id = l.metric_id
    ORDER BY p.slug, m.name
"""


async def fetch_latest_of_places(pool: asyncpg.Pool) -> list[LatestOfPlace]:
    """The newest value of every quantity at every place; of its first channel where there are several."""
    return [LatestOfPlace(*row) for row in await pool.fetch(_LATEST)]


class AlertLine(NamedTuple):
    id: int
    state: str
    severity: str
    fired_at: datetime
    resolved_at: datetime | None
    summary: dict[str, str]


async def fetch_newest_alerts(pool: asyncpg.Pool, limit: int) -> list[AlertLine]:
    """Open alerts first, then those that ended last."""
    rows = await pool.fetch(
        "SELECT id, state, severity, fired_at, resolved_at, summary::text AS summary FROM alert "
        "ORDER BY state = 'resolved', coalesce(resolved_at, fired_at) DESC LIMIT $1",
        limit,
    )
    return [AlertLine(**{**row, "summary": msgspec.json.decode(row["summary"])}) for row in rows]


_COUNTS = """
    SELECT (SELECT count(*) FROM uplink) AS stored,
           (SELECT coalesce(json_object_agg(reason, n), '{}')::text
            FROM (SELECT reason, count(*) AS n FROM quarantine GROUP BY reason) q) AS quarantined,
           (SELECT coalesce(json_object_agg(fault, n), '{}')::text
            FROM (SELECT fault, count(*) AS n FROM uplink WHERE fault IS NOT NULL GROUP BY fault) f) AS decode_faults,
           (SELECT coalesce(sum(last_f_cnt - first_f_cnt + 1 - received), 0)::bigint FROM frame_gap) AS frame_gaps,
           (SELECT count(*) FROM alert_event WHERE kind = 'fired') AS alerts_fired,
           (SELECT count(*) FROM alert_event WHERE kind = 'resolved') AS alerts_resolved
"""


async def fetch_counts(pool: asyncpg.Pool) -> dict[str, Any]:
    """What has been stored, refused, missed and told since the beginning."""
    row = await pool.fetchrow(_COUNTS)
    assert row is not None
    texts = ("quarantined", "decode_faults")
    return {**row, **{name: msgspec.json.decode(row[name]) for name in texts}}
