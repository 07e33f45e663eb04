"""The benchmark of the whole path: stages alone, then throughput, then latency, on one database and one broker."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from smartdorf.app import load_content
from smartdorf.bench.broker import Broker, open_broker
from smartdorf.bench.database import Database, announce_alerts, has_learned, is_idle, open_database
from smartdorf.bench.latency import RATE, Latency, measure_latency
from smartdorf.bench.machine import Machine, describe_machine
from smartdorf.bench.service import RunningService, run_service, write_settings
from smartdorf.bench.stages import Stage, measure_stages, stage_uplinks
from smartdorf.bench.throughput import Throughput, drain, fill_queue
from smartdorf.bench.village import ALERT_TAG, onboard
from smartdorf.clock import Clock
from smartdorf.config.settings import Settings
from smartdorf.db.pool import connect_writer, connected
from smartdorf.garbage import collect_rarely
from smartdorf.i18n import gettext as _
from smartdorf.simulate.ledger import Message
from smartdorf.simulate.load import INTERVAL, load_messages
from smartdorf.simulate.village import Village

LOAD, ALERTS = 1, 2  # seeds: two villages
SETTLE = 3.0  # seconds in which the service takes up what it has learned
SPAN = timedelta(hours=20)  # of the load, in the time of its events


@dataclass(frozen=True, slots=True)
class Plan:
    """``dsn``: of a server on which a scratch database is made; None: an embedded PostgreSQL."""

    dsn: str | None
    uplinks: int
    devices: int
    latency_seconds: int


@dataclass(frozen=True, slots=True)
class Report:
    machine: Machine
    database: Database
    broker: Broker
    devices: int
    throughput: Throughput
    latency: Latency | None
    stages: list[Stage]
    peak_rss_mb: int | None  # of the service, over everything


Tell = Callable[[str], None]


async def bench_ingest(plan: Plan, tell: Tell) -> Report:
    """Measure everything; ``tell`` is told what is being done."""
    tell(_("starting a database and a broker …"))
    with tempfile.TemporaryDirectory(prefix="smartdorf-bench-") as name:
        folder = Path(name)
        async with open_database(plan.dsn) as database:
            with open_broker(folder) as broker:
                settings = write_settings(
                    folder, dsn=database.dsn, profile=database.profile, broker_port=broker.port
                )
                return await _Bench(plan, tell, folder, settings, database, broker).run()


@dataclass(frozen=True, slots=True)
class _Bench:
    plan: Plan
    tell: Tell
    folder: Path
    settings: Settings
    database: Database
    broker: Broker

    async def run(self) -> Report:
        plan = self.plan
        first = stage_uplinks(plan.uplinks)
        count = first + plan.uplinks
        # the last uplink is of now, so that nothing is late, and none of the shipped rules finds a device silent
        interval = min(INTERVAL, SPAN * plan.devices / count)
        start = Clock().now() - count / plan.devices * interval
        await self._make_session()  # before there are devices: none of them is missed while the load is made
        alerting = await self._onboard(start)
        load = partial(load_messages, seed=LOAD, devices=plan.devices, start=start, interval=interval)
        messages, protobuf = load(count), load(first, encoding="protobuf")
        self.tell(_("measuring each stage alone …"))
        stages = await self._measure_stages(messages[:first], protobuf)
        self.tell(_("publishing {uplinks} uplinks into the broker's queue …").format(uplinks=plan.uplinks))
        await fill_queue(messages[first:], self.broker)
        async with run_service(self.settings, self.folder) as service:
            self.tell(_("measuring throughput …"))
            async with connected(self.database.dsn) as connection:
                throughput = await drain(plan.uplinks, service, self.database, self.broker, connection)
            latency = await self._latency(service, alerting) if alerting is not None else None
            peak = service.peak_memory_mb()
        return Report(
            describe_machine(), self.database, self.broker, plan.devices, throughput, latency, stages, peak
        )

    async def _onboard(self, start: datetime) -> Village | None:
        """The devices of the load, from ``start`` on, and one device for each alert; returns these."""
        plan = self.plan
        alerts = RATE * plan.latency_seconds
        self.tell(_("onboarding {devices} devices …").format(devices=plan.devices + alerts))
        async with connected(self.database.dsn) as connection:
            await onboard(connection, seed=LOAD, devices=plan.devices, since=start)
            if not alerts:
                return None
            return await onboard(connection, seed=ALERTS, devices=alerts, since=Clock().now(), tags=ALERT_TAG)

    async def _measure_stages(self, messages: list[Message], protobuf: list[Message]) -> list[Stage]:
        connection = await connect_writer(self.database.dsn)  # as the service writes
        try:
            content = load_content(self.settings)
            collect_rarely()  # as the service does
            return await measure_stages(connection, content, messages, protobuf, Clock().now())
        finally:
            connection.terminate()

    async def _make_session(self) -> None:
        """Let the service subscribe, so that the broker keeps what is published while it is away."""
        async with run_service(self.settings, self.folder) as service:
            await service.caught_up()
            async with connected(self.database.dsn) as connection:
                await service.until(lambda: is_idle(connection))

    async def _latency(self, service: RunningService, alerting: Village) -> Latency:
        self.tell(
            _("measuring latency: {alerts} alerts at {rate} uplinks/s …").format(
                alerts=len(alerting.devices), rate=RATE
            )
        )
        await service.caught_up()
        async with connected(self.database.dsn) as connection:
            await service.until(lambda: has_learned(connection))
            await asyncio.sleep(SETTLE)
            await announce_alerts(connection)
            return await measure_latency(alerting, ALERTS, self.broker, connection)
