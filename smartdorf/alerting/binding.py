"""Rules meet the village: which rule watches which place or device, and which data concerns whom.

Made anew whenever rules, devices or places change. Pure; keeps no values and no state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from smartdorf.alerting.state import AlertKey
from smartdorf.alerting.windows import longest_gap
from smartdorf.alerting.zone_binding import BoundZone, Zones, alone
from smartdorf.config.calendar import Calendar
from smartdorf.config.durations import LONGEST, SECOND, format_duration
from smartdorf.config.rule import ForEach, Rule
from smartdorf.config.rules import RuleSet
from smartdorf.config.schedule import OpenTimes
from smartdorf.config.terms import Limit, Slot
from smartdorf.config.windows import LONGEST_WINDOW, USUAL_DAYS
from smartdorf.directory import Device, Directory, Gateway, Installation, Place
from smartdorf.errors import Problem
from smartdorf.i18n import gettext as _
from smartdorf.rhythm import start_limit


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
    send: Mapping[str, OpenTimes] = field(
        default_factory=dict
    )  # by rule, where it may not be told at any time
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


def bind(
    rules: RuleSet | Collection[Rule],
    directory: Directory,
    categories: Mapping[str, str],
    *,
    calendar: Calendar | None = None,
    intervals: Mapping[str, timedelta] | None = None,
) -> BoundRules:
    """Find out who is watched. ``categories``: of each sensor model; ``intervals``: how often it reports.
    ``calendar``: else that of all of Germany.

    Given the whole RuleSet, alerts of rules that are just broken stay as they are; of given rules nobody knows.
    """
    problems: list[Problem] = []
    notes: list[Problem] = []
    instances: dict[AlertKey, Instance] = {}
    watchers: dict[int, Watchers] = {}
    calendar = calendar or Calendar()
    by_place = _grouped(directory.installations, lambda i: i.place_id)
    by_device = _grouped(directory.installations, lambda i: i.device_id)
    silences = {device.id: _silence(device, intervals or {}) for device in directory.devices.values()}
    zones = Zones(directory, {id_: (group, _sole(None, group, by_device)) for id_, group in by_place.items()})
    for rule in rules:
        plan = Plan.of(rule)
        active = OpenTimes(rule.active, calendar) if rule.active is not None else None
        found = [
            _instance(
                rule,
                plan,
                active,
                place,
                None,
                by_place.get(place.id, ()),
                by_device,
                silences,
                zones,
                problems,
            )
            for place in directory.places.values()
            if _fits_place(rule.for_each, place)
        ] + [
            _instance(
                rule,
                plan,
                active,
                None,
                device,
                by_device.get(device.id, ()),
                by_device,
                silences,
                zones,
                problems,
            )
            for device in directory.devices.values()
            if _fits_device(rule.for_each, device, by_device.get(device.id, ()), categories)
        ]
        if rule.for_each.kind == "gateway":
            found = [_of_gateway(rule, plan, gateway) for gateway in directory.gateways.values()]
        if not found:
            message = _("{rule} watches nothing: there is no {wanted}")
            text = message.format(rule=rule.name, wanted=rule.for_each)
            notes.append(Problem(rule.file, rule.line, 1, text))
        if plan.zones:
            notes += alone(rule, found)
        for instance in found:
            instances[instance.key] = instance
            _index(watchers, instance)
    notes += [*zones.notes(), *_unwatched(directory, instances.values())]
    return BoundRules(
        directory,
        {rule.name: rule for rule in rules},
        instances,
        watchers,
        tuple(problems),
        tuple(notes),
        rules if isinstance(rules, RuleSet) else None,
        {rule.name: OpenTimes(rule.send, calendar) for rule in rules if rule.send is not None},
        _grouped_by_gateway(instances.values()),
        _ranks(rules),
        frozenset(name for rule in rules for name in rule.depends_on),
    )


def _grouped_by_gateway(instances: Iterable[Instance]) -> dict[int, list[Instance]]:
    found: dict[int, list[Instance]] = {}
    for instance in instances:
        if instance.gateway is not None:
            found.setdefault(instance.gateway.id, []).append(instance)
    return found


def _ranks(rules: Iterable[Rule]) -> dict[str, int]:
    """Whoever depends on nothing has 0, everybody else one more than what they depend on."""
    ranks = {rule.name: 0 for rule in rules}
    for _round in range(len(ranks)):
        raised = {r.name: max((ranks.get(n, 0) + 1 for n in r.depends_on), default=0) for r in rules}
        if raised == ranks:
            break
        ranks = raised
    return ranks


def _grouped(
    installations: Iterable[Installation], key: Callable[[Installation], int]
) -> dict[int, tuple[Installation, ...]]:
    found: dict[int, tuple[Installation, ...]] = {}
    for installation in installations:
        found[key(installation)] = (*found.get(key(installation), ()), installation)
    return found


def _fits_place(wanted: ForEach, place: Place) -> bool:
    return (
        wanted.kind == "place"
        and (not wanted.place_types or place.place_type in wanted.place_types)
        and wanted.tags.items() <= place.tags.items()
    )


def _fits_device(
    wanted: ForEach, device: Device, installations: Collection[Installation], categories: Mapping[str, str]
) -> bool:
    """Onboarded devices only, and none that was taken down everywhere it ever was: it is out of service."""
    if wanted.kind != "device" or device.model is None:
        return False
    if installations and all(installation.valid_to is not None for installation in installations):
        return False
    return (
        wanted.model in (None, device.model)
        and wanted.category in (None, categories.get(device.model))
        and wanted.tags.items() <= device.tags.items()
    )


def _instance(
    rule: Rule,
    plan: Plan,
    active: OpenTimes | None,
    place: Place | None,
    device: Device | None,
    installations: tuple[Installation, ...],
    of_device: Mapping[int, tuple[Installation, ...]],
    silences: Mapping[int, float],
    zones: Zones,
    problems: list[Problem],
) -> Instance:
    subject = place or device
    assert subject is not None
    kind = "place" if place is not None else "device"
    limits = _learned(rule, device, installations, silences)
    if rule.limits.keys() & subject.limits.keys():
        own = rule.limits_for(subject.limits)
        own = {name: own[name] if name in subject.limits else limit for name, limit in limits.items()}
        wrong = next(rule.contradictions(own), None)
        if wrong is None:
            limits = own
        else:
            message = _("{rule}, {key}: {advice}; its limits are ignored, the rule's own count")
            name = place.slug if place is not None else subject.name
            text = message.format(rule=rule.name, key=wrong[0], advice=wrong[1])
            problems.append(Problem(f"{kind} {name}", 0, 0, text))
    template = rule.template(limits)
    sole = _sole(device, installations, of_device)
    return Instance(
        key=AlertKey(rule.name, kind, subject.id),
        rule=rule,
        plan=plan,
        place=place,
        device=device,
        installations=installations,
        template=template,
        crossings=tuple(_crossings(rule, template)),
        sole=sole,
        spans=tuple(_span(slot, limits) for _index, slot in plan.windows),
        quiet_at_uplink=sole is not None and _quiet_at_uplink(rule, plan, template),
        active=active,
        zones=tuple(
            zones.bind(rule, slot, place, limits) for *_slots, slot in plan.zones if place is not None
        ),
    )


def _silence(device: Device, intervals: Mapping[str, timedelta]) -> float:
    """How long a silence of the device is normal, in microseconds."""
    learned = device.silence
    if learned is None:
        learned = start_limit(intervals.get(device.model or "")).limit
    return learned * SECOND


def _learned(
    rule: Rule,
    device: Device | None,
    installations: Collection[Installation],
    silences: Mapping[int, float],
) -> Mapping[str, Limit]:
    """The rule's limits with what was learned of the device; of the slowest one where a place has several.

    The silence of a place is that of its most silent sensor, and it must not be that of one which is never heard
    more often.
    """
    if not any(limit.learned for limit in rule.limits.values()):
        return rule.limits
    here = [i.device_id for i in installations if i.valid_to is None] if device is None else [device.id]
    known = [silences[device_id] for device_id in here if device_id in silences]
    return {
        name: limit._replace(value=max(known)) if limit.learned and known else limit
        for name, limit in rule.limits.items()
    }


def _of_gateway(rule: Rule, plan: Plan, gateway: Gateway) -> Instance:
    template = rule.template(rule.limits)
    return Instance(
        key=AlertKey(rule.name, "gateway", gateway.id),
        rule=rule,
        plan=plan,
        place=None,
        device=None,
        installations=(),
        template=template,
        crossings=tuple(_crossings(rule, template)),
        sole=None,
        spans=(),
        quiet_at_uplink=_quiet_at_uplink(rule, plan, template),
        gateway=gateway,
    )


def _span(slot: Slot, limits: Mapping[str, Limit]) -> timedelta:
    micros = limits[slot.limit].value if slot.limit else slot.span
    return timedelta(microseconds=min(max(micros, 1), LONGEST_WINDOW))


def _sole(
    device: Device | None,
    installations: tuple[Installation, ...],
    of_device: Mapping[int, tuple[Installation, ...]],
) -> int | None:
    if device is not None:
        return device.id
    if len(installations) != 1 or len(of_device[installations[0].device_id]) != 1:
        return None
    only = installations[0]
    return only.device_id if only.channel is None and only.valid_to is None else None


def _quiet_at_uplink(rule: Rule, plan: Plan, template: list[float | None]) -> bool:
    if plan.silence is None or plan.metrics:
        return False
    slots = template.copy()
    slots[plan.silence] = 0.0
    return rule.when(slots) is False


def _crossings(rule: Rule, template: list[float | None]) -> Iterator[tuple[int, timedelta]]:
    for condition in (rule.when, rule.clear):
        for crossing in condition.crossings if condition is not None else ():
            threshold = crossing.threshold(template)
            if threshold is not None and abs(threshold) <= LONGEST:
                first = math.floor(threshold) + 1 if crossing.strict else math.ceil(threshold)
                yield crossing.slot, timedelta(microseconds=first)


def _index(watchers: dict[int, Watchers], instance: Instance) -> None:
    if instance.device is not None:
        devices = [instance.device.id]
    else:
        devices = list(dict.fromkeys(installation.device_id for installation in instance.installations))
    for device_id in devices:
        entry = watchers.setdefault(device_id, Watchers())
        for metric in instance.plan.metrics:
            entry.by_metric.setdefault(metric, []).append(instance)
        for (_slot, window), length in zip(instance.plan.windows, instance.spans, strict=True):
            span = length + timedelta(days=USUAL_DAYS) if window.usual else length
            entry.spans[window.name] = max(span, entry.spans.get(window.name, span))
        if instance.plan.silence is not None:
            entry.by_silence.append(instance)
    for zone in dict.fromkeys(instance.zones):
        zone.instances.append(instance)
        if len(zone.instances) == 1:
            _index_zone(watchers, zone)


def _index_zone(watchers: dict[int, Watchers], zone: BoundZone) -> None:
    devices = [i.device_id for member in zone.members for i in member.installations]
    for device_id in dict.fromkeys(devices):
        entry = watchers.setdefault(device_id, Watchers())
        for metric in zone.metrics:
            entry.by_zone.setdefault(metric, []).append(zone)
        for window in zone.windows:
            metric = zone.metrics[window.metric]
            entry.spans[metric] = max(window.span, entry.spans.get(metric, window.span))


def _unwatched(directory: Directory, instances: Iterable[Instance]) -> Iterator[Problem]:
    """Places that no rule watches: often a place_type with a typing mistake."""
    watched: set[int] = set()
    for instance in instances:
        if instance.place is not None:
            watched.add(instance.place.id)
        for zone in instance.zones:
            watched |= zone.places
    for place in directory.places.values():
        if place.id not in watched:
            message = _("no rule watches it (it is a {place_type})").format(place_type=place.place_type)
            yield Problem(f"place {place.slug}", 0, 0, message)


def too_rare(bound: BoundRules, intervals: Mapping[str, timedelta]) -> Iterator[Problem]:
    """Windows that stay unknown for ever, since the sensors report too rarely. ``intervals``: by sensor model."""
    told: set[tuple[str, str, int]] = set()
    for instance in bound.instances.values():
        for device in _devices_of(bound.directory, instance):
            interval = intervals.get(device.model or "")
            for (index, window), span in zip(instance.plan.windows, instance.spans, strict=True):
                key = (instance.rule.name, device.model or "", index)
                if interval is None or key in told or interval <= longest_gap(window.function, span):
                    continue
                told.add(key)
                message = _(
                    "{rule} looks back {span} at {quantity}, but {model} reports every {interval}: "
                    "that is never known; look back longer"
                )
                text = message.format(
                    rule=instance.rule.name,
                    span=format_duration(span // timedelta(microseconds=1)),
                    quantity=window.name,
                    model=device.model,
                    interval=format_duration(interval // timedelta(microseconds=1)),
                )
                yield Problem(instance.rule.file, instance.rule.line, 1, text)


def _devices_of(directory: Directory, instance: Instance) -> Iterator[Device]:
    if instance.device is not None:
        yield instance.device
    for installation in instance.installations:
        if instance.device is None and installation.valid_to is None:
            yield directory.devices[installation.device_id]
