"""Take a backup: pg_dump's archive, encrypted if asked for, and a manifest of what it must hold.

The dump and the counts are of one snapshot. The manifest is written last and at once, so a backup that was broken off
has none; its leftovers go with the next one.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import IO, Any

import msgspec
import psycopg
import pyrage
from psycopg.sql import SQL, Identifier

from smartdorf.db import pg_tools
from smartdorf.db.manifest import Manifest, contents
from smartdorf.db.migrate import Profile, applied_migrations, connected_psycopg
from smartdorf.errors import SmartdorfError, UsageError
from smartdorf.i18n import gettext as _

PREFIX = "smartdorf-"
PARTIAL = ".partial"
CHUNK = 1 << 20
# Numbers, times and bytes as text must not depend on anybody's settings.
_TEXT_FORMS = "SET TimeZone = 'UTC'"


# Chunks are tables of their own; each is locked by name, since a compressed one inherits from nothing that we know.
_LOCKED = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND (n.nspname = 'public'
          OR (n.nspname = '_timescaledb_internal' AND pg_has_role(c.relowner, 'USAGE')))
"""


class BackupError(SmartdorfError):
    """The backup could not be written."""


def take_backup(
    dsn: str, profile: Profile, folder: Path, recipients: Sequence[str], keep: int, now: datetime
) -> Path:
    """Write a backup into ``folder`` and delete the oldest beyond ``keep``; returns the manifest's path.

    ``recipients``: age public keys; none: not encrypted. Raises UsageError, BackupError, ToolError.
    """
    keys = [parse_recipient(key) for key in recipients]
    with _errors_of(folder), _alone(folder):
        for leftover in folder.glob(f"{PREFIX}*{PARTIAL}"):
            leftover.unlink()
        path = folder / f"{PREFIX}{now:%Y%m%dT%H%M%SZ}.dump{'.age' if keys else ''}"
        manifest = _dump(dsn, profile, path, keys, now)
        written = path.with_name(f"{path.name.partition('.')[0]}.json")
        _write_whole(written, msgspec.json.format(msgspec.json.encode(manifest)))
        for old in backups(folder)[keep:]:
            old.unlink()  # first: a manifest without its dump would be a promise
            for dump in folder.glob(f"{old.stem}.dump*"):
                dump.unlink()
        return written


def backups(folder: Path) -> list[Path]:
    """The manifests of the finished backups, the newest first."""
    return sorted(folder.glob(f"{PREFIX}*.json"), reverse=True)


def parse_recipient(key: str) -> pyrage.x25519.Recipient:
    """An age public key; raises UsageError."""
    try:
        return pyrage.x25519.Recipient.from_str(key)
    except pyrage.RecipientError:
        message = _('"{key}" is no age public key: expected age1…, as `age-keygen -o key.txt` prints it')
        raise UsageError(message.format(key=key[:20])) from None


def _dump(
    dsn: str, profile: Profile, path: Path, keys: Sequence[pyrage.x25519.Recipient], now: datetime
) -> Manifest:
    with connected_psycopg(dsn) as connection:
        major = connection.info.server_version // 10000
        program = pg_tools.find_program("pg_dump", major)
        migrations = applied_migrations(connection)
        connection.execute(_TEXT_FORMS)
        names = connection.execute(_LOCKED).fetchall()
        tables = SQL(", ").join(Identifier(*name) for name in names)
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # before the snapshot, which begins with the first query: TimescaleDB empties a chunk that it compresses by
            # TRUNCATE, which older snapshots see, and would have lost it. Reading and writing go on.
            connection.execute(SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(tables))
            (snapshot,) = _one(connection, "SELECT pg_export_snapshot()")
            size, digest = _write_dump(program, dsn, str(snapshot), path, keys)
            found = contents(connection, profile)
        return Manifest(
            file=path.name,
            size=size,
            sha256=digest,
            encrypted=bool(keys),
            taken_at=now,
            smartdorf=importlib.metadata.version("smartdorf"),
            profile=profile,
            postgresql=major,
            timescaledb=timescaledb_version(connection),
            migrations=migrations,
            tables=found,
        )


def timescaledb_version(connection: psycopg.Connection[Any]) -> str | None:
    """Of the extension in this database."""
    row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'").fetchone()
    return str(row[0]) if row else None


def _one(connection: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return tuple(row)


def _write_dump(
    program: pg_tools.Program,
    dsn: str,
    snapshot: str,
    path: Path,
    keys: Sequence[pyrage.x25519.Recipient],
) -> tuple[int, str]:
    """Size and SHA-256 of what was written."""
    partial = path.with_name(path.name + PARTIAL)
    with _private(partial) as file:
        writer = _Hashing(file)
        process = pg_tools.start(
            program, dsn, ["--format=custom", f"--snapshot={snapshot}"], stdin=DEVNULL, stdout=PIPE
        )
        output = pg_tools.pipe_of(process.stdout)
        try:
            with output:
                if keys:
                    pyrage.encrypt_io(output, writer, keys)
                else:
                    while block := output.read(CHUNK):
                        writer.write(block)
            pg_tools.finish(process, "pg_dump")
        except BaseException:
            process.kill()
            process.wait()
            raise
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    return writer.size, writer.digest.hexdigest()


class _Hashing:
    """A file that is hashed while it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, block: bytes) -> int:
        self._file.write(block)
        self.digest.update(block)
        self.size += len(block)
        return len(block)

    def flush(self) -> None:
        self._file.flush()


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    """A new file that nobody else may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        yield file


def _write_whole(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + PARTIAL)
    with _private(partial) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two backups at once would delete each other's leftovers."""
    lock = os.open(folder / f"{PREFIX}lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BackupError(_("another backup into {folder} is under way").format(folder=folder)) from None
    finally:
        os.close(lock)


@contextmanager
def _errors_of(folder: Path) -> Iterator[None]:
    try:
        if not folder.is_dir():
            raise BackupError(_("there is no folder {folder} for backups: make it").format(folder=folder))
        yield
    except (OSError, pyrage.EncryptError) as error:  # no right to write, no space left
        with suppress(OSError):
            for leftover in folder.glob(f"{PREFIX}*{PARTIAL}"):
                leftover.unlink()
        message = _("the backup cannot be written into {folder}: {error}")
        raise BackupError(
            message.format(folder=folder, error=getattr(error, "strerror", None) or error)
        ) from error
