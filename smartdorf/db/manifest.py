"""What a backup is said to hold, and what a database holds: rows and a checksum of every table."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg.sql import SQL, Identifier

from smartdorf.db.migrate import Profile
from smartdorf.errors import UsageError
from smartdorf.i18n import gettext as _

FORMAT = 1


class Content(msgspec.Struct, frozen=True):
    """``checksum``: the sum of the rows' hashes, whatever their order."""

    rows: int
    checksum: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Stands beside the dump; it is written last, so a dump without one is none."""

    format: int = FORMAT
    file: str
    size: int  # bytes
    sha256: str
    encrypted: bool
    taken_at: datetime
    smartdorf: str
    profile: Profile
    postgresql: int  # major version
    timescaledb: str | None
    migrations: dict[str, str]  # name → checksum
    tables: dict[str, Content]


def read_manifest(path: Path) -> Manifest:
    """Raises UsageError with advice."""
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        message = _(
            "{path} is missing: without it nobody knows what the dump must hold, or whether it was finished"
        )
        raise UsageError(message.format(path=path)) from None
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(_("{path} cannot be read: {error}").format(path=path, error=error)) from None
    if manifest.format != FORMAT:
        message = _("{path} was written by a newer smartdorf ({version}): use that one")
        raise UsageError(message.format(path=path, version=manifest.smartdorf))
    return manifest


_TABLES = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    AND relname <> 'yoyo_lock' ORDER BY relname
"""
_AGGREGATES = """
    SELECT view_name, materialization_hypertable_schema, materialization_hypertable_name
    FROM timescaledb_information.continuous_aggregates ORDER BY view_name
"""


def contents(connection: psycopg.Connection[Any], profile: Profile) -> dict[str, Content]:
    """Every table and every aggregate as the connection's transaction sees them."""
    relations = {name: Identifier("public", name) for (name,) in connection.execute(_TABLES).fetchall()}
    if profile == "timescale":
        for view, schema, table in connection.execute(_AGGREGATES).fetchall():
            relations[view] = Identifier(schema, table)
    found = {}
    for name, relation in relations.items():
        query = SQL("SELECT count(*), coalesce(sum(hash_record_extended(t, 0)::numeric), 0)::text FROM {} t")
        row = connection.execute(query.format(relation)).fetchone()
        assert row is not None
        found[name] = Content(*row)
    return found


def differences(expected: dict[str, Content], found: dict[str, Content], *, checksums: bool) -> list[str]:
    """One line for each table that is not as it should be."""
    lines = []
    for name in sorted(expected.keys() | found.keys()):
        wanted, held = expected.get(name), found.get(name)
        if wanted is None or held is None:
            lines.append(
                _("{table}: missing").format(table=name)
                if held is None
                else _("{table}: unexpected").format(table=name)
            )
        elif wanted.rows != held.rows:
            message = _("{table}: {found} rows instead of {expected}")
            lines.append(message.format(table=name, found=held.rows, expected=wanted.rows))
        elif checksums and wanted.checksum != held.checksum:
            lines.append(_("{table}: as many rows, but not the same").format(table=name))
    return lines
