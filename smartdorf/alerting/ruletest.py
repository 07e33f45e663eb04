"""Rule tests: ``*.test.yaml`` beside a rule file. Series go in, alerts are expected, at stated times.

No database and no clock: the engine of the service runs over the times that the test states. Time goes on between
them as it does in the service, so that timers fire when they are due and not at the next message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from smartdorf.alerting.engine import (
    BEGINS,
    AlertKey,
    BoundRules,
    EngineState,
    Evaluation,
    Observation,
    Transition,
    bind,
    evaluate,
    tick,
)
from smartdorf.alerting.hearing import LEAST_DAYS, Hearing
from smartdorf.config.calendar import LANDS, Calendar
from smartdorf.config.durations import SECOND, parse_duration
from smartdorf.config.rule import Rule
from smartdorf.config.rules import TEST_SUFFIX, RuleSet, load_rules
from smartdorf.config.terms import code_names
from smartdorf.directory import Device, Directory, Gateway, Installation, Place
from smartdorf.errors import Problem, did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.local_time import from_local
from smartdorf.vocabulary import Vocabulary
from smartdorf.yaml_source import Node, read_yaml

START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
_BEFORE = datetime(2000, 1, 1, tzinfo=UTC)  # all is mounted since then
UNHEARD = timedelta(hours=12)  # after which a test shows what missing data do
_STATES = ("none", "pending", "firing", "eased")
_MODEL = "test/sensor"
_STATS = timedelta(minutes=1)  # between two words of a gateway of its own
_PAUSE = timedelta(hours=1)  # the longest of a gateway of which the test says nothing else


@dataclass(frozen=True)
class RuleTestResult:
    """What became of one test. ``problems`` point at the expectation that was not met."""

    file: str
    line: int
    name: str
    fires: frozenset[str]  # whose alerts fired, as expected
    spares: frozenset[str]  # whose alerts never fired at a place where it says that they must not
    unheard: frozenset[str]  # what is said of them where nothing has been heard for half a day
    problems: tuple[Problem, ...]


class _Expectation(NamedTuple):
    time: datetime
    key: AlertKey
    subject: str
    state: str
    stage: str
    summary: Mapping[str, str]
    node: Node


@dataclass
class _Script:
    """One test, read."""

    node: Node
    start: datetime = START  # where relative times begin
    calendar: Calendar = field(default_factory=Calendar)
    directory: Directory = field(default_factory=Directory)
    categories: dict[str, str] = field(default_factory=dict)
    subjects: dict[str, tuple[str, int]] = field(default_factory=dict)  # name → kind, id
    pauses: dict[int, timedelta] = field(
        default_factory=dict
    )  # by gateway, the longest of each of the last days
    observations: dict[datetime, list[Observation]] = field(default_factory=dict)
    expectations: list[_Expectation] = field(default_factory=list)


def find_rule_tests(path: Path) -> list[Path]:
    """The test files of a folder, or the file itself; a rule file's tests are those beside it."""
    if path.is_dir():
        return sorted(path.rglob(f"*{TEST_SUFFIX}"))
    if path.name.endswith(TEST_SUFFIX):
        return [path]
    beside = path.with_name(path.stem + TEST_SUFFIX)
    return [beside] if beside.exists() else []


def run_rule_tests(path: Path, vocabulary: Vocabulary) -> tuple[list[RuleTestResult], list[Problem]]:
    """Run the tests of one file over the rules of the file beside it, and over no others.

    Returns the results, and what keeps the tests from being run.
    """
    beside = path.with_name(path.name.removesuffix(TEST_SUFFIX) + ".yaml")
    if not beside.exists():
        message = _("there is no {file} beside it that it could test").format(file=beside.name)
        return [], [Problem(str(path), 0, 0, message)]
    rules = load_rules([beside], vocabulary)
    root = read_yaml(path)
    if root.value is not None:
        root.check_keys(["tests"], ["tests"])
    scripts = [_read(node, rules, vocabulary) for node in root["tests"].elements()]
    if rules.problems or root.source.problems:
        return [], [*rules.problems, *root.source.problems]
    return [_run(script, rules) for script in scripts], []


