"""Milesight sensors: one codec for the family, one row of ``MODELS`` for each model.

Here stand the sensors of the EM series and the weather station; those of rooms, people, currents, heating and the
tracker are in files of their own.

After the payload tables in the user guides of the series and in the vendor's README of each model. Any f_port (85
unless configured).

    CC TT V...  CC TT V...  CC TT V...
C channel, T type, V value: its length follows from channel and type, little endian. Parts come in any order, and
only those that changed. A channel with bit 7 set repeats a value because it crossed a threshold; behind the value
stands the alarm's state (0 released, 1 raised). Channel ff is device information; 20 ce (and 21 ce, where a model
has two layouts) is one record of history:

    20 CE SSSSSSSS V...
S Unix time of the measurement in seconds

Channels fe and ff also repeat a setting that a downlink has changed.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from smartdorf.decoding import Context, Frame, parts

from .information import INFORMATION, TEMPERATURE, record


def _alarm(reader: parts.Reader, name: str, *words: str) -> parts.Reader:
    return parts.in_order(
        reader, parts.word(name, *(words or ("threshold_alarm_release", "threshold_alarm")))
    )


# -- device information and settings ----------------------------------------------------------------------


def _settings(readers: Mapping[int, parts.Reader]) -> parts.Table:
    """Both channels on which a changed setting is repeated, and device information."""
    known = {bytes((channel, kind)): part for channel in (0xFE, 0xFF) for kind, part in readers.items()}
    return {**known, **INFORMATION}


_SETTINGS = {
    0x02: parts.number("collection_interval", "<H"),
    0x03: parts.number("report_interval", "<H"),
    0x06: parts.raw("alarm_config", 9),
    0x10: parts.fixed("reboot", "yes"),
}
_HISTORY_SETTINGS = {
    **_SETTINGS,
    0x27: parts.fixed("clear_history", "yes"),
    0x28: parts.fixed("report_status", "yes"),
    0x68: parts.word("history_enable", "disable", "enable"),
    0x69: parts.word("retransmit_enable", "disable", "enable"),
    0x6A: parts.raw("retransmit_config", 3),
    0x6D: parts.fixed("stop_transmit", "yes"),
}
_WITH_HISTORY = _settings(_HISTORY_SETTINGS)
_EM300 = _settings(
    {**_HISTORY_SETTINGS, 0x79: parts.raw("d2d_master_config", 6), 0xEA: parts.raw("calibration_settings", 3)}
)
_EM400 = _settings(
    {
        **_SETTINGS,
        0x13: parts.word("install_height_enable", "disable", "enable"),
        0x1C: parts.raw("recollection_config", 2),
        0x28: parts.fixed("query_device_status", "yes"),
        0x3E: parts.word("tilt_linkage_distance_enable", "disable", "enable"),
        0x4A: parts.fixed("sync_time", "yes"),
        0x56: parts.word("tof_detection_enable", "disable", "enable"),
        0x70: parts.number("people_existing_height", "<H"),
        0x71: parts.word("working_mode", "standard", "bin", "parking"),
        0x77: parts.number("install_height", "<H"),
    }
)

# -- what many models measure -----------------------------------------------------------------------------

_HUMIDITY = parts.number("humidity", "<B", 2)
_DISTANCE = parts.number("distance", "<H")
_LEAK = parts.word("leakage_status", "normal", "leak")
_MAGNET = parts.word("magnet_status", "close", "open")
_POSITION = parts.word("position", "normal", "tilt")

_CLIMATE: parts.Table = {b"\x03\x67": TEMPERATURE, b"\x04\x68": _HUMIDITY}
_CONTAINER: parts.Table = {
    b"\x03\x67": TEMPERATURE,
    b"\x04\x82": _DISTANCE,
    b"\x05\x00": _POSITION,
    b"\x83\x67": _alarm(TEMPERATURE, "temperature_alarm"),
    b"\x84\x82": _alarm(_DISTANCE, "distance_alarm"),
}
_LEAK_AND_CLIMATE: parts.Table = {
    **_CLIMATE,
    b"\x05\x00": _LEAK,
    b"\x20\xce": record(TEMPERATURE, _HUMIDITY, _LEAK),
}

# read as unsigned and as signed; a little below zero is never meant
_FAILED = {0xFFFF: "read failed", 0xFFFD: "overload", -1: "read failed", -3: "overload"}
_CHANGE_ALARM = ("threshold_alarm_release", "threshold_alarm", "mutation_alarm")
# the EM500 series: how much a value changed at once stands between the value and the alarm's state
_TEMPERATURE_CHANGE: parts.Table = {
    b"\x83\xd7": parts.in_order(
        TEMPERATURE,
        parts.number("temperature_mutation", "<h", 10),
        parts.word("temperature_alarm", *_CHANGE_ALARM),
    )
}


# -- what only one model measures -------------------------------------------------------------------------

_RADAR_ALARM = ("threshold alarm release", "threshold alarm", "mutation alarm")
_RADAR_EXCEPTION = ("blind alarm release", "blind alarm", "no target", "sensor exception")
# ffff, fffe, fffd: nothing was measured
_RADAR_DISTANCE = parts.number("distance", "<h")
_RADAR_CHANGE = parts.number("distance_mutation", "<h")
_RADAR: parts.Table = {
    b"\x03\x67": TEMPERATURE,
    b"\x04\x82": _RADAR_DISTANCE,
    b"\x05\x00": _POSITION,
    b"\x06\xc7": parts.number("radar_signal_rssi", "<h", 100),
    b"\x84\x82": _alarm(_RADAR_DISTANCE, "distance_alarm", *_RADAR_ALARM),
    b"\x94\x82": parts.in_order(_RADAR_DISTANCE, _RADAR_CHANGE, parts.word("distance_alarm", *_RADAR_ALARM)),
    b"\xb4\x82": _alarm(_RADAR_DISTANCE, "distance_exception", *_RADAR_EXCEPTION),
    b"\x20\xce": record(_RADAR_DISTANCE, TEMPERATURE, _RADAR_CHANGE, parts.number("event", "<B")),
}

_LIQUID = parts.code(
    "liquid", {0: "uncalibrated", 1: "full", 2: "critical liquid level alert", 0xFF: "error"}
)
_LIQUID_ALARM = ("critical liquid level alarm release", "critical liquid level alarm")

_GPIO = parts.word("gpio", "low", "high")
_PULSE = parts.number("pulse", "<I")
_WATER_ALARM = (
    "none", "water outage timeout alarm", "water outage timeout alarm release", "water flow timeout alarm",
    "water flow timeout alarm release", "gpio alarm", "gpio alarm release",
)  # fmt: skip


def _water(frame: Frame, at: int, found: dict[str, Any]) -> int:
    """The reading is in the unit that the device was set to, which the frame does not say; its pulses are plain."""
    units, pulses, water = frame.unpack("<HHf", at)
    found["water_conv"], found["pulse_conv"] = units / 10, pulses / 10
    if isfinite(water):
        found["water"] = water
        if units:
            found["pulse"] = float(round(water * pulses / units))
    return at + 8


def _input(*readers: parts.Reader) -> parts.Reader:
    """A digital input (1) or a counter (2), as the byte in front says; the other one's bytes mean nothing."""
    counted = parts.in_order(parts.unused(1), *readers)

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        kind = frame.u8(at)
        if kind == 1:
            _GPIO(frame, at + 1, found)
        return counted(frame, at + 1, found if kind == 2 else {})

    return read


