"""Rules over data and time: what holds, what begins, what ends.

Pure: ``evaluate``, ``tick`` and ``reconcile`` leave the state as it is and return the changes; the caller commits
them and then calls ``state.apply``. Event time only; the clock is whoever calls ``tick``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush

from msgspec.structs import replace

from smartdorf.alerting.binding import bind
from smartdorf.alerting.bound import BoundRules, Instance, Watchers
from smartdorf.alerting.explain import because, limits_of
from smartdorf.alerting.hearing import OUT_OF_SERVICE
from smartdorf.alerting.memory import (
    Agenda,
    Changes,
    EngineState,
    Evaluation,
    Observation,
    Series,
    Span,
    View,
)
from smartdorf.alerting.moment import Moment, begin_of, last_sign, surely_changes_nothing, usual_of
from smartdorf.alerting.muting import muted_by, muted_until, waiting
from smartdorf.alerting.state import (
    BEGINS,
    TOLD,
    AlertKey,
    AlertState,
    Input,
    Kind,
    Mark,
    Marks,
    Transition,
    Verdict,
    advance_alert,
    due_of,
)
from smartdorf.alerting.texts import summaries
from smartdorf.alerting.zone_binding import BoundZone
from smartdorf.alerting.zones import look

__all__ = [
    "BEGINS",
    "TOLD",
    "AlertKey",
    "AlertState",
    "BoundRules",
    "Changes",
    "EngineState",
    "Evaluation",
    "Input",
    "Marks",
    "Observation",
    "Transition",
    "bind",
    "evaluate",
    "reconcile",
    "tick",
]

_MOMENT, _LOOK = timedelta(microseconds=1), timedelta(minutes=1)
_GONE = {  # reason → what is said instead of the rule's summary
    "rule removed": {"de": "Die Regel gibt es nicht mehr.", "en": "The rule no longer exists."},
    "place removed": {"de": "Den Ort gibt es nicht mehr.", "en": "The place no longer exists."},
    "device removed": {"de": "Das Gerät gibt es nicht mehr.", "en": "The device no longer exists."},
    "gateway removed": {"de": "Das Gateway gibt es nicht mehr.", "en": "The gateway no longer exists."},
    "gateway out of service": {
        "de": "Das Gateway ist seit 30 Tagen still und gilt als abgebaut.",
        "en": "The gateway has been silent for 30 days and counts as taken down.",
    },
    "no longer watched": {
        "de": "Die Regel gilt hier nicht mehr.",
        "en": "The rule no longer applies here.",
    },
}


def evaluate(rules: BoundRules, state: EngineState, observations: Iterable[Observation]) -> Evaluation:
    """What new data changes. A value counts only if it is newer than the last one of its series."""
    view = View(rules, state)
    for observation in observations:
        _observe(view, observation)
    return view.evaluation()


def tick(rules: BoundRules, state: EngineState, now: datetime) -> Evaluation:
    """What mere passing of time changes until ``now``: `for` durations, silence, ages.

    It never says that something is over; only a gateway that was taken away is missed no more. In the order of time;
    at the same moment, what others depend on comes before them.
    """
    agenda = state.agenda
    if agenda is None or agenda.rules is not rules:
        agenda = state.agenda = _agenda(rules, state, now)
    view = View(rules, state)
    queue = [(agenda.due[key], rules.ranks.get(key.rule, 0), key) for key in agenda.settle(now)]
    heapify(queue)
    while queue:
        time, rank, key = heappop(queue)
        due = _advance(view, rules.instances[key], time, None)
        if due is not None and due <= now:
            heappush(queue, (due, rank, key))
        elif key in view.instances:
            view.due[key] = due
        else:
            agenda.set(key, due)  # nothing to commit, so nothing that could fail
    view.transitions.sort(key=lambda transition: transition.time)
    return view.evaluation()


def reconcile(rules: BoundRules, state: EngineState, now: datetime) -> Evaluation:
    """Close what nobody watches any more: the rule, the place, device or gateway is gone. At start and reload."""
    view = View(rules, state)
    for key, alert in state.instances.items():
        reason = rules.reason_gone(key)
        if reason is not None:
            _end(view, key, alert, now, reason)
    return view.evaluation()


def _end(view: View, key: AlertKey, alert: AlertState, now: datetime, reason: str) -> None:
    """Not the data end it."""
    view.instances[key] = None
    rule, at = view.rules.rules.get(key.rule), max(now, alert.looked_at)
    _note_end(view, key, alert, at)
    view.transitions.append(
        Transition(
            key=key,
            kind="resolved" if alert.phase == "firing" else "dropped",
            time=at,
            since=alert.since,
            rule_version=rule.version if rule is not None else "",
            summary=_GONE[reason],
            reason=reason,
        )
    )


def _note_end(view: View, key: AlertKey, alert: AlertState, at: datetime) -> None:
    """Those that waited for it count from now on."""
    if alert.fired_at is not None and not alert.eased and key.rule in view.rules.muting:
        view.ended[key] = (*view.ended.get(key, ()), Span(alert.fired_at, at))


def _agenda(rules: BoundRules, state: EngineState, now: datetime) -> Agenda:
    agenda = Agenda(rules)
    view = View(rules, state)
    for key, instance in rules.instances.items():
        alert = state.instances.get(key)
        if instance.crossings or instance.active is not None or alert is not None:
            seen = max(now, _last_heard(view, instance) or now)
            due = _next_due(view, instance, alert, seen, after=None)
            if alert is None and instance.active is not None:  # we may have been away when its hours began
                due = instance.active.last_opening(seen) or due
            agenda.set(key, now if alert is not None and alert.muted_by else due)
    return agenda


def _last_heard(view: View, instance: Instance) -> datetime | None:
    """Data may be ahead of the clock; what it has shown, a look at an earlier time must not take back."""
    heard = [(i, view.heard(i.device_id)) for i in instance.installations]
    return max((time for i, time in heard if time is not None and i.in_force(time)), default=None)


# -- one observation --------------------------------------------------------------------------------------------


def _observe(view: View, observation: Observation) -> None:
    """All values of one time go in before the conditions that use them are looked at."""
    device_id, time = observation.device_id, observation.time
    watchers = view.rules.watchers.get(device_id)
    view.looks.clear()
    touched: dict[Instance, list[Series]] = {}
    if observation.gateway:
        for instance in _gateway_works(view, observation):
            touched.setdefault(instance, [])
    for series in _take_values(view, observation, watchers):
        place = view.rules.directory.place_at(device_id, series[1], time)
        for instance in watchers.by_metric.get(series[2], ()) if watchers is not None else ():
            if instance.place is None or (place is not None and place.id == instance.place.id):
                touched.setdefault(instance, []).append(series)
        if watchers is not None and (zones := watchers.by_zone.get(series[2])):
            for instance in _around(view, zones, series, time):
                touched.setdefault(instance, [])
    for instance in _heard_again(view, device_id, time, watchers) if device_id else ():
        touched.setdefault(instance, [])
    if observation.gateways:
        for instance in _gateways_back(view, observation):
            touched.setdefault(instance, [])
    for instance, fresh in touched.items():
        due = _advance(view, instance, time, fresh)
        if due is not None or instance.crossings or instance.key in view.instances:
            view.due[instance.key] = due


def _heard_again(view: View, device_id: int, time: datetime, watchers: Watchers | None) -> Iterator[Instance]:
    """Whose silence is over."""
    heard = view.heard(device_id)
    if heard is not None and time <= heard:
        return
    view.last_heard[device_id] = time
    for instance in watchers.by_silence if watchers is not None else ():
        if instance.quiet_at_uplink and view.is_at_rest(instance.key):
            continue  # nearly every uplink: nothing begins or ends by it, and its timer may ring too early
        if instance.device is not None or any(
            i.device_id == device_id and i.in_force(time) for i in instance.installations
        ):
            yield instance


def _around(view: View, zones: Sequence[BoundZone], series: Series, time: datetime) -> Iterator[Instance]:
    """Whom the value concerns that is told at another place of a zone. Nothing begins there as long as no place says
    anything else than before."""
    place = view.rules.directory.place_at(series[0], series[1], time)
    for zone in zones:
        if place is None or place.id not in zone.places:
            continue
        values = look(view, zone, time).values
        changed = view.said.get(zone, view.state.said.get(zone)) != values
        if changed:
            view.said[zone] = values
        for instance in zone.instances:
            if instance.place is not place and (changed or view.instance(instance.key) is not None):
                yield instance


def _gateways_back(view: View, observation: Observation) -> Iterator[Instance]:
    """Whose alert may end, now that its gateway has heard something. Nearly always nobody's."""
    for gateway_id in view.hearing.hear(observation.device_id, observation.gateways, observation.time):
        yield from _listeners(view, gateway_id, is_own=False)


