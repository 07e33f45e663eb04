"""Rules meet the village: which rule watches which place or device, and which data concerns whom.

Made anew whenever rules, devices or places change. Pure; keeps no values and no state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import timedelta

from smartdorf.alerting.bound import BoundRules, Instance, Plan, Watchers
from smartdorf.alerting.state import AlertKey
from smartdorf.alerting.windows import longest_gap
from smartdorf.alerting.zone_binding import BoundZone, Zones, alone
from smartdorf.config.calendar import Calendar
from smartdorf.config.durations import LONGEST, SECOND, format_duration
from smartdorf.config.limits import with_numbers
from smartdorf.config.rule import ForEach, Rule
from smartdorf.config.rules import RuleSet
from smartdorf.config.schedule import OpenTimes
from smartdorf.config.terms import Limit, Slot
from smartdorf.config.windows import LONGEST_WINDOW, USUAL_DAYS
from smartdorf.directory import Device, Directory, Gateway, Installation, Place
from smartdorf.errors import Problem
from smartdorf.i18n import gettext as _
from smartdorf.rhythm import start_limit


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
    calendar = calendar or Calendar()
    binder = _Binder(directory, categories, intervals or {}, calendar)
    notes: list[Problem] = []
    instances: dict[AlertKey, Instance] = {}
    watchers: dict[int, Watchers] = {}
    for rule in rules:
        found = binder.instances(rule)
        if not found:
            message = _("{rule} watches nothing: there is no {wanted}")
            text = message.format(rule=rule.name, wanted=rule.for_each)
            notes.append(Problem(rule.file, rule.line, 1, text))
        notes += alone(rule, found)
        for instance in found:
            instances[instance.key] = instance
            _index(watchers, instance)
    notes += [*binder.zones.notes(), *_unwatched(directory, instances.values())]
    return BoundRules(
        directory,
        {rule.name: rule for rule in rules},
        instances,
        watchers,
        tuple(binder.problems),
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


class _Binder:
    """Makes the instances of one rule after the other. ``problems``: limits of places and devices that cannot be."""

    def __init__(
        self,
        directory: Directory,
        categories: Mapping[str, str],
        intervals: Mapping[str, timedelta],
        calendar: Calendar,
    ) -> None:
        self._directory = directory
        self._categories = categories
        self._calendar = calendar
        self._by_place = _grouped(directory.installations, lambda i: i.place_id)
        self._by_device = _grouped(directory.installations, lambda i: i.device_id)
        self._silences = {d.id: _silence(d, intervals) for d in directory.devices.values()}
        self.zones = Zones(
            directory,
            {id_: (group, _sole(None, group, self._by_device)) for id_, group in self._by_place.items()},
        )
        self.problems: list[Problem] = []

    def instances(self, rule: Rule) -> list[Instance]:
        plan, wanted, directory = Plan.of(rule), rule.for_each, self._directory
        active = OpenTimes(rule.active, self._calendar) if rule.active is not None else None
        if wanted.kind == "gateway":
            return [
                _of_gateway(rule, plan, active, gateway)
                for gateway in directory.gateways.values()
                if gateway.is_own or not wanted.is_own
            ]
        if wanted.kind == "place":
            return [
                self._instance(rule, plan, active, place, self._by_place.get(place.id, ()))
                for place in directory.places.values()
                if _fits_place(wanted, place)
            ]
        return [
            self._instance(rule, plan, active, device, self._by_device.get(device.id, ()))
            for device in directory.devices.values()
            if _fits_device(wanted, device, self._by_device.get(device.id, ()), self._categories)
        ]

    def _instance(
        self,
        rule: Rule,
        plan: Plan,
        active: OpenTimes | None,
        subject: Place | Device,
        installations: tuple[Installation, ...],
    ) -> Instance:
        place = subject if isinstance(subject, Place) else None
        device = subject if isinstance(subject, Device) else None
        limits = self._limits(rule, subject, installations)
        template = rule.template(limits)
        sole = _sole(device, installations, self._by_device)
        zones = [slot for *_slots, slot in plan.zones]
        return Instance(
            key=AlertKey(rule.name, "device" if place is None else "place", subject.id),
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
            zones=tuple(self.zones.bind(rule, slot, place, limits) for slot in zones if place is not None),
        )

    def _limits(
        self, rule: Rule, subject: Place | Device, installations: Collection[Installation]
    ) -> Mapping[str, Limit]:
        """The rule's, those of the subject's tags, with what was learned, and its own where they can be."""
        limits = self._learned(rule.limits_at(subject.tags), subject, installations)
        if not limits.keys() & subject.limits.keys():
            return limits
        own = with_numbers(limits, subject.limits)
        wrong = next(rule.contradictions(own), None)
        if wrong is None:
            return own
        message = _("{rule}, {key}: {advice}; its limits are ignored, the rule's own count")
        text = message.format(rule=rule.name, key=wrong[0], advice=wrong[1])
        kind, name = ("place", subject.slug) if isinstance(subject, Place) else ("device", subject.name)
        self.problems.append(Problem(f"{kind} {name}", 0, 0, text))
        return limits

    def _learned(
        self, limits: Mapping[str, Limit], subject: Place | Device, installations: Collection[Installation]
    ) -> Mapping[str, Limit]:
        """The limits with what was learned of the device; of the slowest one where a place has several.

        The silence of a place is that of its most silent sensor, and it must not be that of one which is never heard
        more often.
        """
        if not any(limit.learned for limit in limits.values()):
            return limits
        here = [i.device_id for i in installations if i.valid_to is None]
        devices = [subject.id] if isinstance(subject, Device) else here
        known = [self._silences[device_id] for device_id in devices if device_id in self._silences]
        return {
            name: limit._replace(value=max(known)) if limit.learned and known else limit
            for name, limit in limits.items()
        }


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


def _silence(device: Device, intervals: Mapping[str, timedelta]) -> float:
    """How long a silence of the device is normal, in microseconds."""
    learned = device.silence
    if learned is None:
        learned = start_limit(intervals.get(device.model or "")).limit
    return learned * SECOND


def _of_gateway(rule: Rule, plan: Plan, active: OpenTimes | None, gateway: Gateway) -> Instance:
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
        active=active,
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
