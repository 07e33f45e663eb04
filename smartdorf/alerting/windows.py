"""What a sensor said in the last hours or days, and what the window functions make of it. Pure.

A window whose time is not covered is unknown: a pump that was heard for five minutes has not run all night. Covered is
what has a reading at or before its begin, and for most functions no gap longer than six tenths of it: two days are
long enough for a sensor that reports once a day.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from operator import itemgetter
from statistics import fmean, median

from smartdorf.config.windows import USUAL_DAYS, WINDOWS
from smartdorf.local_time import days_before

Reading = tuple[float, datetime]

MOST_READINGS = 2500  # of a series: a day with a reading every 35 seconds
GAP = 0.6  # of the window
LEAST_STUCK = 3  # readings that must agree
LEAST_DAYS = 5  # of the days before, of which something must be known

_HOUR = timedelta(hours=1)
_time = itemgetter(1)


def longest_gap(function: str, span: timedelta) -> timedelta:
    """Between two readings, up to which the window is covered."""
    return span * GAP if WINDOWS[function].whole else 2 * span


def insert(readings: list[Reading], reading: Reading) -> None:
    """Put a reading where its time belongs; one that is there already stays."""
    if not readings or reading[1] > readings[-1][1]:
        readings.append(reading)
        return
    place = bisect_left(readings, reading[1], key=_time)
    if readings[place][1] != reading[1]:
        readings.insert(place, reading)


def prune(readings: list[Reading], span: timedelta) -> None:
    """Forget what no window of this length reaches any more; the last one before its begin stays."""
    place = bisect_left(readings, readings[-1][1] - span, key=_time)
    del readings[: max(place - 1, len(readings) - MOST_READINGS, 0)]


def compute(
    function: str,
    readings: Sequence[Reading],
    at: datetime,
    span: timedelta,
    *,
    since: datetime | None = None,
    is_counter: bool = False,
) -> float | None:
    """The function's value at a time; None: unknown. ``since``: what was before is of another place."""
    begin = at - span
    first = bisect_right(readings, begin, key=_time)
    held = readings[max(first - 1, 0) : bisect_right(readings, at, key=_time)]
    if not first or len(held) < 2 or (since is not None and held[0][1] < since):
        return None  # nobody knows how it began, or what has been since
    longest = longest_gap(function, span)
    earlier = held[0][1]
    for _value, time in held:
        if time - earlier > longest:
            return None
        earlier = time
    if at - earlier > longest:
        return None
    result = _FUNCTIONS[function](held, held[1:], is_counter)
    return result if result is not None and math.isfinite(result) else None


def usually(value: Callable[[datetime], float | None], at: datetime) -> float | None:
    """The median of what ``value`` was at this time of day on the days before; None: too few are known."""
    days = [value(days_before(at, number)) for number in range(1, USUAL_DAYS + 1)]
    known = [one for one in days if one is not None]
    return median(known) if len(known) >= LEAST_DAYS else None


# -- the functions: of the readings with the one that held at the begin, and of those since ------------------------

_Function = Callable[[Sequence[Reading], Sequence[Reading], bool], float | None]


def _values(readings: Sequence[Reading]) -> list[float]:
    return [value for value, _at in readings]


def _delta(held: Sequence[Reading], _within: Sequence[Reading], is_counter: bool) -> float:
    if is_counter:  # one that falls has begun anew; how much it counted up to then is not known
        return math.fsum(max(0.0, b - a) for a, b in pairwise(_values(held)))
    return held[-1][0] - held[0][0]


def _rate(held: Sequence[Reading], within: Sequence[Reading], is_counter: bool) -> float | None:
    elapsed = (held[-1][1] - held[0][1]) / _HOUR
    return _delta(held, within, is_counter) / elapsed if elapsed > 0 else None


def _stuck(held: Sequence[Reading], _within: Sequence[Reading], _is_counter: bool) -> float | None:
    if len(held) < LEAST_STUCK:
        return None
    return float(len(set(_values(held))) == 1)


_FUNCTIONS: Mapping[str, _Function] = {
    "avg": lambda _held, within, _counter: fmean(_values(within)),
    "min": lambda held, _within, _counter: min(_values(held)),
    "max": lambda held, _within, _counter: max(_values(held)),
    "median": lambda _held, within, _counter: median(_values(within)),
    "sum": lambda _held, within, _counter: math.fsum(_values(within)),
    "count": lambda _held, within, _counter: float(len(within)),
    "first": lambda held, _within, _counter: held[0][0],
    "last": lambda held, _within, _counter: held[-1][0],
    "delta": _delta,
    "rate": _rate,
    "stuck": _stuck,
}
