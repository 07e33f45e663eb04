"""The parts of a condition say the same as the condition, and those that decide do decide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartdorf.config.clauses import clauses, reasons
from smartdorf.config.rule import Rule
from tests.unit.alerting.village import make_rules

TEXTS = [
    "fill_level_pct >= 80",
    "60 < fill_level_pct < 90 or not (air_temperature_c >= 2)",
    "not (fill_level_pct > 80 and (water_leak or air_temperature_c < 2))",
    "water_leak or fill_level_pct * 2 - 3 > battery_pct and 80 > battery_pct",
]


def rule(text: str) -> Rule:
    (made,) = make_rules(
        One=f"""
        for_each: {{place_type: container}}
        when: {text}
        summary: {{de: "x", en: "x"}}"""
    )
    return made


RULES = {text: rule(text) for text in TEXTS}
NUMBER = st.none() | st.sampled_from([0.0, 1.0, 2.0, 70.0, 80.0, 85.0, 95.0])


@pytest.mark.parametrize("text", TEXTS)
@given(st.data())
def test_the_parts_agree_with_what_the_engine_runs(text: str, data: st.DataObject) -> None:
    made = RULES[text]
    slots = [data.draw(NUMBER) for _slot in made.slots]
    parts, expected = clauses(made, text), made.when(slots)
    assert parts.holds(slots) is expected
    found = list(reasons(parts, slots))
    assert found
    for reason in found:  # as it must be where it is wanted, the other way round where it is not
        assert reason.holds is (None if expected is None else expected is reason.wanted)


def test_a_literal_on_the_left_is_turned_round() -> None:
    made = rule("60 < fill_level_pct")
    part = clauses(made, "60 < fill_level_pct")
    assert part.left is not None
    assert part.right is not None
    assert (part.left.text, part.sign, part.right.text) == ("fill_level_pct", ">", "60")
