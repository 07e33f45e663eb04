"""The sentences about a device's silence: for each kind of rhythm, and why the limit is what it is."""

from __future__ import annotations

import pytest

from smartdorf.cli.rhythm_text import sentences, short_text, silence_of, span_text
from smartdorf.rhythm import DAY, HOUR, MINUTE, Rhythm, start_limit
from tests.unit.alerting.village import make_rules

RULES = make_rules(
    Silent="""
        for_each: {device: any}
        limits: {quiet: learned}
        when: silent_for() > quiet
        summary: {de: still, en: silent}""",
    Full="""
        for_each: {device: any}
        limits: {full: 80}
        when: fill_level_pct >= full
        summary: {de: voll, en: full}""",
)


def test_of_a_fresh_device_it_says_that_nothing_is_known() -> None:
    assert sentences(silence_of({}, {}, start_limit(None), RULES)) == [
        "How often it reports is not known yet.",
        "Counts as silent after 26 h: as long as little is known.",
    ]


def test_of_a_class_room_it_says_how_long_its_pauses_are() -> None:
    rhythm = Rhythm("pauses", 93 * HOUR, "longest", 15 * MINUTE, 62 * HOUR, 0.004, 820, 20)
    assert sentences(silence_of({}, {}, rhythm, RULES)) == [
        "Reports every 15 min, with pauses (median of 820 gaps on 20 days, the longest 2 days 14 h, "
        "0\N{NO-BREAK SPACE}% of the frames lost).",
        "Counts as silent after 3 days 21 h: half as long again as the longest gap.",
    ]


def test_a_limit_of_its_own_is_named_and_another_rules_limit_is_not() -> None:
    silence = silence_of({"quiet": 7200, "full": 70}, {}, start_limit(None), RULES)
    assert silence["own_limits_s"] == {"quiet": 7200}
    assert sentences(silence)[-1] == "Its own limit counts instead: quiet = 2 h."
    assert short_text(silence) == "2 h"


def test_a_limit_of_its_tag_counts_instead_as_well_unless_it_has_its_own() -> None:
    rules = make_rules(
        Silent="""
        for_each: {device: any}
        limits: {quiet: learned}
        limits_by_tag: {site: {cellar: {quiet: 4d}}}
        when: silent_for() > quiet
        summary: {de: still, en: silent}"""
    )
    assert silence_of({}, {"site": "cellar"}, start_limit(None), rules)["own_limits_s"] == {"quiet": 4 * DAY}
    assert silence_of({"quiet": 60}, {"site": "cellar"}, start_limit(None), rules)["own_limits_s"] == {
        "quiet": 60
    }
    assert silence_of({}, {"site": "roof"}, start_limit(None), rules)["own_limits_s"] == {}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45, "45 s"), (899.6, "15 min"), (6300, "1 h 45 min"), (DAY, "24 h"), (3 * DAY, "3 days")],
)
def test_spans_as_people_say_them(seconds: float, text: str) -> None:
    assert span_text(seconds) == text
