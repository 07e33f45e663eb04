"""Alerts as people look at them: lists, one alert with its history, and who was told.

Reading only; alerts are opened and closed by ``db/transitions.py`` in the transaction of the uplink, and what people
do with them is in ``db/lifecycle.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec

from smartdorf.db.pool import mapped_errors


class Input(NamedTuple):
    """One value that an alert was decided on, by the name the rule uses. None: it was unknown."""

    name: str
    value: float | None
    time: datetime | None = None  # when it was measured, where that was kept


class Told(NamedTuple):
    """What became of telling one receiver of one transition."""

    receiver: str
    kind: str  # fired | raised | eased | returned | resolved | listed
    state: str  # waiting | sent | skipped | failed
    attempts: int
    next_attempt_at: datetime
    finished_at: datetime | None
    result: str | None
    silence: int | None = None  # the last that held it back


class Act(NamedTuple):
    """What somebody has said of an alert, and when."""

    actor: str
    time: datetime
    verdict: str | None = None  # true | false | drill


class Muting(NamedTuple):
    """An alert whose end a pending condition waits for. ``alert`` None: it is not open yet."""

    alert: int | None
    rule: str
    place: str
    device: str
    gateway: str


class AlertRow(NamedTuple):
    """One alert, or one pending condition (``id`` None)."""

    id: int | None
    state: str  # pending | firing | resolved
    rule: str
    severity: str  # "" while pending
    since: datetime
    fired_at: datetime | None
    resolved_at: datetime | None
    title: Mapping[str, str]  # by language
    summary: Mapping[str, str]
    action: Mapping[str, str]
    inputs: tuple[Input, ...]
    place: str
    device: str
    models: tuple[str, ...]  # sensor models that watch the place
    last_value_at: datetime | None  # of the inputs, or of anything where the rule has no measured input
    stage: Mapping[str, str] = {}  # the name of the highest that was reached, by language
    eased_at: datetime | None = None  # it is clear since, and waits for a person
    told: tuple[Told, ...] = ()
    acknowledged: Act | None = None
    verdict: Act | None = None  # the last one
    shadow: bool = False  # its rule was on trial when it opened: nobody is told
    limits: Mapping[str, float] = {}  # those it was decided with; durations in seconds
    because: Mapping[str, str] = {}  # why it holds, in one sentence, by language
    labels: Mapping[str, str] = {}  # of the rule when it fired
    gateway: str = ""
    muted_by: tuple[Muting, ...] = ()  # of a pending condition


class AlertEvent(NamedTuple):
    """One step in the history of an alert."""

    kind: str  # fired | raised | eased | returned | resolved | acknowledged | commented | verdict | listed
    time: datetime
    recorded_at: datetime
    summary: Mapping[str, str]
    inputs: tuple[Input, ...]
    reason: str | None
    actor: str | None = None  # None: the rule
    comment: str | None = None
    verdict: str | None = None
    stage: Mapping[str, str] = {}


def read_texts(text: str) -> dict[str, str]:
    return msgspec.json.decode(text, type=dict[str, str])


class _Measured(msgspec.Struct):
    value: float | None
    time: datetime | None = None


def read_inputs(text: str) -> tuple[Input, ...]:
    """The stored inputs: an object by name, each a number, null, or ``{"value": …, "time": …}``."""
    found: dict[str, Any] = msgspec.json.decode(text)
    return tuple(
        Input(name, *msgspec.structs.astuple(msgspec.convert(entry, _Measured)))
        if isinstance(entry, dict)
        else Input(name, entry)
        for name, entry in found.items()
    )


def names_of_subject(alias: str, time: str) -> str:
    """SQL that adds ``subject`` to a row with subject_kind and subject_id.

    It has place, device and gateway (names), place_ids, device_ids and models. A place alert names the devices that
    watched the place at ``time``; a device alert the places it watched.
    """
    return f"""
    LEFT JOIN LATERAL (
        SELECT coalesce(string_agg(DISTINCT p.name, ', '), '') AS place,
               coalesce(string_agg(DISTINCT coalesce(nullif(d.name, ''), d.dev_eui), ', '), '') AS device,
               array_agg(DISTINCT p.id) FILTER (WHERE p.id IS NOT NULL) AS place_ids,
               array_agg(DISTINCT d.id) FILTER (WHERE d.id IS NOT NULL) AS device_ids,
               coalesce(array_agg(DISTINCT d.model) FILTER (WHERE d.model IS NOT NULL), '{{}}') AS models,
               coalesce((SELECT coalesce(nullif(g.name, ''), g.gateway_id) FROM gateway g
                         WHERE {alias}.subject_kind = 'gateway' AND g.id = {alias}.subject_id), '') AS gateway
        FROM (VALUES (CASE {alias}.subject_kind WHEN 'place' THEN {alias}.subject_id END,
                      CASE {alias}.subject_kind WHEN 'device' THEN {alias}.subject_id END))
             AS known (place_id, device_id)
        LEFT JOIN installation i
            ON (i.place_id = known.place_id OR i.device_id = known.device_id)
           AND i.valid_from <= {time} AND (i.valid_to IS NULL OR {time} < i.valid_to)
        LEFT JOIN place p ON p.id = coalesce(known.place_id, i.place_id)
        LEFT JOIN device d ON d.id = coalesce(known.device_id, i.device_id)
    ) subject ON true
    """


def _last_value(inputs: str) -> str:
    """SQL for the time of the newest value of the subject among ``inputs``, or of any where none is measured.

    Where nothing measures at a place, of any at the places of its zone.
    """
    series = (
        "FROM measurement_latest l JOIN metric m ON m.id = l.metric_id "
        "WHERE l.device_id = ANY (subject.device_ids)"
    )
    around = (
        "FROM place z JOIN place p ON z.slug = ANY (string_to_array(replace(p.tags->>'zone', ' ', ''), ',')) "
        "JOIN installation i ON i.place_id = p.id AND i.valid_to IS NULL "
        "JOIN measurement_latest l ON l.device_id = i.device_id WHERE z.id = ANY (subject.place_ids)"
    )
    return (
        f"coalesce((SELECT max(l.time) {series} AND {inputs} ? m.name), (SELECT max(l.time) {series}), "
        f"(SELECT max(l.time) {around}))"
    )


_ALERTS = f"""
    SELECT a.id, a.state, a.rule, a.severity, a.since, a.fired_at, a.resolved_at, a.title::text, a.summary::text,
           a.action::text, a.labels::text, a.inputs::text, a.stage::text, a.eased_at, a.shadow, a.limits::text,
           a.because::text, subject.place, subject.device, subject.models, subject.gateway,
           {_last_value("a.inputs")} AS last_value_at
    FROM alert a {names_of_subject("a", "a.fired_at")}
