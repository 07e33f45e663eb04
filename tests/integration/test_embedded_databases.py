"""Every test that asks for a database gets a fresh, migrated one, on each profile."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.postgres import Database


@pytest.mark.parametrize("turn", ["first", "second"])
def test_nothing_is_left_from_the_test_before(any_db: Database, turn: str) -> None:
    with psycopg.connect(any_db.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE left_behind (turn text)")
        connection.execute("INSERT INTO left_behind VALUES (%s)", (turn,))

        assert connection.execute("SELECT turn FROM left_behind").fetchall() == [(turn,)]


def test_database_has_the_schema_of_its_profile(any_db: Database) -> None:
    with psycopg.connect(any_db.dsn, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM uplink").fetchone() == (0,)
        found = connection.execute(
            "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"
        ).fetchone()

    assert found == ((1,) if any_db.profile == "timescale" else (0,))
