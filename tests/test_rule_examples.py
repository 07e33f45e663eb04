"""docs/rules-by-area.md, word for word: each rule is right, and its tests show what they say."""

import re
from pathlib import Path

import pytest

from smartdorf.alerting.ruletest import run_rule_tests
from smartdorf.config.rules import load_rules
from smartdorf.vocabulary import load_vocabulary

PAGE = Path(__file__).parents[1] / "docs" / "rules-by-area.md"
FILES = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
AREAS = sorted(name.removesuffix(".yaml") for name in FILES if not name.endswith(".test.yaml"))


def test_there_is_one_for_each_area() -> None:
    assert AREAS == ["devices", "heating", "parking", "rooms", "waste", "water"]


@pytest.mark.parametrize("area", AREAS)
def test_a_rule_of_the_page_does_what_the_page_says(area: str, tmp_path: Path) -> None:
    for name in (f"{area}.yaml", f"{area}.test.yaml"):
        (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    vocabulary = load_vocabulary()
    rules = load_rules([tmp_path / f"{area}.yaml"], vocabulary)
    assert [str(problem) for problem in rules.problems] == []
    results, broken = run_rule_tests(tmp_path / f"{area}.test.yaml", vocabulary)
    assert [str(problem) for problem in broken] == []
    assert [str(problem) for result in results for problem in result.problems] == []
    names = {rule.name for rule in rules}
    assert {name for result in results for name in result.fires} == names
    assert {name for result in results for name in result.spares} == names
