"""Which gateways hear which device, and how long their pauses are: tables gateway, hearing and gateway_pause."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta

import asyncpg

_SAVE_LAST = """
    UPDATE gateway SET last_heard_at = heard.time
    FROM unnest($1::bigint[], $2::timestamptz[]) AS heard (id, time) WHERE gateway.id = heard.id
"""
_SAVE_TOLD = """
    UPDATE gateway SET last_told_at = told.time
    FROM unnest($1::bigint[], $2::timestamptz[]) AS told (id, time) WHERE gateway.id = told.id
"""
_SAVE_PAIRS = """
    INSERT INTO hearing (device_id, gateway_id, noted_at)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[])
    ON CONFLICT (device_id, gateway_id) DO UPDATE SET noted_at = excluded.noted_at
"""
_SAVE_PAUSES = """
    INSERT INTO gateway_pause (gateway_id, day, longest)
    SELECT * FROM unnest($1::bigint[], $2::date[], $3::interval[])
    ON CONFLICT (gateway_id, day) DO UPDATE SET longest = excluded.longest
"""


async def save_hearing(
    connection: asyncpg.Connection,
    last: Mapping[int, datetime],
    pairs: Mapping[tuple[int, int], datetime],
    pauses: Mapping[tuple[int, int], timedelta],
) -> None:
    """``last``: reception by gateway. ``pairs``: by device and gateway, the message that is noted. ``pauses``: by
    gateway and day (ordinal)."""
    if last:
        await connection.execute(_SAVE_LAST, list(last), list(last.values()))
    if pairs:
        await connection.execute(_SAVE_PAIRS, *zip(*pairs, strict=True), list(pairs.values()))
    if pauses:
        gateways, days = zip(*pauses, strict=True)
        dates = [date.fromordinal(day) for day in days]
        await connection.execute(_SAVE_PAUSES, gateways, dates, list(pauses.values()))


async def save_told(
    connection: asyncpg.Connection, told: Mapping[int, datetime], new: Collection[int]
) -> None:
    """``told``: stats by gateway. ``new``: those that sent none before; rules about our own watch them from now on."""
    if told:
        await connection.execute(_SAVE_TOLD, list(told), list(told.values()))
    if new:
        await connection.execute("UPDATE gateway SET is_own = true WHERE id = ANY ($1::bigint[])", list(new))


async def fetch_told(connection: asyncpg.Connection) -> dict[int, datetime]:
    """The last stats of each of our own gateways, to the minute."""
    rows = await connection.fetch("SELECT id, last_told_at FROM gateway WHERE is_own")
    return {row[0]: row[1] for row in rows}


async def fetch_pairs(connection: asyncpg.Connection) -> dict[tuple[int, int], datetime]:
    """By device and gateway, the last message that was noted."""
    rows = await connection.fetch("SELECT device_id, gateway_id, noted_at FROM hearing")
    return {(row[0], row[1]): row[2] for row in rows}


async def fetch_pauses(connection: asyncpg.Connection, days: int) -> dict[tuple[int, int], timedelta]:
    """By gateway and day (ordinal) the longest pause, of the last ``days`` with anything to tell."""
    rows = await connection.fetch(
        "SELECT gateway_id, day, longest FROM gateway_pause p "
        "WHERE day > (SELECT max(day) FROM gateway_pause l WHERE l.gateway_id = p.gateway_id) - $1::integer",
        days,
    )
    return {(row[0], row[1].toordinal()): row[2] for row in rows}


async def fetch_last(connection: asyncpg.Connection) -> dict[int, datetime]:
    """The last reception of each gateway, to the minute."""
    rows = await connection.fetch("SELECT id, last_heard_at FROM gateway WHERE last_heard_at IS NOT NULL")
    return {row[0]: row[1] for row in rows}


_ENDED = """
    SELECT rule, subject_kind, subject_id, fired_at, ended_at
    FROM (
        SELECT rule, subject_kind, subject_id, fired_at, coalesce(resolved_at, eased_at) AS ended_at,
               row_number() OVER (PARTITION BY rule, subject_kind, subject_id
                                  ORDER BY coalesce(resolved_at, eased_at) DESC) AS number
        FROM alert
        WHERE rule = ANY ($1::text[]) AND coalesce(resolved_at, eased_at) > (
            SELECT max(last_time) FROM frame_gap) - $2::interval
    ) lately
    WHERE number <= $3
    ORDER BY rule, subject_kind, subject_id, ended_at
"""


async def fetch_ended(
    connection: asyncpg.Connection, rules: Collection[str], within: timedelta, most: int
) -> list[tuple[tuple[str, str, int], datetime, datetime]]:
    """The last alerts (``most`` of each) of these rules that are over: (rule, kind, id), from when to when open."""
    if not rules:
        return []
    rows = await connection.fetch(_ENDED, list(rules), within, most)
    return [((row[0], row[1], row[2]), row[3], row[4]) for row in rows]
