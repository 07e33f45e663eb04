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
    """``quantity`` "": the minutes since the sensor was heard."""

    quantity: str
    stages: tuple[Holds, ...]  # the lowest first
    clears: Holds
    readings: int = 0
    minutes: int = 0
    keep: int = 0
    by_hand: bool = False


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
        for name, rule in self.rules.items():
            alert = self.alerts.get(name)
            if alert is not None and alert.phase == "closed":
                continue
            if alert is None and rule.quantity:
                continue  # time begins nothing of what is measured
            told = (
                self.values[rule.quantity][0] if rule.quantity else self.heard
            )  # what other messages said is no look
            known = [told, alert.looked_at if alert is not None else None]
            begin = max((time for time in known if time is not None), default=now)
            for minute in range(begin + 1, now + 1):
                self._look(name, minute, is_data=False)

    def use(self, rules: Mapping[str, RuleMeaning], now: int) -> None:
        """Other rules; the alerts of those that are gone end."""
        self.rules = rules
        for name in [name for name in self.alerts if name not in rules]:
            alert = self.alerts.pop(name)
            if alert.phase == "firing":
                self.log.append((name, "resolved", max(now, alert.looked_at), alert.stage))

    def close(self, name: str, now: int) -> None:
        alert = self.alerts[name]
        assert alert.fired is not None
        time = max(now, alert.fired)
        self.log.append((name, "resolved", time, alert.stage))
        self.alerts[name] = Alert("closed", begun=time)

    # -- one look ---------------------------------------------------------------------------------------------------

    def _look(self, name: str, minute: int, *, is_data: bool) -> None:
        rule, alert = self.rules[name], self.alerts.get(name)
        if alert is not None:
            minute = max(minute, alert.looked_at)
            if alert.phase == "closed":
                if not is_data or minute <= alert.begun:
                    return
                alert = None
                del self.alerts[name]
        value = self._value(rule, minute)
        if value is None:
            return
        top = max((n for n, holds in enumerate(rule.stages) if holds(value)), default=-1)
        counts = int(is_data and bool(rule.quantity))
        if alert is None:
            if top < 0:
                return
            alert = self.alerts[name] = Alert("pending", begun=minute)
        if alert.phase == "pending":
            if top < 0:
                del self.alerts[name]
                return
            self._mark(alert, 0, top, counts, minute)
            self._reach(name, rule, alert, minute, "fired")
            return
        lowest = 0 if alert.eased else alert.stage + 1
        self._mark(alert, lowest, top, counts, minute)
        if self._reach(name, rule, alert, minute, "returned" if alert.eased else "raised"):
            return
        if top >= 0 or not rule.clears(value):
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
            del self.alerts[name]
            self.log.append((name, "resolved", minute, alert.stage))

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
        stage = max(over)
        marks = {number: mark for number, mark in alert.marks.items() if number > stage}
        fired = minute if kind == "fired" else alert.fired
        self.alerts[name] = replace(
            alert, phase="firing", marks=marks, fired=fired, stage=stage, clearing=None, eased=False
        )
        self.log.append((name, kind, minute, stage))
        return True