_PULSES: parts.Table = {
    **_CLIMATE,
    b"\x05\x00": _GPIO,
    b"\x05\xc8": _PULSE,
    b"\x05\xe1": _water,
    b"\x06\xe1": _water,
    b"\x85\x00": _alarm(_GPIO, "gpio_alarm", "gpio alarm release", "gpio alarm"),
    b"\x85\xe1": _alarm(_water, "water_alarm", *_WATER_ALARM),
    b"\x20\xce": record(TEMPERATURE, _HUMIDITY, _input(_PULSE)),
    b"\x21\xce": record(TEMPERATURE, _HUMIDITY, parts.word("alarm", *_WATER_ALARM), _input(_water)),
}

# ffff and fffd would be a little below zero; the guide takes them for faults of the probe
_SOIL_TEMPERATURE = parts.number("temperature", "<h", 10, faults=_FAILED)
_SOIL_MOISTURE = parts.number("moisture", "<H", 100, faults=_FAILED)
_SOIL_EC = parts.number("ec", "<H", faults=_FAILED)
_SOIL: parts.Table = {
    **_TEMPERATURE_CHANGE,
    b"\x03\x67": _SOIL_TEMPERATURE,
    b"\x04\x68": parts.number("moisture", "<B", 2),
    b"\x04\xca": _SOIL_MOISTURE,
    b"\x05\x7f": _SOIL_EC,
    b"\x20\xce": record(_SOIL_EC, _SOIL_TEMPERATURE, _SOIL_MOISTURE),
}

