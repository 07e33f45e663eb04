"""What rules would have told, worked out by hand. Times are minutes since the beginning."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from smartdorf.alerting.backtest import Alert, Arrivals, Backtest, Comparison, Result, Stored, compare
from smartdorf.alerting.engine import AlertKey
from smartdorf.config.rules import RuleSet
from smartdorf.directory import Directory, Installation
from tests.unit.alerting.village import LONG_AGO, START, at, make_device, make_place, make_rules, seen

DAY = 24 * 60


def stored(minutes: float, *, heard: bool = True, recorded: bool = False, **values: float) -> Stored:
    found = tuple((0, name, value) for name, value in values.items())
    return Stored(at(minutes), 1, heard, heard and bool(values), recorded, found)


def run(
    rules: RuleSet,
    moments: Iterable[Stored],
    *,
    until: float = 10 * DAY,
    installations: Iterable[Installation] = (Installation(1, 1, LONG_AGO),),
) -> Result:
    """The result of the only rule, from START on."""
    directory = Directory.of([make_place()], [make_device(), make_device(2)], installations)
    trial = Backtest(rules, directory, {"acme/box": "waste"}, since=START, until=at(until))
    arrivals = Arrivals({1: (at(-7 * DAY), at(until))})
    for moment in moments:
        trial.see(moment.time, arrivals.of(moment))
    [result] = trial.results()
    return result


def spans(alerts: Iterable[Alert]) -> list[tuple[float, float | None]]:
    """Beginning and end in minutes."""
    return [
        (
            (alert.fired_at - START) / timedelta(minutes=1),
            None if alert.resolved_at is None else (alert.resolved_at - START) / timedelta(minutes=1),
        )
        for alert in alerts
    ]


def test_alerts_have_their_beginning_end_and_sentence() -> None:
    levels = {0: 85, 60: 90, 120: 70, 180: 50, 240: 81, 300: 82}
    result = run(make_rules("Full"), [stored(m, fill_level_pct=v) for m, v in levels.items()])
    assert spans(result.alerts) == [(60, 180), (300, None)]
    assert result.alerts[0].summary["en"] == "Platz 1: 90\xa0% full"
    assert result.alerts[0].lasted(at(10 * DAY)) == timedelta(hours=2)
    assert result.alerts[1].lasted(at(310)) == timedelta(minutes=10)
    assert (result.watched, list(result.already_open)) == (1, [])


def test_what_has_to_wait_says_until_when_and_whether_it_is_told_at_all() -> None:
    # START is Sunday, 13:00 in Germany; Monday 06:00 is 17 hours later
    rules = make_rules(
        Full="""
        for_each: {place_type: container}
        when: fill_level_pct >= 80
        for: 1 reading
        send: {days: mo-sa, hours: "06:00-20:00", outside: wait}
        summary: {de: voll, en: full}"""
    )
    levels = {60: 85, 120: 20, 180: 85, 18 * 60: 20, 19 * 60: 85}
    result = run(rules, [stored(m, fill_level_pct=v) for m, v in levels.items()])
    assert spans(result.alerts) == [(60, 120), (180, 18 * 60), (19 * 60, None)]
    assert [(alert.tell_at, alert.is_told) for alert in result.alerts] == [
        (at(17 * 60), False),
        (at(17 * 60), True),
        (None, True),
    ]


def test_timers_ring_between_two_messages_when_they_are_due() -> None:
    moments = [stored(0, container_tilted=1), stored(5 * 60, container_tilted=0)]
    assert spans(run(make_rules("Tilted"), moments).alerts) == [(30, 300)]


def test_silence_is_told_when_it_is_too_long_and_not_when_the_next_message_comes() -> None:
    moments = [stored(0), stored(3 * DAY)]
    [first, second] = run(make_rules("PlaceSilent"), moments, until=3 * DAY + 200).alerts
    assert spans([first, second]) == [(150, 3 * DAY), (3 * DAY + 150, None)]


def test_what_was_there_before_is_not_counted_but_known() -> None:
    moments = [stored(m, fill_level_pct=v) for m, v in {-120: 85, -60: 90, 60: 20, 120: 85, 180: 86}.items()]
    result = run(make_rules("Full"), moments)
    assert spans(result.already_open) == [(-60, 60)]
    assert spans(result.alerts) == [(180, None)]


def test_a_timer_that_ran_already_when_the_time_began_is_not_started_anew() -> None:
    moments = [stored(-10, container_tilted=1), stored(60, container_tilted=0)]
    assert spans(run(make_rules("Tilted"), moments).alerts) == [(20, 60)]


def test_records_come_in_with_the_next_message_that_could_be_read() -> None:
    arrivals = Arrivals({1: (at(0), at(300))})
    assert arrivals.of(stored(60, heard=False, recorded=True, fill_level_pct=85)) == ()
    assert arrivals.of(stored(75, heard=False, recorded=True, fill_level_pct=86)) == ()
    assert arrivals.of(stored(80)) == [seen(80)]  # brought nothing
    assert list(arrivals.of(stored(90, fill_level_pct=40))) == [
        seen(60, fill_level_pct=85),
        seen(75, fill_level_pct=86),
        seen(90, fill_level_pct=40),
    ]


def test_records_whose_message_is_not_stored_come_in_at_their_own_time() -> None:
    record = stored(60, heard=False, recorded=True, fill_level_pct=85)
    for heard in ({}, {1: (at(100), at(200))}, {1: (at(0), at(50))}):
        assert list(Arrivals(heard).of(record)) == [seen(60, fill_level_pct=85)]


def test_a_sensor_that_was_taken_down_is_watched_until_then() -> None:
    taken_down = [Installation(1, 1, LONG_AGO, at(2 * DAY)), Installation(2, 1, at(2 * DAY))]
    result = run(make_rules("Silent"), [stored(0)], until=2 * DAY + 60, installations=taken_down)
    assert result.watched == 2
    assert spans(result.alerts) == [(26 * 60 + 1e-6 / 60, 2 * DAY)]


# -- comparing --------------------------------------------------------------------------------------------------------


def alerts(*times: tuple[float, float | None], place: int = 1) -> list[Alert]:
    key = AlertKey("Full", "place", place)
    return [Alert(key, at(a), {"de": "", "en": ""}, None if b is None else at(b)) for a, b in times]


def compared(before: list[Alert], after: list[Alert], earlier: tuple[Alert, ...] = ()) -> Comparison:
    [rule] = make_rules("Full")
    old, new = Result(rule, 1, before, ()), Result(rule, 1, after, earlier)
    [comparison] = compare([old], [new], at(1000))
    return comparison


def test_the_same_alerts_are_the_same() -> None:
    found = compared(alerts((0, 10), (20, None)), alerts((0, 15), (20, None)))
    assert (found.same, found.shifted, found.lost, found.new) == (2, [], [], [])


def test_lost_new_earlier_and_later() -> None:
    found = compared(
        alerts((0, 10), (20, 30), (50, 90), (100, 200)), alerts((22, 30), (45, 90), (95, 99), (100, 200))
    )
    assert (spans(found.lost), spans(found.new), found.same) == ([(0, 10)], [(95, 99)], 1)
    assert [shift.by for shift in found.shifted] == [timedelta(minutes=2), timedelta(minutes=-5)]


def test_three_short_alerts_that_become_one_long_are_not_lost() -> None:
    found = compared(alerts((0, 10), (20, 30), (40, 50)), alerts((0, 50)))
    assert (found.same, found.joined, found.lost, found.split) == (1, 2, [], 0)
    found = compared(alerts((0, 50)), alerts((0, 10), (20, 30), (40, 50)))
    assert (found.same, found.split, found.new, found.joined) == (1, 2, [], 0)


def test_alerts_at_different_places_are_different() -> None:
    found = compared(alerts((0, 10)), alerts((0, 10), place=2))
    assert (len(found.lost), len(found.new), found.same) == (1, 1, 0)


def test_an_alert_that_the_new_rule_has_told_before_the_time_began_is_not_lost() -> None:
    found = compared(alerts((5, 10)), [], earlier=tuple(alerts((-30, 10))))
    assert (found.lost, found.joined) == ([], 1)


def test_a_rule_that_only_one_of_both_has() -> None:
    [rule] = make_rules("Full")
    [gone] = compare([Result(rule, 1, alerts((0, 10)), ())], [], at(1000))
    assert (gone.after, spans(gone.lost)) == (None, [(0, 10)])
    [added] = compare([], [Result(rule, 1, alerts((0, 10)), ())], at(1000))
    assert (added.before, spans(added.new)) == (None, [(0, 10)])


def test_a_zone_is_tried_with_the_data_of_its_places() -> None:
    rules = make_rules(
        YardFull="""
        for_each: {place_type: yard}
        when: zone_count(fill_level_pct >= 80) == 2
        for: 30m
        summary: {de: "{place}", en: "{place}"}"""
    )
    places = [make_place(9, slug="hof", place_type="yard")]
    places += [make_place(n, tags={"zone": "hof"}) for n in (1, 2)]
    installations = [Installation(n, n, LONG_AGO) for n in (1, 2)]
    directory = Directory.of(places, [make_device(1), make_device(2)], installations)
    trial = Backtest(rules, directory, {"acme/box": "waste"}, since=START, until=at(DAY))
    assert (trial.devices, trial.quantities) == ({1, 2}, {"fill_level_pct"})
    for minutes, device, level in ((0, 1, 90.0), (10, 2, 85.0), (60, 1, 90.0), (100, 2, 20.0)):
        trial.see(at(minutes), [seen(minutes, device, fill_level_pct=level)])
    [result] = trial.results()
    assert (result.watched, spans(result.alerts)) == (1, [(40, 100)])
