"""Rule files that are edited: when they are read, and which version goes on."""

import os
from pathlib import Path

from smartdorf.config.rules import RuleSet, load_rules
from smartdorf.rule_watch import RuleWatch, take_over
from smartdorf.vocabulary import load_vocabulary

RULE = """\
groups:
  - name: test
    rules:
"""
ONE = """\
      - alert: {name}
        for_each: {{place_type: container}}
        when: fill_level_pct >= {level}
        severity: info
        notify: [it]
        summary: {{de: voll, en: full}}
"""


def write(folder: Path, **levels: object) -> Path:
    file = folder / "rules.yaml"
    text = RULE + "".join(ONE.format(name=name, level=level) for name, level in levels.items())
    file.write_text(text, encoding="utf-8")
    return file


def load(folder: Path) -> RuleSet:
    return load_rules([folder], load_vocabulary())


def test_files_are_read_once_they_have_stopped_changing(tmp_path: Path):
    file = write(tmp_path, A=80)
    watch = RuleWatch([tmp_path])
    assert watch.has_changed()  # an edit just before may have been missed
    assert not watch.has_changed()
    write(tmp_path, A=8)
    assert not watch.has_changed()  # somebody may be writing still
    file.write_text(file.read_text() + ONE.format(name="B", level=5))
    assert not watch.has_changed()
    assert watch.has_changed()
    assert not watch.has_changed()


def test_a_file_of_the_same_length_and_one_that_is_gone_are_changes(tmp_path: Path):
    file = write(tmp_path, A=80)
    os.utime(file, (1, 1))
    watch = RuleWatch([tmp_path, tmp_path / "absent"])
    assert watch.has_changed()
    write(tmp_path, A=81)
    assert [watch.has_changed(), watch.has_changed()] == [False, True]
    file.unlink()
    assert [watch.has_changed(), watch.has_changed()] == [False, True]


def test_tests_beside_the_rules_are_not_watched(tmp_path: Path):
    write(tmp_path, A=80)
    watch = RuleWatch([tmp_path])
    assert watch.has_changed()
    (tmp_path / "rules.test.yaml").write_text("tests: []")
    assert [watch.has_changed(), watch.has_changed()] == [False, False]


def test_what_has_changed_is_named(tmp_path: Path):
    write(tmp_path, Stays=80, Changes=80, Goes=80)
    old = load(tmp_path)
    write(tmp_path, Stays=80, Changes=70, Comes=80)
    rules, changes = take_over(old, load(tmp_path))
    assert changes == (["Comes"], ["Changes"], ["Goes"], [])
    assert sorted(rule.name for rule in rules) == ["Changes", "Comes", "Stays"]


def test_a_rule_that_goes_live_has_changed(tmp_path: Path):
    file = write(tmp_path, Stays=80, Live=80)
    old = load(tmp_path)
    head, mark, body = file.read_text().partition("alert: Live\n")
    file.write_text(head + mark + "        mode: live\n" + body)
    rules, changes = take_over(old, load(tmp_path))
    assert changes == ([], ["Live"], [], [])
    assert {rule.name: rule.mode for rule in rules} == {"Stays": "shadow", "Live": "live"}


def test_a_rule_that_is_broken_now_goes_on_as_it_was(tmp_path: Path):
    write(tmp_path, Good=80, Broken=80)
    old = load(tmp_path)
    write(tmp_path, Good=70, Broken="ful")
    rules, changes = take_over(old, load(tmp_path))
    assert changes == ([], ["Good"], [], ["Broken"])
    assert {rule.name: rule.when.text for rule in rules} == {
        "Good": "fill_level_pct >= 70",
        "Broken": "fill_level_pct >= 80",
    }
    assert len(rules.problems) == 1


def test_in_a_file_that_cannot_be_read_every_rule_goes_on(tmp_path: Path):
    write(tmp_path, One=80, Other=80)
    old = load(tmp_path)
    (tmp_path / "rules.yaml").write_text("groups: [")
    rules, changes = take_over(old, load(tmp_path))
    assert changes.kept == ["One", "Other"]
    assert len(rules) == 2
    write(tmp_path, One=80)
    rules, changes = take_over(rules, load(tmp_path))
    assert changes == ([], [], ["Other"], [])


def both(tmp_path: Path) -> tuple[Path, Path]:
    """A shipped rule and the village's own of the same name."""
    for name, level in (("shipped", 80), ("village", 70)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, Full=level)
    return tmp_path / "shipped", tmp_path / "village"


def levels(rules: RuleSet) -> dict[str, str]:
    return {rule.name: rule.when.text for rule in rules}


def test_a_villages_own_rule_that_is_broken_now_does_not_give_way_to_the_shipped_one(tmp_path: Path):
    paths = both(tmp_path)
    old = load_rules(paths, load_vocabulary())
    write(tmp_path / "village", Full="ful")
    rules, changes = take_over(old, load_rules(paths, load_vocabulary()))
    assert levels(rules) == {"Full": "fill_level_pct >= 70"}
    assert changes == ([], [], [], ["Full"])


def test_nor_does_it_where_its_file_cannot_be_read(tmp_path: Path):
    paths = both(tmp_path)
    old = load_rules(paths, load_vocabulary())
    (tmp_path / "village" / "rules.yaml").write_text("groups: [")
    rules, changes = take_over(old, load_rules(paths, load_vocabulary()))
    assert levels(rules) == {"Full": "fill_level_pct >= 70"}
    assert changes == ([], [], [], ["Full"])


def test_where_it_is_taken_away_the_shipped_one_is_in_force_again(tmp_path: Path):
    paths = both(tmp_path)
    old = load_rules(paths, load_vocabulary())
    (tmp_path / "village" / "rules.yaml").unlink()
    rules, changes = take_over(old, load_rules(paths, load_vocabulary()))
    assert levels(rules) == {"Full": "fill_level_pct >= 80"}
    assert changes == ([], ["Full"], [], [])
