"""Golden vectors: frames and what they must decode to. Our YAML beside each model, and published JSON.

Owns: the format of ``*.vectors.yaml``, running cases, the report. Published files are read by published.py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from smartdorf.decoding.frame import CODEC_ERROR, REASONS
from smartdorf.decoding.listed import hex_bytes, read_listed
from smartdorf.decoding.manifest import DeviceModel
from smartdorf.decoding.mapping import parse_time
from smartdorf.decoding.registry import VECTORS_SUFFIX, Catalogue, decode_uplink, vector_files
from smartdorf.errors import Problem, did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.model import Decoded, DeviceInfo, Quality, Uplink
from smartdorf.vocabulary import Vocabulary
from smartdorf.yaml_source import Node, read_yaml

RECEIVED_AT = datetime(2024, 1, 1, 12, tzinfo=UTC)  # where a vector does not say
_OTHER_F_PORTS = (1, 223)
TOLERANCE = 1e-6  # relative; a person writes fewer digits than a float has

Key = tuple[str, int, datetime]  # metric, channel, time

_KEYS = (
    "name", "f_port", "data", "time", "measured_at", "parameters", "measurements", "history", "object", "missing",
    "flagged", "error",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One vector: what it is called, where it stands, and what of it a model gets wrong."""

    model: str
    name: str
    file: str
    line: int
    differences: Callable[[DeviceModel], list[str]]
    listed: str = ""  # why it is known to differ in a field; all others are compared


@dataclass
class Report:
    """What came out of a run."""

    passed: list[Case] = field(default_factory=list)
    failed: list[tuple[Case, list[str]]] = field(default_factory=list)
    not_shipped: list[Case] = field(default_factory=list)

    @property
    def listed(self) -> list[Case]:
        """Of those that passed: but for a field that is known to differ."""
        return [case for case in self.passed if case.listed]

    @property
    def models_not_shipped(self) -> dict[str, int]:
        return dict(sorted(Counter(case.model for case in self.not_shipped).items()))


def run_cases(cases: Iterable[Case], catalogue: Catalogue) -> Report:
    """Run each case against the model it names."""
    report = Report()
    for case in cases:
        model = catalogue.models.get(case.model)
        if model is None:
            report.not_shipped.append(case)
        elif differences := case.differences(model):
            report.failed.append((case, differences))
        else:
            report.passed.append(case)
    return report


def make_uplink(f_port: int, data: bytes, time: datetime) -> Uplink:
    """An uplink as decoding sees it; nothing else of it matters here."""
    return Uplink(UUID(int=0), DeviceInfo("0000000000000000"), "00000000", time, 0, f_port, data)


# -- our own vectors ------------------------------------------------------------------------------------


def read_own(path: Path, vocabulary: Vocabulary, models: Iterable[str]) -> tuple[list[Case], list[Problem]]:
    """The cases of one ``*.vectors.yaml``."""
    root = read_yaml(path)
    if root.source.problems:
        return [], root.source.problems
    root.check_keys(["decoder", "vectors", "published"], ["decoder", "vectors"])
    read_listed(root)  # for its mistakes
    model = root["decoder"].text()
    models = list(models)
    if model and model not in models:
        message = _('unknown model "{model}"').format(model=model)
        root["decoder"].problem(message + did_you_mean(model, models))
    cases = [_own_case(node, model, vocabulary) for node in root["vectors"].elements()]
    if not cases:
        root["vectors"].problem(_("there is no vector"))
    return cases, root.source.problems


def own_cases(
    roots: Sequence[Path], catalogue: Catalogue, vocabulary: Vocabulary
) -> tuple[list[Case], list[Problem]]:
    """The cases of every vector file below the content folders; a model without any is a problem.

    A later folder replaces the vectors of a model together with the model.
    """
    by_model: dict[str, list[Case]] = {}
    problems: list[Problem] = []
    for root in roots:
        here: dict[str, list[Case]] = {}
        for path in vector_files(root):
            cases, found = read_own(path, vocabulary, catalogue.models)
            problems += found
            for case in cases:
                here.setdefault(case.model, []).append(case)
        by_model |= here
    for name, model in catalogue.models.items():
        if name not in by_model:
            file = Path(model.file).stem + VECTORS_SUFFIX
            message = _("{model} has no vectors: write {file} beside it").format(model=name, file=file)
            problems.append(Problem(model.file, model.line, 1, message))
    return [case for cases in by_model.values() for case in cases], sorted(problems)


@dataclass(frozen=True)
class _Expected:
    """What one of our vectors says must come out."""

    values: Mapping[Key, float]
    flagged: frozenset[tuple[str, int]]
    object: Any
    missing: tuple[str, ...]
    error: str


