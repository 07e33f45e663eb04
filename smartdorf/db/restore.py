"""Bring a backup back: into a database beside the present one, compared with its manifest, and only then in its place.

Whatever breaks off before the last step leaves the present database as it was; the next run clears the other away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from subprocess import PIPE
from time import monotonic, sleep
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pyrage
from psycopg.sql import SQL, Identifier, Literal

from smartdorf.db import pg_tools
from smartdorf.db.backup import CHUNK, timescaledb_version
from smartdorf.db.manifest import Manifest, contents, differences
from smartdorf.db.migrate import connected_psycopg, known_migrations
from smartdorf.errors import DatabaseUnavailableError, SchemaError, SmartdorfError, UsageError
from smartdorf.i18n import gettext as _

LEAVING = 3.0  # seconds


class RestoreError(SmartdorfError):
    """The backup is not what it should be, or cannot be brought back here."""


@dataclass(frozen=True, slots=True)
class Backup:
    """``manifest`` and the dump beside it. ``identity``: an age private key, where it is encrypted."""

    manifest: Manifest
    dump: Path
    identity: str | None = None


def check_file(backup: Backup) -> None:
    """Raise RestoreError unless the dump is the one that was written."""
    digest, size = hashlib.sha256(), 0
    try:
        with backup.dump.open("rb") as file:
            while block := file.read(CHUNK):
                digest.update(block)
                size += len(block)
    except OSError as error:
        message = _("{path} cannot be read: {error}")
        raise RestoreError(message.format(path=backup.dump, error=error.strerror)) from error
    if size != backup.manifest.size:
        message = _("{path} has {size} bytes instead of {expected}: it was cut off; take another backup")
        raise RestoreError(message.format(path=backup.dump, size=size, expected=backup.manifest.size))
    if digest.hexdigest() != backup.manifest.sha256:
        message = _("{path} is not what was written: it was damaged; take another backup")
        raise RestoreError(message.format(path=backup.dump))


@contextmanager
def restored_beside(dsn: str, backup: Backup, owner: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """A database with the backup's content on the server of ``dsn``, and what differs from the manifest.

    It is dropped at the end, unless it has got another name by then. ``owner``: if not the user of ``dsn``.
    """
    name = f"{database_of(dsn)}_restore"
    scratch = with_database(dsn, name)
    with administrating(dsn) as connection:
        _check_server(connection, backup.manifest)
        connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        create = SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name))
        if owner is not None:
            create += SQL(" OWNER {}").format(Identifier(owner))
        try:
            connection.execute(create)
        except psycopg.errors.UndefinedObject as error:
            message = _("the server has no role {owner}: CREATE ROLE {owner} LOGIN PASSWORD …")
            raise SchemaError(message.format(owner=owner)) from error
        try:
            yield scratch, _fill(scratch, backup)
        finally:
            connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def swap(dsn: str, scratch: str, now: datetime) -> str | None:
    """Put the restored database in the present one's place; returns the name under which that one is kept."""
    present, restored = database_of(dsn), database_of(scratch)
    kept = f"{present}_before_{now:%Y%m%dT%H%M%S}"
    _quiet(scratch)
    with administrating(dsn) as connection:
        there = exists(connection, present)
        if there:
            _quiet(dsn)
            deadline = monotonic() + LEAVING
            while (users := _users(connection, present)) and monotonic() < deadline:
                sleep(0.1)  # who has just gone is seen a moment longer
            if users:
                message = _("the database is still in use by {users}: stop them first")
                raise RestoreError(message.format(users=", ".join(users)))
        with connection.transaction():  # both or none
            if there:
                connection.execute(
                    SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(present), Identifier(kept))
                )
            connection.execute(
                SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(restored), Identifier(present))
            )
    with suppress(psycopg.Error), connected_psycopg(dsn) as connection:
        connection.execute("SELECT _timescaledb_functions.start_background_workers()")
    return kept if there else None


def is_empty(dsn: str) -> bool:
    """Nothing would be lost: there is no such database, or it has no tables."""
    with administrating(dsn) as connection:
        if not exists(connection, database_of(dsn)):
            return True
    with connected_psycopg(dsn) as connection:
        row = connection.execute("SELECT to_regclass('public.uplink')").fetchone()
        return row == (None,)


def database_of(dsn: str) -> str:
    return urlsplit(dsn).path.lstrip("/")


