"""What still has to be told, and what became of it. Rows are written in the transaction of the alert
(``db/transitions.py``); here they are read by the notifier and finished."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal, NamedTuple

import asyncpg

from smartdorf.db.alerts import Input, names_of_subject, read_inputs, read_texts
from smartdorf.db.pool import mapped_errors
from smartdorf.db.silences import covering
from smartdorf.db.transitions import BEGINS

Outcome = Literal["sent", "skipped", "failed"]


class Hush(NamedTuple):
    """A silence that covers the alert."""

    id: int
    created_by: str
    reason: str
    until: datetime


class OutboxRow(NamedTuple):
    """One notification that is due, with all that a message can say."""

    id: int
    receiver: str
    attempts: int
    stale: bool
    told: bool  # this receiver was told that the alert fired
    kind: str  # fired | raised | eased | returned | resolved | listed
    time: datetime  # event time of the transition
    reason: str | None
    alert_id: int
    rule: str
    severity: str  # of the stage that it tells of
    since: datetime
    resolved_at: datetime | None  # of the alert, also where this row tells that it fired
    title: Mapping[str, str]  # by language
    summary: Mapping[str, str]
    action: Mapping[str, str]
    inputs: tuple[Input, ...]
    place: str
    device: str
    recorded_at: datetime
    stage: Mapping[str, str] = {}  # the name of the stage that it tells of, by language
    summary_id: int | None = None  # it was put together with all that have the same
    held: bool = False  # a silence, or its rule's `send`, held it back before
    silence: Hush | None = None  # in force now
    labels: Mapping[str, str] = {}
    gateway: str = ""


# What is over is said in the words in which it was told; only an end that is not the data's has words of its own.
# A resolved row waits for the fired row of its receiver, so that nobody reads "over" before "full".
_DUE = f"""
    SELECT o.id, o.receiver, o.attempts, o.stale, e.kind, e.time, e.reason, e.recorded_at, o.summary_id,
           a.id AS alert_id, a.rule, coalesce(e.severity, a.severity) AS severity,
           (CASE e.kind WHEN 'resolved' THEN a.stage ELSE e.stage END)::text AS stage,
           a.since, a.resolved_at, a.title::text,
           (CASE WHEN e.kind = 'resolved' AND e.reason IS NULL THEN a.summary ELSE e.summary END)::text AS summary,
           a.action::text, a.labels::text, e.inputs::text, subject.place,
           subject.device, subject.gateway,
           EXISTS (SELECT FROM outbox t JOIN alert_event f ON f.id = t.alert_event_id
                   WHERE f.alert_id = a.id AND f.kind IN {BEGINS} AND t.receiver = o.receiver AND t.state = 'sent')
               AS told,
           o.silence_id IS NOT NULL OR (o.attempts = 0 AND o.next_attempt_at > e.recorded_at) AS held,
           s.id AS silence_id, s.created_by, s.reason AS silence_reason, s.until
    FROM outbox o
    JOIN alert_event e ON e.id = o.alert_event_id
    JOIN alert a ON a.id = e.alert_id
    {names_of_subject("a", "a.fired_at")}
    LEFT JOIN LATERAL ({covering("a", "subject", "$1")}) s ON e.kind IN {BEGINS}
    WHERE o.state = 'waiting' AND o.next_attempt_at <= $1
      AND ($2::text IS NULL OR o.receiver = $2) AND o.receiver <> ALL ($3::text[])
      AND ($4 OR NOT o.stale)
      AND (e.kind IN {BEGINS}
           OR NOT EXISTS (SELECT FROM outbox w JOIN alert_event f ON f.id = w.alert_event_id
                          WHERE f.alert_id = a.id AND f.kind IN {BEGINS} AND w.receiver = o.receiver
                            AND w.state = 'waiting'))
    ORDER BY o.attempts, coalesce(o.summary_id, o.id), o.id
    LIMIT $5
"""


async def fetch_due(
    pool: asyncpg.Pool,
    now: datetime,
    *,
    receiver: str | None,
    except_receivers: Collection[str] = (),
    with_stale: bool,
    limit: int,
) -> list[OutboxRow]:
    """What can be told now, never tried ones first: a new alert does not queue behind old failures.

    What was put together into one message stands side by side.

    ``receiver`` None: of all receivers but ``except_receivers``.
    """
    with mapped_errors():
        rows = await pool.fetch(_DUE, now, receiver, list(except_receivers), with_stale, limit)
    return [_row(row) for row in rows]


def _row(row: asyncpg.Record) -> OutboxRow:
    fields = dict(row)
    hush = Hush(*(fields.pop(name) for name in ("silence_id", "created_by", "silence_reason", "until")))
    texts = {name: read_texts(row[name]) for name in ("title", "summary", "action", "stage", "labels")}
    fields |= texts | {"inputs": read_inputs(row["inputs"])}
    return OutboxRow(**fields, silence=hush if hush.id is not None else None)


# Told, or tried and to be told: these are on the receiver's phone one by one.
_LATELY = """
    SELECT o.receiver, a.rule, e.kind, count(*) FROM (
        SELECT receiver, alert_event_id FROM outbox WHERE state = 'sent' AND finished_at > $1
        UNION ALL
        SELECT receiver, alert_event_id FROM outbox WHERE state = 'waiting' AND attempts > 0 AND summary_id IS NULL
    ) o JOIN alert_event e ON e.id = o.alert_event_id JOIN alert a ON a.id = e.alert_id
    WHERE $2::text IS NULL OR o.receiver = $2 GROUP BY 1, 2, 3
