"""How long from an uplink to its alert: a steady trickle in which every uplink fires one."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from smartdorf.bench.broker import Broker
from smartdorf.bench.database import CHANNEL, device_ids
from smartdorf.clock import Clock
from smartdorf.errors import SmartdorfError
from smartdorf.i18n import gettext as _
from smartdorf.simulate.load import load_messages
from smartdorf.simulate.publish import publish
from smartdorf.simulate.village import Village

RATE = 50  # uplinks a second
LEAD = timedelta(seconds=0.5)  # for making the messages
LATE = 10.0  # seconds after the last uplink, when nothing more is expected


@dataclass(frozen=True, slots=True)
class Milliseconds:
    """Nearest-rank percentiles: each is a time that was really measured."""

    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Milliseconds:
        ordered = sorted(seconds)

        def percentile(share: float) -> float:
            return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1000, 2)

        return cls(percentile(0.50), percentile(0.99), percentile(1))


@dataclass(frozen=True, slots=True)
class Latency:
    """From just after an uplink's publish was written to the socket to …"""

    alerts: int
    committed: Milliseconds  # … the alert being committed, and a listening connection having heard of it
    told: Milliseconds  # … the same for "this receiver has been told"


async def measure_latency(
    village: Village, seed: int, broker: Broker, connection: asyncpg.Connection
) -> Latency:
    """One uplink of each device of ``village``; the service has caught up, and alerts are announced."""
    heard: dict[str, float] = {}  # announcement → when it was heard
    published: list[float] = []
    complete, wanted = asyncio.Event(), 2 * len(village.devices)

    def hear(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        heard.setdefault(str(payload), time.perf_counter())
        if len(heard) == wanted:
            complete.set()

    def note(_sent: int) -> None:
        published.append(time.perf_counter())

    ids = await device_ids(connection)
    await connection.add_listener(CHANNEL, hear)
    try:
        clock = Clock()
        devices = len(village.devices)
        messages = load_messages(
            devices,
            seed=seed,
            devices=devices,
            start=clock.now() + LEAD,
            interval=timedelta(seconds=devices / RATE),
        )
        await publish(
            messages,
            host="127.0.0.1",
            port=broker.port,
            clock=clock,
            client_id="smartdorf-bench-load",
            on_progress=note,
        )
        await asyncio.wait([asyncio.create_task(complete.wait())], timeout=LATE)
    finally:
        await connection.remove_listener(CHANNEL, hear)
    subjects = [ids[device.dev_eui] for device in village.devices]
    return Latency(
        devices,
        _times("fired", subjects, published, heard),
        _times("told", subjects, published, heard),
    )


def _times(
    what: str, subjects: Sequence[int], published: Sequence[float], heard: dict[str, float]
) -> Milliseconds:
    times = [heard.get(f"{what} {subject}") for subject in subjects]
    missing = times.count(None)
    if missing:
        text = _("{missing} of {alerts} alerts were not seen as {what}")
        raise SmartdorfError(text.format(missing=missing, alerts=len(subjects), what=what))
    return Milliseconds.of([at - sent for at, sent in zip(times, published, strict=True) if at is not None])
