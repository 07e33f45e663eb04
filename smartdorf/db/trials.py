"""Rules on trial: since when, how their alerts were judged, and the daily list of what they would have told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

import asyncpg

_BEGIN = "INSERT INTO rule_trial (rule, since) SELECT rule, $2 FROM unnest($1::text[]) AS rule ON CONFLICT DO NOTHING"
_END = "DELETE FROM rule_trial WHERE rule <> ALL ($1::text[])"


async def save_trials(
    connection: asyncpg.Connection,
    on_trial: Collection[str],
    now: datetime,
    *,
    kept: Collection[str] | None,
) -> None:
    """Note which rules are on trial now. ``kept``: those beside them whose trial goes on; None: of all."""
    if kept is not None:
        await connection.execute(_END, [*on_trial, *kept])
    await connection.execute(_BEGIN, list(on_trial), now)


async def fetch_trials(connection: asyncpg.Connection) -> dict[str, datetime]:
    """Since when each rule has been on trial."""
    return {row[0]: row[1] for row in await connection.fetch("SELECT rule, since FROM rule_trial")}


class Judged(NamedTuple):
    """How many alerts a rule had on trial, and what people said of them."""

    alerts: int = 0
    true: int = 0
    false: int = 0
    drill: int = 0
    oldest_unjudged: datetime | None = None

    @property
    def judged(self) -> int:
        return self.true + self.false + self.drill

    @property
    def unjudged(self) -> int:
        return self.alerts - self.judged


# The last verdict counts.
_JUDGED = """
    SELECT a.rule, count(*) AS alerts, count(*) FILTER (WHERE v.verdict = 'true') AS true,
           count(*) FILTER (WHERE v.verdict = 'false') AS false, count(*) FILTER (WHERE v.verdict = 'drill') AS drill,
           min(a.fired_at) FILTER (WHERE v.verdict IS NULL) AS oldest_unjudged
    FROM alert a
    LEFT JOIN LATERAL (SELECT verdict FROM alert_event WHERE alert_id = a.id AND kind = 'verdict'
                       ORDER BY id DESC LIMIT 1) v ON true
    WHERE a.shadow AND a.fired_at >= $1 GROUP BY a.rule
"""


async def fetch_judged(connection: asyncpg.Connection, since: datetime) -> dict[str, Judged]:
    """By rule, of the alerts on trial since then."""
    return {row["rule"]: Judged(*tuple(row)[1:]) for row in await connection.fetch(_JUDGED, since)}


# One message per receiver: all its rows have one summary_id from the start, and go out together (db/outbox.py). Who
# was listed once is not listed again; what was recorded more than a week ago nobody remembers.
_LIST = """
    WITH listed AS (
        INSERT INTO alert_event (alert_id, kind, time, recorded_at, summary, inputs, severity, stage)
        SELECT a.id, 'listed', $1::timestamptz, $1, a.summary, '{}', a.severity, a.stage FROM alert a
        WHERE a.shadow AND a.rule = ANY ($2::text[])
          AND NOT EXISTS (SELECT FROM alert_event e WHERE e.alert_id = a.id AND e.kind IN ('verdict', 'listed'))
          AND EXISTS (SELECT FROM alert_event e WHERE e.alert_id = a.id AND e.kind = 'fired'
                                                  AND e.recorded_at > $1::timestamptz - interval '7 days')
        ORDER BY a.id LIMIT 100
        RETURNING id, alert_id
    ), told AS (
        SELECT DISTINCT listed.id, notify.receiver FROM listed JOIN alert a ON a.id = listed.alert_id
        JOIN unnest($2::text[], $3::text[]) AS notify (rule, receiver) USING (rule)
    ), message AS MATERIALIZED (
        SELECT receiver, nextval(pg_get_serial_sequence('outbox', 'id')) AS id
        FROM (SELECT DISTINCT receiver FROM told) each_one
    )
    INSERT INTO outbox (alert_event_id, receiver, stale, next_attempt_at, summary_id)
    SELECT told.id, receiver, false, $1, message.id FROM told JOIN message USING (receiver) ORDER BY told.id
"""


async def list_trials(
    connection: asyncpg.Connection, receivers: Mapping[str, Collection[str]], now: datetime
) -> None:
    """Put what nobody has judged yet into the outbox, in one message per receiver. ``receivers``: by rule."""
    pairs = [(rule, name) for rule, names in receivers.items() for name in names]
    rules, names = zip(*pairs, strict=True) if pairs else ((), ())
    await connection.execute(_LIST, now, list(rules), list(names))
