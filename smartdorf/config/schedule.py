"""Weekly times of a village: ``{days: mo-fr, hours: "08:00-18:00", on_holidays: false}``. Pure.

They are those of the church clock, in summer and winter. What begins in the hour that spring skips begins when the
clocks jump; of the hour that autumn has twice, what begins in it begins with the first and what ends in it ends with
the second. A span over midnight belongs to the day on which it begins, whether that is a holiday included.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple
from zoneinfo import ZoneInfo

from smartdorf.config.calendar import Calendar
from smartdorf.local_time import ZONE

DAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")
MIDNIGHT = 24 * 60
SEARCH = 100  # days that are looked through; the longest school holidays are half as long
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


class Span(NamedTuple):
    """Minutes of a day, the end not included; one that ends no later than it begins goes over midnight."""

    begin: int
    end: int

    def __str__(self) -> str:
        return f"{_clock(self.begin)}-{_clock(self.end)}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something is on. Days count from Monday, 0; hours do not overlap."""

    days: frozenset[int] = frozenset(range(7))
    hours: tuple[Span, ...] = (Span(0, MIDNIGHT),)
    on_holidays: bool = True
    on_school_holidays: bool = True

    def __str__(self) -> str:
        """As it may stand in a rule file."""
        runs, hours = _runs(self.days), ", ".join(map(str, self.hours))
        parts = []
        if len(self.days) < 7:
            parts.append(f"days: {runs[0] if len(runs) == 1 else '[' + ', '.join(runs) + ']'}")
        if self.hours != (Span(0, MIDNIGHT),):
            parts.append(f"hours: {hours}" if len(self.hours) == 1 else f'hours: "{hours}"')
        parts += [] if self.on_holidays else ["on_holidays: false"]
        parts += [] if self.on_school_holidays else ["on_school_holidays: false"]
        return "{" + ", ".join(parts) + "}"

    def is_open(self, at: datetime, calendar: Calendar) -> bool:
        today = at.astimezone(ZoneInfo(ZONE)).date()
        return any(
            begin <= at < end for day in (today - _DAY, today) for begin, end in self._on(day, calendar)
        )

    def next_change(self, at: datetime, calendar: Calendar) -> datetime | None:
        """When it next opens or closes, later than ``at``; None: not within the next hundred days."""
        is_open = self.is_open(at, calendar)
        first = at.astimezone(ZoneInfo(ZONE)).date()
        before = list(self._on(first - _DAY, calendar))
        for ahead in range(SEARCH):
            today = list(self._on(first + ahead * _DAY, calendar))
            # hours do not overlap: what ends tomorrow does so before anything else begins
            for edge in sorted({edge for span in (*before, *today) for edge in span if edge > at}):
                if self.is_open(edge, calendar) != is_open:
                    return edge
            before = today
        return None

    def last_opening(self, at: datetime, calendar: Calendar) -> datetime | None:
        """When it last opened, ``at`` included; None: not within the last hundred days."""
        opened, day = None, at.astimezone(ZoneInfo(ZONE)).date()
        for _number in range(SEARCH):
            for begin, end in sorted(self._on(day, calendar), reverse=True):
                if opened is not None and end < opened:
                    return opened
                if begin <= at:
                    opened = begin if opened is None else min(begin, opened)
            day -= _DAY
        return None

    def _on(self, day: date, calendar: Calendar) -> Iterator[tuple[datetime, datetime]]:
        """What begins on that day, in UTC."""
        if day.weekday() not in self.days or not self._takes_place(day, calendar):
            return
        for begin, end in self.hours:
            opens = moment_of(day, begin, last=False)
            closes = moment_of(day if end > begin else day + _DAY, end, last=True)
            if opens < closes:  # not where spring skips all of it
                yield opens, closes

    def _takes_place(self, day: date, calendar: Calendar) -> bool:
        if not self.on_holidays and calendar.is_holiday(day):
            return False
        return self.on_school_holidays or not calendar.is_school_holiday(day)


class _Known(NamedTuple):
    """Nothing changes between ``since`` and ``until``; without ``until``, for a day at least."""

    since: datetime
    until: datetime | None
    is_open: bool
    opened_at: datetime | None = None
    looked_back: bool = False  # ``opened_at`` is what it says, for all of this time


class OpenTimes:
    """A schedule in the village's calendar. Remembers the last answer: most questions are about the same hours."""

    def __init__(self, schedule: Schedule, calendar: Calendar) -> None:
        self.schedule = schedule
        self.calendar = calendar
        self._known: _Known | None = None

    def is_open(self, at: datetime) -> bool:
        return self._look(at).is_open

    def next_change(self, at: datetime) -> datetime | None:
        return self._look(at).until

    def last_opening(self, at: datetime) -> datetime | None:
        known = self._look(at)
        if not known.looked_back:
            opened = self.schedule.last_opening(at, self.calendar)
            known = self._known = known._replace(opened_at=opened, looked_back=True)
        return known.opened_at

    def may_tell_at(self, now: datetime) -> datetime:
        """``now``, or when it next opens."""
        return now if self.is_open(now) else self.next_change(now) or now

    def _look(self, at: datetime) -> _Known:
        known = self._known
        if known is None or not known.since <= at < (known.until or known.since + _DAY):
            until = self.schedule.next_change(at, self.calendar)
            known = self._known = _Known(at, until, self.schedule.is_open(at, self.calendar))
        return known


@lru_cache(4096)
def moment_of(day: date, minute: int, *, last: bool) -> datetime:
    """What the church clock calls that, in UTC; of a doubled hour the first or the ``last``.

    In the hour that is skipped: when the clocks jump.
    """
    zone = ZoneInfo(ZONE)
    wall = datetime.combine(day, time()) + minute * _MINUTE

    def shown(moment: datetime) -> datetime:
        return moment.astimezone(zone).replace(tzinfo=None)

    found = wall.replace(tzinfo=zone, fold=int(last)).astimezone(UTC)
    if shown(found) == wall:
        return found
    early, late = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    minutes = range((late - early) // _MINUTE + 1)
    jump = bisect_left(minutes, True, key=lambda number: shown(early + number * _MINUTE) > wall)
    return early + jump * _MINUTE


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _runs(days: Iterable[int]) -> list[str]:
    """``mo-fr``, ``su``."""
    runs: list[str] = []
    for _key, group in groupby(enumerate(sorted(days)), lambda entry: entry[1] - entry[0]):
        names = [DAYS[day] for _index, day in group]
        runs += [f"{names[0]}-{names[-1]}"] if len(names) > 2 else names
    return runs
