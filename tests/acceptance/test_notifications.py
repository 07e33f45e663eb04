"""Notifications of the real service to a real receiver: one that is away, in trouble, or killed off in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from smartdorf.simulate.frames import tps110_status
from smartdorf.simulate.publish import publish
from smartdorf.simulate.village import TPS110
from tests.acceptance.bay import AT_ONCE
from tests.support.alerts import add_container, change, record
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import Database
from tests.support.service import ServiceProcess, until
from tests.support.speaker import Speaker, speaker
from tests.support.traffic import fetch, onboard, value
from tests.support.webhook import WebhookServer

SOON = {"smartdorf.notify.pipeline.FIRST_RETRY": 0.2, "smartdorf.notify.pipeline.LONGEST_RETRY": 0.5}


async def test_what_cannot_be_told_waits_in_the_outbox_and_is_told_once_the_receiver_is_back(
    database: Database, broker: Mosquitto, folder: Path
) -> None:
    village, bay = speaker(TPS110)
    await onboard(database, village)
    async with WebhookServer() as warden:
        await warden.close()
        async with ServiceProcess(
            folder, database, broker.port, rules=AT_ONCE, receivers={"warden": warden.url}, shortened=SOON
        ) as service:
            await _say(bay, broker, occupied=True)
            await _until_outbox(database, [("fired", "waiting")])
            # a receiver that is away holds up neither the next uplink nor the page of the service
            await _say(bay, broker, occupied=False)
            await _until_outbox(database, [("fired", "waiting"), ("resolved", "waiting")])
            assert (await service.get("/readyz"))[0] == 200

            async def shown() -> bool:
                return await service.metric('smartdorf_outbox_waiting{receiver="warden"}') == 2

            await until(shown, "the metrics tell how many wait")

            warden.status = 500
            await warden.open()
            await until(lambda: warden.told, "it is tried although the receiver answers 500")
            warden.told.clear()
            warden.status = 204
            await _until_outbox(database, [("fired", "sent"), ("resolved", "sent")])
            assert [content["type"] for _number, content in warden.told][-2:] == [
                "alert.fired",
                "alert.resolved",
            ]
            accepted = set(warden.ids)
            assert len(accepted) == 2, "one id for each, whatever the number of attempts"


async def test_killed_while_telling_it_tells_again_under_the_same_id(
    database: Database, broker: Mosquitto, folder: Path
) -> None:
    village, bay = speaker(TPS110)
    await onboard(database, village)
    async with (
        WebhookServer() as warden,
        ServiceProcess(
            folder, database, broker.port, rules=AT_ONCE, receivers={"warden": warden.url}
        ) as service,
    ):
        warden.answers.clear()
        await _say(bay, broker, occupied=True)
        await until(lambda: warden.told, "the receiver is being told")
        service.kill()
        warden.answers.set()
        await service.start()
        await _until_outbox(database, [("fired", "sent")])
        first, second = warden.told
        assert first == second
        assert await value(database, "SELECT count(*) FROM alert_event") == 1


async def test_killed_while_telling_of_many_it_tells_the_same_again_under_the_same_id(
    database: Database, broker: Mosquitto, folder: Path
) -> None:
    fired = datetime.now(UTC) - timedelta(minutes=5)
    places = [await add_container(database.dsn, f"Container {number}") for number in range(12)]
    changes = [change("fired", place, fired, receivers=["warden"]) for place in places]
    await record(database.dsn, *changes, now=fired)
    async with WebhookServer() as warden:
        warden.answers.clear()
        async with ServiceProcess(folder, database, broker.port, receivers={"warden": warden.url}) as service:

            def summaries() -> list[tuple[str, dict[str, Any]]]:
                return [entry for entry in warden.told if entry[1]["data"]["alerts"]]

            await until(lambda: len(warden.told) == 4, "four are being told")
            warden.answers.set()
            warden.answers.clear()  # these four have their answer; what comes next waits for it
            await until(summaries, "the rest is being told")
            service.kill()
            warden.answers.set()
            await service.start()

            async def all_told() -> bool:
                query = "SELECT count(*) FROM outbox WHERE state = 'sent'"
                return bool(await value(database, query) == 12)

            await until(all_told, "all is told")
        first, second = summaries()
        assert first == second
        assert len(first[1]["data"]["alerts"]) == 7
        assert len(set(warden.ids)) == 6


async def _say(bay: Speaker, broker: Mosquitto, *, occupied: bool) -> None:
    await publish([bay.up(tps110_status(occupied=occupied))], host="127.0.0.1", port=broker.port)


async def _until_outbox(database: Database, expected: list[tuple[str, str]], attempts: int = 1) -> None:
    async def as_expected() -> bool:
        rows = await fetch(
            database,
            "SELECT e.kind, o.state, o.attempts FROM outbox o JOIN alert_event e ON e.id = o.alert_event_id "
            "WHERE o.receiver = 'warden' ORDER BY o.id",
        )
        tried = max((row[2] for row in rows), default=0)
        return [(row[0], row[1]) for row in rows] == expected and tried >= attempts

    await until(as_expected, f"the outbox holds {expected}")