"""
# Open ones first, then by what happened last.
_OPEN = _ALERTS + "WHERE a.state = 'firing' ORDER BY a.fired_at DESC, a.id DESC"
_SINCE = (
    _ALERTS
    + "WHERE a.state = 'firing' OR a.resolved_at >= $1 ORDER BY a.state = 'resolved', a.fired_at DESC, a.id DESC"
)
_ONE = _ALERTS + "WHERE a.id = $1"
_MUTED_BY = f"""(
    SELECT coalesce(json_agg(json_build_array(
               m.id, named.rule, subject.place, subject.device, subject.gateway)
               ORDER BY m.id), '[]')::text
    FROM (SELECT k->>0 AS rule, k->>1 AS subject_kind, (k->>2)::bigint AS subject_id
          FROM jsonb_array_elements(s.muted_by) AS k) named
    LEFT JOIN alert m ON m.state = 'firing' AND m.rule = named.rule AND m.subject_kind = named.subject_kind
                     AND m.subject_id = named.subject_id
    {names_of_subject("named", "now()")}
)"""
_PENDING = f"""
    SELECT NULL::bigint AS id, 'pending' AS state, s.rule, '' AS severity, s.since, NULL::timestamptz AS fired_at,
           NULL::timestamptz AS resolved_at, '{{}}' AS title, '{{}}' AS summary, '{{}}' AS action, '{{}}' AS inputs,
           '{{}}' AS stage, '{{}}' AS labels, false AS shadow, '{{}}' AS limits, '{{}}' AS because,
           {_MUTED_BY} AS muted_by,
           subject.place, subject.device, subject.models, subject.gateway, {_last_value("'{}'::jsonb")} AS last_value_at
    FROM rule_state s {names_of_subject("s", "s.since")}
    WHERE s.phase = 'pending' ORDER BY s.since
"""
_TOLD = """
    SELECT e.alert_id, o.receiver, e.kind, o.state, o.attempts, o.next_attempt_at, o.finished_at, o.result, o.silence_id
    FROM outbox o JOIN alert_event e ON e.id = o.alert_event_id
    WHERE e.alert_id = ANY ($1::bigint[]) ORDER BY o.id
