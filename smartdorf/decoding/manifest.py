"""The manifest of a sensor model: who it is, how it is recognised, what it needs to know, what it measures.

Owns the keys of ``decoders/<vendor>/<model>.yaml``. Every mistake in a file is collected with its line. Must not
know where manifests are looked for (registry.py) or how a mapping runs (mapping.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from smartdorf.decoding.codec import Codec, CodecLoadError
from smartdorf.decoding.manifest_mapping import Measurement, read_mapping
from smartdorf.decoding.mapping import Plan
from smartdorf.decoding.plausible import Plausibility
from smartdorf.decoding.recognise import Recognition, read_recognition
from smartdorf.decoding.units import UnitError, check_unit
from smartdorf.errors import Problem
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import Parameter, Vocabulary, read_parameter
from smartdorf.yaml_source import Node, read_yaml

CATEGORIES = ("parking", "waste", "water", "environment", "heating", "energy", "counting", "tracking")
PROOFS = ("device", "vendor vectors", "datasheet")
CLASSES = ("A", "B", "C")

_REQUIRED = [
    "vendor",
    "model",
    "name",
    "category",
    "documentation",
    "device_profile",
    "proof",
    "measurements",
]
_KEYS = [*_REQUIRED, "firmware", "recognise", "parameters", "codec", "time", "records"]


class CodecFinder(Protocol):
    """How a codec's name in a manifest becomes a codec; ``normalize`` asks for what TS013 calls so beside it."""

    def __call__(self, name: str, manifest: Path, *, normalize: bool) -> Codec: ...


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """What the device profile in ChirpStack must say."""

    region: str
    mac_version: str
    device_class: str
    uplink_interval: timedelta | None


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """One sensor model that we can decode."""

    name: str  # vendor/model
    vendor: str
    category: str
    label: Mapping[str, str]  # by language
    documentation: str
    firmware: tuple[str, ...]
    profile: DeviceProfile
    proof: str
    recognition: Recognition
    parameters: Mapping[str, Parameter]
    codec: Codec | None  # None: ChirpStack's own codec, through the same mapping
    measurements: tuple[Measurement, ...]
    plan: Plan
    watched: Mapping[
        tuple[str, int], Plausibility
    ]  # by quantity and channel: whose values tell of each other
    file: str
    line: int
    defaults: Mapping[str, float] = field(default_factory=dict)

    @property
    def uplink_interval(self) -> timedelta | None:
        return self.profile.uplink_interval

    def rollovers(self, parameters: Mapping[str, float]) -> dict[tuple[str, int], float]:
        """Where its counters begin at 0 again, by quantity and channel, in the vocabulary's unit."""
        sizes = {key: limits.rollover for key, limits in self.watched.items() if limits.rollover}
        for derivation in self.plan.derivations:
            size = sizes.get((derivation.source, derivation.channel))
            known, unknown = derivation.arguments({**self.defaults, **parameters})
            if size is not None and not unknown:
                volume = derivation.compute(size, known) - derivation.compute(0.0, known)
                if volume > 0:  # not NaN
                    sizes[derivation.metric, derivation.channel] = volume
        return sizes

    @property
    def mapping(self) -> Plan:
        return self.plan


