"""Rule files. Each tests/data/rules/*.bad.yaml begins with the problems and notes that it must give."""

from __future__ import annotations

import ast
import re
from datetime import timedelta
from pathlib import Path

import pytest

import smartdorf.config
from smartdorf.config.rule import ForEach, Hold, Timing
from smartdorf.config.rules import RuleSet, load_rules
from smartdorf.vocabulary import load_vocabulary

DATA = Path(__file__).parents[2] / "data" / "rules"
FULL = """\
groups:
  - name: waste
    rules:
      - alert: {name}
        title: {{de: Voll, en: Full}}
        for_each: {{place_type: container}}
        limits: {{full: {full}}}
        when: {when}
        severity: warning
        notify: [bauhof]
        summary: {summary}
"""


def write(path: Path, **overrides: object) -> Path:
    values = {
        "name": "Full",
        "full": 80,
        "when": "fill_level_pct >= full",
        "summary": "{de: voll, en: full}",
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(FULL.format(**{**values, **overrides}), encoding="utf-8")
    return path


def load(*paths: Path, **options: object) -> RuleSet:
    return load_rules(paths, load_vocabulary(), **options)  # type: ignore[arg-type]  # options are passed on


@pytest.mark.parametrize("path", sorted(DATA.glob("*.bad.yaml")), ids=lambda path: path.name)
def test_every_mistake_is_reported_with_its_place_and_advice(path: Path) -> None:
    expected = re.findall(r"^# (\d+:\d+: .*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    rules = load(path, receivers=["bauhof", "it"], categories=["waste", "water"])
    got = [
        f"{problem.line}:{problem.column}: {problem.message}" for problem in (*rules.problems, *rules.notes)
    ]
    assert [text.replace(str(path), path.name) for text in got] == expected
    assert {problem.file for problem in rules.problems} == {str(path)}


def test_every_keyword_is_understood() -> None:
    rules = load(DATA / "everything.good.yaml", receivers=["bauhof", "it"], categories=["waste"])
    assert not rules.problems
    assert not rules.notes
    full, silent, occupied, wet, flood, lot, deaf, missing = rules
    assert full.for_each == ForEach("place", ("container", "tank"), tags={"fraction": "glass", "floor": "2"})
    at = {"fraction": "glass", "floor": "2"}
    assert {name: limit.value for name, limit in full.limits_at(at).items()} == {
        "full": 90,
        "emptied": 60,
        "quiet": 2 * 86_400_000_000,
    }
    assert full.limits_at({"fraction": "textile"}) == full.limits
    assert full.hold == Hold(2, timedelta(minutes=30))
    assert (full.severities, full.notify) == (("warning",), ("bauhof", "it"))
    assert [(s.name["en"], s.severity, s.notify) for s in flood.stages] == [
        ("Stage 1", "warning", ("bauhof",)),
        ("Stage 2", "critical", ("bauhof", "it")),
    ]
    assert flood.timing == Timing(Hold(2), timedelta(hours=2), by_hand=True)
    assert full.action == {"de": "Leeren.", "en": "Empty it."}
    assert silent.for_each == ForEach("device", (), "waste", "acme/box", {"owner": "village"})
    assert silent.title == {"de": "Silent", "en": "Silent"}
    assert occupied.hold == Hold(0, timedelta(minutes=90))
    assert wet.hold == Hold(1)
    assert full.labels == {"team": "nord", "route": "7"}
    assert (set(lot.limits), set(lot.quantities)) == ({"crowded", "fresh"}, {"parking_occupied"})
    assert (deaf.for_each, missing.depends_on) == (ForEach("gateway"), ("Deaf",))


@pytest.mark.parametrize(
    ("when", "readings"),
    [
        ("fill_level_pct >= full", 2),  # measured regularly: one bad echo must not wake anybody
        ("container_tilted or fill_level_pct >= full", 2),
        ("container_tilted and full < 90 + battery_low", 0),  # states are told once
        ("silent_for() > '1h' and full < 90 + battery_low", 0),
        ("fill_level_pct >= full and age(battery_v) > '1h'", 0),  # a timer would wait for readings in vain
    ],
)
def test_without_for_measured_values_need_two_readings_and_states_none(
    tmp_path: Path, when: str, readings: int
) -> None:
    (rule,) = load(write(tmp_path / "a.yaml", when=when))
    assert rule.hold == Hold(readings)


def test_a_villages_own_rule_replaces_the_shipped_one_of_that_name(tmp_path: Path) -> None:
    write(tmp_path / "shipped" / "waste.yaml", full=80)
    write(tmp_path / "village" / "other_name.yaml", full=70)
    (rule,) = load(tmp_path / "shipped", tmp_path / "village")
    assert rule.limits["full"].value == 70


def test_while_the_villages_own_rule_is_broken_the_shipped_one_works(tmp_path: Path) -> None:
    write(tmp_path / "shipped" / "waste.yaml", full=80)
    write(tmp_path / "village" / "waste.yaml", when="fil_level_pct >= full")
    rules = load(tmp_path / "shipped", tmp_path / "village")
    assert [rule.limits["full"].value for rule in rules] == [80]
    assert len(rules.problems) == 1


def test_a_broken_file_does_not_stop_the_others(tmp_path: Path) -> None:
    write(tmp_path / "good.yaml", name="Good")
    (tmp_path / "no_utf8.yaml").write_bytes(b"\xff\xfe\x00")
    write(tmp_path / "broken.yaml", name="Broken", when="full")
    rules = load(tmp_path)
    assert [rule.name for rule in rules] == ["Good"]
    assert [Path(problem.file).name for problem in rules.problems] == ["broken.yaml", "no_utf8.yaml"]


def test_a_rule_has_gone_only_when_it_is_certain_that_nobody_has_it(tmp_path: Path) -> None:
    write(tmp_path / "good.yaml", name="Good")
    write(tmp_path / "broken.yaml", name="Broken", when="full")
    rules = load(tmp_path)
    assert [name for name in ("Good", "Broken", "Gone") if rules.has_gone(name)] == ["Gone"]


@pytest.mark.parametrize(
    "text",
    [
        "groups: [",
        "group:\n  - {name: waste, rules: [{alert: Gone}]}",
        "groups:\n  name: waste\n  rules: [{alert: Gone}]",
        "groups:\n  - name: waste\n    rule: [{alert: Gone}]",
        "groups:\n  - name: waste\n    rules: {alert: Gone}",
        "groups:\n  - name: waste\n    rules: [{alert: Good}]\n    rules: [{alert: Gone}]",
        "groups:\n  - name: waste\n    rules:\n      - alert: Good\n        alert: Gone",  # the dash was forgotten
        "groups:\n  - name: waste\n    rules:\n      - alert:\n        for: 30m",
    ],
)
def test_a_mistake_around_a_rule_does_not_count_as_its_removal(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.yaml").write_text(text, encoding="utf-8")
    rules = load(tmp_path)
    assert rules.problems
    assert not rules.has_gone("Gone")


def test_a_receiver_that_stands_twice_is_told_once(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml")
    file.write_text(
        file.read_text(encoding="utf-8").replace("[bauhof]", "[bauhof, it, bauhof]"), encoding="utf-8"
    )
    (rule,) = (rules := load(tmp_path))
    assert rule.notify == ("bauhof", "it")
    assert [f"{problem.line}:{problem.column}" for problem in rules.problems] == ["10:30"]


def test_the_same_name_in_two_files_of_one_folder_names_both(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml")
    write(tmp_path / "b.yaml", full=90)
    rules = load(tmp_path)
    (problem,) = rules.problems
    assert problem.file == str(tmp_path / "b.yaml")
    assert f"{tmp_path / 'a.yaml'}:4" in problem.message


def test_a_missing_english_text_is_a_note_for_the_village_and_a_mistake_in_what_ships(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", summary="{de: voll}")
    own = load(tmp_path)
    assert [rule.name for rule in own] == ["Full"]
    assert not own.problems
    assert [(note.line, note.column) for note in own.notes] == [(11, 9)]
    shipped = load(tmp_path, bilingual=tmp_path)
    assert [problem.line for problem in shipped.problems] == [11]


def test_an_unknown_receiver_is_a_problem_but_the_rule_works(tmp_path: Path) -> None:
    rules = load(write(tmp_path / "a.yaml"), receivers=["it"])
    assert [rule.name for rule in rules] == ["Full"]
    assert len(rules.problems) == 1


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    rules = load(tmp_path / "nowhere")
    assert [problem.file for problem in rules.problems] == [str(tmp_path / "nowhere")]
    assert not rules.complete


def test_the_version_follows_the_meaning_and_not_the_layout(tmp_path: Path) -> None:
    (first,) = load(write(tmp_path / "a.yaml"))
    (same,) = load(write(tmp_path / "a.yaml", when="'fill_level_pct >= full'  # a comment"))
    (other,) = load(write(tmp_path / "a.yaml", full=81))
    assert first.version == same.version
    assert first.version != other.version


@pytest.mark.parametrize(
    ("when", "line", "column"),
    [
        ("fill_level_pct > 3 and fulll > 3", 8, 38),
        ("'fill_level_pct > 3 and fulll > 3'", 8, 39),
        ("|\n          fill_level_pct > 3\n          and fulll > 3", 10, 15),
        (">-\n          fill_level_pct > 3\n\n          and fulll > 3", 11, 15),
        ("fill_level_pct > 3\n          and fulll > 3", 9, 15),
        ('"fill_level_pct > 3 \\\n          and fulll > 3"', 8, 15),  # escapes: the begin of the text
    ],
)
def test_a_mistake_is_found_in_every_way_of_writing_a_text(
    tmp_path: Path, when: str, line: int, column: int
) -> None:
    (problem,) = load(write(tmp_path / "a.yaml", when=when)).problems
    assert 'unknown name "fulll"' in problem.message
    assert (problem.line, problem.column) == (line, column)


READERS = (
    "rule_reader",
    "rule",
    "rules",
    "conditions",
    "calls",
    "zone_calls",
    "dependencies",
    "terms",
    "expressions",
    "schedule_reader",
)


def test_every_advice_of_the_loader_is_shown_by_a_file_that_needs_it() -> None:
    """What nobody has provoked nobody has read."""
    shown = "\n".join(path.read_text(encoding="utf-8") for path in DATA.glob("*.bad.yaml"))
    missing = []
    for name in READERS:
        source = (Path(smartdorf.config.__file__).parent / f"{name}.py").read_text(encoding="utf-8")
        for text in re.findall(r'\b_\(\s*(".*?"|\'.*?\')\s*\)', source):
            advice = ast.literal_eval(text)
            parts = re.split(r"\{[^{}]*\}", advice.replace("{{", "\x01").replace("}}", "\x02"))
            parts = [part.replace("\x01", "{").replace("\x02", "}") for part in parts]
            if not advice.startswith("; ") and not all(part in shown for part in parts):
                missing.append(f"{name}: {advice}")
    assert missing == []


DEPENDING = """groups:
  - name: health
    rules:
      - alert: Silent
        for_each: {device: any}
        when: silent_for() > "26h"
        depends_on: [%s]
        severity: info
        notify: [it]
        summary: {de: a, en: a}
"""


def test_a_single_file_may_depend_on_what_ships_and_on_what_stands_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "health.yaml"
    file.write_text(DEPENDING % "GatewayDown, Full", encoding="utf-8")
    assert [problem.message for problem in load(file).problems] == [
        'group "health", rule 1 "Silent": unknown rule "Full"'
    ]
    write(tmp_path / "waste.yaml")
    assert load(file).problems == ()


def test_a_rule_with_an_unknown_name_works_without_it(tmp_path: Path) -> None:
    file = tmp_path / "health.yaml"
    file.write_text(DEPENDING % "GatewayDwon, GatewayDown", encoding="utf-8")
    rules = load(file)
    assert [rule.depends_on for rule in rules] == [("GatewayDown",)]
    assert (len(rules.problems), rules.broken) == (1, frozenset())
