"""Compressed chunks are no wall: much late data goes in at once, and much old data goes out.

TimescaleDB unpacks what such a statement touches, and refuses it beyond 100,000 rows unless it is told otherwise.
"""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from smartdorf.db.batches import insert_measurements
from smartdorf.db.pool import connect_writer
from smartdorf.db.retention import Retention, delete_expired
from smartdorf.db.stages import MeasurementRow, create_stages
from tests.support.postgres import Database
from tests.support.series import metric_ids

DAY = timedelta(days=1)
DEVICES, PER_DEVICE = 150, 800  # 120,000 rows
START = datetime(2026, 3, 5, tzinfo=UTC)  # a Thursday: TimescaleDB's weeks begin there
pytestmark = pytest.mark.timescale


@pytest.fixture(params=["timescale", pytest.param("native", marks=pytest.mark.native_timescale)])
def database(request: pytest.FixtureRequest) -> Database:
    database = Database(request.getfixturevalue(f"{request.param}_db"), "timescale")
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        metric = metric_ids(connection)["air_temperature_c"]
        connection.execute(
            "INSERT INTO measurement (time, device_id, channel, metric_id, value, quality) "
            "SELECT %s::timestamptz + number * INTERVAL '10 min', device, 0, %s, number, 0 "
            "FROM generate_series(1, %s) device, generate_series(1, %s) number",
            (START, metric, DEVICES, PER_DEVICE),
        )
        connection.execute("SELECT compress_chunk(chunk) FROM show_chunks('measurement') chunk")
    return database


def count(database: Database) -> int:
    with psycopg.connect(database.dsn) as connection:
        [number] = connection.execute("SELECT count(*) FROM measurement").fetchone()
        return number


@pytest.mark.parametrize("again", [False, True], ids=["late", "decoded again"])
async def test_late_values_of_all_devices_go_in_at_once(database: Database, again: bool):
    with psycopg.connect(database.dsn) as connection:
        metric = metric_ids(connection)["air_temperature_c"]
    time = START + timedelta(minutes=20 if again else 15)
    writer = await connect_writer(database.dsn)
    try:
        await create_stages(writer)
        async with writer.transaction():
            rows = [MeasurementRow(time, device, 0, metric, 7.0, 0, None) for device in range(1, DEVICES + 1)]
            await insert_measurements(writer, rows, replace=again)
    finally:
        writer.terminate()
    assert count(database) == DEVICES * (PER_DEVICE + (not again))


async def test_much_goes_out_at_once(database: Database):
    kept = Retention({"short": 60 * DAY, "standard": 400 * DAY}, {"air_temperature_c": "short"})
    cut = START + 300 * timedelta(minutes=10)  # so that the first 299 values of each device are too old
    rows = await delete_expired(database.dsn, "timescale", kept, cut + 60 * DAY)
    assert rows["measurement"] == 299 * DEVICES
    assert count(database) == (PER_DEVICE - 299) * DEVICES
