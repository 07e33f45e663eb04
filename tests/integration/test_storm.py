"""The storm brake against a real database: forty alerts of one rule are not forty messages."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from smartdorf.notify.receiver import DeliveryError, RefusedError
from tests.support.alerts import NOON, ManualClock, Recorder, add_container, change, outbox, record, until
from tests.support.notifier import Bench, running
from tests.support.postgres import Database

MINUTE = timedelta(minutes=1)


async def storm(dsn: str, count: int, **overrides: object) -> list[int]:
    places = [await add_container(dsn, f"Container {number}") for number in range(count)]
    await record(dsn, *(change("fired", place, **overrides) for place in places))
    return places


async def sent(bench: Bench, count: int) -> None:
    """Wait until so many are told."""
    for _ in range(500):
        states = await bench.states()
        if states.count("sent") == count:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"the outbox stays {states}")


async def test_five_are_told_one_by_one_and_the_rest_a_minute_later_in_one_message(any_db: Database) -> None:
    dsn = any_db.dsn
    await storm(dsn, 40)
    bauhof = Recorder()
    async with running(dsn, bauhof) as bench:
        await sent(bench, 5)
        bench.clock.advance(seconds=59)
        await bench.looked_again()
        assert len(bauhof.told) == 5
        bench.clock.advance(seconds=1)
        await sent(bench, 40)
        await bench.looked_again()
    assert len(bauhof.told) == 6
    told = bauhof.told[-1]
    assert len(told.together) == 35
    assert told.place.startswith("Container 5, Container 6, ")
    alone = {message.place for message in bauhof.told[:5]}
    assert len(alone | {entry.place for entry in told.together}) == 40
    rows = await outbox(dsn)
    assert [row["attempts"] for row in rows] == [1] * 40
    assert [row["result"] for row in rows].count("in one message with 34 others: thank you") == 35
    # its number is nobody else's
    assert told.id not in {row["id"] for row in rows}


async def test_while_the_storm_lasts_there_is_a_message_a_minute(plain_db: str) -> None:
    bauhof, clock = Recorder(), ManualClock()
    async with running(plain_db, bauhof, clock=clock) as bench:
        await storm(plain_db, 6)
        await sent(bench, 5)
        clock.advance(minutes=1)
        await sent(bench, 6)
        assert bauhof.told[-1].together == ()  # a single one needs no summary
        places = [await add_container(plain_db, f"Late {number}") for number in range(3)]
        for place in places:
            await record(plain_db, change("fired", place, clock.now()), now=clock.now())
            clock.advance(seconds=15)
        await bench.looked_again()
        assert len(bauhof.told) == 6
        clock.advance(seconds=15)
        await sent(bench, 9)
        assert [entry.place for entry in bauhof.told[-1].together] == ["Late 0", "Late 1", "Late 2"]
        # and when it is over, the next is told at once
        clock.advance(minutes=3)
        place = await add_container(plain_db, "Calm")
        await record(plain_db, change("fired", place, clock.now()), now=clock.now())
        await sent(bench, 10)
    assert len(bauhof.told) == 8


async def test_what_is_critical_does_not_wait(plain_db: str) -> None:
    await storm(plain_db, 12, severity="critical")
    bauhof = Recorder()
    async with running(plain_db, bauhof) as bench:
        await sent(bench, 12)
    assert sorted(len(message.together) for message in bauhof.told) == [0, 0, 0, 0, 0, 7]
    assert {message.severity for message in bauhof.told} == {"critical"}


async def test_another_rule_and_another_receiver_have_a_storm_of_their_own(plain_db: str) -> None:
    places = await storm(plain_db, 8, receivers=["bauhof", "leitung"])
    await record(plain_db, *(change("fired", place, rule="Fire") for place in places[:3]))
    bauhof, leitung = Recorder(), Recorder("leitung")
    async with running(plain_db, bauhof, leitung) as bench:
        await sent(bench, 5 + 5 + 3)
        bench.clock.advance(minutes=1)
        await sent(bench, 8 + 8 + 3)
    assert [message.rule for message in bauhof.told].count("Fire") == 3
    assert [len(told.together) for told in (bauhof.told[-1], leitung.told[-1])] == [3, 3]


async def test_the_ends_of_a_storm_are_told_together_as_well(plain_db: str) -> None:
    places = await storm(plain_db, 9)
    bauhof, clock = Recorder(), ManualClock()
    async with running(plain_db, bauhof, clock=clock) as bench:
        clock.advance(minutes=1)
        await sent(bench, 9)
        await record(plain_db, *(change("resolved", place, clock.now()) for place in places), now=clock.now())
        await sent(bench, 14)
        clock.advance(minutes=1)
        await sent(bench, 18)
    assert [message.kind for message in bauhof.told].count("resolved") == 6
    assert (bauhof.told[-1].kind, len(bauhof.told[-1].together)) == ("resolved", 4)


async def test_a_summary_that_fails_is_repeated_as_it_was_under_the_same_number(plain_db: str) -> None:
    await storm(plain_db, 8)
    hanging, clock = Recorder(), ManualClock()
    async with running(plain_db, hanging, clock=clock, grace=0.05) as bench:
        await sent(bench, 5)
        hanging.hold = asyncio.Event()
        clock.advance(minutes=1)
        await until(lambda: hanging.busy == 1, "the summary is handed over")
    numbers = {row["summary_id"] for row in await outbox(plain_db) if row["state"] == "waiting"}
    assert len(numbers) == 1
    # more have come when it is tried again: they are no part of it
    late = [await add_container(plain_db, f"Late {number}") for number in range(2)]
    await record(plain_db, *(change("fired", place) for place in late))
    bauhof = Recorder()
    bauhof.failures = [DeliveryError("no route")] * 2
    async with running(plain_db, bauhof, clock=clock) as bench:
        await until(lambda: not bauhof.failures, "both were tried")
        await bench.looked_again()
        clock.advance(seconds=10)
        await sent(bench, 10)
    [summary] = [message for message in bauhof.told if {message.id} == numbers]
    assert len(summary.together) == 3
    assert not {entry.place for entry in summary.together} & {"Late 0", "Late 1"}
    tried = {row["attempts"] for row in await outbox(plain_db) if row["summary_id"] == summary.id}
    assert tried == {2}


async def test_a_summary_that_is_refused_has_failed_for_each_of_its_alerts(plain_db: str) -> None:
    await storm(plain_db, 7)
    bauhof, clock = Recorder(), ManualClock()
    async with running(plain_db, bauhof, clock=clock) as bench:
        await sent(bench, 5)
        bauhof.failures = [RefusedError("HTTP 404")]
        clock.advance(minutes=1)
        await bench.becomes(*["sent"] * 5, "failed", "failed")
    assert (await outbox(plain_db))[-1]["result"] == "in one message with 1 others: HTTP 404"


async def test_a_receiver_that_was_away_is_not_flooded_when_it_is_back(plain_db: str) -> None:
    await storm(plain_db, 40)
    bauhof, clock = Recorder(), ManualClock(NOON + timedelta(hours=5))
    bauhof.failures = [DeliveryError("no route")] * 6
    async with running(plain_db, bauhof, clock=clock) as bench:
        await until(lambda: not bauhof.failures, "all were tried")
        await bench.looked_again()
        clock.advance(seconds=10)
        await sent(bench, 40)
    assert sorted(len(message.together) for message in bauhof.told) == [0, 0, 0, 0, 0, 35]
