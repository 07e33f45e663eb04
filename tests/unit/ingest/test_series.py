"""Jumps, sensors that stand still, counters that fall, decoders that fail: what a value says beside those before it."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smartdorf.decoding.plausible import Plausibility
from smartdorf.ingest.series import Known, SeriesLedger
from smartdorf.model import Quality, Sample
from smartdorf.vocabulary import DECODE_FAULT

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
KEY = (1, 0, "air_temperature_c")
AIR = Plausibility(-50, 60, jump=15, stuck=timedelta(days=3))
COUNTER = Plausibility(0, 1e9, is_counter=True)
ROLLING = Plausibility(0, 1e9, is_counter=True, rollover=65536)

OK, JUMP, STUCK = 0, int(Quality.JUMP), int(Quality.STUCK)


def judge(
    limits: Plausibility, *values: tuple[float, float], ledger: SeriesLedger | None = None
) -> list[int]:
    """Flags of values by the hours since noon; each in a batch of its own."""
    ledger, flags = ledger or SeriesLedger(), []
    for hours, value in values:
        batch = ledger.begin()
        flags.append(batch.judge(KEY, Sample(KEY[2], value, NOON + timedelta(hours=hours)), limits))
        ledger.apply(batch)
    return flags


def hourly(*values: float, every: float = 1.0) -> list[tuple[float, float]]:
    return [(number * every, value) for number, value in enumerate(values)]


def test_the_first_value_has_nothing_to_jump_from():
    assert judge(AIR, (0, 55)) == [OK]


def test_a_spike_is_a_jump_and_the_way_back_is_none():
    assert judge(AIR, *hourly(20, 45, 21)) == [OK, JUMP, OK]


def test_a_level_that_lasts_is_a_jump_once():
    assert judge(AIR, *hourly(20, 45, 46, 47)) == [OK, JUMP, OK, OK]


def test_the_largest_believable_change_is_believed():
    assert judge(AIR, *hourly(20, 35, 50.1)) == [OK, OK, JUMP]


def test_minutes_do_not_make_the_limit_smaller_and_hours_make_it_larger():
    assert judge(AIR, (0, 20), (0.1, 35)) == [OK, OK]
    assert judge(AIR, (0, -5), (2, 24)) == [OK, OK]
    assert judge(AIR, (0, -5), (2, 26)) == [OK, JUMP]


def test_a_sensor_that_says_the_same_for_three_days_is_stuck():
    assert judge(AIR, *hourly(*[21.5] * 15, every=6)) == [OK] * 12 + [STUCK] * 3


def test_it_is_stuck_until_it_moves():
    assert judge(AIR, *hourly(*[21.5] * 13, 21.6, 21.6, every=6)) == [OK] * 12 + [STUCK, OK, OK]


def test_a_few_equal_values_far_apart_say_nothing():
    assert judge(AIR, *hourly(*[21.5] * 9, every=24)) == [OK] * 9
    assert judge(AIR, *hourly(*[21.5] * 11, every=24)) == [OK] * 9 + [STUCK] * 2


def test_what_was_in_a_gap_is_not_known():
    before, after = hourly(*[21.5] * 12, every=6), [(200 + 6 * n, 21.5) for n in range(3)]
    assert judge(AIR, *before, *after) == [OK] * 15


def test_a_counter_that_falls_is_told_once():
    assert judge(COUNTER, *hourly(812, 812, 3, 4, 5)) == [OK, OK, JUMP, OK, OK]


def test_a_counter_that_stands_still_is_an_empty_house():
    assert judge(COUNTER, *hourly(*[812.4] * 200)) == [OK] * 200


def test_a_counter_that_read_nonsense_once_is_told_once():
    assert judge(Plausibility(0, 1e9, jump=100, is_counter=True), *hourly(812, 99999, 813)) == [OK, JUMP, OK]


def test_a_counter_that_rolls_over_does_not_fall():
    assert judge(ROLLING, *hourly(65500, 20, 40)) == [OK, OK, OK]
    assert judge(ROLLING, *hourly(57345, 0)) == [OK, OK]  # 8191 more: just below an eighth of its range


def test_a_counter_that_begins_anew_in_the_middle_of_its_range_falls():
    assert judge(ROLLING, *hourly(30000, 0)) == [OK, JUMP]
    assert judge(ROLLING, *hourly(57343, 0)) == [OK, JUMP]  # 8193 more


def test_what_comes_late_is_not_judged_and_changes_nothing():
    assert judge(AIR, (0, 20), (1, 21), (0.5, 59), (1, 59), (2, 22)) == [OK, OK, OK, OK, OK]


def test_what_a_batch_saw_counts_only_once_it_is_committed():
    ledger = SeriesLedger({KEY: Known(NOON, 20, 20, NOON, 1)})
    lost = ledger.begin()
    assert lost.judge(KEY, Sample(KEY[2], 50, NOON + timedelta(hours=1)), AIR) == JUMP
    assert judge(AIR, (1, 50), ledger=ledger) == [JUMP]


def faults(*steps: tuple[float, bool]) -> list[bool]:
    ledger, told = SeriesLedger(), []
    for hours, fault in steps:
        batch = ledger.begin()
        told.append(bool(batch.note(1, NOON + timedelta(hours=hours), [(DECODE_FAULT, fault)])))
        ledger.apply(batch)
    return told


def test_a_device_that_can_be_read_says_nothing_of_it():
    assert faults((0, False), (1, False)) == [False, False]


def test_each_fault_is_told_and_their_end_once():
    assert faults((0, True), (1, True), (2, False), (3, False), (4, True)) == [True, True, True, False, True]


def test_a_late_frame_does_not_end_a_fault():
    assert faults((2, True), (1, False), (3, False)) == [True, False, True]


values = st.lists(st.floats(-50, 60, allow_nan=False), min_size=1, max_size=30)


@given(values)
def test_without_limits_nothing_is_flagged(readings: Sequence[float]):
    assert set(judge(Plausibility(-math.inf, math.inf), *hourly(*readings))) == {OK}


@given(values)
def test_small_steps_are_never_a_jump(readings: Sequence[float]):
    small = [0.1 * reading for reading in readings]  # at most 11 apart
    assert JUMP not in judge(AIR, *hourly(*small))
