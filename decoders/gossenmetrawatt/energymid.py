"""Gossen Metrawatt ENERGYMID, electricity meter. f_port 2, tagged parts, little endian.

After the vendor's published codec and its example frames; it can be set to send more parts than are described here.

    24 SS MM HH DD OO YYYY      25 EEEEEEEEEEEEEEEE      26 FFFFFFFFFFFFFFFF      54 ZZ
S to Y second, minute, hour, day, month and year, in the meter's own time
E drawn, F fed in, Wh, as double      Z what is wrong, a bit each
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError, parts

_ERRORS: Mapping[str, int] = {
    "phase_voltage_too_low": 0x01,
    "phase_voltage_too_high": 0x02,
    "phase_current_exceeded": 0x04,
    "frequency_synchronization_error": 0x08,
    "reset_performed": 0x10,
    "internal_communication_problem": 0x60,
    "dc_offset_too_high": 0x80,
}


def _time(frame: Frame, at: int, found: dict[str, Any]) -> int:
    second, minute, hour, day, month, year = frame.unpack("<5BH", at)
    try:
        time = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return at + 7  # never set
    found["timestamp"] = {"timestamp_iso": time.replace(tzinfo=None).isoformat(" ")}
    return at + 7


def _energy(name: str) -> parts.Reader:
    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        (energy,) = frame.unpack("<d", at)
        if isfinite(energy):
            found[name] = round(energy / 1000, 3)
        return at + 8

    return read


def _errors(frame: Frame, at: int, found: dict[str, Any]) -> int:
    said = frame.u8(at)
    found["error_status"] = {name: bool(said & bits) for name, bits in _ERRORS.items()}
    return at + 1


_PARTS: parts.Table = {
    b"\x25": _energy("import_active_energy"),
    b"\x26": _energy("export_active_energy"),
    b"\x54": _errors,
}
_TOLD: parts.Table = {b"\x24": _time}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port != 2:
        raise FrameError.unknown_f_port(frame)
    frame.require(2)
    return parts.tagged(frame, 1, _PARTS, _TOLD)
