"""Window functions: what a sensor said in the last time, and when nobody can tell."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartdorf.alerting.binding import too_rare
from smartdorf.alerting.engine import Observation
from smartdorf.alerting.windows import MOST_READINGS, History, Reading, compute
from smartdorf.directory import Installation
from smartdorf.local_time import days_before
from tests.unit.alerting.village import LONG_AGO, Village, at, make_device, make_place, make_rules, seen

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def readings(*pairs: tuple[float, float]) -> list[Reading]:
    """Values by the minutes after noon."""
    return [(value, NOON + timedelta(minutes=minutes)) for minutes, value in pairs]


def seen_in_order(*pairs: tuple[float, float]) -> History:
    return History(readings(*pairs))


QUARTERS = readings((0, 10), (15, 14), (30, 12), (45, 18), (60, 16))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("avg", 15),  # of 14, 12, 18, 16: the hour that ends now, without its begin
        ("median", 15),
        ("sum", 60),
        ("count", 4),
        ("min", 10),  # it stood at 10 when the hour began
        ("max", 18),
        ("first", 10),
        ("last", 16),
        ("delta", 6),
        ("rate", 6),
        ("stuck", 0),
    ],
)
def test_the_functions_over_an_hour(function: str, expected: float):
    assert compute(function, History(QUARTERS), NOON + HOUR, HOUR) == expected


def test_a_rate_is_per_hour_whatever_the_window():
    assert (
        compute("rate", History(QUARTERS), NOON + HOUR, timedelta(minutes=30)) == 8
    )  # 12 to 16 within half an hour


def test_before_the_window_is_covered_nothing_is_known():
    for function in ("avg", "min", "max", "sum", "count", "delta", "rate", "stuck", "first", "last"):
        assert compute(function, History(QUARTERS[1:]), NOON + HOUR, HOUR) is None
        assert compute(function, History(), NOON, HOUR) is None


def test_a_gap_leaves_open_what_was_in_between():
    gap = seen_in_order((0, 10), (40, 12), (60, 16))
    assert compute("min", gap, NOON + HOUR, HOUR) is None
    assert compute("delta", gap, NOON + HOUR, HOUR) == 6  # begin and end are known
    assert compute("min", seen_in_order((0, 10), (36, 12), (60, 16)), NOON + HOUR, HOUR) == 10


def test_two_days_hold_for_a_sensor_that_reports_once_a_day():
    daily = [(7.0, NOON + day * timedelta(days=1, minutes=5)) for day in range(4)]
    assert compute("stuck", History(daily), daily[-1][1], timedelta(days=2)) == 1


def test_what_was_long_before_the_window_is_no_begin():
    old = seen_in_order((-130, 10), (60, 16))
    assert compute("delta", old, NOON + HOUR, HOUR) is None


def test_a_meter_counts_what_flowed_also_when_it_begins_anew():
    meter = seen_in_order((0, 100), (15, 101), (30, 0.5), (45, 2), (60, 2))
    assert compute("delta", meter, NOON + HOUR, HOUR, is_counter=True) == 2.5  # 1 before, 1.5 after
    assert compute("rate", meter, NOON + HOUR, HOUR, is_counter=True) == 2.5


def test_what_was_before_the_sensor_came_here_does_not_count():
    assert compute("max", History(QUARTERS), NOON + HOUR, HOUR, since=NOON + timedelta(minutes=10)) is None
    assert (
        compute(
            "max", History(QUARTERS), NOON + HOUR, timedelta(minutes=45), since=NOON + timedelta(minutes=10)
        )
        == 18
    )


DAY = timedelta(days=1)


def test_a_late_value_takes_its_place_and_a_repeated_one_changes_nothing():
    kept = History(QUARTERS[:2] + QUARTERS[3:])
    kept = kept.with_reading(QUARTERS[2], DAY).with_reading((99.0, QUARTERS[2][1]), DAY)
    assert list(kept) == QUARTERS
    assert list(kept.with_reading((99.0, QUARTERS[4][1]), DAY)) == QUARTERS
    assert compute("min", kept, NOON + HOUR, HOUR) == 10  # no gap where the late one came in


def test_what_no_window_reaches_is_forgotten_but_the_one_before_its_begin():
    assert list(History(QUARTERS, timedelta(minutes=20))) == QUARTERS[2:]
    assert list(History(QUARTERS[:4]).with_reading(QUARTERS[4], timedelta(minutes=20))) == QUARTERS[2:]
    many = [(1.0, NOON + n * timedelta(seconds=1)) for n in range(MOST_READINGS + 10)]
    assert len(History(many, 14 * DAY)) == MOST_READINGS
    assert len(History(many)) == len(many)
    assert list(History(many).with_reading((2.0, NOON + DAY), 14 * DAY))[-2:] == [many[-1], (2.0, NOON + DAY)]


def test_a_history_stays_what_it_was_whatever_comes_after_it():
    before = History(QUARTERS[:3])
    given_up = before.with_reading((77.0, NOON + timedelta(minutes=44)), DAY)
    assert list(given_up)[3:] == [(77.0, NOON + timedelta(minutes=44))]
    assert list(before) == QUARTERS[:3]
    after = before.with_reading(QUARTERS[3], DAY).with_reading(QUARTERS[4], DAY)
    assert list(before) == QUARTERS[:3]
    assert list(after) == QUARTERS
    assert list(History().with_reading(QUARTERS[0], DAY)) == QUARTERS[:1]
    assert list(History().with_reading(QUARTERS[1], DAY)) == QUARTERS[1:2]


numbers = st.lists(
    st.tuples(st.integers(0, 600), st.floats(-100, 100, allow_nan=False)),
    min_size=1,
    max_size=30,
    unique_by=lambda pair: pair[0],
)


@given(numbers, st.integers(1, 300))
def test_forgetting_changes_no_window(pairs: Sequence[tuple[float, float]], minutes: int):
    span = timedelta(minutes=minutes)
    everything, kept = sorted(readings(*pairs), key=lambda reading: reading[1]), History()
    for reading in everything:
        kept = kept.with_reading(reading, span)
    now = everything[-1][1]
    for function in (
        "avg",
        "min",
        "max",
        "median",
        "sum",
        "count",
        "first",
        "last",
        "delta",
        "rate",
        "stuck",
    ):
        expected = compute(function, History(everything), now, span)
        assert compute(function, kept, now, span) == expected
        assert expected is None or math.isfinite(expected)


# -- in rules -------------------------------------------------------------------------------------------------------

RISING = """
        for_each: {place_type: container}
        when: rate(water_level_m, "1h") > 0.2
        clear: rate(water_level_m, "1h") < 0.05
        summary: {de: "{place} steigt: {rate_water_level_m}, {water_level_m}", en: "{rate_water_level_m}"}"""
LEAK = """
        for_each: {place_type: container}
        limits: {night: 3h}
        when: min(water_flow_m3h, night) > 0
        summary: {de: "{min_water_flow_m3h}", en: "leak"}"""


def test_a_rising_stream_is_told_with_its_rate():
    village = Village(make_rules(Rising=RISING))
    village.see(0, water_level_m=1.0).see(30, water_level_m=1.05)
    assert village.phase("Rising") == "none"  # an hour is not known yet
    village.see(60, water_level_m=1.1).see(90, water_level_m=1.35)
    assert village.last is not None
    (fired,) = village.last.transitions
    assert fired.summary["de"] == "Platz 1 steigt: 0,300\xa0m/h, 1,35\xa0m"
    assert {name: entry.value for name, entry in fired.inputs.items()} == {
        "water_level_m": 1.35,
        "rate(water_level_m, 1h)": pytest.approx(0.3),
    }
    village.see(120, water_level_m=1.36).see(150, water_level_m=1.36).see(180, water_level_m=1.36)
    assert village.log == [("Rising", "fired", 90), ("Rising", "resolved", 150)]


def test_after_a_gap_nothing_is_known_and_nothing_ends():
    village = Village(make_rules(Rising=RISING))
    village.see(0, water_level_m=1.0).see(60, water_level_m=1.5)
    village.see(300, water_level_m=1.5)
    assert village.phase("Rising") == "firing"
    village.see(360, water_level_m=1.5)
    assert village.phase("Rising") == "none"


def test_a_night_without_a_still_hour_is_a_leak_and_a_place_may_have_its_own_length():
    flow = [0.2, 0.1, 0.3, 0.1, 0.2, 0.1, 0.4]
    village = Village(make_rules(Leak=LEAK))
    for number, value in enumerate(flow):
        village.see(30 * number, water_flow_m3h=value)
    assert village.log == [("Leak", "fired", 180)]
    own = Village(make_rules(Leak=LEAK), places=[make_place(limits={"night": 3600})])
    for number, value in enumerate(flow):
        own.see(30 * number, water_flow_m3h=value)
    assert own.log == [("Leak", "fired", 60)]


def test_a_late_value_counts_in_the_window_of_the_next_one():
    village = Village(make_rules(Leak=LEAK))
    for minutes in (0, 30, 60, 120, 150):
        village.see(minutes, water_flow_m3h=0.1)
    village.see(90, water_flow_m3h=0.0)  # it had stood still
    village.see(180, water_flow_m3h=0.1)
    assert village.log == []


def test_windows_survive_a_restart():
    village = Village(make_rules(Leak=LEAK))
    for minutes in range(0, 180, 30):
        village.see(minutes, water_flow_m3h=0.1)
    village.restart().see(180, water_flow_m3h=0.1)
    assert village.log == [("Leak", "fired", 180)]


def test_a_new_sensor_at_the_place_begins_with_a_window_of_its_own():
    village = Village(
        make_rules(Leak=LEAK),
        devices=[make_device(1), make_device(2)],
        installations=[Installation(1, 1, LONG_AGO, at(100)), Installation(2, 1, at(100))],
    )
    for minutes in range(0, 100, 30):
        village.see(minutes, water_flow_m3h=0.1)
    for minutes in range(120, 300, 30):
        village.see(minutes, device=2, water_flow_m3h=0.1)
    assert village.log == []
    village.see(300, device=2, water_flow_m3h=0.1)
    assert village.log == [("Leak", "fired", 300)]


def test_two_sensors_at_one_place_have_a_window_each():
    village = Village(
        make_rules(Leak=LEAK),
        devices=[make_device(1), make_device(2)],
        installations=[Installation(1, 1, LONG_AGO), Installation(2, 1, LONG_AGO)],
    )
    for minutes in range(0, 200, 30):
        village.see_all(seen(minutes, 1, water_flow_m3h=0.0), seen(minutes, 2, water_flow_m3h=0.1))
    assert village.log == [("Leak", "fired", 180)]


def test_a_sensor_that_is_stuck_is_found_by_it_alone():
    village = Village(
        make_rules(
            Stuck="""
        for_each: {place_type: container}
        when: stuck(fill_distance_m, "4h")
        summary: {de: "hängt", en: "stuck"}"""
        )
    )
    for hour in range(6):
        village.see(60 * hour, fill_distance_m=0.42)
    assert village.log == [("Stuck", "fired", 240)]
    village.see(360, fill_distance_m=0.43)
    assert village.phase("Stuck") == "none"


NIGHT = """
        for_each: {place_type: container}
        limits: {late: 22, early: 5}
        when: heat_power_kw > 5 and (local_hour() >= late or local_hour() < early)
        for: 1 reading
        summary: {de: "nachts", en: "at night"}"""


def test_the_local_hour_follows_the_village_clock_through_the_year():
    village = Village(make_rules(Night=NIGHT))
    day = 24 * 60
    # half past nine in the evening of 1 March is 20:30 UTC; START is noon UTC, 13:00 on the village's clock
    village.see(8.5 * 60, heat_power_kw=9)
    village.see(9 * 60, heat_power_kw=9)  # 22:00
    village.see(16 * 60, heat_power_kw=9)  # 05:00
    # on 1 April the clock is an hour further
    village.see(31 * day + 7.5 * 60, heat_power_kw=9)  # 21:30
    village.see(31 * day + 8 * 60, heat_power_kw=9)  # 22:00
    assert [(kind, minutes % day / 60) for _rule, kind, minutes in village.log] == [
        ("fired", 9),
        ("resolved", 16),
        ("fired", 8),
    ]


def test_a_window_that_no_sensor_can_cover_is_said_once():
    village = Village(
        make_rules(Rising=RISING, Leak=LEAK),
        places=[make_place(1), make_place(2)],
        devices=[make_device(1), make_device(2), make_device(3, model="acme/radar")],
        installations=[Installation(n, 1 + n % 2, LONG_AGO) for n in (1, 2, 3)],
    )

    def said(**intervals: timedelta) -> list[str]:
        models = {f"acme/{name}": interval for name, interval in intervals.items()}
        return [problem.message for problem in too_rare(village.bound, models)]

    assert said(box=timedelta(minutes=108), radar=timedelta(minutes=20)) == []  # six tenths of three hours
    assert said(box=timedelta(minutes=109)) == [
        "Leak looks back 3h at water_flow_m3h, but acme/box reports every 109m: that is never known; look back longer"
    ]
    assert len(said(box=timedelta(hours=6), radar=timedelta(hours=6))) == 4


# -- what is usual ----------------------------------------------------------------------------------------------

NIGHT_FLOW = """
        for_each: {place_type: container}
        when: local_hour() >= 4 and local_hour() < 5 and
              delta(water_volume_m3, "2h") > 3 * usual(delta(water_volume_m3, "2h")) + 0.05
        clear: delta(water_volume_m3, "2h") < 0.05
        for: 1 reading
        summary: {de: "{delta_water_volume_m3} statt {usual_delta_water_volume_m3}", en: "much"}"""


def nights(flow: dict[int, float], *, days: int = 10) -> list[Observation]:
    """A meter that is read every hour; at four in the morning it has counted ``flow`` of that day since two."""
    found, volume = [], 100.0
    for hour in range(24 * days):
        day, local = divmod(hour + 13, 24)  # it begins at noon UTC, one o'clock in the afternoon
        volume += flow.get(day, 0.02) / 2 if local in (3, 4) else 0.1
        found.append(seen(60 * hour, water_volume_m3=round(volume, 4)))
    return found


def test_a_night_unlike_those_before_is_told_in_the_morning() -> None:
    village = Village(make_rules(Night=NIGHT_FLOW)).see_all(*nights({9: 0.4}))
    morning = (24 * 9 + 4 - 13) * 60
    assert village.log == [("Night", "fired", morning), ("Night", "resolved", morning + 24 * 60)]


def test_a_house_that_always_uses_water_at_night_is_told_of_never() -> None:
    assert Village(make_rules(Night=NIGHT_FLOW)).see_all(*nights(dict.fromkeys(range(11), 0.4))).log == []


def test_what_is_usual_is_known_after_five_days() -> None:
    log = [Village(make_rules(Night=NIGHT_FLOW)).see_all(*nights({day: 0.4})).log for day in (5, 6)]
    assert [bool(entries) for entries in log] == [False, True]


def test_the_same_time_of_day_is_meant_on_the_morning_after_the_clocks_changed() -> None:
    monday = datetime(2026, 3, 30, 2, 0, tzinfo=UTC)  # four o'clock, in summer time
    assert days_before(monday, 2) == datetime(2026, 3, 28, 3, 0, tzinfo=UTC)  # four o'clock, in winter time
