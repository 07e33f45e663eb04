"""Pepperl+Fuchs WILSEN.sonic, ultrasonic sensors. A sequence of tagged parts, big endian.

After "Description of the Payload, Wireless Ultrasonic Sensor WILSEN.sonic.level", tdoct7056.

    LL UUUU VV...
L length of U and V      U what it is      V value

    0201 temperature, float, °C           0B01 distance, cm         0B02 distance, mm
    0B06 fill level, %                    0B07 amplitude            0B08 water level, mm
    2A25 serial number                    5001, 5002 latitude and longitude, int32, 0.000001 °
    3101 frames sent      3102 positions looked for      3103 distances measured      5101 battery, 0.1 V
    F1__ to F5__ answers to a downlink about the settings: kept as bytes

The vendor names no f_port.
"""

import math
import struct
from collections.abc import Callable
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]
Reader = Callable[[bytes], Any]

_SETTINGS = range(0xF100, 0xF600)


def _number(layout: str, divisor: int = 1) -> tuple[int, Reader]:
    compiled = struct.Struct(layout)

    def read(value: bytes) -> float:
        (number,) = compiled.unpack(value)
        return number if divisor == 1 else number / divisor  # type: ignore[no-any-return]

    return compiled.size, read


def _temperature(value: bytes) -> float | None:
    (celsius,) = struct.unpack(">f", value)
    return round(celsius, 1) if math.isfinite(celsius) else None


def _text(value: bytes) -> str:
    return value.partition(b"\0")[0].decode("ascii", "replace")


# tag → name, length of its value and how it is read
_PARTS: dict[int, tuple[str, int, Reader]] = {
    0x0201: ("temp", 4, _temperature),
    0x0B01: ("proxx", *_number(">H")),
    0x0B02: ("proxx_mm", *_number(">H")),
    0x0B06: ("fillinglvl", *_number(">B")),
    0x0B07: ("amplitude", *_number(">B")),
    0x0B08: ("water_body_level_mm", *_number(">H")),
    0x2A25: ("serial_nr", 14, _text),
    0x3101: ("lora_count", *_number(">H")),
    0x3102: ("gps_count", *_number(">H")),
    0x3103: ("us_sensor_count", *_number(">I")),
    0x5001: ("latitude", *_number(">i", 1_000_000)),
    0x5002: ("longitude", *_number(">i", 1_000_000)),
    0x5101: ("battery_vol", *_number(">B", 10)),
}


def decode(frame: Frame, context: Context) -> Found:
    frame.require(4)
    found: Found = {}
    settings: dict[str, str] = {}
    at = 0
    while at < len(frame):
        length, tag = frame.unpack(">BH", at)
        if length < 2:
            raise FrameError("implausible", f"byte {at}: a part of {length} bytes, expected at least 2")
        value = frame.part(at + 3, length - 2)
        if tag in _PARTS:
            name, size, read = _PARTS[tag]
            if len(value) != size:
                raise FrameError("implausible", f"byte {at}: {name} has {len(value)} bytes, expected {size}")
            if (said := read(value)) is not None:
                found[name] = said
        elif tag in _SETTINGS:
            settings[f"{tag:04x}"] = value.hex()
        else:
            raise FrameError("implausible", f"byte {at}: unknown part {tag:04x}")
        at += 1 + length
    return {**found, "settings": settings} if settings else found
