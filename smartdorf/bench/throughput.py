"""How many uplinks a second: a backlog in the broker's queue, and the service that works it off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import asyncpg

from smartdorf.bench.broker import Broker
from smartdorf.bench.database import Database, Stored, count_stored
from smartdorf.bench.machine import machine_cpu_seconds
from smartdorf.bench.service import RunningService
from smartdorf.bench.village import MEASUREMENTS
from smartdorf.errors import SmartdorfError, UsageError
from smartdorf.i18n import gettext as _
from smartdorf.simulate.ledger import Message
from smartdorf.simulate.publish import publish

SAMPLE = 0.5  # seconds between two looks at the counter; each costs the service up to ten milliseconds
FIRST = 0.05  # seconds between two looks until there is a first commit
ENOUGH = 4  # samples
OTHERS = "others"  # everything else that runs on this machine, and what its host took away
STALLED = 30.0  # seconds without a commit
PACKET = 16  # bytes of an MQTT publish beside topic and payload, rather too many


@dataclass(frozen=True, slots=True)
class Throughput:
    uplinks: int
    uplinks_per_second: float
    seconds: float  # between the two looks at the counter of commits that the rate is taken from
    stored: Stored  # by these uplinks
    cpu_seconds: dict[str, float | None]  # in these seconds, by part
    peak_rss_mb: int | None


async def fill_queue(messages: Sequence[Message], broker: Broker) -> None:
    """Publish everything while the service is away; its session at the broker keeps it."""
    size = sum(len(message.payload) + len(message.topic) + PACKET for message in messages)
    if broker.largest_backlog is not None and size > broker.largest_backlog:
        most = len(messages) * broker.largest_backlog // size
        text = _(
            "The embedded broker keeps no more than about {most} uplinks for an absent service: "
            "install mosquitto, or use --uplinks {most}."
        )
        raise UsageError(text.format(most=most // 1000 * 1000))
    await publish(messages, host="127.0.0.1", port=broker.port, client_id="smartdorf-bench-load")


async def drain(
    uplinks: int, service: RunningService, database: Database, broker: Broker, connection: asyncpg.Connection
) -> Throughput:
    """Watch the service, which has just been started, work off the queue."""
    before = await count_stored(connection)
    cpu = {
        "service": service.cpu,
        "database": database.cpu,
        "broker": broker.cpu,
        "benchmark": time.process_time,
        OTHERS: machine_cpu_seconds,
    }
    samples = await _watch(service, uplinks, cpu)
    stored = await count_stored(connection) - before
    if stored != Stored(uplinks, MEASUREMENTS * uplinks, not_decoded=0, quarantined=0, alerts=0):
        text = _("{uplinks} uplinks were published, but the database holds something else: {stored}")
        raise SmartdorfError(text.format(uplinks=uplinks, stored=stored))
    if len(samples) == 1:
        raise UsageError(_("That is too few uplinks to measure a rate; give more with --uplinks."))
    # The last commits are seen up to SAMPLE after they happened, so where there are enough others, that sample is
    # left out; with it the rate is rather too low than too high.
    first, last = samples[0], samples[-2 if len(samples) >= ENOUGH else -1]
    seconds = last.at - first.at
    used = {name: _difference(last.cpu[name], first.cpu[name]) for name in cpu}
    everything = used[OTHERS]
    ours = [part for name, part in used.items() if name != OTHERS]
    if everything is not None:
        known = None not in ours
        used[OTHERS] = round(max(0.0, everything - sum(part or 0.0 for part in ours)), 2) if known else None
    rate = (last.committed - first.committed) / seconds
    return Throughput(uplinks, rate, seconds, stored, used, service.peak_memory_mb())


class _Sample(NamedTuple):
    at: float
    committed: int
    cpu: dict[str, float | None]


async def _watch(
    service: RunningService, uplinks: int, cpu: Mapping[str, Callable[[], float | None]]
) -> list[_Sample]:
    """The counter each time it had moved: from the first commits that were seen until all uplinks are there."""
    samples: list[_Sample] = []
    progress = time.monotonic()
    while not samples or samples[-1].committed < uplinks:
        await asyncio.sleep(SAMPLE if samples else FIRST)
        asked = time.perf_counter()
        committed = await service.committed()
        # the service answers between two steps of its own, so the answer is as old as half the waiting
        at = (asked + time.perf_counter()) / 2
        if committed > (samples[-1].committed if samples else 0):
            samples.append(_Sample(at, committed, {name: measure() for name, measure in cpu.items()}))
            progress = time.monotonic()
        elif time.monotonic() - progress > STALLED:
            text = _("The service has committed {committed} of {uplinks} uplinks and nothing since.")
            raise SmartdorfError(text.format(committed=committed, uplinks=uplinks))
    return samples


def _difference(after: float | None, before: float | None) -> float | None:
    """In hundredths, which is how the kernel counts."""
    return round(after - before, 2) if after is not None and before is not None else None
