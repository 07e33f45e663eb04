"""How often each device reports: learned from the stored uplinks, a slice of devices at a time, beside the writer.

Each step can be done again: what is broken off, the next run does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

import asyncpg

from smartdorf.rhythm import LONGEST, OUTAGE, WINDOW, GapDay, Rhythm, judge

SLICE = 200  # devices
AGAIN = 2  # days before the last one that are looked at again: what came late, verdicts that were given since
TIMEOUT = 600.0  # seconds, for one statement

# A gap counts from one uplink to the next, so each device's last one before the time is needed too. A long gap that a
# person has called a true alarm, or in which the device was moved, says nothing about its habits. OFFSET 0 has the
# uplinks found by device and time: every slice would else read all that are stored.
_GAPS = """
    WITH breaks AS (
        SELECT device_id, array_agg(time) AS times FROM (
            SELECT device_id, unnest(ARRAY[valid_from, valid_to]) AS time FROM installation
            UNION ALL
            SELECT subject_id, fired_at FROM alert a
            WHERE subject_kind = 'device' AND fired_at >= $2::timestamptz - $4::interval AND 'true' = (
                SELECT verdict FROM alert_event WHERE alert_id = a.id AND kind = 'verdict' ORDER BY id DESC LIMIT 1)
        ) break
        WHERE device_id = ANY ($1::bigint[]) AND time >= $2 - $4::interval GROUP BY device_id
    ), uplinks AS (
        SELECT heard.* FROM unnest($1::bigint[]) AS asked (id) CROSS JOIN LATERAL (
            (SELECT device_id, time, dev_addr, f_cnt FROM uplink
             WHERE device_id = asked.id AND time >= $2 AND time < $3 AND status <> 'retransmission' OFFSET 0)
            UNION ALL
            (SELECT device_id, time, dev_addr, f_cnt FROM uplink
             WHERE device_id = asked.id AND time >= $2 - $4::interval AND time < $2 AND status <> 'retransmission'
             ORDER BY time DESC LIMIT 1)) heard
    ), pairs AS (
        SELECT device_id, time, lag(time) OVER device AS since, dev_addr = lag(dev_addr) OVER device AS same,
               f_cnt - lag(f_cnt) OVER device - 1 AS missing
        FROM uplinks WINDOW device AS (PARTITION BY device_id ORDER BY time)
    ), gaps AS (
        SELECT device_id, (time AT TIME ZONE 'UTC')::date AS day,
               extract(epoch FROM time - since)::double precision AS seconds,
               CASE WHEN same AND missing > 0 THEN missing ELSE 0 END AS missing,
               EXISTS (SELECT FROM unnest(times) AS break WHERE break > since AND break <= time) AS is_broken
        FROM pairs LEFT JOIN breaks USING (device_id)
        WHERE since < time AND time >= $2 AND time - since <= $4::interval
    )
    INSERT INTO device_gap AS known
        (device_id, day, gaps, lost, first_quartile, median, third_quartile, longest)
    SELECT device_id, day, gaps, lost, quartiles[1], quartiles[2], quartiles[3], longest
    FROM (
        SELECT device_id, day, count(*) AS gaps,
               coalesce(sum(missing) FILTER (WHERE missing < $5), 0) AS lost,
               percentile_cont(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY seconds / (missing + 1)) AS quartiles,
               coalesce(max(seconds) FILTER (WHERE NOT is_broken), 0) AS longest
        FROM gaps GROUP BY device_id, day
    ) day
    ON CONFLICT (device_id, day) DO UPDATE SET
        gaps = excluded.gaps, lost = excluded.lost, first_quartile = excluded.first_quartile,
        median = excluded.median, third_quartile = excluded.third_quartile, longest = excluded.longest
"""
_NEWEST = "SELECT max(day) FROM device_gap WHERE device_id = ANY ($1::bigint[])"
_DAYS = """
    SELECT device_id, day, gaps, lost, first_quartile, median, third_quartile, longest
    FROM device_gap WHERE device_id = ANY ($1::bigint[])
"""
_RHYTHMS = """
    SELECT device_id, kind, limit_s, because, interval_s, longest_s, loss, gaps, days FROM device_rhythm
    WHERE $1::bigint[] IS NULL OR device_id = ANY ($1)
