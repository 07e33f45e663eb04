"""Rules that tell at certain times: what fires outside of them is there at once, and its message waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from smartdorf.config.calendar import Calendar
from smartdorf.db import lifecycle
from smartdorf.db.alerts import fetch_open
from smartdorf.db.pool import connected
from smartdorf.ingest.memory import Content
from smartdorf.ingest.requests import work_off_requests
from tests.integration.ingest.test_pipeline import LATER, Bench, em400, onboard, opened, uplink
from tests.integration.test_silences import silence
from tests.support.alerts import NOON, ManualClock, Recorder, add_container, change, outbox, record
from tests.support.content import content_of
from tests.support.notifier import running
from tests.support.postgres import Database

RULES = """
groups:
  - name: waste
    rules:
      - alert: ContainerFull
        for_each: {place_type: container}
        when: fill_level_pct >= 80
        for: 1 reading
        severity: warning
        notify: [bauhof]
        mode: live
        send: {days: mo-sa, hours: "06:00-20:00", on_holidays: false, outside: wait}
        summary: {de: "{place}: {fill_level_pct} voll", en: "{place}: {fill_level_pct} full"}
"""
# the pipeline's clock says 14:00 on Good Friday: the next day on which anybody is told is Saturday
SATURDAY = datetime(2026, 4, 4, 4, tzinfo=UTC)  # 06:00 in Germany
FULL, EMPTY = em400(100), em400(1700)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    return replace(content_of(RULES, tmp_path_factory.mktemp("rules")), calendar=Calendar("BY"))


@pytest.fixture
async def bench(any_db: Database, content: Content) -> AsyncIterator[Bench]:
    """The container at the church is full."""
    await onboard(any_db.dsn)
    async with opened(any_db.dsn, content) as made:
        await made.receive(uplink(1, at=LATER - timedelta(minutes=5), data=FULL))
        yield made


async def test_what_fires_on_a_holiday_is_listed_at_once_and_told_when_the_window_opens(bench: Bench):
    async with connected(bench.dsn) as connection:
        [alert] = await fetch_open(connection)
    assert (alert.rule, [told.next_attempt_at for told in alert.told]) == ("ContainerFull", [SATURDAY])
    bauhof, clock = Recorder(), ManualClock(LATER)
    async with running(bench.dsn, bauhof, clock=clock) as notifier:
        clock.time = SATURDAY - timedelta(seconds=1)
        await notifier.looked_again()
        assert bauhof.told == []
        # nobody need be alarmed because something waits that has to
        assert b'outbox_waiting{receiver="bauhof"} 0.0' in notifier.metrics.render()
        clock.time = SATURDAY
        await notifier.becomes("sent")
    [message] = bauhof.told
    assert (message.kind, message.time, message.stale) == ("fired", LATER - timedelta(minutes=5), False)


async def test_what_is_over_by_then_is_told_to_nobody(bench: Bench):
    await bench.receive(uplink(2, at=LATER, data=EMPTY))
    bauhof, clock = Recorder(), ManualClock(SATURDAY)
    async with running(bench.dsn, bauhof, clock=clock) as notifier:
        await notifier.becomes("skipped", "skipped")
    assert bauhof.told == []
    assert [row["result"] for row in await outbox(bench.dsn)] == [
        "over before it could be told",
        "its beginning was not told to this receiver",
    ]


async def test_the_end_waits_too(bench: Bench):
    bauhof, clock = Recorder(), ManualClock(SATURDAY)
    async with running(bench.dsn, bauhof, clock=clock) as notifier:
        await notifier.becomes("sent")
        clock.time = LATER
        await bench.receive(uplink(2, at=LATER, data=EMPTY))
        await notifier.looked_again()
        assert bauhof.kinds == ["fired"]
        clock.time = SATURDAY
        await notifier.becomes("sent", "sent")
    assert bauhof.kinds == ["fired", "resolved"]


async def test_so_does_an_end_by_hand(bench: Bench):
    async with connected(bench.dsn) as connection:
        [alert] = await fetch_open(connection)
        assert alert.id is not None
        await lifecycle.request_close(connection, alert.id, "the sensor was taken away", LATER)
    await work_off_requests(bench.pipeline, bench.clock)
    assert [row["next_attempt_at"] for row in await outbox(bench.dsn)] == [SATURDAY, SATURDAY]


async def test_what_a_silence_held_back_waits_for_the_window_if_the_silence_ends_outside_of_it(
    plain_db: str,
):
    place = await add_container(plain_db)
    await silence(plain_db, until_hours=10, place="glas-kirchplatz")  # until 22:00
    await record(plain_db, change("fired", place))
    bauhof, opens = Recorder(), NOON + timedelta(hours=18)
    async with running(plain_db, bauhof, waiting={"ContainerFull": opens}) as notifier:
        await notifier.becomes("skipped")
        notifier.clock.advance(hours=10)
        await notifier.becomes("waiting")
        assert [row["next_attempt_at"] for row in await outbox(plain_db)] == [opens]
        notifier.clock.advance(hours=8)
        await notifier.becomes("sent")
    assert bauhof.kinds == ["fired"]
