"""The devices of a benchmark, what their model measures, and the rule that watches some of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import asyncpg

from smartdorf.db import directory
from smartdorf.simulate.load import load_village
from smartdorf.simulate.village import Village

MODEL = "bench/lht65n"
MEASUREMENTS = 3  # an uplink
RULE = "BenchLatency"
ALERT_TAG = {"bench": "latency"}  # devices with it raise an alert with their first uplink

# The shipped codec of the LHT65N; its manifest may learn to measure more, while three is what is compared.
_MANIFEST = """\
vendor: bench
model: lht65n
name: {de: LHT65N der Messung, en: LHT65N of the benchmark}
category: environment
documentation: https://wiki.dragino.com/xwiki/bin/view/Main/
firmware: ["1.3"]
device_profile: {region: EU868, mac_version: "1.0.3", class: A, uplink_interval: 20m}
proof: vendor vectors
recognise: {profiles: [LHT65N of the benchmark]}
codec: dragino/lht65n.py
measurements:
  air_temperature_c: {field: TempC_SHT, unit: Cel}
  air_humidity_pct: Hum_SHT
  battery_v: BatV
"""
# critical: what is not, is gathered for a minute where fifty of a rule come in a second
_RULES = f"""\
groups:
  - name: bench
    rules:
      - alert: {RULE}
        for_each: {{device: {{tags: {{bench: latency}}}}}}
        when: air_temperature_c > 0
        for: 1 readings
        severity: critical
        notify: [bench]
        mode: live
        summary: {{de: "{{device}}: {{air_temperature_c}}", en: "{{device}}: {{air_temperature_c}}"}}
"""


def write_content(folder: Path) -> None:
    """The benchmark's own content, beside what ships: folders ``decoders`` and ``rules``."""
    for kind, name, text in (("decoders", "lht65n.yaml", _MANIFEST), ("rules", "bench.yaml", _RULES)):
        (folder / kind).mkdir()
        (folder / kind / name).write_text(text, encoding="utf-8")


async def onboard(
    connection: asyncpg.Connection,
    *,
    seed: int,
    devices: int,
    since: datetime,
    tags: Mapping[str, str] | None = None,
) -> Village:
    """Add the devices that ``load_messages`` with this seed speaks for, each at a place of its own."""
    village = load_village(seed=seed, devices=devices)
    async with connection.transaction():
        for device in village.devices:
            place = f"bench-{seed}-{device.place.slug}"
            await directory.add_place(
                connection, slug=place, name=device.place.name, place_type=device.place.place_type
            )
            await directory.add_device(
                connection, dev_eui=device.dev_eui, model=MODEL, name=device.name, tags=tags
            )
            await directory.install(connection, dev_eui=device.dev_eui, place=place, since=since)
    return village
