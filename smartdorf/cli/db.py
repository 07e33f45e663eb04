"""smartdorf db: the database's schema, and what happens in it by itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from smartdorf.app import retention_of
from smartdorf.cli.context import ConfigOption, JsonOption, console, print_json, run_async, settings_or_exit
from smartdorf.cli.db_backup import backup, restore, verify
from smartdorf.cli.db_erase import erase
from smartdorf.cli.db_status import status
from smartdorf.clock import Clock
from smartdorf.config.durations import format_duration
from smartdorf.db import migrate as migrations
from smartdorf.db import policies as db_policies
from smartdorf.db.policies import Change, Policy
from smartdorf.db.retention import delete_expired
from smartdorf.errors import UsageError
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import load_vocabulary

app = typer.Typer(no_args_is_help=True, help="The database: its schema, its policies, what is too old in it.")
app.command()(status)
app.command()(erase)
app.command()(backup)
app.command()(verify)
app.command()(restore)


class Action(StrEnum):
    plan = "plan"
    apply = "apply"


@app.command()
def migrate(config: ConfigOption = None) -> None:
    """Apply the migrations that are missing. Safe to run again; silent when there is nothing to do.

    Example: smartdorf db migrate
    """
    database = settings_or_exit(config).database
    for name in migrations.migrate(database.full_dsn, database.profile):
        console.print(_("applied {name}").format(name=name))


@app.command()
def policies(
    action: Annotated[Action, typer.Argument(help="plan: show what would change; apply: make it so.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compression and aggregates: compare TimescaleDB's policies with the settings, or make them so.

    Silent when there is nothing to do. `plan` ends with exit code 1 while something would change.

    Example: smartdorf db policies plan
    """
    settings = settings_or_exit(config)
    database = settings.database
    if database.profile != "timescale":
        raise UsageError(_('The profile "{profile}" has no policies.').format(profile=database.profile))
    migrations.require_current(database.full_dsn, database.profile)
    wanted = db_policies.wanted(
        compress_after=timedelta(days=database.compress_after_days), late=settings.retention.late
    )
    work = db_policies.plan if action is Action.plan else db_policies.apply
    changes = work(database.full_dsn, wanted)
    if as_json:
        print_json([_change_json(change) for change in changes])
    elif changes:
        console.print(_changes_table(changes))
    if changes and action is Action.plan:
        raise typer.Exit(1)


@app.command()
def retention(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be deleted.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete what is older than its class allows. The running service does that each night.

    Example: smartdorf db retention --dry-run
    """
    settings = settings_or_exit(config)
    database = settings.database
    migrations.require_current(database.full_dsn, database.profile)
    kept = retention_of(settings, load_vocabulary())
    rows = run_async(
        delete_expired(database.full_dsn, database.profile, kept, Clock().now(), dry_run=dry_run)
    )
    if as_json:
        print_json(rows)
        return
    table = Table(_("table"), _("too old") if dry_run else _("deleted"))
    for name, count in rows.items():
        table.add_row(name, str(count))
    console.print(table)


def _changes_table(changes: Iterable[Change]) -> Table:
    table = Table("", _("table or view"), _("what"), _("is"), _("should be"))
    for change in changes:
        policy = change.after or change.before
        assert policy is not None
        mark = "+" if change.before is None else "-" if change.after is None else "~"
        what = _("compress") if policy.kind == "compress" else _("refresh")
        table.add_row(mark, policy.relation, what, _words(change.before), _words(change.after))
    return table


def _words(policy: Policy | None) -> str:
    if policy is None:
        return "–"
    every = _span(policy.every)
    if policy.begin is None:
        return _("from {end} on, every {every}").format(end=_span(policy.end), every=every)
    text = _("{end} to {begin} old, every {every}")
    return text.format(end=_span(policy.end), begin=_span(policy.begin), every=every)


def _span(time: timedelta) -> str:
    return format_duration(time // timedelta(microseconds=1))


def _change_json(change: Change) -> dict[str, Any]:
    return {"before": _policy_json(change.before), "after": _policy_json(change.after)}


def _policy_json(policy: Policy | None) -> dict[str, Any] | None:
    if policy is None:
        return None
    return {
        "relation": policy.relation,
        "kind": policy.kind,
        "begin_seconds": policy.begin.total_seconds() if policy.begin is not None else None,
        "end_seconds": policy.end.total_seconds(),
        "every_seconds": policy.every.total_seconds(),
    }
