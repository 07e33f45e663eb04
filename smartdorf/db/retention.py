"""What is too old is deleted: raw values by the class of their quantity, and everything that carries such values.

An uplink lives no longer than the strictest class among the quantities of its device, since its bytes say the same; of
a device whose quantities are not known the strictest of all counts. Aggregates stay, as do the frame counts: neither
says anything about a single moment. TimescaleDB's own retention cannot tell classes apart.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg.sql import SQL, Composed, Identifier
from psycopg.types.json import Jsonb

from smartdorf.db.migrate import UNPACK_FREELY, Profile, mapped_psycopg_errors

Connection = psycopg.AsyncConnection[Any]
OF_A_DEVICE = ("uplink", "reception", "device_event")
SERIES = ("measurement", *OF_A_DEVICE)


@dataclass(frozen=True, slots=True)
class Retention:
    """``keep``: how long, by class; ``classes``: the class of each quantity."""

    keep: Mapping[str, timedelta]
    classes: Mapping[str, str]

    def of(self, quantity: str) -> timedelta:
        """A quantity that the vocabulary no longer has is kept longest: nobody has said that it may go."""
        return self.keep[self.classes[quantity]] if quantity in self.classes else max(self.keep.values())

    @property
    def shortest(self) -> timedelta:
        return min(self.keep.values())


async def delete_expired(
    dsn: str, profile: Profile, retention: Retention, now: datetime, *, dry_run: bool = False
) -> dict[str, int]:
    """Delete what is too old, and note it in the audit log; returns the number of rows by table.

    With ``dry_run`` they are only counted. Each statement is a transaction of its own, so that the writer never waits
    for long; broken off, the next run does the rest.
    """
    with mapped_psycopg_errors():
        connection = await psycopg.AsyncConnection.connect(
            dsn,
            autocommit=True,
            connect_timeout=10,
            application_name="smartdorf retention",
        )
        async with connection:
            await connection.execute(UNPACK_FREELY)
            return await _delete_expired(connection, profile, retention, now, dry_run=dry_run)


async def _delete_expired(
    connection: Connection, profile: Profile, retention: Retention, now: datetime, *, dry_run: bool
) -> dict[str, int]:
    if profile == "timescale" and not dry_run:
        await _drop_empty_past(connection, now - max(retention.keep.values()))
    rows = dict.fromkeys((*SERIES, "measurement_latest", "quarantine", "alert"), 0)
    async for table, where, arguments in _expired(connection, retention, now):
        rows[table] += await _remove(connection, table, where, arguments, dry_run=dry_run)
    rows["alert"] += await _empty_alerts(connection, retention, now, dry_run=dry_run)
    if not dry_run and any(rows.values()):
        await connection.execute(
            "INSERT INTO audit_log (actor, action, subject, detail) VALUES ('smartdorf', %s, %s, %s)",
            ("retention.delete", "expired", Jsonb(rows)),
        )
    return rows


async def _expired(
    connection: Connection, retention: Retention, now: datetime
) -> AsyncIterator[tuple[str, SQL, tuple[Any, ...]]]:
    """Table, condition and its arguments: first the values, then what was sent, then what could not be used."""
    ids = dict(await _rows(connection, "SELECT name, id FROM metric"))
    devices = await _strictest(connection, retention)  # read before the values are gone
    for keep, names in _grouped({name: retention.of(name) for name in ids}).items():
        arguments = (now - keep, [ids[name] for name in names])
        for table in ("measurement", "measurement_latest"):
            yield table, SQL("time < %s AND metric_id = ANY(%s)"), arguments
    for table in OF_A_DEVICE:
        for keep, known in _grouped(devices).items():
            yield table, SQL("time < %s AND device_id = ANY(%s)"), (now - keep, known)
        yield table, SQL("time < %s AND device_id <> ALL(%s)"), (now - retention.shortest, list(devices))
    yield "quarantine", SQL("received_at < %s"), (now - retention.shortest,)


async def _rows(
    connection: Connection, query: LiteralString | SQL | Composed, arguments: Any = None
) -> list[Any]:
    return await (await connection.execute(query, arguments)).fetchall()


async def _strictest(connection: Connection, retention: Retention) -> dict[int, timedelta]:
    """How long the uplinks of each device may be kept."""
    found: dict[int, timedelta] = {}
    query = (
        "SELECT DISTINCT l.device_id, m.name FROM measurement_latest l JOIN metric m ON m.id = l.metric_id"
    )
    for device_id, quantity in await _rows(connection, query):
        keep = retention.of(quantity)
        found[device_id] = min(keep, found.get(device_id, keep))
    return found


def _grouped(keep: Mapping[Any, timedelta]) -> dict[timedelta, list[Any]]:
    grouped: dict[timedelta, list[Any]] = {}
    for key, value in keep.items():
        grouped.setdefault(value, []).append(key)
    return grouped


async def _remove(
    connection: Connection, table: str, where: SQL, arguments: tuple[Any, ...], *, dry_run: bool
) -> int:
    if dry_run:
        query = SQL("SELECT count(*) FROM {} WHERE {}").format(Identifier(table), where)
        [(count,)] = await _rows(connection, query, arguments)
        return int(count)
    done = await connection.execute(
        SQL("DELETE FROM {} WHERE {}").format(Identifier(table), where), arguments
    )
    return done.rowcount


_CARRYING = """
    FROM alert a WHERE a.state = 'resolved' AND a.resolved_at < %(before)s
    AND (a.inputs ?| %(names)s OR EXISTS (
        SELECT FROM alert_event e WHERE e.alert_id = a.id AND e.inputs ?| %(names)s))
"""


async def _empty_alerts(connection: Connection, retention: Retention, now: datetime, *, dry_run: bool) -> int:
    """An alert that is over keeps its place in history, but loses the values and the sentence that names them."""
    count = 0
    for keep, names in _grouped({name: retention.of(name) for name in retention.classes}).items():
        arguments = {"before": now - keep, "names": names}
        if dry_run:
            [(carrying,)] = await _rows(connection, "SELECT count(*)" + _CARRYING, arguments)
            count += carrying
            continue
        async with connection.transaction():
            found = [row[0] for row in await _rows(connection, "SELECT a.id" + _CARRYING, arguments)]
            await empty_alerts(connection, found)
        count += len(found)
    return count


async def empty_alerts(connection: Connection, alerts: list[int]) -> None:
    """They keep their titles and times, and lose their values and the sentences that name them."""
    await connection.execute(
        "UPDATE alert_event e SET inputs = '{}', summary = a.title FROM alert a "
        "WHERE a.id = e.alert_id AND a.id = ANY(%s)",
        (alerts,),
    )
    await connection.execute(
        "UPDATE alert SET inputs = '{}', because = '{}', summary = title WHERE id = ANY(%s)", (alerts,)
    )


async def _drop_empty_past(connection: Connection, before: datetime) -> None:
    """Chunks in which nothing may be left of any class: dropping them is nearly free, deleting their rows is not."""
    for table in SERIES:
        await connection.execute(
            "SELECT drop_chunks(%s::regclass, older_than => %s::timestamptz)", (table, before)
        )