_TILT_ALARMS = ("threshold_x", "threshold_y", "threshold_z")


def _tilt_alarms(frame: Frame, at: int, found: dict[str, Any]) -> int:
    bits = frame.u8(at)
    for bit, name in enumerate(_TILT_ALARMS):
        found[name] = "trigger" if bits >> bit & 1 else "normal"
    return at + 1


def _angle_with_alarm(axis: str) -> parts.Reader:
    """Hundredths of a degree in the upper 15 bits, the alarm in the lowest."""

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        value = frame.i16le(at)
        found[f"angle_{axis}"] = (value >> 1) / 100
        found[f"threshold_{axis}"] = "trigger" if value & 1 else "normal"
        return at + 2

    return read


_WIND_DIRECTION = parts.number("wind_direction", "<H", 10)
_WIND_SPEED = parts.number("wind_speed", "<H", 10)
_PRESSURE = parts.number("pressure", "<H", 10)
# older firmware has two bytes for the rain, newer four
_RAIN_16, _RAIN_32 = parts.number("rainfall_total", "<H", 100), parts.number("rainfall_total", "<I", 100)
_RAIN_TIMES = parts.number("rainfall_counter", "<B")
_WEATHER_ALARM = {0: "threshold alarm release", 1: "threshold alarm"}
_WEATHER_RECORD = (TEMPERATURE, _HUMIDITY, _PRESSURE, _WIND_DIRECTION, _WIND_SPEED)
_WEATHER: parts.Table = {
    **_CLIMATE,
    b"\x05\x84": _WIND_DIRECTION,
    b"\x06\x73": _PRESSURE,
    b"\x07\x92": _WIND_SPEED,
    b"\x08\x77": parts.in_order(_RAIN_16, _RAIN_TIMES),
    b"\x08\xec": parts.in_order(_RAIN_32, _RAIN_TIMES),
    b"\x83\x67": parts.in_order(TEMPERATURE, parts.code("temperature_alarm", _WEATHER_ALARM)),
    b"\x86\x73": parts.in_order(_PRESSURE, parts.code("pressure_alarm", _WEATHER_ALARM)),
    b"\x87\x92": parts.in_order(_WIND_SPEED, parts.code("wind_speed_alarm", _WEATHER_ALARM)),
    b"\x88\xec": parts.in_order(_RAIN_32, _RAIN_TIMES, parts.code("rainfall_alarm", _WEATHER_ALARM)),
    b"\x20\xce": record(*_WEATHER_RECORD, _RAIN_16),
    b"\x21\xce": record(*_WEATHER_RECORD, _RAIN_32),
}

