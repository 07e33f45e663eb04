"""smartdorf db status: migrations, sizes, and what TimescaleDB does by itself."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import typer
from babel.dates import format_timedelta
from rich.filesize import decimal
from rich.table import Column, Table

from smartdorf.cli.context import ConfigOption, JsonOption, console, print_json, settings_or_exit
from smartdorf.clock import Clock
from smartdorf.db import migrate as migrations
from smartdorf.db import storage
from smartdorf.db.migrate import MigrationStatus
from smartdorf.db.storage import Job, Lag, Relation, Storage
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.local_time import moment_text

SHOWN = 12  # tables; the rest is small


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show migrations, sizes, compression, jobs, and how far the aggregates are.

    Exit code 1 while a migration is missing or was changed, or a job of TimescaleDB has failed.

    Example: smartdorf db status --json
    """
    database = settings_or_exit(config).database
    found = migrations.status(database.full_dsn, database.profile)
    incomplete = any(not migration.applied or migration.changed for migration in found)
    held = None if incomplete else storage.look(database.full_dsn, database.profile)
    if as_json:
        names = [{"name": m.name, "applied": m.applied, "changed": m.changed} for m in found]
        print_json({"migrations": names, "storage": asdict(held) if held is not None else None})
    else:
        console.print(_migrations(found))
        if held is not None:
            _show(held)
    if incomplete or (held is not None and storage.failed(held)):
        raise typer.Exit(1)


def _migrations(found: list[MigrationStatus]) -> Table:
    table = Table(_("migration"), _("state"))
    for migration in found:
        state = _("applied") if migration.applied else _("missing")
        table.add_row(migration.name, _("changed since it was applied") if migration.changed else state)
    return table


def _show(held: Storage) -> None:
    console.print(_relations(held.relations[:SHOWN]))
    console.print(
        _("in all {size}; newest uplink {heard}; last deleted for its age {retention}").format(
            size=decimal(held.bytes), heard=_moment(held.heard_at), retention=_moment(held.retention_at)
        )
    )
    if held.jobs:
        console.print(_jobs(held.jobs))
    elif held.lags:
        console.print(_("No policies yet: run `smartdorf db policies apply`."))
    if held.lags:
        console.print(_lags(held.lags))


def _relations(relations: list[Relation]) -> Table:
    table = Table(
        _("table or view"),
        *(
            Column(name, justify="right")
            for name in (_("size"), _("rows"), _("chunks"), _("compressed"), _("shrunk to"))
        ),
    )
    for relation in relations:
        ratio = ""
        if relation.uncompressed_bytes and relation.compressed_bytes:
            ratio = f"{relation.compressed_bytes / relation.uncompressed_bytes:.0%}"
        table.add_row(
            relation.name,
            decimal(relation.bytes),
            f"{relation.rows:,}",
            "" if relation.chunks is None else str(relation.chunks),
            "" if relation.chunks is None else str(relation.compressed_chunks),
            ratio,
        )
    return table


def _jobs(jobs: list[Job]) -> Table:
    states = {"never": _("never ran"), "ok": _("done"), "failed": _("failed")}
    table = Table(_("job"), _("table or view"), _("state"), _("last done"), _("next"), _("error"))
    for job in jobs:
        table.add_row(
            _("compress") if job.kind == "compress" else _("refresh"),
            job.relation,
            states[job.state],
            _moment(job.succeeded_at),
            _moment(job.next_at),
            job.error or "",
        )
    return table


def _lags(lags: list[Lag]) -> Table:
    now = Clock().now()
    table = Table(_("aggregate"), _("made up to"), _("behind"))
    for lag in lags:
        time = storage.behind(lag, now)
        span = "" if time is None else format_timedelta(time, granularity="minute", locale=current_language())
        table.add_row(lag.relation, _moment(lag.until), span)
    return table


def _moment(time: datetime | None) -> str:
    return moment_text(time, current_language()) if time is not None else "–"