def _gateway_works(view: View, observation: Observation) -> Iterator[Instance]:
    if view.hearing.tell(observation.gateway, observation.time):
        yield from _listeners(view, observation.gateway, is_own=True)


def _listeners(view: View, gateway_id: int, *, is_own: bool) -> Iterator[Instance]:
    for instance in view.rules.listeners.get(gateway_id, ()):
        at_rest = instance.quiet_at_uplink and view.is_at_rest(instance.key)
        if instance.rule.for_each.is_own == is_own and not at_rest:
            yield instance


def _take_values(view: View, observation: Observation, watchers: Watchers | None) -> list[Series]:
    """Returns the series that have a newer value now; one that is late counts in windows only."""
    device_id, time = observation.device_id, observation.time
    fresh = []
    for channel, metric, value in observation.values:
        series = (device_id, channel, metric)
        if watchers is not None and (span := watchers.spans.get(metric)) is not None:
            view.keep(series, (value, time), span)
        before = view.reading(series)
        if before is None:
            view.add_series(series)
        elif time <= before[1]:
            continue
        view.latest[series] = (value, time)
        fresh.append(series)
    return fresh


# -- one instance at one moment -----------------------------------------------------------------------------------


def _advance(view: View, instance: Instance, at: datetime, fresh: Sequence[Series] | None) -> datetime | None:
    """Look at one instance, note what changes; returns when to look again without data.

    ``fresh``: the series with a new value; None where only time has passed.
    """
    key, rule = instance.key, instance.rule
    known = before = view.instance(key)
    if fresh is not None and surely_changes_nothing(view, instance, before, at):
        return None
    if before is not None and instance.gateway is not None and _is_out_of_service(view, instance, at):
        _end(view, key, before, at, "gateway out of service")
        return None
    if before is not None and rule.depends_on and before.phase == "pending":
        muted = muted_until(view, instance, at)
        if muted is not None and before.since < muted:  # its time begins anew
            before = AlertState("pending", muted, 0)
    if before is not None:  # data may be a moment older than the tick that came before it
        at = max(at, before.looked_at)
    moment = Moment(view, instance, at, fresh or ())
    at = moment.at
    if before is not None and before.phase == "pending" and instance.active is not None:
        before = _until_closing(view, instance, before, at)
    verdict = moment.verdict(
        firing=before is not None and before.phase == "firing", is_data=fresh is not None
    )
    at = moment.at
    after, kind = advance_alert(before, rule.timing, verdict, at)
    if kind == "fired" and after is not None and (explained := muted_by(view, instance, at)):
        after = waiting(after, explained)
        kind = None if before is not None and before.phase == "pending" else "pending"
    if after != known:
        view.instances[key] = after
    if before is not None and kind in ("resolved", "eased"):
        _note_end(view, key, before, at)
    if kind is not None:
        alert = after or before
        assert alert is not None
        step = Transition(
            key=key,
            kind=kind,
            time=at,
            since=alert.since,
            rule_version=rule.version,
            stage=min(alert.stage, len(rule.stages) - 1),
        )
        if kind in TOLD:
            step = _in_words(step, instance, moment, _mark_of(before, alert, kind, verdict, at))
        view.transitions.append(step)
    if not (instance.crossings or rule.hold.duration or rule.timing.keep or instance.active is not None):
        return None
    return _next_due(view, instance, after, at, after=at)


