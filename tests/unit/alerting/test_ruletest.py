"""Rule tests that villages write: a test that should fail fails, and says where and why."""

from __future__ import annotations

from pathlib import Path

from smartdorf.alerting.ruletest import RuleTestResult, find_rule_tests, run_rule_tests
from smartdorf.errors import Problem
from smartdorf.vocabulary import load_vocabulary

RULE = """\
groups:
  - name: waste
    rules:
      - alert: Full
        for_each: {place_type: container}
        when: fill_level_pct >= 80
        severity: warning
        notify: [bauhof]
        summary: {de: "{place}: {fill_level_pct}"}
"""
HEAD = """\
tests:
  - name: a test
    places: {Kirchplatz: {place_type: container}, Bach: {place_type: gauge}}
    readings:
      - {at: 0, of: Kirchplatz, fill_level_pct: 85}
      - {at: 1h, of: Kirchplatz, fill_level_pct: 86}
"""


def run(tmp_path: Path, tests: str, rule: str = RULE) -> tuple[list[RuleTestResult], list[Problem]]:
    (tmp_path / "waste.yaml").write_text(rule, encoding="utf-8")
    file = tmp_path / "waste.test.yaml"
    file.write_text(tests, encoding="utf-8")
    return run_rule_tests(file, load_vocabulary())


def problems(tmp_path: Path, expect: str) -> list[str]:
    (result,), broken = run(tmp_path, HEAD + expect)
    assert not broken
    return [f"{problem.line}:{problem.column}: {problem.message}" for problem in result.problems]


def test_a_test_that_is_met_has_no_problems(tmp_path: Path) -> None:
    expect = """\
    expect:
      - {at: 59m, of: Kirchplatz, alert: Full, state: pending}
      - {at: 2026-01-05T02:00, of: Kirchplatz, alert: Full, state: firing, summary: {de: "Kirchplatz: 86 %"}}
"""  # 02:00 in Germany is 01:00 UTC, one hour after the start
    assert problems(tmp_path, expect) == []


def test_what_is_not_met_is_reported_where_it_stands(tmp_path: Path) -> None:
    expect = """\
    expect:
      - {at: 1h, of: Kirchplatz, alert: Full, state: pending}
      - {at: 2h, of: Kirchplatz, alert: Full, state: firing, summary: {de: "Kirchplatz: voll"}}
      - {at: 2h, of: Bach, alert: Full, state: none}
"""
    assert problems(tmp_path, expect) == [
        "8:9: expected Full of Kirchplatz to be pending, it is firing",
        '9:71: expected the summary "Kirchplatz: voll", it says "Kirchplatz: 86 %"',
        "10:9: Full does not watch Bach",
    ]


def test_an_alert_that_nobody_expected_fails_the_test(tmp_path: Path) -> None:
    expect = "    expect:\n      - {at: 1m, of: Kirchplatz, alert: Full, state: pending}\n"
    assert problems(tmp_path, expect) == [
        "2:5: Full of Kirchplatz fired after 1:00:00, and nothing in `expect` says so"
    ]


def test_mistakes_in_a_test_are_reported_all_at_once(tmp_path: Path) -> None:
    results, broken = run(
        tmp_path,
        """\
tests:
  - name: wrong in every way
    places: {Kirchplatz: {place_type: container}, Bach: {type: gauge}}
    readings:
      - {at: soon, of: Kirchplatz, fill_level_pct: 85}
      - {at: 1h, fil_level_pct: 86}
      - {at: 1h, of: Kirchplatz, container_tilted: fallen}
      - 17
    expect:
      - {at: 1h, of: Kirchplaz, alert: Ful, state: burning}
  - name: nothing
    readings: []
    expect: []
""",
    )
    assert results == []
    assert [(problem.line, problem.column) for problem in sorted(broken)] == [
        (3, 57),
        (3, 58),
        (5, 14),
        (6, 9),
        (6, 18),
        (7, 52),
        (8, 9),
        (10, 22),
        (10, 40),
        (10, 52),
        (11, 5),
        (13, 13),
    ]


def test_rules_that_are_broken_cannot_be_tested(tmp_path: Path) -> None:
    results, broken = run(tmp_path, HEAD + "    expect: []\n", rule=RULE.replace(">= 80", ">= 800"))
    assert results == []
    assert broken[0].file == str(tmp_path / "waste.yaml")


def test_a_test_without_its_rules_says_so(tmp_path: Path) -> None:
    (tmp_path / "lonely.test.yaml").write_text(HEAD, encoding="utf-8")
    (problem,) = run_rule_tests(tmp_path / "lonely.test.yaml", load_vocabulary())[1]
    assert "lonely.yaml" in problem.message


