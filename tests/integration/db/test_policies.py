"""What TimescaleDB is told to do by itself, and that doing it leaves the right values behind."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from smartdorf.db import policies
from smartdorf.db.policies import Change, Policy, wanted
from smartdorf.db.retention import Retention, delete_expired
from tests.support.postgres import Database
from tests.support.series import insert, metric_ids, refresh

DAY = timedelta(days=1)
KEEP = {"short": 60 * DAY, "standard": 400 * DAY, "long": 3660 * DAY}
CLASSES = {"parking_occupied": "short", "air_temperature_c": "standard", "water_level_m": "long"}
DEFAULT = wanted(compress_after=14 * DAY, late=53 * DAY)
pytestmark = pytest.mark.timescale


@pytest.fixture(params=["timescale", pytest.param("native", marks=pytest.mark.native_timescale)])
def database(request: pytest.FixtureRequest) -> Database:
    return Database(request.getfixturevalue(f"{request.param}_db"), "timescale")


def run_jobs(connection: psycopg.Connection) -> None:
    """By hand: the tests' own server has no background workers, and nobody wants to wait for those of another."""
    jobs = connection.execute(
        "SELECT job_id FROM timescaledb_information.jobs "
        "WHERE proc_name IN ('policy_compression', 'policy_refresh_continuous_aggregate') "
        "ORDER BY proc_name DESC, job_id"
    ).fetchall()
    for (job_id,) in jobs:
        connection.execute("CALL run_job(%s)", (job_id,))


def test_a_new_database_has_none_and_gets_all(database: Database):
    assert policies.plan(database.dsn, DEFAULT) == [
        Change(None, policy) for policy in sorted(DEFAULT, key=_key)
    ]
    assert len(policies.apply(database.dsn, DEFAULT)) == 14
    assert policies.plan(database.dsn, DEFAULT) == []
    assert policies.apply(database.dsn, DEFAULT) == []


def test_a_changed_setting_changes_what_it_concerns_and_nothing_else(database: Database):
    policies.apply(database.dsn, DEFAULT)
    later = wanted(compress_after=30 * DAY, late=53 * DAY)
    changes = policies.plan(database.dsn, later)
    assert {(c.after.relation, c.after.end) for c in changes if c.after} == {
        ("device_event", 30 * DAY),
        ("measurement", 30 * DAY),
        ("reception", 30 * DAY),
        ("uplink", 30 * DAY),
    }
    policies.apply(database.dsn, later)
    assert policies.plan(database.dsn, later) == []


def test_another_retention_moves_all_windows(database: Database):
    policies.apply(database.dsn, DEFAULT)
    longer = wanted(compress_after=14 * DAY, late=93 * DAY)
    assert len(policies.apply(database.dsn, longer)) == 10  # six aggregates, four of them compressed
    assert policies.plan(database.dsn, longer) == []


def test_policies_of_somebody_else_are_left_alone(database: Database):
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE theirs (time timestamptz NOT NULL, value int)")
        connection.execute("SELECT create_hypertable('theirs', 'time')")
        connection.execute("ALTER TABLE theirs SET (timescaledb.enable_columnstore)")
        connection.execute("CALL add_columnstore_policy('theirs', after => INTERVAL '3 days')")
        policies.apply(database.dsn, DEFAULT)
        assert policies.plan(database.dsn, DEFAULT) == []
        jobs = connection.execute(
            "SELECT count(*) FROM timescaledb_information.jobs WHERE hypertable_name = 'theirs'"
        )
        assert jobs.fetchone() == (1,)


def test_a_policy_that_is_no_longer_wanted_goes(database: Database):
    policies.apply(database.dsn, DEFAULT)
    fewer = [policy for policy in DEFAULT if policy.relation != "device_event"]
    assert [c.before.relation for c in policies.apply(database.dsn, fewer) if c.before] == ["device_event"]
    assert policies.plan(database.dsn, fewer) == []


def test_compressed_chunks_take_late_values_and_give_the_same_answers(database: Database):
    now = datetime.now(UTC)
    old = now - 30 * DAY
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        metric = metric_ids(connection)["air_temperature_c"]
        insert(connection, [(old + timedelta(minutes=i), float(i)) for i in range(100)], metric=metric)
        policies.apply(database.dsn, DEFAULT)
        run_jobs(connection)
        compressed = connection.execute(
            "SELECT count(*) FROM timescaledb_information.chunks "
            "WHERE hypertable_name = 'measurement' AND is_compressed"
        )
        assert compressed.fetchone() == (1,)
        insert(connection, [(old + timedelta(seconds=90), 1000.0)], metric=metric)
        with pytest.raises(psycopg.errors.UniqueViolation):
            insert(connection, [(old, 7.0)], metric=metric)
        found = connection.execute("SELECT count(*), max(value), sum(value) FROM measurement")
        assert found.fetchone() == (101, 1000.0, 5950.0)  # 0 + 1 + … + 99, and the late one


async def test_a_refresh_never_takes_away_the_aggregates_of_what_was_deleted(database: Database):
    """The trap: an hour that is aggregated again without its raw values vanishes, and its day with it."""
    now = datetime.now(UTC)
    old = (now - 80 * DAY).replace(minute=0, second=0, microsecond=0)
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        metrics = metric_ids(connection)
        short, standard = metrics["parking_occupied"], metrics["air_temperature_c"]
        insert(connection, [(old, 1.0), (old + timedelta(minutes=30), 0.0)], metric=short)
        insert(connection, [(old, 20.0)], metric=standard)
        refresh(database)
        policies.apply(database.dsn, DEFAULT)
        await delete_expired(database.dsn, "timescale", Retention(KEEP, CLASSES), now)
        assert connection.execute(
            "SELECT count(*) FROM measurement WHERE metric_id = %s", (short,)
        ).fetchone() == (0,)
        # a datalog brings another value of that hour: stored, flagged, and not aggregated
        insert(connection, [(old + timedelta(minutes=40), 30.0)], metric=standard, quality=8)
        run_jobs(connection)
        for view in ("measurement_hourly", "measurement_daily", "measurement_monthly"):
            rows = connection.execute(f"SELECT metric_id, average, samples FROM {view} ORDER BY metric_id")
            assert sorted(rows.fetchall()) == sorted([(short, 0.5, 2), (standard, 20.0, 1)]), view
        for view in ("state_part_hourly", "state_part_daily"):
            assert connection.execute(f"SELECT seconds[1] FROM {view}").fetchall() == [(1800,)], view


def _key(policy: Policy) -> tuple[str, str]:
    return policy.relation, policy.kind
