"""Which rules explain others (``depends_on``): the names of one rule, and whether all of them fit together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from smartdorf.errors import did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.yaml_source import Node


class Named(NamedTuple):
    """A rule that another one depends on, and where that is said."""

    name: str
    file: str
    line: int
    column: int


def read_depends_on(node: Node) -> tuple[str, ...]:
    """The names that a rule gives; those that stand twice are noted."""
    names: dict[str, None] = {}
    for element in node["depends_on"].elements():
        name = element.text()
        if name in names:
            element.problem(_('"{name}" stands twice').format(name=name))
        if name:
            names[name] = None
    if isinstance(node["depends_on"].value, list) and not list(node["depends_on"].elements()):
        node["depends_on"].problem(_("expected at least one rule"))
    return tuple(names)


def named_by(node: Node) -> list[Named]:
    """The names that a rule gives, each with its place."""
    if not isinstance(node.value, dict) or not isinstance(node["depends_on"].value, list):
        return []
    return [
        Named(element.value, node.source.name, element.line, element.column)
        for element in node["depends_on"].elements()
        if isinstance(element.value, str) and element.value
    ]


def wrong_dependencies(
    named: Mapping[str, list[Named]], known: Collection[str]
) -> Iterator[tuple[str, Named, str]]:
    """What cannot be meant: (rule, what it names, why). ``named``: by rule; ``known``: all rules that there are.

    Two rules that wait for each other would both wait for ever.
    """
    for rule, names in named.items():
        for entry in names:
            if entry.name not in known:
                message = _('unknown rule "{name}"').format(name=entry.name)
                yield rule, entry, message + did_you_mean(entry.name, known)
            elif entry.name == rule:
                yield rule, entry, _("a rule cannot depend on itself")
            elif (way := _way(named, entry.name, rule)) is not None:
                message = _("a circle: {way}; they would wait for each other")
                yield rule, entry, message.format(way=" → ".join([rule, *way]))


def _way(named: Mapping[str, list[Named]], begin: str, end: str) -> list[str] | None:
    """From one rule to the other along what they depend on; None where there is no way."""
    ways, seen = [[begin]], {begin}
    for way in ways:
        for entry in named.get(way[-1], ()):
            if entry.name == end:
                return [*way, end]
            if entry.name not in seen:
                seen.add(entry.name)
                ways.append([*way, entry.name])
    return None
