"""Days and times as they are typed on the command line, in the time of the village's church clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from smartdorf.errors import UsageError
from smartdorf.i18n import gettext as _
from smartdorf.local_time import from_local


def moment_of(text: str, option: str, *, last: bool) -> datetime:
    """A day (``last``: its end) or a time, in UTC."""
    try:
        if len(text) <= 10:
            day = date.fromisoformat(text) + timedelta(days=last)
            return from_local(datetime.combine(day, time()))
        return from_local(datetime.fromisoformat(text)).astimezone(UTC)
    except ValueError:
        message = _("{option} {text}: expected a day or a time, e.g. 2026-05-01 or 2026-05-01T06:00")
        raise UsageError(message.format(option=option, text=text)) from None
