"""Erase what a person or an ended purpose asks for: by place, device and quantity, everywhere, with a log.

Unlike retention this takes the aggregates as well, and everything else that carries the values: the uplinks of the
devices concerned, whose bytes say the same, what they left in quarantine, and what alerts quote. The log says what
was to go and not what it was; with it a restore does it again.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID, uuid4

import msgspec
import psycopg
from psycopg.rows import class_row
from psycopg.sql import SQL, Composed, Identifier
from psycopg.types.json import Jsonb

from smartdorf.db.migrate import UNPACK_FREELY, Profile, mapped_psycopg_errors
from smartdorf.db.retention import OF_A_DEVICE, empty_alerts

Connection = psycopg.AsyncConnection[Any]
ERASURES = "erasures.jsonl"


@dataclass(frozen=True, slots=True)
class Erasure:
    """``places`` (slugs), ``devices`` (dev_eui) and ``quantities`` narrow each other; None: any. At least one is given.

    ``begin`` (None: from the beginning) and ``until`` are event times.
    """

    requested_at: datetime
    actor: str
    reason: str
    until: datetime
    begin: datetime | None = None
    places: Sequence[str] | None = None
    devices: Sequence[str] | None = None
    quantities: Sequence[str] | None = None
    id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True)
class _Concerned:
    """An erasure in the ids of one database; None: any."""

    places: list[int] | None
    devices: list[int] | None
    metrics: list[int] | None
    # device_id, after, before: when a device's uplinks may carry what is to go
    uplinks: list[tuple[int, datetime | None, datetime]]


async def count_erased(dsn: str, profile: Profile, erasure: Erasure) -> dict[str, int]:
    """How many rows would go, by table."""
    async with _connected(dsn) as connection:
        return await _carry_out(connection, profile, erasure, dry_run=True)


async def erase(dsn: str, profile: Profile, erasure: Erasure) -> dict[str, int]:
    """Erase, and log it; returns the number of rows by table. Broken off, ``finish_erasures`` does the rest."""
    async with _connected(dsn) as connection:
        await _log(connection, erasure)
        return await _finish(connection, profile, erasure)


async def finish_erasures(dsn: str, profile: Profile, known: Sequence[Erasure] = ()) -> int:
    """Carry out what was broken off, and those of ``known`` that this database has not seen; returns how many."""
    async with _connected(dsn) as connection:
        for erasure in known:
            await _log(connection, erasure)
        left = await _logged(connection, "WHERE finished_at IS NULL ORDER BY requested_at")
        for erasure in left:
            await _finish(connection, profile, erasure)
        return len(left)


async def fetch_erasures(dsn: str) -> list[Erasure]:
    """The whole log; empty where the schema is older than it."""
    async with _connected(dsn) as connection:
        if await _rows(connection, "SELECT to_regclass('public.erasure')") == [(None,)]:
            return []
        return await _logged(connection, "ORDER BY requested_at")


def remember(folder: Path, erasure: Erasure) -> None:
    """Note it beside the backups as well: these still have what was erased, and the database may get lost."""
    with (folder / ERASURES).open("ab") as file:
        file.write(msgspec.json.encode(erasure) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def remembered(folder: Path) -> list[Erasure]:
    """All that were noted there."""
    try:
        lines = (folder / ERASURES).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [msgspec.json.decode(line, type=Erasure) for line in lines]


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Connection]:
    with mapped_psycopg_errors():
        connection = await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, connect_timeout=10, application_name="smartdorf erasure"
        )
        async with connection:
            await connection.execute(UNPACK_FREELY)
            yield connection


_COLUMNS: LiteralString = "id, requested_at, actor, reason, places, devices, quantities, begin, until"


async def _logged(connection: Connection, which: LiteralString) -> list[Erasure]:
    async with connection.cursor(row_factory=class_row(Erasure)) as cursor:
        await cursor.execute(f"SELECT {_COLUMNS} FROM erasure {which}")
        return await cursor.fetchall()


async def _log(connection: Connection, erasure: Erasure) -> None:
    await connection.execute(
        f"INSERT INTO erasure ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (
            erasure.id,
            erasure.requested_at,
            erasure.actor,
            erasure.reason,
            _list(erasure.places),
            _list(erasure.devices),
            _list(erasure.quantities),
            erasure.begin,
            erasure.until,
        ),
    )


def _list(names: Sequence[str] | None) -> list[str] | None:
    return list(names) if names is not None else None


async def _finish(connection: Connection, profile: Profile, erasure: Erasure) -> dict[str, int]:
    rows = await _carry_out(connection, profile, erasure, dry_run=False)
    await connection.execute(
        "UPDATE erasure SET finished_at = now(), rows = %s WHERE id = %s", (Jsonb(rows), erasure.id)
    )
    return rows


async def _carry_out(
    connection: Connection, profile: Profile, erasure: Erasure, *, dry_run: bool
) -> dict[str, int]:
    """Each statement is a transaction of its own, so that the writer never waits for long."""
    concerned = await _concerned(connection, erasure)  # read before the values are gone
    rows: dict[str, int] = {}
    series, ids = _series(concerned)
    for name, table, column, width in [*_RAW, *await _aggregates(connection, profile)]:
        begin = erasure.begin - width if erasure.begin is not None else None
        where = Composed([_between(column), *series])
        rows[name] = await _remove(
            connection, table, where, [erasure.until, begin, begin, *ids], dry_run=dry_run
        )
    for name in OF_A_DEVICE:
        rows[name] = 0
        for device, begin, end in concerned.uplinks:
            where = Composed([_between("time"), SQL(" AND device_id = %s")])
            rows[name] += await _remove(
                connection, Identifier(name), where, [end, begin, begin, device], dry_run=dry_run
            )
    rows["quarantine"] = 0
    for device, begin, end in concerned.uplinks:
        where = Composed([_between("received_at"), _FROM_DEVICE])
        rows["quarantine"] += await _remove(
            connection, Identifier("quarantine"), where, [end, begin, begin, device], dry_run=dry_run
        )
    rows["alert"] = await _alerts(connection, erasure, concerned, dry_run=dry_run)
    if profile == "timescale" and not dry_run:
        for edge in (erasure.begin, erasure.until):
            if edge is not None:
                await _make_anew(connection, edge)
    return rows


async def _concerned(connection: Connection, erasure: Erasure) -> _Concerned:
    async def ids(query: LiteralString, names: Sequence[str] | None) -> list[int] | None:
        if names is None:
            return None
        return [row[0] for row in await _rows(connection, query, [list(names)])]

    places = await ids("SELECT id FROM place WHERE slug = ANY(%s)", erasure.places)
    devices = await ids("SELECT id FROM device WHERE dev_eui = ANY(%s)", erasure.devices)
    metrics = await ids("SELECT id FROM metric WHERE name = ANY(%s)", erasure.quantities)
    uplinks = await _rows(
        connection,
        # of devices at these places for as long as they were there; without places for all the time
        """
        SELECT DISTINCT d.id, greatest(i.valid_from, %(begin)s) - interval '1 microsecond', least(i.valid_to, %(until)s)
        FROM device d LEFT JOIN installation i ON i.device_id = d.id AND i.place_id = ANY(%(places)s)
        WHERE (%(devices)s::bigint[] IS NULL OR d.id = ANY(%(devices)s))
          AND (%(places)s::bigint[] IS NULL OR i.place_id IS NOT NULL)
          AND (%(metrics)s::smallint[] IS NULL
               OR d.id IN (SELECT device_id FROM measurement_latest WHERE metric_id = ANY(%(metrics)s))
               OR d.id IN (SELECT device_id FROM measurement_monthly WHERE metric_id = ANY(%(metrics)s)))
        """,
        {
            "begin": erasure.begin,
            "until": erasure.until,
            "places": places,
            "devices": devices,
            "metrics": metrics,
        },
    )
    return _Concerned(places, devices, metrics, uplinks)


def _series(concerned: _Concerned) -> tuple[list[SQL], list[Any]]:
    """The condition on a series, and its arguments."""
    parts: list[SQL] = []
    arguments: list[Any] = []
    for condition, ids in (
        (SQL(" AND place_id = ANY(%s)"), concerned.places),
        (SQL(" AND device_id = ANY(%s)"), concerned.devices),
        (SQL(" AND metric_id = ANY(%s)"), concerned.metrics),
    ):
        if ids is not None:
            parts.append(condition)
            arguments.append(ids)
    return parts, arguments


def _between(column: str) -> Composed:
    """Takes three arguments: until, begin, begin."""
    return SQL("{0} < %s AND (%s::timestamptz IS NULL OR {0} > %s)").format(Identifier(column))


_FROM_DEVICE = SQL(" AND topic LIKE (SELECT '%%/device/' || dev_eui || '/%%' FROM device WHERE id = %s)")
# Name, table, column of the time, and how long before ``begin`` a row may begin that reaches beyond it.
Part = tuple[str, Identifier, str, timedelta]
_MOMENT = timedelta(microseconds=1)
_RAW: tuple[Part, ...] = tuple(
    (name, Identifier(name), "time", _MOMENT) for name in ("measurement", "measurement_latest")
)
_WIDTHS = {"hourly": timedelta(hours=1), "daily": timedelta(hours=25), "monthly": timedelta(days=32)}


async def _aggregates(connection: Connection, profile: Profile) -> list[Part]:
    """Where aggregates keep what they have made. To make them anew would not erase: the old is out of its reach."""
    if profile == "plain":
        return []
    found = await _rows(
        connection,
        "SELECT view_name, materialization_hypertable_schema, materialization_hypertable_name "
        "FROM timescaledb_information.continuous_aggregates WHERE view_name <> 'frame_part_daily' ORDER BY 1",
    )
    return [
        (view, Identifier(schema, table), "bucket", _WIDTHS[view.rpartition("_")[2]])
        for view, schema, table in found
    ]


async def _make_anew(connection: Connection, edge: datetime) -> None:
    """The day and the month that lie only partly in the time went as a whole; their other hours are still there."""
    for unit, views in _MADE_OF_HOURS:
        arguments = {"unit": unit, "step": f"1 {unit}", "edge": edge}
        [(begin, end, complete)] = await _rows(connection, _BUCKET, arguments)
        if begin < edge and complete:  # what is not complete has not been made yet either
            for view in views:
                await connection.execute(
                    "CALL refresh_continuous_aggregate(%s::regclass, %s::timestamptz, %s::timestamptz, force => true)",
                    (view, begin, end),
                )


_MADE_OF_HOURS = (("day", ("measurement_daily", "state_part_daily")), ("month", ("measurement_monthly",)))
_BUCKET: LiteralString = """
    SELECT begin, ends, ends <= now()
    FROM (SELECT date_trunc(%(unit)s, %(edge)s::timestamptz AT TIME ZONE 'Europe/Berlin') AS local) bucket,
         LATERAL (SELECT local AT TIME ZONE 'Europe/Berlin' AS begin,
                         (local + %(step)s::interval) AT TIME ZONE 'Europe/Berlin' AS ends) ends
