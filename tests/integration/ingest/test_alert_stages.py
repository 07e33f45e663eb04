"""Stages, and alerts that a person has to close, on a real database: from the uplink to what people are told."""

import asyncio
from datetime import timedelta

import pytest

from smartdorf.db import lifecycle
from smartdorf.db.alerts import find_alert
from smartdorf.db.pool import connected
from smartdorf.errors import UsageError
from smartdorf.ingest.memory import Content
from smartdorf.ingest.requests import work_off_requests
from tests.integration.ingest.test_pipeline import LATER, Bench, em400, onboard, opened, uplink
from tests.support.alerts import ManualClock, Recorder
from tests.support.content import content_of
from tests.support.notifier import running
from tests.support.postgres import Database

RULES = """
groups:
  - name: waste
    rules:
      - alert: Filling
        title: {de: Behälter, en: Container}
        for_each: {place_type: container}
        limits: {full: 80, overfull: 95, emptied: 60}
        stages:
          - {name: {de: voll, en: full}, when: fill_level_pct >= full, severity: info, notify: [bauhof]}
          - name: {de: überfüllt, en: overfull}
            when: fill_level_pct >= overfull
            severity: critical
            notify: [bauhof, it]
        clear: fill_level_pct < emptied
        close: by hand
        mode: live
        summary: {de: "{place} {stage}: {fill_level_pct}", en: "{place} {stage}: {fill_level_pct}"}
"""


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    return content_of(RULES, tmp_path_factory.mktemp("rules"))


def level(hour: int, percent: int) -> dict[str, object]:
    """The sensor hangs 1.8 m above the floor of its container."""
    return uplink(hour, data=em400(1800 - 18 * percent))


async def tell(database: Database, *receivers: Recorder) -> None:
    """Hand over all that is in the outbox: it has been caught up for a while."""
    clock = ManualClock(LATER + timedelta(minutes=5))
    async with running(database.dsn, *receivers, clock=clock), connected(database.dsn) as connection:
        for _ in range(500):
            if await connection.fetchval("SELECT count(*) FROM outbox WHERE state = 'waiting'") == 0:
                return
            await asyncio.sleep(0.02)
    raise AssertionError("something waits in the outbox for ever")


def heard(receiver: Recorder) -> list[str]:
    return [f"{m.kind} {m.severity} {m.stage}: {m.summary}" for m in receiver.told]


NBSP = "\N{NO-BREAK SPACE}"


async def test_from_full_to_overfull_to_emptied_to_closed(any_db: Database, content: Content):
    await onboard(any_db.dsn)
    bauhof, it = Recorder("bauhof"), Recorder("it")
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(level(0, 82), level(1, 85), level(2, 97))
        assert await state(bench) == ("info", "full", False)
    await tell(any_db, bauhof, it)
    async with opened(any_db.dsn, content) as bench:  # a restart between the two readings of the higher stage
        await bench.receive(level(3, 98))
        assert await state(bench) == ("critical", "overfull", False)
        await tell(any_db, bauhof, it)
        await bench.receive(level(4, 20))
        assert await state(bench) == ("critical", "overfull", True)
        await tell(any_db, bauhof, it)
        await close(bench, 1)
    await tell(any_db, bauhof, it)
    assert heard(bauhof) == [
        f"fired info full: Kirchplatz full: 85{NBSP}%",
        f"raised critical overfull: Kirchplatz overfull: 98{NBSP}%",
        f"eased critical overfull: Kirchplatz overfull: 20{NBSP}%",
        "resolved critical overfull: closed by hand: emptied",
    ]
    assert [message.kind for message in it.told] == ["raised", "eased", "resolved"]


async def test_a_higher_stage_breaks_through_an_acknowledgement(any_db: Database, content: Content):
    await onboard(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(level(0, 82), level(1, 85))
        async with connected(any_db.dsn) as connection:
            await lifecycle.acknowledge(connection, 1, None, bench.clock.now())
            alert = await find_alert(connection, 1)
            assert alert is not None
            assert alert.acknowledged is not None
            await bench.receive(level(2, 97), level(3, 98))
            alert = await find_alert(connection, 1)
            assert alert is not None
            assert alert.acknowledged is None
            await lifecycle.acknowledge(connection, 1, None, bench.clock.now())  # anew
            with pytest.raises(UsageError, match="already"):
                await lifecycle.acknowledge(connection, 1, None, bench.clock.now())


async def test_what_has_eased_and_holds_again_is_the_same_alert(any_db: Database, content: Content):
    await onboard(any_db.dsn)
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(level(0, 82), level(1, 85), level(2, 20))
    async with opened(any_db.dsn, content) as bench:
        await bench.receive(level(3, 96), level(4, 97))
        assert await bench.rows("SELECT kind, severity FROM alert_event ORDER BY id") == [
            ("fired", "info"),
            ("eased", None),
            ("returned", "critical"),
        ]
        assert await state(bench) == ("critical", "overfull", False)


async def state(bench: Bench) -> tuple[str, str, bool]:
    rows = await bench.rows(
        "SELECT severity, stage->>'en', eased_at IS NOT NULL FROM alert WHERE state = 'firing'"
    )
    (row,) = rows
    return row


async def close(bench: Bench, number: int) -> None:
    async with connected(bench.dsn) as connection:
        await lifecycle.request_close(connection, number, "emptied", bench.clock.now())
    await work_off_requests(bench.pipeline, bench.clock)
