"""The life of one alert: every verdict in every state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smartdorf.alerting.state import AlertState, Mark, Verdict, advance_alert, due_of
from smartdorf.config.rule import Hold, Timing

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HALF_PAST = NOON + timedelta(minutes=30)
TWO_READINGS = Timing(Hold(readings=2))
HALF_AN_HOUR = Timing(Hold(duration=timedelta(minutes=30)))
BOTH = Timing(Hold(2, timedelta(minutes=30)))
AT_ONCE = Timing()


def data(holds: bool | None, clears: bool | None = None) -> Verdict:
    return Verdict((holds,), clears, (True,), fresh=True)


def time_passes(holds: bool | None, clears: bool | None = None) -> Verdict:
    return Verdict((holds,), clears, (False,), fresh=False)


def pending(readings: int = 1) -> AlertState:
    return AlertState("pending", NOON, readings)


FIRING = AlertState("firing", NOON, 2, NOON)


@pytest.mark.parametrize("hold", [TWO_READINGS, HALF_AN_HOUR, BOTH])
def test_what_begins_to_hold_is_pending(hold: Timing) -> None:
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


def test_what_nobody_knows_any_more_does_not_fire_when_its_time_is_over() -> None:
    assert advance_alert(pending(), HALF_AN_HOUR, time_passes(None), HALF_PAST) == (pending(), None)
    rising = AlertState("firing", NOON, 2, NOON, 0, (None, Mark(NOON, 1)))
    unknown = stages((True, None), fresh=False)
    assert advance_alert(rising, HALF_AN_HOUR, unknown, HALF_PAST) == (rising, None)


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


# -- stages: the village's container is full from 80 %, overfull from 95 % ---------------------------------------

FULL, OVERFULL, HALF_EMPTY = (True, False), (True, True), (False, False)


def stages(levels: tuple[bool | None, ...], clears: bool | None = None, *, fresh: bool = True) -> Verdict:
    return Verdict(levels, clears, (fresh,) * len(levels), fresh)


def later(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_an_alert_is_raised_once_the_higher_stage_has_held_as_long_as_the_lower_had_to() -> None:
    state, kind = advance_alert(None, TWO_READINGS, stages(FULL), NOON)
    state, kind = advance_alert(state, TWO_READINGS, stages(OVERFULL), later(1))
    assert kind == "fired"
    assert state == AlertState("firing", NOON, 2, later(1), 0, (None, Mark(later(1), 1)))
    state, kind = advance_alert(state, TWO_READINGS, stages(OVERFULL), later(2))
    assert kind == "raised"
    assert state == AlertState("firing", NOON, 2, later(1), 1)


def test_one_odd_value_raises_nothing() -> None:
    firing = AlertState("firing", NOON, 2, NOON)
    risen, kind = advance_alert(firing, TWO_READINGS, stages(OVERFULL), later(1))
    assert kind is None
    assert advance_alert(risen, TWO_READINGS, stages(FULL), later(2)) == (firing, None)


def test_what_begins_at_the_highest_stage_is_told_once() -> None:
    state, kind = advance_alert(None, TWO_READINGS, stages(OVERFULL), NOON)
    assert (state, kind) == (AlertState("pending", NOON, 1, rising=(None, Mark(NOON, 1))), "pending")
    state, kind = advance_alert(state, TWO_READINGS, stages(OVERFULL), later(1))
    assert (state, kind) == (AlertState("firing", NOON, 2, later(1), 1), "fired")


def test_an_alert_never_steps_down() -> None:
    overfull = AlertState("firing", NOON, 2, NOON, 1)
    assert advance_alert(overfull, TWO_READINGS, stages(FULL, False), later(1)) == (overfull, None)
    assert advance_alert(overfull, TWO_READINGS, stages(HALF_EMPTY, True), later(2)) == (None, "resolved")


def test_an_unknown_higher_stage_keeps_what_it_has_seen_so_far() -> None:
    rising = AlertState("firing", NOON, 2, NOON, 0, (None, Mark(later(1), 1)))
    assert advance_alert(rising, TWO_READINGS, stages((True, None)), later(2)) == (rising, None)


def test_a_higher_stage_that_must_last_is_reached_by_time() -> None:
    firing = AlertState("firing", NOON, 2, NOON)
    rising, kind = advance_alert(firing, HALF_AN_HOUR, stages(OVERFULL), later(1))
    assert kind is None
    assert due_of(rising, HALF_AN_HOUR) == later(31)
    raised, kind = advance_alert(rising, HALF_AN_HOUR, stages(OVERFULL, fresh=False), later(31))
    assert (raised, kind) == (AlertState("firing", NOON, 2, NOON, 1), "raised")


def test_a_rule_that_has_lost_its_stages_keeps_its_alert() -> None:
    overfull = AlertState("firing", NOON, 2, NOON, 1, (None, None, Mark(NOON, 1)))
    assert advance_alert(overfull, AT_ONCE, data(True, False), later(1))[1] is None
    assert advance_alert(overfull, AT_ONCE, data(False, True), later(1)) == (None, "resolved")


# -- kept firing, and closed by hand -----------------------------------------------------------------------------

KEPT = Timing(keep=timedelta(minutes=30))
BY_HAND = Timing(by_hand=True)


def test_an_alert_that_is_kept_ends_when_it_has_been_clear_for_that_long() -> None:
    clearing, kind = advance_alert(FIRING, KEPT, data(False, True), later(1))
    assert (clearing, kind) == (AlertState("firing", NOON, 2, NOON, clearing=later(1)), None)
    assert due_of(clearing, KEPT) == later(31)
    assert advance_alert(clearing, KEPT, time_passes(False, True), later(30)) == (clearing, None)
    assert advance_alert(clearing, KEPT, time_passes(False, True), later(31)) == (None, "resolved")


def test_what_holds_again_is_not_clear_any_more() -> None:
    clearing = AlertState("firing", NOON, 2, NOON, clearing=later(1))
    assert advance_alert(clearing, KEPT, data(True, False), later(20)) == (FIRING, None)
    assert advance_alert(clearing, KEPT, data(False, False), later(20)) == (FIRING, None)


def test_nobody_knows_that_it_is_clear_is_no_end() -> None:
    clearing = AlertState("firing", NOON, 2, NOON, clearing=later(1))
    assert advance_alert(clearing, KEPT, time_passes(None, None), later(60)) == (clearing, None)


def test_time_does_not_begin_to_clear_an_alert() -> None:
    assert advance_alert(FIRING, KEPT, time_passes(False, True), later(1)) == (FIRING, None)


def test_an_alert_that_a_person_has_to_close_eases_once_and_stays() -> None:
    eased = AlertState("firing", NOON, 2, NOON, eased=True)
    assert advance_alert(FIRING, BY_HAND, data(False, True), later(1)) == (eased, "eased")
    assert advance_alert(eased, BY_HAND, data(False, True), later(2)) == (eased, None)


def test_what_has_eased_and_holds_again_fires_again() -> None:
    eased = AlertState("firing", NOON, 2, NOON, 1, eased=True)
    timing = Timing(Hold(readings=2), by_hand=True)
    rising, kind = advance_alert(eased, timing, stages(FULL, False), later(1))
    assert kind is None
    back, kind = advance_alert(rising, timing, stages(FULL, False), later(2))
    assert (back, kind) == (AlertState("firing", NOON, 2, NOON, 0), "returned")
