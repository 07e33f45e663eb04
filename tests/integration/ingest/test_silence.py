"""Silence by a device's own habits, on a real database: from stored uplinks to the alert, over a restart."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from smartdorf.clock import Clock
from smartdorf.config.rules import load_rules
from smartdorf.content import shipped
from smartdorf.db.pool import connected
from smartdorf.db.rhythm import learn
from smartdorf.decoding.registry import load_catalogue
from smartdorf.ingest.memory import Content
from smartdorf.nightly import keep_learning
from smartdorf.vocabulary import load_vocabulary
from tests.integration.ingest.test_pipeline import NOON, Bench, onboard, opened, uplink
from tests.support.postgres import Database

QUARTER = timedelta(minutes=15)
LAST = NOON + 4 * 96 * QUARTER  # the last of four days
SAID = [("DeviceSilent", LAST + timedelta(hours=1, microseconds=1))]


@pytest.fixture(scope="module")
def content() -> Content:
    vocabulary = load_vocabulary()
    rules = load_rules([shipped("rules") / "device_health.yaml"], vocabulary)
    return Content(vocabulary, load_catalogue([shipped("decoders")], vocabulary), rules)


async def fired(bench: Bench) -> list[tuple[object, ...]]:
    return await bench.rows("SELECT rule, fired_at FROM alert")


async def four_days(bench: Bench) -> None:
    await onboard(bench.dsn)
    await bench.pipeline.rebind()
    await bench.receive(*(uplink(n, at=NOON + n * QUARTER) for n in range(4 * 96 + 1)))


async def test_a_sensor_that_reports_each_quarter_of_an_hour_is_missed_after_one(
    any_db: Database, content: Content
) -> None:
    async with opened(any_db.dsn, content) as bench:
        await four_days(bench)
        async with connected(bench.dsn) as connection:
            assert (await learn(connection, content.intervals, LAST)).changed == 1
        await bench.pipeline.rebind()
        await bench.pipeline.tick(LAST + timedelta(hours=1))
        assert await fired(bench) == []
    async with opened(any_db.dsn, content) as bench:  # what was learned is there after a restart
        await bench.pipeline.rebind()
        await bench.pipeline.tick(LAST + timedelta(hours=1))
        assert await fired(bench) == []
        await bench.pipeline.tick(LAST + timedelta(hours=1, seconds=1))
        assert await fired(bench) == SAID
        [(summary,)] = await bench.rows("SELECT summary->>'de' FROM alert WHERE rule = 'DeviceSilent'")
        assert summary.replace("\N{NO-BREAK SPACE}", " ").endswith(
            "(Kirchplatz): seit 60 Minuten keine Nachricht; normal sind höchstens 60 Minuten"
        )
        # learning more while it is silent changes nothing of that, and only a message ends it
        async with connected(bench.dsn) as connection:
            await learn(connection, content.intervals, LAST + timedelta(days=2))
        await bench.pipeline.rebind()
        await bench.pipeline.tick(LAST + timedelta(days=2))
        assert await bench.rows("SELECT state FROM alert WHERE rule = 'DeviceSilent'") == [("firing",)]
        await bench.receive(uplink(900, at=LAST + timedelta(days=2)))
        assert await bench.rows("SELECT state FROM alert WHERE rule = 'DeviceSilent'") == [("resolved",)]


async def test_until_then_its_model_says_how_long(any_db: Database, content: Content) -> None:
    """It could report every ten minutes; before anything is learned, six hours are the least."""
    async with opened(any_db.dsn, content) as bench:
        await onboard(bench.dsn)
        await bench.pipeline.rebind()
        await bench.receive(uplink(0, at=NOON))
        await bench.pipeline.tick(NOON + timedelta(hours=6))
        assert await fired(bench) == []
        await bench.pipeline.tick(NOON + timedelta(hours=6, seconds=1))
        assert await fired(bench) == [("DeviceSilent", NOON + timedelta(hours=6, microseconds=1))]


async def test_a_service_that_is_new_here_learns_at_once_and_is_told(
    any_db: Database, content: Content
) -> None:
    heard: list[str] = []
    async with opened(any_db.dsn, content, heard.append) as bench:
        await four_days(bench)
        heard.clear()
        learning = asyncio.create_task(keep_learning(bench.dsn, content.intervals, Clock(start=LAST)))
        async with asyncio.timeout(30):
            while "directory" not in heard:
                await asyncio.sleep(0.01)
        learning.cancel()
        assert await bench.rows("SELECT kind, limit_s FROM device_rhythm") == [("periodic", 3600.0)]
