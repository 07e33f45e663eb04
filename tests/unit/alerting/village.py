"""A small village for the tests of the engine: rules from text, places with sensors, times in minutes."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from smartdorf.alerting.engine import (
    AlertKey,
    AlertState,
    BoundRules,
    EngineState,
    Evaluation,
    Observation,
    bind,
    evaluate,
    reconcile,
    tick,
)
from smartdorf.alerting.hearing import Hearing
from smartdorf.alerting.windows import History
from smartdorf.config.rules import RuleSet, load_rules
from smartdorf.directory import Device, Directory, Gateway, Installation, Place
from smartdorf.vocabulary import load_vocabulary

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

RULES = {
    "Full": """
        for_each: {place_type: container}
        limits: {full: 80, emptied: 60}
        when: fill_level_pct >= full
        clear: fill_level_pct < emptied
        summary: {de: "{place}: {fill_level_pct} voll", en: "{place}: {fill_level_pct} full"}""",
    "Tilted": """
        for_each: {place_type: container}
        when: container_tilted == tilted
        for: 30m
        summary: {de: "gekippt", en: "tilted"}""",
    "Steady": """
        for_each: {place_type: container}
        when: fill_level_pct >= 90
        for: 2 readings, 30m
        summary: {de: "voll", en: "full"}""",
    "Frost": """
        for_each: {place_type: container}
        when: air_temperature_c < 2 and ground_temperature_c < 0
        for: 1 reading
        summary: {de: "{air_temperature_c}, {ground_temperature_c}", en: "frost"}""",
    "Silent": """
        for_each: {device: any}
        limits: {quiet: 26h}
        when: silent_for() > quiet
        summary: {de: "{device} ({place}): seit {silent_for}", en: "{device} ({place}): for {silent_for}"}""",
    "PlaceSilent": """
        for_each: {place_type: container}
        when: silent_for() >= "2h"
        for: 30m
        summary: {de: "{place}: seit {silent_for}", en: "{place}: for {silent_for}"}""",
    "Lately": """
        for_each: {place_type: container}
        when: avg(fill_level_pct, "2h") >= 60 and max(fill_level_pct, "1h") >= 79
        clear: max(fill_level_pct, "1h") < 60
        for: 2 readings
        summary: {de: "{avg_fill_level_pct}", en: "{max_fill_level_pct}"}""",
    "Deaf": """
        for_each: {gateway: any}
        limits: {quiet: 2h}
        when: silent_for() > quiet
        summary: {de: "{gateway}: seit {silent_for}", en: "{gateway}: for {silent_for}"}""",
    "Missing": """
        for_each: {device: any}
        limits: {quiet: 26h}
        when: silent_for() > quiet
        depends_on: [Deaf]
        summary: {de: "{device}: seit {silent_for}", en: "{device}: for {silent_for}"}""",
    "Stale": """
        for_each: {place_type: container}
        when: age(fill_level_pct) > "3h"
        summary: {de: "alt", en: "old"}""",
}


def make_rules(*names: str, **overrides: str) -> RuleSet:
    """The rules of these names; ``Full="…"`` gives one another body."""
    bodies = {name: RULES[name] for name in names} | overrides
    told = "        severity: warning\n        notify: [bauhof]\n"
    text = "groups:\n  - name: test\n    rules:\n" + "".join(
        f"      - alert: {name}\n{'' if 'stages:' in body else told}        {body.strip()}\n"
        for name, body in bodies.items()
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "test.yaml"
        file.write_text(text, encoding="utf-8")
        rules = load_rules([file], load_vocabulary())
    assert not rules.problems, rules.problems
    return rules


def make_place(number: int = 1, **fields: object) -> Place:
    values = {"slug": f"place-{number}", "name": f"Platz {number}", "place_type": "container", "tenant": "v"}
    return Place(number, **{**values, **fields})  # type: ignore[arg-type]


def make_device(number: int = 1, **fields: object) -> Device:
    values = {"dev_eui": f"{number:016x}", "name": f"Sensor {number}", "model": "acme/box"}
    return Device(number, **{**values, **fields})  # type: ignore[arg-type]


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def seen(
    minutes: float, device: int = 1, channel: int = 0, by: Iterable[int] = (), **values: float
) -> Observation:
    told = tuple((channel, name, value) for name, value in values.items())
    return Observation(device, at(minutes), told, tuple(by))


class Village:
    """The engine with its state, driven the way the service drives it. ``log`` is what has happened so far.

    ``gateways``: of each, the longest pause of the last three days, in minutes.
    """

    def __init__(
        self,
        rules: RuleSet,
        *,
        places: Iterable[Place] = (make_place(),),
        devices: Iterable[Device] = (make_device(),),
        installations: Iterable[Installation] = (Installation(1, 1, LONG_AGO),),
        gateways: Mapping[int, float] | None = None,
        categories: Mapping[str, str] | None = None,
    ) -> None:
        self.categories = categories or {"acme/box": "waste"}
        self.rules = rules
        named = [Gateway(number, f"{number:016x}", f"Gateway {number}") for number in gateways or {}]
        self.directory = Directory.of(places, devices, installations, named)
        self.bound: BoundRules = bind(rules, self.directory, self.categories)
        pauses = {
            (number, START.toordinal() - day): timedelta(minutes=pause)
            for number, pause in (gateways or {}).items()
            for day in (1, 2, 3)
        }
        self.state = EngineState(hearing=Hearing(pauses=pauses))
        self.log: list[tuple[str, str, float]] = []
        self.last: Evaluation | None = None

    def see(
        self, minutes: float, device: int = 1, channel: int = 0, by: Iterable[int] = (), **values: float
    ) -> Village:
        return self.see_all(seen(minutes, device, channel, by, **values))

    def see_all(self, *observations: Observation) -> Village:
        return self._apply(evaluate(self.bound, self.state, observations))

    def tick(self, minutes: float) -> Village:
        return self._apply(tick(self.bound, self.state, at(minutes)))

    def rebind(self, minutes: float, rules: RuleSet | None = None, **parts: Iterable[object]) -> Village:
        """Rules or devices and places were changed."""
        self.rules = rules if rules is not None else self.rules
        old = self.directory
        self.directory = Directory.of(
            parts.get("places", old.places.values()),  # type: ignore[arg-type]
            parts.get("devices", old.devices.values()),  # type: ignore[arg-type]
            parts.get("installations", old.installations),  # type: ignore[arg-type]
            old.gateways.values(),
        )
        self.bound = bind(self.rules, self.directory, self.categories)
        return self._apply(reconcile(self.bound, self.state, at(minutes)))

    def restart(self) -> Village:
        """kill -9 and start: what the database keeps comes back, and nothing else."""
        instances = msgspec.json.decode(
            msgspec.json.encode([(list(key), state) for key, state in self.state.instances.items()]),
            type=list[tuple[tuple[str, str, int], AlertState]],
        )
        self.bound = bind(self.rules, self.directory, self.categories)
        self.state = EngineState(
            {AlertKey(*key): state for key, state in instances},
            dict(self.state.latest),
            dict(self.state.last_heard),
            {series: History(readings) for series, readings in self.state.history.items()},
            copy.deepcopy(self.state.hearing),
            dict(self.state.ended),
        )
        return self

    def _apply(self, evaluation: Evaluation) -> Village:
        self.last = evaluation
        self.state.apply(evaluation)
        for t in evaluation.transitions:
            self.log.append((t.key.rule, t.kind, (t.time - START).total_seconds() / 60))
        return self

    def phase(self, rule: str, subject: int = 1) -> str:
        for key, state in self.state.instances.items():
            if (key.rule, key.id) == (rule, subject):
                return state.phase
        return "none"
