"""Quarantined messages, as people look at them and ask for them again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from smartdorf.db.directory import audit
from smartdorf.errors import NotFoundError
from smartdorf.i18n import gettext as _

_LIST = """
    SELECT id, received_at, reason, detail, topic, length(payload) AS bytes, source, attempts, replay_requested_at,
           replayed_at
    FROM quarantine
    WHERE ($1::text IS NULL OR reason = $1) AND ($2 OR replayed_at IS NULL)
    ORDER BY id DESC LIMIT $3
"""


async def fetch_quarantine(
    connection: asyncpg.Connection, *, reason: str | None, replayed: bool, limit: int
) -> list[dict[str, Any]]:
    """The newest quarantined messages; ``replayed``: also those that a replay could use."""
    return [dict(row) for row in await connection.fetch(_LIST, reason, replayed, limit)]


async def count_quarantine(connection: asyncpg.Connection) -> dict[str, int]:
    """How many messages wait in quarantine, by reason."""
    rows = await connection.fetch(
        "SELECT reason, count(*) FROM quarantine WHERE replayed_at IS NULL GROUP BY reason ORDER BY reason"
    )
    return {row[0]: row[1] for row in rows}


async def fetch_quarantined(connection: asyncpg.Connection, quarantine_id: int) -> dict[str, Any]:
    """One message with its payload; raises NotFoundError."""
    row = await connection.fetchrow("SELECT * FROM quarantine WHERE id = $1", quarantine_id)
    if row is None:
        raise NotFoundError(_("there is no quarantined message {id}").format(id=quarantine_id))
    return dict(row)


async def request_replay(
    connection: asyncpg.Connection, ids: Sequence[int] | None, reason: str | None
) -> list[int]:
    """Ask the writer to try messages again: those named, or all (of one reason). Returns their ids."""
    async with connection.transaction():
        rows = await connection.fetch(
            "UPDATE quarantine SET replay_requested_at = now() "
            "WHERE replayed_at IS NULL AND ($1::bigint[] IS NULL OR id = ANY ($1)) "
            "AND ($2::text IS NULL OR reason = $2) RETURNING id",
            list(ids) if ids is not None else None,
            reason,
        )
        found = sorted(row[0] for row in rows)
        if found:
            await audit(
                connection, "quarantine.replay", f"{len(found)} message(s)", {"ids": found, "reason": reason}
            )
    if missing := sorted(set(ids or ()) - set(found)):
        message = _("not in quarantine, or replayed already: {ids}")
        raise NotFoundError(message.format(ids=", ".join(map(str, missing))))
    return found


async def fetch_replay_outcome(connection: asyncpg.Connection, ids: Sequence[int]) -> dict[str, int]:
    """How many of the messages were used, refused again, or still wait."""
    row = await connection.fetchrow(
        "SELECT count(*) FILTER (WHERE replayed_at IS NOT NULL) AS used, "
        "count(*) FILTER (WHERE replayed_at IS NULL AND replay_requested_at IS NULL) AS refused, "
        "count(*) FILTER (WHERE replay_requested_at IS NOT NULL) AS waiting "
        "FROM quarantine WHERE id = ANY ($1::bigint[])",
        list(ids),
    )
    return dict(row) if row is not None else {}


async def request_redecode_of_faults(connection: asyncpg.Connection, model: str | None) -> int:
    """Ask the writer to decode anew what gave a fault; returns the number of devices."""
    async with connection.transaction():
        count: int = await connection.fetchval(
            "WITH asked AS (INSERT INTO redecode_request (device_id) "
            "SELECT d.id FROM device d WHERE d.model IS NOT NULL AND ($1::text IS NULL OR d.model = $1) "
            "AND EXISTS (SELECT FROM uplink u WHERE u.device_id = d.id AND u.status IN ('fault', 'unknown_device')) "
            "ON CONFLICT (device_id) DO UPDATE SET requested_at = now() RETURNING 1) SELECT count(*) FROM asked",
            model,
        )
        await audit(connection, "uplink.redecode", model or "all models", {"devices": count})
    return count


async def request_redecode_since(connection: asyncpg.Connection, model: str, since: datetime) -> int:
    """Ask the writer to decode anew all that devices of the model have sent since; returns their number."""
    async with connection.transaction():
        count: int = await connection.fetchval(
            "WITH asked AS (INSERT INTO redecode_request (device_id, since) "
            "SELECT d.id, $2 FROM device d WHERE d.model = $1 "
            "ON CONFLICT (device_id) DO UPDATE SET requested_at = now(), "
            "since = least(redecode_request.since, excluded.since) RETURNING 1) SELECT count(*) FROM asked",
            model,
            since,
        )
        await audit(connection, "uplink.redecode", model, {"devices": count, "since": since})
    return count
