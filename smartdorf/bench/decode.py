"""What decoding costs, model by model, with the good frames of the model's own vectors: one thread, no database.

A model whose codec is JavaScript is measured in any case (``decoders/`` beside this file): no shipped one needs it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from smartdorf.bench.machine import Machine, describe_machine
from smartdorf.decoding import Context, Frame
from smartdorf.decoding.registry import Catalogue, decode_uplink, load_catalogue, vector_files
from smartdorf.decoding.vectors import RECEIVED_AT, make_uplink
from smartdorf.errors import SmartdorfError
from smartdorf.garbage import collect_rarely
from smartdorf.i18n import gettext as _
from smartdorf.model import Uplink
from smartdorf.vocabulary import Vocabulary
from smartdorf.yaml_source import read_yaml

SAMPLES = Path(__file__).with_name("decoders")
UPLINKS = 5000  # of each model

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
    collect_rarely()  # as the service does
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
    decode, defaults = model.codec.decode, model.defaults

    def codec_alone(uplink: Uplink, parameters: Mapping[str, float]) -> None:
        decode(Frame(uplink.data, uplink.f_port), Context(name, uplink.time, parameters, defaults))

    def whole(uplink: Uplink, parameters: Mapping[str, float]) -> None:
        decode_uplink(catalogue.models[name], uplink, parameters)

    decoded = [decode_uplink(model, *frame) for frame in frames]
    return Cost(
        name,
        "javascript" if model.codec.file.suffix == ".js" else "native",
        _microseconds(codec_alone, frames),
        _microseconds(whole, frames),
        mean(len(made.samples) for made in decoded),
    )


def _microseconds(run: Callable[[Uplink, Mapping[str, float]], None], frames: list[_Frame]) -> float:
    """Of one uplink: the median for each frame, so that what disturbs the machine now and then does not count."""
    times: list[list[float]] = [[] for _frame in frames]
    for _round in range(UPLINKS // len(frames) + 1):
        for taken, (uplink, parameters) in zip(times, frames, strict=True):
            began = time.perf_counter()
            run(uplink, parameters)
            taken.append(time.perf_counter() - began)
    return mean(map(median, times)) * 1e6
