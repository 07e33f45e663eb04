"""The one clock. Everything that needs the time is given a ``Clock`` or a ``now``; nothing else reads it."""

import asyncio
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Wall time, or a time that runs ``speed`` times as fast from ``start`` on (demo, simulator, tests)."""

    def __init__(self, *, start: datetime | None = None, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError("speed must be greater than 0")
        self.speed = speed
        # real time stays the machine's own clock, so that an NTP correction is seen
        self._start = datetime.now(UTC) if start is None and speed != 1.0 else start
        if self._start is not None:
            self._start = self._start.astimezone(UTC)  # arithmetic in a local zone is wrong across DST
        self._origin = time.monotonic()

    def now(self) -> datetime:
        """Now, in UTC, to the microsecond."""
        if self._start is None:
            return datetime.now(UTC)
        return self._start + timedelta(seconds=(time.monotonic() - self._origin) * self.speed)

    async def sleep(self, seconds: float) -> None:
        """Sleep ``seconds`` of this clock's time."""
        await asyncio.sleep(seconds / self.speed)