"""
_EVENTS = """
    SELECT kind, time, recorded_at, summary::text, inputs::text, reason, actor, comment, verdict, stage::text
    FROM alert_event
    WHERE alert_id = $1 ORDER BY id
"""
_ACTS = """
    SELECT DISTINCT ON (alert_id, kind) alert_id, kind, actor, time, verdict FROM alert_event
    WHERE alert_id = ANY ($1::bigint[]) AND (kind = 'verdict' OR kind = 'acknowledged' AND NOT EXISTS (
        SELECT FROM alert_event later WHERE later.alert_id = alert_event.alert_id AND later.id > alert_event.id
           AND later.kind IN ('raised', 'returned')))
    ORDER BY alert_id, kind, id DESC
"""


async def fetch_open(connection: asyncpg.Connection) -> list[AlertRow]:
    """Every alert that is firing, the newest first."""
    return await _with_told(connection, await connection.fetch(_OPEN))


async def fetch_since(connection: asyncpg.Connection, time: datetime) -> list[AlertRow]:
    """Every alert that is firing or was resolved at ``time`` or later: open ones first."""
    return await _with_told(connection, await connection.fetch(_SINCE, time))


async def find_alert(connection: asyncpg.Connection, alert_id: int) -> AlertRow | None:
    rows = await _with_told(connection, await connection.fetch(_ONE, alert_id))
    return rows[0] if rows else None


_FIND_OPEN = """
    SELECT id, shadow FROM alert WHERE rule = $1 AND subject_kind = $2 AND subject_id = $3 AND state = 'firing'
"""


async def find_open(
    connection: asyncpg.Connection, rule: str, kind: str, subject_id: int
) -> tuple[int, bool] | None:
    """The open alert of a rule at one place or device, and whether nobody is told of it."""
    row = await connection.fetchrow(_FIND_OPEN, rule, kind, subject_id)
    return (row["id"], row["shadow"]) if row is not None else None


async def fetch_pending(connection: asyncpg.Connection) -> list[AlertRow]:
    """Conditions that hold, but not yet for long enough; the oldest first."""
    return [_alert(row) for row in await connection.fetch(_PENDING)]


async def fetch_events(connection: asyncpg.Connection, alert_id: int) -> list[AlertEvent]:
    """The history of one alert, oldest first."""
    return [
        AlertEvent(
            row["kind"],
            row["time"],
            row["recorded_at"],
            read_texts(row["summary"]),
            read_inputs(row["inputs"]),
            row["reason"],
            row["actor"],
            row["comment"],
            row["verdict"],
            read_texts(row["stage"]),
        )
        for row in await connection.fetch(_EVENTS, alert_id)
    ]


async def count_firing(pool: asyncpg.Pool) -> dict[str, int]:
    """How many alerts are open that people were told of, by severity."""
    with mapped_errors():
        rows = await pool.fetch(
            "SELECT severity, count(*) FROM alert WHERE state = 'firing' AND NOT shadow GROUP BY severity"
        )
    return {row[0]: row[1] for row in rows}


async def _with_told(connection: asyncpg.Connection, rows: list[asyncpg.Record]) -> list[AlertRow]:
    told: dict[int, list[Told]] = {row["id"]: [] for row in rows}
    for entry in await connection.fetch(_TOLD, list(told)):
        told[entry["alert_id"]].append(Told(*tuple(entry)[1:]))
    acts: dict[int, dict[str, Act]] = {row["id"]: {} for row in rows}
    for entry in await connection.fetch(_ACTS, list(acts)):
        acts[entry["alert_id"]][entry["kind"]] = Act(entry["actor"], entry["time"], entry["verdict"])
    return [
        _alert(row)._replace(
            told=tuple(told[row["id"]]),
            acknowledged=acts[row["id"]].get("acknowledged"),
            verdict=acts[row["id"]].get("verdict"),
        )
        for row in rows
    ]


def _alert(row: asyncpg.Record) -> AlertRow:
    names = ("title", "summary", "action", "stage", "labels", "because")
    texts = {name: read_texts(row[name]) for name in names}
    limits = msgspec.json.decode(row["limits"], type=dict[str, float])
    inputs, models = read_inputs(row["inputs"]), tuple(row["models"])
    fields = {**row, **texts, "limits": limits, "inputs": inputs, "models": models}
    if "muted_by" in row:
        fields["muted_by"] = msgspec.json.decode(row["muted_by"], type=tuple[Muting, ...])
    return AlertRow(**fields)
