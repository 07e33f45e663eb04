"""Ellenex PLS2-L (level) and PTS2-L (pressure). Big endian.

After the vendor's published codecs:

    up to version 5, f_ports 1 and 15, 8 bytes
    ______  RRRR  SSSS  BB
R reading of the sensor, int16      S second reading, int16      B battery, 0.1 V

How a reading becomes a level or a pressure differs from device to device; the vendor tells it with the EUI. As far as
it is a straight line, three parameters say it: the readings at the low and at the high end of the range, and the range.

    version 6, f_port 15: a map in CBOR (RFC 8949) of letters and numbers, which says its end (BF ... FF) or its length
    L level, m      P pressure, bar      v battery, mV
"""

from math import isfinite
from struct import Struct
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_MAP, _TEXT, _UNSIGNED, _NEGATIVE, _FLOAT = 5, 3, 0, 1, 7
_OPEN, _END = 0x1F, 0xFF
_FLOATS = {25: Struct(">e"), 26: Struct(">f"), 27: Struct(">d")}
_INTEGERS = {24: Struct(">B"), 25: Struct(">H"), 26: Struct(">I"), 27: Struct(">Q")}
_MEANINGS = {"L": ("level_m", 1), "P": ("pressure_bar", 1), "v": ("batteryVoltage", 1000)}
# model → the parameter with its range → what the reading becomes
_RANGES = {
    "ellenex/pls2-l": ("level_range_m", "level_m"),
    "ellenex/pts2-l": ("pressure_range_bar", "pressure_bar"),
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port not in (1, 15):
        raise FrameError.unknown_f_port(frame)
    if frame.u8(0) >> 5 == _MAP:
        return _version_6(frame)
    frame.expect(8)
    reading, second, battery = frame.unpack(">hhB", 3)
    found: dict[str, Any] = {
        "sensorReading": reading,
        "secondReading": second,
        "batteryVoltage": battery / 10,
    }
    name, meaning = _RANGES[context.model]
    low, high = context.parameter("reading_low"), context.parameter("reading_high")
    whole = context.parameter(name)
    if low is not None and high is not None and whole is not None and high != low:
        value = (reading - low) / (high - low) * whole
        if isfinite(value):
            found[meaning] = round(value, 6)
    return found


def _version_6(frame: Frame) -> dict[str, Any]:
    entries = frame.u8(0) & 0x1F
    if entries >= min(_INTEGERS) and entries != _OPEN:
        raise FrameError("implausible", "a map of more than 23 values")
    found: dict[str, Any] = {}
    at = 1
    while frame.u8(at) != _END if entries == _OPEN else entries > 0:
        if entries != _OPEN:
            entries -= 1
        if frame.u8(at) != _TEXT << 5 | 1:
            raise FrameError("implausible", f"byte {at}: expected the name of a value, one letter")
        letter = frame.part(at + 1, 1).decode("latin-1")
        value, at = _number(frame, at + 2)
        if letter in _MEANINGS and isfinite(value):
            name, divisor = _MEANINGS[letter]
            found[name] = value / divisor
    at += entries == _OPEN
    if at != len(frame):
        raise FrameError("length", f"{len(frame) - at} bytes behind the map")
    return found


def _number(frame: Frame, at: int) -> tuple[float, int]:
    kind, size = frame.u8(at) >> 5, frame.u8(at) & 0x1F
    at += 1
    if kind == _FLOAT and size in _FLOATS:
        layout = _FLOATS[size]
        (value,) = layout.unpack(frame.part(at, layout.size))
        return float(value), at + layout.size
    if kind not in (_UNSIGNED, _NEGATIVE) or (size >= min(_INTEGERS) and size not in _INTEGERS):
        raise FrameError("implausible", f"byte {at - 1}: expected a number")
    number = size
    if size in _INTEGERS:
        integer = _INTEGERS[size]
        (number,) = integer.unpack(frame.part(at, integer.size))
        at += integer.size
    return (-1 - number if kind == _NEGATIVE else number), at