def _own_case(node: Node, model: str, vocabulary: Vocabulary) -> Case:
    node.check_keys(_KEYS, ["name", "f_port", "data"])
    if isinstance(node.value, dict) and ("error" in node) == ("measurements" in node):
        node.problem(_("expected either measurements or error"))
    time = _time(node["time"], RECEIVED_AT)
    uplink = make_uplink(node["f_port"].integer(1), hex_bytes(node["data"]), time)
    parameters = {name: value.number(0.0) for name, value in node["parameters"].items()}
    measured_at = _time(node["measured_at"], time)
    values = _values(node["measurements"], measured_at, vocabulary)
    for record in node["history"].elements():
        if "time" not in record:
            record.problem(_('"{key}" is missing').format(key="time"))
        values |= _values(record, _time(record["time"], time), vocabulary)
    expected = _Expected(
        values=values,
        flagged=frozenset(_metric(element.text()) for element in node["flagged"].elements()),
        object=node["object"].plain(),
        missing=tuple(element.text() for element in node["missing"].elements()),
        error=node["error"].one_of(sorted(REASONS)),
    )

    def differences(model: DeviceModel) -> list[str]:
        found = _compare(decode_uplink(model, uplink, parameters), expected)
        return found or _mistakes(model, uplink, parameters)

    return Case(model, node["name"].text(), node.source.name, node.line, differences)


def _mistakes(model: DeviceModel, uplink: Uplink, parameters: Mapping[str, float]) -> list[str]:
    """The same frame cut short anywhere, or on another port: whatever becomes of it, the codec must not fail."""
    cut = [replace(uplink, data=uplink.data[:length]) for length in range(1, len(uplink.data))]
    elsewhere = [replace(uplink, f_port=f_port) for f_port in _OTHER_F_PORTS]
    for spoiled in (*cut, *elsewhere):
        fault = decode_uplink(model, spoiled, parameters).fault
        if fault is not None and fault.reason == CODEC_ERROR:
            message = _("the codec fails for {data} on f_port {f_port}: {detail}")
            data = spoiled.data.hex()
            return [message.format(data=data, f_port=spoiled.f_port, detail=fault.detail)]
    return []


def _time(node: Node, default: datetime) -> datetime:
    if node.value is None:
        return default
    time = parse_time(node.value) if isinstance(node.value, str) else None
    if time is None:
        node.problem(_("expected a time: 2024-03-01T12:00:00Z"))
        return default
    return time


def _metric(text: str) -> tuple[str, int]:
    """``air_temperature_c/1`` is channel 1."""
    metric, _slash, channel = text.partition("/")
    return metric, int(channel) if channel.isdigit() else 0


def _values(node: Node, time: datetime, vocabulary: Vocabulary) -> dict[Key, float]:
    values = {}
    for key, value in node.items():
        if key == "time":
            continue
        metric, channel = _metric(key)
        if metric not in vocabulary:
            node.problem_at(key, vocabulary.unknown(metric))
        values[metric, channel, time] = value.number(0.0)
    return values


def _compare(decoded: Decoded, expected: _Expected) -> list[str]:
    if expected.error:
        if decoded.fault is None:
            return [_("had to be refused ({reason}), but was decoded").format(reason=expected.error)]
        if decoded.fault.reason == expected.error:
            return []
        message = _("had to be refused as {reason}, but was as {got}: {detail}")
        fault = decoded.fault
        return [message.format(reason=expected.error, got=fault.reason, detail=fault.detail)]
    if decoded.fault is not None:
        return [refusal(decoded)]
    got = values_of(decoded)
    differences = compare_values(got, expected.values, lambda key: TOLERANCE * abs(expected.values[key]))
    unexpected = _("{what} is {got}, but is not expected")
    differences += [
        unexpected.format(what=name_of(key), got=got[key]) for key in got if key not in expected.values
    ]
    flagged = {(s.metric, s.channel) for s in decoded.samples if s.quality & Quality.OUT_OF_RANGE}
    for what, ours, theirs in (
        (_("flagged as out of range"), flagged, expected.flagged),
        (_("missing parameters"), set(decoded.missing), set(expected.missing)),
    ):
        if ours != theirs:
            differences.append(_difference(what, theirs, ours))
    if expected.object is not None and decoded.object != expected.object:
        differences.append(_difference(_("object"), expected.object, decoded.object))
    return differences


def _difference(what: str, expected: Any, got: Any) -> str:
    return _("{what}: expected {expected}, got {got}").format(what=what, expected=expected, got=got)


# -- shared with published.py ---------------------------------------------------------------------------


def refusal(decoded: Decoded) -> str:
    assert decoded.fault is not None
    message = _("was refused as {reason}: {detail}")
    return message.format(reason=decoded.fault.reason, detail=decoded.fault.detail)


def values_of(decoded: Decoded) -> dict[Key, float]:
    return {(s.metric, s.channel, s.time): s.value for s in decoded.samples}


def name_of(key: Key) -> str:
    metric, channel, time = key
    return f"{metric}{f'/{channel}' if channel else ''} ({time:%Y-%m-%dT%H:%M:%SZ})"


def compare_values(
    got: Mapping[Key, float], expected: Mapping[Key, float], tolerance: Callable[[Key], float]
) -> list[str]:
    """What of ``expected`` is missing or different in ``got``."""
    differences = []
    for key, value in expected.items():
        if key not in got:
            message = _("{what} is missing, expected {expected}")
            differences.append(message.format(what=name_of(key), expected=value))
        elif not math.isclose(got[key], value, rel_tol=1e-12, abs_tol=max(tolerance(key), 1e-12)):
            differences.append(_difference(name_of(key), value, got[key]))
    return differences
