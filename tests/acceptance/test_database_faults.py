"""What happens to databases, and that the service waits, keeps its memory small, acknowledges nothing and recovers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from smartdorf.db.pool import connected
from smartdorf.simulate import Message
from smartdorf.simulate.frames import Payload, lht65n
from smartdorf.simulate.load import load_messages, load_village
from smartdorf.simulate.publish import publish
from smartdorf.simulate.village import LHT65N
from tests.acceptance.conftest import Mortal
from tests.support.database_proxy import DatabaseProxy
from tests.support.locks import Locks
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import Database
from tests.support.service import ServiceProcess, until
from tests.support.speaker import Speaker, speaker
from tests.support.traffic import Traffic, fetch, onboard, until_rows, value

DEVICES = 50
TWO_BATCHES = 2000  # messages: all that is ever in memory
HELD = 'smartdorf_source_held{source="village"}'
COLD = """
groups:
  - name: acceptance
    rules:
      - alert: Cold
        title: {de: "Kalt", en: "Cold"}
        for_each: {device: {category: environment}}
        when: air_temperature_c < 10
        for: 3 readings
        severity: warning
        notify: [it]
        mode: live
        summary: {de: "{air_temperature_c}", en: "{air_temperature_c}"}
"""


async def test_a_database_that_restarts_crashes_and_is_down_for_a_while(
    mortal: Mortal, broker: Mosquitto, folder: Path, seed: int
) -> None:
    database = mortal.database
    await onboard(database, load_village(seed=seed, devices=DEVICES))
    traffic = Traffic()
    messages = load_messages(9000, seed=seed, devices=DEVICES, encoding="mixed")
    async with ServiceProcess(folder, database, broker.port) as service:
        publishing = asyncio.create_task(
            publish(traffic.record(messages[:6000]), host="127.0.0.1", port=broker.port)
        )
        await until_rows(database, 1000)
        await asyncio.to_thread(mortal.server.restart)
        await until_rows(database, 3000)
        await asyncio.to_thread(mortal.server.kill)
        await publishing
        await publish(traffic.record(messages[6000:]), host="127.0.0.1", port=broker.port)

        async def knows() -> bool:
            status, text = await service.get("/readyz")
            return status == 503 and "database" in text

        await until(knows, "/readyz says that the database is away")
        await until(lambda: _is(service, HELD, TWO_BATCHES), "it has read two batches")
        await asyncio.sleep(1.0)
        assert await service.metric(HELD) == TWO_BATCHES, "it reads on without a database"
        assert await service.metric("smartdorf_database_up") == 0
        # nothing of this was acknowledged: another process is given all of it again
        service.kill()
        await service.start(ready=False)
        await until(knows, "/readyz says that the database is away")
        await asyncio.to_thread(mortal.server.start)
        await traffic.until_stored(database)
        await service.until_ready()
        assert await service.metric("smartdorf_database_up") == 1
    await traffic.check_uplinks(database)


async def test_a_database_that_has_become_read_only_is_waited_for(
    database: Database, broker: Mosquitto, folder: Path, seed: int
) -> None:
    """As after a failover to a standby, or on a full disk."""
    await onboard(database, load_village(seed=seed, devices=DEVICES))
    traffic = Traffic()
    messages = load_messages(1200, seed=seed, devices=DEVICES)
    async with ServiceProcess(folder, database, broker.port) as service:
        await publish(traffic.record(messages[:600]), host="127.0.0.1", port=broker.port)
        await traffic.until_stored(database)
        await _set_read_only(database, "on")
        await publish(traffic.record(messages[600:]), host="127.0.0.1", port=broker.port)
        await until(lambda: _is(service, "smartdorf_database_up", 0), "it notices")
        await until(lambda: _is(service, HELD, 600), "it holds the messages")
        await _set_read_only(database, "off")
        await traffic.until_stored(database)
        await service.until_ready()
    await traffic.check_uplinks(database)


async def test_a_connection_to_the_database_that_is_half_open_is_given_up(
    database: Database, broker: Mosquitto, folder: Path, seed: int
) -> None:
    await onboard(database, load_village(seed=seed, devices=DEVICES))
    traffic = Traffic()
    messages = load_messages(3000, seed=seed, devices=DEVICES)
    shortened = {"smartdorf.db.pool.COMMAND_TIMEOUT": 2.0}  # a minute
    async with (
        DatabaseProxy(database) as network,
        ServiceProcess(folder, network.database, broker.port, shortened=shortened) as service,
    ):
        publishing = asyncio.create_task(
            publish(traffic.record(messages), host="127.0.0.1", port=broker.port)
        )
        await until_rows(database, 500)
        network.stall()
        await publishing
        await traffic.until_stored(database)
        await service.until_ready()
        assert service.logged("database lost; nothing is acknowledged until it is back")
    await traffic.check_uplinks(database)


async def test_commits_whose_outcome_is_unknown_lose_nothing_and_store_nothing_twice(
    database: Database, broker: Mosquitto, folder: Path, seed: int
) -> None:
    await onboard(database, load_village(seed=seed, devices=DEVICES))
    traffic = Traffic()
    messages = load_messages(4000, seed=seed, devices=DEVICES)
    async with (
        DatabaseProxy(database) as network,
        ServiceProcess(folder, network.database, broker.port) as service,
    ):
        network.cut_at_commits("answer", "commit", "answer", "answer", "commit")
        await publish(traffic.record(messages), host="127.0.0.1", port=broker.port)
        await until(lambda: not network.armed, "all of the cuts have happened")
        await traffic.until_stored(database)
        await service.until_ready()
    assert network.cuts == 5
    await traffic.check_uplinks(database)
    missing = await value(database, "SELECT sum(last_f_cnt - first_f_cnt + 1 - received) FROM frame_gap")
    assert missing == 0


@pytest.mark.parametrize("lost", ["answer", "commit"])
async def test_a_reading_whose_commit_is_uncertain_counts_once(
    database: Database, broker: Mosquitto, folder: Path, lost: str
) -> None:
    """The rule asks for three readings: one that was evaluated twice would make it fire with two."""
    village, sensor = speaker(LHT65N)
    await onboard(database, village)
    async with (
        DatabaseProxy(database) as network,
        ServiceProcess(folder, network.database, broker.port, rules=COLD) as service,
    ):
        begin = datetime.now(UTC) - timedelta(minutes=30)
        for number in range(3):
            at = begin + timedelta(minutes=5 * number)
            payload = lht65n(battery_v=3.0, temperature_c=4.0, humidity_pct=80.0)
            network.cut_at_commits("answer" if lost == "answer" else "commit")
            await publish([sensor.up(payload, at)], host="127.0.0.1", port=broker.port)
            await until(lambda: not network.armed, "the connection was cut")
            await until_rows(database, number + 1)
            await service.until_ready()
            state = await fetch(database, "SELECT phase, readings, since FROM rule_state WHERE rule = 'Cold'")
            assert [tuple(row) for row in state] == [
                ("firing" if number == 2 else "pending", number + 1, begin)
            ]
    assert network.cuts == 3
    fired = await fetch(database, "SELECT since, fired_at FROM alert WHERE rule = 'Cold'")
    assert [tuple(row) for row in fired] == [(begin, begin + timedelta(minutes=10))]
    told = (
        "SELECT o.receiver, e.kind FROM outbox o JOIN alert_event e ON e.id = o.alert_event_id "
        "JOIN alert a ON a.id = e.alert_id WHERE a.rule = 'Cold'"
    )
    assert [tuple(row) for row in await fetch(database, told)] == [("it", "fired")]


async def test_poisonous_rows_in_a_batch_are_set_aside_and_the_others_stored(
    database: Database, broker: Mosquitto, folder: Path, seed: int
) -> None:
    """PostgreSQL's jsonb cannot hold NUL, and only PostgreSQL says so; a `real` cannot hold every float."""
    _village, stranger = speaker(LHT65N, seed=seed + 1)
    await onboard(database, load_village(seed=seed, devices=DEVICES))
    payload = lht65n(battery_v=3.0, temperature_c=20.0, humidity_pct=50.0)
    poison = [stranger.message(stranger.event(payload) | {"object": {"text": f"{n}\0"}}) for n in range(3)]
    poison.append(_heard_impossibly_well(stranger, payload))
    good = load_messages(300, seed=seed, devices=DEVICES)
    traffic = Traffic()
    async with ServiceProcess(folder, database, broker.port) as service:
        async with Locks(database, "uplink") as locks:  # so that the next ones become one batch
            await publish(traffic.record(good[:1]), host="127.0.0.1", port=broker.port)
            await locks.until_waiting("uplink")
            rest = list(traffic.record(good[1:]))
            batch = [poison[0], *rest[:100], poison[1], *rest[100:200], poison[3], *rest[200:], poison[2]]
            await publish(batch, host="127.0.0.1", port=broker.port)
            await until(lambda: _is(service, HELD, 304), "all are in its memory")
        await traffic.until_stored(database)
        # and life goes on behind it
        await publish(
            traffic.record(load_messages(1, seed=seed + 2, devices=1), status="unknown_device"),
            host="127.0.0.1",
            port=broker.port,
        )
        await traffic.until_stored(database)
        assert await service.metric("smartdorf_batch_messages_sum") >= 305
    await traffic.check_uplinks(database)
    refused = await fetch(database, "SELECT reason, topic, payload FROM quarantine")
    assert {tuple(row) for row in refused} == {
        ("refused_by_database", message.topic, message.payload) for message in poison
    }


