"""What brokers and networks do to a subscriber, and that nothing is lost or stored twice by it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from smartdorf.simulate.load import load_messages, load_village
from smartdorf.simulate.publish import publish
from tests.support.locks import Locks
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import Database
from tests.support.proxy import Proxy
from tests.support.service import ServiceProcess, until
from tests.support.traffic import Traffic, onboard, until_rows

DEVICES = 20


async def test_a_broker_that_restarts_and_one_that_is_away_for_a_while(
    database: Database, broker: Mosquitto, folder: Path, seed: int
) -> None:
    await onboard(database, load_village(seed=seed, devices=DEVICES))
    traffic = Traffic()
    messages = load_messages(4000, seed=seed, devices=DEVICES, encoding="mixed")
    async with ServiceProcess(folder, database, broker.port) as service:
        publishing = asyncio.create_task(
            publish(traffic.record(messages), host="127.0.0.1", port=broker.port)
        )
        await until_rows(database, 1)
        broker.stop()
        broker.start()
        await until(lambda: _reconnected(service, 1), "it is back after the restart")
        await until_rows(database, 1500)
        broker.stop()

        async def knows() -> bool:
            status, text = await service.get("/readyz")
            return status == 503 and "village" in text

        await until(knows, "/readyz names the source that is not connected")
        await asyncio.sleep(1.5)  # away: long enough for several attempts
        broker.start()
        await publishing
        await traffic.until_stored(database)
        await service.until_ready()
        await until(lambda: _reconnected(service, 2), "the metrics tell of both")
    await traffic.check_uplinks(database)


async def test_a_connection_to_the_broker_that_is_half_open_is_noticed_and_replaced(
    database: Database, broker: Mosquitto, folder: Path, seed: int
) -> None:
    await onboard(database, load_village(seed=seed, devices=DEVICES))
    traffic = Traffic()
    messages = load_messages(600, seed=seed, devices=DEVICES)
    async with (
        Proxy(broker.port) as network,
        ServiceProcess(folder, database, network.port) as service,
    ):
        await publish(traffic.record(messages[:200]), host="127.0.0.1", port=broker.port)
        await traffic.until_stored(database)
        network.stall()  # nothing arrives any more, in either direction, and nothing is closed
        await publish(traffic.record(messages[200:]), host="127.0.0.1", port=broker.port)
        await traffic.until_stored(database)
        assert service.logged("not connected")
    await traffic.check_uplinks(database)


async def test_while_the_database_hangs_the_metrics_still_tell_of_the_broker(
    database: Database, broker: Mosquitto, folder: Path, seed: int
) -> None:
    await onboard(database, load_village(seed=seed, devices=DEVICES))
    traffic = Traffic()
    messages = load_messages(23, seed=seed, devices=DEVICES)

    def says(name: str, expected: float) -> Callable[[], Awaitable[bool]]:
        async def said() -> bool:
            return await service.metric(f'smartdorf_source_{name}{{source="village"}}') == expected

        return said

    async with ServiceProcess(folder, database, broker.port) as service:
        for message in messages[:3]:  # one after the other: it has caught up, and traffic is steady
            await publish(traffic.record([message]), host="127.0.0.1", port=broker.port)
            await traffic.until_stored(database)
        await until(says("caught_up", 1), "it has caught up, so the timers of the rules are looked at")
        arrived = await service.metric('smartdorf_source_last_message_timestamp_seconds{source="village"}')
        assert 0 < time.time() - arrived < 60
        async with Locks(database, "uplink") as locks:
            await publish(traffic.record(messages[3:]), host="127.0.0.1", port=broker.port)
            await locks.until_waiting("uplink")
            await until(says("held", 20), "the metrics show what it holds")
            await asyncio.sleep(1.0)  # a look at the timers now waits for the batch
            broker.stop()
            await until(says("connected", 0), "the metrics show that the broker is away", 10.0)
        await traffic.until_stored(database)
        broker.start()
        await service.until_ready()
    await traffic.check_uplinks(database)


async def test_an_old_acknowledgement_means_nothing_to_a_broker_that_lost_its_session(
    database: Database, tmp_path: Path, folder: Path, seed: int
) -> None:
    """The broker forgets us while a batch commits, and gives its packet ids to new messages.

    If the old batch were acknowledged on the new connection, the new messages would be gone from the broker
    although nobody has stored them; a kill at this moment shows it.
    """
    village = load_village(seed=seed, devices=DEVICES)
    old = load_messages(20, seed=seed, devices=DEVICES)
    new = load_messages(20, seed=seed + 1, devices=DEVICES)  # of another village
    await onboard(database, village)
    forgetful = tmp_path / "forgetful"
    forgetful.mkdir()
    traffic = Traffic()
    with Mosquitto(forgetful, persistence=False) as broker:
        async with ServiceProcess(folder, database, broker.port) as service:
            # the old messages wait for one table, the new ones, of devices not yet known, for another
            async with Locks(database, "uplink", "device") as locks:
                await publish(traffic.record(old), host="127.0.0.1", port=broker.port)
                await locks.until_waiting("uplink")
                broker.kill()
                broker.start()
                reconnected = 'smartdorf_source_sessions_lost_total{source="village"}'

                async def lost() -> bool:
                    return await service.metric(reconnected) == 1

                await until(lost, "it notices that its session is gone")
                await publish(
                    traffic.record(new, status="unknown_device"), host="127.0.0.1", port=broker.port
                )
                held = 'smartdorf_source_held{source="village"}'

                async def both() -> bool:
                    return await service.metric(held) == len(traffic.uplinks)

                await until(both, "both batches are in its memory")
                await locks.release("uplink")
                await until_rows(database, 20)
                await locks.until_waiting("device")
                service.kill()
            await service.start()
            await traffic.until_stored(database)
        await traffic.check_uplinks(database)


async def _reconnected(service: ServiceProcess, times: int) -> bool:
    return await service.metric('smartdorf_source_reconnects_total{source="village"}') >= times
