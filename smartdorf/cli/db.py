"""smartdorf db: the database's schema."""

from __future__ import annotations

import typer
from rich.table import Table

from smartdorf.cli.context import ConfigOption, JsonOption, console, print_json, settings_or_exit
from smartdorf.db import migrate as migrations
from smartdorf.i18n import gettext as _

app = typer.Typer(no_args_is_help=True, help="Bring the database to this version's schema, or look at it.")


@app.command()
def migrate(config: ConfigOption = None) -> None:
    """Apply the migrations that are missing. Safe to run again; silent when there is nothing to do.

    Example: smartdorf db migrate
    """
    database = settings_or_exit(config).database
    for name in migrations.migrate(database.full_dsn, database.profile):
        console.print(_("applied {name}").format(name=name))


@app.command()
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the migrations and whether they have been applied. Exit code 1 while one is missing or was changed.

    Example: smartdorf db status --json
    """
    database = settings_or_exit(config).database
    found = migrations.status(database.full_dsn, database.profile)
    if as_json:
        print_json([{"name": m.name, "applied": m.applied, "changed": m.changed} for m in found])
    else:
        table = Table(_("migration"), _("state"))
        for migration in found:
            state = _("applied") if migration.applied else _("missing")
            table.add_row(migration.name, _("changed since it was applied") if migration.changed else state)
        console.print(table)
    if any(not migration.applied or migration.changed for migration in found):
        raise typer.Exit(1)
