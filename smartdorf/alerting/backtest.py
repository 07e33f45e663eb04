"""What rules would have told: the engine of the service over what is stored.

Pure: the caller reads the stored moments, oldest first, and puts them in. Time goes on between them as it does in the
service, so that timers fire when they are due and not at the next message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from smartdorf.alerting.engine import (
    AlertKey,
    BoundRules,
    EngineState,
    Evaluation,
    Observation,
    bind,
    evaluate,
    reconcile,
    tick,
)
from smartdorf.config.calendar import Calendar
from smartdorf.config.rule import Rule
from smartdorf.directory import Directory, Installation
from smartdorf.errors import Problem

# It begins so much earlier than was asked for, so that timers and alerts are by then what they would have been.
WARM_UP = timedelta(days=15)


class Stored(NamedTuple):
    """All that is stored of one device and one time."""

    time: datetime
    device_id: int
    heard: bool  # there is an uplink of that time
    readable: bool  # it was decoded, so it may have brought records
    recorded: bool  # the values are a device's records: measured earlier than they were sent
    values: tuple[tuple[int, str, float], ...]  # channel, quantity, value


class Arrivals:
    """The order in which values came in: a device's records with the message that brought them.

    Which one that was is not stored: it is the device's next one that could be read, unless that was lost.
    """

    def __init__(self, heard: Mapping[int, tuple[datetime, datetime]]) -> None:
        """``heard``: the first and the last uplink that is stored of each device."""
        self._heard = heard
        self._held: dict[int, list[Observation]] = {}

    def of(self, stored: Stored) -> Sequence[Observation]:
        """What comes in at this moment; nothing, for records whose message is still to come."""
        time, device_id, heard, readable, recorded, values = stored
        observation = Observation(device_id, time, values)
        if recorded and not heard and device_id in self._heard:
            first, last = self._heard[device_id]
            if first < time < last:
                self._held.setdefault(device_id, []).append(observation)
                return ()
        if readable and device_id in self._held:
            return [*self._held.pop(device_id), observation]
        return [observation]


class Alert(Struct):
    """One alert that would have been. ``resolved_at`` None: at the end it still was."""

    key: AlertKey
    fired_at: datetime
    summary: Mapping[str, str]  # by language
    resolved_at: datetime | None = None
    tell_at: datetime | None = None  # where it has to wait: until when

    @property
    def is_told(self) -> bool:
        """It is not over before it may be told."""
        return self.tell_at is None or self.resolved_at is None or self.resolved_at > self.tell_at

    def lasted(self, end: datetime) -> timedelta:
        return (self.resolved_at or end) - self.fired_at


class Result(NamedTuple):
    """Of one rule, in the order of their beginning: the alerts of the time, and those that were there before it."""

    rule: Rule
    watched: int  # places or devices
    alerts: Sequence[Alert]
    already_open: Sequence[Alert]


class Backtest:
    """One set of rules over the past: put everything in with ``see``, oldest first, then ask for the ``results``.

    Places, devices and their limits (the learned ones too) are what they are today, but every device is where it was:
    what has been taken down since is watched until then. What a person would have to close ends when it is clear.
    Rules about gateways are left out: who heard what is not read.
    """

    def __init__(
        self,
        rules: Collection[Rule],
        directory: Directory,
        categories: Mapping[str, str],
        intervals: Mapping[str, timedelta] | None = None,
        *,
        since: datetime,
        until: datetime,
        calendar: Calendar | None = None,
    ) -> None:
        ending = [
            replace(rule, timing=rule.timing._replace(by_hand=False))
            for rule in rules
            if rule.for_each.kind != "gateway"
        ]
        self._since = since
        self._until = until
        (_begin, first), *later = [
            (time, bind(ending, known, categories, calendar=calendar, intervals=intervals))
            for time, known in _as_known(directory, since - WARM_UP, until)
        ]
        self._bound: BoundRules = first
        self._later = deque(later)
        self._state = EngineState()
        self._open: dict[AlertKey, Alert] = {}
        self._alerts: list[Alert] = []
        self._watched = {key for bound in (first, *self._all_later()) for key in bound.instances}
        # whose data, and which, concern the rules
        self.devices = {device for bound in (first, *self._all_later()) for device in bound.watchers}
        self.quantities = {quantity for rule in rules for quantity in rule.quantities}
        self.problems: tuple[Problem, ...] = first.problems

    def _all_later(self) -> Iterator[BoundRules]:
        return (bound for _time, bound in self._later)

    def see(self, time: datetime, observations: Sequence[Observation]) -> None:
        """Time goes on to ``time``; then these come in."""
        self._pass(time)
        if observations:
            self._apply(evaluate(self._bound, self._state, observations))

    def results(self) -> list[Result]:
        """Let the rest of the time pass; what would have been told, by rule."""
        self._pass(self._until)
        alerts: dict[str, list[Alert]] = {name: [] for name in self._bound.rules}
        already: dict[str, list[Alert]] = {name: [] for name in alerts}
        for alert in sorted(self._alerts, key=lambda alert: (alert.fired_at, alert.key)):
            if alert.fired_at >= self._since:
                alerts[alert.key.rule].append(alert)
            elif alert.resolved_at is None or alert.resolved_at >= self._since:
                already[alert.key.rule].append(alert)
        watched = dict.fromkeys(alerts, 0)
        for key in self._watched:
            watched[key.rule] += 1
        return [
            Result(rule, watched[name], alerts[name], already[name])
            for name, rule in self._bound.rules.items()
        ]

    def _pass(self, time: datetime) -> None:
        while self._later and self._later[0][0] <= time:
            change, bound = self._later.popleft()
            self._apply(tick(self._bound, self._state, change))
            self._bound = bound
            self._apply(reconcile(bound, self._state, change))
        agenda = self._state.agenda
        if agenda is None or agenda.is_due(time):
            self._apply(tick(self._bound, self._state, time))

    def _apply(self, evaluation: Evaluation) -> None:
        self._state.apply(evaluation)
        for transition in evaluation.transitions:
            key, time = transition.key, transition.time
            if transition.kind == "fired":
                tell_at = self._bound.tell_at(key.rule, time)
                alert = Alert(key, time, transition.summary, tell_at=tell_at if tell_at > time else None)
                self._open[key] = alert
                self._alerts.append(alert)
            elif transition.kind == "resolved":
                self._open.pop(key).resolved_at = time


def _as_known(directory: Directory, begin: datetime, until: datetime) -> Iterator[tuple[datetime, Directory]]:
    """The directory as it was known at ``begin``, and anew from each time on at which a device went out of service.

    Until then nobody knew that it would: rules about devices watch those only that are in service.
    """
    by_device: dict[int, list[Installation]] = {}
    for installation in directory.installations:
        by_device.setdefault(installation.device_id, []).append(installation)
    ends = {
        device_id: max(i.valid_to for i in group if i.valid_to is not None)
        for device_id, group in by_device.items()
        if all(i.valid_to is not None for i in group)
    }
    for time in [begin, *sorted({end for end in ends.values() if begin < end <= until})]:
        yield (
            time,
            Directory(
                directory.places,
                directory.devices,
                tuple(
                    replace(i, valid_to=None)
                    if i.valid_to is not None and i.valid_to == ends.get(i.device_id) and i.valid_to > time
                    else i
                    for i in directory.installations
                ),
            ),
        )


# -- two sets of rules ------------------------------------------------------------------------------------------------


class Shift(NamedTuple):
    """The same alert with both rules, but it begins at another time."""

    before: Alert
    after: Alert

    @property
    def by(self) -> timedelta:
        """Negative: the new rule tells earlier."""
        return self.after.fired_at - self.before.fired_at


class Comparison(NamedTuple):
    """What becomes of the alerts of one rule. ``before`` or ``after`` None: there is no such rule there.

    ``same`` begin at the same moment; ``joined`` are parts of an alert that now is one, ``split`` the other way round.
    """

    name: str  # of the rule
    before: Result | None
    after: Result | None
    same: int
    shifted: Sequence[Shift]
    lost: Sequence[Alert]
    new: Sequence[Alert]
    joined: int
    split: int


def compare(before: Sequence[Result], after: Sequence[Result], end: datetime) -> list[Comparison]:
    """Rule by rule. Alerts at the same place are the same where their times overlap."""
    old = {result.rule.name: result for result in before}
    fresh = {result.rule.name: result for result in after}
    return [_compare(name, old.get(name), fresh.get(name), end) for name in {**old, **fresh}]


def _compare(name: str, before: Result | None, after: Result | None, end: datetime) -> Comparison:
    old, fresh = _by_subject(before), _by_subject(after)
    shifts: list[Shift] = []
    lost: list[Alert] = []
    new: list[Alert] = []
    joined = split = 0
    for key in {**old, **fresh}:
        rest_old, rest_new = old.get(key, []), fresh.get(key, [])
        pairs = _pairs(rest_old, rest_new, end)
        shifts += pairs
        paired = {id(alert) for pair in pairs for alert in pair}
        for rest, others, result, gone in (
            (rest_old, rest_new, after, lost),
            (rest_new, rest_old, before, new),
        ):
            earlier = [a for a in (result.already_open if result is not None else ()) if a.key == key]
            for alert in rest:
                if id(alert) in paired:
                    continue
                if not any(_overlap(alert, other, end) for other in (*others, *earlier)):
                    gone.append(alert)
                elif gone is lost:
                    joined += 1
                else:
                    split += 1
    moved = [shift for shift in shifts if shift.by]
    return Comparison(
        name,
        before,
        after,
        len(shifts) - len(moved),
        sorted(moved, key=lambda shift: (shift.before.fired_at, shift.before.key)),
        sorted(lost, key=_begin),
        sorted(new, key=_begin),
        joined,
        split,
    )


def _pairs(old: Sequence[Alert], new: Sequence[Alert], end: datetime) -> list[Shift]:
    """Of one subject, both in the order of time: each alert with the first that overlaps it and has no other yet."""
    found: list[Shift] = []
    left = deque(new)
    for alert in old:
        while left and not _overlap(alert, left[0], end) and left[0].fired_at < alert.fired_at:
            left.popleft()
        if left and _overlap(alert, left[0], end):
            found.append(Shift(alert, left.popleft()))
    return found


def _overlap(one: Alert, other: Alert, end: datetime) -> bool:
    return one.fired_at <= (other.resolved_at or end) and other.fired_at <= (one.resolved_at or end)


def _by_subject(result: Result | None) -> dict[AlertKey, list[Alert]]:
    found: dict[AlertKey, list[Alert]] = {}
    for alert in result.alerts if result is not None else ():
        found.setdefault(alert.key, []).append(alert)
    return found


def _begin(alert: Alert) -> tuple[datetime, AlertKey]:
    return alert.fired_at, alert.key