"""


async def _alerts(connection: Connection, erasure: Erasure, concerned: _Concerned, *, dry_run: bool) -> int:
    """Open ones as well: what they say about the person goes, that something is open stays."""
    arguments = {
        "until": erasure.until,
        "begin": erasure.begin,
        "places": concerned.places,
        "devices": sorted({device for device, _begin, _end in concerned.uplinks}),
        "any": concerned.places is None and concerned.devices is None,
        "quantities": _list(erasure.quantities),
    }
    found = [row[0] for row in await _rows(connection, _ALERTS, arguments)]
    if not dry_run:
        async with connection.transaction():
            await empty_alerts(connection, found)
    return len(found)


_ALERTS: LiteralString = """
    SELECT a.id FROM alert a
    WHERE a.fired_at < %(until)s AND (%(begin)s::timestamptz IS NULL OR a.fired_at >= %(begin)s)
      AND (%(any)s OR (a.subject_kind = 'device' AND a.subject_id = ANY(%(devices)s))
           OR (a.subject_kind = 'place' AND (a.subject_id = ANY(%(places)s) OR (%(places)s::bigint[] IS NULL
               AND a.subject_id IN (SELECT place_id FROM installation WHERE device_id = ANY(%(devices)s))))))
      AND (%(quantities)s::text[] IS NULL OR a.inputs ?| %(quantities)s
           OR EXISTS (SELECT FROM alert_event e WHERE e.alert_id = a.id AND e.inputs ?| %(quantities)s))
      AND (a.inputs <> '{}' OR EXISTS (SELECT FROM alert_event e WHERE e.alert_id = a.id AND e.inputs <> '{}'))
"""


async def _rows(connection: Connection, query: LiteralString | Composed, arguments: Any = None) -> list[Any]:
    return await (await connection.execute(query, arguments)).fetchall()


async def _remove(
    connection: Connection, table: Identifier, where: Composed, arguments: Sequence[Any], *, dry_run: bool
) -> int:
    if dry_run:
        query = SQL("SELECT count(*) FROM {} WHERE {}").format(table, where)
        [(count,)] = await _rows(connection, query, arguments)
        return int(count)
    done = await connection.execute(SQL("DELETE FROM {} WHERE {}").format(table, where), arguments)
    return done.rowcount
