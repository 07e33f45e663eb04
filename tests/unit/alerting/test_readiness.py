"""When a rule on trial is ready to tell people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from smartdorf.alerting.readiness import Evidence, precision, shortfalls
from smartdorf.db.trials import Judged

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MONTH = timedelta(days=28)


def missing(found: Judged, days: float = 20, watched: int = 4, silent: int = 1) -> list[str]:
    return shortfalls(Evidence(NOW - timedelta(days=days), found, MONTH, watched, silent), NOW)


def test_three_true_alerts_in_two_weeks_are_enough() -> None:
    assert missing(Judged(alerts=3, true=3), days=14) == []
    assert missing(Judged(alerts=3, true=2, drill=1), days=14) == []


def test_thirteen_days_are_not() -> None:
    assert missing(Judged(alerts=3, true=3), days=13.9) == ["13 days on trial, 14 are wanted."]


def test_two_judged_alerts_are_too_few_and_none_in_four_weeks_is_enough() -> None:
    assert missing(Judged(alerts=2, true=2)) == ["2 alerts judged; wanted are 3, or none at all in 28 days."]
    assert missing(Judged(), days=27) == ["0 alerts judged; wanted are 3, or none at all in 28 days."]
    assert missing(Judged(), days=28) == []


def test_one_false_one_of_ten_may_be() -> None:
    assert missing(Judged(alerts=10, true=9, false=1)) == []
    assert missing(Judged(alerts=9, true=8, false=1)) == [
        "1 of 9 judged alerts were false; at most one of ten may be."
    ]


def test_nothing_waits_for_a_verdict_for_more_than_a_week() -> None:
    found = Judged(alerts=4, true=3, oldest_unjudged=NOW - timedelta(days=7))
    assert missing(found) == []
    assert missing(found._replace(oldest_unjudged=NOW - timedelta(days=9))) == [
        "An alert has waited for a verdict for 9 days: `smartdorf alerts list --all --since 4w`."
    ]


def test_where_nothing_is_heard_quiet_proves_nothing() -> None:
    assert missing(Judged(), days=40, watched=2, silent=2) == ["All its sensors are silent."]
    assert missing(Judged(), days=40, watched=0, silent=0) == ["It watches no sensor."]
    evidence = Evidence(None, Judged(), MONTH, 1, 0)
    assert shortfalls(evidence, NOW) == ["The service has not run with it yet."]


def test_exercises_are_neither_true_nor_false() -> None:
    assert precision(Judged(alerts=5, true=3, false=1, drill=1)) == 0.75
    assert precision(Judged(alerts=1, drill=1)) is None