# -- reading --------------------------------------------------------------------------------------------------------


def _read(node: Node, rules: RuleSet, vocabulary: Vocabulary) -> _Script:
    script = _Script(node)
    keys = ["name", "land", "start", "places", "devices", "gateways", "readings", "expect"]
    node.check_keys(keys, ["name", "readings", "expect"])
    if not isinstance(node.value, dict):
        return script
    if "land" in node:
        script.calendar = Calendar(node["land"].one_of(LANDS) or None)
    if "start" in node:
        script.start = _date(node["start"], _("expected a local time: 2026-06-04T06:00")) or START
    _read_subjects(script, node)
    for reading in node["readings"].elements():
        _read_reading(script, reading, vocabulary)
    for expected in node["expect"].elements():
        _read_expectation(script, expected, rules)
    if node["expect"].value == []:
        node["expect"].problem(_("expects nothing; a test that must not fire says so: state: none"))
    return script


def _read_subjects(script: _Script, node: Node) -> None:
    """A place gets a sensor of its own; a device stands alone."""
    places: list[Place] = []
    devices: list[Device] = []
    installations: list[Installation] = []
    for name, place in node["places"].items():
        place.check_keys(["place_type", "tags", "limits", "silence"], ["place_type"])
        number = len(devices) + 1
        place_type, tags = place["place_type"].text(), _texts(place["tags"])
        places.append(Place(number, name, name, place_type, "test", tags, limits=_numbers(place["limits"])))
        silence = _silence(place["silence"])
        devices.append(Device(number, f"{number:016x}", f"{name} sensor", _MODEL, silence=silence))
        installations.append(Installation(number, number, _BEFORE))
        script.subjects[name] = ("place", number)
    for name, device in node["devices"].items():
        device.check_keys(["model", "category", "tags", "limits", "silence"])
        number = len(devices) + 1
        model = device["model"].text(_MODEL)
        tags, limits = _texts(device["tags"]), _numbers(device["limits"])
        silence = _silence(device["silence"])
        devices.append(Device(number, f"{number:016x}", name, model, tags, limits=limits, silence=silence))
        script.categories[model] = device["category"].text()
        script.subjects[name] = ("device", number)
    if not script.subjects:
        node.problem(_("names no places and no devices"))
    gateways = [
        _gateway(script, number, name, gateway)
        for number, (name, gateway) in enumerate(node["gateways"].items(), 1)
    ]
    script.directory = Directory.of(places, devices, installations, gateways)


def _gateway(script: _Script, number: int, name: str, node: Node) -> Gateway:
    """What it has heard before the test is said by its longest pause."""
    node.check_keys(["longest_pause", "stats_until"])
    script.pauses[number] = _PAUSE
    if "longest_pause" in node:
        micros = parse_duration(str(node["longest_pause"].plain()))
        if micros is None:
            node["longest_pause"].problem(_("expected a duration: 30m, 26h, 2d"))
        script.pauses[number] = timedelta(microseconds=micros or 0)
    script.subjects[name] = ("gateway", number)
    if "stats_until" in node:
        _tell_until(script, number, _time(script, node, "stats_until"))
    return Gateway(number, f"{number:016x}", name, is_own="stats_until" in node)


def _tell_until(script: _Script, number: int, end: datetime | None) -> None:
    """It says that it works, from the start on."""
    time = script.start
    while end is not None and time <= end:
        script.observations.setdefault(time, []).append(Observation(0, time, gateway=number))
        time += _STATS


def _texts(node: Node) -> dict[str, str]:
    return {name: value.text() for name, value in node.items()}


def _numbers(node: Node) -> dict[str, float]:
    return {name: value.number(0.0) for name, value in node.items()}


def _silence(node: Node) -> float | None:
    """What was learned of the sensor, in seconds."""
    if node.value is None:
        return None
    micros = parse_duration(str(node.plain()))
    if not micros:
        node.problem(_("expected how long a silence of it is normal: 90m, 26h, 2d"))
        return None
    return micros / SECOND


