"""What flowed through a meter: counters that roll over, are exchanged, fall silent; days that change the clock."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.support.postgres import Database
from tests.support.series import insert

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def connection(any_db: Database):
    with psycopg.connect(any_db.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO metric (name, unit, kind) VALUES ('water_volume_m3', 'm3', 'counter')"
        )
        connection.execute("INSERT INTO metric (name, unit, kind) VALUES ('water_level_m', 'm', 'gauge')")
        yield connection


def meter(
    connection: psycopg.Connection, *values: tuple[float, float], device: int = 1, place: int = 1
) -> None:
    """Values by the hours since noon."""
    [metric] = connection.execute("SELECT id FROM metric WHERE kind = 'counter'").fetchone()
    insert(
        connection,
        [(NOON + hours * HOUR, value) for hours, value in values],
        metric=metric,
        device=device,
        place=place,
    )


def hours(connection: psycopg.Connection, place: int = 1) -> list[tuple[float, float]]:
    rows = connection.execute(
        "SELECT bucket, consumed FROM consumption_hourly WHERE place_id = %s ORDER BY bucket, device_id",
        (place,),
    )
    return [((bucket - NOON) / HOUR, round(consumed, 6)) for bucket, consumed in rows.fetchall()]


def test_an_hour_has_what_its_last_value_is_more_than_the_one_before(connection: psycopg.Connection):
    meter(connection, (0.1, 100.0), (0.9, 101.5), (1.5, 102.0), (3.5, 110.0))
    assert hours(connection) == [(0, 1.5), (1, 0.5), (3, 8.0)]  # the silent hour's volume was seen at three


def test_a_counter_that_starts_anew_loses_only_what_nobody_saw(connection: psycopg.Connection):
    meter(connection, (0.1, 99_990.0), (1.1, 99_999.0), (1.6, 2.0), (1.9, 5.0), (2.5, 6.0))
    # up to 99,999 and from 2 on; how it came from the one to the other is not known
    assert hours(connection) == [(0, 0.0), (1, 12.0), (2, 1.0)]
    [reset] = connection.execute("SELECT bucket FROM consumption_hourly WHERE counter_reset").fetchone()
    assert reset == NOON + HOUR


def rolls_over(connection: psycopg.Connection, size: float, device: int = 1) -> None:
    connection.execute(
        "INSERT INTO device (id, dev_eui) OVERRIDING SYSTEM VALUE VALUES (%s, '24e124136c012345')", (device,)
    )
    connection.execute(
        "INSERT INTO counter_rollover SELECT %s, 0, id, %s FROM metric WHERE kind = 'counter'", (device, size)
    )


def test_a_counter_that_rolls_over_loses_nothing(connection: psycopg.Connection):
    rolls_over(connection, 65.536)
    meter(connection, (0.1, 65.500), (0.9, 65.530), (1.5, 0.004), (2.5, 0.010))
    assert hours(connection) == [(0, 0.03), (1, 0.01), (2, 0.006)]
    assert connection.execute("SELECT bool_or(counter_reset) FROM consumption_daily").fetchone() == (False,)


def test_a_counter_that_rolls_over_within_an_hour_loses_nothing(connection: psycopg.Connection):
    rolls_over(connection, 65.536)
    meter(connection, (0.1, 65.500), (0.4, 65.530), (0.9, 0.004))
    assert hours(connection) == [(0, 0.04)]


def test_one_that_falls_from_the_middle_of_its_range_began_anew(connection: psycopg.Connection):
    rolls_over(connection, 65.536)
    meter(connection, (0.1, 30.0), (0.9, 30.5), (1.5, 0.1), (1.9, 0.3))
    assert hours(connection) == [(0, 0.5), (1, 0.2)]
    assert connection.execute("SELECT bool_or(counter_reset) FROM consumption_daily").fetchone() == (True,)


def test_a_counter_that_starts_anew_between_two_hours(connection: psycopg.Connection):
    meter(connection, (0.1, 500.0), (0.9, 510.0), (1.1, 3.0), (1.9, 4.0))
    assert hours(connection) == [(0, 10.0), (1, 1.0)]


def test_a_meter_that_was_exchanged_counts_on_at_its_place(connection: psycopg.Connection):
    meter(connection, (0.1, 500.0), (0.4, 501.0), device=1)
    meter(connection, (0.6, 0.2), (0.9, 0.7), (1.5, 1.0), device=2)
    assert hours(connection) == [(0, 1.0), (0, 0.5), (1, 0.3)]
    days = connection.execute("SELECT consumed, counter_reset FROM consumption_daily").fetchall()
    assert [(round(consumed, 6), reset) for consumed, reset in days] == [(1.8, False)]


def test_a_meter_that_moved_takes_nothing_along(connection: psycopg.Connection):
    meter(connection, (0.1, 500.0), (0.9, 501.0), place=1)
    meter(connection, (2.1, 700.0), (2.9, 702.0), place=2)
    assert hours(connection, place=1) == [(0, 1.0)]
    assert hours(connection, place=2) == [(2, 2.0)]


def test_a_value_that_trembles_is_no_new_beginning(connection: psycopg.Connection):
    meter(connection, (0.1, 100.0), (0.5, 105.001), (0.9, 105.0))
    assert hours(connection) == [(0, 5.0)]


def test_a_level_is_no_consumption(connection: psycopg.Connection):
    [gauge] = connection.execute("SELECT id FROM metric WHERE kind = 'gauge'").fetchone()
    insert(connection, [(NOON, 1.0), (NOON + HOUR, 2.0)], metric=gauge)
    assert hours(connection) == []


@pytest.mark.parametrize(
    ("midnight", "length"),
    [(datetime(2026, 3, 28, 23, tzinfo=UTC), 23), (datetime(2026, 10, 24, 22, tzinfo=UTC), 25)],
)
def test_a_day_ends_at_the_church_clocks_midnight(
    connection: psycopg.Connection, midnight: datetime, length: int
):
    first = (midnight - NOON) / HOUR
    meter(connection, *((first + hour, float(hour)) for hour in range(-2, length + 2)))
    [consumed] = connection.execute(
        "SELECT consumed FROM consumption_daily WHERE bucket = %s", (midnight,)
    ).fetchone()
    assert consumed == length  # one cubic metre an hour
