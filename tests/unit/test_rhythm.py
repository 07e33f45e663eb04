"""What is concluded from the gaps between a device's messages: how often it reports, and which silence is normal."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartdorf.rhythm import DAY, HOUR, MINUTE, GapDay, Rhythm, judge, start_limit

TODAY = date(2026, 3, 31)


def day(
    ago: int,
    median: float,
    longest: float,
    *,
    gaps: int = 1,
    lost: int = 0,
    quartiles: tuple[float, float] | None = None,
) -> GapDay:
    first, third = quartiles or (median, median)
    return GapDay(TODAY - timedelta(days=ago), gaps, lost, first, median, third, longest)


def judged(*days: GapDay, model: timedelta | None = None) -> Rhythm:
    return judge(days, TODAY, model)


def test_every_quarter_of_an_hour_with_a_tenth_lost_is_silent_after_seven_intervals_and_some_minutes() -> (
    None
):
    """0.104 to the power of 7 is what 35,040 frames a year see once in 200 years; of 6 it would be 22."""
    found = judged(
        *(day(ago, 15 * MINUTE, 60 * MINUTE, gaps=86, lost=10) for ago in range(30)),
        model=timedelta(minutes=10),
    )
    assert (found.kind, found.because, found.interval) == ("periodic", "interval", 15 * MINUTE)
    assert found.limit == 110 * MINUTE
    assert (found.gaps, found.days, round(found.loss, 3)) == (2580, 30, 0.104)


def test_where_nothing_is_lost_three_intervals_are_enough_and_an_hour_is_the_least() -> None:
    assert judged(*(day(ago, HOUR, HOUR, gaps=24) for ago in range(30))).limit == 3.25 * HOUR
    found = judged(*(day(ago, 15 * MINUTE, 15 * MINUTE, gaps=96) for ago in range(30)))
    assert (found.limit, found.because) == (HOUR, "shortest")


def test_a_gap_that_was_there_before_may_last_half_as_long_again() -> None:
    days = [day(ago, 15 * MINUTE, 15 * MINUTE, gaps=96) for ago in range(30)]
    found = judged(*days[1:], days[0]._replace(longest=52 * MINUTE))
    assert (found.limit, found.because) == (80 * MINUTE, "longest")  # 78, in steps of five


def test_a_parking_bay_has_its_heartbeat_and_no_rhythm() -> None:
    """Cars come and go after half an hour or three; on Sundays nothing but the heartbeat, once a day."""
    week = [
        day(0, 40 * MINUTE, 11 * HOUR, gaps=20, quartiles=(10 * MINUTE, 2 * HOUR)),
        day(1, 70 * MINUTE, 12 * HOUR, gaps=14, quartiles=(20 * MINUTE, 3 * HOUR)),
        day(2, DAY, DAY),
        day(3, 30 * MINUTE, 10 * HOUR, gaps=22, quartiles=(10 * MINUTE, 2 * HOUR)),
        day(4, 50 * MINUTE, 13 * HOUR, gaps=16, quartiles=(10 * MINUTE, 3 * HOUR)),
        day(5, 90 * MINUTE, 9 * HOUR, gaps=12, quartiles=(30 * MINUTE, 3 * HOUR)),
        day(6, 60 * MINUTE, 12 * HOUR, gaps=18, quartiles=(15 * MINUTE, 2 * HOUR)),
    ]
    month = [known._replace(day=known.day - timedelta(weeks=w)) for w in range(4) for known in week]
    found = judged(*month)
    assert (found.kind, found.because) == ("events", "days")
    assert found.limit == 49 * HOUR  # two heartbeats and five minutes, in whole hours
    found = judged(*month, model=timedelta(days=1))
    assert (found.kind, found.because, found.limit) == ("events", "model", 3 * DAY)


def test_one_busy_day_says_nothing_about_a_quiet_one() -> None:
    found = judged(day(0, 20 * MINUTE, 2 * HOUR, gaps=30, quartiles=(5 * MINUTE, HOUR)))
    assert (found.kind, found.because, found.limit) == ("events", "default", 26 * HOUR)


def test_a_class_room_is_off_at_weekends() -> None:
    """Friday 18:00 to Monday 8:00 are 62 hours; with Easter Monday 86."""
    days = []
    for ago in range(30):
        weekday = (TODAY - timedelta(days=ago)).weekday()
        if weekday < 5:
            longest = (62 if weekday == 0 else 14) * HOUR
            days.append(day(ago, 15 * MINUTE, longest, gaps=41))
    found = judged(*days)
    assert (found.kind, found.interval, found.because) == ("pauses", 15 * MINUTE, "longest")
    assert found.limit == 93 * HOUR


def test_a_meter_that_reports_once_a_day_is_known_after_three_days() -> None:
    found = judged(*(day(ago, DAY, DAY) for ago in range(3)))
    assert (found.kind, found.interval, found.limit) == ("periodic", DAY, 73 * HOUR)
    assert judged(day(0, DAY, DAY), day(1, DAY, DAY)).kind == "unknown"
    # three lost of thirty-three: four days would be waited in vain once in 40 years, five once in 440
    lost = [day(ago, DAY, 2 * DAY if ago < 3 else DAY, lost=int(ago < 3)) for ago in range(30)]
    assert judged(*lost).limit == 121 * HOUR


def test_a_longer_interval_counts_at_once_and_a_shorter_one_in_weeks() -> None:
    hourly = [day(ago, HOUR, HOUR, gaps=24) for ago in range(30)]
    first_night = [*hourly[1:], day(0, HOUR, 12 * HOUR, gaps=13)]
    assert judged(*first_night).limit == 18 * HOUR
    slow = [day(ago, 12 * HOUR, 12 * HOUR, gaps=2) for ago in range(30)]
    found = judged(*slow[:2], *hourly[2:])
    assert (found.kind, found.interval, found.limit) == ("periodic", 12 * HOUR, 37 * HOUR)
    assert judged(*hourly[:10], *slow[10:]).limit == 37 * HOUR
    assert judged(*hourly[:16], *slow[16:]).limit == 18 * HOUR
    assert judged(*hourly).limit == 3.25 * HOUR


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        (timedelta(minutes=10), 6 * HOUR),
        (timedelta(hours=4), 12 * HOUR),
        (timedelta(days=1), 3 * DAY),
        (timedelta(days=30), 7 * DAY),
        (None, 26 * HOUR),
    ],
)
def test_a_fresh_device_has_the_limit_of_its_model(model: timedelta | None, limit: float) -> None:
    assert start_limit(model).limit == limit
    assert judge([], TODAY, model).limit == limit
    assert judge([day(0, HOUR / 6, HOUR / 6, gaps=5)], TODAY, model).limit == limit


def test_a_fresh_device_that_is_slower_than_its_model_says_is_believed() -> None:
    found = judged(day(0, 5 * HOUR, 6 * HOUR, gaps=4), model=timedelta(minutes=10))
    assert (found.kind, found.limit, found.because) == ("unknown", 9 * HOUR, "longest")


def test_what_is_older_than_thirty_days_is_forgotten() -> None:
    assert judged(day(30, HOUR, 5 * DAY, gaps=24), model=timedelta(hours=1)) == start_limit(
        timedelta(hours=1)
    )


def test_nobody_may_be_silent_for_more_than_a_week() -> None:
    days = [day(ago, HOUR, HOUR, gaps=24) for ago in range(1, 30)]
    found = judged(*days, day(0, HOUR, 6 * DAY, gaps=2))
    assert (found.limit, found.because) == (7 * DAY, "cap")


@st.composite
def gap_days(draw: st.DrawFn) -> list[GapDay]:
    days = []
    for ago in draw(st.lists(st.integers(0, 40), unique=True, max_size=12)):
        first, middle, third = sorted(draw(st.tuples(*[st.floats(1, 3 * DAY)] * 3)))
        longest = draw(st.floats(0, 7 * DAY))
        lost = draw(st.integers(0, 60))
        days.append(
            day(ago, middle, longest, gaps=draw(st.integers(1, 200)), lost=lost, quartiles=(first, third))
        )
    return days


models = st.none() | st.timedeltas(timedelta(minutes=1), timedelta(days=40))


@given(gap_days(), models)
def test_the_limit_is_never_below_what_was_seen(days: list[GapDay], model: timedelta | None) -> None:
    found = judge(days, TODAY, model)
    assert HOUR <= found.limit <= 7 * DAY
    assert all(found.limit >= known.longest for known in days if (TODAY - known.day).days < 30)


@given(gap_days(), models, st.floats(0, 7 * DAY), st.integers(0, 11))
def test_a_longer_gap_never_lowers_the_limit(
    days: list[GapDay], model: timedelta | None, longer: float, which: int
) -> None:
    if days:
        before = judge(days, TODAY, model)
        which %= len(days)
        days[which] = days[which]._replace(longest=max(longer, days[which].longest))
        assert judge(days, TODAY, model).limit >= before.limit
