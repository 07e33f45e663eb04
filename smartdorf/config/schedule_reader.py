"""The schedules of a rule file: ``active:`` and ``send:``, every mistake with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable

from smartdorf.config.positions import problem_in
from smartdorf.config.schedule import DAYS, MIDNIGHT, Schedule, Span
from smartdorf.errors import did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.yaml_source import Node

KEYS = ("days", "hours", "on_holidays", "on_school_holidays")
GERMAN_DAYS = ("mo", "di", "mi", "do", "fr", "sa", "so")
NUMBERS = {name: day for names in (DAYS, GERMAN_DAYS) for day, name in enumerate(names)}
_NAMES = tuple(dict.fromkeys((*GERMAN_DAYS, *DAYS)))
_SPAN = re.compile(r"(\d{1,2}):(\d\d)\s*[-–]\s*(\d{1,2}):(\d\d)", re.ASCII).fullmatch


def read_schedule(node: Node, further: Iterable[str] = ()) -> Schedule:
    """``further``: keys that the caller reads. Where something is wrong, what is noted is a problem."""
    before = len(node.source.problems)
    node.check_keys([*KEYS, *further])
    if not isinstance(node.value, dict):
        return Schedule()
    schedule = Schedule(
        _days(node["days"]),
        _hours(node["hours"]),
        node["on_holidays"].boolean(True),
        node["on_school_holidays"].boolean(True),
    )
    if schedule == Schedule() and len(node.source.problems) == before:
        node.problem(_("this is always: leave it out, or say e.g. {days: mo-fr, hours: 08:00-18:00}"))
    return schedule


def read_send(node: Node) -> Schedule:
    """When it may be told. ``outside: wait`` is all there is: nothing is thrown away."""
    schedule = read_schedule(node, ["outside"])
    node["outside"].one_of(["wait"])
    return schedule


def _days(node: Node) -> frozenset[int]:
    if node.value is None:
        return Schedule().days
    found: set[int] = set()
    for element in node.elements() if isinstance(node.value, list) else [node]:
        offset = 0
        for part in element.text().split(","):
            found |= _run(element, offset + len(part) - len(part.lstrip()), part.strip())
            offset += len(part) + 1
    if not found and node.value == []:
        node.problem(_("expected at least one day"))
    return frozenset(found)


def _run(node: Node, offset: int, text: str) -> set[int]:
    """``mo``, or ``fr-mo``: from the first to the last, over Sunday if need be."""
    numbers = []
    for name in text.split("-"):
        word = name.strip().lower()
        if word in NUMBERS:
            numbers.append(NUMBERS[word])
        elif isinstance(node.value, str):
            message = _('unknown day "{word}"').format(word=name.strip())
            hint = did_you_mean(word, _NAMES) or _("; known are {keys}").format(keys=", ".join(_NAMES))
            problem_in(node, offset, message + hint)
            return set()
    if len(numbers) > 2:
        problem_in(node, offset, _('expected e.g. "mo-fr", "sa" or [mo, we]'))
    if len(numbers) < 2:
        return set(numbers)
    first, last = numbers[0], numbers[-1]
    return {(first + step) % 7 for step in range((last - first) % 7 + 1)}


def _hours(node: Node) -> tuple[Span, ...]:
    if node.value is None:
        return Schedule().hours
    spans: list[Span] = []
    offset, text = 0, node.text()
    for part in text.split(",") if text else ():
        place = offset + len(part) - len(part.lstrip())
        offset += len(part) + 1
        match = _SPAN(part.strip())
        begin, end = (_minute(match[1], match[2]), _minute(match[3], match[4])) if match else (None, None)
        if begin is None or end is None or begin == MIDNIGHT:
            problem_in(
                node, place, _('expected e.g. "06:00-20:00", "22:00-06:00" or "08:00-12:00, 14:00-18:00"')
            )
        elif begin == end:
            problem_in(node, place, _("begins and ends at the same time; for all day leave `hours` out"))
        elif any(_overlap(Span(begin, end), span) for span in spans):
            problem_in(node, place, _("overlaps the hours before it"))
        else:
            spans.append(Span(begin, end))
    return tuple(sorted(spans))


def _minute(hours: str, minutes: str) -> int | None:
    minute = 60 * int(hours) + int(minutes)
    return minute if int(minutes) < 60 and minute <= MIDNIGHT else None


def _overlap(one: Span, other: Span) -> bool:
    """On the clock's face."""

    def minutes(span: Span) -> set[int]:
        length = (span.end - span.begin) % MIDNIGHT or MIDNIGHT
        return {(span.begin + step) % MIDNIGHT for step in range(length)}

    return bool(minutes(one) & minutes(other))
