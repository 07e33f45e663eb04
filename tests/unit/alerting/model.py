"""What the rules of ``village.py`` ought to do, written a second time and as plainly as can be.

Minutes instead of times, one look at every minute instead of timers, everything looked up anew: slow, with nothing
in common with the engine but the rules' meaning (docs/rules.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from smartdorf.alerting.engine import Observation
from tests.unit.alerting.village import START

Series = tuple[int, int]  # device, channel
NEVER = -(10**9)


@dataclass(frozen=True)
class Mounted:
    """A device at a place, in minutes."""

    device: int
    place: int
    begin: int = NEVER
    end: int = 10**9

    def at(self, minute: int) -> bool:
        return self.begin <= minute < self.end


@dataclass(frozen=True)
class ModelRule:
    """``metric`` "": a rule of silence, ``holds`` is given minutes."""

    name: str
    metric: str
    holds: Callable[[float], bool]
    clears: Callable[[float], bool]
    readings: int = 0
    minutes: int = 0


MODEL_RULES = (
    ModelRule("Full", "fill_level_pct", lambda v: v >= 80, lambda v: v < 60, readings=2),
    ModelRule("Tilted", "container_tilted", lambda v: v == 1, lambda v: v != 1, minutes=30),
    ModelRule("Steady", "fill_level_pct", lambda v: v >= 90, lambda v: v < 90, readings=2, minutes=30),
    ModelRule("PlaceSilent", "", lambda m: m >= 120, lambda m: m < 120, minutes=30),
)


@dataclass
class Alert:
    firing: bool
    since: int
    readings: int
    last: int  # when it began, or fired


@dataclass
class Model:
    mounted: Sequence[Mounted]
    values: dict[tuple[Series, str], tuple[int, float]] = field(default_factory=dict)
    heard: dict[int, int] = field(default_factory=dict)
    alerts: dict[tuple[str, int], Alert] = field(default_factory=dict)
    looked: dict[tuple[str, int], int] = field(default_factory=dict)
    log: list[tuple[str, str, float]] = field(default_factory=list)

    def see(self, observation: Observation) -> None:
        device, minute = observation.device_id, int((observation.time - START).total_seconds() // 60)
        fresh: dict[str, set[Series]] = {}
        for channel, metric, value in observation.values:
            known = self.values.get(((device, channel), metric))
            if known is None or minute > known[0]:
                self.values[(device, channel), metric] = (minute, value)
                fresh.setdefault(metric, set()).add((device, channel))
        spoke = minute > self.heard.get(device, NEVER)
        if spoke:
            self.heard[device] = minute
        for place in {m.place for m in self.mounted if m.device == device and m.at(minute)}:
            for rule in MODEL_RULES:
                if fresh.get(rule.metric) or (not rule.metric and spoke):
                    self._look(rule, place, minute, fresh.get(rule.metric, set()), is_data=True)

    def tick(self, now: int) -> None:
        for rule in MODEL_RULES:
            for place in sorted({m.place for m in self.mounted}):
                for minute in range(max(self.looked.get((rule.name, place), -1000), -1000) + 1, now + 1):
                    self._look(rule, place, minute, set(), is_data=False)

    def _look(self, rule: ModelRule, place: int, minute: int, fresh: set[Series], *, is_data: bool) -> None:
        key = (rule.name, place)
        alert = self.alerts.get(key)
        if not is_data and (alert is None if rule.metric else alert is not None and alert.firing):
            return  # time begins nothing for values, and ends nothing
        minute = max(minute, alert.last) if alert is not None else minute
        if rule.metric:
            seen = self._values(rule.metric, place, minute)
            newest = max((time for time, _value in seen.values()), default=minute)
            if newest > minute:
                minute, seen = newest, self._values(rule.metric, place, newest)
            told = {series: value for series, (_time, value) in seen.items()}
        else:
            told = self._silence(place, minute)
        self.looked[key] = minute
        self._step(rule, key, minute, told, fresh, is_data=is_data)

    def _step(
        self,
        rule: ModelRule,
        key: tuple[str, int],
        minute: int,
        told: dict[Series, float],
        fresh: Iterable[Series],
        *,
        is_data: bool,
    ) -> None:
        alert = self.alerts.get(key)
        holds = any(rule.holds(value) for value in told.values())
        counts = int(any(series in told and rule.holds(told[series]) for series in fresh))
        if alert is not None and alert.firing:
            if is_data and told and not holds and all(rule.clears(value) for value in told.values()):
                self._end(rule, key, minute, "resolved")
        elif holds:
            began = alert is None
            alert = alert or Alert(False, minute, 0, minute)
            alert.readings += counts
            self.alerts[key] = alert
            if alert.readings >= rule.readings and minute - alert.since >= rule.minutes:
                alert.firing, alert.last = True, minute
                self.log.append((rule.name, "fired", minute))
            elif began:
                self.log.append((rule.name, "pending", minute))
        elif alert is not None and told:
            self._end(rule, key, minute, "dropped")

    def _end(self, rule: ModelRule, key: tuple[str, int], minute: int, kind: str) -> None:
        del self.alerts[key]
        self.log.append((rule.name, kind, minute))

    def _values(self, metric: str, place: int, minute: int) -> dict[Series, tuple[int, float]]:
        """What each sensor of the place told last; of those that are gone, only where no other has spoken."""
        now: dict[Series, tuple[int, float]] = {}
        gone: dict[int, dict[Series, tuple[int, float]]] = {}
        for (series, name), (time, value) in self.values.items():
            for mounted in self.mounted:
                if (name, mounted.device, mounted.place) == (metric, series[0], place) and mounted.at(time):
                    kept = now if minute < mounted.end else gone.setdefault(mounted.end, {})
                    kept[series] = (time, value)
        return now or (gone[max(gone)] if gone else {})

    def _silence(self, place: int, minute: int) -> dict[Series, float]:
        here = [m for m in self.mounted if m.place == place and m.at(minute)]
        return {(m.device, 0): minute - max(self.heard.get(m.device, m.begin), m.begin) for m in here}
