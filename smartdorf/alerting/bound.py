"""What rules become once they are bound to devices and places: instances, and whom the data of a device concerns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from smartdorf.alerting.state import AlertKey
from smartdorf.alerting.zone_binding import BoundZone
from smartdorf.config.rule import Rule
from smartdorf.config.rules import RuleSet
from smartdorf.config.schedule import OpenTimes
from smartdorf.config.terms import Slot
from smartdorf.directory import Device, Directory, Gateway, Installation, Place
from smartdorf.errors import Problem


@dataclass(frozen=True, slots=True)
class Plan:
    """Which slot of a rule is filled with what."""

    values: tuple[tuple[int, str], ...]  # slot, quantity
    ages: tuple[tuple[int, str], ...]
    silence: int | None
    hour: int | None
    windows: tuple[tuple[int, Slot], ...]
    zones: tuple[tuple[int, int | None, Slot], ...]  # its slot, that of its greatest value if it has one
    measured: tuple[str, ...]  # quantities whose values count, now or in a window
    metrics: tuple[str, ...]  # all quantities that the rule reads

    @classmethod
    def of(cls, rule: Rule) -> Plan:
        slots = list(enumerate(rule.slots))
        tops = {slot: index for index, slot in slots if slot.kind == "zone_top"}
        return cls(
            tuple((index, slot.name) for index, slot in slots if slot.kind == "value"),
            tuple((index, slot.name) for index, slot in slots if slot.kind == "age"),
            next((index for index, slot in slots if slot.kind == "silent"), None),
            next((index for index, slot in slots if slot.kind == "hour"), None),
            tuple((index, slot) for index, slot in slots if slot.kind == "window"),
            tuple(
                (index, tops.get(slot._replace(kind="zone_top")), slot)
                for index, slot in slots
                if slot.kind == "zone"
            ),
            tuple({slot.name: None for _index, slot in slots if slot.kind in ("value", "window")}),
            tuple({slot.name: None for _index, slot in slots if slot.kind in ("value", "age", "window")}),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One rule at one place, device or gateway."""

    key: AlertKey
    rule: Rule
    plan: Plan
    place: Place | None  # exactly one of these, or the gateway
    device: Device | None
    installations: tuple[Installation, ...]  # at the place, or of the device; the ended ones too
    template: list[float | None]  # the rule's slots with this subject's limits
    crossings: tuple[tuple[int, timedelta], ...]  # slot that grows with time, and when the condition may turn
    sole: int | None  # the only device that was ever there, all of it, and is nowhere else
    spans: tuple[timedelta, ...]  # of the plan's windows
    quiet_at_uplink: bool  # nothing but the sole device's silence counts, and an uplink ends it
    active: OpenTimes | None = None  # when its condition counts; None: always
    zones: tuple[BoundZone, ...] = ()  # of the plan's zones
    gateway: Gateway | None = None


@dataclass(slots=True)
class Watchers:
    """Whom the data of one device concerns. A place rule stands here for every place it was ever at."""

    by_metric: dict[str, list[Instance]] = field(default_factory=dict)
    by_silence: list[Instance] = field(default_factory=list)
    by_zone: dict[str, list[BoundZone]] = field(default_factory=dict)  # zones of places it was ever at
    spans: dict[str, timedelta] = field(default_factory=dict)  # how far back each quantity's values are kept


@dataclass(frozen=True, eq=False)
class BoundRules:
    """The rules and their instances. ``problems`` are limits that cannot be; ``notes`` what is unwatched."""

    directory: Directory
    rules: Mapping[str, Rule]
    instances: Mapping[AlertKey, Instance]
    watchers: Mapping[int, Watchers]  # by device
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    kept: RuleSet | None = None
    send: Mapping[str, OpenTimes] = field(default_factory=dict)  # by rule; the others may be told at any time
    listeners: Mapping[int, Sequence[Instance]] = field(default_factory=dict)  # by gateway
    ranks: Mapping[str, int] = field(default_factory=dict)  # what a rule depends on has a lower one
    muting: frozenset[str] = frozenset()  # rules that others depend on

    def tell_at(self, rule: str, now: datetime) -> datetime:
        """When something that is to be told ``now`` may be told."""
        times = self.send.get(rule)
        return now if times is None else times.may_tell_at(now)

    def waiting(self, now: datetime) -> dict[str, datetime]:
        """The rules of which nothing may be told now, and from when on."""
        later = {rule: self.tell_at(rule, now) for rule in self.send}
        return {rule: time for rule, time in later.items() if time > now}

    def reason_gone(self, key: AlertKey) -> str | None:
        """Why an instance is no longer there; None where it is, or where its rule is only broken."""
        if key in self.instances:
            return None
        if key.rule not in self.rules:
            return "rule removed" if self.kept is None or self.kept.has_gone(key.rule) else None
        directory = self.directory
        subjects = {"place": directory.places, "device": directory.devices, "gateway": directory.gateways}
        return "no longer watched" if key.id in subjects[key.kind] else f"{key.kind} removed"
