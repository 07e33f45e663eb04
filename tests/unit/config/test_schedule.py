"""Weekly times, by the church clock: worked out by hand, in UTC where the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartdorf.config.calendar import Calendar
from smartdorf.config.schedule import OpenTimes, Schedule, Span
from smartdorf.config.schedule_reader import read_schedule, read_send
from smartdorf.local_time import from_local
from smartdorf.yaml_source import parse_yaml

BAVARIA = Calendar("BY")
GERMANY = Calendar()


def schedule(text: str) -> Schedule:
    node = parse_yaml(text, "rule.yaml")
    made = read_schedule(node)
    assert node.source.problems == []
    return made


def local(text: str) -> datetime:
    return from_local(datetime.fromisoformat(text))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def changes(text: str, begin: datetime, count: int, calendar: Calendar = GERMANY) -> list[datetime | None]:
    made, found, time = schedule(text), [], begin
    for _ in range(count):
        change = made.next_change(time, calendar)
        found.append(change)
        assert change is not None
        time = change
    return found


def test_office_hours_open_and_close_on_weekdays_only() -> None:
    office = "{days: mo-fr, hours: 08:00-12:00, on_holidays: true}"
    assert changes(office, local("2026-11-26T12:00"), 4) == [
        local("2026-11-27T08:00"),  # Friday
        local("2026-11-27T12:00"),
        local("2026-11-30T08:00"),
        local("2026-11-30T12:00"),
    ]
    made = schedule(office)
    assert made.is_open(local("2026-11-27T08:00"), GERMANY)
    assert not made.is_open(local("2026-11-27T12:00"), GERMANY)
    assert not made.is_open(local("2026-11-28T09:00"), GERMANY)


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    friday_night = schedule("{days: fr, hours: 22:00-06:00}")
    assert friday_night.is_open(local("2026-11-28T05:59"), GERMANY)  # Saturday morning
    assert not friday_night.is_open(local("2026-11-28T06:00"), GERMANY)
    assert not friday_night.is_open(local("2026-11-27T05:00"), GERMANY)  # that night began on Thursday
    # New Year's Eve is a Thursday and no holiday: the night goes on into the holiday
    nights = schedule("{days: th, hours: 22:00-06:00, on_holidays: false}")
    assert nights.is_open(local("2027-01-01T03:00"), GERMANY)


def test_days_that_touch_are_one_span() -> None:
    assert changes("{days: mo-fr}", local("2026-11-24T10:00"), 2) == [
        local("2026-11-28T00:00"),
        local("2026-11-30T00:00"),
    ]
    assert changes("{days: sa, hours: 20:00-24:00}", local("2026-11-28T20:00"), 1) == [
        local("2026-11-29T00:00")
    ]


def test_several_hours_a_day() -> None:
    assert changes("{hours: '14:00-18:00, 08:00-12:00'}", local("2026-11-24T09:00"), 3) == [
        local("2026-11-24T12:00"),
        local("2026-11-24T14:00"),
        local("2026-11-24T18:00"),
    ]


# -- the two nights of the year ----------------------------------------------------------------------------------


def test_in_spring_what_begins_in_the_skipped_hour_begins_when_the_clocks_jump() -> None:
    # on 29 March 2026 the clock goes from 02:00 to 03:00, at 01:00 UTC
    assert changes("{days: su, hours: 02:30-04:00}", utc("2026-03-28T12:00"), 2) == [
        utc("2026-03-29T01:00"),
        utc("2026-03-29T02:00"),
    ]
    assert changes("{days: su, hours: 01:00-02:30}", utc("2026-03-28T12:00"), 2) == [
        utc("2026-03-29T00:00"),
        utc("2026-03-29T01:00"),
    ]


def test_in_spring_what_is_skipped_as_a_whole_does_not_take_place() -> None:
    made = schedule("{days: su, hours: 02:00-03:00}")
    assert made.next_change(utc("2026-03-28T12:00"), GERMANY) == utc("2026-04-05T00:00")
    assert not made.is_open(utc("2026-03-29T01:00"), GERMANY)


def test_in_autumn_the_doubled_hour_counts_twice() -> None:
    # on 25 October 2026 the clock goes from 03:00 back to 02:00, at 01:00 UTC
    assert changes("{days: su, hours: 02:00-03:00}", utc("2026-10-24T12:00"), 2) == [
        utc("2026-10-25T00:00"),
        utc("2026-10-25T02:00"),
    ]
    # it begins with the first half past two and ends with the second
    assert changes("{days: su, hours: 02:30-02:40}", utc("2026-10-24T12:00"), 2) == [
        utc("2026-10-25T00:30"),
        utc("2026-10-25T01:40"),
    ]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 7), ("2026-10-24", 9), ("2026-06-05", 8)])
def test_a_night_is_as_long_as_it_is(day: str, hours: int) -> None:
    night = "{hours: 22:00-06:00}"
    opens, closes = changes(night, local(f"{day}T12:00"), 2)
    assert (opens, closes) == (local(f"{day}T22:00"), opens + timedelta(hours=hours))  # type: ignore[operator]


# -- holidays ----------------------------------------------------------------------------------------------------


def test_fronleichnam_is_a_holiday_in_bavaria_and_not_in_berlin() -> None:
    working = schedule("{days: mo-fr, hours: 08:00-17:00, on_holidays: false}")
    fronleichnam = local("2026-06-04T10:00")
    assert not working.is_open(fronleichnam, BAVARIA)
    assert working.is_open(fronleichnam, Calendar("BE"))
    assert working.is_open(fronleichnam, GERMANY)
    assert working.next_change(local("2026-06-03T17:00"), BAVARIA) == local("2026-06-05T08:00")
    # and the Day of German Unity is one everywhere
    assert not schedule("{on_holidays: false}").is_open(local("2026-10-03T10:00"), GERMANY)


def test_while_schools_are_closed() -> None:
    school_days = schedule("{days: mo-fr, hours: 07:00-09:00, on_school_holidays: false}")
    # the summer holidays of 2026: in Bavaria from 3 August to 14 September, in Berlin from 9 July to 22 August
    assert not school_days.is_open(local("2026-09-14T08:00"), BAVARIA)
    assert school_days.is_open(local("2026-09-15T08:00"), BAVARIA)
    assert school_days.is_open(local("2026-09-14T08:00"), Calendar("BE"))
    assert school_days.next_change(local("2026-07-31T09:00"), BAVARIA) == local("2026-09-15T07:00")


# -- what must hold for all ---------------------------------------------------------------------------------------

minutes = st.integers(0, 95).map(lambda quarter: quarter * 15)
spans = st.builds(Span, minutes, st.integers(0, 96).map(lambda quarter: quarter * 15)).filter(
    lambda span: span.begin != span.end
)


def apart(given: list[Span]) -> tuple[Span, ...]:
    """Without those that overlap one before them."""
    quarters: set[int] = set()
    kept = []
    for span in given:
        length = (span.end - span.begin) % 1440 or 1440
        taken = {minute % 1440 for minute in range(span.begin, span.begin + length, 15)}
        if not taken & quarters:
            quarters |= taken
            kept.append(span)
    return tuple(sorted(kept))


schedules = st.builds(
    Schedule,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.lists(spans, min_size=1, max_size=3).map(apart),
    st.booleans(),
    st.booleans(),
)
moments = st.datetimes(datetime(2026, 3, 20), datetime(2026, 4, 10)) | st.datetimes(
    datetime(2026, 10, 18), datetime(2026, 11, 5)
)


@settings(deadline=None)
@given(schedules, moments)
def test_next_change_is_the_first_time_at_which_it_is_otherwise(made: Schedule, moment: datetime) -> None:
    at = moment.replace(tzinfo=UTC)
    change = made.next_change(at, BAVARIA)
    before = made.is_open(at, BAVARIA)
    # everything begins and ends at a quarter of an hour, so looking at each of them misses nothing
    time = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0) + timedelta(minutes=15)
    for _ in range(4 * 24 * 16):
        if made.is_open(time, BAVARIA) != before:
            assert change == time
            return
        time += timedelta(minutes=15)
    assert change is None or change >= time


@settings(deadline=None, max_examples=60)
@given(schedules, st.lists(moments, min_size=1, max_size=6))
def test_what_is_remembered_makes_no_difference(made: Schedule, times: list[datetime]) -> None:
    remembering = OpenTimes(made, BAVARIA)
    for moment in times:
        at = moment.replace(tzinfo=UTC)
        assert remembering.is_open(at) == made.is_open(at, BAVARIA)
        assert remembering.next_change(at) == made.next_change(at, BAVARIA)
        opened = remembering.last_opening(at)
        assert opened == made.last_opening(at, BAVARIA)
        if opened is not None:
            assert opened <= at
            assert made.is_open(opened, BAVARIA)
            assert not made.is_open(opened - timedelta(microseconds=1), BAVARIA)
            closed = made.next_change(opened, BAVARIA)
            if made.is_open(at, BAVARIA):
                assert closed == made.next_change(at, BAVARIA)
            else:  # and it has not opened again since then
                assert closed is not None
                assert made.next_change(closed, BAVARIA) == made.next_change(at, BAVARIA)


@given(schedules.filter(lambda made: made != Schedule()))
def test_it_is_shown_as_it_is_read(made: Schedule) -> None:
    assert schedule(str(made)) == made


def test_what_may_be_told_now_is_told_now() -> None:
    times = OpenTimes(schedule("{days: mo-sa, hours: 06:00-20:00, on_holidays: false}"), BAVARIA)
    assert times.may_tell_at(local("2026-11-27T19:59")) == local("2026-11-27T19:59")
    assert times.may_tell_at(local("2026-11-28T20:00")) == local("2026-11-30T06:00")  # Saturday evening


# -- how it is written ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ("mo-fr", {0, 1, 2, 3, 4}),
        ("[mo, we]", {0, 2}),
        ("[mo, mi]", {0, 2}),
        ("Di, Do", {1, 3}),
        ("fr-mo", {4, 5, 6, 0}),
        ("[mo-we, so]", {0, 1, 2, 6}),
        ("su", {6}),
    ],
)
def test_days_are_german_or_english(written: str, days: set[int]) -> None:
    assert (
        schedule(f"{{days: {written}, hours: 08:00-09:00}}" if written[0] == "[" else f"days: {written}").days
        == days
    )


def test_it_is_shown_as_it_may_be_written() -> None:
    text = '{days: [mo-fr, su], hours: "08:00-12:00, 22:00-06:00", on_holidays: false, on_school_holidays: false}'
    made = Schedule(
        frozenset({0, 1, 2, 3, 4, 6}), (Span(8 * 60, 12 * 60), Span(22 * 60, 6 * 60)), False, False
    )
    assert str(made) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("days: mon-fr", '1:7: unknown day "mon"; did you mean "mo"?'),
        ("days: [mo, xx]", '1:12: unknown day "xx"; known are mo, di, mi, do, fr, sa, so, tu, we, th, su'),
        ("days: mo, fri", '1:11: unknown day "fri"; did you mean "fr"?'),
        ("days: mo-mi-fr", '1:7: expected e.g. "mo-fr", "sa" or [mo, we]'),
        ("days: []", "1:7: expected at least one day"),
        ("hours: 6-20", '1:8: expected e.g. "06:00-20:00", "22:00-06:00" or "08:00-12:00, 14:00-18:00"'),
        (
            "hours: 08:00-12:00, 14:00-25:00",
            '1:21: expected e.g. "06:00-20:00", "22:00-06:00" or "08:00-12:00, 14:00-18:00"',
        ),
        ("hours: 08:00-12:00, 11:00-13:00", "1:21: overlaps the hours before it"),
        ("hours: 08:00-08:00", "1:8: begins and ends at the same time; for all day leave `hours` out"),
        ("hour: 08:00-09:00", '1:1: unknown key "hour"; did you mean "hours"?'),
        ("days: mo\non_holidays: no", '2:14: expected true or false, got "no"'),
        (
            "on_holidays: true",
            "1:1: this is always: leave it out, or say e.g. {days: mo-fr, hours: 08:00-18:00}",
        ),
        ("mo-fr", '1:1: expected a mapping, got "mo-fr"'),
    ],
)
def test_each_mistake_is_told_with_its_place(text: str, problem: str) -> None:
    node = parse_yaml(text, "rule.yaml")
    read_schedule(node)
    assert [f"{p.line}:{p.column}: {p.message}" for p in node.source.problems] == [problem]


def test_what_is_told_outside_of_its_time_can_only_wait() -> None:
    node = parse_yaml("days: mo\noutside: drop", "rule.yaml")
    read_send(node)
    assert [str(p) for p in node.source.problems] == ['rule.yaml:2:10: unknown "drop"; expected one of wait']


def test_a_day_far_away_is_found() -> None:
    assert schedule("{days: mo, on_school_holidays: false}").next_change(
        local("2026-08-03T12:00"), BAVARIA
    ) == local("2026-09-21T00:00")
    assert date(2026, 9, 21).weekday() == 0
