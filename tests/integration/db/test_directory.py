"""Places, devices and installations in the database, and what stays in the audit log."""

from datetime import UTC, datetime

import pytest

from smartdorf.db import directory as db
from smartdorf.db.batches import UnknownDevice, add_devices
from smartdorf.db.pool import connected
from smartdorf.errors import NotFoundError, UsageError
from tests.support.postgres import Database

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
EUI, OTHER = "24e124136c012345", "24e124136c054321"


async def village(connection) -> None:
    await db.add_place(
        connection,
        slug="glas-kirchplatz",
        name="Glascontainer Kirchplatz",
        place_type="container",
        tags={"fraction": "glass"},
        parameters={"mounting_height_m": 1.8},
    )
    await db.add_place(connection, slug="glas-schule", name="Glascontainer Schule", place_type="container")
    await db.add_device(connection, dev_eui=EUI, model="milesight/em400-mud", name="Sensor 1")


async def test_what_was_added_is_read_back(any_db: Database):
    async with connected(any_db.dsn) as connection:
        await village(connection)
        await db.install(connection, dev_eui=EUI, place="glas-kirchplatz", since=MARCH)
        directory = await db.load_directory(connection)
    device = directory.by_dev_eui[EUI]
    assert (device.model, device.name) == ("milesight/em400-mud", "Sensor 1")
    place = directory.place_at(device.id, 0, APRIL)
    assert place is not None
    assert (place.slug, place.tags, place.tenant) == ("glas-kirchplatz", {"fraction": "glass"}, "village")
    assert directory.parameters_at(device, APRIL) == {"mounting_height_m": 1.8}
    assert directory.place_at(device.id, 0, datetime(2026, 2, 1, tzinfo=UTC)) is None


async def test_a_device_that_moves_keeps_its_past(any_db: Database):
    async with connected(any_db.dsn) as connection:
        await village(connection)
        await db.install(connection, dev_eui=EUI, place="glas-kirchplatz", since=MARCH)
        await db.install(connection, dev_eui=EUI, place="glas-schule", since=APRIL)
        directory = await db.load_directory(connection)
    device = directory.by_dev_eui[EUI].id
    march, may = datetime(2026, 3, 15, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    assert directory.place_at(device, 0, march).slug == "glas-kirchplatz"
    assert directory.place_at(device, 0, may).slug == "glas-schule"


async def test_two_channels_of_one_box_watch_two_places(any_db: Database):
    async with connected(any_db.dsn) as connection:
        await village(connection)
        await db.install(connection, dev_eui=EUI, place="glas-kirchplatz", channel=1, since=MARCH)
        await db.install(connection, dev_eui=EUI, place="glas-schule", channel=2, since=MARCH)
        directory = await db.load_directory(connection)
    device = directory.by_dev_eui[EUI].id
    assert directory.place_at(device, 1, APRIL).slug == "glas-kirchplatz"
    assert directory.place_at(device, 2, APRIL).slug == "glas-schule"
    assert directory.place_at(device, 3, APRIL) is None


async def test_adding_again_changes_and_adds_nothing(any_db: Database):
    async with connected(any_db.dsn) as connection:
        await village(connection)
        new = await db.add_place(
            connection,
            slug="glas-schule",
            name="Glas Grundschule",
            place_type="container",
            limits={"full": 70},
        )
        assert new is False
        assert await db.add_device(connection, dev_eui=EUI, model="milesight/em400-mud") is False
        directory = await db.load_directory(connection)
    assert sorted((place.name, dict(place.limits)) for place in directory.places.values()) == [
        ("Glas Grundschule", {"full": 70}),
        ("Glascontainer Kirchplatz", {}),
    ]
    assert directory.by_dev_eui[EUI].name == "Sensor 1"


async def test_every_change_is_audited(any_db: Database):
    async with connected(any_db.dsn) as connection:
        await village(connection)
        await db.install(connection, dev_eui=EUI, place="glas-kirchplatz", since=MARCH)
        rows = await connection.fetch("SELECT action, subject FROM audit_log ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("place.add", "glas-kirchplatz"),
        ("place.add", "glas-schule"),
        ("device.add", EUI),
        ("device.install", EUI),
    ]


async def test_onboarding_asks_for_the_past_to_be_decoded_and_a_mere_rename_does_not(any_db: Database):
    async with connected(any_db.dsn) as connection:
        await connection.execute("INSERT INTO device (dev_eui) VALUES ($1)", EUI)
        await db.add_device(connection, dev_eui=EUI, model="milesight/em400-mud")
        assert await connection.fetchval("SELECT count(*) FROM redecode_request") == 1
        await connection.execute("DELETE FROM redecode_request")
        await db.add_device(connection, dev_eui=EUI, model="milesight/em400-mud", name="Neu")
        assert await connection.fetchval("SELECT count(*) FROM redecode_request") == 0


async def test_unknown_names_are_refused_with_a_hint(any_db: Database):
    async with connected(any_db.dsn) as connection:
        await village(connection)
        with pytest.raises(NotFoundError, match='did you mean "glas-kirchplatz"'):
            await db.install(connection, dev_eui=EUI, place="glas-kirchplaz", since=MARCH)
        with pytest.raises(NotFoundError, match=f"unknown device {OTHER}"):
            await db.install(connection, dev_eui=OTHER, place="glas-schule", since=MARCH)
        with pytest.raises(NotFoundError, match='unknown tenant "dorf"'):
            await db.add_place(connection, slug="x", name="x", place_type="room", tenant="dorf")


async def test_a_move_before_the_present_installation_is_refused(any_db: Database):
    async with connected(any_db.dsn) as connection:
        await village(connection)
        await db.install(connection, dev_eui=EUI, place="glas-kirchplatz", since=APRIL)
        with pytest.raises(UsageError, match="only on 2026-04-01"):
            await db.install(connection, dev_eui=EUI, place="glas-schule", since=MARCH)


@pytest.mark.parametrize("change", ["place", "device", "installation"])
async def test_the_service_hears_of_every_change(plain_db: str, change: str):
    heard: list[str] = []
    async with connected(plain_db) as listener, connected(plain_db) as connection:
        await village(connection)
        await listener.add_listener("smartdorf", lambda *message: heard.append(message[3]))
        if change == "place":
            await db.add_place(connection, slug="glas-schule", name="Neu", place_type="container")
        elif change == "device":
            await db.add_device(connection, dev_eui=OTHER, model="milesight/em400-mud")
        else:
            await db.install(connection, dev_eui=EUI, place="glas-schule", since=MARCH)
        await listener.execute("SELECT 1")
    assert "directory" in heard


async def test_the_writer_itself_makes_no_noise(plain_db: str):
    heard: list[str] = []
    async with connected(plain_db) as listener, connected(plain_db) as connection:
        await listener.add_listener("smartdorf", lambda *message: heard.append(message[3]))
        await add_devices(connection, [UnknownDevice(EUI, "new", "", "")])
        await listener.execute("SELECT 1")
    assert heard == []
