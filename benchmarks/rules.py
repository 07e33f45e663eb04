"""What the rules cost: a village so big that the shipped rules have 5,000 instances, at 30 uplinks a second.

In process and without I/O. One second of the village is 30 uplinks, evaluated one by one as they arrive, and one
tick of the timers. Run with `python benchmarks/rules.py [--instances 5000] [--rate 30] [--seconds 60]`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from smartdorf.alerting.engine import EngineState, Evaluation, Observation, bind, evaluate, tick
from smartdorf.config.rules import load_rules
from smartdorf.content import shipped
from smartdorf.decoding.registry import Catalogue, decode_uplink, load_catalogue
from smartdorf.directory import Device, Directory, Installation, Place
from smartdorf.ingest.chirpstack import parse_event
from smartdorf.ingest.rows import observations
from smartdorf.model import Uplink
from smartdorf.simulate import Village, simulate
from smartdorf.vocabulary import load_vocabulary

START = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)
SAMPLE = 600  # devices, of which the number of instances per device is learned


def directory_of(village: Village) -> Directory:
    """The village as the database would know it after onboarding."""
    places, devices, installations = [], [], []
    for number, device in enumerate(village.devices, start=1):
        place = device.place
        places.append(
            Place(
                number, place.slug, place.name, place.place_type, "village", place.tags, {}, place.parameters
            )
        )
        devices.append(Device(number, device.dev_eui, device.name, device.model, {}, device.parameters))
        installations.append(Installation(number, number, START - timedelta(days=1)))
    return Directory.of(places, devices, installations)


def heard(village: Village, catalogue: Catalogue, directory: Directory) -> Iterator[list[Observation]]:
    """What the rules see of each uplink, in order of time."""
    for message in simulate(village):
        event = parse_event(message.topic, message.payload, message.at)
        if isinstance(event, Uplink):
            device = directory.by_dev_eui[event.dev_eui]
            model = catalogue.models[device.model or ""]
            decoded = decode_uplink(model, event, directory.parameters_at(device, event.time))
            yield observations(event, device.id, decoded)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--instances", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=30, help="uplinks a second")
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()

    vocabulary = load_vocabulary()
    catalogue = load_catalogue([shipped("decoders")], vocabulary)
    rules = load_rules([shipped("rules")], vocabulary)
    categories = {name: model.category for name, model in catalogue.models.items()}
    sample = bind(rules, directory_of(Village.build(1, devices=SAMPLE, start=START)), categories)
    village = Village.build(1, devices=given.instances * SAMPLE // len(sample.instances) + 1, start=START)
    directory = directory_of(village)
    bound, state = bind(rules, directory, categories), EngineState()

    stream = heard(village, catalogue, directory)
    for seen in islice(stream, 2 * len(village.devices)):  # every device has been heard before we measure
        state.apply(evaluate(bound, state, seen))
    state.apply(tick(bound, state, max(state.last_heard.values())))

    spent = {"evaluate": 0.0, "tick": 0.0}
    transitions = 0

    def step(name: str, seen: list[Observation] | None) -> None:
        nonlocal transitions
        began = time.process_time()
        done: Evaluation = (
            evaluate(bound, state, seen)
            if seen is not None
            else tick(bound, state, max(state.last_heard.values()))
        )
        state.apply(done)
        spent[name] += time.process_time() - began
        transitions += len(done.transitions)

    for _second in range(given.seconds):
        for seen in list(islice(stream, given.rate)):
            step("evaluate", seen)
        step("tick", None)

    uplinks = given.rate * given.seconds
    share = sum(spent.values()) / given.seconds
    print(f"{len(bound.instances)} instances of {len(rules)} rules, {len(village.devices)} devices")
    print(f"{spent['evaluate'] / uplinks * 1e6:8.1f} µs per uplink in evaluate")
    print(f"{spent['tick'] / given.seconds * 1e6:8.1f} µs per tick")
    print(
        f"{share:8.2%} of one core at {given.rate} uplinks/s with a tick each second; {transitions} transitions"
    )


if __name__ == "__main__":
    main()