"""
_SAVE = """
    INSERT INTO device_rhythm AS known
        (device_id, kind, limit_s, because, interval_s, longest_s, loss, gaps, days)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::float8[], $4::text[], $5::float8[], $6::float8[], $7::float8[],
                         $8::int[], $9::int[])
    ON CONFLICT (device_id) DO UPDATE SET
        kind = excluded.kind, limit_s = excluded.limit_s, because = excluded.because,
        interval_s = excluded.interval_s, longest_s = excluded.longest_s, loss = excluded.loss, gaps = excluded.gaps,
        days = excluded.days
"""


class Learned(NamedTuple):
    """What a night has brought. ``changed``: devices whose limit is another one now."""

    devices: int
    changed: int


async def is_due(connection: asyncpg.Connection, now: datetime) -> bool:
    """Nothing was learned today: the first start with this version, or the service was down at night."""
    newest: date | None = await connection.fetchval("SELECT max(day) FROM device_gap")
    return newest is None or newest < now.astimezone(UTC).date()


async def learn(connection: asyncpg.Connection, models: Mapping[str, timedelta], now: datetime) -> Learned:
    """Look at what came since the last time, judge every device anew, and tell the service: limits may be others, and
    gateways that were heard for the first time are watched from now on.

    ``models``: how often devices of each model report, where they do so regularly.
    """
    today = now.astimezone(UTC).date()
    oldest = today - timedelta(days=WINDOW - 1)
    rows = await connection.fetch("SELECT id, coalesce(model, '') FROM device ORDER BY id")
    devices: dict[int, timedelta | None] = {row[0]: models.get(row[1]) for row in rows}
    ids, changed, learned = list(devices), 0, 0
    for start in range(0, len(ids), SLICE):
        asked = ids[start : start + SLICE]
        newest: date | None = await connection.fetchval(_NEWEST, asked)
        first = oldest if newest is None else max(oldest, newest - timedelta(days=AGAIN))
        begin, longest = datetime.combine(first, time(), UTC), timedelta(seconds=LONGEST)
        await connection.execute(_GAPS, asked, begin, now, longest, OUTAGE, timeout=TIMEOUT)
        found = await _judge(connection, {id_: devices[id_] for id_ in asked}, today)
        changed += await _save(connection, asked, found)
        learned += len(found)
    await connection.execute("DELETE FROM device_gap WHERE day < $1", oldest)
    await connection.execute("SELECT pg_notify('smartdorf', 'directory')")
    return Learned(learned, changed)


async def _judge(
    connection: asyncpg.Connection, devices: Mapping[int, timedelta | None], today: date
) -> dict[int, Rhythm]:
    days: dict[int, list[GapDay]] = {}
    for row in await connection.fetch(_DAYS, list(devices)):
        days.setdefault(row[0], []).append(GapDay(*row[1:]))
    return {id_: judge(known, today, devices[id_]) for id_, known in days.items()}


async def _save(connection: asyncpg.Connection, asked: Sequence[int], found: Mapping[int, Rhythm]) -> int:
    """Returns how many of the limits are others than before."""
    before = await fetch_rhythms(connection, asked)
    changed = [id_ for id_, rhythm in found.items() if rhythm != before.get(id_)]
    rhythms = [found[id_] for id_ in changed]
    await connection.execute(
        _SAVE,
        changed,
        [rhythm.kind for rhythm in rhythms],
        [rhythm.limit for rhythm in rhythms],
        [rhythm.because for rhythm in rhythms],
        [rhythm.interval for rhythm in rhythms],
        [rhythm.longest for rhythm in rhythms],
        [rhythm.loss for rhythm in rhythms],
        [rhythm.gaps for rhythm in rhythms],
        [rhythm.days for rhythm in rhythms],
    )
    return sum(id_ not in before or found[id_].limit != before[id_].limit for id_ in changed)


async def fetch_rhythms(
    connection: asyncpg.Connection, devices: Sequence[int] | None = None
) -> dict[int, Rhythm]:
    """What was learned, by device; ``devices`` None: of all."""
    rows = await connection.fetch(_RHYTHMS, list(devices) if devices is not None else None)
    return {row[0]: Rhythm(*row[1:]) for row in rows}
