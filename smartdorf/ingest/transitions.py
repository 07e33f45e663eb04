"""What an evaluation of the rules writes: timers, alerts, and what has to be told, in the caller's transaction."""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg
import msgspec

from smartdorf.alerting.engine import TOLD, AlertKey, AlertState, BoundRules, Evaluation, Marks, Transition
from smartdorf.db.state import RuleStateRow
from smartdorf.db.transitions import Change, record_change, save_rule_state

# What happened longer ago than this when we learn of it is told only while it still holds: nobody wants to be
# called out at noon for a container that was full, and emptied, at dawn.
STALE = timedelta(minutes=15)

_JSON = msgspec.json.Encoder()


async def write_evaluation(
    connection: asyncpg.Connection, evaluation: Evaluation, rules: BoundRules, now: datetime
) -> bool:
    """Returns whether there is something to tell."""
    instances = evaluation.changes.instances
    await save_rule_state(
        connection,
        [state_row(key, state) for key, state in instances.items() if state is not None],
        [(key.rule, key.kind, key.id) for key, state in instances.items() if state is None],
    )
    changes = [_change(t, rules, now) for t in evaluation.transitions if t.kind in TOLD]
    for change in changes:
        await record_change(connection, change, now)
    return bool(changes)


def state_row(key: AlertKey, state: AlertState) -> RuleStateRow:
    """As the database keeps it."""
    return RuleStateRow(
        *key,
        state.phase,
        state.since,
        state.readings,
        state.fired_at,
        state.stage,
        _JSON.encode(state.rising).decode(),
        state.clearing,
        state.eased,
        _JSON.encode(state.muted_by).decode(),
    )


def state_of(row: RuleStateRow) -> tuple[AlertKey, AlertState]:
    """What ``state_row`` made a row of."""
    rule, kind, subject_id, phase, since, readings, fired_at, stage, rising, clearing, eased, muting = row
    marks = msgspec.json.decode(rising, type=Marks)
    muted_by = msgspec.json.decode(muting, type=tuple[AlertKey, ...])
    state = AlertState(phase, since, readings, fired_at, stage, marks, clearing, eased, muted_by)
    return AlertKey(rule, kind, subject_id), state


def _change(transition: Transition, rules: BoundRules, now: datetime) -> Change:
    """A rule that is gone has no texts and no receivers any more; an alert that ends needs none."""
    rule = rules.rules.get(transition.key.rule)
    stage = rule.stages[transition.stage] if rule is not None else None
    return Change(
        kind=transition.kind,
        rule=transition.key.rule,
        rule_version=transition.rule_version,
        subject_kind=transition.key.kind,
        subject_id=transition.key.id,
        severity=stage.severity if stage is not None else "",
        stage=stage.name if stage is not None else {},
        since=transition.since,
        time=transition.time,
        title=rule.title if rule is not None else {},
        summary=transition.summary,
        action=rule.action if rule is not None else {},
        inputs=transition.inputs,
        reason=transition.reason,
        receivers=stage.notify if stage is not None else (),
        stale=now - transition.time > STALE,
        tell_at=rules.tell_at(transition.key.rule, now),
        shadow=rule is not None and rule.mode == "shadow",
        limits=transition.limits,
        because=transition.because,
        labels=rule.labels if rule is not None else {},
    )
