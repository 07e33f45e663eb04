"""Rules that somebody edits while the service runs: in force within seconds, and nothing is lost by it."""

from __future__ import annotations

import os
from pathlib import Path

from smartdorf.simulate.frames import tps110_status
from smartdorf.simulate.publish import publish
from smartdorf.simulate.village import TPS110
from tests.acceptance.bay import BAY_TAKEN, until_state
from tests.support.mosquitto import Mosquitto
from tests.support.postgres import Database
from tests.support.service import ServiceProcess, until
from tests.support.speaker import speaker
from tests.support.traffic import fetch, onboard

LONGER = BAY_TAKEN.replace("for: 5s", "for: 1h")
OTHERWISE = BAY_TAKEN.replace("for: 5s", "for: 2s").replace("ist belegt", "ist nun belegt")
BROKEN = OTHERWISE.replace("parking_occupied", "parking_ocupied")


async def test_a_rule_is_edited_broken_and_taken_away_while_the_service_runs(
    database: Database, broker: Mosquitto, folder: Path
) -> None:
    village, bay = speaker(TPS110)
    await onboard(database, village)
    async with ServiceProcess(folder, database, broker.port, rules=LONGER) as service:

        def edit(text: str) -> None:
            """As editors do it: another file, which then takes the old one's place."""
            (folder / "rules" / "village.tmp").write_text(text, encoding="utf-8")
            os.replace(folder / "rules" / "village.tmp", folder / "rules" / "village.yaml")  # noqa: PTH105

        async def say(*, occupied: bool) -> None:
            await publish([bay.up(tps110_status(occupied=occupied))], host="127.0.0.1", port=broker.port)

        async def read_anew(count: int) -> None:
            await until(lambda: len(service.logged("rules read anew")) == count, f"{count} times read anew")

        await say(occupied=True)
        [(_phase, since, _fired)] = await until_state(database, "pending")

        edit(OTHERWISE)
        await read_anew(1)
        assert service.logged("rules read anew")[0]["changed"] == ["BayTaken"]
        [(_phase, since_then, _fired)] = await until_state(database, "firing")
        assert since_then == since, "its time ran on"
        rows = await fetch(database, "SELECT summary->>'de' FROM alert WHERE state = 'firing'")
        assert [row[0].partition(" ist ")[2] for row in rows] == ["nun belegt"]

        edit(BROKEN)
        await read_anew(2)
        assert service.logged("rules read anew")[1]["kept"] == ["BayTaken"]
        (mistake,) = service.logged("rule file")
        assert 'village.yaml:8:15: group "acceptance", rule 1 "BayTaken": unknown name' in mistake["problem"]
        assert await service.metric("smartdorf_rule_file_problems") == 1
        assert (await service.get("/readyz"))[0] == 200
        await say(occupied=False)  # the rule that was right goes on

        async def resolved() -> bool:
            return not await fetch(database, "SELECT FROM alert WHERE state = 'firing'")

        await until(resolved, "the old rule ends the alert")
        await say(occupied=True)
        await until_state(database, "firing")

        edit("groups: [")  # nobody knows what was in there
        await read_anew(3)
        assert service.logged("rules read anew")[2]["kept"] == ["BayTaken"]
        await until_state(database, "firing")

        (folder / "rules" / "village.yaml").unlink()
        await read_anew(4)
        assert service.logged("rules read anew")[3]["removed"] == ["BayTaken"]
        await until(resolved, "its alert is closed with the rule")
        assert await service.metric("smartdorf_rule_file_problems") == 0
    events = await fetch(database, "SELECT kind, reason FROM alert_event ORDER BY id")
    assert [tuple(event) for event in events] == [
        ("fired", None),
        ("resolved", None),
        ("fired", None),
        ("resolved", "rule removed"),
    ]
