"""The container of ``test_alert_machine.py``: its rules, once for the service and once for the reference.

The same three times (`VERSIONS`), so that the service can be given other rules while it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tests.integration.alert_reference import RuleMeaning

RULES = """
groups:
  - name: waste
    rules:
      - alert: Filling
        for_each: {{place_type: container}}
        limits: {{full: {full}, overfull: 95, emptied: 60}}
        stages:
          - {{name: {{de: voll, en: full}}, when: fill_level_pct >= full, severity: info, notify: [bauhof]}}
          - {{name: {{de: über, en: over}}, when: fill_level_pct >= overfull, severity: critical, notify: [bauhof, it]}}
        for: 2 readings
        clear: fill_level_pct < emptied
        mode: live
        summary: {{de: "{{fill_level_pct}}", en: "{{fill_level_pct}}"}}
      - alert: Tilted
        for_each: {{place_type: container}}
        when: container_tilted == tilted
        for: {tilted}m
        keep_firing_for: 20m
        severity: warning
        notify: [bauhof]
        mode: live
        summary: {{de: gekippt, en: tilted}}
      - alert: Hot
        for_each: {{place_type: container}}
        when: device_temperature_c >= 60
        clear: device_temperature_c < 40
        for: 1 reading
        keep_firing_for: 10m
        close: by hand
        severity: critical
        notify: [bauhof]
        mode: live
        summary: {{de: heiß, en: hot}}
      - alert: Warm
        for_each: {{place_type: container}}
        active: {{hours: "02:30-03:30, 08:00-14:00, 17:00-18:00"}}
        when: device_temperature_c >= 50
        for: 10m
        severity: warning
        notify: [bauhof]
        mode: live
        summary: {{de: warm, en: warm}}
      - alert: Heaped
        for_each: {{place_type: container}}
        when: fill_level_pct >= 75
        clear: fill_level_pct < 60
        for: 15m
        depends_on: [Tilted]
        severity: warning
        notify: [bauhof]
        mode: live
        summary: {{de: gehäuft, en: heaped}}
{silent}
"""
NAMES = ["Filling", "Tilted", "Hot", "Warm", "Heaped", "Silent"]
SILENT = """
      - alert: Silent
        for_each: {device: any}
        when: silent_for() >= "2h"
        severity: warning
        notify: [it]
        mode: live
        summary: {de: stumm, en: silent}
"""


class Version(NamedTuple):
    """Numbers of the rules, and whether one of them is there."""

    full: int
    tilted: int
    silent: bool

    @property
    def text(self) -> str:
        return RULES.format(full=self.full, tilted=self.tilted, silent=SILENT if self.silent else "")


VERSIONS = [Version(80, 30, True), Version(70, 50, True), Version(80, 30, False)]


def meaning(version: Version, is_open: Callable[[int], bool]) -> dict[str, RuleMeaning]:
    full, tilted, silent = version
    rules = {
        "Filling": RuleMeaning(
            "fill", (lambda v: v >= full, lambda v: v >= 95), lambda v: v < 60, readings=2
        ),
        "Tilted": RuleMeaning("tilt", (lambda v: v == 1,), lambda v: v != 1, minutes=tilted, keep=20),
        "Hot": RuleMeaning("heat", (lambda v: v >= 60,), lambda v: v < 40, readings=1, keep=10, by_hand=True),
        "Warm": RuleMeaning("heat", (lambda v: v >= 50,), None, minutes=10, is_open=is_open),
        "Heaped": RuleMeaning(
            "fill", (lambda v: v >= 75,), lambda v: v < 60, minutes=15, depends_on="Tilted"
        ),
    }
    if silent:
        rules["Silent"] = RuleMeaning("", (lambda m: m >= 120,), lambda m: m < 120)
    return rules


NIGHTS = [
    datetime(2026, 3, 4, 12, tzinfo=UTC),
    datetime(2026, 3, 28, 23, 30, tzinfo=UTC),  # an hour and a half later it is three o'clock, not two
    datetime(2026, 10, 24, 23, 30, tzinfo=UTC),  # the hour after two comes twice
]


def hours_from(start: datetime) -> Callable[[int], bool]:
    """Whether it is between 02:30 and 03:30, 08:00 and 14:00 or 17:00 and 18:00 o'clock so many minutes later.

    In UTC, written out: the clocks go forward at one o'clock of 29 March, and back at that of 25 October.
    """

    def is_open(minute: int) -> bool:
        time = start + timedelta(minutes=minute)
        clock = 60 * time.hour + time.minute
        if (time.month, time.day) == (3, 29):
            night = (60, 90)  # 02:30 does not exist
        elif (time.month, time.day) == (10, 25):
            night = (30, 150)  # from the first 02:30 on
        else:
            night = (30, 90) if _is_summer(time) else (90, 150)
        shift = 60 if _is_summer(time) else 0
        hours = [night, (420 - shift, 780 - shift), (960 - shift, 1020 - shift)]
        return any(begin <= clock < end for begin, end in hours)

    return is_open


def _is_summer(time: datetime) -> bool:
    return (3, 29) <= (time.month, time.day) < (10, 25)


def payload(values: dict[str, float]) -> bytes:
    """Milesight EM400-MUD: 04 82 distance in mm below a lid 1.8 m high, 05 00 tilted, 03 67 tenths of a degree."""
    data = b""
    if "fill" in values:
        data += b"\x04\x82" + (1800 - 18 * int(values["fill"])).to_bytes(2, "little")
    if "tilt" in values:
        data += bytes((0x05, 0x00, int(values["tilt"])))
    if "heat" in values:
        data += b"\x03\x67" + (10 * int(values["heat"])).to_bytes(2, "little", signed=True)
    return data
