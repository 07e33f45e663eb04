"""What a rule is: the values that a rule file gives, checked and compiled. Knows no file and no device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Literal, NamedTuple

from smartdorf.config.kleene import Slots
from smartdorf.config.limits import TagLimits
from smartdorf.config.schedule import Schedule
from smartdorf.config.terms import Condition, Limit, Slot, Threshold, implausible
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import Quantity

Severity = Literal["info", "warning", "critical"]
SEVERITIES = ("info", "warning", "critical")
SubjectKind = Literal["place", "device", "gateway"]
Mode = Literal["shadow", "live"]  # on trial: alerts are kept and shown, and nobody is told of them
MODES = ("shadow", "live")


class Hold(NamedTuple):
    """How long a condition must hold before anybody is told: readings, a duration, or both."""

    readings: int = 0
    duration: timedelta = timedelta(0)


class Timing(NamedTuple):
    """When an alert begins, and how it ends."""

    hold: Hold = Hold()
    keep: timedelta = timedelta(0)  # how long it must have been clear before it ends
    by_hand: bool = False  # only a person ends it


class Stage(NamedTuple):
    """One step of an alert, the lowest first. The only one of a rule without stages has no name."""

    when: Condition
    severity: Severity
    notify: tuple[str, ...]
    name: Mapping[str, str] = {}  # by language
    key: str = "when"  # where its condition stands in the rule: when, stages.1 …


@dataclass(frozen=True, slots=True)
class ForEach:
    """Which places, devices or gateways a rule watches. What is None or empty fits all."""

    kind: SubjectKind
    place_types: tuple[str, ...] = ()  # one of them
    category: str | None = None  # of the device's model
    model: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    is_own: bool = False  # of gateways: only those that tell of themselves, and by what they tell

    def __str__(self) -> str:
        wanted = {"place_type": " | ".join(self.place_types), "category": self.category, "model": self.model}
        words = [f"{name}: {value}" for name, value in {**wanted, **self.tags}.items() if value]
        return f"{self.kind} {{{', '.join(words) or ('own' if self.is_own else 'any')}}}"


_Sample = tuple[float, list[float | None]]  # a value, and the slots filled with it


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One alert rule. Texts are by language; ``version`` changes with every change of the definition but its mode."""

    name: str
    group: str
    file: str
    line: int
    title: Mapping[str, str]
    for_each: ForEach
    limits: Mapping[str, Limit]
    when: Condition  # one of its stages holds
    stages: tuple[Stage, ...]  # a higher one holds only where those below do
    clear: Condition | None  # None: cleared when `when` does not hold
    timing: Timing
    summary: Mapping[str, str]
    action: Mapping[str, str]
    version: str
    slots: tuple[Slot, ...]  # what the conditions are to be given, in this order
    thresholds: tuple[Threshold, ...]
    calculated: frozenset[str]  # quantities that are used otherwise than beside a constant
    quantities: Mapping[str, Quantity]  # those that it uses
    active: Schedule | None = None  # when the condition counts; None: always
    send: Schedule | None = None  # when it may be told; None: at once
    mode: Mode = "shadow"
    labels: Mapping[str, str] = field(default_factory=dict)  # the village's own words, for lists and silences
    limits_by_tag: tuple[TagLimits, ...] = ()
    depends_on: tuple[str, ...] = ()  # rules whose open alerts explain its own: it waits for their end

    @property
    def hold(self) -> Hold:
        return self.timing.hold

    @property
    def notify(self) -> tuple[str, ...]:
        """All that it may tell."""
        return tuple(dict.fromkeys(name for stage in self.stages for name in stage.notify))

    @property
    def severities(self) -> tuple[Severity, ...]:
        """What it may be, from the lowest stage on."""
        return tuple(dict.fromkeys(stage.severity for stage in self.stages))

    def levels(self, slots: Slots) -> tuple[bool | None, ...]:
        """Of each stage, whether it or one above it holds."""
        if len(self.stages) == 1:
            return (self.when(slots),)
        found: list[bool | None] = []
        above: bool | None = False
        for stage in reversed(self.stages):
            holds = stage.when(slots)
            above = True if above or holds else None if above is None or holds is None else False
            found.append(above)
        return tuple(reversed(found))

    def template(self, limits: Mapping[str, Limit]) -> list[float | None]:
        """Its slots with the limits filled in and everything else unknown."""
        return [limits[slot.name].value if slot.kind == "limit" else None for slot in self.slots]

    def limits_at(self, tags: Mapping[str, str]) -> Mapping[str, Limit]:
        """Those of a place or device with these tags; if two of them say something, the later in the file counts."""
        own = [found.limits for found in self.limits_by_tag if tags.get(found.tag) == found.value]
        return (
            {name: limit for limits in (self.limits, *own) for name, limit in limits.items()}
            if own
            else self.limits
        )

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
        held = [[stage.when(slots) for _value, slots in samples] for stage in self.stages]
        for number, (stage, here) in enumerate(zip(self.stages, held, strict=True)):
            below = held[number - 1] if number else None
            if not any(here):
                yield stage.key, _("can never hold")
            elif not number and all(here):
                yield stage.key, _("always holds")
            elif below is not None and here == below:
                yield stage.key, _("holds just where the stage below does: it would never be told")
            elif below is not None:
                yield from self._out_of_order(stage, samples, here, below)
        if self.clear is not None and not all(held[0]) and any(held[0]):
            yield from self._clear_in_vain(samples, held[0])

    def _out_of_order(
        self, stage: Stage, samples: list[_Sample], here: list[bool | None], below: list[bool | None]
    ) -> Iterator[tuple[str, str]]:
        for (value, _slots), holds, lower in zip(samples, here, below, strict=True):
            if holds and not lower:
                message = _(
                    "holds where the stage below does not (at {value:g}): the lowest stage stands first"
                )
                yield stage.key, message.format(value=value)
                return

    def _clear_in_vain(self, samples: list[_Sample], held: list[bool | None]) -> Iterator[tuple[str, str]]:
        assert self.clear is not None
        cleared = [self.clear(slots) for _value, slots in samples]
        if not any(cleared):
            yield "clear", _("can never hold: the alert would stay for ever")
        for (value, _slots), holds, clears in zip(samples, held, cleared, strict=True):
            if holds and clears:
                message = _("holds together with `when` (at {value:g}): the order of the limits is wrong")
                yield "clear", message.format(value=value)
                return

    def _samples(self, template: Sequence[float | None]) -> Iterator[_Sample]:
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
