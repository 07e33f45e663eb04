"""Rules about a zone on a real database: members from their tags, restarts, labels, and who is told."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from smartdorf.db import directory as db
from smartdorf.db.alerts import fetch_open
from smartdorf.db.pool import connected
from smartdorf.ingest.memory import Content
from smartdorf.ingest.source import Message
from tests.integration.ingest.test_pipeline import NOON, Bench, em400, message, opened, uplink
from tests.support.content import content_of
from tests.support.postgres import Database

RULES = """
groups:
  - name: waste
    rules:
      - alert: YardFull
        for_each: {place_type: yard}
        when: zone_count(min(fill_level_pct, "90m") >= 80, place_type="container") >= 2
        severity: warning
        notify: [bauhof]
        labels: {team: nord, route: 7}
        summary: {de: "{place}: {zone_count} von {zone_known}", en: "{place}: {zone_count} of {zone_known}"}
"""
EUIS = ("24e124000000000a", "24e124000000000b")


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    return content_of(RULES, tmp_path_factory.mktemp("rules"))


async def onboard(dsn: str, euis: Sequence[str] = EUIS) -> None:
    async with connected(dsn) as connection:
        await db.add_place(connection, slug="bauhof", name="Bauhof", place_type="yard")
        for eui in euis:
            slug = f"container-{eui[-1]}"
            await db.add_place(
                connection,
                slug=slug,
                name=slug,
                place_type="container",
                tags={"zone": "bauhof"},
                parameters={"mounting_height_m": 1.8},
            )
            await db.add_device(connection, dev_eui=eui, model="milesight/em400-mud")
            await db.install(connection, dev_eui=eui, place=slug, since=NOON - timedelta(days=1))


def level(number: int, minute: int, percent: int) -> Message:
    """Of the first or second container, whose sensors hang 1.8 m above the floor."""
    at = NOON + timedelta(minutes=minute)
    event = uplink(minute, data=em400(1800 - 18 * percent), at=at)
    info = {"devEui": EUIS[number], "deviceName": "em400", "deviceProfileName": "EM400-MUD", "tags": {}}
    own = {
        "deduplicationId": str(UUID(int=1000 * number + minute + 1)),
        "deviceInfo": info,
        "devAddr": f"01a3f27{number}",
    }
    return message(event | own, eui=EUIS[number])


async def alerts(bench: Bench) -> list[tuple[str, str, str]]:
    return await bench.rows("SELECT rule, state, summary->>'en' FROM alert ORDER BY id")


async def test_what_the_places_of_a_zone_said_before_a_restart_counts_after_it(
    any_db: Database, content: Content
):
    await onboard(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        for minute in (0, 50):
            await bench.receive(level(0, minute, 85), level(1, minute + 1, 90))
        assert await alerts(bench) == []  # an hour and a half are not known yet
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(level(0, 95, 85))
        assert await alerts(bench) == [("YardFull", "firing", "Bauhof: 2 of 2")]
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(level(0, 97, 40))
        assert [state for _rule, state, _summary in await alerts(bench)] == ["resolved"]


async def test_a_container_that_joins_the_zone_counts_from_then_on(any_db: Database, content: Content):
    await onboard(any_db.dsn, EUIS[:1])
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(level(0, 0, 85), level(0, 50, 85), level(0, 95, 85))
        assert await alerts(bench) == []
        await onboard(any_db.dsn)
        await bench.pipeline.rebind()
        late = [level(1, 100, 90), level(0, 140, 85), level(1, 150, 90), level(0, 185, 85)]
        await bench.receive(*late, level(1, 195, 90))
        assert await alerts(bench) == [("YardFull", "firing", "Bauhof: 2 of 2")]


async def test_an_alert_about_a_zone_has_its_labels_and_the_age_of_its_values(
    any_db: Database, content: Content
):
    await onboard(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        for minute in (0, 50, 95):
            await bench.receive(level(0, minute, 85), level(1, minute + 1, 90))
        await bench.receive(level(0, 140, 85))
    async with connected(any_db.dsn) as connection:
        [row] = await fetch_open(connection)
    assert row.labels == {"team": "nord", "route": "7"}
    assert row.last_value_at == NOON + timedelta(minutes=140)
    assert [entry.name for entry in row.inputs] == [
        'zone_count(min(fill_level_pct, "90m") >= 80, place_type="container")'
    ]
