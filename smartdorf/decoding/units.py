"""Unit conversion: once when a manifest is loaded, never for an uplink.

The only module that knows the unit library; it takes a third of a second to start, so it is loaded only when
two units differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from smartdorf.errors import SmartdorfError, did_you_mean
from smartdorf.i18n import gettext as _

# UCUM's names where the library has another one
_UCUM = {
    "Cel": "degC", "[degF]": "degF", "K": "kelvin", "%": "percent", "1": "dimensionless", "l": "L",
    "kvarh": "kilovar * hour",
}  # fmt: skip
# offered when a unit is misspelt
_COMMON = (
    "1", "%", "A", "Cel", "K", "L", "L/h", "Pa", "V", "W", "Wh", "[degF]", "bar", "cm", "d", "h", "hPa", "kPa",
    "kW", "kWh", "km", "lx", "m", "m3", "m3/h", "mA", "mL", "mV", "mbar", "min", "mm", "ppm", "s",
)  # fmt: skip


class UnitError(SmartdorfError):
    """A unit that nobody knows, or one that measures something else."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """``value * factor / divisor + offset``. A divisor (1000) is exact where its inverse (0.001) is not."""

    factor: float = 1.0
    divisor: float = 1.0
    offset: float = 0.0

    @property
    def is_identity(self) -> bool:
        return self == Conversion()

    def scaled(self, scale: float, offset: float) -> Conversion:
        """This conversion after ``value * scale + offset``."""
        divisor = self.divisor
        factor = self.factor * scale
        inverse = round(1 / scale) if scale else 0
        if 0 < abs(scale) < 1 and abs(inverse * scale - 1) < 1e-12:
            factor, divisor = self.factor, self.divisor * inverse
        return Conversion(factor, divisor, self.offset + offset * self.factor / self.divisor)


@cache
def conversion(unit: str, target: str) -> Conversion:
    """How a value in ``unit`` becomes one in ``target``; raises UnitError with advice."""
    if unit == target:
        return Conversion()
    registry = _registry()
    end = _parse(target)
    start = _parse(unit, end)
    try:
        zero, one, thousand = (
            float(registry.Quantity(value, start).to(end).magnitude) for value in (0.0, 1.0, 1000.0)
        )
    except Exception as error:  # the library's errors share no base class that says only this
        message = _('"{unit}" cannot become "{target}": they measure different things')
        raise UnitError(message.format(unit=unit, target=target)) from error
    if zero == 0.0 and one and abs(thousand / (1000 * one) - 1) < 1e-9 and 0 < one < 1:
        inverse = round(1 / one)
        if abs(inverse * one - 1) < 1e-12:
            return Conversion(divisor=float(inverse))
    return Conversion(factor=_clean((thousand - zero) / 1000), offset=_clean(zero))


def check_unit(unit: str) -> None:
    """Raises UnitError for a unit that nobody knows."""
    if unit not in _COMMON:
        _parse(unit)


def _clean(value: float) -> float:
    """Without the last digits, which are noise of the conversion itself."""
    return float(f"{value:.13g}")


@cache
def _registry() -> Any:
    import pint  # noqa: PLC0415 - see above: a third of a second

    registry: Any = pint.UnitRegistry()
    registry.define("ppb = 1e-9")
    registry.define("var = volt * ampere")  # reactive, which is what meters call it
    return registry


def _parse(unit: str, like: Any = None) -> Any:
    """``like``: a unit that it should be able to become; only such ones are suggested."""
    text = _UCUM.get(unit) or re.sub(r"(?<=[A-Za-z])(-?\d)", r"**\1", unit)
    try:
        return _registry().parse_units(text)
    except Exception as error:  # anything from AssertionError to TokenError, as the text has it
        known = [
            name for name in _COMMON if like is None or _parse(name).dimensionality == like.dimensionality
        ]
        raise UnitError(_('unknown unit "{unit}"').format(unit=unit) + did_you_mean(unit, known)) from error