"""


async def count_lately(
    pool: asyncpg.Pool, since: datetime, receiver: str | None
) -> dict[tuple[str, str, str], int]:
    """How many were told since then, and how many are being told one by one, by receiver, rule and kind."""
    with mapped_errors():
        rows = await pool.fetch(_LATELY, since, receiver)
    return {(row[0], row[1], row[2]): row[3] for row in rows}


# The number comes from the sequence of the rows' own: a receiver that knows messages by it sees no two alike.
_PUT_TOGETHER = """
    WITH message AS MATERIALIZED (SELECT nextval(pg_get_serial_sequence('outbox', 'id')) AS id)
    UPDATE outbox SET summary_id = message.id FROM message WHERE outbox.id = ANY ($1::bigint[]) RETURNING message.id
"""


async def put_together(pool: asyncpg.Pool, row_ids: Collection[int]) -> int:
    """From now on these rows are told in one message; returns its number."""
    with mapped_errors():
        return int(await pool.fetchval(_PUT_TOGETHER, list(row_ids)))


# Told rows are never touched again, whatever arrives late.
_FINISH = """
    UPDATE outbox SET state = $2, attempts = $3, result = $4, finished_at = $5,
                      silence_id = coalesce($6, silence_id) WHERE id = ANY ($1::bigint[]) AND state = 'waiting'
"""
_POSTPONE = """
    UPDATE outbox SET attempts = $2, result = $3, next_attempt_at = $4
    WHERE id = ANY ($1::bigint[]) AND state = 'waiting'
"""


async def finish(
    pool: asyncpg.Pool,
    row_ids: Collection[int],
    outcome: Outcome,
    attempts: int,
    result: str,
    now: datetime,
    silence: int | None = None,
) -> None:
    """Close the rows of one message: sent, skipped or given up, with the receiver's answer or the reason.

    ``silence``: the one for which it is skipped, until that is over.
    """
    with mapped_errors():
        await pool.execute(_FINISH, list(row_ids), outcome, attempts, result, now, silence)


# What somebody has acknowledged meanwhile is known: it stays quiet.
_RELEASE = """
    UPDATE outbox o SET state = 'waiting', finished_at = NULL,
                        next_attempt_at = coalesce((SELECT time FROM unnest($2::text[], $3::timestamptz[])
                                                    AS later (rule, time) WHERE later.rule = a.rule), $1)
    FROM silence s, alert_event e, alert a
    WHERE o.state = 'skipped' AND s.id = o.silence_id AND coalesce(s.expired_at, s.until) <= $1
      AND e.id = o.alert_event_id AND a.id = e.alert_id AND a.state = 'firing'
      AND NOT EXISTS (SELECT FROM alert_event k
                      WHERE k.alert_id = a.id AND k.id > e.id AND k.kind = 'acknowledged')
"""


async def release(pool: asyncpg.Pool, now: datetime, waiting: Mapping[str, datetime]) -> bool:
    """What a silence held back and still holds waits to be told, once the silence is over.

    ``waiting``: the rules of which nothing may be told now, and from when on.
    """
    with mapped_errors():
        result = await pool.execute(_RELEASE, now, list(waiting), list(waiting.values()))
    return str(result) != "UPDATE 0"


async def postpone(
    pool: asyncpg.Pool, row_ids: Collection[int], attempts: int, result: str, next_attempt_at: datetime
) -> None:
    """Keep the rows of one message waiting after a failed attempt."""
    with mapped_errors():
        await pool.execute(_POSTPONE, list(row_ids), attempts, result, next_attempt_at)


async def count_waiting(pool: asyncpg.Pool, now: datetime) -> dict[str, int]:
    """How many notifications wait, by receiver; without those that may not be told yet: nothing is wrong with them."""
    with mapped_errors():
        rows = await pool.fetch(
            "SELECT receiver, count(*) FROM outbox "
            "WHERE state = 'waiting' AND (next_attempt_at <= $1 OR attempts > 0) GROUP BY receiver",
            now,
        )
    return {row[0]: row[1] for row in rows}
