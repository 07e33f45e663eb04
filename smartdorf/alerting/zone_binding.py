"""Zones meet the village: which places a rule's zone functions look at. Pure; made anew with the binding.

A zone is a place together with all those whose tag ``zone`` names it. Instances that ask the same of the same places
share one :class:`BoundZone`, so that a lot of 200 bays is looked at once for each message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from smartdorf.config.rule import Rule
from smartdorf.config.terms import Limit, Slot, ZoneTerm
from smartdorf.config.windows import LONGEST_WINDOW
from smartdorf.config.zones import TAG, zones_of
from smartdorf.directory import Directory, Installation, Place
from smartdorf.errors import Problem, did_you_mean
from smartdorf.i18n import gettext as _

if TYPE_CHECKING:
    from smartdorf.alerting.bound import Instance


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One place of a zone, seen as a rule at that place would see it."""

    place: Place
    installations: tuple[Installation, ...]
    sole: int | None  # the only device that was ever there, all of it, and is nowhere else
    device: None = None


class BoundWindow(NamedTuple):
    slot: int
    metric: int  # which of the zone's quantities
    function: str
    span: timedelta
    is_counter: bool


@dataclass(frozen=True, slots=True, eq=False)
class BoundZone:
    """What is asked of the places of one zone. The rule's own place is among them, and is left out when it asks."""

    number: int
    term: ZoneTerm
    members: tuple[Member, ...]
    places: frozenset[int]
    template: list[float | None]  # the term's slots with the limits of whoever asks
    metrics: tuple[str, ...]  # the quantities that it reads
    values: tuple[tuple[int, int], ...]  # slot, which of the quantities
    windows: tuple[BoundWindow, ...]
    age: timedelta  # older values are unknown
    fold: Callable[[list[float]], float]  # of several sensors at one place
    instances: list[Instance] = field(default_factory=list)  # whom it concerns


_FOLDS: Mapping[str, Callable[[list[float]], float]] = {
    "zone_share": max,  # it holds at a place if it holds with any of its sensors
    "zone_count": max,
    "zone_max": max,
    "zone_min": min,
}


class Zones:
    """All zones of a directory."""

    def __init__(
        self, directory: Directory, members: Mapping[int, tuple[tuple[Installation, ...], int | None]]
    ) -> None:
        """``members``: what was ever installed at a place, and its sole device."""
        self._places = directory.places
        self._members = members
        self._groups: dict[str, list[int]] = {}  # a zone's places, by its slug
        for place in directory.places.values():
            for slug in zones_of(place.tags):
                self._groups.setdefault(slug, []).append(place.id)
        self._slugs = {place.slug for place in directory.places.values()}
        self._named = set(self._groups)
        for place in directory.places.values():
            if place.slug in self._groups:
                self._groups[place.slug].append(place.id)
        self._bound: dict[object, BoundZone] = {}

    def notes(self) -> Iterator[Problem]:
        """Places in a zone that does not exist: often a typing mistake."""
        for place in self._places.values():
            for slug in zones_of(place.tags):
                if slug not in self._slugs:
                    message = _('its tag {tag} names "{slug}", and there is no such place').format(
                        tag=TAG, slug=slug
                    )
                    yield Problem(f"place {place.slug}", 0, 0, message + did_you_mean(slug, self._slugs))

    def bind(self, rule: Rule, slot: Slot, place: Place, limits: Mapping[str, Limit]) -> BoundZone:
        """What the rule asks of the places around ``place``."""
        assert slot.zone is not None
        slugs = dict.fromkeys([*zones_of(place.tags), *([place.slug] if place.slug in self._named else [])])
        ids = tuple(sorted({id_ for slug in slugs for id_ in self._groups[slug]}))
        term = slot.zone
        template = [limits[s.name].value if s.kind == "limit" else None for s in term.slots]
        metrics = tuple(dict.fromkeys(s.name for s in term.slots if s.kind in ("value", "window")))
        windows = tuple(
            BoundWindow(
                index,
                metrics.index(s.name),
                s.function,
                _span(s, limits),
                rule.quantities[s.name].kind == "counter",
            )
            for index, s in enumerate(term.slots)
            if s.kind == "window"
        )
        age = timedelta(microseconds=limits[slot.limit].value if slot.limit else slot.span)
        key = (slot.function, term, ids, tuple(template), windows, age)
        if key not in self._bound:
            members = tuple(self._member(id_) for id_ in ids if self._is_asked(id_, term))
            self._bound[key] = BoundZone(
                len(self._bound),
                term,
                members,
                frozenset(member.place.id for member in members),
                template,
                metrics,
                tuple(
                    (index, metrics.index(s.name)) for index, s in enumerate(term.slots) if s.kind == "value"
                ),
                windows,
                age,
                _FOLDS.get(slot.function, fmean),
            )
        return self._bound[key]

    def _is_asked(self, place_id: int, term: ZoneTerm) -> bool:
        return term.place_type in ("", self._places[place_id].place_type)

    def _member(self, place_id: int) -> Member:
        return Member(self._places[place_id], *self._members.get(place_id, ((), None)))


def _span(slot: Slot, limits: Mapping[str, Limit]) -> timedelta:
    micros = limits[slot.limit].value if slot.limit else slot.span
    return timedelta(microseconds=min(max(micros, 1), LONGEST_WINDOW))


def alone(rule: Rule, instances: list[Instance]) -> Iterator[Problem]:
    """Places of a rule about zones that have nobody to ask."""
    lonely: dict[ZoneTerm, list[Place]] = {}
    for instance in instances:
        for zone in instance.zones:
            if instance.place is not None and not zone.places - {instance.place.id}:
                lonely.setdefault(zone.term, []).append(instance.place)
    for term, places in lonely.items():
        wanted = f"place_type: {term.place_type}" if term.place_type else _("any type")
        message = _(
            "{rule} asks the other places of a zone, and around {place} there is none ({wanted}; {count} such "
            "place(s)): a zone's places name it by the tag {tag}"
        )
        text = message.format(rule=rule.name, place=places[0].slug, wanted=wanted, count=len(places), tag=TAG)
        yield Problem(rule.file, rule.line, 1, text)
