"""Dragino WSC1-L: a weather station, with whatever sensors are plugged in. Big endian.

After the user manual of the Dragino LoRaWAN weather station, "Uplink Payload" and "Decode payload".

    f_port 2: any number of sensors
    TT LL V...
T kind of sensor     L length of V     V uint16 in the steps of ``SENSORS``; kind 1 goes on with the highest and the
mean speed (0.1 m/s) and the Beaufort number, kind 2 with one of 16 directions, kind 4 is one byte
A sensor of a kind that is not known has its length with it: it is kept as bytes.

    f_port 5, 10 bytes: device status
    0D  FFFF  RR  UU  BBBB  SSSSSS
F firmware, a digit each nibble     R frequency band     U sub band     B battery, mV     S which sensors it looks for

The vendor's formula for negative temperatures is off by one digit; they are plain int16.
"""

from collections.abc import Mapping
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_WIND, _DIRECTION, _ILLUMINATION, _TEMPERATURE = 0x01, 0x02, 0x03, 0x06

# kind → length, name, steps for one
SENSORS: Mapping[int, tuple[int, str, int]] = {
    0x00: (2, "bat", 30),
    _WIND: (7, "wind_speed", 10),
    _DIRECTION: (3, "wind_direction_angle", 10),
    _ILLUMINATION: (2, "illumination", 1),
    0x04: (1, "rain_snow", 1),
    0x05: (2, "CO2", 1),
    _TEMPERATURE: (2, "TEM", 10),
    0x07: (2, "HUM", 10),
    0x08: (2, "pressure", 10),
    0x09: (2, "rain_gauge", 10),
    0x0A: (2, "PM2_5", 1),
    0x0B: (2, "PM10", 1),
    0x0C: (2, "PAR", 1),
    0x0D: (2, "TSR", 10),
    0xA1: (2, "A1", 1),
    0xA2: (2, "A2", 1),
    0xA3: (2, "A3", 1),
    0xA4: (2, "A4", 1),
}
_DIRECTIONS = (
    "N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW",
)  # fmt: skip
_BANDS = ("EU868", "US915", "IN865", "AU915", "KZ865", "RU864", "AS923", "AS923_1", "AS923_2", "AS923_3")


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port == 2:
        return _measured(frame)
    if frame.f_port == 5:
        return _status(frame)
    raise FrameError.unknown_f_port(frame)


def _measured(frame: Frame) -> dict[str, Any]:
    frame.require(2)
    found: dict[str, Any] = {}
    at = 0
    while at < len(frame):
        kind, length = frame.unpack(">BB", at)
        value = frame.part(at + 2, length)
        if kind not in SENSORS:
            found[f"sensor_{kind:02x}"] = value.hex()
        elif length != SENSORS[kind][0]:
            raise FrameError("implausible", f"byte {at}: sensor {kind:02x} with {length} bytes")
        else:
            _sensor(kind, value, found)
        at += 2 + length
    return found


def _sensor(kind: int, value: bytes, found: dict[str, Any]) -> None:
    _length, name, steps = SENSORS[kind]
    number = int.from_bytes(value[:2], signed=kind == _TEMPERATURE)
    found[name] = number if steps == 1 else number / steps
    if kind == _WIND:
        found["wind_speed_max"] = int.from_bytes(value[2:4]) / 10
        found["wind_speed_average"] = int.from_bytes(value[4:6]) / 10
        found["wind_speed_level"] = value[6]
    elif kind == _DIRECTION:
        found["wind_direction"] = _DIRECTIONS[value[2]] if value[2] < len(_DIRECTIONS) else value[2]
    elif kind == _ILLUMINATION:
        found[name] = number * 10  # sent in steps of ten


def _status(frame: Frame) -> dict[str, Any]:
    frame.expect(10)
    model, firmware, band, sub_band, battery = frame.unpack(">BHBBH")
    if model != 0x0D:
        raise FrameError("implausible", f"the frame says that it is model {model:02x}, a WSC1-L is 0d")
    return {
        "node": "WSC1-L",
        "version": f"{firmware >> 8 & 0xF}.{firmware >> 4 & 0xF}.{firmware & 0xF}",
        "frequency_band": _BANDS[band - 1] if 0 < band <= len(_BANDS) else band,
        "sub_band": sub_band,
        "bat": battery / 1000,
        "weather_sensor_types": frame.part(7, 3).hex(),
    }
