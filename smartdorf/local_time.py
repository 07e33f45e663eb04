"""Moments as people read them: in the time of the village's church clock. Inside, and for programs, times are UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from datetime import time as Time  # noqa: N812 - "time" is a moment here
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, get_timezone

ZONE = "Europe/Berlin"
_MOMENT = {"de": "dd.MM.yyyy HH:mm", "en": "yyyy-MM-dd HH:mm"}
_SPOKEN = {"de": "EEE, dd.MM., HH:mm 'Uhr'", "en": "EEE d MMM, HH:mm"}


def moment_text(time: datetime, language: str, *, seconds: bool = False) -> str:
    """``25.10.2026 02:30``, for tables."""
    pattern = _MOMENT[language] + (":ss" if seconds else "")
    return str(format_datetime(time, pattern, tzinfo=get_timezone(ZONE), locale=language))


def time_text(time: datetime, language: str) -> str:
    """``So., 25.10., 02:30 Uhr``, for messages."""
    return str(format_datetime(time, _SPOKEN[language], tzinfo=get_timezone(ZONE), locale=language))


def local_hour(time: datetime) -> float:
    """The time of day, in hours: 22.5 at half past ten in the evening."""
    local = time.astimezone(ZoneInfo(ZONE))
    return local.hour + local.minute / 60 + local.second / 3600


def days_before(time: datetime, days: int) -> datetime:
    """The same time of day as many days ago, whatever the clocks did in between; in UTC."""
    return (time.astimezone(ZoneInfo(ZONE)) - timedelta(days=days)).astimezone(UTC)


def next_time(now: datetime, hour: Time) -> datetime:
    """When the village's clock shows ``hour`` next."""
    local = now.astimezone(ZoneInfo(ZONE))
    today = datetime.combine(local.date(), hour, local.tzinfo)
    if today <= local:
        today = datetime.combine(local.date() + timedelta(days=1), hour, local.tzinfo)
    return today.astimezone(UTC)


def from_local(time: datetime) -> datetime:
    """What somebody has typed without a zone, in UTC; of October's doubled hour the first one."""
    return (time if time.tzinfo is not None else time.replace(tzinfo=ZoneInfo(ZONE))).astimezone(UTC)
