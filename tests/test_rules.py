"""All rules that ship, and the commands for rules."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from smartdorf.alerting.ruletest import RuleTestResult, find_rule_tests, run_rule_tests
from smartdorf.cli.rules import app
from smartdorf.config.rules import RuleSet, load_rules
from smartdorf.content import shipped
from smartdorf.errors import UsageError
from smartdorf.vocabulary import load_vocabulary

RECEIVERS = ("bauhof", "wasserwerk", "ordnungsamt", "it")
CATEGORIES = ("parking", "waste", "water", "environment", "heating", "energy", "counting", "tracking")


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules([shipped("rules")], load_vocabulary(), receivers=RECEIVERS, categories=CATEGORIES)


@pytest.fixture(scope="module")
def results() -> list[RuleTestResult]:
    found: list[RuleTestResult] = []
    for file in find_rule_tests(shipped("rules")):
        tests, problems = run_rule_tests(file, load_vocabulary())
        assert not problems
        found += tests
    return found


def test_all_shipped_rules_are_right_in_both_languages(rules: RuleSet) -> None:
    assert not rules.problems
    assert not rules.notes
    assert len(rules) >= 13
    for rule in rules:
        for texts in (rule.title, rule.summary, rule.action):
            assert set(texts) == {"de", "en"}, rule.name


def test_all_rule_tests_pass(results: list[RuleTestResult]) -> None:
    assert [str(problem) for result in results for problem in result.problems] == []


def test_every_shipped_rule_has_a_test_that_fires_and_one_that_must_not(
    rules: RuleSet, results: list[RuleTestResult]
) -> None:
    names = {rule.name for rule in rules}
    assert {name for result in results for name in result.fires} == names
    assert {name for result in results for name in result.spares} == names


def test_every_shipped_rule_has_a_test_with_missing_data(
    rules: RuleSet, results: list[RuleTestResult]
) -> None:
    assert {name for result in results for name in result.unheard} == {rule.name for rule in rules}


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str | Path) -> Result:
    monkeypatch.chdir(folder)  # where no smartdorf.toml stands
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_check_says_how_many_rules_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = run(monkeypatch, tmp_path, "check")
    assert result.exit_code == 0
    assert re.search(r"^\d+ rules work$", result.output, re.MULTILINE)


def test_check_reports_every_mistake_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bad = Path(__file__).parent / "data" / "rules" / "unknown_names.bad.yaml"
    result = run(monkeypatch, tmp_path, "check", bad)
    assert result.exit_code == 1
    assert f'{bad}:11:15: group "waste", rule 1 "Full": unknown name "fil_level_pct"' in result.output
    result = run(monkeypatch, tmp_path, "check", bad, "--json")
    assert result.exit_code == 1
    document = json.loads(result.output)
    assert document["problems"][0]["line"] == 11
    assert document["rules"] == 0


@pytest.mark.parametrize("command", ["check", "test", "list"])
def test_a_path_that_is_not_there_is_misuse(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    result = run(monkeypatch, tmp_path, command, tmp_path / "nowhere")
    assert isinstance(result.exception, UsageError)  # the console script says so and exits with 2
    assert str(tmp_path / "nowhere") in str(result.exception)


def test_a_folder_without_tests_is_misuse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert isinstance(run(monkeypatch, tmp_path, "test", tmp_path).exception, UsageError)


def test_the_test_command_fails_with_the_failing_test(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = run(monkeypatch, tmp_path, "test")
    assert result.exit_code == 0
    assert re.search(r"^(\d+) of \1 tests passed$", result.output, re.MULTILINE)
    for name in ("waste.yaml", "waste.test.yaml"):
        text = (shipped("rules") / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("full: 80", "full: 90"), encoding="utf-8")
    result = run(monkeypatch, tmp_path, "test", tmp_path)
    assert result.exit_code == 1
    assert "expected ContainerFull of Glas Kirchplatz to be firing, it is none" in result.output
    tests = json.loads(run(monkeypatch, tmp_path, "test", tmp_path, "--json").output)["tests"]
    assert [test["passed"] for test in tests].count(False) == 2


def test_list_names_every_rule_with_what_it_watches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = run(monkeypatch, tmp_path, "list")
    assert result.exit_code == 0
    assert "ContainerFull" in result.output
    listed = {rule["name"]: rule for rule in json.loads(run(monkeypatch, tmp_path, "list", "--json").output)}
    assert listed["DeviceSilent"]["limits"] == {"quiet": "learned"}
    assert listed["ContainerFull"]["readings"] == 2
    assert listed["BayOccupiedTooLong"]["duration"] == 86400


SCHOOL_DAYS = """\
groups:
  - name: parking
    rules:
      - alert: AtTheSchool
        for_each: {place_type: bay}
        when: parking_occupied == occupied
        active: {days: mo-fr, hours: 07:00-08:30, on_school_holidays: false}
        send: {days: mo-fr, hours: 06:00-20:00}
        severity: critical
        notify: [it]
        summary: {de: belegt, en: occupied}
"""


def test_check_says_that_critical_alerts_wait_and_whose_school_holidays_are_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "school.yaml").write_text(SCHOOL_DAYS, encoding="utf-8")
    result = run(monkeypatch, tmp_path, "check", "school.yaml")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        '· school.yaml:8:9: group "parking", rule 1 "AtTheSchool": critical alerts wait, too, outside of '
        "{days: mo-fr, hours: 06:00-20:00}",
        "· school.yaml:4:1: AtTheSchool: no school holidays are known: set [village] land in smartdorf.toml; "
        "no day counts as one",
        "· school.yaml:4:1: AtTheSchool has no test: say in school.test.yaml which values raise it, and which must not",
        "1 rule works",
    ]
    [listed] = json.loads(run(monkeypatch, tmp_path, "list", "school.yaml", "--json").output)
    assert listed["active"] == "{days: mo-fr, hours: 07:00-08:30, on_school_holidays: false}"
    assert listed["send"] == "{days: mo-fr, hours: 06:00-20:00}"


def test_the_settings_say_which_receivers_there_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "smartdorf.toml").write_text(
        '[database]\ndsn = "postgresql://x@127.0.0.1/x"\n'
        '[[mqtt]]\nname = "a"\nhost = "127.0.0.1"\nclient_id = "a"\n'
        '[receivers.bauhof]\ntype = "log"\n',
        encoding="utf-8",
    )
    result = run(monkeypatch, tmp_path, "check")
    assert result.exit_code == 1
    assert 'unknown receiver "wasserwerk"' in result.output


def test_check_names_rules_without_a_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = (shipped("rules") / "heating.yaml").read_text(encoding="utf-8")
    (tmp_path / "heating.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "heating.test.yaml").write_text(
        "tests:\n  - name: one\n    places: {Schule: {place_type: heating_circuit}}\n"
        "    readings: [{at: 0, return_temperature_c: 40}]\n"
        "    expect: [{at: 1h, alert: ReturnTooWarm, state: none}]\n",
        encoding="utf-8",
    )
    result = run(monkeypatch, tmp_path, "check", tmp_path)
    assert result.exit_code == 0
    assert "ReturnTooWarm has no test" not in result.output
    for name in ("SpreadTooSmall", "HeatingAtNight"):
        advice = f"{name} has no test: say in heating.test.yaml which values raise it, and which must not"
        assert advice in " ".join(result.output.split())
