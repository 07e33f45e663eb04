"""Bring a database to this version's schema: ordered SQL files, run once, each in its own transaction.

yoyo keeps the books and runs the files. What we add: one session-level advisory lock for the whole run (two
starting instances must not race), and a checksum per file, so that a migration that was changed after it had
been applied is an error and not a silent difference between two villages.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg
from yoyo import get_backend, read_migrations
from yoyo.migrations import MigrationList

from smartdorf.errors import DatabaseUnavailableError, SchemaError, lacking_rights
from smartdorf.i18n import gettext as _

Profile = Literal["timescale", "plain"]
FOLDER = Path(__file__).parent / "migrations"
# TimescaleDB refuses a statement that would unpack more than 100,000 compressed rows. Ours do, rarely and knowingly:
# a device's history is decoded anew, or a day of a whole class is deleted. (No harm on a server without it.)
UNPACK_FREELY = "SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0"
# The first that can be told which sparse indexes to make, and the oldest that the tests run on.
OLDEST_TIMESCALEDB = (2, 23)
LOCK = 0x736D6172_74646F72  # "smartdor": one number for all instances


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    name: str
    applied: bool
    changed: bool  # the file is not the one that was applied


def migrate(dsn: str, profile: Profile) -> list[str]:
    """Apply what is missing, in order, and return the names.

    Raises SchemaError or DatabaseUnavailableError.
    """
    with connected_psycopg(dsn) as connection:
        if profile == "timescale":
            _require_timescaledb(connection)
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        try:
            return _apply(connection, dsn, profile)
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))


def status(dsn: str, profile: Profile) -> list[MigrationStatus]:
    """Every migration of the profile and whether it has been applied as it stands here."""
    with connected_psycopg(dsn) as connection:
        applied = applied_migrations(connection)
    return [
        MigrationStatus(name, name in applied, applied.get(name, checksum) != checksum)
        for name, checksum in known_migrations(profile).items()
    ]


def require_current(dsn: str, profile: Profile) -> None:
    """Raise SchemaError unless the database has exactly this version's schema."""
    found = status(dsn, profile)
    if changed := [migration.name for migration in found if migration.changed]:
        raise SchemaError(_changed(changed[0]))
    if missing := [migration.name for migration in found if not migration.applied]:
        message = _("The database lacks {count} migration(s) ({first} …): run `smartdorf db migrate`.")
        raise SchemaError(message.format(count=len(missing), first=missing[0]))


def _apply(connection: psycopg.Connection[Any], dsn: str, profile: Profile) -> list[str]:
    files = known_migrations(profile)
    for name, checksum in applied_migrations(connection).items():
        if files.get(name, checksum) != checksum:
            raise SchemaError(_changed(name))
    # yoyo reports each migration at INFO; our caller says it once, readably
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    with get_backend(_yoyo_uri(dsn)) as backend:
        found = read_migrations(*(str(folder) for folder in _folders(profile)))
        # by number, whichever of the folders they are in: yoyo would take one folder after the other
        ordered = MigrationList(sorted(found, key=lambda migration: migration.id))
        pending = backend.to_apply(ordered)
        names = [migration.id for migration in pending]
        for migration in pending:
            # before the migration: a crash in between leaves a checksum without an effect, never the reverse
            connection.execute(
                "INSERT INTO migration_checksum (name, checksum) VALUES (%s, %s) "
                "ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum",
                (migration.id, files[migration.id]),
            )
            try:
                backend.apply_one(migration)
            except psycopg.Error as error:
                message = _("Migration {name} failed and was rolled back: {error}")
                raise SchemaError(message.format(name=migration.id, error=str(error).strip())) from error
    return names


def _folders(profile: Profile) -> tuple[Path, Path]:
    return FOLDER / "common", FOLDER / profile


def known_migrations(profile: Profile) -> dict[str, str]:
    """This version's migrations and their checksums, in order."""
    paths = [path for folder in _folders(profile) for path in folder.glob("*.sql")]
    return {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(paths, key=lambda path: path.stem)
    }


def applied_migrations(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Checksums of the migrations that have been applied, by name."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migration_checksum (name text PRIMARY KEY, checksum text NOT NULL)"
    )
    if connection.execute("SELECT to_regclass('_yoyo_migration')").fetchone() == (None,):
        return {}
    return dict(
        connection.execute(
            "SELECT name, checksum FROM migration_checksum JOIN _yoyo_migration ON name = migration_id"
        ).fetchall()
    )


def _changed(name: str) -> str:
    message = _(
        "Migration {name} was changed after it had been applied here; restore the file of that release."
    )
    return message.format(name=name)


def _require_timescaledb(connection: psycopg.Connection[Any]) -> None:
    found = connection.execute(
        "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'timescaledb'"
    ).fetchone()
    if found is None:
        raise SchemaError(
            _(
                "This PostgreSQL has no TimescaleDB extension: install it (timescaledb-2-postgresql-…), "
                'or set `profile = "plain"` under [database] to try smartdorf out without it.'
            )
        )
    require_version(*found)


def require_version(available: str, installed: str | None) -> None:
    """Raise SchemaError for a TimescaleDB that is too old: on the server, or in the database."""
    oldest = ".".join(map(str, OLDEST_TIMESCALEDB))
    if _version(available) < OLDEST_TIMESCALEDB:
        message = _(
            "This server has TimescaleDB {version}; {oldest} or newer is needed: upgrade its package."
        )
        raise SchemaError(message.format(version=available, oldest=oldest))
    if installed is not None and _version(installed) < OLDEST_TIMESCALEDB:
        message = _(
            "This database has TimescaleDB {version}; {oldest} or newer is needed, and the server has {available}: run "
            "`psql -X -c 'ALTER EXTENSION timescaledb UPDATE'` in it, as the first command of its session."
        )
        raise SchemaError(message.format(version=installed, oldest=oldest, available=available))


def _version(text: str) -> tuple[int, ...]:
    """``2.23.0-dev`` → (2, 23)."""
    return tuple(int(part) for part in text.split(".")[:2])


@contextmanager
def mapped_psycopg_errors() -> Iterator[None]:
    """Turn the driver's exceptions into SchemaError or DatabaseUnavailableError."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise SchemaError(lacking_rights(error)) from error
    except psycopg.OperationalError as error:  # at the connect, or later: shut down, read-only, out of space
        message = _("The database cannot be reached: {error}")
        raise DatabaseUnavailableError(message.format(error=str(error).strip().split("\n")[0])) from error


@contextmanager
def connected_psycopg(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection in autocommit mode for commands of the administration."""
    with (
        mapped_psycopg_errors(),
        psycopg.connect(dsn, autocommit=True, connect_timeout=10, application_name="smartdorf") as connection,
    ):
        # NOTICE lines ("relation already exists, skipping") are no news to anybody
        connection.execute("SET client_min_messages = warning")
        yield connection


def _yoyo_uri(dsn: str) -> str:
    """yoyo chooses the driver by the scheme."""
    return "postgresql+psycopg://" + dsn.partition("://")[2]