def _read_reading(script: _Script, node: Node, vocabulary: Vocabulary) -> None:
    if not isinstance(node.value, dict):
        node.problem(_("expected e.g. {at: 1h, fill_level_pct: 85}"))
        return
    if "stats" in node:
        node.check_keys(["at", "stats"], ["at"])
        known = _gateways(script)
        time, name = _time(script, node), node["stats"].one_of(known)
        if time is not None and name:
            script.observations.setdefault(time, []).append(Observation(0, time, gateway=known[name]))
        return
    time, subject = _time(script, node), _subject(script, node, ("place", "device"))
    values = []
    for name, value in node.items():
        if name in ("at", "of", "by"):
            continue
        if name not in vocabulary:
            node.problem_at(name, vocabulary.unknown(name))
        elif isinstance(value.value, str):
            codes = code_names(vocabulary[name])
            values.append((0, name, float(codes.get(value.one_of(codes), 0))))
        else:
            values.append((0, name, value.number(0.0)))
    if time is not None and subject is not None:
        _kind, number = script.subjects[subject]
        observation = Observation(number, time, tuple(values), _heard_by(script, node))
        script.observations.setdefault(time, []).append(observation)


def _heard_by(script: _Script, node: Node) -> tuple[int, ...]:
    """``by: [Rathaus, Bauhof]``, or one of them."""
    if "by" not in node:
        return ()
    known = _gateways(script)
    named = node["by"].elements() if isinstance(node["by"].value, list) else [node["by"]]
    return tuple(known[name] for gateway in named if (name := gateway.one_of(known)))


def _gateways(script: _Script) -> dict[str, int]:
    return {name: number for name, (kind, number) in script.subjects.items() if kind == "gateway"}


def _read_expectation(script: _Script, node: Node, rules: RuleSet) -> None:
    node.check_keys(["at", "of", "alert", "state", "stage", "summary"], ["at", "alert", "state"])
    if not isinstance(node.value, dict):
        return
    time, subject = _time(script, node), _subject(script, node)
    alert, names = node["alert"].text(), [rule.name for rule in rules]
    if alert and alert not in names:
        message = _('unknown alert "{name}"').format(name=alert)
        node["alert"].problem(message + did_you_mean(alert, names))
    state = node["state"].one_of(_STATES, "none")
    stage = node["stage"].text()
    stages = [name for rule in rules if rule.name == alert for name in _stage_names(rule)]
    if stage and stage not in stages:
        message = _('{alert} has no stage "{name}"').format(alert=alert, name=stage)
        node["stage"].problem(message + did_you_mean(stage, stages))
    summary = _texts(node["summary"])
    if time is not None and subject is not None:
        key = AlertKey(alert, *script.subjects[subject])
        script.expectations.append(_Expectation(time, key, subject, state, stage, summary, node))


def _time(script: _Script, node: Node, key: str = "at") -> datetime | None:
    """``90m`` after the start, or a time of day and date; without a zone it is German local time."""
    text = str(node[key].plain() if key in node else "")
    if text == "0":
        return script.start
    if (micros := parse_duration(text)) is not None:
        return script.start + timedelta(microseconds=micros)
    return _date(node[key], _('expected a time: "90m" after the start, or 2026-03-29T01:30'))


def _date(node: Node, advice: str) -> datetime | None:
    try:
        return from_local(datetime.fromisoformat(str(node.plain())))
    except ValueError:
        node.problem(advice)
        return None


def _subject(
    script: _Script, node: Node, kinds: Sequence[str] = ("place", "device", "gateway")
) -> str | None:
    names = [name for name, (kind, _number) in script.subjects.items() if kind in kinds]
    if "of" not in node:
        if len(names) > 1:
            node.problem(_("say of whom: {names}").format(names=", ".join(names)))
        return names[0] if len(names) == 1 else None
    return node["of"].one_of(names) or None


# -- running --------------------------------------------------------------------------------------------------------


