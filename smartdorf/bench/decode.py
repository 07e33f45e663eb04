"""What decoding costs, model by model, with the good frames of the model's own vectors: one thread, no database.

A model whose codec is JavaScript is measured in any case (``decoders/`` beside this file): no shipped one needs it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from smartdorf.bench.machine import Machine, describe_machine
from smartdorf.decoding import Context, Frame
from smartdorf.decoding.manifest import DeviceModel
from smartdorf.decoding.registry import Catalogue, decode_uplink, load_catalogue, vector_files
from smartdorf.decoding.vectors import RECEIVED_AT, make_uplink
from smartdorf.errors import SmartdorfError
from smartdorf.i18n import gettext as _
from smartdorf.model import Uplink
from smartdorf.vocabulary import Vocabulary
from smartdorf.yaml_source import read_yaml

SAMPLES = Path(__file__).with_name("decoders")
UPLINKS = 1000  # a round
ROUNDS = 7  # the best one counts: the others were disturbed

_Frame = tuple[Uplink, Mapping[str, float]]  # with the parameters that its decoding needs


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one model, in microseconds for an uplink."""

    model: str
    language: str  # "native" or "javascript"
    codec: float  # the codec alone
    uplink: float  # looking the model up, its codec, and the mapping
    values: float  # measurements in an uplink


@dataclass(frozen=True, slots=True)
class Report:
    machine: Machine
    costs: Sequence[Cost]  # the dearest first

    def median(self, language: str) -> Cost | None:
        """Of all models of that kind, each column by itself."""
        rows = [cost for cost in self.costs if cost.language == language]
        if not rows:
            return None
        codec, uplink, values = (
            [getattr(row, name) for row in rows] for name in ("codec", "uplink", "values")
        )
        return Cost("", language, median(codec), median(uplink), median(values))


def bench_decode(roots: Sequence[Path], wanted: Sequence[str], vocabulary: Vocabulary) -> Report:
    """Measure the models of these names, or all that have good vectors."""
    folders = [*roots, SAMPLES]
    catalogue = load_catalogue(folders, vocabulary)
    frames: dict[str, list[_Frame]] = {}
    for name, frame in _good_frames(folders, catalogue):
        frames.setdefault(name, []).append(frame)
    for name in wanted:
        catalogue.get(name)
        if name not in frames:
            raise SmartdorfError(_("{model} has no vectors to measure with").format(model=name))
    costs = [_cost(catalogue, name, frames[name]) for name in (wanted or frames)]
    return Report(describe_machine(), sorted(costs, key=lambda cost: -cost.uplink))


def _good_frames(folders: Sequence[Path], catalogue: Catalogue) -> Iterator[tuple[str, _Frame]]:
    """Model and frame of every vector that is to give measurements, where the model has a codec of its own."""
    for file in (file for folder in folders for file in vector_files(folder)):
        document = read_yaml(file)
        model = catalogue.models.get(document["decoder"].text())
        if model is None or model.codec is None:
            continue
        for vector in document["vectors"].elements():
            if "error" not in vector:
                data = bytes.fromhex(vector["data"].text())
                parameters = {name: value.number(0.0) for name, value in vector["parameters"].items()}
                yield model.name, (make_uplink(vector["f_port"].integer(1), data, RECEIVED_AT), parameters)


def _cost(catalogue: Catalogue, name: str, frames: list[_Frame]) -> Cost:
    model = catalogue.models[name]
    assert model.codec is not None
    repeated = (frames * (UPLINKS // len(frames) + 1))[:UPLINKS]
    decoded = [decode_uplink(model, *frame) for frame in frames]
    return Cost(
        name,
        "javascript" if model.codec.file.suffix == ".js" else "native",
        _best(lambda: _codec_alone(model, repeated)),
        _best(lambda: _whole(catalogue.models, name, repeated)),
        sum(len(made.samples) for made in decoded) / len(decoded),
    )


def _codec_alone(model: DeviceModel, frames: list[_Frame]) -> None:
    assert model.codec is not None
    decode, name, defaults = model.codec.decode, model.name, model.defaults
    for uplink, parameters in frames:
        decode(Frame(uplink.data, uplink.f_port), Context(name, uplink.time, parameters, defaults))


def _whole(models: Mapping[str, DeviceModel], name: str, frames: list[_Frame]) -> None:
    for uplink, parameters in frames:
        decode_uplink(models[name], uplink, parameters)


def _best(run: Callable[[], None]) -> float:
    """Microseconds per uplink."""
    fastest = float("inf")
    for _round in range(ROUNDS):
        began = time.perf_counter()
        run()
        fastest = min(fastest, time.perf_counter() - began)
    return fastest / UPLINKS * 1e6
