"""What the engine remembers between two batches, and the changes that one evaluation makes to it.

The database holds the same (tables rule_state, measurement_latest, frame_gap): a restart reads it back. Only the
agenda, which timer is due when, is made anew from the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import NamedTuple

from msgspec import Struct

from smartdorf.alerting.bound import BoundRules
from smartdorf.alerting.hearing import Hearing, Listening
from smartdorf.alerting.state import AlertKey, AlertState, Transition
from smartdorf.alerting.windows import NOTHING, History, Reading
from smartdorf.alerting.zone_binding import BoundZone
from smartdorf.directory import Place

Series = tuple[int, int, str]  # device, channel, quantity


class Observation(Struct, frozen=True, gc=False):
    """What one device told of one moment: all its values of that time; none: it was heard, no more."""

    device_id: int
    time: datetime
    values: tuple[tuple[int, str, float], ...] = ()  # channel, quantity, value
    gateways: tuple[int, ...] = ()  # those that heard it
    gateway: int = 0  # it is no device that tells something, but this gateway that it works


class Span(NamedTuple):
    """From when to when an alert was open."""

    begin: datetime
    end: datetime


Spans = tuple[Span, ...]  # of one alert, the last ones, the oldest first
MOST_SPANS = 20  # of an alert that others wait for; two that explain something together overlap among these


class Look(NamedTuple):
    """What the places of a zone say at a moment. A place that is unknown has None; a condition gives 1 or 0."""

    asked: datetime
    at: datetime  # that of the newest value, where it is later than what was asked for
    newest: datetime | None
    values: Mapping[int, float | None]  # by the place's id

    def without(self, place: Place | None) -> list[float | None]:
        """The values of all but this one."""
        own = place.id if place is not None else None
        return [value for id_, value in self.values.items() if id_ != own]


class Changes(NamedTuple):
    """What is different after an evaluation. An instance that became inactive is None."""

    instances: dict[AlertKey, AlertState | None]
    latest: dict[Series, Reading]
    last_heard: dict[int, datetime]
    due: dict[AlertKey, datetime | None]
    history: dict[Series, History]
    said: Mapping[BoundZone, Mapping[int, float | None]] = {}  # by zones, where something has changed
    hearing: Listening | None = None
    ended: Mapping[AlertKey, Spans] = {}  # of alerts that others had waited for, the new ones


class Evaluation(NamedTuple):
    """The outcome of ``evaluate``, ``tick`` or ``reconcile``: commit it, then ``state.apply`` it."""

    rules: BoundRules
    changes: Changes
    transitions: list[Transition]

    @property
    def is_empty(self) -> bool:
        """There is nothing to write for the rules: no instance has changed."""
        return not self.changes.instances and not self.transitions


class Agenda:
    """Which instance is to be looked at when. A heap with one entry per instance, never later than its time."""

    def __init__(self, rules: BoundRules) -> None:
        self.rules = rules
        self.due: dict[AlertKey, datetime] = {}
        self._heap: list[tuple[datetime, AlertKey]] = []
        self._queued: dict[AlertKey, datetime] = {}

    def set(self, key: AlertKey, due: datetime | None) -> None:
        if due is None:
            self.due.pop(key, None)
            return
        self.due[key] = due
        queued = self._queued.get(key)
        if queued is None or due < queued:  # an entry that is too early is put right when its time comes
            self._queued[key] = due
            heappush(self._heap, (due, key))

    def is_due(self, now: datetime) -> bool:
        """Somebody may be; the way to "nobody" is short, as it is for nearly every message."""
        return bool(self._heap) and self._heap[0][0] <= now

    def settle(self, now: datetime) -> Collection[AlertKey]:
        """Those that are due until ``now``. They stay due until ``set`` says otherwise."""
        found = set()
        while self._heap and self._heap[0][0] <= now:
            time, key = heappop(self._heap)
            if self._queued.get(key) != time:
                continue  # an earlier entry of the same instance was put in later
            del self._queued[key]
            due = self.due.get(key)
            if due is not None and due > now:
                self.set(key, due)
            elif due is not None:
                found.add(key)
        for key in found:
            self.set(key, self.due[key])
        return found


class EngineState:
    """Instances that are not inactive, the newest value of each series, and when each device was last heard.

    ``history``: what the windows of rules reach of the series that they watch, oldest first.
    ``ended``: when alerts that others wait for were open lately.
    """

    def __init__(
        self,
        instances: Mapping[AlertKey, AlertState] | None = None,
        latest: Mapping[Series, Reading] | None = None,
        last_heard: Mapping[int, datetime] | None = None,
        history: Mapping[Series, History] | None = None,
        hearing: Hearing | None = None,
        ended: Mapping[AlertKey, Spans] | None = None,
    ) -> None:
        self.instances = dict(instances or {})
        self.latest = dict(latest or {})
        self.last_heard = dict(last_heard or {})
        self.history = dict(history or {})
        self.said: dict[BoundZone, Mapping[int, float | None]] = {}  # what the places of zones said last
        self.hearing = hearing or Hearing()
        self.ended = dict(ended or {})
        self.series: dict[
            tuple[int, str], tuple[Series, ...]
        ] = {}  # those of a device's quantity, by channel
        self.agenda: Agenda | None = None
        for series in self.latest:
            self._add_series(series)

    def _add_series(self, series: Series) -> None:
        of_quantity = (series[0], series[2])
        self.series[of_quantity] = tuple(sorted((*self.series.get(of_quantity, ()), series)))

    def apply(self, evaluation: Evaluation) -> None:
        """Make the changes: they are committed."""
        changes = evaluation.changes
        for series in changes.latest:  # the difference of both key sets would look at all that are known
            if series not in self.latest:
                self._add_series(series)
        self.latest.update(changes.latest)
        self.last_heard.update(changes.last_heard)
        self.history.update(changes.history)
        if changes.said:
            self.said.update(changes.said)
        if changes.hearing is not None:
            self.hearing.apply(changes.hearing)
        woken = self._end_of_muting(evaluation) if changes.instances else None
        for key, state in changes.instances.items():
            if state is None:
                self.instances.pop(key, None)
            else:
                self.instances[key] = state
        if self.agenda is not None and self.agenda.rules is evaluation.rules:
            for key, due in changes.due.items():
                self.agenda.set(key, due)
            if woken is not None:
                self._wake(self.agenda, woken)
        else:
            self.agenda = None
            self.said = dict(changes.said)  # what is known of the zones of another binding says nothing

    def _end_of_muting(self, evaluation: Evaluation) -> datetime | None:
        """From when on those that wait for other alerts are to be looked at; None where none of those has changed."""
        changes = evaluation.changes
        for key, spans in changes.ended.items():
            self._note_ended(key, *spans)
        times = []
        for key, after in changes.instances.items():
            before = self.instances.get(key)
            if key.rule not in evaluation.rules.muting or before is None:
                continue
            times += [step.time for step in evaluation.transitions if step.key == key]
            if before.fired_at is not None and after is not None and after.phase == "closed":  # by a person
                self._note_ended(key, Span(before.fired_at, after.since))
        return min(times, default=None)

    def _note_ended(self, key: AlertKey, *spans: Span) -> None:
        self.ended[key] = (*self.ended.get(key, ()), *spans)[-MOST_SPANS:]

    def _wake(self, agenda: Agenda, time: datetime) -> None:
        for key, alert in self.instances.items():
            if alert.muted_by and key in agenda.rules.instances:
                agenda.set(key, time)


class View:
    """The state as it is in the middle of an evaluation: what has changed lies over what was."""

    __slots__ = (
        "_new_series",
        "due",
        "ended",
        "hearing",
        "history",
        "instances",
        "last_heard",
        "latest",
        "looks",
        "rules",
        "said",
        "state",
        "transitions",
    )

    def __init__(self, rules: BoundRules, state: EngineState) -> None:
        self.rules = rules
        self.state = state
        self.instances: dict[AlertKey, AlertState | None] = {}
        self.latest: dict[Series, Reading] = {}
        self.last_heard: dict[int, datetime] = {}
        self.due: dict[AlertKey, datetime | None] = {}
        self.history: dict[Series, History] = {}
        self.transitions: list[Transition] = []
        self.said: dict[BoundZone, Mapping[int, float | None]] = {}
        self.looks: dict[int, Look] = {}  # of zones, by their number, until there are newer values
        self.hearing = Listening(state.hearing)
        self.ended: dict[AlertKey, Spans] = {}
        self._new_series: dict[tuple[int, str], tuple[Series, ...]] = {}

    def heard(self, device_id: int) -> datetime | None:
        return self.last_heard.get(device_id) or self.state.last_heard.get(device_id)

    def reading(self, series: Series) -> Reading | None:
        return self.latest.get(series) or self.state.latest.get(series)

    def history_of(self, series: Series) -> History:
        """Its values of the last time, as far as windows reach."""
        found = self.history.get(series)
        return self.state.history.get(series, NOTHING) if found is None else found

    def keep(self, series: Series, reading: Reading, span: timedelta) -> None:
        """Note a value for the windows, also one that comes late."""
        known = self.history.get(series)
        if known is None:
            known = self.state.history.get(series, NOTHING)
        self.history[series] = known.with_reading(reading, span)

    def instance(self, key: AlertKey) -> AlertState | None:
        return self.instances[key] if key in self.instances else self.state.instances.get(key)

    def is_at_rest(self, key: AlertKey) -> bool:
        """Inactive, and its next look is on the agenda (or will be, as soon as there is one)."""
        agenda = self.state.agenda
        return (agenda is None or key in agenda.due) and self.instance(key) is None

    def add_series(self, series: Series) -> None:
        of_quantity = (series[0], series[2])
        self._new_series[of_quantity] = (*self._new_series.get(of_quantity, ()), series)

    def series(self, device_id: int, metric: str) -> tuple[Series, ...]:
        """The series of a device's quantity: one per channel."""
        known = self.state.series.get((device_id, metric), ())
        if self._new_series and (new := self._new_series.get((device_id, metric))):
            return tuple(sorted((*known, *new)))
        return known

    def readings(self, device_id: int, metric: str) -> Iterator[tuple[Series, Reading]]:
        for series in self.series(device_id, metric):
            reading = self.reading(series)
            if reading is not None:
                yield series, reading

    def evaluation(self) -> Evaluation:
        changes = Changes(
            self.instances,
            self.latest,
            self.last_heard,
            self.due,
            self.history,
            self.said,
            self.hearing,
            self.ended,
        )
        return Evaluation(self.rules, changes, self.transitions)
