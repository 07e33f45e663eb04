"""Rule files: YAML that a village wrote → rules, with every mistake and its place.

Reads the files of several folders; a rule of a later folder replaces one of the same name. Knows nothing of
devices, places and alerts: ``alerting/`` gives the rules their life.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from smartdorf.config.calendar import Calendar, school_note
from smartdorf.config.dependencies import Named, named_by, wrong_dependencies
from smartdorf.config.rule import Mode, Rule
from smartdorf.config.rule_reader import RuleReader
from smartdorf.content import shipped
from smartdorf.errors import Problem
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import Vocabulary
from smartdorf.yaml_source import Node, read_yaml

TEST_SUFFIX = ".test.yaml"


@dataclass(frozen=True)
class RuleSet(Collection[Rule]):
    """The rules that work, and what is wrong with those that do not.

    ``problems`` are mistakes, ``notes`` advice. ``broken`` names the rules that exist and do not work;
    ``complete`` is False where not even their names could be read.
    """

    rules: tuple[Rule, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    broken: frozenset[str] = frozenset()
    complete: bool = True

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def __contains__(self, rule: object) -> bool:
        return rule in self.rules

    def has_gone(self, name: str) -> bool:
        """Nobody has a rule of this name any more: it is not just broken."""
        return self.complete and name not in self.broken and all(rule.name != name for rule in self.rules)


def rule_files(path: Path) -> list[Path]:
    """The rule files of a folder, without their tests; or the file itself."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*.yaml") if not file.name.endswith(TEST_SUFFIX))


def load_rules(
    paths: Iterable[Path],
    vocabulary: Vocabulary,
    *,
    receivers: Collection[str] | None = None,
    categories: Collection[str] | None = None,
    bilingual: Path | None = None,
    modes: Mapping[str, Mode] | None = None,
) -> RuleSet:
    """Read all rule files. A broken rule is left out and reported; the others work.

    ``receivers`` and ``categories``, where given, are all that a rule may name. Rules below ``bilingual`` (by
    default those that ship with smartdorf) must have their texts in both languages. ``modes``: by the rule's name,
    what counts instead of its own.
    """
    modes = modes or {}
    bilingual = bilingual or shipped("rules")
    paths = list(paths)
    loader = _Loader()
    for path in paths:
        reader = RuleReader(vocabulary, receivers, categories, both_languages=path == bilingual)
        loader.add(path, reader)
    loader.check_dependencies(paths)
    return RuleSet(
        tuple(replace(rule, mode=modes.get(rule.name, rule.mode)) for rule in loader.rules.values()),
        tuple(sorted(loader.problems)),
        tuple(sorted(loader.notes)),
        frozenset(loader.broken),
        loader.complete,
    )


def school_notes(rules: Iterable[Rule], calendar: Calendar, today: date) -> Iterator[Problem]:
    """Rules that leave school holidays out where these are not, or not for long, known."""
    for rule in rules:
        if any(schedule and not schedule.on_school_holidays for schedule in (rule.active, rule.send)):
            message = school_note(calendar, today)
            if message is not None:
                yield Problem(rule.file, rule.line, 1, f"{rule.name}: {message}")


class _Loader:
    """What was read so far, over all paths."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self.broken: set[str] = set()
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self.complete = True
        self.depends_on: dict[str, tuple[str, list[Named]]] = {}  # by rule: where it stands, and its names

    def add(self, path: Path, reader: RuleReader) -> None:
        first: dict[str, str] = {}  # where each name of this path stands
        for file in rule_files(path):
            root = read_yaml(file)
            in_rules = 0
            if root.value is not None:
                root.check_keys(["groups"], ["groups"])
                for group, index, node in _rule_nodes(root):
                    in_rules += self._add_rule(first, reader, group, index, node)
            # what is wrong around the rules (no YAML, "rule:", a key that stands twice) may hide some of them
            self.complete = self.complete and len(root.source.problems) == in_rules
            self.problems += root.source.problems
        self.notes += reader.notes

    def _add_rule(self, first: dict[str, str], reader: RuleReader, group: str, index: int, node: Node) -> int:
        """Returns the number of problems that are the rule's own."""
        source, before = node.source, len(node.source.problems)
        given = node["alert"].value
        name = given if isinstance(given, str) else ""
        if name in first:
            message = _("a rule of this name stands already in {place}").format(place=first[name])
            node["alert"].problem(message)
        elif name:
            first[name] = f"{source.name}:{node.line}"
        notes = len(reader.notes)
        rule = reader.read(group, node)
        where = _('group "{group}", rule {index}').format(group=group, index=index)
        where += f' "{name}": ' if name else ": "
        found = source.problems[before:]
        source.problems[before:] = _prefixed(where, found)
        reader.notes[notes:] = _prefixed(where, reader.notes[notes:])
        fatal = len(found) > reader.tolerated
        if not name:
            self.complete = False
        elif rule is None or fatal:
            self.broken.add(name)
        else:
            self.rules[name] = rule
        if name:
            self.depends_on[name] = where, named_by(node)
        return len(found)

    def check_dependencies(self, paths: Collection[Path]) -> None:
        """Once all rules are known. A rule with a name that cannot be goes on without it."""
        named = {name: names for name, (_where, names) in self.depends_on.items()}
        known = {*self.rules, *self.broken}
        if any(entry.name not in known for names in named.values() for entry in names):
            known.update(_names_around(paths))
        for name, entry, message in wrong_dependencies(named, known):
            where = self.depends_on[name][0]
            self.problems.append(Problem(entry.file, entry.line, entry.column, where + message))
            if (rule := self.rules.get(name)) is not None:
                kept = tuple(other for other in rule.depends_on if other != entry.name)
                self.rules[name] = replace(rule, depends_on=kept)


def _names_around(paths: Iterable[Path]) -> Iterator[str]:
    """Rules that ship, and those that stand beside a single file: it may depend on them."""
    for folder in {shipped("rules"), *(path.parent for path in paths if path.is_file())}:
        for file in rule_files(folder):
            for _group, _index, node in _rule_nodes(read_yaml(file)):
                if isinstance(name := node["alert"].value, str):
                    yield name


def _prefixed(where: str, problems: Iterable[Problem]) -> list[Problem]:
    return [Problem(p.file, p.line, p.column, where + p.message) for p in problems]


def _rule_nodes(root: Node) -> Iterator[tuple[str, int, Node]]:
    for group in root["groups"].elements():
        group.check_keys(["name", "rules"], ["name", "rules"])
        for index, node in enumerate(group["rules"].elements(), 1):
            yield group["name"].text(), index, node
