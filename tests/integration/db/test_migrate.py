"""Migrations on real servers: once, in order, never twice at the same time, never a changed one."""

import threading
from datetime import timedelta

import psycopg
import pytest

from smartdorf.db import migrate as migrations
from smartdorf.db.directory import load_directory
from smartdorf.db.migrate import migrate, require_current, status
from smartdorf.db.pool import connected
from smartdorf.errors import DatabaseUnavailableError, SchemaError
from tests.support.postgres import Database
from tests.support.series import SPRING_FORWARD, insert, metric_ids, refresh


def query(dsn: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_migrated_database_has_nothing_left_to_do(any_db: Database):
    assert migrate(any_db.dsn, any_db.profile) == []
    require_current(any_db.dsn, any_db.profile)
    assert all(
        migration.applied and not migration.changed for migration in status(any_db.dsn, any_db.profile)
    )


def test_both_profiles_have_the_same_tables_and_columns(plain_db: str, timescale_db: str):
    columns = (
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
        "WHERE table_schema = 'public' ORDER BY 1, 2"
    )
    assert query(plain_db, columns) == query(timescale_db, columns)


def test_time_series_are_hypertables(timescale_db: str):
    found = query(timescale_db, "SELECT hypertable_name FROM timescaledb_information.hypertables ORDER BY 1")
    assert [row[0] for row in found] == ["device_event", "measurement", "reception", "uplink"]


def test_a_migration_that_was_changed_after_it_was_applied_is_refused(plain_db: str):
    with psycopg.connect(plain_db, autocommit=True) as connection:
        connection.execute("UPDATE migration_checksum SET checksum = 'another' WHERE name = '0001_tables'")
    with pytest.raises(SchemaError, match="0001_tables was changed after it had been applied"):
        migrate(plain_db, "plain")
    with pytest.raises(SchemaError, match="0001_tables"):
        require_current(plain_db, "plain")
    assert [m.name for m in status(plain_db, "plain") if m.changed] == ["0001_tables"]


def test_a_migration_that_fails_leaves_nothing_behind_and_is_named(plain_db: str, tmp_path, monkeypatch):
    for folder in ("common", "plain"):
        (tmp_path / folder).mkdir()
        for file in (migrations.FOLDER / folder).glob("*.sql"):
            (tmp_path / folder / file.name).write_bytes(file.read_bytes())
    (tmp_path / "common" / "0003_broken.sql").write_text("CREATE TABLE half_done (id int);\nSELECT 1/0;\n")
    monkeypatch.setattr(migrations, "FOLDER", tmp_path)
    with pytest.raises(SchemaError, match=r"0003_broken failed and was rolled back: division by zero"):
        migrate(plain_db, "plain")
    assert query(plain_db, "SELECT to_regclass('half_done')") == [(None,)]
    (tmp_path / "common" / "0003_broken.sql").write_text("CREATE TABLE half_done (id int);\n")
    assert migrate(plain_db, "plain") == ["0003_broken"]


@pytest.fixture(
    params=[
        "plain",
        pytest.param("timescale", marks=pytest.mark.timescale),
        pytest.param("native", marks=pytest.mark.native_timescale),
    ]
)
def empty_db(request: pytest.FixtureRequest) -> Database:
    """A database without a schema."""
    if request.param == "timescale":
        server = request.getfixturevalue("timescale_server")
        server.reset()
        return Database(server.dsn, "timescale")
    dsn = request.getfixturevalue(f"{request.param}_db")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP EXTENSION IF EXISTS timescaledb CASCADE")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return Database(dsn, "plain" if request.param == "plain" else "timescale")


@pytest.mark.parametrize("last", range(2, 18))  # after 0001 alone nothing has run yet
def test_each_earlier_state_is_brought_here_with_what_is_in_it(
    empty_db: Database, last: int, tmp_path, monkeypatch
):
    for folder in ("common", "plain", "timescale"):
        (tmp_path / folder).mkdir()
        for file in (migrations.FOLDER / folder).glob("*.sql"):
            if int(file.name[:4]) <= last:
                (tmp_path / folder / file.name).write_bytes(file.read_bytes())
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "FOLDER", tmp_path)
        assert len(migrate(empty_db.dsn, empty_db.profile)) == last
    with psycopg.connect(empty_db.dsn, autocommit=True) as connection:
        metric = metric_ids(connection)["parking_occupied"]
        insert(
            connection, [(SPRING_FORWARD, 1.0), (SPRING_FORWARD + timedelta(minutes=30), 0.0)], metric=metric
        )
    assert migrate(empty_db.dsn, empty_db.profile)[0].startswith(f"{last + 1:04d}")
    require_current(empty_db.dsn, empty_db.profile)
    refresh(empty_db)
    assert query(empty_db.dsn, "SELECT average, samples FROM measurement_daily") == [(0.5, 2)]
    [taken] = query(empty_db.dsn, "SELECT sum(seconds) FROM state_hourly WHERE code = 1")
    assert taken == (1800.0,)


def test_two_that_start_at_once_migrate_once(postgres_server):
    with psycopg.connect(postgres_server.dsn, autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrate_race")
    dsn = postgres_server.dsn_of("migrate_race")
    applied: list[list[str]] = []
    threads = [threading.Thread(target=lambda: applied.append(migrate(dsn, "plain"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [names] = [names for names in applied if names]
    assert (len(applied), names[:2]) == (4, ["0001_tables", "0002_nothing_to_do"])
    require_current(dsn, "plain")


def test_a_server_without_timescaledb_is_refused_with_advice(plain_db: str):
    with pytest.raises(SchemaError, match='profile = "plain"'):
        migrate(plain_db, "timescale")


@pytest.mark.parametrize(
    ("available", "installed", "advice"),
    [
        (
            "2.22.1",
            None,
            r"This server has TimescaleDB 2\.22\.1; 2\.23 or newer is needed: upgrade its package",
        ),
        ("2.9.3", "2.9.3", r"This server has TimescaleDB 2\.9\.3"),
        (
            "2.29.2",
            "2.19.0",
            r"database has TimescaleDB 2\.19\.0; .* 2\.29\.2: run .*ALTER EXTENSION timescaledb UPDATE",
        ),
    ],
)
def test_a_timescaledb_that_is_too_old_is_refused_with_advice(
    available: str, installed: str | None, advice: str
):
    with pytest.raises(SchemaError, match=advice):
        migrations.require_version(available, installed)


@pytest.mark.parametrize(
    ("available", "installed"), [("2.23.0-dev", None), ("2.23.0-dev", "2.23.0-dev"), ("3.0", "2.29.2")]
)
def test_a_timescaledb_that_is_new_enough(available: str, installed: str | None):
    migrations.require_version(available, installed)


def test_a_server_that_is_away_is_said_in_one_line():
    with pytest.raises(DatabaseUnavailableError) as caught:
        migrate("postgresql://nobody@127.0.0.1:1/nowhere", "plain")
    assert "\n" not in str(caught.value)


async def test_an_empty_database_is_told_to_be_migrated(postgres_server):
    with psycopg.connect(postgres_server.dsn, autocommit=True) as connection:
        connection.execute("CREATE DATABASE never_migrated")
    dsn = postgres_server.dsn_of("never_migrated")
    with pytest.raises(SchemaError, match="run `smartdorf db migrate`"):
        require_current(dsn, "plain")
    with pytest.raises(SchemaError, match="smartdorf db migrate"):
        async with connected(dsn) as connection:
            await load_directory(connection)