def _run(script: _Script, rules: RuleSet) -> RuleTestResult:
    bound = bind(rules, script.directory, script.categories, calendar=script.calendar)
    before = script.start.toordinal()
    pauses = {
        (number, before - day): pause
        for number, pause in script.pauses.items()
        for day in range(1, LEAST_DAYS + 1)
    }
    state = EngineState(hearing=Hearing(pauses=pauses))
    problems: list[Problem] = []
    fired: list[Transition] = []
    summaries: dict[AlertKey, Mapping[str, str]] = {}
    for time in sorted({*script.observations, *(expected.time for expected in script.expectations)}):
        for evaluation in _steps(bound, state, time, script.observations.get(time, ())):
            state.apply(evaluation)
            fired += [transition for transition in evaluation.transitions if transition.kind in BEGINS]
        summaries.update((transition.key, transition.summary) for transition in fired)
        for expected in script.expectations:
            if expected.time == time:
                problems += _judge(expected, bound, state, summaries)
    announced = {expected.key for expected in script.expectations if expected.state in ("firing", "eased")}
    for transition in fired:
        if transition.key not in announced:
            problems.append(_unexpected(script, transition))
    node = script.node
    return RuleTestResult(
        node.source.name,
        node.line,
        node["name"].text(),
        frozenset(transition.key.rule for transition in fired),
        frozenset(
            expected.key.rule
            for expected in script.expectations
            if expected.state in ("none", "pending")
            and expected.key not in {transition.key for transition in fired}
        ),
        frozenset(_unheard(script)),
        tuple(problems),
    )


def _unheard(script: _Script) -> Iterator[str]:
    """Rules of which something is expected where the place itself (or all of them, if it has no sensor) was silent."""
    for expected in script.expectations:
        before = [
            (time, observation.device_id)
            for time, observations in script.observations.items()
            for observation in observations
            if time <= expected.time
        ]
        own = [time for time, device_id in before if device_id == expected.key.id]
        heard = own or [time for time, _device_id in before]
        if heard and expected.time - max(heard) >= UNHEARD:
            yield expected.key.rule


def _steps(
    bound: BoundRules, state: EngineState, time: datetime, observations: Sequence[Observation]
) -> Iterator[Evaluation]:
    """Time passes first, as it does in the service; then the data of that time comes in."""
    yield tick(bound, state, time)
    yield evaluate(bound, state, observations)
    yield tick(bound, state, time)


def _judge(
    expected: _Expectation,
    bound: BoundRules,
    state: EngineState,
    summaries: Mapping[AlertKey, Mapping[str, str]],
) -> Iterator[Problem]:
    node, key = expected.node, expected.key
    if key not in bound.instances:
        message = _("{alert} does not watch {subject}")
        yield _at(node, message.format(alert=key.rule, subject=expected.subject))
        return
    alert = state.instances.get(key)
    got = "none" if alert is None else "eased" if alert.eased else alert.phase
    if got != expected.state:
        message = _("expected {alert} of {subject} to be {expected}, it is {got}")
        text = message.format(alert=key.rule, subject=expected.subject, expected=expected.state, got=got)
        yield _at(node, text)
    if expected.stage and alert is not None:
        reached = _stage_names(bound.rules[key.rule], alert.stage)
        if expected.stage not in reached:
            message = _('expected the stage "{wanted}", it is "{got}"')
            yield _at(node["stage"], message.format(wanted=expected.stage, got=reached[0]))
    for language, wanted in expected.summary.items():
        said = summaries.get(key, {}).get(language, "").replace("\N{NO-BREAK SPACE}", " ")
        if said != wanted:
            message = _('expected the summary "{wanted}", it says "{said}"')
            yield _at(node["summary"], message.format(wanted=wanted, said=said))


def _stage_names(rule: Rule, number: int | None = None) -> list[str]:
    """In both languages, of all its stages or of one."""
    stages = rule.stages if number is None else rule.stages[number : number + 1]
    return [name for stage in stages for name in stage.name.values()]


def _unexpected(script: _Script, transition: Transition) -> Problem:
    names = {subject: name for name, subject in script.subjects.items()}
    key = transition.key
    message = _("{alert} of {subject} fired after {time}, and nothing in `expect` says so")
    after = str(transition.time - script.start)
    subject = names.get((key.kind, key.id), f"{key.kind} {key.id}")
    return _at(script.node, message.format(alert=key.rule, subject=subject, time=after))


def _at(node: Node, message: str) -> Problem:
    return Problem(node.source.name, node.line, node.column, message)
