"""Milesight thermostats: WT101 on a radiator, WT201 on a wall. Any f_port (85 unless configured), little endian.

After the payload tables in the user guides and in the vendor's README of each model. Framed as all Milesight
sensors (family.py):

    CC TT V...  CC TT V...  CC TT V...
C channel, T type, V value: its length follows from channel and type

    20 CE SSSSSSSS AAAA BBBB: a record of history (WT201)
S Unix time   A fan's mode (bits 0-1) and state (2-3), system on (4), room temperature (5-15)
B mode (bits 0-1) and state (2-4) of the control, target temperature (5-15); temperatures in 0.1 °C from -100 °C
"""

from typing import Any

from smartdorf.decoding import Context, Frame, parts

from .information import INFORMATION

_FAN_MODE = ("auto", "on", "circulate", "disable")
_FAN_STATUS = ("standby", "high speed", "low speed", "on")
_MODE = ("heat", "em heat", "cool", "auto")
_STATUS = (
    "standby", "stage-1 heat", "stage-2 heat", "stage-3 heat", "stage-4 heat", "em heat", "stage-1 cool",
    "stage-2 cool",
)  # fmt: skip
_ALARM = {
    1: "emergency heating timeout alarm", 2: "auxiliary heating timeout alarm", 3: "persistent low temperature alarm",
    4: "persistent low temperature alarm release", 5: "persistent high temperature alarm",
    6: "persistent high temperature alarm release", 7: "freeze protection alarm", 8: "freeze protection alarm release",
    9: "threshold alarm", 10: "threshold alarm release",
}  # fmt: skip
_EXCEPTION = {1: "read failed", 2: "out of range"}
_FIRST, _SECOND = ("fan_mode", 0, 2, _FAN_MODE), ("fan_status", 2, 2, _FAN_STATUS)
_SYSTEM = ("off", "on")


def _normal(name: str, reader: parts.Reader) -> parts.Reader:
    """A value, which also says that its sensor works again after an exception."""

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        found[f"{name}_sensor_status"] = "normal"
        return reader(frame, at, found)

    return read


def _packed_temperature(name: str, *fields: tuple[str, int, int, tuple[str, ...]]) -> parts.Reader:
    enumerations = parts.packed("<H", *fields)

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        found[name] = ((frame.u16le(at) >> 5) - 1000) / 10
        return enumerations(frame, at, found)

    return read


_TEMPERATURE = _normal("temperature", parts.number("temperature", "<h", 10))
_TARGET = parts.number("target_temperature", "<h", 10)
_RADIATOR: parts.Table = {
    b"\x03\x67": parts.number("temperature", "<h", 10),
    b"\x04\x67": _TARGET,
    b"\x05\x92": parts.number("valve_opening", "<B"),
    b"\x06\x00": parts.word("tamper_status", "installed", "uninstalled"),
    b"\x07\x00": parts.word("window_detection", "normal", "open"),
    b"\x08\xe5": parts.word(
        "motor_calibration_result",
        "success",
        "fail: out of range",
        "fail: uninstalled",
        "calibration cleared",
        "temperature control disabled",
    ),
    b"\x09\x90": parts.number("motor_stroke", "<H"),
    b"\x0a\x00": parts.word("freeze_protection", "normal", "triggered"),
    b"\x0b\x90": parts.number("motor_position", "<H"),
}
_WALL: parts.Table = {
    b"\x03\x67": _TEMPERATURE,
    b"\x04\x67": _TARGET,
    b"\x05\xe7": parts.packed(
        "<B", ("temperature_control_mode", 0, 4, _MODE), ("temperature_control_status", 4, 4, _STATUS)
    ),
    b"\x06\xe8": parts.packed("<B", _FIRST, _SECOND),
    b"\x07\xbc": parts.packed("<B", ("plan_event", 0, 4, ("not executed", "wake", "away", "home", "sleep"))),
    b"\x08\x8e": parts.word("system_status", *_SYSTEM),
    b"\x09\x68": _normal("humidity", parts.number("humidity", "<B", 2)),
    b"\x0a\x6e": parts.raw("wires_relay", 1),
    b"\x83\x67": parts.in_order(_TEMPERATURE, parts.code("temperature_alarm", _ALARM)),
    b"\xb3\x67": parts.code("temperature_sensor_status", _EXCEPTION),
    b"\xb9\x68": parts.code("humidity_sensor_status", _EXCEPTION),
    b"\x20\xce": parts.each(
        "history",
        parts.number("timestamp", "<I"),
        _packed_temperature("temperature", _FIRST, _SECOND, ("system_status", 4, 1, _SYSTEM)),
        _packed_temperature(
            "target_temperature",
            ("temperature_control_mode", 0, 2, _MODE),
            ("temperature_control_status", 2, 3, _STATUS),
        ),
    ),
}

_TOLD: parts.Table = {
    **INFORMATION,
    b"\xff\xc8": parts.each("plan_config", parts.raw("settings", 5)),
    b"\xff\xc9": parts.each("plan_schedule", parts.raw("settings", 6)),
    b"\xff\xca": parts.raw("wiring", 3),
    b"\xff\xcb": parts.raw("temperature_modes", 3),
    b"\xff\xf6": parts.word("control_permissions", "thermostat", "remote control"),
}

MODELS = {"milesight/wt101": _RADIATOR, "milesight/wt201": _WALL}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    return parts.tagged(frame, 2, MODELS[context.model], _TOLD)
