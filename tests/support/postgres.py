"""Databases for tests: fresh, migrated, and gone afterwards. The fixtures in tests/conftest.py hand them out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from smartdorf.embedded.postgres import EmbeddedPostgres

Profile = Literal["timescale", "plain"]

# The data are thrown away after the run, and a killed server process loses nothing that the system holds.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "100"}
_TEMPLATE = "smartdorf_template"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Database:
    dsn: str
    profile: Profile


def open_server() -> EmbeddedPostgres:
    """An embedded PostgreSQL, not yet started, with settings for tests."""
    return EmbeddedPostgres(parameters=SETTINGS)


def create_template(server: EmbeddedPostgres) -> None:
    """Migrate one database, from which `cloned_database` makes the others."""
    from smartdorf.db.migrate import migrate  # noqa: PLC0415 - tests of the server alone need no schema

    _execute(server.dsn, "CREATE DATABASE {}", _TEMPLATE)
    migrate(server.dsn_of(_TEMPLATE), "plain")


@contextmanager
def cloned_database(server: EmbeddedPostgres) -> Iterator[Database]:
    name = f"smartdorf_test_{next(_numbers)}"
    _execute(server.dsn, "CREATE DATABASE {} TEMPLATE {}", name, _TEMPLATE)
    try:
        yield Database(server.dsn_of(name), "plain")
    finally:
        _execute(server.dsn, "DROP DATABASE {} WITH (FORCE)", name)


@contextmanager
def native_database(dsn: str) -> Iterator[Database]:
    """A new migrated database on the TimescaleDB server that ``dsn`` (of a superuser) names."""
    from smartdorf.db.migrate import migrate  # noqa: PLC0415 - as above

    with psycopg.connect(dsn) as connection:
        name = f"smartdorf_test_{connection.info.backend_pid}"  # two runs may share the server
    _execute(dsn, "CREATE DATABASE {}", name)
    try:
        database = urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
        migrate(database, "timescale")
        yield Database(database, "timescale")
    finally:
        _execute(dsn, "DROP DATABASE {} WITH (FORCE)", name)


def _execute(dsn: str, command: str, *names: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL(command).format(*(sql.Identifier(name) for name in names)))
