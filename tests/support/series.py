"""Raw measurements written straight into the database, where a test is about what is made of them."""

from collections.abc import Iterable
from datetime import UTC, datetime

import psycopg

from tests.support.postgres import Database

SPRING_FORWARD = datetime(2026, 3, 29, 1, tzinfo=UTC)  # 02:00 becomes 03:00 in Berlin
FALL_BACK = datetime(2026, 10, 25, 1, tzinfo=UTC)  # 03:00 becomes 02:00 again

QUANTITIES = {
    "air_temperature_c": "gauge",
    "parking_occupied": "state",
    "water_level_m": "gauge",
}  # standard, short and long of the vocabulary


AGGREGATES = (
    "measurement_hourly",
    "measurement_daily",
    "measurement_monthly",
    "state_part_hourly",
    "state_part_daily",
    "frame_part_daily",
)  # each after those that it is made of


def refresh(database: Database) -> None:
    """What TimescaleDB's jobs do; ordinary views need none."""
    if database.profile == "timescale":
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            for view in AGGREGATES:
                connection.execute(f"CALL refresh_continuous_aggregate('{view}', NULL, NULL)")


def metric_ids(connection: psycopg.Connection) -> dict[str, int]:
    """Quantities and their ids; the service adds them at its start, here the test does."""
    for name, kind in QUANTITIES.items():
        connection.execute(
            "INSERT INTO metric (name, unit, kind) VALUES (%s, '1', %s) ON CONFLICT DO NOTHING", (name, kind)
        )
    return dict(connection.execute("SELECT name, id FROM metric").fetchall())


def insert(
    connection: psycopg.Connection,
    values: Iterable[tuple[datetime, float]],
    *,
    metric: int,
    device: int = 1,
    place: int | None = 1,
    quality: int = 0,
) -> None:
    """Measurements of one series."""
    rows = [(time, device, 0, metric, value, quality, place) for time, value in values]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO measurement (time, device_id, channel, metric_id, value, quality, place_id) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s)",
            rows,
        )
