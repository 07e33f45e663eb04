"""A day of the simulated village, fast-forwarded: exactly the alerts that its stories call for, and no other.

The night in it has 25 hours. Frames are lost, late, doubled and broken, as they are; a gateway dies after an hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from smartdorf.config.rules import load_rules
from smartdorf.content import shipped
from smartdorf.db.pool import connected
from smartdorf.decoding.registry import load_catalogue
from smartdorf.demo import BEGINS, SEED, onboard
from smartdorf.ingest.memory import Content
from smartdorf.ingest.pipeline import Pipeline
from smartdorf.ingest.source import Batch, Message
from smartdorf.ingest.writer import Writer
from smartdorf.metrics import Metrics
from smartdorf.simulate.faults import Faults
from smartdorf.simulate.stream import simulate
from smartdorf.simulate.village import Village
from smartdorf.vocabulary import load_vocabulary
from tests.support.alerts import ManualClock

START = BEGINS.astimezone(UTC)  # what is added to it are hours, not o'clocks
STEP = timedelta(minutes=5)
FAULTS = Faults(
    lost=0.01,
    late=0.003,
    reordered=0.003,
    broken_frames=0.005,
    duplicates=0.03,
    retransmissions=0.01,
    dead_gateway=True,
)
CHANCE = 1  # decides on the faults; the gateway that dies is the fire brigade's, which hears no story alone
PAUSE = timedelta(minutes=30)  # the longest of a gateway's on each of the days before


class Expected(NamedTuple):
    """An alert, and when it begins and ends, in hours after the start; None: it is open when the day is over."""

    rule: str
    where: str
    begins: tuple[float, float]
    ends: tuple[float, float] | None
    stage: str = ""


# What each of the village's stories calls for. The sensors' rhythm and the rules' `for` make the width of a window.
EXPECTED = [
    # reports its battery from the start
    Expected("BatteryLow", "lht65n-klassenzimmer-01", (0, 1), None),
    # occupied from 2 on; five minutes are no delivery
    Expected("FireLaneBlocked", "Zufahrt Feuerwehr", (2.08, 2.25), None),
    # dies at 1; two hours without a reception are more than it ever had
    Expected("GatewayDown", "Feuerwehr", (2.9, 3.4), None),
    # the stream rises from 5 on, past 1.5 m after two hours and a half
    Expected("StreamRisingFast", "Pegel Mühlbach Brücke 01", (5.5, 7), (8.5, 10.5)),
    Expected("StreamLevelHigh", "Pegel Mühlbach Brücke 01", (7, 8.5), None, stage="high"),
    # water on the floor from 7 to 12
    Expected("WaterLeak", "Keller Rathaus 01", (7, 7.25), (12, 12.25)),
    # full by and by, emptied on the next day
    Expected("ContainerFull", "Container Schulstraße 01", (6, 9), None),
    # two readings of a weak battery, every six hours; one of them may get lost
    Expected("BatteryNearlyEmpty", "em300-zld-keller-schule-01", (6, 18), None),
    # a burst at 10 is told at once; water that never stands still, by the meter itself, ten hours after 6
    Expected("PipeBurst", "Wasserzähler Schule 01", (10, 10.25), None),
    Expected("MeterLeak", "Wasserzähler Kindergarten 01", (15, 18), None),
    # silent from 12 on; six hours are what is known of it on the first day
    Expected("DeviceSilent", "lht65n-gruppenraum-01", (17, 18.25), None),
]


@pytest.fixture
def village() -> Village:
    """The first bay of the demo's village is the fire brigade's way in."""
    built = Village.build(SEED, start=BEGINS)
    first, *others = built.devices
    lane = replace(first.place, place_type="fire_lane", name="Zufahrt Feuerwehr")
    return replace(built, devices=(replace(first, place=lane), *others))


async def test_a_day_brings_the_alerts_of_its_stories_and_no_other(plain_db: str, village: Village) -> None:
    await onboard(plain_db, village)
    await know_gateways(plain_db, village)
    await live_through(plain_db, village, timedelta(hours=24))
    found = await alerts(plain_db)
    assert [(rule, where) for rule, where, *_times in found] == [
        (expected.rule, expected.where) for expected in sorted(EXPECTED, key=lambda e: begin_of(e, found))
    ]
    by_name = {(rule, where): times for rule, where, *times in found}
    for expected in EXPECTED:
        begun, ended, stage = by_name[expected.rule, expected.where]
        assert expected.begins[0] <= begun <= expected.begins[1], (expected, begun)
        if expected.ends is None:
            assert ended is None, (expected, ended)
        else:
            assert ended is not None, expected
            assert expected.ends[0] <= ended <= expected.ends[1], (expected, ended)
        assert stage == expected.stage, expected
    # only the dead gateway heard it: its silence waits for that alert
    assert await waiting(plain_db) == [("DeviceSilent", "dl-pr26-pegel-talgraben-01")]


async def know_gateways(dsn: str, village: Village) -> None:
    """They have been heard for a week."""
    days = [(START - timedelta(days=day)).date() for day in range(1, 8)]
    async with connected(dsn) as connection:
        for gateway in village.gateways:
            number = await connection.fetchval(
                "INSERT INTO gateway (gateway_id, name, last_heard_at) VALUES ($1, $2, $3) RETURNING id",
                gateway.gateway_id,
                gateway.name,
                START - timedelta(minutes=1),
            )
            for day in days:
                await connection.execute(
                    "INSERT INTO gateway_pause (gateway_id, day, longest) VALUES ($1, $2, $3)",
                    number,
                    day,
                    PAUSE,
                )


def begin_of(expected: Expected, found: list[tuple[str, str, float, float | None, str]]) -> float:
    """In the order in which they began; what did not begin at all stands at the end."""
    return next((begun for rule, where, begun, *_ in found if (rule, where) == expected[:2]), 1e9)


async def live_through(dsn: str, village: Village, length: timedelta) -> None:
    vocabulary = load_vocabulary()
    rules = load_rules([shipped("rules")], vocabulary)
    content = Content(vocabulary, load_catalogue([shipped("decoders")], vocabulary), rules)
    clock, metrics = ManualClock(START), Metrics("test")
    writer = Writer(dsn, content, metrics, lambda _payload: None)
    pipeline = Pipeline(
        writer,
        content,
        clock=clock,
        metrics=metrics,
        late=timedelta(days=53),
        wake_notifier=lambda: None,
    )
    try:
        await pipeline.rebind()
        for until, messages in batches(village, length):
            clock.time = until
            if messages:
                prepared = await pipeline.prepare("day", messages)
                await pipeline.handle_batch(prepared, Batch("day", messages, lambda: None))
            await pipeline.tick(until)
    finally:
        await writer.close()


def batches(village: Village, length: timedelta) -> Iterator[tuple[datetime, list[Message]]]:
    """What arrives in each five minutes, and when they are over."""
    until, waiting = START + STEP, list[Message]()
    for sent in simulate(village, FAULTS, seed=CHANCE, until=START + length):
        while sent.at >= until:
            yield until, waiting
            until, waiting = until + STEP, []
        waiting.append(Message(sent.topic, sent.payload, 1, sent.at, duplicate=False))
    while until <= START + length:
        yield until, waiting
        until, waiting = until + STEP, []


async def alerts(dsn: str) -> list[tuple[str, str, float, float | None, str]]:
    """Rule, place or device, hours at which it began and ended, and stage; in the order of time."""
    query = """
        SELECT a.rule, coalesce(p.name, d.name, g.name) AS where, a.fired_at, a.resolved_at,
               coalesce(a.stage->>'en', '') AS stage
        FROM alert a
        LEFT JOIN place p ON a.subject_kind = 'place' AND p.id = a.subject_id
        LEFT JOIN device d ON a.subject_kind = 'device' AND d.id = a.subject_id
        LEFT JOIN gateway g ON a.subject_kind = 'gateway' AND g.id = a.subject_id
        ORDER BY a.fired_at, a.id
    """
    async with connected(dsn) as connection:
        rows = await connection.fetch(query)
    return [
        (row["rule"], row["where"], hours(row["fired_at"]), hours(row["resolved_at"]), row["stage"])
        for row in rows
    ]


async def waiting(dsn: str) -> list[tuple[str, str]]:
    """Conditions that hold and are explained by an open alert."""
    query = """
        SELECT s.rule, d.name FROM rule_state s JOIN device d ON s.subject_kind = 'device' AND d.id = s.subject_id
        WHERE s.muted_by <> '[]'
    """
    async with connected(dsn) as connection:
        return [tuple(row) for row in await connection.fetch(query)]


def hours(time: datetime | None) -> float | None:
    return None if time is None else (time - START) / timedelta(hours=1)
