"""A container with a sensor and the alerts about it, written as the uplink path writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg

from smartdorf.clock import Clock
from smartdorf.db.pool import connected
from smartdorf.db.transitions import Change, record_change
from smartdorf.notify.receiver import Notification

NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)  # 12:00 in Berlin, a Monday


class ManualClock(Clock):
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOON) -> None:
        super().__init__()
        self.time = now

    def now(self) -> datetime:
        return self.time

    def advance(self, **units: float) -> None:
        self.time += timedelta(**units)


class Recorder:
    """A receiver at the end of the line: keeps what it was told, and fails as it is told to."""

    def __init__(self, name: str = "bauhof", language: str = "en") -> None:
        self.name = name
        self.language = language
        self.told: list[Notification] = []
        self.failures: list[Exception] = []  # raised first, one per attempt
        self.hold: asyncio.Event | None = None  # answers only once this is set
        self.busy = 0
        self.busiest = 0

    @property
    def kinds(self) -> list[str]:
        return [message.kind for message in self.told]

    async def send(self, message: Notification) -> str:
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            if self.hold is not None:
                await self.hold.wait()
            if self.failures:
                raise self.failures.pop(0)
            await asyncio.sleep(0)
        finally:
            self.busy -= 1
        self.told.append(message)
        return "thank you"


async def add_container(dsn: str, name: str = "Glas Kirchplatz") -> int:
    """A place with a sensor since June; returns its id."""
    slug = name.lower().replace(" ", "-")
    async with connected(dsn) as connection:
        place_id = await connection.fetchval(
            "INSERT INTO place (tenant_id, slug, name, place_type) SELECT id, $1, $2, 'container' FROM tenant "
            "RETURNING id",
            slug,
            name,
        )
        await connection.execute(
            "WITH sensor AS (INSERT INTO device (dev_eui, name, model, onboarded_at) "
            "VALUES (lpad(to_hex($1::bigint), 16, '0'), 'sensor ' || $1::bigint, 'milesight/em310-udl', $2) "
            "RETURNING id) "
            "INSERT INTO installation (device_id, place_id, valid_from) SELECT id, $1, $2 FROM sensor",
            place_id,
            NOON - timedelta(days=150),
        )
        return int(place_id)


async def measure(dsn: str, place_id: int, time: datetime, **values: float) -> None:
    """The latest values of the place's sensor."""
    async with connected(dsn) as connection:
        for metric, value in values.items():
            await connection.execute(
                "WITH m AS (INSERT INTO metric (name, unit, kind) VALUES ($1, '%', 'gauge') "
                "ON CONFLICT (name) DO UPDATE SET unit = excluded.unit RETURNING id) "
                "INSERT INTO measurement_latest (device_id, channel, metric_id, time, value, quality, place_id) "
                "SELECT device_id, 0, m.id, $2, $3, 0, place_id FROM installation, m WHERE place_id = $4",
                metric,
                time,
                value,
                place_id,
            )


def change(kind: str, place_id: int, time: datetime = NOON, **overrides: object) -> Change:
    full = kind == "fired"
    fields: dict[str, object] = {
        "kind": kind,
        "rule": "ContainerFull",
        "rule_version": "1",
        "subject_kind": "place",
        "subject_id": place_id,
        "severity": "warning",
        "stage": {},
        "since": time - timedelta(minutes=30),
        "time": time,
        "title": {"de": "Container voll", "en": "Container full"},
        "summary": {"de": "83 % voll", "en": "83 % full"} if full else {"de": "20 % voll", "en": "20 % full"},
        "action": {"de": "In die Tour aufnehmen.", "en": "Add to the tour."},
        "inputs": {"fill_level_pct": 83.0 if full else 20.0},
        "reason": None,
        "receivers": ["bauhof"],
        "stale": False,
    }
    return Change(**(fields | overrides))  # type: ignore[arg-type]  # the overrides are the test's


async def record(dsn: str, *changes: Change, now: datetime = NOON) -> None:
    """Write the changes in one transaction, as the uplink path does."""
    async with connected(dsn) as connection, connection.transaction():
        for entry in changes:
            await record_change(connection, entry, now)


async def outbox(dsn: str) -> list[asyncpg.Record]:
    async with connected(dsn) as connection:
        rows: Sequence[asyncpg.Record] = await connection.fetch("SELECT * FROM outbox ORDER BY id")
        return list(rows)


async def until(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Wait for something that must happen; fails saying what did not."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"did not happen within {seconds} s: {what}") from None
