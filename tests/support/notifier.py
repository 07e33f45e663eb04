"""A notifier on a real database, with receivers of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from smartdorf.db.pool import open_pool
from smartdorf.metrics import Metrics
from smartdorf.notify.pipeline import Notifier
from tests.support.alerts import ManualClock, Recorder, outbox, until


class Bench:
    """A running notifier and what it stands on."""

    notifier: Notifier

    def __init__(self, dsn: str, clock: ManualClock, *, caught_up: bool) -> None:
        self.dsn = dsn
        self.clock = clock
        self.metrics = Metrics("test")
        self.caught_up = caught_up
        self.looks = 0

    def is_caught_up(self) -> bool:
        self.looks += 1  # asked at every look at the outbox
        return self.caught_up

    async def states(self) -> list[str]:
        return [row["state"] for row in await outbox(self.dsn)]

    async def becomes(self, *states: str, attempts: int | None = None) -> None:
        """Wait until the outbox has these states (and every row at least so many attempts)."""
        rows = []
        for _ in range(500):
            rows = await outbox(self.dsn)
            enough = attempts is None or all(row["attempts"] >= attempts for row in rows)
            if [row["state"] for row in rows] == list(states) and enough:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"the outbox stays {[dict(row) for row in rows]}")

    async def looked_again(self) -> None:
        """Wait until the receivers' tasks have looked at the outbox several times more."""
        before = self.looks
        await until(lambda: self.looks >= before + 6, "the outbox is looked at")


@asynccontextmanager
async def running(
    dsn: str,
    *receivers: Recorder,
    clock: ManualClock | None = None,
    caught_up: bool = True,
    poll: float = 0.02,
    grace: float = 5.0,
    through: str | None = None,
    waiting: Mapping[str, datetime] | None = None,
) -> AsyncIterator[Bench]:
    """A notifier on ``dsn`` (or reaching it ``through`` another address) until the block ends."""
    bench = Bench(dsn, clock or ManualClock(), caught_up=caught_up)
    async with open_pool(through or dsn) as pool:
        bench.notifier = Notifier(
            pool,
            receivers,
            clock=bench.clock,
            caught_up=bench.is_caught_up,
            waiting=lambda now: {rule: time for rule, time in (waiting or {}).items() if time > now},
            metrics=bench.metrics,
            base_url="https://village.example",
            poll_seconds=poll,
            grace_seconds=grace,
            jitter=lambda: 0.5,
        )
        task = asyncio.create_task(bench.notifier.run())
        try:
            yield bench
        finally:
            bench.notifier.stop()
            await task
