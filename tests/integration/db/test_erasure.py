"""Erased is erased: raw values, aggregates, uplinks, quarantine, alerts; nobody else's; and again after a restore."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from smartdorf.db.erasure import Erasure, count_erased, erase, fetch_erasures, finish_erasures
from tests.support.postgres import Database
from tests.support.series import insert, refresh

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
BEGIN = datetime(2026, 4, 28, 10, tzinfo=UTC)  # readings at noon in Berlin, for ten days
SWAP = BEGIN + 6 * DAY + HOUR  # the meter of the first flat is exchanged after its seventh reading
NOW = BEGIN + 20 * DAY
FLAT, NEIGHBOUR = 1, 2  # places
OLD, NEW, OTHER = 1, 2, 3  # devices: the flat's two, and the neighbour's
VOLUME, WARMTH = 1, 2  # quantities
VIEWS = (
    "measurement",
    "measurement_hourly",
    "measurement_daily",
    "measurement_monthly",
    "measurement_latest",
)


@pytest.fixture
def connection(any_db: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(any_db.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO metric (name, unit, kind) VALUES ('water_volume_m3', 'm3', 'counter'), "
            "('air_temperature_c', 'Cel', 'gauge')"
        )
        connection.execute(
            "INSERT INTO place (tenant_id, slug, name, place_type) VALUES (1, 'flat', 'x', 'meter_point'), "
            "(1, 'neighbour', 'x', 'meter_point')"
        )
        connection.execute(
            "INSERT INTO device (dev_eui) SELECT lpad(n::text, 16, '0') FROM generate_series(1, 3) n"
        )
        connection.execute(
            "INSERT INTO installation (device_id, place_id, valid_from, valid_to) "
            "VALUES (1, 1, %(begin)s, %(swap)s), (2, 1, %(swap)s, NULL), (3, 2, %(begin)s, NULL)",
            {"begin": BEGIN - DAY, "swap": SWAP},
        )
        for number in range(10):
            time = BEGIN + number * DAY
            device = OLD if time < SWAP else NEW
            for sender, place in ((device, FLAT), (OTHER, NEIGHBOUR)):
                insert(connection, [(time, number)], metric=VOLUME, device=sender, place=place)
                insert(connection, [(time, 20.0)], metric=WARMTH, device=sender, place=place)
                send(connection, sender, time)
        connection.execute(
            "INSERT INTO measurement_latest SELECT device_id, channel, metric_id, max(time), 0, 0, place_id "
            "FROM measurement GROUP BY device_id, channel, metric_id, place_id"
        )
        refresh(any_db)
        yield connection


def send(connection: psycopg.Connection, device: int, time: datetime) -> None:
    connection.execute(
        "INSERT INTO uplink (time, deduplication_id, device_id, dev_addr, f_cnt, f_port, dr, adr, confirmed, "
        "encrypted, data, gateway_count, received_at, status) "
        "VALUES (%s, %s, %s, '01', 1, 2, 3, true, false, false, '\\x00', 1, %s, 'decoded')",
        (time, uuid4(), device, time),
    )
    connection.execute(
        "INSERT INTO quarantine (hash, topic, payload, reason, detail, source, received_at) "
        "VALUES (%s, %s, '\\x00', 'unreadable', '', 'village', %s)",
        (uuid4().bytes, f"application/1/device/{device:016d}/event/up", time),
    )


def alert(connection: psycopg.Connection, place: int, quantity: str, fired: datetime) -> int:
    (number,) = connection.execute(
        "INSERT INTO alert (rule, rule_version, subject_kind, subject_id, severity, state, since, fired_at, title, "
        "summary, action, inputs) VALUES (%s, '1', 'place', %s, 'info', 'firing', %s, %s, "
        "jsonb_build_object('de', 'Leck'), jsonb_build_object('de', 'Leck: 7 m³ verbraucht'), '{}', "
        "jsonb_build_object(%s::text, 7)) RETURNING id",
        (f"Leak{place}{quantity}", place, fired, fired, quantity),
    ).fetchone()
    return number


def request(**what: object) -> Erasure:
    return Erasure(requested_at=NOW, actor="it@box", reason="moved out", **{"until": NOW, **what})


def left(connection: psycopg.Connection, table: str, place: int) -> int:
    return connection.execute(f"SELECT count(*) FROM {table} WHERE place_id = %s", (place,)).fetchone()[0]


def of_device(connection: psycopg.Connection, table: str, device: int) -> int:
    where = "device_id = %s" if table == "uplink" else "topic LIKE '%%/' || lpad(%s::text, 16, '0') || '/%%'"
    return connection.execute(f"SELECT count(*) FROM {table} WHERE {where}", (device,)).fetchone()[0]


async def test_of_a_place_everything_goes_and_of_the_neighbour_nothing(
    any_db: Database, connection: psycopg.Connection
):
    before = {view: left(connection, view, NEIGHBOUR) for view in VIEWS}
    rows = await erase(any_db.dsn, any_db.profile, request(places=["flat"]))
    assert {view: left(connection, view, FLAT) for view in VIEWS} == dict.fromkeys(VIEWS, 0)
    assert {view: left(connection, view, NEIGHBOUR) for view in VIEWS} == before
    assert (rows["measurement"], rows["measurement_latest"], rows["uplink"], rows["quarantine"]) == (
        20,
        4,
        10,
        10,
    )
    for table in ("uplink", "quarantine"):
        assert [of_device(connection, table, device) for device in (OLD, NEW, OTHER)] == [0, 0, 10]
    refresh(any_db)  # nor does anything come back
    assert left(connection, "measurement_monthly", FLAT) == 0


async def test_who_moves_out_takes_along_what_was_before(any_db: Database, connection: psycopg.Connection):
    moved = BEGIN + 5 * DAY - HOUR  # five readings before, of them three in April
    await erase(any_db.dsn, any_db.profile, request(places=["flat"], until=moved))
    assert left(connection, "measurement", FLAT) == 10
    assert [of_device(connection, "uplink", device) for device in (OLD, NEW, OTHER)] == [2, 3, 10]
    refresh(any_db)
    months = connection.execute(
        "SELECT samples FROM measurement_monthly WHERE place_id = 1 AND metric_id = %s ORDER BY device_id",
        (VOLUME,),
    ).fetchall()
    assert months == [(2,), (3,)]  # all of May: of the old meter and of the new one


async def test_what_is_older_stays_where_a_beginning_is_given(
    any_db: Database, connection: psycopg.Connection
):
    await erase(any_db.dsn, any_db.profile, request(places=["flat"], begin=BEGIN + 5 * DAY))
    assert left(connection, "measurement", FLAT) == 10
    assert of_device(connection, "uplink", OLD) == 5
    refresh(any_db)
    assert left(connection, "measurement_daily", FLAT) == 10


async def test_a_purpose_that_has_ended(any_db: Database, connection: psycopg.Connection):
    rows = await erase(any_db.dsn, any_db.profile, request(quantities=["water_volume_m3"]))
    left_over = connection.execute("SELECT DISTINCT metric_id FROM measurement").fetchall()
    assert left_over == [(WARMTH,)]
    assert connection.execute("SELECT DISTINCT metric_id FROM measurement_monthly").fetchall() == [(WARMTH,)]
    # their bytes say the volume, too
    assert (rows["uplink"], connection.execute("SELECT count(*) FROM uplink").fetchone()) == (20, (0,))


async def test_options_narrow_each_other(any_db: Database, connection: psycopg.Connection):
    rows = await erase(
        any_db.dsn,
        any_db.profile,
        request(places=["flat"], devices=["0000000000000002"], quantities=["air_temperature_c"]),
    )
    assert (rows["measurement"], rows["uplink"]) == (3, 3)
    assert left(connection, "measurement", FLAT) == 17


async def test_an_alert_keeps_its_title_and_loses_what_it_said(
    any_db: Database, connection: psycopg.Connection
):
    alert(connection, FLAT, "water_volume_m3", BEGIN + DAY)
    alert(connection, FLAT, "air_temperature_c", BEGIN + DAY)
    alert(connection, NEIGHBOUR, "water_volume_m3", BEGIN + DAY)
    rows = await erase(any_db.dsn, any_db.profile, request(places=["flat"], quantities=["water_volume_m3"]))
    assert rows["alert"] == 1
    summaries = connection.execute(
        "SELECT state, summary ->> 'de', inputs = '{}' FROM alert ORDER BY id"
    ).fetchall()
    assert summaries == [
        ("firing", "Leck", True),
        ("firing", "Leck: 7 m³ verbraucht", False),
        ("firing", "Leck: 7 m³ verbraucht", False),
    ]


@pytest.mark.parametrize(
    "what", [{"places": ["flat"]}, {"quantities": ["water_volume_m3"]}, {"devices": ["0" * 15 + "3"]}]
)
async def test_counting_first_says_what_then_goes(
    any_db: Database, connection: psycopg.Connection, what: dict
):
    alert(connection, FLAT, "water_volume_m3", BEGIN + DAY)
    counted = await count_erased(any_db.dsn, any_db.profile, request(**what))
    assert await fetch_erasures(any_db.dsn) == []
    assert left(connection, "measurement", FLAT) == 20
    assert await erase(any_db.dsn, any_db.profile, request(**what)) == counted


async def test_what_was_broken_off_is_finished(any_db: Database, connection: psycopg.Connection):
    erasure = request(places=["flat"])
    connection.execute(
        "INSERT INTO erasure (id, requested_at, actor, reason, places, until) VALUES (%s, %s, 'it', 'x', %s, %s)",
        (erasure.id, NOW, ["flat"], NOW),
    )
    assert await finish_erasures(any_db.dsn, any_db.profile) == 1
    assert left(connection, "measurement", FLAT) == 0
    assert await finish_erasures(any_db.dsn, any_db.profile) == 0


async def test_a_restored_database_is_rid_again_of_what_it_brought_back(
    any_db: Database, connection: psycopg.Connection
):
    await erase(any_db.dsn, any_db.profile, request(places=["flat"]))
    known = await fetch_erasures(any_db.dsn)
    # as a backup from before has it: neither the log nor anything missing
    connection.execute("TRUNCATE erasure")
    insert(connection, [(BEGIN, 5.0)], metric=VOLUME, device=OLD, place=FLAT)
    assert await finish_erasures(any_db.dsn, any_db.profile, known) == 1
    assert left(connection, "measurement", FLAT) == 0
    assert await fetch_erasures(any_db.dsn) == known
    assert await finish_erasures(any_db.dsn, any_db.profile, known) == 0


@pytest.mark.timescale
async def test_aggregates_go_whose_raw_values_are_long_gone(timescale_db: str):
    database = Database(timescale_db, "timescale")
    with psycopg.connect(timescale_db, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO metric (name, unit, kind) VALUES ('water_volume_m3', 'm3', 'counter')"
        )
        connection.execute(
            "INSERT INTO place (tenant_id, slug, name, place_type) VALUES (1, 'flat', 'x', 'm'), (1, 'other', 'x', 'm')"
        )
        for place in (FLAT, NEIGHBOUR):
            insert(connection, [(BEGIN, 1.0)], metric=1, device=place, place=place)
        refresh(database)
        connection.execute("SELECT compress_chunk(c) FROM show_chunks('measurement_hourly') c")
        connection.execute("TRUNCATE measurement")
        rows = await erase(timescale_db, "timescale", request(places=["flat"]))
        assert (rows["measurement_hourly"], rows["measurement_daily"], rows["measurement_monthly"]) == (
            1,
            1,
            1,
        )
        assert left(connection, "measurement_hourly", NEIGHBOUR) == 1
        assert left(connection, "measurement_monthly", NEIGHBOUR) == 1
