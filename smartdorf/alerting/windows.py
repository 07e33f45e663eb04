"""What a sensor said in the last hours or days, and what the window functions make of it. Pure.

A window whose time is not covered is unknown: a pump that was heard for five minutes has not run all night. Covered is
what has a reading at or before its begin, and for most functions no gap longer than six tenths of it: two days are
long enough for a sensor that reports once a day.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import fmean, median
from typing import NamedTuple

from smartdorf.config.windows import USUAL_DAYS, WINDOWS
from smartdorf.local_time import days_before

Reading = tuple[float, datetime]

MOST_READINGS = 2500  # of a series: a day with a reading every 35 seconds
GAP = 0.6  # of the window
LEAST_STUCK = 3  # readings that must agree
LEAST_DAYS = 5  # of the days before, of which something must be known

_SLACK = 64  # readings
_HOUR = timedelta(hours=1)
_MICROSECOND = timedelta(microseconds=1)


class Window(NamedTuple):
    """``first``: the time of the first value; ``elapsed``: from then to the last one; ``gap``: the longest."""

    values: Sequence[float]
    elapsed: timedelta
    first: datetime
    gap: timedelta


class History:
    """A series' readings, oldest first; it does not change: `with_reading` gives the next one.

    Times, gaps and values stand side by side, because a long window is asked for at nearly every uplink and looks at
    hundreds of them. For the same reason the next history shares them, and differs only in how much of them is its:
    what lies behind ``_end`` is of a history that came later, or of an evaluation that was given up.
    """

    __slots__ = ("_begin", "_end", "_gaps", "_times", "_values")

    def __init__(self, readings: Iterable[Reading] = (), span: timedelta | None = None) -> None:
        """``span``: the longest window that is asked for; None: nothing is forgotten."""
        pairs = sorted({time: value for value, time in reversed(list(readings))}.items())
        self._times = [time for time, _value in pairs]
        self._values = [value for _time, value in pairs]
        self._gaps = _gaps(self._times)  # to the reading before, in microseconds; of the first 0
        self._begin, self._end = 0, len(pairs)
        if pairs and span is not None:
            self._forget(span)

    def __len__(self) -> int:
        return self._end - self._begin

    def __iter__(self) -> Iterator[Reading]:
        part = slice(self._begin, self._end)
        return zip(self._values[part], self._times[part], strict=True)

    def with_reading(self, reading: Reading, span: timedelta) -> History:
        """With one more, where its time belongs (one that is there already stays), and without what no window of this
        length reaches any more; the last one before its begin stays."""
        value, time = reading
        begin, end, times = self._begin, self._end, self._times
        if not self or time <= times[end - 1]:
            return History([*self, reading], span)
        if len(times) > end:
            del times[end:], self._values[end:], self._gaps[end:]
        times.append(time)
        self._values.append(value)
        self._gaps.append((time - times[end - 1]) // _MICROSECOND)
        after = History.__new__(History)
        after._times, after._values, after._gaps = times, self._values, self._gaps
        after._begin, after._end = begin, end + 1
        after._forget(span)
        return after

    def _forget(self, span: timedelta) -> None:
        begin, end, times = self._begin, self._end, self._times
        place = bisect_left(times, times[end - 1] - span, begin, end)
        self._begin = begin = max(place - 1, end - MOST_READINGS, begin)
        if begin > end - begin + _SLACK:  # not with each reading: it moves all others
            self._times, self._values = times[begin:end], self._values[begin:end]
            self._gaps = self._gaps[begin:end]
            self._begin, self._end = 0, end - begin

    def window(self, begin: datetime, at: datetime) -> Window | None:
        """What is known from ``begin`` to ``at``, with the last reading until ``begin``.

        None: nothing is known of the begin, or nothing since.
        """
        times = self._times
        first = bisect_right(times, begin, self._begin, self._end) - 1
        end = bisect_right(times, at, self._begin, self._end)
        if first < self._begin or end - first < 2:
            return None
        last = times[end - 1]
        gap = max(*self._gaps[first + 1 : end], (at - last) // _MICROSECOND) * _MICROSECOND
        return Window(self._values[first:end], last - times[first], times[first], gap)


def _gaps(times: Sequence[datetime]) -> list[int]:
    return [0, *((after - before) // _MICROSECOND for before, after in pairwise(times))] if times else []


NOTHING = History()


def longest_gap(function: str, span: timedelta) -> timedelta:
    """Between two readings, up to which the window is covered."""
    return span * GAP if WINDOWS[function].whole else 2 * span


def compute(
    function: str,
    history: History,
    at: datetime,
    span: timedelta,
    *,
    since: datetime | None = None,
    is_counter: bool = False,
) -> float | None:
    """The function's value at a time; None: unknown. ``since``: what was before is of another place."""
    found = history.window(at - span, at)
    if found is None:
        return None  # nobody knows how it began, or what has been since
    values, elapsed, first, gap = found
    if (since is not None and first < since) or gap > longest_gap(function, span):
        return None
    result = _FUNCTIONS[function](values, elapsed, is_counter)
    return result if result is not None and math.isfinite(result) else None


def usually(value: Callable[[datetime], float | None], at: datetime) -> float | None:
    """The median of what ``value`` was at this time of day on the days before; None: too few are known."""
    days = [value(days_before(at, number)) for number in range(1, USUAL_DAYS + 1)]
    known = [one for one in days if one is not None]
    return median(known) if len(known) >= LEAST_DAYS else None


# -- the functions: of the values, the first being that which held at the begin, and of the time that they are from ----

_Function = Callable[[Sequence[float], timedelta, bool], float | None]


def _delta(values: Sequence[float], _elapsed: timedelta, is_counter: bool) -> float:
    if is_counter:  # one that falls has begun anew; how much it counted up to then is not known
        return math.fsum(max(0.0, b - a) for a, b in pairwise(values))
    return values[-1] - values[0]


def _rate(values: Sequence[float], elapsed: timedelta, is_counter: bool) -> float | None:
    hours = elapsed / _HOUR
    return _delta(values, elapsed, is_counter) / hours if hours > 0 else None


def _stuck(values: Sequence[float], _elapsed: timedelta, _is_counter: bool) -> float | None:
    if len(values) < LEAST_STUCK:
        return None
    return float(len(set(values)) == 1)


_FUNCTIONS: Mapping[str, _Function] = {
    "avg": lambda values, _elapsed, _counter: fmean(values[1:]),
    "min": lambda values, _elapsed, _counter: min(values),
    "max": lambda values, _elapsed, _counter: max(values),
    "median": lambda values, _elapsed, _counter: median(values[1:]),
    "sum": lambda values, _elapsed, _counter: math.fsum(values[1:]),
    "count": lambda values, _elapsed, _counter: float(len(values) - 1),
    "first": lambda values, _elapsed, _counter: values[0],
    "last": lambda values, _elapsed, _counter: values[-1],
    "delta": _delta,
    "rate": _rate,
    "stuck": _stuck,
}
