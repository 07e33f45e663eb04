"""Zone functions in conditions: what they take, what is refused and where, and what stays unknown."""

from __future__ import annotations

import operator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartdorf.config import kleene
from smartdorf.config.conditions import compile_condition
from smartdorf.config.rules import load_rules
from smartdorf.config.terms import Limit, Scope
from smartdorf.vocabulary import load_vocabulary

HOUR = 3_600_000_000
LIMITS = {"full": Limit(80, False), "fresh": Limit(6 * HOUR, True)}


def problems(text: str) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    compile_condition(text, Scope(load_vocabulary(), LIMITS), lambda at, message: found.append((at, message)))
    return found


@pytest.mark.parametrize(
    "text",
    [
        "zone_share(parking_occupied == occupied) >= full",
        'zone_share(parking_occupied == occupied, place_type="parking_bay", age=fresh) >= 80',
        'zone_count(stuck(parking_occupied, "2d")) == 0',
        'zone_count(fill_level_pct >= full and not container_tilted, age="6h") >= 3',
        'zone_max(sum(precipitation_mm, "2h")) >= 10',
        "water_level_m - zone_avg(water_level_m) > 0.5",
        "water_level_m < zone_min(water_level_m)",
        "zone_sum(heat_power_kw) > 100",
        "zone_max(water_level_m - 0.5) > 1",
    ],
)
def test_these_are_conditions(text: str) -> None:
    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "offset", "words"),
    [
        ("zone_share(parking_ocupied == 1) > 80", 11, "parking_occupied"),
        ("zone_share(parking_occupied == ocupied) > 80", 31, "occupied"),
        ("zone_share(fill_level_pct) > 80", 11, "not a condition"),
        ("zone_share(parking_occupied == occupied) > 180", 43, "180 is never reached"),
        ("zone_share(parking_occupied == occupied)", 0, "not a condition"),
        ("zone_avg(parking_occupied) > 1", 9, "zone_share(parking_occupied == occupied)"),
        ('zone_max(stuck(water_level_m, "2h")) > 1', 9, "zone_share(stuck(water_level_m"),
        ("zone_max(water_level_m) > battery_v", 26, "do not fit together"),
        ("zone_max(water_level_m) >= 100", 27, "100 is never reached"),
        ("zone_max(water_level_m) - 1 > 2", 0, "only zone_avg()"),
        ("zone_max(water_level_m) > zone_min(water_level_m)", 0, "compare a zone with"),
        ("zone_max(zone_min(water_level_m)) > 1", 9, "within another"),
        ('zone_count(silent_for() > "1d") > 1', 11, "values and windows only"),
        ('zone_count(age(water_level_m) > "1d") > 1', 11, "values and windows only"),
        ("zone_count(full > 3) > 1", 11, "two constants"),
        ("zone_max(full) > 1", 9, "looks at a quantity"),
        ("zone_max(water_level_m, rain_gauge) > 1", 0, "place_type="),
        ("zone_max(water_level_m, place_type=rain_gauge) > 1", 35, "in quotes"),
        ("zone_max(water_level_m, places=3) > 1", 0, "place_type="),
        ("zone_max(water_level_m, age=6) > 1", 28, 'age="6h"'),
        ("zone_max(water_level_m, age=full) > 1", 28, 'age="6h"'),
        ("zone_max > 1", 0, "zone_max()"),
        ("zone_maxx(water_level_m) > 1", 0, "zone_max"),
    ],
)
def test_a_mistake_is_told_where_it_stands(text: str, offset: int, words: str) -> None:
    found = problems(text)
    assert [at for at, _message in found] == [offset], found
    assert words in found[0][1], found


RULE = """
groups:
  - name: test
    rules:
      - alert: Lot
        for_each: {place_type: parking_lot}
        when: zone_max(water_level_m) >= 1
        severity: info
        notify: [it]
        for: 30m
        summary: {de: "{zone_max_water_level_m}", en: "{zone_max_water_level_m}"}
"""


def told(tmp_path: Path, old: str, new: str) -> list[tuple[int, int, str]]:
    file = tmp_path / "rules.yaml"
    file.write_text(RULE.replace(old, new), encoding="utf-8")
    return [(p.line, p.column, p.message) for p in load_rules([file], load_vocabulary()).problems]


def test_the_rule_itself_is_right(tmp_path: Path) -> None:
    assert told(tmp_path, "", "") == []


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("{place_type: parking_lot}", "{device: any}", 6, "watch places, not devices"),
        ("for: 30m", "for: 2 readings", 10, "several places"),
        ("        for: 30m\n", "", 5, "for: 30m"),
        ("{zone_max_water_level_m}", "{zone_max}", 11, "zone_max_water_level_m"),
        ("for: 30m", "for: 30m\n        labels: {team: [nord]}", 11, "expected"),
        ("for: 30m", "for: 30m\n        labels: nord", 11, "expected"),
    ],
)
def test_a_mistake_in_a_rule_about_a_zone(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    found = told(tmp_path, old, new)
    assert found, "accepted"
    assert (found[0][0], words in found[0][2]) == (line, True), found


RELATIONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
NUMBERS = st.integers(-3, 3)


@given(st.sampled_from(RELATIONS), NUMBERS, st.integers(0, 4), NUMBERS)
def test_bounds_answer_only_what_is_so_for_all_that_lies_between(relation, low, width, other):
    between = kleene.compare_between(relation, kleene.slot(0), kleene.slot(1), kleene.slot(2))
    answers = {relation(value, other) for value in range(low, low + width + 1)}
    assert between([low, low + width, other]) == (answers.pop() if len(answers) == 1 else None)
    assert between([None, None, other]) is None
