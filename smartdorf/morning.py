"""What the service does each morning: list what the rules on trial would have told, so that people judge it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, time

import structlog

from smartdorf.clock import Clock
from smartdorf.config.rule import Rule
from smartdorf.db.pool import connected
from smartdorf.db.trials import list_trials
from smartdorf.errors import SmartdorfError
from smartdorf.local_time import next_time

log = structlog.get_logger(__name__)

HOUR = time(7)
RETRY = 60.0  # seconds, where the database was away


async def list_what_was_on_trial(dsn: str, rules: Callable[[], Iterable[Rule]], clock: Clock) -> None:
    """Run for ever; a morning on which the database is away is made up for as soon as it is back."""
    while True:
        now = clock.now()
        await clock.sleep((next_time(now, HOUR) - now).total_seconds())
        while not await _list_once(dsn, rules(), clock.now()):
            await clock.sleep(RETRY)


async def _list_once(dsn: str, rules: Iterable[Rule], now: datetime) -> bool:
    try:
        async with connected(dsn) as connection:
            await list_trials(connection, {rule.name: rule.notify for rule in rules}, now)
    except SmartdorfError as error:
        log.warning("the list of the rules on trial waits", error=str(error))
        return False
    return True
