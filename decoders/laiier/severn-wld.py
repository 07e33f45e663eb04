"""LAIIER Severn WLD, a strip of twelve electrodes that notices water. Big endian.

After the vendor's published codec and frames:

    profile 0, 9 bytes, f_port 1 regular, 99 emergency, 102 self-test
    FFFFWWWW WWWWWWWW  XX YY ZZ  TT  HH  IIII
    profile 1, 11 bytes, f_port 2 regular, 98 emergency, 104 self-test
    PP  FFFFWWWW WWWWWWWW  __ZZYYXX  BB  TT  HHHHIIII IIIIIIII  ____JJJJ JJJJJJJJ  __
    f_port 100, started, 11 bytes: SSSSSSSSSSSSSSSS MM NN RRRRRRRR (R: why it was reset, 2 bits; number of the patch)
F critically wet, self-test failed, sensor connected, join error; the last two in profile 1
W wet electrodes, the lower eight behind the upper four      X Y Z acceleration, 1/63 g; in profile 1 2 bits, 2 is -1 g
T temperature, int8, °C      B battery, 1.25 V + 0.01 V      H how many wet electrodes are critical
I interval, seconds; in profile 1 minutes      P profile      J failed join requests      S serial number, BCD
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_KINDS = {1: "Regular", 99: "Emergency", 102: "Self_test", 2: "Regular", 98: "Emergency", 104: "Self_test"}
_FIRST_PROFILE = (1, 99, 102)
_RESETS = {0: "Unknown", 2: "Pin"}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port == 100:
        return _started(frame)
    if frame.f_port not in _KINDS:
        raise FrameError.unknown_f_port(frame)
    read = _profile_0 if frame.f_port in _FIRST_PROFILE else _profile_1
    return {"event_type": _KINDS[frame.f_port], **read(frame)}


def _electrodes(flags: int) -> dict[str, Any]:
    wet = [bool(flags >> electrode & 1) for electrode in range(12)]
    return {
        "electrode_is_wet": wet,
        "num_wet_electrodes": sum(wet),
        "critically_wet": bool(flags & 0x8000),
        "self_test_failed": bool(flags & 0x4000),
    }


def _profile_0(frame: Frame) -> dict[str, Any]:
    frame.expect(9)
    flags, x, y, z, temperature, critical, interval = frame.unpack(">HbbbbBH")
    return {
        "profile": 0,
        **_electrodes(flags),
        "acc": {"x_g": round(x / 63, 2), "y_g": round(y / 63, 2), "z_g": round(z / 63, 2)},
        "temp_c": temperature,
        "critically_wet_threshold": critical,
        "regular_message_interval_min": interval / 60,
    }


def _profile_1(frame: Frame) -> dict[str, Any]:
    frame.expect(11)
    profile, flags, axes, battery, temperature, settings, joins, _unused = frame.unpack(">BHBBbHHB")
    if profile != 1:
        raise FrameError("implausible", f"profile {profile} on f_port {frame.f_port}, which is of profile 1")
    return {
        "profile": profile,
        **_electrodes(flags),
        "sensor_connected": bool(flags & 0x2000),
        "join_error": bool(flags & 0x1000),
        "acc": {name: _DIRECTIONS[axes >> shift & 3] for name, shift in (("x_g", 0), ("y_g", 2), ("z_g", 4))},
        "batt": (125 + battery) / 100,
        "temp_c": temperature,
        "critically_wet_threshold": settings >> 12,
        "regular_message_interval_min": settings & 0x0FFF,
        "failed_join_requests": joins & 0x0FFF,
    }


_DIRECTIONS = (0, 1, -1, 0)


def _started(frame: Frame) -> dict[str, Any]:
    frame.expect(11)
    serial = frame.part(0, 8).hex()
    if not serial.isdecimal():
        raise FrameError("implausible", f"serial number {serial} is no decimal number")
    major, minor, patch = frame.unpack(">BBB", 8)
    return {
        "event_type": "Startup",
        "serial_number": serial,
        "firmware_version": {"major": major, "minor": minor, "patch": patch & 0x3F},
        "reset": _RESETS.get(patch >> 6, patch >> 6),
    }
