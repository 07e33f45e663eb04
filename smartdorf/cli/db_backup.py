"""smartdorf db backup, verify, restore."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer
from rich.filesize import decimal

from smartdorf.app import retention_of
from smartdorf.cli.context import (
    ConfigOption,
    JsonOption,
    console,
    print_json,
    run_async,
    settings_or_exit,
)
from smartdorf.clock import Clock
from smartdorf.config.settings import Settings, read_secret
from smartdorf.db import restore as db_restore
from smartdorf.db.backup import backups, take_backup
from smartdorf.db.erasure import Erasure, fetch_erasures, finish_erasures, remembered
from smartdorf.db.manifest import read_manifest
from smartdorf.db.migrate import migrate, require_current
from smartdorf.db.pool import connected, writer_holder
from smartdorf.db.restore import Backup, RestoreError
from smartdorf.db.retention import delete_expired
from smartdorf.errors import DatabaseUnavailableError, SchemaError, UsageError
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import load_vocabulary

FileArgument = Annotated[
    Path | None, typer.Argument(help="The manifest or the dump; else the newest in the backup folder.")
]
IdentityOption = Annotated[Path | None, typer.Option(help="The file with the age private key.")]
DsnOption = Annotated[
    str | None,
    typer.Option(
        envvar="SMARTDORF_SUPERUSER_DSN",
        help="Another user of the same database: TimescaleDB is restored by a superuser only.",
    ),
]


def backup(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Write a backup into the folder of the settings, and delete the oldest. Silent when done.

    Example: smartdorf db backup
    """
    settings = settings_or_exit(config)
    database, folder = settings.database, _folder(settings)
    require_current(database.full_dsn, database.profile)
    recipients: Sequence[str] = ()
    if settings.backup.recipients_file is not None:
        lines = read_secret(settings.backup.recipients_file).splitlines()
        recipients = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    start = perf_counter()
    path = take_backup(
        database.full_dsn, database.profile, folder, recipients, settings.backup.keep, Clock().now()
    )
    if as_json:
        manifest = read_manifest(path)
        print_json(
            {
                "manifest": str(path),
                "dump": str(path.with_name(manifest.file)),
                "size": manifest.size,
                "rows": sum(content.rows for content in manifest.tables.values()),
                "encrypted": manifest.encrypted,
                "seconds": round(perf_counter() - start, 1),
            }
        )


def verify(
    file: FileArgument = None,
    identity: IdentityOption = None,
    dsn: DsnOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The drill: restore a backup into a database beside the present one, compare it, and drop it again.

    Exit code 1 if it does not hold what it should. A running service is not disturbed.

    Example: smartdorf db verify --identity /media/usb/backup-key.txt
    """
    settings = settings_or_exit(config)
    found, start = _backup(settings, file, identity), perf_counter()
    db_restore.check_file(found)
    with db_restore.restored_beside(dsn or settings.database.full_dsn, found) as (_scratch, differences):
        report = _report(found, differences, perf_counter() - start)
    if as_json:
        print_json(report)
    else:
        for line in differences:
            console.print(line, markup=False)
        text = _("{file}: {tables} tables with {rows} rows restored and compared in {seconds} s")
        console.print(text.format(**report), highlight=False)
    if differences:
        raise typer.Exit(1)


def restore(
    file: FileArgument = None,
    identity: IdentityOption = None,
    dsn: DsnOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in the place of the present database, which is kept under another name.

    Restored beside it first, compared, brought to this version's schema, and rid of what has been erased since and of
    what is too old by now. Broken off before the end, nothing has changed. The service must not run.

    Example: smartdorf db restore /var/backups/smartdorf/smartdorf-20261126T013000Z.json
    """
    settings = settings_or_exit(config)
    database, found, start = settings.database, _backup(settings, file, identity), perf_counter()
    admin = dsn or database.full_dsn
    db_restore.check_file(found)
    erasures = [*(remembered(settings.backup.folder) if settings.backup.folder is not None else [])]
    if not db_restore.is_empty(admin):
        holder, logged = run_async(_present(settings))
        if holder is not None:
            raise RestoreError(_("the service runs ({holder}): stop it first").format(holder=holder))
        erasures += logged
        if not yes:
            _ask(found)
    owner = db_restore.user_of(database.full_dsn) if dsn is not None else None
    with db_restore.restored_beside(admin, found, owner) as (scratch, differences):
        if differences:
            lines = "\n".join(differences)
            raise RestoreError(
                _("it does not hold what it should; nothing was changed:\n{lines}").format(lines=lines)
            )
        # as the user whose tables they are; and before anybody can see what should be gone
        inner = db_restore.with_database(database.full_dsn, db_restore.database_of(scratch))
        migrate(inner, database.profile)
        run_async(_delete_again(settings, inner, erasures))
        kept = db_restore.swap(admin, scratch, Clock().now())
    report = {**_report(found, [], perf_counter() - start), "kept": kept}
    if as_json:
        print_json(report)
        return
    text = _("{file}: {tables} tables with {rows} rows restored and compared in {seconds} s")
    console.print(text.format(**report), highlight=False)
    if kept is not None:
        console.print(
            _("The database before is kept as {kept}; DROP DATABASE when all is well.").format(kept=kept)
        )


async def _delete_again(settings: Settings, dsn: str, erasures: Sequence[Erasure]) -> None:
    """A restore must bring back nothing that had to go: what is too old by now, and what was erased since."""
    kept = retention_of(settings, load_vocabulary())
    await delete_expired(dsn, settings.database.profile, kept, Clock().now())
    await finish_erasures(dsn, settings.database.profile, erasures)


async def _present(settings: Settings) -> tuple[str | None, list[Erasure]]:
    """Who runs the service, and what was erased so far."""
    try:
        async with connected(settings.database.full_dsn) as connection:
            holder = await writer_holder(connection)
        return holder, await fetch_erasures(settings.database.full_dsn)
    except (DatabaseUnavailableError, SchemaError):
        return None, []  # it is broken, which is why somebody restores


def _ask(found: Backup) -> None:
    if not sys.stdin.isatty():
        raise UsageError(_("nobody is there to be asked; add --yes"))
    age = Clock().now() - found.manifest.taken_at
    question = _(
        "Put the backup of {time:%Y-%m-%d %H:%M} UTC, {hours} hours old, in the present database's place?"
    )
    text = question.format(time=found.manifest.taken_at, hours=age // timedelta(hours=1))
    if not typer.confirm(text, err=True):
        raise typer.Exit(1)


def _folder(settings: Settings) -> Path:
    if settings.backup.folder is None:
        raise UsageError(_('no folder for backups is set: write [backup] folder = "/var/backups/smartdorf"'))
    return settings.backup.folder


def _backup(settings: Settings, file: Path | None, identity: Path | None) -> Backup:
    if file is None:
        found = backups(_folder(settings))
        if not found:
            raise UsageError(_("there is no backup in {folder}").format(folder=_folder(settings)))
        file = found[0]
    elif file.suffix != ".json":  # the dump itself was given
        file = file.with_name(f"{file.name.partition('.')[0]}.json")
    manifest = read_manifest(file)
    key = read_secret(identity) if identity is not None else None
    return Backup(manifest, file.with_name(manifest.file), key)


def _report(found: Backup, differences: Sequence[str], seconds: float) -> dict[str, Any]:
    return {
        "file": found.manifest.file,
        "taken_at": found.manifest.taken_at,
        "size": decimal(found.manifest.size),
        "tables": len(found.manifest.tables),
        "rows": sum(content.rows for content in found.manifest.tables.values()),
        "differences": list(differences),
        "seconds": round(seconds, 1),
    }
