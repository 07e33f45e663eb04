"""smartdorf db erase: a person moves out, or a purpose has ended."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

import asyncpg
import typer
from rich.table import Table

from smartdorf.cli.context import (
    ConfigOption,
    JsonOption,
    console,
    print_json,
    run_async,
    settings_or_exit,
    stderr,
)
from smartdorf.clock import Clock
from smartdorf.config.settings import Settings
from smartdorf.db import migrate as migrations
from smartdorf.db.directory import actor
from smartdorf.db.erasure import Erasure, count_erased, remember
from smartdorf.db.erasure import erase as carry_out
from smartdorf.db.pool import connected
from smartdorf.errors import UsageError, did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.local_time import from_local


def erase(
    reason: Annotated[str, typer.Option(help="Why, for the log: 'moved out', 'request of 3 May'. No names.")],
    place: Annotated[list[str] | None, typer.Option(help="Of this place; may be repeated.")] = None,
    place_type: Annotated[str | None, typer.Option("--type", help="Of all places of this type.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="Of this dev_eui; may be repeated.")] = None,
    quantity: Annotated[list[str] | None, typer.Option(help="Of this quantity; may be repeated.")] = None,
    begin: Annotated[datetime | None, typer.Option("--from", help="Not what is older; local time.")] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", help="Not what is newer; local time; else now.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase what was measured, for good: raw values, aggregates, the uplinks that carried them, what alerts quote.

    Options of different kinds narrow each other. The log keeps what was to go, not what it was; a restore of an older
    backup erases it again.

    Example: smartdorf db erase --place whg-3-wasser --to 2026-10-01 --reason "moved out"
    """
    settings = settings_or_exit(config)
    database = settings.database
    migrations.require_current(database.full_dsn, database.profile)
    if not (place or place_type or device or quantity):
        raise UsageError(_("say what is to go: --place, --type, --device or --quantity"))
    if not reason.strip():
        raise UsageError(_("--reason is empty; the log must say why"))
    now = Clock().now()
    places, devices, quantities = run_async(
        _names(settings, place or [], place_type, device or [], quantity or [])
    )
    erasure = Erasure(
        requested_at=now,
        actor=actor(),
        reason=reason.strip(),
        begin=from_local(begin) if begin is not None else None,
        until=min(from_local(until), now) if until is not None else now,
        places=places if place or place_type else None,
        devices=devices if device else None,
        quantities=quantities if quantity else None,
    )
    if erasure.begin is not None and erasure.begin >= erasure.until:
        raise UsageError(_("--from is not before --to"))
    rows = run_async(count_erased(database.full_dsn, database.profile, erasure))
    if not dry_run and any(rows.values()):
        if not yes:
            _ask(rows)
        if settings.backup.folder is not None:
            remember(settings.backup.folder, erasure)
        rows = run_async(carry_out(database.full_dsn, database.profile, erasure))
    if as_json:
        print_json(rows)
    else:
        console.print(_table(rows, _("would go") if dry_run else _("erased")))


def _ask(rows: dict[str, int]) -> None:
    if not sys.stdin.isatty():
        raise UsageError(_("nobody is there to be asked; add --yes"))
    stderr.print(_table(rows, _("would go")))
    if not typer.confirm(_("Erase this for good?"), err=True):
        raise typer.Exit(1)


def _table(rows: dict[str, int], what: str) -> Table:
    table = Table(_("table"), what)
    for name, count in rows.items():
        table.add_row(name, str(count))
    return table


async def _names(
    settings: Settings,
    places: Sequence[str],
    place_type: str | None,
    devices: Sequence[str],
    quantities: Sequence[str],
) -> tuple[list[str], list[str], list[str]]:
    """What is given, checked; every unknown name is told at once."""
    async with connected(settings.database.full_dsn) as connection:
        types = {row[0]: row[1] for row in await connection.fetch("SELECT slug, place_type FROM place")}
        dev_euis = await _column(connection, "SELECT dev_eui FROM device")
        metrics = await _column(connection, "SELECT name FROM metric")
    devices = [device.lower() for device in devices]
    problems = [
        *_unknown(_('unknown place "{name}"'), places, types),
        *_unknown(_("unknown device {name}"), devices, dev_euis),
        *_unknown(_('nothing is stored of the quantity "{name}"'), quantities, metrics),
        *_unknown(
            _('there is no place of the type "{name}"'), [place_type] if place_type else [], types.values()
        ),
    ]
    if problems:
        raise UsageError("\n".join(problems))
    found = list(places) if places else list(types)
    if place_type is not None:
        found = [slug for slug in found if types[slug] == place_type]
    return found, list(devices), list(quantities)


async def _column(connection: asyncpg.Connection, query: str) -> list[str]:
    return [row[0] for row in await connection.fetch(query)]


def _unknown(message: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    known = set(known)
    return [message.format(name=name) + did_you_mean(name, known) for name in names if name not in known]