def _until_closing(view: View, instance: Instance, pending: AlertState, at: datetime) -> AlertState | None:
    """Its hours ended before ``at``: it did not fire, whatever has begun since then."""
    assert instance.active is not None
    closing = instance.active.next_change(pending.since)
    if closing is None or closing > at:
        return pending
    key, version = instance.key, instance.rule.version
    view.instances[key] = None
    view.transitions.append(Transition(key, "dropped", closing, pending.since, version))
    return None


def _in_words(step: Transition, instance: Instance, moment: Moment, mark: Mark) -> Transition:
    """The step with all that people hear of it."""
    rule, facts = instance.rule, moment.facts(step.stage)
    told = replace(step, inputs=moment.inputs(), summary=summaries(rule, facts))
    if step.kind not in BEGINS:
        return told
    slots = moment.slots()
    return replace(
        told,
        limits=limits_of(rule, slots),
        because=because(rule, step.stage, facts, slots, mark, moment.at),
    )


def _mark_of(
    before: AlertState | None, alert: AlertState, kind: Kind, verdict: Verdict, at: datetime
) -> Mark:
    """Since when what was reached has held; the state itself forgets it with the step."""
    stage = alert.stage
    if kind == "fired" and not stage:
        return Mark(alert.since, alert.readings)
    rising = before.rising if before is not None else ()
    mark = rising[stage] if stage < len(rising) else None
    if mark is None:
        return Mark(at, 1)
    return Mark(mark.since, mark.readings + (stage < len(verdict.readings) and verdict.readings[stage]))


