"""What the service does each night while the village sleeps: delete what is too old, finish what was to be erased."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import structlog

from smartdorf.clock import Clock
from smartdorf.db.erasure import finish_erasures
from smartdorf.db.migrate import Profile
from smartdorf.db.retention import Retention, delete_expired
from smartdorf.errors import SmartdorfError
from smartdorf.local_time import ZONE

log = structlog.get_logger(__name__)

HOUR = time(3, 30)  # behind the hour that October has twice and March has not
RETRY = 1800.0  # seconds, where the database was away


def next_night(now: datetime) -> datetime:
    """The next time that the village's clock shows ``HOUR``."""
    local = now.astimezone(ZoneInfo(ZONE))
    tonight = datetime.combine(local.date(), HOUR, local.tzinfo)
    if tonight <= local:
        tonight = datetime.combine(local.date() + timedelta(days=1), HOUR, local.tzinfo)
    return tonight.astimezone(UTC)


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
