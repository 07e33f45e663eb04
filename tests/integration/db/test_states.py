"""How long a state held: bays that are taken over midnight, sensors that are silent, swapped, late; clock changes."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.support.postgres import Database
from tests.support.series import insert, refresh

MIDNIGHT = datetime(2026, 5, 3, 22, tzinfo=UTC)  # of 4 May in Berlin
HOUR = timedelta(hours=1)
FREE, TAKEN = 0, 1


class Bay:
    """A bay whose readings are written and whose hours and days are read."""

    def __init__(self, database: Database, connection: psycopg.Connection) -> None:
        self.database = database
        self.connection = connection
        connection.execute("INSERT INTO metric (name, unit, kind) VALUES ('parking_occupied', '1', 'state')")
        connection.execute("INSERT INTO metric (name, unit, kind) VALUES ('battery_v', 'V', 'gauge')")
        self.metric, self.gauge = (row[0] for row in connection.execute("SELECT id FROM metric ORDER BY id"))
        connection.execute(
            "INSERT INTO place (tenant_id, slug, name, place_type) VALUES (1, 'bay', 'bay', 'parking_bay')"
        )
        connection.execute("INSERT INTO device (dev_eui) VALUES ('00000000000000a1'), ('00000000000000a2')")

    def install(self, device: int, since: datetime, until: datetime | None = None) -> None:
        self.connection.execute(
            "INSERT INTO installation (device_id, place_id, valid_from, valid_to) VALUES (%s, 1, %s, %s)",
            (device, since, until),
        )

    def read(self, *readings: tuple[float, int], device: int = 1, quality: int = 0) -> None:
        """Readings by the hours since midnight."""
        values = [(MIDNIGHT + hours * HOUR, float(state)) for hours, state in readings]
        insert(self.connection, values, metric=self.metric, device=device, quality=quality)

    def seconds(self, view: str) -> dict[tuple[float, int], float]:
        """Hours since midnight of the bucket and code → for how many hours."""
        refresh(self.database)
        rows = self.connection.execute(
            f"SELECT bucket, code, sum(seconds) FROM {view} WHERE place_id = 1 GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return {
            ((bucket - MIDNIGHT) / HOUR, code): round(seconds / 3600, 6) for bucket, code, seconds in rows
        }


@pytest.fixture
def bay(any_db: Database) -> Iterable[Bay]:
    with psycopg.connect(any_db.dsn, autocommit=True) as connection:
        yield Bay(any_db, connection)


def test_a_reading_holds_until_the_next_one(bay: Bay):
    bay.read((8.0, FREE), (8.25, TAKEN), (8.75, FREE), (10.5, TAKEN), (11.0, TAKEN))
    hours = bay.seconds("state_hourly")
    assert {key: value for key, value in hours.items() if key[0] < 11} == {
        (8, FREE): 0.5,
        (8, TAKEN): 0.5,
        (9, FREE): 1.0,  # an hour without any reading
        (10, FREE): 0.5,
        (10, TAKEN): 0.5,
    }


def test_who_parks_over_midnight_is_there_on_both_days(bay: Bay):
    bay.read((0.0, FREE), (18.0, TAKEN), (30.0, FREE), (48.0, FREE))
    days = bay.seconds("state_daily")
    assert {key: value for key, value in days.items() if key[0] < 48} == {
        (0, FREE): 18.0,
        (0, TAKEN): 6.0,
        (24, TAKEN): 6.0,
        (24, FREE): 18.0,
    }
    [share] = bay.connection.execute(
        "SELECT share FROM state_daily WHERE bucket = %s AND code = 1", (MIDNIGHT,)
    ).fetchone()
    assert share == pytest.approx(0.25)


def test_what_nobody_reported_is_unknown_and_neither_free_nor_taken(bay: Bay):
    bay.read((0.0, TAKEN), (72.0, FREE), (73.0, FREE))
    days = bay.seconds("state_daily")
    # a reading holds for 25 hours; then nothing is known until the next one
    assert days[(0, TAKEN)] == 24.0
    assert days[(24, TAKEN)] == 1.0
    assert not [key for key in days if key[0] == 48]
    [share] = bay.connection.execute(
        "SELECT share FROM state_daily WHERE bucket = %s", (MIDNIGHT + 24 * HOUR,)
    ).fetchone()
    assert share == 1.0  # of what is known


def test_a_gap_within_a_day_counts_no_more_than_a_reading_holds(bay: Bay):
    """The same day has its first and its last reading 25 hours apart only when the clock is set back."""
    bay.read((-1.0, TAKEN), (23.5, FREE), (24.0, FREE))
    days = bay.seconds("state_daily")
    assert (days[(0, TAKEN)], days[(0, FREE)]) == (23.5, 0.5)


def test_the_last_reading_holds_until_its_sensor_is_taken_down(bay: Bay):
    bay.install(1, MIDNIGHT - 24 * HOUR, MIDNIGHT + 12 * HOUR)
    bay.install(2, MIDNIGHT + 12 * HOUR)
    bay.read((0.0, TAKEN), (6.0, TAKEN), device=1)
    bay.read((14.0, FREE), (15.0, FREE), device=2)
    hours = bay.seconds("state_hourly")
    assert [key[0] for key in hours if key[1] == TAKEN] == [*range(12)]
    assert [key[0] for key in hours if key[1] == FREE][:2] == [14, 15]


def test_a_late_reading_changes_what_it_touches(bay: Bay):
    bay.read((8.0, FREE), (9.0, FREE))
    assert bay.seconds("state_hourly")[(8, FREE)] == 1.0
    bay.read((8.5, TAKEN))
    hours = bay.seconds("state_hourly")
    assert (hours[(8, FREE)], hours[(8, TAKEN)]) == (0.5, 0.5)
    days = bay.seconds("state_daily")
    assert days[(0, TAKEN)] == 0.5


def test_readings_that_do_not_count_take_no_part(bay: Bay):
    bay.read((8.0, FREE), (9.0, FREE))
    bay.read((8.25, TAKEN), quality=8)  # too late
    bay.read((8.5, 7), quality=1)  # no code of this state
    insert(bay.connection, [(MIDNIGHT + 8 * HOUR, 3.6)], metric=bay.gauge)  # no state at all
    assert bay.seconds("state_hourly")[(8, FREE)] == 1.0
    assert {code for _bucket, code in bay.seconds("state_hourly")} == {FREE}


def test_states_with_several_codes(bay: Bay):
    bay.read((8.0, 0), (8.25, 3), (8.5, 1), (9.0, 0))
    hours = bay.seconds("state_hourly")
    assert (hours[(8, 0)], hours[(8, 3)], hours[(8, 1)]) == (0.25, 0.25, 0.5)


def test_the_running_hour_goes_up_to_now_and_no_further(bay: Bay):
    now = datetime.now(UTC)
    insert(bay.connection, [(now - timedelta(minutes=90), 1.0)], metric=bay.metric)
    held = sum(bay.seconds("state_hourly").values())
    assert 1.5 <= held < 1.55


@pytest.mark.parametrize(
    ("midnight", "length"),
    [(datetime(2026, 3, 28, 23, tzinfo=UTC), 23), (datetime(2026, 10, 24, 22, tzinfo=UTC), 25)],
)
def test_a_day_that_changes_the_clock_has_its_own_length(bay: Bay, midnight: datetime, length: int):
    first = (midnight - MIDNIGHT) / HOUR
    bay.read(*((first + hour, TAKEN) for hour in range(-6, length + 7, 6)), (first + length + 6, TAKEN))
    days = bay.seconds("state_daily")
    assert days[(first, TAKEN)] == length


def test_a_month_is_made_of_its_days(bay: Bay):
    bay.read(*((24.0 * day, TAKEN if day % 2 else FREE) for day in range(31)))
    months = bay.seconds("state_monthly")
    # of May the 4th to the 31st are known in full, and of 1 June the hours after its first reading in part
    may = (datetime(2026, 4, 30, 22, tzinfo=UTC) - MIDNIGHT) / HOUR
    assert (months[(may, FREE)], months[(may, TAKEN)]) == (14 * 24.0, 14 * 24.0)
