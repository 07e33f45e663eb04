"""The limits of a rule: numbers and durations with a name, and others in their place where a tag says so."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from keyword import iskeyword
from typing import NamedTuple

from smartdorf.config.durations import SECOND, parse_duration
from smartdorf.config.terms import FUNCTIONS, Limit, Slot
from smartdorf.errors import did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.rhythm import DEFAULT
from smartdorf.yaml_source import Node

_TAKEN = frozenset({"place", "device", "gateway", "stage"})  # placeholders


class TagLimits(NamedTuple):
    """What counts instead where a place or device has this tag."""

    tag: str
    value: str
    limits: Mapping[str, Limit]


def with_numbers(limits: Mapping[str, Limit], given: Mapping[str, float]) -> dict[str, Limit]:
    """With what a place or device has of its own; durations in seconds there, as plain numbers are all there is."""
    return {
        name: Limit(given[name] * (SECOND if limit.is_duration else 1), limit.is_duration)
        if name in given
        else limit
        for name, limit in limits.items()
    }


def read_limits(node: Node, known: Collection[str]) -> Mapping[str, Limit]:
    """``known``: the quantities of the vocabulary, which no limit may be called."""
    limits = {}
    for name, value in node.items():
        if not name.isidentifier() or iskeyword(name):
            node.problem_at(name, _("a limit's name has letters, digits and _ only"))
        elif name in known or name in FUNCTIONS or name in _TAKEN:
            message = _('"{name}" means something already; call it otherwise')
            node.problem_at(name, message.format(name=name))
        else:
            limits[name] = _limit(value) or Limit(0.0, False)
    return limits


def read_limits_by_tag(node: Node, limits: Mapping[str, Limit]) -> Iterator[tuple[TagLimits, Node]]:
    """``{fraction: {bio: {full: 60}}}``, and where each stands. ``limits``: those that the rule has."""
    for tag, values in node.items():
        for value, given in values.items():
            found = {}
            for name, one in given.items():
                if name not in limits:
                    message = _('the rule has no limit "{name}"').format(name=name)
                    given.problem_at(name, message + did_you_mean(name, limits))
                    continue
                limit = _limit(one)
                if limit is not None and limit.is_duration != limits[name].is_duration:
                    is_duration = limits[name].is_duration
                    expected = _("a duration (30m, 26h, 2d)") if is_duration else _("a number")
                    one.problem(_("expected {expected}, as in `limits`").format(expected=expected))
                elif limit is not None:
                    found[name] = limit
            yield TagLimits(tag, value, found), given


def _limit(node: Node) -> Limit | None:
    if node.value == "learned":
        return Limit(DEFAULT * SECOND, True, learned=True)
    if not isinstance(node.value, str):
        return Limit(node.number(0.0), False)
    duration = parse_duration(node.value)
    if duration is None:
        message = _("expected a number, a duration (30m, 26h, 2d), or: learned")
        node.problem(message + did_you_mean(node.value, ["learned"]))
        return None
    return Limit(duration, True)


def check_used(node: Node, limits: Iterable[str], slots: Iterable[Slot]) -> None:
    """Each limit stands in a condition, or says how long a window is."""
    used = {name for slot in slots for name in (slot.name if slot.kind == "limit" else "", slot.limit)}
    for name in limits:
        if name not in used:
            node.problem_at(name, _('no condition uses the limit "{name}"').format(name=name))
