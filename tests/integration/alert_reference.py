"""The life of the alerts of ``test_alert_machine.py``, written a second time and as plainly as can be.

One place with one sensor; whole minutes; one look at every minute instead of timers. It has nothing in common with the
engine but what docs/rules.md says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

Holds = Callable[[float], bool]
STAGED = ("fired", "raised", "returned")


@dataclass(frozen=True)
class RuleMeaning:
    """``quantity`` "": the minutes since the sensor was heard. ``clears`` None: what holds no more is clear."""

    quantity: str
    stages: tuple[Holds, ...]  # the lowest first
    clears: Holds | None
    readings: int = 0
    minutes: int = 0
    keep: int = 0
    by_hand: bool = False
    is_open: Callable[[int], bool] | None = None  # its hours, by minute
    depends_on: str = ""  # a rule that stands before it


@dataclass
class Mark:
    since: int
    readings: int = 0


@dataclass
class Alert:
    phase: str  # pending | firing | closed
    marks: dict[int, Mark] = field(default_factory=dict)  # of the stages that are not reached
    begun: int = 0
    fired: int | None = None
    stage: int = 0
    clearing: int | None = None
    eased: bool = False
    is_muted: bool = False  # it would have fired

    @property
    def looked_at(self) -> int:
        known = [self.begun, self.fired, self.clearing, *(mark.since for mark in self.marks.values())]
        return max(time for time in known if time is not None)


@dataclass
class Reference:
    rules: Mapping[str, RuleMeaning]
    values: dict[str, tuple[int, float]] = field(default_factory=dict)
    heard: int | None = None
    alerts: dict[str, Alert] = field(default_factory=dict)
    spans: dict[str, tuple[int, int]] = field(
        default_factory=dict
    )  # when an alert that is over was last open
    changed: dict[str, int] = field(default_factory=dict)  # when an alert last began or ended, or was dropped
    is_new: bool = True  # the service has just started, or has just read its rules
    log: list[tuple[str, str, int, int]] = field(default_factory=list)  # rule, kind, minute, stage

    # -- what happens -----------------------------------------------------------------------------------------------

    def see(self, minute: int, values: Mapping[str, float]) -> None:
        fresh = set()
        for quantity, value in values.items():
            if quantity not in self.values or minute > self.values[quantity][0]:
                self.values[quantity] = (minute, value)
                fresh.add(quantity)
        if self.heard is None or minute > self.heard:
            self.heard = minute
            fresh.add("")
        for name, rule in self.rules.items():
            if rule.quantity in fresh:
                self._look(name, minute, is_data=True)

    def tick(self, now: int) -> None:
        begins = {name: self._begin(name, rule, now) for name, rule in self.rules.items()}
        waiting = [name for name, alert in self.alerts.items() if alert.is_muted and self.is_new]
        self.is_new = False
        for minute in range(min(begins.values()) + 1, now + 1):
            for name, rule in self.rules.items():
                if minute > begins[name] and self._is_looked_at(name, rule, minute):
                    self._look(name, minute, is_data=False)
        for name in waiting:
            self._look(name, now, is_data=False)

    def _begin(self, name: str, rule: RuleMeaning, now: int) -> int:
        """The last minute of which everything is known; what messages about something else said is no look."""
        alert = self.alerts.get(name)
        told = self.values.get(rule.quantity, (None,))[0] if rule.quantity else self.heard
        if alert is not None and alert.is_muted:
            begin = now if self.is_new else self.changed.get(rule.depends_on, 0) - 1
            return max(begin, alert.looked_at, *(() if told is None else (told,)))
        if alert is None and rule.is_open is not None:
            if told is None:
                return now
            if self.is_new:
                return self._last_opening(rule.is_open, max(now, told)) - 1
            return max(told, self.changed.get(name, told))
        known = [told, alert.looked_at if alert is not None else None]
        return max((time for time in known if time is not None), default=now)

    def _last_opening(self, is_open: Callable[[int], bool], minute: int) -> int:
        while not (is_open(minute) and not is_open(minute - 1)):
            minute -= 1
        return minute

    def _is_looked_at(self, name: str, rule: RuleMeaning, minute: int) -> bool:
        """Of what is measured, time begins nothing; only hours do that begin."""
        alert = self.alerts.get(name)
        if alert is None and rule.is_open is not None:
            return rule.is_open(minute) and not rule.is_open(minute - 1)
        return not rule.quantity if alert is None else alert.phase != "closed"

    def use(self, rules: Mapping[str, RuleMeaning], now: int) -> None:
        """Other rules; the alerts of those that are gone end."""
        self.rules, self.is_new = rules, True
        for name in [name for name in self.alerts if name not in rules]:
            alert = self.alerts.pop(name)
            if alert.phase == "firing":
                self.log.append((name, "resolved", max(now, alert.looked_at), alert.stage))

    def close(self, name: str, now: int) -> None:
        alert = self.alerts[name]
        assert alert.fired is not None
        time = max(now, alert.fired)
        self._end(name, alert, time)
        self.alerts[name] = Alert("closed", begun=time)
        self.is_new = True  # what a person did is read from the database, with all the rest

    def _end(self, name: str, alert: Alert, minute: int) -> None:
        self.log.append((name, "resolved", minute, alert.stage))
        self._gone(name, minute)
        assert alert.fired is not None
        self.spans[name] = (alert.fired, minute)

    def _gone(self, name: str, minute: int) -> None:
        del self.alerts[name]
        self.changed[name] = minute

    # -- one look ---------------------------------------------------------------------------------------------------

    def _look(self, name: str, minute: int, *, is_data: bool) -> None:
        rule, alert = self.rules[name], self.alerts.get(name)
        if is_data:
            self.changed.pop(name, None)
        if alert is not None and alert.phase == "pending":
            alert = self._not_muted_until(rule, alert, minute)
        if alert is not None:
            minute = max(minute, alert.looked_at)
            if alert.phase == "closed":
                if not is_data or minute <= alert.begun:
                    return
                alert = None
                del self.alerts[name]
        if rule.quantity and rule.quantity in self.values:
            minute = max(minute, self.values[rule.quantity][0])
        is_open = rule.is_open is None or rule.is_open(minute)
        if rule.is_open is not None and alert is not None and alert.phase == "pending":
            closed = [at for at in range(alert.begun + 1, minute + 1) if not rule.is_open(at)]
            if closed:
                self._gone(name, closed[0])
                alert = None
        value = self._value(rule, minute)
        if value is None:
            return
        top = max((n for n, holds in enumerate(rule.stages) if is_open and holds(value)), default=-1)
        counts = int(is_data and bool(rule.quantity))
        if alert is None:
            if top < 0:
                return
            alert = self.alerts[name] = Alert("pending", begun=minute)
        if alert.phase == "pending":
            if top < 0:
                self._gone(name, minute)
                return
            self._mark(alert, 0, top, counts, minute)
            self._reach(name, rule, alert, minute, "fired")
            return
        lowest = 0 if alert.eased else alert.stage + 1
        self._mark(alert, lowest, top, counts, minute)
        if self._reach(name, rule, alert, minute, "returned" if alert.eased else "raised"):
            return
        if top >= 0 or not (rule.clears is None or rule.clears(value)):
            alert.clearing = None
            return
        if alert.eased or not (is_data or alert.clearing is not None):
            return
        if alert.clearing is None:
            alert.clearing = minute
        if minute - alert.clearing < rule.keep:
            return
        alert.clearing = None
        if rule.by_hand:
            alert.eased = True
            self.log.append((name, "eased", minute, alert.stage))
        else:
            self._end(name, alert, minute)

    def _not_muted_until(self, rule: RuleMeaning, alert: Alert, minute: int) -> Alert:
        """Since the end of what explained it, everything counts anew."""
        if rule.depends_on in self.spans:
            end = self.spans[rule.depends_on][1]
            if alert.begun < end <= minute:
                alert.begun, alert.marks, alert.is_muted = end, {0: Mark(end)}, False
        return alert

    def _is_explained(self, rule: RuleMeaning) -> bool:
        """By an alert that is open, or waits only for its time."""
        other = self.alerts.get(rule.depends_on)
        if other is None or other.phase == "closed":
            return False
        first = self.rules[rule.depends_on]
        waits = other.phase == "pending" and first.minutes and other.marks[0].readings >= first.readings
        return other.phase == "firing" or bool(waits)

    def _value(self, rule: RuleMeaning, minute: int) -> float | None:
        if rule.quantity:
            known = self.values.get(rule.quantity)
            return known[1] if known is not None else None
        return minute - self.heard if self.heard is not None else None

    def _mark(self, alert: Alert, lowest: int, top: int, counts: int, minute: int) -> None:
        for stage in list(alert.marks):
            if stage < lowest or stage > top:
                del alert.marks[stage]
        for stage in range(lowest, top + 1):
            alert.marks.setdefault(stage, Mark(minute)).readings += counts

    def _reach(self, name: str, rule: RuleMeaning, alert: Alert, minute: int, kind: str) -> bool:
        over = [
            stage
            for stage, mark in alert.marks.items()
            if mark.readings >= rule.readings and minute - mark.since >= rule.minutes
        ]
        if not over:
            return False
        if kind == "fired" and rule.depends_on and self._is_explained(rule):
            alert.marks, alert.is_muted = {0: alert.marks[0]}, True
            return False
        stage = max(over)
        marks = {number: mark for number, mark in alert.marks.items() if number > stage}
        fired = minute if kind == "fired" else alert.fired
        self.alerts[name] = replace(
            alert,
            phase="firing",
            marks=marks,
            fired=fired,
            stage=stage,
            clearing=None,
            eased=False,
            is_muted=False,
        )
        if kind == "fired":
            self.changed[name] = minute
        self.log.append((name, kind, minute, stage))
        return True
