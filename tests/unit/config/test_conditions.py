"""The language of `when:`: what it says, and what stays unknown. Its error messages: tests/data/rules/*.bad.yaml."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartdorf.config import kleene
from smartdorf.config.conditions import compile_condition
from smartdorf.config.durations import format_duration, parse_duration
from smartdorf.config.terms import Condition, Limit, Scope, Slot
from smartdorf.vocabulary import load_vocabulary

HOUR = 3_600_000_000  # microseconds
LIMITS = {"full": Limit(80, False), "emptied": Limit(60, False), "quiet": Limit(26 * HOUR, True)}


def compiled(text: str) -> tuple[Condition, Scope]:
    problems: list[tuple[int, str]] = []
    scope = Scope(load_vocabulary(), LIMITS)
    condition = compile_condition(text, scope, lambda offset, message: problems.append((offset, message)))
    assert condition is not None, problems
    return condition, scope


def said(text: str, **values: float | None) -> bool | None:
    """What the condition says where each quantity (silent_for, age_<quantity>, avg_<quantity> …) has its value."""
    condition, scope = compiled(text)
    names = {"value": "{}", "age": "age_{}", "silent": "silent_for", "hour": "local_hour"}
    slots = [
        LIMITS[slot.name].value
        if slot.kind == "limit"
        else values.get(slot.placeholder if slot.kind == "window" else names[slot.kind].format(slot.name))
        for slot in scope.slots
    ]
    return condition(slots)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("fill_level_pct >= full", 80, True),
        ("fill_level_pct >= full", 79.9, False),
        ("fill_level_pct >= full", None, None),
        ("60 < fill_level_pct <= full", 80, True),
        ("60 < fill_level_pct <= full", 60, False),
        ("60 < fill_level_pct <= full", 81, False),
        ("full - fill_level_pct < 5", 76, True),
        ("fill_level_pct * 2 - 10 >= full + 20", 55, True),
        ("-fill_level_pct < -50", 51, True),
        ("fill_level_pct >= full * (quiet / '13h') / 4", 40, True),
        ("1 / fill_level_pct > 2", 0, None),
        ("not fill_level_pct >= full", 10, True),
        ("not fill_level_pct >= full", None, None),
    ],
)
def test_a_level_is_compared_with_numbers_and_limits(
    text: str, value: float | None, expected: bool | None
) -> None:
    assert said(text, fill_level_pct=value) is expected


@pytest.mark.parametrize(
    "text",
    ["parking_occupied == occupied", "parking_occupied == 1", "parking_occupied", "free != parking_occupied"],
)
def test_a_state_is_named_by_its_word_by_its_code_or_stands_alone(text: str) -> None:
    assert said(text, parking_occupied=1) is True
    assert said(text, parking_occupied=0) is False
    assert said(text, parking_occupied=None) is None


def test_a_state_of_several_words_is_written_with_underscores() -> None:
    assert said("frost_warning == risk_of_frost", frost_warning=1) is True


def test_times_are_compared_with_durations() -> None:
    assert said("silent_for() > quiet", silent_for=26 * HOUR) is False
    assert said("silent_for() > quiet", silent_for=26 * HOUR + 1) is True
    assert said("age(water_level_m) >= '2h'", age_water_level_m=2 * HOUR) is True
    assert said("age(water_level_m) >= '2h'") is None


def test_a_sensor_that_knows_nothing_of_frost_does_not_hide_its_leak() -> None:
    assert said("water_leak or frost_warning", water_leak=1, frost_warning=None) is True
    assert said("water_leak or frost_warning", water_leak=0, frost_warning=None) is None
    assert said("water_leak and frost_warning", water_leak=0, frost_warning=None) is False
    assert said("water_leak and frost_warning", water_leak=1, frost_warning=None) is None


def test_a_condition_says_when_mere_time_changes_it() -> None:
    condition, scope = compiled("silent_for() > quiet and age(battery_v) <= '1h' and '2h' <= silent_for()")
    limits = [LIMITS[slot.name].value if slot.kind == "limit" else None for slot in scope.slots]
    turns = [(scope.slots[c.slot], c.threshold(limits), c.strict) for c in condition.crossings]
    assert turns == [
        (Slot("silent"), 26 * HOUR, True),
        (Slot("age", "battery_v"), 1 * HOUR, True),
        (Slot("silent"), 2 * HOUR, False),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "(" * 500,
        "1" * 900,
        "fill_level_pct\0 > 3",
        "lambda: 1",
        "[x for x in y]",
        "a if b else c",
        "f'{x}'",
        "*a",
        "",
    ],
)
def test_nonsense_is_refused_with_a_message_and_not_with_an_exception(text: str) -> None:
    problems: list[str] = []
    scope = Scope(load_vocabulary(), LIMITS)
    assert compile_condition(text, scope, lambda _offset, message: problems.append(message)) is None
    assert problems


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz_()<>=!+-*/.,'\" 0123456789äß%\n", max_size=60))
def test_whatever_is_typed_compiles_or_is_explained(text: str) -> None:
    problems: list[int] = []
    scope = Scope(load_vocabulary(), LIMITS)
    condition = compile_condition(text, scope, lambda offset, _message: problems.append(offset))
    assert (condition is None) == bool(problems)
    assert all(0 <= offset <= len(text) for offset in problems)


# -- Kleene -----------------------------------------------------------------------------------------------------

VERDICTS = st.sampled_from([True, False, None])


def fixed(value: bool | None) -> kleene.Truth:
    return lambda slots: value


@given(st.lists(VERDICTS, min_size=1, max_size=5))
def test_and_or_agree_with_every_way_in_which_the_unknown_could_turn_out(verdicts: list[bool | None]) -> None:
    def possible(judge: object) -> set[bool]:
        worlds = itertools.product(
            *([verdict] if verdict is not None else [True, False] for verdict in verdicts)
        )
        return {judge(world) for world in worlds}  # type: ignore[operator]  # the builtins all and any

    for made, judge in ((kleene.all_of, all), (kleene.any_of, any)):
        outcomes = possible(judge)
        expected = outcomes.pop() if len(outcomes) == 1 else None
        assert made([fixed(verdict) for verdict in verdicts])([]) is expected


@given(st.lists(VERDICTS, min_size=1, max_size=5))
def test_not_turns_and_into_or(verdicts: list[bool | None]) -> None:
    parts = [fixed(verdict) for verdict in verdicts]
    left = kleene.negate(kleene.all_of(parts))([])
    right = kleene.any_of([kleene.negate(part) for part in parts])([])
    assert left is right


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2))
def test_what_is_calculated_from_the_unknown_is_unknown_and_never_infinite(
    values: Sequence[float | None],
) -> None:
    for operation in (float.__add__, float.__mul__, float.__truediv__):
        result = kleene.calculate(operation, kleene.slot(0), kleene.slot(1))(values)
        if None in values:
            assert result is None
        assert result is None or abs(result) < float("inf")


# -- durations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("30min", 1800),
        ("1h30m", 5400),
        ("26h", 93600),
        ("2 d", 172800),
        ("1.5h", 5400),
    ],
)
def test_durations_are_written_as_people_do(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds * 1_000_000


@pytest.mark.parametrize("text", ["", "5", "h", "5x", "1h and", "-1h", "200000d", "1e3s", "١h"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize("text", ["90s", "30m", "26h", "2d", "3w", "0s", "1.5s"])
def test_a_duration_is_written_back_as_it_was_read(text: str) -> None:
    assert format_duration(parse_duration(text) or 0) == text
