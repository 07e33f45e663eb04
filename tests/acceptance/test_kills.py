"""kill -9 of the service at random moments: nothing is lost, nothing stands there twice, timers go on."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smartdorf.simulate import Faults, Village
from smartdorf.simulate.frames import tps110_status
from smartdorf.simulate.publish import publish
from smartdorf.simulate.village import TPS110
from tests.acceptance.bay import BAY_TAKEN, until_state, until_told
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import Database
from tests.support.service import ServiceProcess, until
from tests.support.speaker import speaker
from tests.support.traffic import Traffic, fetch, onboard, value
from tests.support.webhook import WebhookServer

KILLS = 5
FAULTS = Faults(
    lost=0.02, reordered=0.02, duplicates=0.05, retransmissions=0.02, garbage=0.01, broken_frames=0.01
)
HELD = timedelta(seconds=5)


@pytest.mark.timeout(180)
async def test_killed_again_and_again_under_load_it_loses_nothing_and_stores_nothing_twice(
    database: Database, broker: Mosquitto, folder: Path, seed: int
) -> None:
    rng = random.Random(seed)
    village = Village.build(seed, devices=120, start=datetime.now(UTC) - timedelta(days=7))
    await onboard(database, village)
    traffic = Traffic()
    async with ServiceProcess(folder, database, broker.port) as service:
        messages = list(traffic.simulated(village, FAULTS, seed=seed, count=8_000))
        share = len(messages) // KILLS
        moments = []
        for kill in range(
            KILLS
        ):  # each has work of its own: what was left of the work before may be done by then
            work = messages[kill * share : (kill + 1) * share if kill + 1 < KILLS else None]
            publishing = asyncio.create_task(publish(work, host="127.0.0.1", port=broker.port))
            await _until_working(service)
            await asyncio.sleep(rng.uniform(0, 0.25))
            service.kill()
            moments.append(await value(database, "SELECT count(*) FROM uplink"))
            await publishing
            await service.start()
        print(f"rows at the kills: {moments}")
        await traffic.until_stored(database)
        assert moments[0] < len(traffic.uplinks), "killed when everything was done: proves nothing"
    await traffic.check_all(database)


async def test_a_timer_goes_on_while_the_service_is_dead_and_is_told_once(
    database: Database, broker: Mosquitto, folder: Path
) -> None:
    village, bay = speaker(TPS110)
    await onboard(database, village)
    async with (
        WebhookServer() as warden,
        ServiceProcess(
            folder, database, broker.port, rules=BAY_TAKEN, receivers={"warden": warden.url}
        ) as service,
    ):
        taken = datetime.now(UTC)
        await publish([bay.up(tps110_status(occupied=True), taken)], host="127.0.0.1", port=broker.port)
        pending = await until_state(database, "pending")
        assert pending == [("pending", taken, None)]
        service.kill()
        await until(lambda: datetime.now(UTC) > taken + HELD, "the time of the rule is over")
        await service.start()
        assert await until_state(database, "firing") == [("firing", taken, taken + HELD)]
        alerts = await fetch(
            database, "SELECT rule, state, since, fired_at FROM alert WHERE rule = 'BayTaken'"
        )
        assert [tuple(row) for row in alerts] == [("BayTaken", "firing", taken, taken + HELD)]
        await until_told(database, 1)

        # known to be told: another kill tells it to nobody again
        service.kill()
        await service.start()
        await publish([bay.up(tps110_status(occupied=False))], host="127.0.0.1", port=broker.port)
        await until_told(database, 2)
        assert [content["type"] for _number, content in warden.told] == ["alert.fired", "alert.resolved"]
        assert await value(database, "SELECT count(*) FROM alert WHERE rule = 'BayTaken'") == 1


async def test_a_timer_is_not_shortened_by_a_kill_either(
    database: Database, broker: Mosquitto, folder: Path
) -> None:
    """Killed and started again while the time is running: it ends when it would have ended."""
    village, bay = speaker(TPS110)
    await onboard(database, village)
    rules = BAY_TAKEN.replace("for: 5s", "for: 8s")
    async with (
        WebhookServer() as warden,
        ServiceProcess(
            folder, database, broker.port, rules=rules, receivers={"warden": warden.url}
        ) as service,
    ):
        taken = datetime.now(UTC)
        await publish([bay.up(tps110_status(occupied=True), taken)], host="127.0.0.1", port=broker.port)
        await until_state(database, "pending")
        service.kill()
        await service.start()
        ends = taken + timedelta(seconds=8)
        assert await until_state(database, "firing") == [("firing", taken, ends)]
        assert datetime.now(UTC) >= ends
        await until_told(database, 1)
        assert len(warden.told) == 1


async def _until_working(service: ServiceProcess) -> None:
    async def working() -> bool:
        return await service.metric("smartdorf_batch_messages_sum") > 0

    await until(working, "it works off messages again")
