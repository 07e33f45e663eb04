"""What decoding costs, per sensor model: the frames of the model's own vectors, in process.

The good frames only, each many times. Run with `python benchmarks/decoders.py [MODEL …]`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping

from smartdorf.content import shipped
from smartdorf.decoding.manifest import DeviceModel
from smartdorf.decoding.registry import decode_uplink, load_catalogue, vector_files
from smartdorf.decoding.vectors import RECEIVED_AT, make_uplink
from smartdorf.errors import did_you_mean
from smartdorf.model import Uplink
from smartdorf.vocabulary import load_vocabulary
from smartdorf.yaml_source import read_yaml

UPLINKS = 2000  # a round
ROUNDS = 5  # the best one counts: the others were disturbed

Frame = tuple[Uplink, Mapping[str, float]]  # with the parameters that its decoding needs


def good_frames() -> Iterator[tuple[str, Frame]]:
    """Model and frame of every vector that is to give measurements."""
    for file in vector_files(shipped("decoders")):
        document = read_yaml(file).plain()
        for vector in document["vectors"]:
            if "error" not in vector:
                uplink = make_uplink(vector["f_port"], bytes.fromhex(vector["data"]), RECEIVED_AT)
                yield document["decoder"], (uplink, vector.get("parameters", {}))


def best(model: DeviceModel, frames: list[Frame]) -> float:
    """Microseconds per uplink."""
    repeated = (frames * (UPLINKS // len(frames) + 1))[:UPLINKS]
    fastest = float("inf")
    for _round in range(ROUNDS):
        began = time.perf_counter()
        for uplink, parameters in repeated:
            decode_uplink(model, uplink, parameters)
        fastest = min(fastest, time.perf_counter() - began)
    return fastest / UPLINKS * 1e6


def main() -> None:
    catalogue = load_catalogue([shipped("decoders")], load_vocabulary())
    wanted = sys.argv[1:] or list(catalogue.models)
    for name in wanted:
        if name not in catalogue.models:
            sys.exit(f"unknown model {name}{did_you_mean(name, catalogue.models)}")
    frames: dict[str, list[Frame]] = {}
    for name, frame in good_frames():
        frames.setdefault(name, []).append(frame)
    rows = []
    for name in wanted:
        decoded = [decode_uplink(catalogue.models[name], *frame) for frame in frames[name]]
        samples = sum(len(made.samples) for made in decoded) / len(decoded)
        rows.append((best(catalogue.models[name], frames[name]), samples, name))
    print("µs per uplink  samples  model")
    for microseconds, samples, name in sorted(rows, reverse=True):
        print(f"{microseconds:13.1f}  {samples:7.1f}  {name}")


if __name__ == "__main__":
    main()
