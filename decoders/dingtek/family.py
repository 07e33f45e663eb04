"""Dingtek's sensors for bays, bins and manholes: a row of ``MODELS`` for each. Big endian; f_port 3.

After Dingtek's "LoRaWAN Protocol" of each model.

    80 00 MM KK NN  ...  81
M kind of device      K kind of frame: 01 at intervals, 02 at an event, 03 the settings      N length of the frame

    DF555, DF702, DF703, DC413 measure downwards; with the position (G 01) it is eight bytes longer
    ... DDDD GG [XXXXXXXX YYYYYYYY] TT SS AA FFFF CCCC 00 81
    DO200, DO201, DO202 lie in the bay; the DO200 is without T and H
    ... DDDD FFFF BBBB XXXX YYYY ZZZZ [TT HH] CCCC 00 81
D distance, mm, upwards in a bay; 0 there is no echo      T temperature, int8, °C      H humidity in the sensor, %
A angle, °, downwards if the lower four bits of S are not 0      B battery, 0.01 V      X Y Z in a bay magnetic field
X longitude, Y latitude: floats, little endian      C counter of frames, uint16
F four flags of four bits: DF full, fire, fallen, battery low      DO bay occupied, distance, field, battery low

    settings, after VVVV (firmware), II (hours between frames) and JJ (minutes between measurements)
    DF, DC  ... LL (level, cm) FF (fire, °C) AA (angle, °) EE (whether it watches the angle) WW (work mode) ... 81
    DO200   ... JJ (magnetometer) ____ LLLL (field) ____ 81      DO201, DO202   ... LL (distance, cm) LLLL BB (%)
"""

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]
Reader = Callable[[Frame, "Model"], Found]

_REPORTS = (0x01, 0x02)
_SETTINGS = 0x03
_POSITION = struct.Struct("<ff")


@dataclass(frozen=True, slots=True)
class Model:
    kind: int
    report: Reader
    report_lengths: tuple[int, ...]
    settings: Reader
    settings_length: int
    alarms: tuple[str | None, ...]  # names of the four flags; None is not used
    has_distance: bool = True
    has_angle: bool = True


def decode(frame: Frame, context: Context) -> Found:
    if frame.f_port != 3:
        raise FrameError.unknown_f_port(frame)
    model = MODELS[context.model]
    start, zero, kind, report, length = frame.unpack(">5B")
    if (start, zero, kind) != (0x80, 0, model.kind):
        raise FrameError("implausible", f"begins with {frame.data[:3].hex()}, expected 8000{model.kind:02x}")
    if report in _REPORTS:
        frame.expect(*model.report_lengths)
        read = model.report
    elif report == _SETTINGS:
        frame.expect(model.settings_length)
        read = model.settings
    else:
        raise FrameError("implausible", f"kind of frame {report:02x}, expected 01, 02 or 03")
    if length != len(frame):
        raise FrameError("length", f"the frame says that it has {length} bytes, got {len(frame)}")
    if frame.data[-1] != 0x81:
        raise FrameError("implausible", f"ends with {frame.data[-1]:02x}, expected 81")
    return read(frame, model)


def _alarms(model: Model, flags: int) -> Found:
    return {
        name: bool(flags >> 12 - 4 * place & 0xF)
        for place, name in enumerate(model.alarms)
        if name is not None
    }


# -- bins and manholes ----------------------------------------------------------------------------------


def _downwards(frame: Frame, model: Model) -> Found:
    distance, with_position = frame.unpack(">HB", 5)
    if bool(with_position) != (len(frame) == 25):
        raise FrameError("length", f"position {with_position:02x} in a frame of {len(frame)} bytes")
    at = 8
    found: Found = {"level": distance}
    if with_position:
        found |= _position(frame, at)
        at += _POSITION.size
    temperature, sign, angle, flags, counter = frame.unpack(">bBBHH", at)
    found |= _alarms(model, flags)
    if model.has_angle:
        found["angle"] = -angle if sign & 0xF else angle
    return {**found, "temperature": temperature, "frameCounter": counter}


def _position(frame: Frame, at: int) -> Found:
    """Nothing if there was none: the floats are then 0 or no numbers."""
    longitude, latitude = _POSITION.unpack(frame.part(at, _POSITION.size))
    if not (math.isfinite(longitude) and math.isfinite(latitude)) or longitude == latitude == 0:
        return {}
    return {"longitude": round(longitude, 6), "latitude": round(latitude, 6)}


def _settings(frame: Frame) -> Found:
    major, minor, upload, detect = frame.unpack(">4B", 5)
    return {"firmware": f"{major}.{minor}", "uploadInterval": upload, "detectInterval": detect}


def _settings_downwards(frame: Frame, model: Model) -> Found:
    level, fire, fall, watch, mode = frame.unpack(">5B", 9)
    found = {**_settings(frame), "levelThreshold": level}
    if "alarmFire" in model.alarms:
        found["fireThreshold"] = fire
    if model.has_angle:
        found |= {"fallThreshold": fall, "fallEnable": bool(watch), "workMode": mode}
    return found


# -- bays -----------------------------------------------------------------------------------------------


def _bay(frame: Frame, model: Model) -> Found:
    distance, flags, battery, x, y, z = frame.unpack(">HHHhhh", 5)
    found: Found = {"level": distance} if model.has_distance else {}
    found |= {"volt": battery / 100, **_alarms(model, flags), "xMagnet": x, "yMagnet": y, "zMagnet": z}
    if len(frame) == 21:
        return {**found, "Frame_Counter": frame.u16(17)}
    return {**found, "temperature": frame.i8(17), "humidity": frame.u8(18), "frameCounter": frame.u16(19)}


def _settings_do200(frame: Frame, model: Model) -> Found:
    found = _settings(frame)
    return {
        "firmware": found["firmware"],
        "uploadInterval": found["uploadInterval"],
        "ultraDetectInterval": found["detectInterval"],
        "magDetectInterval": frame.u8(9),
        "magThreshold": frame.u16(12),
    }


def _settings_bay(frame: Frame, model: Model) -> Found:
    level, field, battery = frame.unpack(">BHB", 9)
    found = {**_settings(frame), "magnetThreshold": field, "batteryThreshold": battery}
    return {**found, "levelThreshold": level} if model.has_distance else found


_BIN = ("alarmLevel", "alarmFire", "alarmFall", "alarmBattery")
_BAY = ("alarmPark", "alarmLevel", "alarmMagnet", "alarmBattery")

MODELS: Mapping[str, Model] = {
    "dingtek/do200": Model(0x02, _bay, (21,), _settings_do200, 17, _BAY),
    "dingtek/do201": Model(0x31, _bay, (23,), _settings_bay, 16, _BAY),
    "dingtek/do202": Model(0x32, _bay, (23,), _settings_bay, 16, _BAY, has_distance=False),
    "dingtek/dc413": Model(
        0x01, _downwards, (17, 25), _settings_downwards, 25, ("alarmLevel", None, "alarmFall", "alarmBattery")
    ),
    "dingtek/df555": Model(
        0x01,
        _downwards,
        (17, 25),
        _settings_downwards,
        17,
        ("alarmLevel", None, None, "alarmBattery"),
        has_angle=False,
    ),
    "dingtek/df702": Model(0x01, _downwards, (17, 25), _settings_downwards, 25, _BIN),
    "dingtek/df703": Model(0x01, _downwards, (17, 25), _settings_downwards, 25, _BIN),
}
