"""What is too old goes, by the class of its quantity, with everything that carries it; the rest stays."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from smartdorf.db.retention import Retention, delete_expired
from tests.support.postgres import Database
from tests.support.series import insert, metric_ids

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
KEPT = Retention(
    {"short": 60 * DAY, "standard": 400 * DAY, "long": 3660 * DAY},
    {"parking_occupied": "short", "air_temperature_c": "standard", "water_level_m": "long"},
)
BAY, ROOM, STRANGER = 1, 2, 3  # devices
NOTHING = {
    "measurement": 0, "uplink": 0, "reception": 0, "device_event": 0, "measurement_latest": 0, "quarantine": 0,
    "alert": 0,
}  # fmt: skip


@pytest.fixture
def connection(any_db: Database):
    with psycopg.connect(any_db.dsn, autocommit=True) as connection:
        yield connection


def uplink(connection: psycopg.Connection, device: int, time: datetime) -> None:
    connection.execute(
        "INSERT INTO uplink (time, deduplication_id, device_id, dev_addr, f_cnt, f_port, dr, adr, confirmed, "
        "encrypted, data, gateway_count, received_at, status) "
        "VALUES (%s, %s, %s, '01a3f27c', 1, 2, 3, true, false, false, '\\x00', 1, %s, 'decoded')",
        (time, uuid4(), device, time),
    )
    connection.execute(
        "INSERT INTO reception (time, device_id, gateway_id, f_cnt, rssi, snr) VALUES (%s, %s, 1, 1, -100, 5)",
        (time, device),
    )


def latest(connection: psycopg.Connection, device: int, metric: int, time: datetime) -> None:
    connection.execute(
        "INSERT INTO measurement_latest (device_id, channel, metric_id, time, value, quality) "
        "VALUES (%s, 0, %s, %s, 1, 0)",
        (device, metric, time),
    )


def times(connection: psycopg.Connection, table: str, column: str, value: int) -> list[datetime]:
    query = f"SELECT time FROM {table} WHERE {column} = %s ORDER BY time"
    return [row[0] for row in connection.execute(query, (value,)).fetchall()]


async def test_values_live_as_long_as_their_class_says(any_db: Database, connection: psycopg.Connection):
    metrics = metric_ids(connection)
    ages = [NOW - 59 * DAY, NOW - 61 * DAY, NOW - 399 * DAY, NOW - 401 * DAY, NOW - 4000 * DAY]
    for name in KEPT.classes:
        insert(connection, [(time, 1.0) for time in ages], metric=metrics[name])
    rows = await delete_expired(any_db.dsn, any_db.profile, KEPT, NOW, dry_run=True)
    assert rows == NOTHING | {"measurement": 4 + 2 + 1}
    await delete_expired(any_db.dsn, any_db.profile, KEPT, NOW)
    assert times(connection, "measurement", "metric_id", metrics["parking_occupied"]) == ages[:1]
    assert times(connection, "measurement", "metric_id", metrics["air_temperature_c"]) == ages[2::-1]
    assert times(connection, "measurement", "metric_id", metrics["water_level_m"]) == ages[3::-1]
    assert await delete_expired(any_db.dsn, any_db.profile, KEPT, NOW) == NOTHING


async def test_an_uplink_lives_no_longer_than_the_strictest_of_its_values(
    any_db: Database, connection: psycopg.Connection
):
    metrics = metric_ids(connection)
    latest(connection, BAY, metrics["parking_occupied"], NOW)
    latest(connection, BAY, metrics["air_temperature_c"], NOW)
    latest(connection, ROOM, metrics["air_temperature_c"], NOW)
    for device in (BAY, ROOM, STRANGER):
        for age in (59, 61, 401):
            uplink(connection, device, NOW - age * DAY)
    await delete_expired(any_db.dsn, any_db.profile, KEPT, NOW)
    for table in ("uplink", "reception"):
        assert times(connection, table, "device_id", BAY) == [NOW - 59 * DAY]
        assert times(connection, table, "device_id", ROOM) == [NOW - 61 * DAY, NOW - 59 * DAY]
        # nobody knows what it says: the strictest class counts
        assert times(connection, table, "device_id", STRANGER) == [NOW - 59 * DAY]


async def test_what_could_not_be_used_goes_with_the_strictest_class(
    any_db: Database, connection: psycopg.Connection
):
    for age in (59, 61):
        connection.execute(
            "INSERT INTO quarantine (hash, topic, payload, reason, detail, source, received_at) "
            "VALUES (%s, 't', '\\x00', 'unreadable', '', 'village', %s)",
            (bytes([age]), NOW - age * DAY),
        )
    rows = await delete_expired(any_db.dsn, any_db.profile, KEPT, NOW)
    assert rows == NOTHING | {"quarantine": 1}


async def test_an_old_alert_stays_without_its_values_and_an_open_one_as_it_is(
    any_db: Database, connection: psycopg.Connection
):
    def alert(place: int, resolved: datetime | None) -> int:
        state = "firing" if resolved is None else "resolved"
        [number] = connection.execute(
            "INSERT INTO alert (rule, rule_version, subject_kind, subject_id, severity, state, since, fired_at, "
            "resolved_at, title, summary, action, inputs) VALUES ('BayTaken', '1', 'place', %s, 'info', %s, %s, %s, "
            '%s, \'{"de": "Belegt"}\', \'{"de": "Bucht 7: belegt"}\', \'{}\', '
            "'{\"parking_occupied\": 1}') RETURNING id",
            (place, state, NOW - 90 * DAY, NOW - 90 * DAY, resolved),
        ).fetchone()
        connection.execute(
            "INSERT INTO alert_event (alert_id, kind, time, recorded_at, summary, inputs) "
            "VALUES (%s, 'fired', %s, %s, '{\"de\": \"Bucht 7: belegt\"}', '{\"parking_occupied\": 1}')",
            (number, NOW - 90 * DAY, NOW - 90 * DAY),
        )
        return number

    old, recent, still_open = alert(1, NOW - 61 * DAY), alert(2, NOW - 59 * DAY), alert(3, None)
    rows = await delete_expired(any_db.dsn, any_db.profile, KEPT, NOW)
    assert rows == NOTHING | {"alert": 1}
    for table, key in (("alert", "id"), ("alert_event", "alert_id")):
        query = f"SELECT {key}, summary ->> 'de', inputs FROM {table}"
        found = {row[0]: row[1:] for row in connection.execute(query).fetchall()}
        assert found[old] == ("Belegt", {})
        assert found[recent] == found[still_open] == ("Bucht 7: belegt", {"parking_occupied": 1})
    assert await delete_expired(any_db.dsn, any_db.profile, KEPT, NOW) == NOTHING


async def test_what_was_deleted_is_noted_and_counting_alone_is_not(
    any_db: Database, connection: psycopg.Connection
):
    insert(connection, [(NOW - 61 * DAY, 1.0)], metric=metric_ids(connection)["parking_occupied"])
    await delete_expired(any_db.dsn, any_db.profile, KEPT, NOW, dry_run=True)
    await delete_expired(any_db.dsn, any_db.profile, KEPT, NOW)
    await delete_expired(any_db.dsn, any_db.profile, KEPT, NOW)
    notes = connection.execute("SELECT action, subject, detail FROM audit_log").fetchall()
    assert notes == [("retention.delete", "expired", NOTHING | {"measurement": 1})]


async def test_a_quantity_that_the_vocabulary_no_longer_has_is_kept_longest(
    any_db: Database, connection: psycopg.Connection
):
    metric = metric_ids(connection)["parking_occupied"]
    insert(connection, [(NOW - 3000 * DAY, 1.0)], metric=metric)
    forgotten = Retention(KEPT.keep, {"air_temperature_c": "standard"})
    assert await delete_expired(any_db.dsn, any_db.profile, forgotten, NOW) == NOTHING
