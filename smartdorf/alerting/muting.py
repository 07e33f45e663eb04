"""What explains an alert: one of a rule that its own rule depends on, about the same subject.

The same subject is the same place, device or gateway; the place of a device and the devices of a place; and for the
alert of a gateway the devices that only it has heard lately. A device that two gateways hear is explained by the two
alerts together, and by neither alone.

While such an alert is open, nothing of it begins; what is open already stays. When it ends, all times begin anew: the
silence of forty sensors is not told at the moment at which their gateway is back.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from smartdorf.alerting.bound import Instance
from smartdorf.alerting.memory import Span, View
from smartdorf.alerting.state import AlertKey, AlertState
from smartdorf.config.rule import Rule


def muted_by(view: View, instance: Instance, at: datetime) -> tuple[AlertKey, ...]:
    """The open alerts that explain it."""
    for group in _groups(view, instance, at):
        if all(_is_open(view, key) for key in group):
            return tuple(sorted(group))
    return ()


def muted_until(view: View, instance: Instance, at: datetime) -> datetime | None:
    """When the last time ended in which it was explained; None where there was none, or where the first goes on.

    An alert that is open already does not begin, so that its times do not begin anew either.
    """
    alert = view.instance(instance.key)
    if alert is not None and alert.phase == "firing":
        return None
    ends = []
    for group in _groups(view, instance, at):
        spans = [_spans(view, key) for key in group]
        candidates = [span.end for of_key in spans for span in of_key if span.end <= at]
        ends += [
            end
            for end in candidates
            if all(any(span.begin < end <= span.end for span in of_key) for of_key in spans)
        ]
    return max(ends, default=None)


def waiting(alert: AlertState, keys: tuple[AlertKey, ...]) -> AlertState:
    """What would have fired goes on waiting."""
    return AlertState("pending", alert.since, alert.readings, muted_by=keys)


def _groups(view: View, instance: Instance, at: datetime) -> Iterator[list[AlertKey]]:
    """The alerts that would explain it together: one list for each rule that it depends on."""
    for name in instance.rule.depends_on:
        rule = view.rules.rules.get(name)
        if rule is None or (rule.mode == "shadow" and instance.rule.mode == "live"):
            continue  # what nobody is told of explains nothing
        if group := _group(view, instance, rule, at):
            yield group


def _group(view: View, instance: Instance, rule: Rule, at: datetime) -> list[AlertKey]:
    kind = rule.for_each.kind
    if kind == instance.key.kind:
        return [AlertKey(rule.name, kind, instance.key.id)]
    mounted = [i for i in instance.installations if i.in_force(at)]
    if kind == "place":
        return list({AlertKey(rule.name, kind, i.place_id): None for i in mounted})
    devices = [instance.device.id] if instance.device is not None else [i.device_id for i in mounted]
    devices = list(dict.fromkeys(devices))
    if kind == "device":
        return [AlertKey(rule.name, kind, device_id) for device_id in devices]
    hearing = [view.hearing.of_device(device_id, view.heard(device_id)) for device_id in devices]
    if not all(hearing):  # of one of them nobody knows who hears it
        return []
    return [AlertKey(rule.name, kind, id_) for id_ in dict.fromkeys(g for found in hearing for g in found)]


def _is_open(view: View, key: AlertKey) -> bool:
    """It is open; or it holds and waits only for its time, or for the end of another."""
    alert, rule = view.instance(key), view.rules.rules[key.rule]
    if alert is None:
        return False
    if alert.phase == "pending":
        in_time = rule.hold.duration and alert.readings >= rule.hold.readings
        return bool(in_time or alert.muted_by)
    return alert.phase == "firing" and not alert.eased


def _spans(view: View, key: AlertKey) -> list[Span]:
    """When the alert was open: lately, and now."""
    found = [*view.state.ended.get(key, ()), *view.ended.get(key, ())]
    alert = view.instance(key)
    if alert is not None and alert.fired_at is not None and not alert.eased:
        found.append(Span(alert.fired_at, datetime.max.replace(tzinfo=alert.fired_at.tzinfo)))
    return found