@pytest.mark.timeout(180)
async def test_sixty_thousand_queued_messages_and_a_slow_database_need_no_more_memory(
    database: Database, broker: Mosquitto, folder: Path, seed: int
) -> None:
    await onboard(database, load_village(seed=seed, devices=500))
    async with (
        DatabaseProxy(database) as network,
        ServiceProcess(folder, network.database, broker.port) as service,
    ):
        await service.stop()  # from now on the broker keeps everything
        messages = load_messages(60_000, seed=seed, devices=500)
        published = await publish(messages, host="127.0.0.1", port=broker.port, window=1000)
        assert published.acknowledged == 60_000
        ids = {json.loads(message.payload)["deduplicationId"] for message in messages}
        del messages
        network.delay = 0.002  # seconds for each piece of data, in both directions
        await service.start(ready=False)
        most = 0.0
        async with asyncio.timeout(120):
            while not await value(database, "SELECT count(*) >= 60000 FROM uplink"):
                most = max(most, await service.metric(HELD))
                await asyncio.sleep(0.5)
        assert TWO_BATCHES / 2 <= most <= TWO_BATCHES
    stored = {str(row[0]) for row in await fetch(database, "SELECT deduplication_id FROM uplink")}
    assert stored == ids


def _heard_impossibly_well(device: Speaker, payload: Payload) -> Message:
    """By the weaker one of two gateways, whose SNR is in table reception only."""
    event = device.event(payload)
    second = event["rxInfo"][0] | {"gatewayId": "ab" * 8, "snr": -1e300}
    return device.message(event | {"rxInfo": [*event["rxInfo"], second]})


async def _set_read_only(database: Database, switch: str) -> None:
    name = urlsplit(database.dsn).path.lstrip("/")
    async with connected(database.dsn) as connection:
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {switch}')
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'smartdorf writer%' AND datname = current_database()"
        )


async def _is(service: ServiceProcess, metric: str, expected: float) -> bool:
    return await service.metric(metric) == expected
