"""What a rule is: the values that a rule file gives, checked and compiled. Knows no file and no device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Literal, NamedTuple

from smartdorf.config.durations import SECOND
from smartdorf.config.terms import Condition, Limit, Slot, Threshold, implausible
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import Quantity

Severity = Literal["info", "warning", "critical"]
SEVERITIES = ("info", "warning", "critical")
SubjectKind = Literal["place", "device"]


class Hold(NamedTuple):
    """How long a condition must hold before anybody is told: readings, a duration, or both."""

    readings: int = 0
    duration: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class ForEach:
    """Which places, or which devices, a rule watches. What is None or empty fits all."""

    kind: SubjectKind
    place_types: tuple[str, ...] = ()  # one of them
    category: str | None = None  # of the device's model
    model: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        wanted = {"place_type": " | ".join(self.place_types), "category": self.category, "model": self.model}
        words = [f"{name}: {value}" for name, value in {**wanted, **self.tags}.items() if value]
        return f"{self.kind} {{{', '.join(words) or 'any'}}}"


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One alert rule. Texts are by language; ``version`` changes with every change of the definition."""

    name: str
    group: str
    file: str
    line: int
    title: Mapping[str, str]
    for_each: ForEach
    limits: Mapping[str, Limit]
    when: Condition
    clear: Condition | None  # None: cleared when `when` does not hold
    hold: Hold
    severity: Severity
    notify: tuple[str, ...]
    summary: Mapping[str, str]
    action: Mapping[str, str]
    version: str
    slots: tuple[Slot, ...]  # what the conditions are to be given, in this order
    thresholds: tuple[Threshold, ...]
    calculated: frozenset[str]  # quantities that are used otherwise than beside a constant
    quantities: Mapping[str, Quantity]  # those that it uses

    def template(self, limits: Mapping[str, Limit]) -> list[float | None]:
        """Its slots with the limits filled in and everything else unknown."""
        return [limits[slot.name].value if slot.kind == "limit" else None for slot in self.slots]

    def limits_for(self, overrides: Mapping[str, float]) -> dict[str, Limit]:
        """The limits of one subject; durations are overridden in seconds, as plain numbers are all there is."""
        return {
            name: limit._replace(value=overrides[name] * SECOND if limit.is_duration else overrides[name])
            if name in overrides
            else limit
            for name, limit in self.limits.items()
        }

    def contradictions(self, limits: Mapping[str, Limit]) -> Iterator[tuple[str, str]]:
        """What cannot be meant with these limits: (``when``, ``clear`` or the limit's name; why)."""
        template = self.template(limits)
        for threshold in self.thresholds:
            value = threshold.value(template)
            quantity = self.quantities[threshold.quantity]
            if threshold.limit and value is not None and (advice := implausible(quantity, value)):
                yield threshold.limit, advice
                return
        samples = list(self._samples(template))
        if not samples:
            return
        held = [self.when(slots) for _value, slots in samples]
        if not any(held):
            yield "when", _("can never hold")
        elif all(held):
            yield "when", _("always holds")
        elif self.clear is not None:
            cleared = [self.clear(slots) for _value, slots in samples]
            if not any(cleared):
                yield "clear", _("can never hold: the alert would stay for ever")
            for (value, _slots), holds, clears in zip(samples, held, cleared, strict=True):
                if holds and clears:
                    message = _("holds together with `when` (at {value:g}): the order of the limits is wrong")
                    yield "clear", message.format(value=value)
                    return

    def _samples(self, template: Sequence[float | None]) -> Iterator[tuple[float, list[float | None]]]:
        """Values of the rule's only quantity on, between and beyond its thresholds; none where it has more."""
        inputs = [(index, slot) for index, slot in enumerate(self.slots) if slot.kind != "limit"]
        if len(inputs) != 1 or inputs[0][1].kind != "value" or self.calculated:
            return
        index, name = inputs[0][0], inputs[0][1].name
        quantity = self.quantities[name]
        points = [float(code) for code in quantity.codes]
        if not points:
            marks = {quantity.low, quantity.high, *(t.value(template) for t in self.thresholds)}
            edges = sorted(mark for mark in marks if mark is not None)
            points = [*edges, *((a + b) / 2 for a, b in pairwise(edges))]
        for point in sorted(points):
            slots = list(template)
            slots[index] = point
            yield point, slots
