"""What conditions are made of: slots, limits, thresholds, and the scope of names that one rule's conditions share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from smartdorf.config.kleene import Number, Slots, Truth
from smartdorf.config.windows import WINDOWS
from smartdorf.config.zones import ZONES
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import Quantity, Vocabulary

FUNCTIONS = ("age", "silent_for", "local_hour", "usual", *WINDOWS, *ZONES)

# So that 25 o'clock is refused as any other value that is never reached.
LOCAL_HOUR = Quantity(
    "local_hour", "h", "gauge", 0, 24, 2, {"de": "Uhrzeit", "en": "local hour"}, "public", "short", "h"
)


class Slot(NamedTuple):
    """One number that a condition needs: a quantity's value or age, a limit, the silence, the local hour, a window, or
    what a zone says.

    A window is what ``function`` makes of a quantity's values of the last ``span`` microseconds, or of as long as
    the limit ``limit`` says; ``usual``: the median of what it made of them at the same time of the days before. A zone
    is what ``function`` makes of its places; ``zone_top`` is the greatest that it could be where some of them are
    unknown, ``zone`` then the least. ``span`` and ``limit`` are how old a value of theirs may be.
    """

    kind: Literal["value", "age", "limit", "silent", "hour", "window", "zone", "zone_top"]
    name: str = ""
    function: str = ""
    span: int = 0
    limit: str = ""
    usual: bool = False
    zone: ZoneTerm | None = None

    @property
    def placeholder(self) -> str:
        """How a summary names it."""
        if self.zone is not None:
            inner = self.zone.sole
            return self.function if inner is None else f"{self.function}_{inner.placeholder}"
        name = f"{self.function}_{self.name}" if self.function else self.name
        return f"usual_{name}" if self.usual else name

    @property
    def text(self) -> str:
        """How a rule writes what its zone says."""
        of_type = f', place_type="{self.zone.place_type}"' if self.zone and self.zone.place_type else ""
        return f"{self.function}({self.name}{of_type})"


@dataclass(frozen=True, slots=True)
class ZoneTerm:
    """What a zone function asks of each place: a condition or a number, with slots of its own.

    Two of them are the same if their texts are.
    """

    text: str
    place_type: str = ""  # "": of any type
    slots: tuple[Slot, ...] = field(default=(), compare=False)
    run: Number = field(default=lambda slots: None, compare=False)  # a condition gives 1 or 0
    is_condition: bool = field(default=True, compare=False)
    is_positive: bool = field(default=False, compare=False)  # a number that is never below 0
    sole: Slot | None = field(default=None, compare=False)  # it is that quantity or window, and no more


class Limit(NamedTuple):
    """A number with a name. A duration is in microseconds.

    ``learned``: how long a silence is normal for the device; ``value`` is what holds where nothing is known.
    """

    value: float
    is_duration: bool
    learned: bool = False


class Crossing(NamedTuple):
    """A comparison that changes by mere passing of time: a slot that grows, and from which value on it differs."""

    slot: int
    threshold: Number  # of the limits alone
    strict: bool  # it differs only after the threshold, not at it


class Threshold(NamedTuple):
    """A constant that a quantity is compared with."""

    quantity: str
    value: Number
    limit: str | None  # its name, where it is a plain limit


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition: call it with the slots of its rule."""

    text: str
    holds: Truth
    crossings: tuple[Crossing, ...]
    slots: frozenset[int]  # which of the rule's slots it reads

    def __call__(self, slots: Slots) -> bool | None:
        return self.holds(slots)


@dataclass
class Scope:
    """The names that the conditions of one rule may use, and what they have used."""

    vocabulary: Vocabulary
    limits: Mapping[str, Limit]
    slots: list[Slot] = field(default_factory=list)
    thresholds: list[Threshold] = field(default_factory=list)
    calculated: set[str] = field(default_factory=set)  # quantities used elsewhere than beside a constant

    def slot(self, wanted: Slot) -> int:
        if wanted not in self.slots:
            self.slots.append(wanted)
        return self.slots.index(wanted)

    @property
    def names(self) -> list[str]:
        return [*self.vocabulary.quantities, *self.limits, *FUNCTIONS]


def measured(slots: Iterable[Slot]) -> Iterator[Slot]:
    """Those that read a quantity, also at the places of a zone."""
    for slot in slots:
        if slot.zone is not None:
            yield from measured(slot.zone.slots)
        elif slot.kind in ("value", "age", "window"):
            yield slot


def zone_placeholders(slots: Iterable[Slot]) -> list[str]:
    """How a summary names what its zone says: by the function and the quantity, and of conditions how many places."""
    found: list[str] = []
    for slot in slots:
        if slot.kind == "zone" and slot.zone is not None:
            if slot.zone.is_condition:
                found += [slot.function, "zone_count", "zone_known"]
            elif slot.zone.sole is not None:
                found.append(slot.placeholder)
    return found


def code_names(quantity: Quantity) -> dict[str, int]:
    """The words that a condition may use for the codes of an enumeration: English, with underscores."""
    return {labels["en"].replace(" ", "_"): code for code, labels in quantity.codes.items()}


def is_yes_no(quantity: Quantity) -> bool:
    """It can stand as a condition by itself: ``when: water_leak``."""
    return quantity.kind in ("state", "event") and (quantity.low, quantity.high) == (0, 1)


def implausible(quantity: Quantity, value: float) -> str:
    """Why the quantity can never reach ``value``; "" where it can."""
    if quantity.codes and value not in quantity.codes:
        words = ", ".join(f"{word} ({code})" for word, code in code_names(quantity).items())
        return _("{name} is one of {words}").format(name=quantity.name, words=words)
    if quantity.plausible(value):
        return ""
    message = _("{name} ranges from {low:g} to {high}: {value:g} is never reached")
    high = f"{quantity.high:g} {quantity.unit_label}".rstrip()
    return message.format(name=quantity.name, low=quantity.low, high=high, value=value)
