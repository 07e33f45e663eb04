"""A seeded year of a meter, a bay and a gauge: both clock changes, late days, exchanged meters; against plain Python.

What the database should say is computed here from the raw readings alone, one reading after the other.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from tests.support.postgres import Database
from tests.support.series import refresh

BERLIN = ZoneInfo("Europe/Berlin")
BEGIN = datetime(2025, 6, 1, 3, tzinfo=UTC)
DAYS = 366
HOLDS = timedelta(hours=25)
METER, BAY, GAUGE = 1, 2, 3  # quantities, and the places that have them
LATE_DAYS = (
    17,
    147,
    148,
    301,
    302,
)  # a gateway was down; the readings came days later (147: 26 October, 301: 29 March)


@dataclass(frozen=True)
class Reading:
    time: datetime
    device: int
    quantity: int
    value: float

    @property
    def is_late(self) -> bool:
        return (self.time - BEGIN).days in LATE_DAYS


def year() -> list[Reading]:
    """About every two hours and a half one reading of each; some are lost, and once nothing comes for three days."""
    chance = random.Random(2026)
    readings, volume, meter, level, taken = [], 7310.0, 11, 1.20, 0
    time = BEGIN
    while time < BEGIN + timedelta(days=DAYS):
        time += timedelta(minutes=chance.randint(90, 210), milliseconds=chance.randint(0, 999))
        day = (time - BEGIN).days
        if 200 <= day < 203 or chance.random() < 0.02:
            continue
        if (day, meter) in ((90, 11), (250, 12)):  # exchanged, and the new one begins near zero
            meter, volume = meter + 1, 0.4
        volume = round(volume + chance.choice((0, 0, 0.012, 0.125)), 3)
        if day == 320 and volume > 1:  # the third one loses its memory
            volume = 0.0
        level = round(min(3.0, max(0.2, level + chance.uniform(-0.1, 0.1))), 2)
        taken = taken if chance.random() < 0.4 else 1 - taken
        readings.append(Reading(time, meter, METER, volume))
        readings.append(Reading(time, 21, BAY, float(taken)))
        readings.append(Reading(time, 31, GAUGE, level))
    return readings


def local_day(time: datetime) -> datetime:
    local = time.astimezone(BERLIN)
    return datetime(local.year, local.month, local.day, tzinfo=BERLIN).astimezone(UTC)


def next_midnight(time: datetime) -> datetime:
    local = time.astimezone(BERLIN) + timedelta(days=1)  # on the clock, whatever its hands do meanwhile
    return datetime(local.year, local.month, local.day, tzinfo=BERLIN).astimezone(UTC)


def write(connection: psycopg.Connection, readings: list[Reading]) -> None:
    with connection.cursor().copy(
        "COPY measurement (time, device_id, channel, metric_id, value, quality, place_id) FROM STDIN"
    ) as copy:
        for reading in readings:
            copy.write_row(
                (reading.time, reading.device, 0, reading.quantity, reading.value, 0, reading.quantity)
            )


@pytest.fixture
def readings() -> list[Reading]:
    return year()


@pytest.fixture
def connection(any_db: Database, readings: list[Reading]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(any_db.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO metric (name, unit, kind) VALUES ('water_volume_m3', 'm3', 'counter'), "
            "('parking_occupied', '1', 'state'), ('water_level_m', 'm', 'gauge')"
        )
        write(connection, [reading for reading in readings if not reading.is_late])
        refresh(any_db)
        write(connection, [reading for reading in readings if reading.is_late])
        refresh(any_db)
        yield connection


def test_the_year_has_what_it_is_for(readings: list[Reading]):
    assert 9000 < len(readings) < 11000
    assert {reading.device for reading in readings if reading.quantity == METER} == {11, 12, 13}
    assert sum(reading.is_late for reading in readings) > 100


def test_every_day_and_month_of_the_level(connection: psycopg.Connection, readings: list[Reading]):
    days: dict[datetime, list[float]] = defaultdict(list)
    for reading in readings:
        if reading.quantity == GAUGE:
            days[local_day(reading.time)].append(reading.value)
    found = connection.execute(
        "SELECT bucket, minimum, maximum, average, samples, first, last FROM measurement_daily WHERE place_id = %s",
        (GAUGE,),
    ).fetchall()
    assert {row[0].astimezone(UTC): row[1:] for row in found} == {
        day: (
            min(values),
            max(values),
            pytest.approx(sum(values) / len(values)),
            len(values),
            values[0],
            values[-1],
        )
        for day, values in days.items()
    }
    months: dict[tuple[int, int], int] = defaultdict(int)
    for day, values in days.items():
        local = day.astimezone(BERLIN)
        months[local.year, local.month] += len(values)
    found = connection.execute(
        "SELECT bucket, samples FROM measurement_monthly WHERE place_id = %s", (GAUGE,)
    ).fetchall()
    local = [(bucket.astimezone(BERLIN), samples) for bucket, samples in found]
    assert {(bucket.year, bucket.month): samples for bucket, samples in local} == months


def test_every_day_of_the_bay(connection: psycopg.Connection, readings: list[Reading]):
    held: dict[tuple[datetime, int], timedelta] = defaultdict(timedelta)
    bay = [reading for reading in readings if reading.quantity == BAY]
    ends = [*(reading.time for reading in bay[1:]), bay[-1].time + HOLDS]
    for reading, following in zip(bay, ends, strict=True):
        begin, end = reading.time, min(following, reading.time + HOLDS)
        while begin < end:
            until = min(end, next_midnight(begin))
            held[local_day(begin), int(reading.value)] += until - begin
            begin = until
    found = connection.execute(
        "SELECT bucket, code, seconds FROM state_daily WHERE place_id = %s", (BAY,)
    ).fetchall()
    assert {(row[0].astimezone(UTC), row[1]): row[2] for row in found} == {
        key: pytest.approx(time.total_seconds(), abs=1e-3) for key, time in held.items()
    }
    known = sum(held.values(), timedelta())
    assert timedelta(days=363) < known < timedelta(days=366)  # all but the days of silence


def test_every_day_of_the_meters(connection: psycopg.Connection, readings: list[Reading]):
    """A reading that is lower than the one before is a new beginning; a day has what its readings have added."""
    days: dict[datetime, float] = defaultdict(float)
    before: dict[int, float] = {}
    for reading in readings:
        if reading.quantity == METER:
            gained = reading.value - before.get(reading.device, reading.value)
            days[local_day(reading.time)] += max(gained, 0.0)
            before[reading.device] = reading.value
    found = connection.execute(
        "SELECT bucket, consumed FROM consumption_daily WHERE place_id = %s", (METER,)
    ).fetchall()
    assert {row[0].astimezone(UTC): row[1] for row in found} == {
        day: pytest.approx(volume, abs=1e-6) for day, volume in days.items()
    }
    assert sum(days.values()) > 90