# information and settings, then what the model measures
MODELS: Mapping[str, tuple[parts.Table, parts.Table]] = {
    "milesight/em300-cl": (
        _EM300,
        {
            b"\x03\xed": _LIQUID,
            b"\x04\xee": parts.word("calibration_result", "failed", "success"),
            b"\x83\xed": _alarm(_LIQUID, "liquid_alarm", *_LIQUID_ALARM),
        },
    ),
    "milesight/em300-di": (_EM300, _PULSES),
    "milesight/em300-di-hall": (_EM300, _PULSES),
    "milesight/em300-mcs": (
        _EM300,
        {**_CLIMATE, b"\x06\x00": _MAGNET, b"\x20\xce": record(TEMPERATURE, _HUMIDITY, _MAGNET)},
    ),
    "milesight/em300-mld": (
        _EM300,
        # the guide's table says 06, its examples say 05
        {b"\x05\x00": _LEAK, b"\x06\x00": _LEAK, b"\x20\xce": record(parts.unused(3), _LEAK)},
    ),
    "milesight/em300-sld": (_EM300, _LEAK_AND_CLIMATE),
    "milesight/em300-th": (
        _EM300,
        {**_CLIMATE, b"\x20\xce": record(TEMPERATURE, _HUMIDITY, parts.unused(1))},
    ),
    "milesight/em300-zld": (_EM300, _LEAK_AND_CLIMATE),
    "milesight/em310-tilt": (
        _settings(_SETTINGS),
        {
            b"\x03\xcf": parts.in_order(
                *(parts.number(f"angle_{axis}", "<h", 100) for axis in "xyz"), _tilt_alarms
            )
        },
    ),
    "milesight/em310-udl": (_settings(_SETTINGS), {b"\x03\x82": _DISTANCE, b"\x04\x00": _POSITION}),
    "milesight/em320-th": (_WITH_HISTORY, {**_CLIMATE, b"\x20\xce": record(TEMPERATURE, _HUMIDITY)}),
    "milesight/em320-tilt": (
        _settings(_SETTINGS),
        {b"\x03\xd4": parts.in_order(*(_angle_with_alarm(axis) for axis in "xyz"))},
    ),
    "milesight/em400-mud": (_EM400, _CONTAINER),
    "milesight/em400-tld": (_EM400, _CONTAINER),
    "milesight/em400-udl": (_EM400, _CONTAINER),
    "milesight/em410-rdl": (_WITH_HISTORY, _RADAR),
    "milesight/em500-co2": (
        _WITH_HISTORY,
        {
            **_CLIMATE,
            **_TEMPERATURE_CHANGE,
            b"\x05\x7d": parts.number("co2", "<H"),
            b"\x06\x73": _PRESSURE,
            b"\x20\xce": record(parts.number("co2", "<H"), _PRESSURE, TEMPERATURE, _HUMIDITY),
        },
    ),
    "milesight/em500-lgt": (
        _WITH_HISTORY,
        {
            b"\x03\x94": parts.number("illumination", "<I"),
            b"\x20\xce": record(parts.number("illumination", "<I")),
        },
    ),
    "milesight/em500-pp": (
        _WITH_HISTORY,
        {b"\x03\x7b": parts.number("pressure", "<H"), b"\x20\xce": record(parts.number("pressure", "<H"))},
    ),
    "milesight/em500-pt100": (
        _WITH_HISTORY,
        {**_TEMPERATURE_CHANGE, b"\x03\x67": TEMPERATURE, b"\x20\xce": record(TEMPERATURE)},
    ),
    "milesight/em500-smtc": (_WITH_HISTORY, _SOIL),
    "milesight/em500-swl": (
        _WITH_HISTORY,
        {b"\x03\x77": parts.number("depth", "<H"), b"\x20\xce": record(parts.number("depth", "<H"))},
    ),
    "milesight/em500-udl": (
        _WITH_HISTORY,
        {
            b"\x03\x82": _DISTANCE,
            b"\x83\xe9": parts.in_order(
                _DISTANCE,
                parts.number("distance_mutation", "<H"),
                parts.word("distance_alarm", *_CHANGE_ALARM),
            ),
            b"\x20\xce": record(_DISTANCE),
        },
    ),
    "milesight/wts506": (_WITH_HISTORY, _WEATHER),
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    told, measured = MODELS[context.model]
    return parts.tagged(frame, 2, measured, told)
