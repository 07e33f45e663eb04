"""What the service does each night while the village sleeps: delete what is too old, finish what was to be erased,
learn how often each device reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta

import structlog

from smartdorf.clock import Clock
from smartdorf.db.erasure import finish_erasures
from smartdorf.db.migrate import Profile
from smartdorf.db.pool import connected
from smartdorf.db.retention import Retention, delete_expired
from smartdorf.db.rhythm import is_due, learn
from smartdorf.errors import SmartdorfError
from smartdorf.local_time import next_time

log = structlog.get_logger(__name__)

HOUR = time(3, 30)  # behind the hour that October has twice and March has not
RETRY = 1800.0  # seconds, where the database was away


def next_night(now: datetime) -> datetime:
    """The next time that the village's clock shows ``HOUR``."""
    return next_time(now, HOUR)


async def clear_out(dsn: str, profile: Profile, retention: Retention, clock: Clock) -> None:
    """Run for ever; a night in which the database is away is made up for as soon as it is back."""
    while True:
        now = clock.now()
        await clock.sleep((next_night(now) - now).total_seconds())
        while not await _clear_out_once(dsn, profile, retention, clock.now()):
            await clock.sleep(RETRY)


async def _clear_out_once(dsn: str, profile: Profile, retention: Retention, now: datetime) -> bool:
    try:
        rows = await delete_expired(dsn, profile, retention, now)
        erasures = await finish_erasures(dsn, profile)
    except SmartdorfError as error:
        log.warning("what is too old could not be deleted, will be tried again", error=str(error))
        return False
    log.info("deleted what is too old", **rows)
    if erasures:
        log.warning("finished what had been broken off while it was erased", erasures=erasures)
    return True


async def keep_learning(dsn: str, intervals: Mapping[str, timedelta], clock: Clock) -> None:
    """Run for ever: at the start where the last night was missed, then each night. ``intervals``: by sensor model."""
    at_start = True
    while True:
        while not await _learn_once(dsn, intervals, clock.now(), only_if_due=at_start):
            await clock.sleep(RETRY)
        at_start = False
        now = clock.now()
        await clock.sleep((next_night(now) - now).total_seconds())


async def _learn_once(
    dsn: str, intervals: Mapping[str, timedelta], now: datetime, *, only_if_due: bool
) -> bool:
    try:
        async with connected(dsn) as connection:
            if only_if_due and not await is_due(connection, now):
                return True
            learned = await learn(connection, intervals, now)
    except SmartdorfError as error:
        log.warning("could not learn how often devices report, will be tried again", error=str(error))
        return False
    log.info("learned how often devices report", **learned._asdict())
    return True