def read_manifest(
    path: Path, vocabulary: Vocabulary, find_codec: CodecFinder
) -> tuple[DeviceModel | None, list[Problem]]:
    """One model, or the mistakes why there is none."""
    root = read_yaml(path)
    if root.source.problems:
        return None, root.source.problems
    root.check_keys(_KEYS, _REQUIRED)
    if not isinstance(root.value, dict):
        return None, root.source.problems
    vendor, model = _identifier(root["vendor"]), _identifier(root["model"])
    parameters = {name: _parameter(name, node) for name, node in root["parameters"].items()}
    measurements, plan, can_be = read_mapping(
        root, vocabulary, {name: (p.unit, p.default) for name, p in parameters.items()}
    )
    used = {name for derivation in plan.derivations for name, _default in derivation.given}
    parameters |= {n: p for n, p in vocabulary.parameters.items() if n in used and n not in parameters}
    found = DeviceModel(
        name=f"{vendor}/{model}",
        vendor=vendor,
        category=root["category"].one_of(CATEGORIES),
        label=_label(root),
        documentation=_link(root["documentation"]),
        firmware=tuple(node.text() for node in root["firmware"].elements()),
        profile=_profile(root),
        proof=root["proof"].one_of(PROOFS),
        recognition=read_recognition(root["recognise"]),
        parameters=parameters,
        codec=_codec(root, path, find_codec, normalize="normalized" in plan.used),
        measurements=measurements,
        plan=plan,
        watched={key: limits for key, limits in can_be.items() if limits.is_watched},
        file=str(path),
        line=root["model"].line,
        defaults={name: p.default for name, p in parameters.items() if p.default is not None},
    )
    problems = list(dict.fromkeys(root.source.problems))  # some values are looked at twice
    return (None, problems) if problems else (found, [])


def _identifier(node: Node) -> str:
    text = "" if isinstance(node.value, (dict, list)) else node.written  # 007 is a name, not 7
    if node.value is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", text):
        node.problem(_("expected lower-case letters, digits, dots and dashes: dl-pr26"))
    return text


def _label(root: Node) -> Mapping[str, str]:
    node = root["name"]
    if "name" in root:
        node.check_keys(["de", "en"], ["de", "en"])
    return {language: node[language].text() for language in ("de", "en")}


def _link(node: Node) -> str:
    link = node.text()
    if link and not link.startswith(("https://", "http://")):
        node.problem(_("expected a link: https://…"))
    return link


def _profile(root: Node) -> DeviceProfile:
    node = root["device_profile"]
    required = ["region", "mac_version", "class", "uplink_interval"]
    if "device_profile" in root:
        node.check_keys(required, required)
    version = node["mac_version"]
    if version.value is not None and not re.fullmatch(r"1\.[01]\.\d", str(version.plain())):
        version.problem(_('expected a LoRaWAN version in quotation marks: "1.0.3"'))
    return DeviceProfile(
        region=node["region"].text(),
        mac_version=str(version.plain() or ""),
        device_class=node["class"].one_of(CLASSES),
        uplink_interval=node["uplink_interval"].duration(),  # none: it only reports events
    )


def _parameter(name: str, node: Node) -> Parameter:
    parameter = read_parameter(name, node)
    try:
        check_unit(parameter.unit)
    except UnitError as error:
        node["unit"].problem(str(error))
    return parameter


def _codec(root: Node, path: Path, find_codec: CodecFinder, *, normalize: bool) -> Codec | None:
    node = root["codec"]
    name = node.text()
    if not name:
        return None
    try:
        return find_codec(name, path, normalize=normalize)
    except CodecLoadError as error:
        node.problem(str(error))
        return None


def describe(model: DeviceModel, language: str) -> dict[str, Any]:
    """A model as plain values, for people and programs."""
    interval = model.uplink_interval
    return {
        "model": model.name,
        "vendor": model.vendor,
        "category": model.category,
        "label": model.label[language],
        "documentation": model.documentation,
        "firmware": list(model.firmware),
        "device_profile": {
            "region": model.profile.region,
            "mac_version": model.profile.mac_version,
            "class": model.profile.device_class,
            "uplink_interval_s": interval.total_seconds() if interval else None,
        },
        "proof": model.proof,
        "recognise": model.recognition.describe(),
        "parameters": {
            name: {
                "label": parameter.label[language],
                "unit": parameter.unit,
                "range": [parameter.low, parameter.high],
                "default": parameter.default,
                "required": parameter.required,
            }
            for name, parameter in model.parameters.items()
        },
        "codec": str(model.codec.file) if model.codec else None,
        "measurements": [measurement.describe() for measurement in model.measurements],
        "file": model.file,
        "line": model.line,
    }
