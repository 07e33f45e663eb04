"""Alerts as they open and close: rule state, alert, its history and what has to be told, in the caller's
transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from smartdorf.db.batches import json_text
from smartdorf.db.state import RuleStateRow

_SAVE_STATE = """
    INSERT INTO rule_state (rule, subject_kind, subject_id, phase, since, readings, fired_at, stage, rising, clearing,
                            eased, muted_by)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[], $6::integer[],
                         $7::timestamptz[], $8::smallint[], $9::jsonb[], $10::timestamptz[], $11::boolean[],
                         $12::jsonb[])
    ON CONFLICT (rule, subject_kind, subject_id)
    DO UPDATE SET phase = excluded.phase, since = excluded.since, readings = excluded.readings,
                  fired_at = excluded.fired_at, stage = excluded.stage, rising = excluded.rising,
                  clearing = excluded.clearing, eased = excluded.eased, muted_by = excluded.muted_by
"""
_DROP_STATE = """
    DELETE FROM rule_state USING unnest($1::text[], $2::text[], $3::bigint[]) AS gone (rule, kind, id)
    WHERE rule_state.rule = gone.rule AND subject_kind = kind AND subject_id = gone.id
"""


async def save_rule_state(
    connection: asyncpg.Connection,
    rows: Sequence[RuleStateRow],
    gone: Collection[tuple[str, str, int]],
) -> None:
    """Write the instances that changed and drop those that are inactive again (rule, kind, id)."""
    if rows:
        await connection.execute(_SAVE_STATE, *zip(*rows, strict=True))
    if gone:
        await connection.execute(_DROP_STATE, *zip(*gone, strict=True))


class Change(NamedTuple):
    """An alert opens, changes or closes."""

    kind: str  # fired | raised | eased | returned | resolved
    rule: str
    rule_version: str
    subject_kind: str
    subject_id: int
    severity: str
    stage: Mapping[str, str]  # its name by language
    since: datetime
    time: datetime  # event time
    title: Mapping[str, str]
    summary: Mapping[str, str]
    action: Mapping[str, str]
    inputs: Mapping[str, Any]
    reason: str | None
    receivers: Collection[str]
    stale: bool
    tell_at: datetime | None = None  # when it may be told; None: at once
    shadow: bool = False  # of an alert that opens: its rule is on trial
    limits: Mapping[str, float] = {}  # durations in seconds
    because: Mapping[str, str] = {}  # why it holds, by language
    labels: Mapping[str, str] = {}  # of the rule


# Kinds of events that tell of something bad; whoever was to hear of one hears of the end.
BEGINS = "('fired', 'raised', 'returned')"

_OPEN_ALERT = """
    INSERT INTO alert (rule, rule_version, subject_kind, subject_id, severity, stage, state, since, fired_at, title,
                       summary, action, inputs, limits, because, shadow, labels)
    VALUES ($1, $2, $3, $4, $5, $6::jsonb, 'firing', $7, $8, $9::jsonb, $10::jsonb, $11::jsonb, $12::jsonb,
            $13::jsonb, $14::jsonb, $15, $16::jsonb)
    RETURNING id, shadow
"""
# It says what holds now; how it began stands in its history.
_RAISE_ALERT = """
    UPDATE alert SET severity = $4, stage = $5::jsonb, summary = $6::jsonb, inputs = $7::jsonb, limits = $8::jsonb,
                     because = $9::jsonb, eased_at = NULL
    WHERE rule = $1 AND subject_kind = $2 AND subject_id = $3 AND state = 'firing'
    RETURNING id, shadow
"""
_EASE_ALERT = """
    UPDATE alert SET eased_at = $4
    WHERE rule = $1 AND subject_kind = $2 AND subject_id = $3 AND state = 'firing'
    RETURNING id, shadow
"""
_CLOSE_ALERT = """
    UPDATE alert SET state = 'resolved', resolved_at = $4
    WHERE rule = $1 AND subject_kind = $2 AND subject_id = $3 AND state = 'firing'
    RETURNING id, shadow
"""
_ADD_EVENT = """
    INSERT INTO alert_event (alert_id, kind, time, recorded_at, summary, inputs, reason, severity, stage)
    VALUES ($1, $2, $3, $4, $5::jsonb, $6::jsonb, $7, $8, $9::jsonb) RETURNING id
"""
# Whoever was to hear that it fired hears that it is over, whatever the rule says by now.
_TELL_THE_END = f"""
    INSERT INTO outbox (alert_event_id, receiver, stale, next_attempt_at)
    SELECT DISTINCT $1::bigint, o.receiver, $3::boolean, $4::timestamptz
    FROM outbox o JOIN alert_event e ON e.id = o.alert_event_id WHERE e.alert_id = $2 AND e.kind IN {BEGINS}
"""
_ADD_TO_OUTBOX = """
    INSERT INTO outbox (alert_event_id, receiver, stale, next_attempt_at)
    SELECT $1, receiver, $3, $4 FROM unnest($2::text[]) AS receiver
"""


async def record_change(connection: asyncpg.Connection, change: Change, now: datetime) -> None:
    """Open, change or close the alert, add to its history, and put one line per receiver into the outbox.

    An alert that opened while its rule was on trial is told to nobody, whatever the rule is by now.
    """
    found = await _change_alert(connection, change)
    if found is None:  # closed in the database itself: there is nobody to tell
        return
    alert_id, shadow = found
    begins = change.kind in ("fired", "raised", "returned")
    event_id = await connection.fetchval(
        _ADD_EVENT,
        alert_id,
        change.kind,
        change.time,
        now,
        json_text(change.summary),
        json_text(change.inputs),
        change.reason,
        change.severity if begins else None,
        json_text(change.stage),
    )
    if shadow:
        return
    tell_at = change.tell_at or now
    if begins:
        await connection.execute(_ADD_TO_OUTBOX, event_id, list(change.receivers), change.stale, tell_at)
    else:
        await tell_the_end(connection, event_id, alert_id, tell_at, stale=change.stale)


async def _change_alert(connection: asyncpg.Connection, change: Change) -> tuple[int, bool] | None:
    """Returns its id and whether nobody is told of it; None where there is none that is open."""
    which = (change.rule, change.subject_kind, change.subject_id)
    summary, inputs, stage = (json_text(part) for part in (change.summary, change.inputs, change.stage))
    reasons = (json_text(change.limits), json_text(change.because))
    if change.kind == "fired":
        found = await connection.fetchrow(
            _OPEN_ALERT,
            change.rule,
            change.rule_version,
            *which[1:],
            change.severity,
            stage,
            change.since,
            change.time,
            json_text(change.title),
            summary,
            json_text(change.action),
            inputs,
            *reasons,
            change.shadow,
            json_text(change.labels),
        )
    elif change.kind in ("raised", "returned"):
        found = await connection.fetchrow(
            _RAISE_ALERT, *which, change.severity, stage, summary, inputs, *reasons
        )
    elif change.kind == "eased":
        found = await connection.fetchrow(_EASE_ALERT, *which, change.time)
    else:
        found = await connection.fetchrow(_CLOSE_ALERT, *which, change.time)
    return (found["id"], found["shadow"]) if found is not None else None


async def tell_the_end(
    connection: asyncpg.Connection, event_id: int, alert_id: int, tell_at: datetime, *, stale: bool
) -> None:
    """Put one line into the outbox for each receiver that was to hear of the beginning."""
    await connection.execute(_TELL_THE_END, event_id, alert_id, stale, tell_at)