def with_database(dsn: str, name: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


@contextmanager
def administrating(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the same server that is not to the database itself, which may not exist or be renamed."""
    with connected_psycopg(with_database(dsn, "postgres")) as connection:
        yield connection


def exists(connection: psycopg.Connection[Any], name: str) -> bool:
    return connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None


def _check_server(connection: psycopg.Connection[Any], manifest: Manifest) -> None:
    known = known_migrations(manifest.profile)
    if newer := sorted(manifest.migrations.keys() - known.keys()):
        message = _("the backup is of a newer smartdorf ({version}, migration {name}): use that one")
        raise RestoreError(message.format(version=manifest.smartdorf, name=newer[0]))
    row = connection.execute(
        "SELECT rolcreatedb OR rolsuper, rolsuper FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    may_create, is_superuser = row or (False, False)
    if not may_create:
        raise SchemaError(
            _("the database user may not create databases: ALTER ROLE … CREATEDB, or --dsn of another")
        )
    if manifest.timescaledb is None:
        return
    if not is_superuser:
        raise SchemaError(_("TimescaleDB is restored by a superuser only: give one's DSN with --dsn"))
    versions = connection.execute(
        "SELECT version FROM pg_available_extension_versions WHERE name = 'timescaledb'"
    ).fetchall()
    if (manifest.timescaledb,) not in versions:
        have = ", ".join(sorted(version for (version,) in versions if "-" not in version)[-3:])
        message = _(
            "the backup needs TimescaleDB {version}, this server has {have}: install that version first"
        )
        raise RestoreError(message.format(version=manifest.timescaledb, have=have or _("none")))


def _fill(scratch: str, backup: Backup) -> list[str]:
    manifest = backup.manifest
    with connected_psycopg(scratch) as connection:
        major = connection.info.server_version // 10000
        if manifest.timescaledb is not None:
            connection.execute(
                SQL("CREATE EXTENSION timescaledb VERSION {}").format(Literal(manifest.timescaledb))
            )
    with connected_psycopg(scratch) as connection:  # anew: the extension's library is chosen at the start
        if manifest.timescaledb is not None:
            connection.execute("SELECT timescaledb_pre_restore()")
    program = pg_tools.find_program("pg_restore", max(major, manifest.postgresql))
    process = pg_tools.start(program, scratch, ["--no-comments", "--exit-on-error"], stdin=PIPE)
    try:
        with pg_tools.pipe_of(process.stdin) as stdin:
            _feed(backup, stdin)
    except BrokenPipeError:
        pass  # it ended before its input did, and says why
    except BaseException:
        process.kill()
        process.wait()
        raise
    pg_tools.finish(process, "pg_restore")
    with connected_psycopg(scratch) as connection:
        if manifest.timescaledb is not None:
            connection.execute("SELECT timescaledb_post_restore()")
            connection.execute("SELECT _timescaledb_functions.stop_background_workers()")
    with connected_psycopg(scratch) as connection:
        if (version := timescaledb_version(connection)) != manifest.timescaledb:
            raise RestoreError(_("restored with TimescaleDB {version}").format(version=version))
        connection.execute("SET TimeZone = 'UTC'")
        # another major version may hash otherwise
        found = contents(connection, manifest.profile)
        return differences(manifest.tables, found, checksums=major == manifest.postgresql)


def _feed(backup: Backup, stdin: IO[bytes]) -> None:
    with backup.dump.open("rb") as file:
        if backup.manifest.encrypted:
            try:
                pyrage.decrypt_io(file, stdin, [_identity(backup)])
            except pyrage.DecryptError as error:
                raise RestoreError(
                    _("this key does not open the backup ({error})").format(error=error)
                ) from error
        else:
            while block := file.read(CHUNK):
                stdin.write(block)


def _identity(backup: Backup) -> pyrage.x25519.Identity:
    if backup.identity is None:
        raise UsageError(_("the backup is encrypted: give the private key's file with --identity"))
    keys = [line for line in backup.identity.splitlines() if line.startswith("AGE-SECRET-KEY-")]
    try:
        return pyrage.x25519.Identity.from_str(keys[0])
    except (IndexError, pyrage.IdentityError):
        raise UsageError(_("this is no age private key: expected a line AGE-SECRET-KEY-1…")) from None


def _quiet(dsn: str) -> None:
    """TimescaleDB's own workers are no reason not to rename a database."""
    with suppress(psycopg.Error, DatabaseUnavailableError), connected_psycopg(dsn) as connection:
        connection.execute("SELECT _timescaledb_functions.stop_background_workers()")


def _users(connection: psycopg.Connection[Any], name: str) -> list[str]:
    rows = connection.execute(
        "SELECT DISTINCT coalesce(nullif(application_name, ''), usename::text, backend_type) FROM pg_stat_activity "
        "WHERE datname = %s AND backend_type = 'client backend'",
        (name,),
    ).fetchall()
    return [user for (user,) in rows]


def user_of(dsn: str) -> str | None:
    return urlsplit(dsn).username
