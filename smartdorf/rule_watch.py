"""Rule files that somebody edits while the service runs: noticed, read, and taken over where they are right.

What is broken in the new version goes on as it was in the old one; the mistakes are told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from smartdorf.config.rule import Rule
from smartdorf.config.rules import RuleSet, rule_files

Fingerprint = frozenset[tuple[str, int, int]]


class RuleWatch:
    """Tells when the files have changed and have stopped changing: an editor, or ``git pull``, writes in steps.

    The first time it says so anyway: who loaded them before may have missed an edit.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._loaded: Fingerprint | None = None
        self._seen = self._fingerprint()

    def has_changed(self) -> bool:
        """Whether to read them now; to be asked every few seconds."""
        found, before = self._fingerprint(), self._seen
        self._seen = found
        if found == self._loaded or found != before:
            return False
        self._loaded = found
        return True

    def _fingerprint(self) -> Fingerprint:
        return frozenset(self._stats())

    def _stats(self) -> Iterator[tuple[str, int, int]]:
        for path in self._paths:
            for file in rule_files(path):
                try:
                    stat = file.stat()
                except OSError:  # gone between listing and looking
                    continue
                yield str(file), stat.st_mtime_ns, stat.st_size


class RuleChanges(NamedTuple):
    """Names of the rules that differ between two versions of the files."""

    added: list[str]
    changed: list[str]
    removed: list[str]
    kept: list[str]  # broken now: they go on as they were


def take_over(old: RuleSet, new: RuleSet) -> tuple[RuleSet, RuleChanges]:
    """The rules to go on with: the new ones, and the old ones of those that are broken, or cannot be found for it.

    A village's own rule that is broken does not give way to the shipped one of its name, as it does at a start: it was
    right a moment ago.
    """
    before = {rule.name: rule for rule in old}
    after = {rule.name: rule for rule in new}
    unread = {problem.file for problem in new.problems}

    def goes_on(rule: Rule) -> bool:
        if rule.name in new.broken:
            return True
        if rule.name not in after:
            return not new.has_gone(rule.name)
        return rule.file in unread and after[rule.name].file != rule.file

    kept = [rule.name for rule in old if goes_on(rule)]
    good = {name: rule for name, rule in after.items() if name not in kept}
    rules = replace(new, rules=(*good.values(), *(before[name] for name in kept)))
    changes = RuleChanges(
        added=sorted(good.keys() - before.keys()),
        changed=sorted(n for n in good.keys() & before.keys() if _differ(good[n], before[n])),
        removed=sorted(before.keys() - good.keys() - set(kept)),
        kept=sorted(kept),
    )
    return rules, changes


def _differ(one: Rule, other: Rule) -> bool:
    return (one.version, one.mode) != (other.version, other.mode)