def _next_due(
    view: View, instance: Instance, alert: AlertState | None, at: datetime, *, after: datetime | None
) -> datetime | None:
    """The first time (later than ``after``) at which a look without new data may change something."""
    found = []
    if (due := due_of(alert, instance.rule.timing)) is not None:
        found.append(due)
    if instance.active is not None and (alert is None or alert.phase == "pending"):
        change = instance.active.next_change(at if alert is None else alert.since)
        found += [] if change is None else [change]
    if instance.gateway is not None:
        found += _looks_at_gateway(view, instance, alert, at)
    elif alert is None or alert.phase == "pending" or _may_rise(alert, instance):
        for slot, offset in instance.crossings:
            begin = begin_of(view, instance, slot, at)
            if begin is not None:
                found.append(begin + offset)
        if instance.plan.silence is not None:
            found += _changes_after(instance, at)
    return min((due for due in found if after is None or due > after), default=None)


def _looks_at_gateway(
    view: View, instance: Instance, alert: AlertState | None, at: datetime
) -> Iterator[datetime]:
    assert instance.gateway is not None
    last = last_sign(view, instance)
    if last is None:
        return
    yield last + OUT_OF_SERVICE + _MOMENT
    if at - last > OUT_OF_SERVICE or not (
        alert is None or alert.phase == "pending" or _may_rise(alert, instance)
    ):
        return
    usual = usual_of(view, instance) + _MOMENT
    for _slot, offset in instance.crossings:
        yield last + max(offset, usual)
        if usual > offset:  # by then it may have become less; receptions do not set the timer anew
            yield at + max(offset, _LOOK)


def _is_out_of_service(view: View, instance: Instance, at: datetime) -> bool:
    last = last_sign(view, instance)
    return last is not None and at - last > OUT_OF_SERVICE


def _may_rise(alert: AlertState, instance: Instance) -> bool:
    return alert.phase == "firing" and (alert.eased or alert.stage + 1 < len(instance.rule.stages))


def _changes_after(instance: Instance, at: datetime) -> Iterator[datetime]:
    """When a sensor is to be mounted or taken down: from then on the silence counts from another time."""
    for installation in instance.installations:
        for time in (installation.valid_from, installation.valid_to):
            if time is not None and time > at:
                yield time
