"""What the places of a zone say at one moment, and what the zone functions make of it. Pure.

A place counts if something is mounted there at that time. It is unknown where its sensor has said nothing yet, where
its last value is older than the rule allows, or where a window is not covered. What is unknown is neither free nor dry:

- ``zone_share`` and ``zone_avg`` are reckoned from the known places, if they are half of all at least. An open alert
  ends by a share only if it would with every unknown place, too: no bay becomes free by being silent.
- ``zone_count``, ``zone_min``, ``zone_max`` and ``zone_sum`` have a least and a greatest value, between which the
  unknown places decide. A comparison is unknown where they could turn it.

With several sensors at one place a condition holds there if it holds with any of them; of numbers the greatest counts
for ``zone_max``, the least for ``zone_min``, else their mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import product
from statistics import fmean

from smartdorf.alerting.memory import Look, View
from smartdorf.alerting.sight import Choice, current
from smartdorf.alerting.windows import compute
from smartdorf.alerting.zone_binding import BoundZone, Member
from smartdorf.config.terms import Slot
from smartdorf.config.zones import SHARE

LEAST_KNOWN = 0.5  # of the places

Bounds = tuple[float | None, float | None]


def aggregate(slot: Slot, values: Sequence[float | None], *, certain: bool = False) -> Bounds:
    """The least and the greatest value that the zone may have; None: unknown. A condition's values are 1 and 0.

    ``certain``: a share is not reckoned from the known places, but left open between its bounds.
    """
    assert slot.zone is not None
    known = [value for value in values if value is not None]
    unknown = len(values) - len(known)
    if not values:
        return None, None  # nobody measures in the zone
    if slot.function == "zone_avg" or (slot.function == "zone_share" and not certain):
        if not known or len(known) < LEAST_KNOWN * len(values):
            return None, None
        mean = SHARE.high * sum(known) / len(known) if slot.zone.is_condition else fmean(known)
        return mean, mean
    if slot.zone.is_condition:
        whole, parts = (SHARE.high, len(values)) if slot.function == "zone_share" else (1, 1)
        return whole * sum(known) / parts, whole * (sum(known) + unknown) / parts
    return _extremes(slot, known, unknown)


def _extremes(slot: Slot, known: Sequence[float], unknown: int) -> Bounds:
    assert slot.zone is not None
    if not known or (slot.function == "zone_sum" and unknown and not slot.zone.is_positive):
        return None, None
    if slot.function == "zone_min":
        return -math.inf if unknown else min(known), min(known)
    least = math.fsum(known) if slot.function == "zone_sum" else max(known)
    return least, math.inf if unknown else least


def told(least: float | None, greatest: float | None) -> float | None:
    """What is said of both: what the known places have."""
    return greatest if least == -math.inf else least


# -- looking ----------------------------------------------------------------------------------------------------------


def look(view: View, zone: BoundZone, at: datetime) -> Look:
    """What the zone's places say; remembered until there are newer values."""
    known = view.looks.get(zone.number)
    if known is None or at not in (known.asked, known.at):
        known = view.looks[zone.number] = _look(view, zone, at)
    return known


def _look(view: View, zone: BoundZone, asked: datetime) -> Look:
    at, newest, values = _values(view, zone, asked)
    if at > asked:  # no moment is earlier than what is seen in it
        at, newest, values = _values(view, zone, at)
    return Look(asked, at, newest, values)


def _values(
    view: View, zone: BoundZone, at: datetime
) -> tuple[datetime, datetime | None, dict[int, float | None]]:
    """The time that is looked at, that of the newest value, and what each place says."""
    newest: datetime | None = None
    values: dict[int, float | None] = {}
    for member in zone.members:
        found = _at_sole(view, zone, member, at) or _at_any(view, zone, member, at)
        if found is None:
            continue  # nobody measures there
        values[member.place.id], time = found
        if newest is None or (time is not None and time > newest):
            newest = time
    return (at if newest is None else max(at, newest)), newest, values


Found = tuple[float | None, datetime | None]  # what a place says, and the time of its newest value


def _at_sole(view: View, zone: BoundZone, member: Member, at: datetime) -> Found | None:
    """The short way for the usual case: one quantity, and one sensor that is there for good; None where it is not."""
    if member.sole is None or len(zone.metrics) != 1:
        return None
    since = member.installations[0].valid_from
    known = view.series(member.sole, zone.metrics[0])
    reading = view.reading(known[0]) if len(known) == 1 else None
    if reading is None or since > at or since > reading[1]:
        return None
    return _said_with(view, zone, (since,), ((known[0], reading),), at), reading[1]


def _at_any(view: View, zone: BoundZone, member: Member, at: datetime) -> Found | None:
    """With all the sensors of the place."""
    if not any(installation.in_force(at) for installation in member.installations):
        return None
    seen = [current(view, member, metric, at) for metric in zone.metrics]
    said = []
    for chosen in product(*(choices or (None,) for choices in seen)):
        since = [None if choice is None else _since(member, choice) for choice in chosen]
        said.append(_said_with(view, zone, since, chosen, at))
    newest = max((time for choices in seen for _series, (_value, time) in choices), default=None)
    known = [value for value in said if value is not None]
    if zone.term.is_condition and 1 not in known and len(known) < len(said):
        return None, newest
    return zone.fold(known) if known else None, newest


def _since(member: Member, choice: Choice) -> datetime:
    series, (_value, time) = choice
    return max(i.valid_from for i in member.installations if i.covers(series[1], time))


def _said_with(
    view: View,
    zone: BoundZone,
    since: Sequence[datetime | None],
    chosen: Sequence[Choice | None],
    at: datetime,
) -> float | None:
    """``chosen``: by quantity; ``since``: when its sensor was mounted there."""
    slots = zone.template.copy()
    for slot, metric in zone.values:
        choice = chosen[metric]
        if choice is not None and at - choice[1][1] <= zone.age:
            slots[slot] = choice[1][0]
    for slot, metric, function, span, is_counter in zone.windows:
        choice = chosen[metric]
        if choice is not None:
            history = view.history_of(choice[0])
            slots[slot] = compute(function, history, at, span, since=since[metric], is_counter=is_counter)
    return zone.term.run(slots)
