"""Milesight sensors: one codec for the family, one row of ``MODELS`` for each model (people counters: people.py).

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
from typing import Any

from smartdorf.decoding import Context, Frame, parts


def _record(*readers: parts.Reader) -> parts.Reader:
    return parts.each("history", parts.number("timestamp", "<I"), *readers)


def _alarm(reader: parts.Reader, name: str, *words: str) -> parts.Reader:
    return parts.in_order(
        reader, parts.word(name, *(words or ("threshold_alarm_release", "threshold_alarm")))
    )


def _version(name: str, *, nibbles: bool = False) -> parts.Reader:
    """0110: v1.1 as hardware, v1.10 as firmware."""

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        major, minor = frame.u8(at), frame.u8(at + 1)
        found[name] = f"v{major}.{minor >> 4 if nibbles else f'{minor:x}'}"
        return at + 2

    return read


def _ipso(frame: Frame, at: int, found: dict[str, Any]) -> int:
    value = frame.u8(at)
    found["ipso_version"] = f"v{value >> 4}.{value & 0x0F}"
    return at + 1


# -- device information and settings ----------------------------------------------------------------------

_INFORMATION: parts.Table = {
    b"\xff\x01": _ipso,
    b"\xff\x09": _version("hardware_version", nibbles=True),
    b"\xff\x0a": _version("firmware_version"),
    b"\xff\x0b": parts.fixed("device_status", "on"),
    b"\xff\x0f": parts.word("lorawan_class", "Class A", "Class B", "Class C", "Class CtoB"),
    b"\xff\x16": parts.raw("sn", 8),
    b"\xff\xfe": parts.fixed("reset_event", "reset"),
    b"\xff\xff": _version("tsl_version"),
    b"\x01\x75": parts.number("battery", "<B"),
}


def _settings(readers: Mapping[int, parts.Reader]) -> parts.Table:
    """Both channels on which a changed setting is repeated, and device information."""
    known = {bytes((channel, kind)): part for channel in (0xFE, 0xFF) for kind, part in readers.items()}
    return {**known, **_INFORMATION}


_FEW_SETTINGS = {
    0x03: parts.number("report_interval", "<H"),
    0x10: parts.fixed("reboot", "yes"),
}
_SETTINGS = {
    **_FEW_SETTINGS,
    0x02: parts.number("collection_interval", "<H"),
    0x06: parts.raw("alarm_config", 9),
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
_FEW = _settings(_FEW_SETTINGS)
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

_TEMPERATURE = parts.number("temperature", "<h", 10)
_HUMIDITY = parts.number("humidity", "<B", 2)
_DISTANCE = parts.number("distance", "<H")
_LEAK = parts.word("leakage_status", "normal", "leak")
_MAGNET = parts.word("magnet_status", "close", "open")
_POSITION = parts.word("position", "normal", "tilt")

_CLIMATE: parts.Table = {b"\x03\x67": _TEMPERATURE, b"\x04\x68": _HUMIDITY}
_CONTAINER: parts.Table = {
    b"\x03\x67": _TEMPERATURE,
    b"\x04\x82": _DISTANCE,
    b"\x05\x00": _POSITION,
    b"\x83\x67": _alarm(_TEMPERATURE, "temperature_alarm"),
    b"\x84\x82": _alarm(_DISTANCE, "distance_alarm"),
}
_LEAK_AND_CLIMATE: parts.Table = {
    **_CLIMATE,
    b"\x05\x00": _LEAK,
    b"\x20\xce": _record(_TEMPERATURE, _HUMIDITY, _LEAK),
}

# read as unsigned and as signed; a little below zero is never meant
_FAILED = {0xFFFF: "read failed", 0xFFFD: "overload", -1: "read failed", -3: "overload"}
_CHANGE_ALARM = ("threshold_alarm_release", "threshold_alarm", "mutation_alarm")
# the EM500 series: how much a value changed at once stands between the value and the alarm's state
_TEMPERATURE_CHANGE: parts.Table = {
    b"\x83\xd7": parts.in_order(
        _TEMPERATURE,
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
    b"\x03\x67": _TEMPERATURE,
    b"\x04\x82": _RADAR_DISTANCE,
    b"\x05\x00": _POSITION,
    b"\x06\xc7": parts.number("radar_signal_rssi", "<h", 100),
    b"\x84\x82": _alarm(_RADAR_DISTANCE, "distance_alarm", *_RADAR_ALARM),
    b"\x94\x82": parts.in_order(_RADAR_DISTANCE, _RADAR_CHANGE, parts.word("distance_alarm", *_RADAR_ALARM)),
    b"\xb4\x82": _alarm(_RADAR_DISTANCE, "distance_exception", *_RADAR_EXCEPTION),
    b"\x20\xce": _record(_RADAR_DISTANCE, _TEMPERATURE, _RADAR_CHANGE, parts.number("event", "<B")),
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
_WATER = parts.in_order(
    parts.number("water_conv", "<H", 10), parts.number("pulse_conv", "<H", 10), parts.number("water", "<f")
)


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
    b"\x05\xe1": _WATER,
    b"\x06\xe1": _WATER,
    b"\x85\x00": _alarm(_GPIO, "gpio_alarm", "gpio alarm release", "gpio alarm"),
    b"\x85\xe1": _alarm(_WATER, "water_alarm", *_WATER_ALARM),
    b"\x20\xce": _record(_TEMPERATURE, _HUMIDITY, _input(_PULSE)),
    b"\x21\xce": _record(_TEMPERATURE, _HUMIDITY, parts.word("alarm", *_WATER_ALARM), _input(_WATER)),
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
    b"\x20\xce": _record(_SOIL_EC, _SOIL_TEMPERATURE, _SOIL_MOISTURE),
}

_PIR = parts.word("pir", "idle", "trigger")
_CO2 = parts.number("co2", "<H")
_PRESSURE = parts.number("pressure", "<H", 10)
_LIGHT_LEVEL = parts.number("light_level", "<B")
# an index of air quality; older firmware told ppb in the same bytes
_TVOC = parts.number("tvoc", "<H", 100)
_TVOC_UGM3 = parts.number("tvoc_ugm3", "<H")
_PM25, _PM10 = parts.number("pm2_5", "<H"), parts.number("pm10", "<H")


def _ambience(*also: parts.Reader) -> parts.Table:
    history = (_TEMPERATURE, parts.number("humidity", "<H", 2), _PIR, _LIGHT_LEVEL, _CO2)
    return {
        **_CLIMATE,
        b"\x05\x00": _PIR,
        b"\x06\xcb": _LIGHT_LEVEL,
        b"\x07\x7d": _CO2,
        b"\x08\x7d": _TVOC,
        b"\x08\xe6": _TVOC_UGM3,
        b"\x09\x73": _PRESSURE,
        b"\x0e\x01": parts.word("buzzer_status", "off", "on"),
        b"\x20\xce": _record(*history, _TVOC, _PRESSURE, *also),
        b"\x21\xce": _record(*history, _TVOC_UGM3, _PRESSURE, *also),
    }


def _sound(frame: Frame, at: int, found: dict[str, Any]) -> int:
    """Fields are called after the weights: LAF, LAeq, LAFmax for A and fast."""
    weight = frame.u8(at)
    frequency, time = "ZAC?"[weight & 0x03], "IFS?"[weight >> 2 & 0x03]
    for position, name in enumerate((f"L{frequency}{time}", f"L{frequency}eq", f"L{frequency}{time}max")):
        found[name] = frame.u16le(at + 1 + 2 * position) / 10
    return at + 7


_MOTION = ("unknown", "start moving", "moving", "stop moving")
_GEOFENCE = ("inside", "outside", "unset", "unknown")


def _degrees(name: str) -> parts.Reader:
    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        value = frame.i32le(at)
        if value not in (-1, 0x7FFFFFFF):  # no fix
            found[name] = value / 1_000_000
        return at + 4

    return read


def _access_point(frame: Frame, at: int, found: dict[str, Any]) -> int:
    group, mac, signal, motion = frame.unpack("<B6sbB", at)
    motion &= 0x0F
    heard = mac != b"\xff" * 6
    found["wifi_scan_result"] = "finish" if heard else "timeout"
    found["motion_status"] = _MOTION[motion] if motion < len(_MOTION) else motion
    if heard:
        point = {"group": group, "mac": mac.hex(":"), "rssi": signal, "motion_status": found["motion_status"]}
        found.setdefault("wifi", []).append(point)
    return at + 9


_LATITUDE, _LONGITUDE = _degrees("latitude"), _degrees("longitude")
_TRACKER: parts.Table = {
    b"\x03\x67": _TEMPERATURE,
    b"\x04\x88": parts.in_order(
        _LATITUDE,
        _LONGITUDE,
        parts.packed("<B", ("motion_status", 0, 4, _MOTION), ("geofence_status", 4, 4, _GEOFENCE)),
    ),
    b"\x05\x00": _POSITION,
    b"\x06\xd9": _access_point,
    b"\x07\x00": parts.word("tamper_status", "install", "uninstall"),
    b"\x83\x67": _alarm(_TEMPERATURE, "temperature_alarm"),
    b"\x20\xce": _record(_LONGITUDE, _LATITUDE),
}

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
    b"\x89\x67": _alarm(
        _CABLE_TEMPERATURE, "temperature_alarm", "threshold alarm release", "threshold alarm"
    ),
}
_ONE_PHASE: parts.Table = {**_clamp(3, 0x98, "total_current", "current", 100), **_CABLE}
_THREE_PHASES: parts.Table = {
    **_clamp(3, 0x99, "current_chn1_total", "current_chn1", 10),
    **_clamp(5, 0x99, "current_chn2_total", "current_chn2", 10),
    **_clamp(7, 0x99, "current_chn3_total", "current_chn3", 10),
    **_CABLE,
}

_READ_STATUS = ("Success", "Read Error", "Overload")
_EVENTS = ("Reserved", "Periodic", "Alarm(Threshold or Mutation)", "Alarm Release")
_CHILL_ALARM = ("Threshold Alarm Release", "Threshold Alarm", "Mutation Alarm")


def _probe(frame: Frame, at: int, found: dict[str, Any]) -> int:
    found["read_status"] = "Success"
    return _TEMPERATURE(frame, at, found)


def _probe_record(frame: Frame, at: int, found: dict[str, Any]) -> int:
    parts.packed("<B", ("event_type", 0, 4, _EVENTS), ("read_status", 4, 4, _READ_STATUS))(frame, at, found)
    return _TEMPERATURE(frame, at + 1, found if found["read_status"] == "Success" else {})


_PROBE: parts.Table = {
    b"\x03\x67": _probe,
    b"\x83\x67": _alarm(_probe, "temperature_alarm", *_CHILL_ALARM),
    b"\x93\x67": parts.in_order(
        _probe, parts.number("temperature_mutation", "<h", 10), parts.word("temperature_alarm", *_CHILL_ALARM)
    ),
    b"\xb3\x67": parts.word("read_status", "Read Error", "Overload"),
    b"\x20\xce": _record(_probe_record),
}


# information and settings, then what the model measures
MODELS: Mapping[str, tuple[parts.Table, parts.Table]] = {
    "milesight/am307": (_WITH_HISTORY, _ambience()),
    "milesight/am308": (_WITH_HISTORY, {**_ambience(_PM25, _PM10), b"\x0b\x7d": _PM25, b"\x0c\x7d": _PM10}),
    "milesight/at101": (_FEW, _TRACKER),
    "milesight/ct101": (_FEW, _ONE_PHASE),
    "milesight/ct310": (_FEW, _THREE_PHASES),
    "milesight/em300-cl": (
        _EM300,
        {
            b"\x03\xed": _LIQUID,
            b"\x04\xee": parts.word("calibration_result", "failed", "success"),
            b"\x83\xed": _alarm(_LIQUID, "liquid_alarm", *_LIQUID_ALARM),
        },
    ),
    "milesight/em300-di": (_EM300, _PULSES),
    "milesight/em300-mcs": (
        _EM300,
        {**_CLIMATE, b"\x06\x00": _MAGNET, b"\x20\xce": _record(_TEMPERATURE, _HUMIDITY, _MAGNET)},
    ),
    "milesight/em300-mld": (
        _EM300,
        # the guide's table says 06, its examples say 05
        {b"\x05\x00": _LEAK, b"\x06\x00": _LEAK, b"\x20\xce": _record(parts.unused(3), _LEAK)},
    ),
    "milesight/em300-sld": (_EM300, _LEAK_AND_CLIMATE),
    "milesight/em300-th": (
        _EM300,
        {**_CLIMATE, b"\x20\xce": _record(_TEMPERATURE, _HUMIDITY, parts.unused(1))},
    ),
    "milesight/em300-zld": (_EM300, _LEAK_AND_CLIMATE),
    "milesight/em310-udl": (_settings(_SETTINGS), {b"\x03\x82": _DISTANCE, b"\x04\x00": _POSITION}),
    "milesight/em320-th": (_WITH_HISTORY, {**_CLIMATE, b"\x20\xce": _record(_TEMPERATURE, _HUMIDITY)}),
    "milesight/em400-mud": (_EM400, _CONTAINER),
    "milesight/em400-tld": (_EM400, _CONTAINER),
    "milesight/em400-udl": (_EM400, _CONTAINER),
    "milesight/em410-rdl": (_WITH_HISTORY, _RADAR),
    "milesight/em500-co2": (
        _WITH_HISTORY,
        {
            **_CLIMATE,
            **_TEMPERATURE_CHANGE,
            b"\x05\x7d": _CO2,
            b"\x06\x73": _PRESSURE,
            b"\x20\xce": _record(_CO2, _PRESSURE, _TEMPERATURE, _HUMIDITY),
        },
    ),
    "milesight/em500-lgt": (
        _WITH_HISTORY,
        {
            b"\x03\x94": parts.number("illumination", "<I"),
            b"\x20\xce": _record(parts.number("illumination", "<I")),
        },
    ),
    "milesight/em500-pp": (
        _WITH_HISTORY,
        {b"\x03\x7b": parts.number("pressure", "<H"), b"\x20\xce": _record(parts.number("pressure", "<H"))},
    ),
    "milesight/em500-pt100": (
        _WITH_HISTORY,
        {**_TEMPERATURE_CHANGE, b"\x03\x67": _TEMPERATURE, b"\x20\xce": _record(_TEMPERATURE)},
    ),
    "milesight/em500-smtc": (_WITH_HISTORY, _SOIL),
    "milesight/em500-swl": (
        _WITH_HISTORY,
        {b"\x03\x77": parts.number("depth", "<H"), b"\x20\xce": _record(parts.number("depth", "<H"))},
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
            b"\x20\xce": _record(_DISTANCE),
        },
    ),
    "milesight/ts201": ({**_WITH_HISTORY, b"\xff\xa0": parts.raw("sensor_id", 9)}, _PROBE),
    "milesight/ws301": (
        _FEW,
        {b"\x03\x00": _MAGNET, b"\x04\x00": parts.word("tamper_status", "installed", "uninstalled")},
    ),
    "milesight/ws302": (_FEW, {b"\x05\x5b": _sound}),
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    told, measured = MODELS[context.model]
    return parts.tagged(frame, 2, measured, told)
