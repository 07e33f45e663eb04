"""The main job on embedded defaults: a database and a broker of our own, a simulated village, the real service.

Owns putting these together and taking them apart again. What people see of it is ``demo_view.py``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from smartdorf.app import Service, load_content
from smartdorf.clock import Clock
from smartdorf.config.rules import load_rules
from smartdorf.config.settings import DatabaseSettings, MqttSettings, RulesSettings, Settings, WebSettings
from smartdorf.content import shipped
from smartdorf.db import directory as db_directory
from smartdorf.db.migrate import migrate
from smartdorf.db.overview import fetch_counts
from smartdorf.db.pool import connected, open_pool
from smartdorf.embedded.broker import EmbeddedBroker
from smartdorf.embedded.postgres import EmbeddedPostgres
from smartdorf.notify.receiver import Notification
from smartdorf.simulate.faults import Faults
from smartdorf.simulate.ledger import Ledger, Message
from smartdorf.simulate.publish import publish
from smartdorf.simulate.stream import simulate
from smartdorf.simulate.village import Village
from smartdorf.vocabulary import load_vocabulary

SPEED = 1800  # half an hour each second: a day in less than a minute
BEGINS = datetime(2026, 10, 24, 5, 0, tzinfo=ZoneInfo("Europe/Berlin"))  # the night to Sunday has 25 hours
SEED = 7
FAULTS = Faults(
    lost=0.01,
    late=0.005,
    reordered=0.005,
    clock_errors=0.005,
    broken_frames=0.01,
    duplicates=0.03,
    retransmissions=0.01,
    garbage=0.01,
    silent_devices=1,
)
SETTLE = 10.0  # seconds for the last messages to be stored


@dataclass
class Told:
    """A receiver of the demo: what it is told is shown in the view."""

    name: str
    messages: deque[Notification]
    language: str = "de"

    async def send(self, message: Notification) -> str:
        self.messages.appendleft(message)
        return "shown"


@dataclass
class Demo:
    """A running demo, for whoever looks at it."""

    service: Service
    pool: asyncpg.Pool
    clock: Clock
    ledger: Ledger
    told: deque[Notification]
    enough: asyncio.Event = field(default_factory=asyncio.Event)  # the village falls silent

    @property
    def handled(self) -> int:
        """Messages that the service has committed, one way or another."""
        return int(self.service.metrics.value("smartdorf_batch_messages_sum"))

    async def result(self) -> dict[str, Any]:
        """The counts of the last line; taken once everything that was published has been handled."""
        counts = await fetch_counts(self.pool)
        return {
            "published": self.ledger.published,
            "stored": counts["stored"],
            "duplicates": int(self.service.metrics.value("smartdorf_uplinks_total", result="duplicate")),
            "quarantined": counts["quarantined"],
            "decode_faults": counts["decode_faults"],
            "frame_gaps": counts["frame_gaps"],
            "alerts_fired": counts["alerts_fired"],
            "alerts_resolved": counts["alerts_resolved"],
        }

    async def settle(self) -> None:
        """Let the village fall silent, and wait until the service has handled all that it published."""
        self.enough.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE):
                while self.handled < self.ledger.published:
                    await asyncio.sleep(0.05)


@asynccontextmanager
async def open_demo(language: str) -> AsyncIterator[Demo]:
    """Start everything; the village begins to publish at once. On exit everything is stopped and deleted."""
    with EmbeddedPostgres() as postgres, EmbeddedBroker() as broker:
        await asyncio.to_thread(migrate, postgres.dsn, "plain")
        village = Village.build(SEED, start=BEGINS)
        await onboard(postgres.dsn, village)
        settings = _settings(postgres.dsn, broker.port)
        told: deque[Notification] = deque(maxlen=50)
        content = load_content(settings)
        receivers = sorted({name for rule in content.rules.rules for name in rule.notify})
        clock = Clock(start=BEGINS, speed=SPEED)
        service = Service(
            settings, content, clock=clock, receivers=[Told(name, told, language) for name in receivers]
        )
        async with open_pool(postgres.dsn) as pool, asyncio.TaskGroup() as group:
            demo = Demo(service, pool, clock, Ledger(), told)
            serving = group.create_task(service.run(), name="service")
            publishing = group.create_task(_publish(demo, village, broker.port), name="village")
            try:
                yield demo
            finally:
                publishing.cancel()
                service.stop()
                await asyncio.wait([serving])


async def _publish(demo: Demo, village: Village, port: int) -> None:
    while not demo.service.caught_up():  # the broker keeps nothing for a subscriber it has never seen
        await asyncio.sleep(0.05)
    messages = simulate(village, FAULTS, seed=SEED, encoding="mixed", ledger=demo.ledger)
    await publish(_until(messages, demo.enough), host="127.0.0.1", port=port, clock=demo.clock)


def _until(messages: Iterator[Message], stop: asyncio.Event) -> Iterator[Message]:
    """Messages until ``stop``; none is taken that is not published, since the ledger counts what was taken."""
    while not stop.is_set():
        yield next(messages)


def _settings(dsn: str, port: int) -> Settings:
    rules = tuple(rule.name for rule in load_rules([shipped("rules")], load_vocabulary()))
    return Settings(
        database=DatabaseSettings(dsn=dsn, profile="plain"),
        mqtt=(MqttSettings(name="demo", host="127.0.0.1", port=port, client_id="smartdorf-demo"),),
        web=WebSettings(port=0),
        rules=RulesSettings(live=rules),  # nobody waits some weeks for what it would have told
    )


async def onboard(dsn: str, village: Village) -> None:
    async with connected(dsn) as connection:
        for device in village.devices:
            place = device.place
            await db_directory.add_place(
                connection,
                slug=place.slug,
                name=place.name,
                place_type=place.place_type,
                latitude=place.latitude,
                longitude=place.longitude,
                tags=place.tags,
                limits=place.parameters,
            )
            await db_directory.add_device(
                connection,
                dev_eui=device.dev_eui,
                model=device.model,
                name=device.name,
                parameters=device.parameters,
            )
            await db_directory.install(connection, dev_eui=device.dev_eui, place=place.slug, since=BEGINS)
