"""How often a device reports, learned from the gaps between its messages, and how long a silence of it is normal.

Pure. What it is given is small: for each of the last 30 days three quartiles, the longest gap and two counts.

How the limit is found, and why. A false alarm is worse than one that comes some hours later: who is called out in
vain three times does not go the fourth time. So of all that follows the longest counts:

- **the interval**, of devices that report by the clock: so many intervals that losing all frames in between happens by
  chance once in a hundred years of one device (of 2,000 devices one in eighteen days). Frames are lost one by one with
  the share that the frame counter tells; 10 % at 15 minutes make it seven intervals. Never less than three: rain, a
  truck before the antenna. Losses that come in long runs are outages; they count as a long gap and not as a share.
- **the longest gap** that was seen in 30 days, and half of it: what has happened may happen again and last a little
  longer. This is what knows weekends, night-time savings and bad places, whose losses are no chance. It goes up in the
  night after the gap and down 30 days later. What a person has called a true alarm does not count, nor a move.
- **twice the usual longest gap of a day** (nine days of ten), of devices that report events: theirs is the heartbeat,
  and one of those may be lost.
- what the **model** says of itself (see ``start_limit``): as long as too little is known; for devices that report
  events always, and two weeks long at least 26 hours, as a busy week says little about a quiet one.

An interval that becomes longer counts after two days, one that becomes shorter after two weeks. The limit is never
below an hour, and never above a week: who is silent for longer is to be looked after, whatever was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from statistics import median
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

Kind = Literal["periodic", "pauses", "events", "unknown"]
Reason = Literal["interval", "longest", "days", "model", "default", "shortest", "cap"]

WINDOW = 30  # days that are looked at
OUTAGE = 10  # so many frames lost in a row, and more, are an outage
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0  # everything here is in seconds
SHORTEST, LONGEST = HOUR, 7 * DAY
DEFAULT = 26 * HOUR  # of a device of which nothing is known: most report once a day at least

_FIRST = 6 * HOUR  # the least, before anything is learned
_ENOUGH_GAPS, _ENOUGH_DAYS = 20, 3  # one of both, before anything is concluded
_LATELY = 7  # days that say whether it reports by the clock
_JUST_NOW = 3  # days that make the interval longer
_REGULAR = 0.25  # the middle half of the gaps of a day differs by less than this share of the interval
_STEADY = 0.1  # and so do the days among themselves
_FEWEST = 3  # intervals
_RARE = 0.01 / (365 * DAY)  # false alarms per second: one in a hundred years
_SLACK = 5 * MINUTE  # clocks that differ, duty cycles, a message that is repeated
_LONGER = 1.5
_EVENT_DAYS = 14


class GapDay(NamedTuple):
    """The gaps of one device that ended on one day."""

    day: date
    gaps: int
    lost: int  # frames that are missing in runs shorter than an outage
    first_quartile: float  # of the time from frame to frame: a gap with two lost frames is three of these
    median: float
    third_quartile: float
    longest: float  # of the gaps that count; 0: none does


class Rhythm(Struct, frozen=True):
    """What was learned of one device. ``pauses``: it reports by the clock, but not all the time."""

    kind: Kind
    limit: float
    because: Reason
    interval: float | None = None
    longest: float = 0.0
    loss: float = 0.0  # share of the frames
    gaps: int = 0
    days: int = 0


def start_limit(interval: timedelta | None) -> Rhythm:
    """What holds until something is learned. ``interval``: what the model says of itself; None: nothing.

    That is what it does as it leaves the factory. Many are told to report less often, for the sake of their battery:
    ten minutes become an hour. So six hours are the least, or each of them would raise alarms on its first day.
    """
    if interval is None:
        return Rhythm("unknown", DEFAULT, "default")
    usual = _FEWEST * interval.total_seconds()
    return _bounded(Rhythm("unknown", max(usual, _FIRST), "model" if usual >= _FIRST else "default"))


def judge(days: Sequence[GapDay], today: date, interval: timedelta | None) -> Rhythm:
    """The rhythm of one device. ``interval``: what its model says of itself."""
    known = sorted(day for day in days if timedelta(0) <= today - day.day < timedelta(days=WINDOW))
    start = start_limit(interval)
    if not known:
        return start
    gaps, lost = sum(day.gaps for day in known), sum(day.lost for day in known)
    longest = max(day.longest for day in known)
    found = Rhythm("unknown", 0.0, "longest", None, longest, lost / (gaps + lost), gaps, len(known))
    terms: dict[Reason, float] = {"longest": _LONGER * longest}
    if gaps < _ENOUGH_GAPS and len(known) < _ENOUGH_DAYS:
        return _longest_of(found, {start.because: start.limit, **terms})
    usual = median(day.median for day in known)
    usual = max(usual, median(day.median for day in known[-_JUST_NOW:]))
    found = replace(found, interval=usual)
    lately = known[-_LATELY:]
    if _is_regular(lately):
        terms["interval"] = _by_chance(usual, found.loss, median(_width(day) for day in lately))
        kind: Kind = "pauses" if longest > terms["interval"] else "periodic"
        return _longest_of(replace(found, kind=kind), terms)
    terms["days"] = 2 * _nine_of_ten([day.longest for day in known]) + _SLACK
    if interval is not None:
        terms[start.because] = start.limit
    if (known[-1].day - known[0].day).days + 1 < _EVENT_DAYS:
        terms["default"] = DEFAULT
    return _longest_of(replace(found, kind="events"), terms)


def _is_regular(days: Sequence[GapDay]) -> bool:
    """It reports by the clock: within each day, and from day to day. One change of the interval may be among them."""
    middle = median(day.median for day in days)
    within = median(_width(day) / day.median for day in days)
    between = median(abs(day.median - middle) for day in days) / middle
    return within <= _REGULAR and between <= _STEADY


def _width(day: GapDay) -> float:
    return day.third_quartile - day.first_quartile


def _by_chance(interval: float, loss: float, width: float) -> float:
    """So many intervals that nobody waits that long by chance."""
    count = _FEWEST
    if loss > 0:
        rare = _RARE * interval  # per frame
        count = max(count, math.ceil(math.log(rare) / math.log(min(loss, 0.9))))
    return count * interval + max(_SLACK, width)


def _nine_of_ten(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.9 * len(values)) - 1]


def _longest_of(rhythm: Rhythm, terms: dict[Reason, float]) -> Rhythm:
    because = max(terms, key=lambda name: terms[name])
    return _bounded(replace(rhythm, limit=terms[because], because=because))


def _bounded(rhythm: Rhythm) -> Rhythm:
    if rhythm.limit < SHORTEST:
        return replace(rhythm, limit=SHORTEST, because="shortest")
    if rhythm.limit > LONGEST:
        return replace(rhythm, limit=LONGEST, because="cap")
    return replace(rhythm, limit=_rounded(rhythm.limit))


def _rounded(limit: float) -> float:
    """Up, to what people say: so it does not change each night by seconds, and neither does a timer."""
    step = 5 * MINUTE if limit <= 3 * HOUR else 15 * MINUTE if limit <= 12 * HOUR else HOUR
    return math.ceil(limit / step) * step
