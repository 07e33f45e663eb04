"""Aqua-Scope AQS, water monitor that listens to the pipes. Any number of commands in a frame; big endian.

After "Aqua-Scope Monitor Access, Developers Manual" and the manuals of AQSLWE01 and AQSLWE02:

    f_port 1
    03 HH CCCC          hardware          04 II VVVV       a setting      0A VVVVVVVV     firmware
    06 II VVVV          a sensor: 01 temperature of the water, 0.1 °C, 03 uptime, s, 10 pressure, mbar,
                        11 consumption since the message before, l, 13 battery
    07 SS [AAAA BBBB]   state: 02 pipe check without leak, 03 with one (A loss of pressure, mbar, B height, cm)
    0B AA TT VVVV       an alarm begins (A 1) or ends (0); its kinds differ by version
    12 UU MMMM          battery: U 0.1 V, M mAh used      08 ...   what it writes down for the maker
State 00 is a closed valve in one version and "idle" in another, so it measures nothing.
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError, parts

_SENSORS = {
    0x01: ("temperature", ">h", 10),
    0x03: ("uptime", ">H", 1),
    0x10: ("pressure", ">H", 1),
    0x11: ("consumption", ">H", 1),
    0x13: ("batterylevel", ">H", 1),
}
_PIPE_CHECKED, _LEAK = 2, 3
_WITH_VALUES = (0x01, _LEAK, 0x0E)


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port != 1:
        raise FrameError.unknown_f_port(frame)
    frame.require(2)
    return parts.tagged(frame, 1, _MEASURED, _TOLD)


def _sensor(frame: Frame, at: int, found: dict[str, Any]) -> int:
    kind = frame.u8(at)
    if kind not in _SENSORS:
        raise FrameError("implausible", f"byte {at}: there is no sensor {kind:02x}")
    name, layout, divisor = _SENSORS[kind]
    (value,) = frame.unpack(layout, at + 1)
    found[name] = value if divisor == 1 else value / divisor
    return at + 3


def _state(frame: Frame, at: int, found: dict[str, Any]) -> int:
    state = frame.u8(at)
    found["state"] = state
    if state in (_PIPE_CHECKED, _LEAK):
        found["pc"] = "ok" if state == _PIPE_CHECKED else "alarm"
    values = frame.data[at + 1 : at + 5]
    if state in _WITH_VALUES:
        found["state_values"] = list(frame.unpack(">HH", at + 1))
        return at + 5
    # the others come with four zeros or without them; no command is 00
    return at + 5 if values == bytes(4) else at + 1


def _battery(frame: Frame, at: int, found: dict[str, Any]) -> int:
    volts, used = frame.unpack(">BH", at)
    found |= {"battery_v": volts / 10, "battery_used_mah": used}
    return at + 3


def _log(frame: Frame, at: int, found: dict[str, Any]) -> int:
    found["log"] = frame.data[at:].hex()
    return len(frame)


_MEASURED: parts.Table = {b"\x06": _sensor, b"\x07": _state, b"\x12": _battery}
_TOLD: parts.Table = {
    b"\x03": parts.in_order(parts.number("hw_version", "B"), parts.number("capabilities", ">H")),
    b"\x04": parts.raw("setting", 3),
    b"\x08": _log,
    b"\x0a": parts.number("fw_version", ">I"),
    b"\x0b": parts.in_order(
        parts.number("alarm_status", "B"), parts.number("alarm_type", "B"), parts.number("alarm_value", ">H")
    ),
}
