"""What `smartdorf alerts` says, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from smartdorf.cli.alerts import (
    alerts_table,
    parse_period,
    severity_text,
    timeline,
    told_text,
    unknown_after,
    value_state,
    why,
)
from smartdorf.db.alerts import AlertEvent, AlertRow, Input, Told, read_inputs

NOW = datetime(2026, 11, 23, 13, 5, tzinfo=UTC)


def make_alert(**overrides: object) -> AlertRow:
    fields: dict[str, object] = {
        "id": 17,
        "state": "firing",
        "rule": "ContainerFull",
        "severity": "warning",
        "since": NOW - timedelta(hours=2),
        "fired_at": NOW - timedelta(hours=1),
        "resolved_at": None,
        "title": {"de": "Container voll", "en": "Container full"},
        "summary": {"en": "83 % full"},
        "action": {},
        "inputs": (Input("fill_level_pct", 83.2),),
        "place": "Glas Kirchplatz",
        "device": "glass-01",
        "models": ("milesight/em310-udl",),
        "last_value_at": NOW - timedelta(minutes=20),
    }
    return AlertRow(**(fields | overrides))  # type: ignore[arg-type]  # the overrides are the test's


def make_told(**overrides: object) -> Told:
    fields: dict[str, object] = {
        "receiver": "bauhof",
        "kind": "fired",
        "state": "sent",
        "attempts": 1,
        "next_attempt_at": NOW,
        "finished_at": NOW,
        "result": "HTTP 204",
    }
    return Told(**(fields | overrides))  # type: ignore[arg-type]  # the overrides are the test's


def printed(*rows: AlertRow) -> str:
    out = StringIO()
    Console(file=out, width=200).print(alerts_table(rows, NOW))
    return out.getvalue()


def test_the_table_has_one_line_with_all_that_matters() -> None:
    text = printed(make_alert(told=(make_told(),)))
    for words in (
        "17",
        "Mon 23 Nov, 12:05",
        "warning",
        "Container full",
        "Glas Kirchplatz",
        "83 % full",
        "bauhof: Mon 23 Nov, 14:05",
        "20 minutes ago",
    ):
        assert words in text


def test_names_with_brackets_are_no_markup() -> None:
    assert "Bay [red]7[/red]" in printed(make_alert(place="Bay [red]7[/red]"))


def test_why_is_one_sentence() -> None:
    assert why(make_alert()) == (
        "Container full, Glas Kirchplatz: fired Mon 23 Nov, 13:05, because the condition had held since "
        "Mon 23 Nov, 12:05 (Fill level 83\xa0%)."
    )


@pytest.mark.parametrize(
    ("age", "state"),
    [
        (timedelta(minutes=20), "20 minutes ago"),
        (timedelta(hours=3), "3 hours ago"),
        (timedelta(hours=25), "unknown, last value 1 day ago"),
        (timedelta(days=9), "unknown, last value 1 week ago"),
    ],
)
def test_a_value_older_than_a_day_is_unknown_where_the_interval_is(age: timedelta, state: str) -> None:
    assert value_state(make_alert(last_value_at=NOW - age), NOW, {}) == state


def test_a_value_is_unknown_after_three_missed_uplinks() -> None:
    hourly = {"milesight/em310-udl": timedelta(hours=1)}
    assert value_state(make_alert(last_value_at=NOW - timedelta(hours=2.9)), NOW, hourly) == "3 hours ago"
    late = make_alert(last_value_at=NOW - timedelta(hours=3.1))
    assert value_state(late, NOW, hourly) == "unknown, last value 3 hours ago"


def test_the_slowest_sensor_of_a_place_decides() -> None:
    intervals = {"quick": timedelta(minutes=10), "slow": timedelta(hours=12)}
    assert unknown_after(("quick", "slow"), intervals) == timedelta(hours=36)
    assert unknown_after(("quick", "other"), intervals) == timedelta(minutes=30)
    assert unknown_after((), intervals) == timedelta(hours=24)


def test_an_alert_without_any_value_is_unknown_and_one_that_is_over_is_not() -> None:
    assert value_state(make_alert(last_value_at=None), NOW, {}) == "unknown, no value yet"
    assert value_state(make_alert(state="resolved", last_value_at=None), NOW, {}) == ""


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (make_told(), "bauhof: Mon 23 Nov, 14:05"),
        (make_told(state="waiting", attempts=0), "bauhof: not yet"),
        (
            make_told(state="waiting", attempts=0, next_attempt_at=NOW + timedelta(hours=15, minutes=55)),
            "bauhof: not before Tue 24 Nov, 06:00",
        ),
        (make_told(state="waiting", attempts=3), "bauhof: NOT YET, failed 3×"),
        (make_told(state="failed"), "bauhof: FAILED"),
        (make_told(state="skipped"), "bauhof: not told"),
    ],
)
def test_the_list_says_who_was_told_and_who_was_not(told: Told, text: str) -> None:
    assert told_text(make_alert(told=(told,)), NOW) == text


def test_an_alert_that_nobody_hears_of_says_so() -> None:
    assert told_text(make_alert(), NOW) == "nobody: no receiver"


def test_of_an_alert_that_is_over_the_end_counts() -> None:
    row = make_alert(state="resolved", told=(make_told(), make_told(kind="resolved", state="failed")))
    assert told_text(row, NOW) == "bauhof: FAILED"
    assert severity_text(row) == "warning, over"


def test_the_timeline_is_in_order_of_time() -> None:
    fired = AlertEvent("fired", NOW - timedelta(hours=1), NOW, {"en": "83 % full"}, (), None)
    over = AlertEvent("resolved", NOW, NOW, {"en": "20 % full"}, (), "the rule was removed")
    told = make_told(finished_at=NOW - timedelta(minutes=30))
    assert [text for _, text in timeline([fired, over], [told], NOW)] == [
        "fired: 83 % full; known here only Mon 23 Nov, 14:05",
        "bauhof told that it fired: HTTP 204",
        "over: 20 % full; reason: the rule was removed",
    ]


def test_the_timeline_says_what_waits_and_on_what_it_depends() -> None:
    opens = NOW + timedelta(hours=16)
    waiting = {"state": "waiting", "attempts": 0, "next_attempt_at": opens, "finished_at": None}
    told = [make_told(**waiting), make_told(kind="resolved", **waiting)]
    assert timeline([], told, NOW) == [
        (opens, "bauhof will be told that it fired, if it still holds then"),
        (opens, "bauhof will be told that it is over, if the beginning was told"),
    ]


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("90m", timedelta(minutes=90)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("4w", timedelta(weeks=4)),
    ],
)
def test_periods_are_read(text: str, period: timedelta) -> None:
    assert parse_period(text) == period


def test_inputs_are_read_with_and_without_their_time() -> None:
    text = '{"fill_level_pct": 83, "battery_v": null, "water_level_m": {"value": 1.5, "time": "2026-11-23T13:05:00Z"}}'
    assert read_inputs(text) == (
        Input("fill_level_pct", 83),
        Input("battery_v", None),
        Input("water_level_m", 1.5, NOW),
    )
