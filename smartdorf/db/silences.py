"""Silences: for a time, what fires and fits is recorded and shown, but told only once the silence is over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import asyncpg
import msgspec

from smartdorf.db.alerts import names_of_subject
from smartdorf.db.batches import json_text
from smartdorf.db.directory import actor, audit
from smartdorf.errors import NotFoundError, UsageError
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.local_time import time_text


class Matchers(NamedTuple):
    """What a silence fits: all that is given must fit. Empty: any."""

    rule: str = ""
    place: str = ""  # slug
    device: str = ""  # dev_eui
    place_type: str = ""
    tags: Mapping[str, str] = {}  # of the place or of the device
    labels: Mapping[str, str] = {}  # of the rule
    gateway: str = ""  # gateway_id


class Silence(NamedTuple):
    id: int
    created_at: datetime
    created_by: str
    reason: str
    until: datetime
    expired_at: datetime | None  # ended by hand
    expired_by: str | None
    matchers: Matchers
    open_alerts: int  # how many it fits now

    def is_over(self, now: datetime) -> bool:
        return min(self.until, self.expired_at or self.until) <= now


def covering(alert: str, subject: str, time: str) -> str:
    """SQL for the silences in force at ``time`` that fit an alert, those that last longest first.

    ``subject`` is what ``names_of_subject`` adds: an alert about a device is at the places that the device watches.
    """
    return f"""
    SELECT s.id, s.created_by, s.reason, s.until FROM silence s WHERE {_fits(alert, subject)}
      AND s.created_at <= {time} AND {time} < coalesce(s.expired_at, s.until)
    ORDER BY s.until DESC, s.id LIMIT 1
    """


def _fits(alert: str, subject: str) -> str:
    return f"""
    (s.rule IS NULL OR s.rule = {alert}.rule) AND {alert}.labels @> s.labels
    AND (s.place_id IS NULL OR s.place_id = ANY ({subject}.place_ids))
    AND (s.device_id IS NULL OR s.device_id = ANY ({subject}.device_ids))
    AND (s.gateway_id IS NULL OR ({alert}.subject_kind = 'gateway' AND {alert}.subject_id = s.gateway_id))
    AND (s.place_type IS NULL OR EXISTS (
        SELECT FROM place p WHERE p.id = ANY ({subject}.place_ids) AND p.place_type = s.place_type))
    AND (s.tags = '{{}}'
         OR EXISTS (SELECT FROM place p WHERE p.id = ANY ({subject}.place_ids) AND p.tags @> s.tags)
         OR EXISTS (SELECT FROM device d WHERE d.id = ANY ({subject}.device_ids) AND d.tags @> s.tags))
    """


_COVERING_SUBJECT = f"""
    SELECT s.id, s.until
    FROM (VALUES ($1::text, $2::text, $3::bigint, $5::jsonb)) a (rule, subject_kind, subject_id, labels)
    {names_of_subject("a", "$4")} CROSS JOIN LATERAL ({covering("a", "subject", "$4")}) s
"""


async def covering_subject(
    connection: asyncpg.Connection,
    rule: str,
    kind: str,
    subject_id: int,
    labels: Mapping[str, str],
    now: datetime,
) -> tuple[int, datetime] | None:
    """The silence that an alert of the rule would fall under now, and until when."""
    row = await connection.fetchrow(_COVERING_SUBJECT, rule, kind, subject_id, now, json_text(labels))
    return (row["id"], row["until"]) if row is not None else None


_ADD = """
    INSERT INTO silence (created_at, created_by, reason, until, rule, place_id, device_id, place_type, tags, labels,
                         gateway_id)
    VALUES ($1, $2, $3, $4, nullif($5, ''), (SELECT id FROM place WHERE slug = $6),
            (SELECT id FROM device WHERE dev_eui = $7), nullif($8, ''), $9::jsonb, $10::jsonb,
            (SELECT id FROM gateway WHERE gateway_id = $11))
    RETURNING id
"""


async def add_silence(
    connection: asyncpg.Connection, matchers: Matchers, reason: str, until: datetime, now: datetime
) -> int:
    """Returns its number. Names are to be known."""
    async with connection.transaction():
        rule, place, device, place_type, tags, labels, gateway = matchers
        number: int = await connection.fetchval(
            _ADD,
            now,
            actor(),
            reason,
            until,
            rule,
            place,
            device,
            place_type,
            json_text(tags),
            json_text(labels),
            gateway,
        )
        detail = matchers._asdict() | {"until": until.isoformat(), "reason": reason}
        await audit(connection, "silence.add", str(number), detail)
    return number


async def expire_silence(connection: asyncpg.Connection, number: int, now: datetime) -> None:
    """End it now. Raises NotFoundError, or UsageError where it is over."""
    async with connection.transaction():
        found = await connection.fetchrow(
            "SELECT coalesce(expired_at, until) AS end FROM silence WHERE id = $1 FOR UPDATE", number
        )
        if found is None:
            message = _("There is no silence {number}; `smartdorf silences list --all` lists them.")
            raise NotFoundError(message.format(number=number))
        if found["end"] <= now:
            message = _("silence {number} has been over since {time}")
            time = time_text(found["end"], current_language())
            raise UsageError(message.format(number=number, time=time))
        await connection.execute(
            "UPDATE silence SET expired_at = $2, expired_by = $3 WHERE id = $1", number, now, actor()
        )
        await audit(connection, "silence.expire", str(number))


_ALL = f"""
    SELECT s.id, s.created_at, s.created_by, s.reason, s.until, s.expired_at, s.expired_by, s.rule, p.slug AS place,
           d.dev_eui AS device, s.place_type, s.tags::text, s.labels::text, g.gateway_id AS gateway,
           (SELECT count(*) FROM alert a {names_of_subject("a", "a.fired_at")}
            WHERE a.state = 'firing' AND {_fits("a", "subject")}) AS open_alerts
    FROM silence s LEFT JOIN place p ON p.id = s.place_id LEFT JOIN device d ON d.id = s.device_id
    LEFT JOIN gateway g ON g.id = s.gateway_id
    WHERE ($1 OR coalesce(s.expired_at, s.until) > $2) AND ($3::bigint IS NULL OR s.id = $3) ORDER BY s.id
"""


async def fetch_silences(
    connection: asyncpg.Connection, now: datetime, *, over: bool = False, number: int | None = None
) -> list[Silence]:
    """Those in force, or ``over`` ones as well."""
    return [_silence(row) for row in await connection.fetch(_ALL, over, now, number)]


def _silence(row: asyncpg.Record) -> Silence:
    tags, labels = (msgspec.json.decode(row[name], type=dict[str, str]) for name in ("tags", "labels"))
    matchers = Matchers(
        row["rule"] or "",
        row["place"] or "",
        row["device"] or "",
        row["place_type"] or "",
        tags,
        labels,
        row["gateway"] or "",
    )
    return Silence(
        row["id"],
        row["created_at"],
        row["created_by"],
        row["reason"],
        row["until"],
        row["expired_at"],
        row["expired_by"],
        matchers,
        row["open_alerts"],
    )
