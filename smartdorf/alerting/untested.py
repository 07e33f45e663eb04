"""Which rules nobody has written a test for. Looks into the files only; runs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from smartdorf.alerting.ruletest import find_rule_tests
from smartdorf.config.rules import TEST_SUFFIX, RuleSet
from smartdorf.errors import Problem
from smartdorf.i18n import gettext as _
from smartdorf.yaml_source import read_yaml


def untested(rules: RuleSet) -> Iterator[Problem]:
    """Rules of which no test beside them expects anything."""
    files = {rule.file: _tested(Path(rule.file)) for rule in rules}
    for rule in rules:
        if rule.name not in files[rule.file]:
            message = _("{rule} has no test: say in {file} which values raise it, and which must not")
            file = Path(rule.file).stem + TEST_SUFFIX
            yield Problem(rule.file, rule.line, 1, message.format(rule=rule.name, file=file))


def _tested(file: Path) -> set[str]:
    return {
        expected["alert"].text()
        for tests in find_rule_tests(file)
        for test in read_yaml(tests)["tests"].elements()
        for expected in test["expect"].elements()
    }
