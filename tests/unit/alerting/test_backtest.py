"""Rules over the past: what they would have told, and what another version would have told instead."""

from __future__ import annotations

from datetime import timedelta

from smartdorf.alerting.backtest import Arrivals, Backtest, Result, Stored, compare
from smartdorf.alerting.engine import Observation
from smartdorf.config.rules import RuleSet
from smartdorf.directory import Directory, Installation
from tests.unit.alerting.village import LONG_AGO, at, make_device, make_place, make_rules, seen

DAY = 24 * 60
LEVELS = {0: 50, 60: 85, 120: 90, 180: 40, 240: 82, 300: 83, 360: 84}  # minutes → fill level

HIGHER = """
        for_each: {place_type: container}
        limits: {full: 84, emptied: 60}
        when: fill_level_pct >= full
        clear: fill_level_pct < emptied
        for: 2 readings
        summary: {de: "{place}: {fill_level_pct} voll", en: "{place}: {fill_level_pct} full"}"""


def run(
    rules: RuleSet, levels: dict[int, int], *, since: float = 0, until: float = 600, **known: object
) -> Result:
    directory = Directory.of(
        [make_place()],
        [make_device()],
        known.get("installations", [Installation(1, 1, LONG_AGO)]),  # type: ignore[arg-type]
    )
    trial = Backtest(rules, directory, {"acme/box": "waste"}, since=at(since), until=at(until))
    for minutes, level in levels.items():
        trial.see(at(minutes), [seen(minutes, fill_level_pct=level)])
    [result] = trial.results()
    return result


def spans(result: Result) -> list[tuple[float, float | None]]:
    """Begin and end of each alert, in minutes."""
    minute = timedelta(minutes=1)
    return [
        ((a.fired_at - at(0)) / minute, (a.resolved_at - at(0)) / minute if a.resolved_at else None)
        for a in result.alerts
    ]


def test_the_alerts_of_the_time_with_their_sentences():
    result = run(make_rules("Full"), LEVELS)
    assert spans(result) == [(120, 180), (300, None)]
    assert [alert.summary["de"] for alert in result.alerts] == [
        "Platz 1: 90\xa0% voll",
        "Platz 1: 83\xa0% voll",
    ]
    assert result.watched == 1
    assert [alert.lasted(at(600)) for alert in result.alerts] == [timedelta(hours=1), timedelta(hours=5)]


def test_what_began_before_the_time_is_counted_apart():
    result = run(make_rules("Full"), LEVELS, since=150)
    assert spans(result) == [(300, None)]
    assert [alert.fired_at for alert in result.already_open] == [at(120)]


def test_timers_fire_between_the_readings():
    rules = make_rules("Silent")
    directory = Directory.of([make_place()], [make_device()], [Installation(1, 1, at(0))])
    trial = Backtest(rules, directory, {"acme/box": "waste"}, since=at(0), until=at(4 * DAY))
    trial.see(at(60), [Observation(1, at(60))])
    trial.see(at(3 * DAY), [Observation(1, at(3 * DAY))])
    [result] = trial.results()
    [alert] = [alert for alert in result.alerts if alert.resolved_at is not None]
    assert alert.fired_at == at(60 + 26 * 60) + timedelta(microseconds=1)
    assert alert.resolved_at == at(3 * DAY)


def test_a_device_that_has_been_taken_down_since_was_watched_until_then():
    gone = [Installation(1, 1, LONG_AGO, at(400))]
    assert spans(run(make_rules("Full"), LEVELS, installations=gone)) == [(120, 180), (300, None)]


def test_records_come_with_the_message_that_brought_them():
    arrivals = Arrivals({1: (at(0), at(500))})
    values = ((0, "fill_level_pct", 90.0),)
    assert arrivals.of(Stored(at(100), 1, False, False, True, values)) == ()
    assert arrivals.of(Stored(at(110), 1, True, False, False, ())) == [
        Observation(1, at(110), ())
    ]  # not readable
    assert arrivals.of(Stored(at(120), 1, True, True, False, values)) == [
        Observation(1, at(100), values),
        Observation(1, at(120), values),
    ]


def test_another_version_loses_some_alerts_and_tells_others_later():
    before = [run(make_rules("Full"), LEVELS)]
    after = [run(make_rules(Full=HIGHER), LEVELS)]
    [found] = compare(before, after, at(600))
    assert (len(before[0].alerts), len(after[0].alerts)) == (2, 1)
    assert (found.same, found.shifted, found.new) == (1, [], [])
    assert [alert.fired_at for alert in found.lost] == [at(300)]


def test_an_alert_that_comes_later_is_the_same():
    slow = {0: 50, 60: 81, 120: 82, 180: 86, 240: 87}
    [found] = compare([run(make_rules("Full"), slow)], [run(make_rules(Full=HIGHER), slow)], at(600))
    [shift] = found.shifted
    assert (found.lost, found.new, shift.by) == ([], [], timedelta(hours=2))


def test_a_rule_that_is_new_has_only_new_alerts():
    [found] = compare([], [run(make_rules("Full"), LEVELS)], at(600))
    assert found.before is None
    assert len(found.new) == 2
