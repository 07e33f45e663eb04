"""What people do with an alert: acknowledge it, comment on it, judge it, close it. All of it stands in its history.

Closing is only asked for here: the state of the rules is the writer's (``close_requested``, in its transaction).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal

import asyncpg

from smartdorf.db.directory import actor
from smartdorf.db.state import RuleStateRow
from smartdorf.db.transitions import save_rule_state, tell_the_end
from smartdorf.errors import NotFoundError, UsageError
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.local_time import time_text

Verdict = Literal["true", "false", "drill"]

# Locked, so that the alert does not end between the look at it and what is done.
_LOOK = """
    SELECT a.state, a.resolved_at, ack.actor, ack.time FROM alert a
    LEFT JOIN LATERAL (SELECT actor, time FROM alert_event ack WHERE alert_id = a.id AND kind = 'acknowledged'
                         AND NOT EXISTS (SELECT FROM alert_event later WHERE later.alert_id = a.id
                                         AND later.id > ack.id AND later.kind IN ('raised', 'returned'))
                       ORDER BY id LIMIT 1) ack ON true
    WHERE a.id = $1 FOR UPDATE OF a
"""
_ADD = """
    INSERT INTO alert_event (alert_id, kind, time, recorded_at, summary, inputs, actor, comment, verdict)
    VALUES ($1, $2, $3, $3, '{}', '{}', $4, $5, $6)
"""


async def acknowledge(
    connection: asyncpg.Connection, alert_id: int, comment: str | None, now: datetime
) -> None:
    """Somebody has taken it up. Raises NotFoundError, or UsageError where it is over or was acknowledged before."""
    async with connection.transaction():
        found = await _open_alert(connection, alert_id)
        if found["actor"] is not None:
            message = _(
                "alert {number} was acknowledged already, by {who}, {time}; to add something: "
                "`smartdorf alerts comment {number} TEXT`"
            )
            time = time_text(found["time"], current_language())
            raise UsageError(message.format(number=alert_id, who=found["actor"], time=time))
        await connection.execute(_ADD, alert_id, "acknowledged", now, actor(), comment, None)


async def add_comment(connection: asyncpg.Connection, alert_id: int, comment: str, now: datetime) -> None:
    """Also to one that is over. Raises NotFoundError."""
    async with connection.transaction():
        await _look(connection, alert_id)
        await connection.execute(_ADD, alert_id, "commented", now, actor(), comment, None)


async def give_verdict(
    connection: asyncpg.Connection, alert_id: int, verdict: Verdict, comment: str | None, now: datetime
) -> None:
    """What it was in truth, said by whoever was there, also after it is over; the last one counts."""
    async with connection.transaction():
        await _look(connection, alert_id)
        await connection.execute(_ADD, alert_id, "verdict", now, actor(), comment, verdict)


async def _look(connection: asyncpg.Connection, alert_id: int) -> asyncpg.Record:
    found = await connection.fetchrow(_LOOK, alert_id)
    if found is None:
        message = _("There is no alert {number}; `smartdorf alerts list --all` lists them.")
        raise NotFoundError(message.format(number=alert_id))
    return found


async def _open_alert(connection: asyncpg.Connection, alert_id: int) -> asyncpg.Record:
    found = await _look(connection, alert_id)
    if found["state"] == "resolved":
        message = _(
            "alert {number} is over since {time}; `smartdorf alerts comment` and `verdict` still take it"
        )
        time = time_text(found["resolved_at"], current_language())
        raise UsageError(message.format(number=alert_id, time=time))
    return found


# -- closing by hand ---------------------------------------------------------------------------------------------

_REQUEST = """
    INSERT INTO resolve_request (alert_id, actor, reason, requested_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (alert_id) DO NOTHING
"""


async def request_close(connection: asyncpg.Connection, alert_id: int, reason: str, now: datetime) -> None:
    """Ask the writer to close it. Raises NotFoundError, or UsageError where it is over."""
    async with connection.transaction():
        await _open_alert(connection, alert_id)
        await connection.execute(_REQUEST, alert_id, actor(), reason, now)


async def waiting_to_close(connection: asyncpg.Connection, alert_ids: Collection[int]) -> set[int]:
    """Those of the alerts that the writer has yet to close."""
    query = "SELECT alert_id FROM resolve_request WHERE alert_id = ANY ($1::bigint[])"
    return {row[0] for row in await connection.fetch(query, list(alert_ids))}


_REQUESTED = "DELETE FROM resolve_request RETURNING alert_id, actor, reason"
_CLOSE = """
    UPDATE alert SET state = 'resolved', resolved_at = greatest($2, fired_at) WHERE id = $1 AND state = 'firing'
    RETURNING rule, subject_kind, subject_id, resolved_at
"""
_ADD_END = """
    INSERT INTO alert_event (alert_id, kind, time, recorded_at, summary, inputs, reason, actor)
    VALUES ($1, 'resolved', $2, $3,
            jsonb_build_object('de', 'von Hand geschlossen: ' || $4, 'en', 'closed by hand: ' || $4), '{}', $4, $5)
    RETURNING id
"""


async def close_requested(
    connection: asyncpg.Connection, now: datetime, waiting: Mapping[str, datetime]
) -> list[RuleStateRow]:
    """Close what people want closed; returns the state in which that leaves the rules.

    ``waiting``: the rules of which nothing may be told now, and from when on.

    To be called by the writer, in one transaction. What has ended by itself meanwhile stays as it ended.
    """
    closed = []
    for request in await connection.fetch(_REQUESTED):
        alert = await connection.fetchrow(_CLOSE, request["alert_id"], now)
        if alert is None:
            continue
        rule, kind, subject_id, resolved_at = alert
        words = (request["reason"], request["actor"])
        event_id = await connection.fetchval(_ADD_END, request["alert_id"], resolved_at, now, *words)
        tell_at = waiting.get(rule, now)
        await tell_the_end(connection, event_id, request["alert_id"], tell_at, stale=False)
        closed.append(RuleStateRow(rule, kind, subject_id, "closed", resolved_at, 0, None))
    await save_rule_state(connection, closed, [])
    return closed
