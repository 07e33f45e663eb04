"""Milesight current transformers, with one clamp or with three (CT series), and the socket WS523.

After the payload tables in the user guides and in the vendor's README of each model. Any f_port (85 unless
configured), framed as all Milesight sensors (family.py), little endian:

    CC TT V...  CC TT V...  CC TT V...
C channel, T type, V value: its length follows from channel and type
"""

from typing import Any

from smartdorf.decoding import Context, Frame, parts

from .information import INFORMATION

# ffff and fffd would be a little below zero
_FAILED = {-1: "read failed", -3: "overload"}
_CURRENT_ALARMS = (
    "threshold_alarm", "threshold_alarm_release", "over_range_alarm", "over_range_alarm_release",
)  # fmt: skip


def _current_alarms(name: str) -> parts.Reader:
    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        bits = frame.u8(at)
        found[f"{name}_alarm"] = {
            f"current_{word}": "yes" if bits >> bit & 1 else "no" for bit, word in enumerate(_CURRENT_ALARMS)
        }
        return at + 1

    return read


def _clamp(channel: int, kind: int, total: str, name: str, divisor: float) -> parts.Table:
    """One phase: what flowed so far, the current, and the current with its alarms."""
    current = parts.number(name, "<H", divisor, faults={0xFFFF: "read failed"})
    highest, lowest = parts.number(f"{name}_max", "<H", divisor), parts.number(f"{name}_min", "<H", divisor)
    return {
        bytes((channel, 0x97)): parts.number(total, "<I", 100),
        bytes((channel + 1, kind)): current,
        bytes((channel + 1 | 0x80, kind)): parts.in_order(highest, lowest, current, _current_alarms(name)),
    }


_CABLE_TEMPERATURE = parts.number("temperature", "<h", 10, faults=_FAILED)
_CABLE: parts.Table = {
    b"\x09\x67": _CABLE_TEMPERATURE,
    b"\x89\x67": parts.in_order(
        _CABLE_TEMPERATURE, parts.word("temperature_alarm", "threshold alarm release", "threshold alarm")
    ),
}
_ONE_PHASE: parts.Table = {**_clamp(3, 0x98, "total_current", "current", 100), **_CABLE}
_THREE_PHASES: parts.Table = {
    **_clamp(3, 0x99, "current_chn1_total", "current_chn1", 10),
    **_clamp(5, 0x99, "current_chn2_total", "current_chn2", 10),
    **_clamp(7, 0x99, "current_chn3_total", "current_chn3", 10),
    **_CABLE,
}

_SOCKET: parts.Table = {
    b"\x03\x74": parts.number("voltage", "<H", 10),
    b"\x04\x80": parts.number("active_power", "<I"),
    b"\x05\x81": parts.number("power_factor", "<B"),
    b"\x06\x83": parts.number("power_consumption", "<I"),
    b"\x07\xc9": parts.number("current", "<H"),
    b"\x08\x70": parts.word("socket_status", "off", "on"),
}

MODELS = {
    "milesight/ct101": _ONE_PHASE,
    "milesight/ct103": _ONE_PHASE,
    "milesight/ct105": _ONE_PHASE,
    "milesight/ct303": _THREE_PHASES,
    "milesight/ct305": _THREE_PHASES,
    "milesight/ct310": _THREE_PHASES,
    "milesight/ws523": _SOCKET,
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    return parts.tagged(frame, 2, MODELS[context.model], INFORMATION)