def test_tests_are_found_by_folder_by_rule_file_and_by_name(tmp_path: Path) -> None:
    run(tmp_path, HEAD)
    expected = [tmp_path / "waste.test.yaml"]
    assert find_rule_tests(tmp_path) == expected
    assert find_rule_tests(tmp_path / "waste.yaml") == expected
    assert find_rule_tests(tmp_path / "waste.test.yaml") == expected
    assert find_rule_tests(tmp_path / "other.yaml") == []


SHORT_STAY = """\
groups:
  - name: parking
    rules:
      - alert: TooLong
        for_each: {place_type: bay}
        when: parking_occupied == occupied
        for: 2h
        active: {days: mo-fr, hours: "08:00-18:00", on_holidays: false}
        severity: warning
        notify: [bauhof]
        summary: {de: belegt}
"""
FRONLEICHNAM = """\
tests:
  - name: on Fronleichnam parking is free
    land: BY
    start: 2026-06-04T07:00
    places: {Kirchplatz: {place_type: bay}}
    readings: [{at: 0, parking_occupied: occupied}]
    expect:
      - {at: 5h, alert: TooLong, state: none}
      - {at: 2026-06-05T09:59, alert: TooLong, state: pending}
      - {at: 27h, alert: TooLong, state: firing}
  - name: and not where there is no Fronleichnam
    start: 2026-06-04T07:00
    places: {Kirchplatz: {place_type: bay}}
    readings: [{at: 0, parking_occupied: occupied}]
    expect:
      - {at: 59m, alert: TooLong, state: none}
      - {at: 1h, alert: TooLong, state: pending}
      - {at: 3h, alert: TooLong, state: firing}
"""


def test_a_test_has_a_date_and_a_land_so_that_holidays_can_be_tested(tmp_path: Path) -> None:
    results, broken = run(tmp_path, FRONLEICHNAM, SHORT_STAY)
    assert broken == []
    assert [str(problem) for result in results for problem in result.problems] == []


def test_a_land_and_a_start_that_are_none_are_reported(tmp_path: Path) -> None:
    tests = FRONLEICHNAM.replace("land: BY", "land: BYE").replace("2026-06-04T07:00", "June", 1)
    _results, broken = run(tmp_path, tests, SHORT_STAY)
    assert [f"{problem.line}:{problem.column}: {problem.message}" for problem in broken] == [
        '3:11: unknown "BYE"; did you mean "BY"?',
        "4:12: expected a local time: 2026-06-04T06:00",
    ]


LOT = """
groups:
  - name: parking
    rules:
      - alert: LotNearlyFull
        for_each: {place_type: parking_lot}
        when: zone_share(parking_occupied == occupied, place_type="parking_bay") >= 60
        severity: info
        notify: [it]
        summary: {de: "{place}: {zone_count} von {zone_known}", en: "{place}: {zone_count} of {zone_known}"}
"""
LOT_TEST = """
tests:
  - name: two of three
    places:
      Parkplatz Rathaus: {place_type: parking_lot}
      Bucht 1: {place_type: parking_bay, tags: {zone: Parkplatz Rathaus}}
      Bucht 2: {place_type: parking_bay, tags: {zone: Parkplatz Rathaus}}
      Bucht 3: {place_type: parking_bay, tags: {zone: Parkplatz Rathaus}}
    readings:
      - {at: 0, of: Bucht 1, parking_occupied: occupied}
      - {at: 1h, of: Bucht 2, parking_occupied: free}
      - {at: 2h, of: Bucht 3, parking_occupied: free}
      - {at: 3h, of: Bucht 2, parking_occupied: occupied}
    expect:
      - {at: 2h, of: Parkplatz Rathaus, alert: LotNearlyFull, state: none}
      - at: 3h
        of: Parkplatz Rathaus
        alert: LotNearlyFull
        state: firing
        summary: {de: "Parkplatz Rathaus: 2 von 3", en: "Parkplatz Rathaus: 2 of 3"}
"""


def test_a_test_may_have_a_zone_with_its_places(tmp_path: Path) -> None:
    ([result], broken) = run(tmp_path, LOT_TEST, LOT)
    assert ([str(problem) for problem in result.problems], broken) == ([], [])


def test_who_has_heard_a_reading_must_be_a_gateway_of_the_test(tmp_path: Path) -> None:
    tests = """\
tests:
  - name: a test
    places: {Kirchplatz: {place_type: container}}
    gateways: {Rathaus: {longest_pause: long}}
    readings:
      - {at: 0, by: [Rathaus, Rathuas], fill_level_pct: 85}
    expect:
      - {at: 1h, of: Kirchplatz, alert: Full, state: pending}
"""
    _results, broken = run(tmp_path, tests)
    assert [f"{problem.line}:{problem.column}: {problem.message}" for problem in broken] == [
        "4:41: expected a duration: 30m, 26h, 2d",
        '6:31: unknown "Rathuas"; did you mean "Rathaus"?',
    ]
