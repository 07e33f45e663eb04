"""An alert that somebody closes by hand while the service runs: it stays closed until newer data say otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from smartdorf.simulate.frames import tps110_status
from smartdorf.simulate.publish import publish
from smartdorf.simulate.village import TPS110
from tests.acceptance.bay import AT_ONCE, until_told
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import Database
from tests.support.service import ServiceProcess, until
from tests.support.speaker import Speaker, speaker
from tests.support.traffic import fetch, onboard, until_rows, value
from tests.support.webhook import WebhookServer

SILENT = """
      - alert: BaySilent
        title: {de: "Platz stumm", en: "Bay silent"}
        for_each: {place_type: parking_bay}
        when: silent_for() > "2s"
        severity: info
        notify: [warden]
        mode: live
        summary: {de: "{place} ist stumm", en: "{place} is silent"}
"""


async def test_closed_by_hand_it_opens_again_with_fresh_data_only(
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
        await _say(bay, broker, occupied=True)
        await until_told(database, 1)
        done = await service.command("alerts", "resolve", "1", "--reason", "a toy car")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        await until_told(database, 2)
        assert await _alerts(database) == ["resolved"]
        # neither a kill nor the start after it opens it again
        service.kill()
        await service.start()
        assert await _alerts(database) == ["resolved"]
        await _say(bay, broker, occupied=True)
        await until_told(database, 3)
        assert await _alerts(database) == ["resolved", "firing"]
        await _say(bay, broker, occupied=False)
        await until_told(database, 4)
        assert await _alerts(database) == ["resolved", "resolved"]
    assert [content["type"] for _number, content in warden.told] == ["alert.fired", "alert.resolved"] * 2
    over = warden.told[1][1]["data"]
    assert (over["reason"], over["summary"]) == ("a toy car", "von Hand geschlossen: a toy car")


async def test_a_silence_that_was_closed_does_not_begin_again_by_itself(
    database: Database, broker: Mosquitto, folder: Path
) -> None:
    village, bay = speaker(TPS110)
    await onboard(database, village)
    async with ServiceProcess(folder, database, broker.port, rules=AT_ONCE + SILENT) as service:
        await _say(bay, broker, occupied=False)
        await until_rows(database, 1)

        async def silent() -> bool:
            return await _alerts(database) == ["firing"]

        await until(silent, "its silence is noticed")
        done = await service.command("alerts", "resolve", "1", "--reason", "in the workshop")
        assert done.returncode == 0, done.stderr
        # a change of the directory and a start look at all timers anew
        await service.command("devices", "add", bay.device.dev_eui, "--model", TPS110, "--name", "bay seven")
        await service.stop()
        await service.start()
        # heard once, and silent again: another alert, and none before it
        heard = datetime.now(UTC)
        await _say(bay, broker, occupied=False)

        async def again() -> bool:
            return await _alerts(database) == ["resolved", "firing"]

        await until(again, "the next silence is noticed")
        assert await value(database, "SELECT min(fired_at) FROM alert WHERE id <> 1") > heard


async def _say(bay: Speaker, broker: Mosquitto, *, occupied: bool) -> None:
    await publish([bay.up(tps110_status(occupied=occupied))], host="127.0.0.1", port=broker.port)


async def _alerts(database: Database) -> list[str]:
    return [row[0] for row in await fetch(database, "SELECT state FROM alert ORDER BY id")]
