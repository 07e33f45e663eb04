"""Values that follow from a measured one and from how the sensor is mounted.

A manifest names a derivation by its word and says which parameters fill its places. Few on purpose: whatever
needs more than a line of arithmetic belongs into a codec or a rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

METRES_OF_WATER_PER_BAR = 10.197162  # fresh water of 1000 kg/m³ at 9.80665 m/s²

# A little below the rim or above the ground is still "full" or "empty": lids, slopes, rounding of the height.
_FILL_SLACK = 5.0  # percentage points


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a derivation that a parameter fills."""

    name: str
    default: float | None = None  # where the manifest names no parameter
    unit: str = "m"


@dataclass(frozen=True, slots=True)
class Formula:
    """``compute(value, arguments)`` in the units of ``source_unit`` and ``unit``; NaN where it has no answer."""

    source_unit: str
    unit: str
    places: tuple[Place, ...]
    compute: Callable[[float, Sequence[float]], float]


def _fill_level(distance: float, arguments: Sequence[float]) -> float:
    empty, full = arguments
    if empty <= full:
        return math.nan
    level = 100 * (empty - distance) / (empty - full)
    if -_FILL_SLACK <= level < 0:
        return 0.0
    return 100.0 if 100 < level <= 100 + _FILL_SLACK else level


def _hydrostatic(pressure: float, arguments: Sequence[float]) -> float:
    (zero,) = arguments
    return pressure * METRES_OF_WATER_PER_BAR + zero


def _gauge_level(distance: float, arguments: Sequence[float]) -> float:
    (height,) = arguments
    return height - distance


def _pulse_volume(pulses: float, arguments: Sequence[float]) -> float:
    volume, start = arguments
    if volume <= 0:
        return math.nan  # it counts something else
    return start + pulses * volume


FORMULAS: Mapping[str, Formula] = {
    # per cent, from the distance down to the content; `empty` is the distance to the bottom of the container
    "fill_level": Formula("m", "%", (Place("empty"), Place("full", 0.0)), _fill_level),
    # metres of water over a submerged pressure probe, plus where the probe hangs on the gauge's scale
    "hydrostatic": Formula("bar", "m", (Place("zero", 0.0),), _hydrostatic),
    # metres of water, from the distance down to the surface; `height` is where the sensor hangs on the gauge's scale
    "gauge_level": Formula("m", "m", (Place("height"),), _gauge_level),
    # what a meter shows: `volume` is that of a pulse, `start` what it showed when the pulse counter stood at 0
    "pulse_volume": Formula(
        "1", "m3", (Place("volume", unit="m3"), Place("start", 0.0, unit="m3")), _pulse_volume
    ),
}


def add(value: float, arguments: Sequence[float]) -> float:
    """The vocabulary's ``sum``: no formula of a manifest, since it follows whichever sensor measures the value."""
    (more,) = arguments
    return value + more


@dataclass(frozen=True, slots=True)
class Derivation:
    """One derived measurement of a model, compiled."""

    metric: str
    channel: int
    source: str
    compute: Callable[[float, Sequence[float]], float]
    given: tuple[tuple[str, float | None], ...]  # parameter ("" for none) and default, place by place
    low: float
    high: float
    may_lack: bool = False  # without its parameters there is no such value, and nothing is amiss

    def arguments(self, parameters: Mapping[str, float]) -> tuple[list[float], list[str]]:
        """What fills the places, and the parameters that are missing for it."""
        known: list[float] = []
        unknown: list[str] = []
        for name, default in self.given:
            value = parameters.get(name, default)
            if value is None:
                unknown.append(name)
            else:
                known.append(value)
        return known, unknown
