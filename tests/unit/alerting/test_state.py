"""The life of one alert: every verdict in every state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smartdorf.alerting.state import AlertState, Verdict, advance_alert, due_of
from smartdorf.config.rule import Hold

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HALF_PAST = NOON + timedelta(minutes=30)
TWO_READINGS = Hold(readings=2)
HALF_AN_HOUR = Hold(duration=timedelta(minutes=30))
BOTH = Hold(2, timedelta(minutes=30))
AT_ONCE = Hold()


def data(holds: bool | None, clears: bool | None = None) -> Verdict:
    return Verdict(holds, clears, reading=True, fresh=True)


def time_passes(holds: bool | None, clears: bool | None = None) -> Verdict:
    return Verdict(holds, clears, reading=False, fresh=False)


def pending(readings: int = 1) -> AlertState:
    return AlertState("pending", NOON, readings)


FIRING = AlertState("firing", NOON, 2, NOON)


@pytest.mark.parametrize("hold", [TWO_READINGS, HALF_AN_HOUR, BOTH])
def test_what_begins_to_hold_is_pending(hold: Hold) -> None:
    assert advance_alert(None, hold, data(True), NOON) == (pending(), "pending")


def test_what_needs_no_time_fires_at_once() -> None:
    assert advance_alert(None, AT_ONCE, data(True), NOON) == (AlertState("firing", NOON, 1, NOON), "fired")


@pytest.mark.parametrize("holds", [False, None])
def test_what_does_not_hold_or_is_unknown_begins_nothing(holds: bool | None) -> None:
    assert advance_alert(None, AT_ONCE, data(holds), NOON) == (None, None)


def test_readings_are_counted_by_data_and_not_by_time() -> None:
    assert advance_alert(pending(1), TWO_READINGS, time_passes(True), HALF_PAST) == (pending(1), None)
    fired = AlertState("firing", NOON, 2, HALF_PAST)
    assert advance_alert(pending(1), TWO_READINGS, data(True), HALF_PAST) == (fired, "fired")


def test_a_duration_fires_by_time_alone_or_with_the_next_value() -> None:
    early = HALF_PAST - timedelta(microseconds=1)
    assert advance_alert(pending(), HALF_AN_HOUR, time_passes(True), early) == (pending(), None)
    assert advance_alert(pending(), HALF_AN_HOUR, time_passes(True), HALF_PAST)[1] == "fired"
    assert advance_alert(pending(), HALF_AN_HOUR, data(True), HALF_PAST)[1] == "fired"


def test_readings_and_duration_must_both_be_over() -> None:
    assert advance_alert(pending(1), BOTH, time_passes(True), HALF_PAST)[1] is None
    assert advance_alert(pending(1), BOTH, data(True), HALF_PAST - timedelta(minutes=1))[1] is None
    assert advance_alert(pending(2), BOTH, time_passes(True), HALF_PAST)[1] == "fired"


def test_pending_is_dropped_when_it_no_longer_holds_and_kept_when_nobody_knows() -> None:
    assert advance_alert(pending(), TWO_READINGS, data(False), HALF_PAST) == (None, "dropped")
    assert advance_alert(pending(), TWO_READINGS, data(None), HALF_PAST) == (pending(), None)


@pytest.mark.parametrize("clears", [False, None])
def test_an_alert_stays_while_it_is_not_known_to_be_over(clears: bool | None) -> None:
    assert advance_alert(FIRING, TWO_READINGS, data(False, clears), HALF_PAST) == (FIRING, None)


def test_an_alert_ends_when_fresh_data_clears_it() -> None:
    assert advance_alert(FIRING, TWO_READINGS, data(False, True), HALF_PAST) == (None, "resolved")


def test_time_never_ends_an_alert() -> None:
    assert advance_alert(FIRING, TWO_READINGS, time_passes(False, True), HALF_PAST) == (FIRING, None)


def test_an_alert_does_not_end_while_its_condition_holds() -> None:
    assert advance_alert(FIRING, TWO_READINGS, data(True, True), HALF_PAST) == (FIRING, None)


def test_only_a_duration_with_its_readings_together_is_due_by_itself() -> None:
    assert due_of(pending(1), HALF_AN_HOUR) == HALF_PAST
    assert due_of(pending(2), BOTH) == HALF_PAST
    assert due_of(pending(1), BOTH) is None
    assert due_of(pending(1), TWO_READINGS) is None
    assert due_of(FIRING, HALF_AN_HOUR) is None
    assert due_of(None, HALF_AN_HOUR) is None


def test_what_was_closed_by_hand_stays_so_until_newer_data_say_that_it_holds() -> None:
    closed = AlertState("closed", NOON, 0)
    assert advance_alert(closed, AT_ONCE, time_passes(True), HALF_PAST) == (closed, None)
    assert advance_alert(closed, AT_ONCE, data(True), NOON) == (closed, None)  # late data
    assert advance_alert(closed, AT_ONCE, data(True), HALF_PAST) == (
        AlertState("firing", HALF_PAST, 1, HALF_PAST),
        "fired",
    )
    assert advance_alert(closed, TWO_READINGS, data(True), HALF_PAST) == (
        AlertState("pending", HALF_PAST, 1),
        "pending",
    )
    assert advance_alert(closed, AT_ONCE, data(False), HALF_PAST) == (None, None)
