"""What a zone says, for every history of its places: as a plainly written reference says it."""

from __future__ import annotations

import math
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartdorf.alerting.memory import View
from smartdorf.alerting.zones import aggregate, look
from smartdorf.directory import Installation
from tests.unit.alerting.village import LONG_AGO, Village, at, make_device, make_place, make_rules, seen

PLACES = 4
AGE = 60  # minutes
FUNCTIONS = {
    "zone_share": "zone_share(fill_level_pct >= 50, age='60m') >= 1",
    "zone_count": "zone_count(fill_level_pct >= 50, age='60m') >= 1",
    "zone_avg": "zone_avg(fill_level_pct, age='60m') >= 1",
    "zone_min": "zone_min(fill_level_pct, age='60m') >= 1",
    "zone_max": "zone_max(fill_level_pct, age='60m') >= 1",
    "zone_sum": "zone_sum(fill_level_pct, age='60m') >= 1",
}
RULES = {
    name: make_rules(
        Zone=f"""
        for_each: {{place_type: yard}}
        when: {when}
        for: 5m
        summary: {{de: "{{place}}", en: "{{place}}"}}"""
    )
    for name, when in FUNCTIONS.items()
}
# minute, sensor, value: in any order, so that many come late
HISTORY = st.lists(
    st.tuples(st.integers(0, 200), st.integers(1, PLACES), st.sampled_from([0.0, 20.0, 49.0, 50.0, 90.0])),
    max_size=20,
)


def village(name: str) -> Village:
    """The last place has no sensor until minute 100."""
    yard = make_place(100, slug="yard", place_type="yard")
    places = [make_place(n, tags={"zone": "yard"}) for n in range(1, PLACES + 1)]
    installed = [Installation(n, n, at(100) if n == PLACES else LONG_AGO) for n in range(1, PLACES + 1)]
    devices = [make_device(n) for n in range(1, PLACES + 1)]
    return Village(RULES[name], places=[yard, *places], devices=devices, installations=installed)


def expected(name: str, history: list[tuple[int, int, float]], minute: int) -> tuple[float, float] | None:
    """Straight from the documentation: the newest value of each place, unknown where it is older than an hour."""
    values: list[float | None] = []
    for place in range(1, PLACES + 1):
        since = 100 if place == PLACES else -1
        if minute < since:
            continue
        told = [(time, value) for time, number, value in history if number == place]
        first_told = {}
        for time, value in told:  # of two of one minute the first one counts
            first_told.setdefault(time, value)
        newest = max(first_told, default=None)
        known = newest is not None and since <= newest and minute - newest <= AGE
        values.append(first_told[newest] if known and newest is not None else None)
    known_values = [value for value in values if value is not None]
    unknown = len(values) - len(known_values)
    full = sum(1 for value in known_values if value >= 50)
    if name == "zone_count":
        return (full, full + unknown)
    if not known_values:
        return None
    if name == "zone_sum":
        return (sum(known_values), math.inf if unknown else sum(known_values))
    if name == "zone_max":
        return (max(known_values), math.inf if unknown else max(known_values))
    if name == "zone_min":
        return (-math.inf if unknown else min(known_values), min(known_values))
    if unknown > len(known_values):
        return None
    mean = 100 * full / len(known_values) if name == "zone_share" else sum(known_values) / len(known_values)
    return (mean, mean)


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=60, deadline=None)
@given(history=HISTORY, later=st.integers(0, 90))
def test_a_zone_says_what_a_plain_reckoning_says(
    name: str, history: list[tuple[int, int, float]], later: int
) -> None:
    story = village(name)
    for minute, device, value in history:
        story.see_all(seen(minute, device, fill_level_pct=value))
    minute = max((time for time, _device, _value in history), default=0) + later
    (instance,) = story.bound.instances.values()
    (zone,), ((_least, _top, slot),) = instance.zones, instance.plan.zones
    around = look(View(story.bound, story.state), zone, at(minute))
    assert around.at == at(minute)
    found = aggregate(slot, around.without(instance.place))
    wanted = expected(name, history, minute)
    assert found == pytest.approx(wanted) if wanted is not None else found == (None, None)


@given(values=st.lists(st.sampled_from([None, 0.0, 1.0]), min_size=1, max_size=8))
def test_what_is_certain_of_a_share_holds_whatever_the_unknown_places_say(values: list[float | None]) -> None:
    (instance,) = village("zone_share").bound.instances.values()
    ((_least, _top, slot),) = instance.plan.zones
    completed = [
        100 * sum(choice) / len(values)
        for choice in product(*[(0, 1) if value is None else (value,) for value in values])
    ]
    found = aggregate(slot, values, certain=True)
    assert found == pytest.approx((min(completed), max(completed)))


@settings(max_examples=40, deadline=None)
@given(history=HISTORY)
def test_a_look_at_an_earlier_time_is_one_at_the_newest_value(history: list[tuple[int, int, float]]) -> None:
    story = village("zone_max")
    for minute, device, value in history:
        story.see_all(seen(minute, device, fill_level_pct=value))
    (instance,) = story.bound.instances.values()
    around = look(View(story.bound, story.state), instance.zones[0], at(0))
    counted = [time for time, device, _value in history if device < PLACES]
    assert around.at >= at(max(counted, default=0))
    assert around.at - at(0) <= timedelta(minutes=200)


@settings(max_examples=60, deadline=None)
@given(history=HISTORY, cuts=st.sets(st.integers(0, 20)))
def test_restarts_make_no_difference(history: list[tuple[int, int, float]], cuts: set[int]) -> None:
    straight, broken = village("zone_share"), village("zone_share")
    for number, (minute, device, value) in enumerate(history):
        for story in (straight, broken):
            story.see(minute, device, fill_level_pct=value)
        if number in cuts:
            broken.restart()
    for story in (straight, broken):
        story.tick(300)
    assert broken.log == straight.log
