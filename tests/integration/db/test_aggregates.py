"""Hours, local days and months: the same in both profiles, on both nights that change the clock, and with late data."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from tests.support.postgres import Database
from tests.support.series import FALL_BACK, SPRING_FORWARD, insert, metric_ids, refresh

BERLIN = ZoneInfo("Europe/Berlin")
STEP = timedelta(minutes=20)
VIEWS = ("measurement_hourly", "measurement_daily", "measurement_monthly")


def night(around: datetime) -> list[tuple[datetime, float]]:
    """Three values an hour over two days before and after; they rise and fall, and no two are alike."""
    start = around - timedelta(days=2)
    return [(start + STEP * i, 10 + (i * 37 % 101) / 8) for i in range(4 * 72)]


def fetch(connection: psycopg.Connection, view: str, metric: int) -> dict[datetime, tuple[float, ...]]:
    rows = connection.execute(
        f"SELECT bucket, minimum, maximum, average, total, samples, first, last FROM {view} "
        "WHERE metric_id = %s AND place_id = 1 ORDER BY bucket",
        (metric,),
    )
    return {row[0].astimezone(UTC): row[1:] for row in rows.fetchall()}


def expected(values: list[tuple[datetime, float]], view: str) -> dict[datetime, tuple[float, ...]]:
    """From the raw values, with Python's own calendar."""
    groups: dict[datetime, list[float]] = defaultdict(list)
    for time, value in sorted(values):
        local = time.astimezone(BERLIN)
        bucket = {
            "measurement_hourly": time.replace(minute=0, second=0, microsecond=0),
            "measurement_daily": datetime(local.year, local.month, local.day, tzinfo=BERLIN),
            "measurement_monthly": datetime(local.year, local.month, 1, tzinfo=BERLIN),
        }[view]
        groups[bucket.astimezone(UTC)].append(value)
    return {
        bucket: (min(v), max(v), sum(v) / len(v), sum(v), len(v), v[0], v[-1]) for bucket, v in groups.items()
    }


@pytest.mark.parametrize("refreshed", [False, True], ids=["before its time", "refreshed"])
@pytest.mark.parametrize("around", [SPRING_FORWARD, FALL_BACK], ids=["march", "october"])
def test_aggregates_are_what_the_raw_values_say(any_db: Database, around: datetime, refreshed: bool):
    values = night(around)
    with psycopg.connect(any_db.dsn, autocommit=True) as connection:
        metric = metric_ids(connection)["air_temperature_c"]
        insert(connection, values, metric=metric)
        if refreshed:
            refresh(any_db)
        for view in VIEWS:
            found, wanted = fetch(connection, view, metric), expected(values, view)
            assert found.keys() == wanted.keys(), view
            for bucket, row in wanted.items():
                assert found[bucket] == pytest.approx(row, rel=1e-12), (view, bucket)


@pytest.mark.parametrize(("around", "hours"), [(SPRING_FORWARD, 23), (FALL_BACK, 25)])
def test_the_day_that_changes_the_clock_has_its_own_number_of_hours(
    any_db: Database, around: datetime, hours: int
):
    with psycopg.connect(any_db.dsn, autocommit=True) as connection:
        metric = metric_ids(connection)["air_temperature_c"]
        insert(connection, night(around), metric=metric)
        refresh(any_db)
        midnight = datetime(around.year, around.month, around.day, tzinfo=BERLIN).astimezone(UTC)
        assert fetch(connection, "measurement_daily", metric)[midnight][4] == 3 * hours


def test_values_that_are_implausible_or_too_late_take_no_part(any_db: Database):
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    with psycopg.connect(any_db.dsn, autocommit=True) as connection:
        metric = metric_ids(connection)["air_temperature_c"]
        insert(connection, [(noon, 20.0)], metric=metric)
        insert(connection, [(noon + STEP, 999.0)], metric=metric, quality=1)  # outside the range
        insert(connection, [(noon + 2 * STEP, 5.0)], metric=metric, quality=8)  # too late
        insert(connection, [(noon + STEP / 2, 22.0)], metric=metric, quality=2 | 4)  # of a datalog: fine
        refresh(any_db)
        assert fetch(connection, "measurement_hourly", metric) == {noon: (20, 22, 21, 42, 2, 20, 22)}


def test_a_late_value_is_taken_up_by_the_next_refresh(any_db: Database):
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    midnight = datetime(2026, 5, 3, 22, tzinfo=UTC)
    with psycopg.connect(any_db.dsn, autocommit=True) as connection:
        metric = metric_ids(connection)["air_temperature_c"]
        insert(connection, [(noon, 20.0), (noon + 3 * STEP, 24.0)], metric=metric)
        refresh(any_db)
        insert(connection, [(noon + STEP, 25.0)], metric=metric)
        refresh(any_db)
        assert fetch(connection, "measurement_daily", metric) == {midnight: (20, 25, 23, 69, 3, 20, 24)}


def test_a_place_whose_device_was_swapped_has_both_devices_values(any_db: Database):
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    with psycopg.connect(any_db.dsn, autocommit=True) as connection:
        metric = metric_ids(connection)["air_temperature_c"]
        insert(connection, [(noon, 20.0)], metric=metric, device=1)
        insert(connection, [(noon + STEP, 30.0)], metric=metric, device=2)
        refresh(any_db)
        rows = connection.execute(
            "SELECT sum(total) / sum(samples), sum(samples) FROM measurement_hourly WHERE place_id = 1"
        )
        assert rows.fetchone() == (25, 2)
