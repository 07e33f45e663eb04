"""What people ask of a running service: this device is of that model, try these messages again."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from smartdorf.simulate.frames import lht65n
from smartdorf.simulate.publish import publish
from smartdorf.simulate.village import LHT65N
from tests.support.database_proxy import DatabaseProxy
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import Database
from tests.support.service import ServiceProcess, until
from tests.support.speaker import Speaker, speaker
from tests.support.traffic import fetch, onboard, until_rows, value

PAYLOAD = lht65n(battery_v=3.0, temperature_c=20.5, humidity_pct=50.0)


async def test_an_unknown_device_is_stored_raw_and_decoded_once_it_is_added(
    database: Database, broker: Mosquitto, folder: Path, tmp_path: Path
) -> None:
    village, device = speaker(LHT65N)
    dev_eui, place = device.device.dev_eui, device.device.place.slug
    await onboard(database, village, devices=False)
    begin = datetime.now(UTC) - timedelta(hours=12)
    times = [begin + timedelta(minutes=number) for number in range(600)]  # more than one slice
    async with ServiceProcess(folder, database, broker.port) as service:
        await publish((device.up(PAYLOAD, at) for at in times), host="127.0.0.1", port=broker.port)
        await until_rows(database, 600)
        assert await _statuses(database) == {"unknown_device": 600}
        assert await value(database, "SELECT count(*) FROM measurement") == 0
        listed = await service.command("devices", "list", "--unknown", "--json")
        (unknown,) = json.loads(listed.stdout)
        assert (unknown["dev_eui"], unknown["received"], unknown["missing"]) == (dev_eui, 600, 0)
        assert LHT65N in unknown["candidates"]

        # over a slow line: the service must not begin before it knows the place, too
        async with DatabaseProxy(database) as line:
            line.delay = 0.03
            desk = ServiceProcess(tmp_path / "desk", line.database, broker.port)
            added = await desk.command("devices", "add", dev_eui, "--model", LHT65N, "--place", place)
        assert added.returncode == 0, added.stderr

        async def decoded() -> bool:
            return await _statuses(database) == {"decoded": 600}

        await until(decoded, "its past is decoded")
        # and what it says from now on is decoded at once
        now = datetime.now(UTC)
        await publish([device.up(PAYLOAD, now)], host="127.0.0.1", port=broker.port)
        await until_rows(database, 601)
    assert await _statuses(database) == {"decoded": 601}
    rows = await fetch(
        database,
        "SELECT m.time, p.slug, m.value FROM measurement m JOIN metric q ON q.id = m.metric_id "
        "JOIN place p ON p.id = m.place_id WHERE q.name = 'air_temperature_c' ORDER BY m.time",
    )
    assert [tuple(row) for row in rows] == [(at, place, 20.5) for at in [*times, now]]
    assert await value(database, "SELECT count(*) FROM redecode_request") == 0
    assert await value(database, "SELECT min(time) FROM measurement_latest") == now


async def test_a_device_added_while_nothing_runs_is_decoded_when_the_service_starts(
    database: Database, broker: Mosquitto, folder: Path
) -> None:
    village, device = speaker(LHT65N)
    await onboard(database, village, devices=False)
    async with ServiceProcess(folder, database, broker.port) as service:
        messages = [device.up(PAYLOAD, datetime.now(UTC) - timedelta(hours=n)) for n in (3, 2, 1)]
        await publish(messages, host="127.0.0.1", port=broker.port)
        await until_rows(database, 3)
        await service.stop()
        await service.command("devices", "add", device.device.dev_eui, "--model", LHT65N)
        assert await _statuses(database) == {"unknown_device": 3}
        await service.start()

        async def decoded() -> bool:
            return await _statuses(database) == {"decoded": 3}

        await until(decoded, "its past is decoded")


async def test_quarantined_messages_are_used_once_their_reason_is_gone(
    database: Database, broker: Mosquitto, folder: Path
) -> None:
    """The clock of ChirpStack's server is an hour and some seconds ahead: its messages wait until their time comes."""
    village, device = speaker(LHT65N)
    await onboard(database, village)
    async with ServiceProcess(folder, database, broker.port) as service:
        ahead = datetime.now(UTC) + timedelta(hours=1, seconds=15)
        first, second = (_from(device, ahead + timedelta(milliseconds=n)) for n in (0, 1))
        useless = device.raw(b"Error 503")
        await publish([first, second, useless], host="127.0.0.1", port=broker.port)
        await _until_quarantined(database, 3)
        again = await _replay(service)
        assert again == (1, {"used": 0, "refused": 3, "waiting": 0})
        assert await _reasons(database) == {"future_time": 2, "unreadable": 1}

        await until(lambda: datetime.now(UTC) > ahead - timedelta(hours=1), "the clocks agree")
        (number,) = await fetch(database, "SELECT id FROM quarantine WHERE payload = $1", first.payload)
        one = await _replay(service, str(number[0]))
        assert one == (0, {"used": 1, "refused": 0, "waiting": 0})
        assert await _statuses(database) == {"decoded": 1}

        # and without a service: the command does it itself
        await service.stop()
        rest = await _replay(service)
        assert rest == (1, {"used": 1, "refused": 1, "waiting": 0})
    assert await _statuses(database) == {"decoded": 2}
    assert await _reasons(database) == {"unreadable": 1}
    assert await value(database, "SELECT count(*) FROM quarantine WHERE replayed_at IS NOT NULL") == 2


async def test_a_thousand_replays_hold_up_no_uplink(
    database: Database, broker: Mosquitto, folder: Path
) -> None:
    village, device = speaker(LHT65N)
    await onboard(database, village)
    async with ServiceProcess(folder, database, broker.port) as service:
        rubbish = [device.raw(f"Error {number}".encode()) for number in range(1000)]
        await publish(rubbish, host="127.0.0.1", port=broker.port)
        await _until_quarantined(database, 1000)
        replaying = asyncio.create_task(_replay(service))
        waiting = "SELECT count(*) FROM quarantine WHERE replay_requested_at IS NOT NULL"

        async def begun() -> bool:
            return bool(await value(database, waiting))

        await until(begun, "the replay has begun")
        await publish([device.up(PAYLOAD)], host="127.0.0.1", port=broker.port)
        await until_rows(database, 1)
        left = await value(database, waiting)
        assert await replaying == (1, {"used": 0, "refused": 1000, "waiting": 0})
        assert left > 0, "the uplink had to wait for all of them"


def _from(device: Speaker, at: datetime) -> Any:
    return device.message(device.event(PAYLOAD, at))


async def _replay(service: ServiceProcess, *which: str) -> tuple[int, dict[str, int]]:
    done = await service.command("quarantine", "replay", *(which or ("--all",)), "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


async def _until_quarantined(database: Database, count: int) -> None:
    async def quarantined() -> bool:
        return bool(await value(database, "SELECT count(*) FROM quarantine") == count)

    await until(quarantined, f"{count} messages are in quarantine")


async def _reasons(database: Database) -> dict[str, int]:
    query = "SELECT reason, count(*) FROM quarantine WHERE replayed_at IS NULL GROUP BY reason"
    return {row[0]: row[1] for row in await fetch(database, query)}


async def _statuses(database: Database) -> dict[str, int]:
    rows = await fetch(database, "SELECT status, count(*) FROM uplink GROUP BY status")
    return {row[0]: row[1] for row in rows}
