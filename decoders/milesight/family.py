"""Milesight sensors: one codec for the family, one row of ``MODELS`` for each model.

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

A part that is not in a model's row has no known length, so nothing behind it can be read. What this model measured
in front of it counts (newer firmware may append parts, and a leak must not get lost over that); the rest is kept as
bytes. Where nothing was measured in front of it, it is more likely the wrong model, and the frame is refused.
"""

from collections.abc import Callable, Mapping
from math import isfinite
from struct import calcsize
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

# reads what begins at a byte, writes what it says into the object, returns where it ended
Reader = Callable[[Frame, int, dict[str, Any]], int]
# channel and type, as two bytes
Row = Mapping[bytes, Reader]


def _number(name: str, layout: str, divisor: float = 1, odd: Mapping[int, str] | None = None) -> Reader:
    """``odd``: 16-bit values that are no value but say what is wrong with the sensor behind it."""
    layout = "<" + layout
    size = calcsize(layout)

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        (value,) = frame.unpack(layout, at)
        if odd is not None:
            wrong = odd.get(value & 0xFFFF)
            found[name + "_sensor_status"] = wrong or "normal"
            if wrong:
                return at + size
        if isfinite(value):
            found[name] = value if divisor == 1 else value / divisor
        return at + size

    return read


def _code(name: str, words: Mapping[int, str]) -> Reader:
    """An enumeration; a value without a word is kept as its number."""

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        value = frame.u8(at)
        found[name] = words.get(value, value)
        return at + 1

    return read


def _word(name: str, *words: str) -> Reader:
    return _code(name, dict(enumerate(words)))


def _packed(layout: str, *fields: tuple[str, int, int, tuple[str, ...]]) -> Reader:
    """Several enumerations in one number: name, lowest bit, how many bits, words."""
    layout = "<" + layout
    size = calcsize(layout)

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        (number,) = frame.unpack(layout, at)
        for name, shift, bits, words in fields:
            value = number >> shift & ((1 << bits) - 1)
            found[name] = words[value] if value < len(words) else value
        return at + size

    return read


def _always(name: str, word: str) -> Reader:
    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        frame.require(at + 1)
        found[name] = word
        return at + 1

    return read


def _hex(name: str, length: int) -> Reader:
    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        found[name] = frame.part(at, length).hex()
        return at + length

    return read


def _unused(length: int) -> Reader:
    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        frame.require(at + length)
        return at + length

    return read


def _all(*readers: Reader) -> Reader:
    """One behind the other."""

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        for reader in readers:
            at = reader(frame, at, found)
        return at

    return read


def _each(name: str, *readers: Reader) -> Reader:
    """A part that may come several times in a frame: a list of objects."""
    inner = _all(*readers)

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        element: dict[str, Any] = {}
        at = inner(frame, at, element)
        found.setdefault(name, []).append(element)
        return at

    return read


def _record(*readers: Reader) -> Reader:
    return _each("history", _number("timestamp", "I"), *readers)


def _alarm(reader: Reader, name: str, *words: str) -> Reader:
    return _all(reader, _word(name, *(words or ("threshold_alarm_release", "threshold_alarm"))))


def _version(name: str, *, nibbles: bool = False) -> Reader:
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

_INFORMATION: Row = {
    b"\xff\x01": _ipso,
    b"\xff\x09": _version("hardware_version", nibbles=True),
    b"\xff\x0a": _version("firmware_version"),
    b"\xff\x0b": _always("device_status", "on"),
    b"\xff\x0f": _word("lorawan_class", "Class A", "Class B", "Class C", "Class CtoB"),
    b"\xff\x16": _hex("sn", 8),
    b"\xff\xfe": _always("reset_event", "reset"),
    b"\xff\xff": _version("tsl_version"),
    b"\x01\x75": _number("battery", "B"),
}


def _settings(readers: Mapping[int, Reader]) -> Row:
    """Both channels on which a changed setting is repeated, and device information."""
    known = {bytes((channel, kind)): part for channel in (0xFE, 0xFF) for kind, part in readers.items()}
    return {**known, **_INFORMATION}


_FEW_SETTINGS = {
    0x03: _number("report_interval", "H"),
    0x10: _always("reboot", "yes"),
}
_SETTINGS = {
    **_FEW_SETTINGS,
    0x02: _number("collection_interval", "H"),
    0x06: _hex("alarm_config", 9),
}
_HISTORY_SETTINGS = {
    **_SETTINGS,
    0x27: _always("clear_history", "yes"),
    0x28: _always("report_status", "yes"),
    0x68: _word("history_enable", "disable", "enable"),
    0x69: _word("retransmit_enable", "disable", "enable"),
    0x6A: _hex("retransmit_config", 3),
    0x6D: _always("stop_transmit", "yes"),
}
_FEW = _settings(_FEW_SETTINGS)
_WITH_HISTORY = _settings(_HISTORY_SETTINGS)
_EM300 = _settings(
    {**_HISTORY_SETTINGS, 0x79: _hex("d2d_master_config", 6), 0xEA: _hex("calibration_settings", 3)}
)
_EM400 = _settings(
    {
        **_SETTINGS,
        0x13: _word("install_height_enable", "disable", "enable"),
        0x1C: _hex("recollection_config", 2),
        0x28: _always("query_device_status", "yes"),
        0x3E: _word("tilt_linkage_distance_enable", "disable", "enable"),
        0x4A: _always("sync_time", "yes"),
        0x56: _word("tof_detection_enable", "disable", "enable"),
        0x70: _number("people_existing_height", "H"),
        0x71: _word("working_mode", "standard", "bin", "parking"),
        0x77: _number("install_height", "H"),
    }
)

# -- what many models measure -----------------------------------------------------------------------------

_TEMPERATURE = _number("temperature", "h", 10)
_HUMIDITY = _number("humidity", "B", 2)
_DISTANCE = _number("distance", "H")
_LEAK = _word("leakage_status", "normal", "leak")
_MAGNET = _word("magnet_status", "close", "open")
_POSITION = _word("position", "normal", "tilt")

_CLIMATE: Row = {b"\x03\x67": _TEMPERATURE, b"\x04\x68": _HUMIDITY}
_CONTAINER: Row = {
    b"\x03\x67": _TEMPERATURE,
    b"\x04\x82": _DISTANCE,
    b"\x05\x00": _POSITION,
    b"\x83\x67": _alarm(_TEMPERATURE, "temperature_alarm"),
    b"\x84\x82": _alarm(_DISTANCE, "distance_alarm"),
}
_LEAK_AND_CLIMATE: Row = {
    **_CLIMATE,
    b"\x05\x00": _LEAK,
    b"\x20\xce": _record(_TEMPERATURE, _HUMIDITY, _LEAK),
}

_FAILED = {0xFFFF: "read failed", 0xFFFD: "overload"}
_CHANGE_ALARM = ("threshold_alarm_release", "threshold_alarm", "mutation_alarm")
# the EM500 series: how much a value changed at once stands between the value and the alarm's state
_TEMPERATURE_CHANGE: Row = {
    b"\x83\xd7": _all(
        _TEMPERATURE, _number("temperature_mutation", "h", 10), _word("temperature_alarm", *_CHANGE_ALARM)
    )
}


# -- what only one model measures -------------------------------------------------------------------------

_RADAR_ALARM = ("threshold alarm release", "threshold alarm", "mutation alarm")
_RADAR_EXCEPTION = ("blind alarm release", "blind alarm", "no target", "sensor exception")
# ffff, fffe, fffd: nothing was measured
_RADAR_DISTANCE = _number("distance", "h")
_RADAR_CHANGE = _number("distance_mutation", "h")
_RADAR: Row = {
    b"\x03\x67": _TEMPERATURE,
    b"\x04\x82": _RADAR_DISTANCE,
    b"\x05\x00": _POSITION,
    b"\x06\xc7": _number("radar_signal_rssi", "h", 100),
    b"\x84\x82": _alarm(_RADAR_DISTANCE, "distance_alarm", *_RADAR_ALARM),
    b"\x94\x82": _all(_RADAR_DISTANCE, _RADAR_CHANGE, _word("distance_alarm", *_RADAR_ALARM)),
    b"\xb4\x82": _alarm(_RADAR_DISTANCE, "distance_exception", *_RADAR_EXCEPTION),
    b"\x20\xce": _record(_RADAR_DISTANCE, _TEMPERATURE, _RADAR_CHANGE, _number("event", "B")),
}

_LIQUID = _code("liquid", {0: "uncalibrated", 1: "full", 2: "critical liquid level alert", 0xFF: "error"})
_LIQUID_ALARM = ("critical liquid level alarm release", "critical liquid level alarm")

_GPIO = _word("gpio", "low", "high")
_PULSE = _number("pulse", "I")
_WATER_ALARM = (
    "none", "water outage timeout alarm", "water outage timeout alarm release", "water flow timeout alarm",
    "water flow timeout alarm release", "gpio alarm", "gpio alarm release",
)  # fmt: skip
_WATER = _all(_number("water_conv", "H", 10), _number("pulse_conv", "H", 10), _number("water", "f"))


def _input(*readers: Reader) -> Reader:
    """A digital input (1) or a counter (2), as the byte in front says; the other one's bytes mean nothing."""
    counted = _all(_unused(1), *readers)

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        kind = frame.u8(at)
        if kind == 1:
            _GPIO(frame, at + 1, found)
        return counted(frame, at + 1, found if kind == 2 else {})

    return read


_PULSES: Row = {
    **_CLIMATE,
    b"\x05\x00": _GPIO,
    b"\x05\xc8": _PULSE,
    b"\x05\xe1": _WATER,
    b"\x06\xe1": _WATER,
    b"\x85\x00": _alarm(_GPIO, "gpio_alarm", "gpio alarm release", "gpio alarm"),
    b"\x85\xe1": _alarm(_WATER, "water_alarm", *_WATER_ALARM),
    b"\x20\xce": _record(_TEMPERATURE, _HUMIDITY, _input(_PULSE)),
    b"\x21\xce": _record(_TEMPERATURE, _HUMIDITY, _word("alarm", *_WATER_ALARM), _input(_WATER)),
}

# ffff and fffd would be a little below zero; the guide takes them for faults of the probe
_SOIL_TEMPERATURE = _number("temperature", "h", 10, odd=_FAILED)
_SOIL_MOISTURE = _number("moisture", "H", 100, odd=_FAILED)
_SOIL_EC = _number("ec", "H", odd=_FAILED)
_SOIL: Row = {
    **_TEMPERATURE_CHANGE,
    b"\x03\x67": _SOIL_TEMPERATURE,
    b"\x04\x68": _number("moisture", "B", 2),
    b"\x04\xca": _SOIL_MOISTURE,
    b"\x05\x7f": _SOIL_EC,
    b"\x20\xce": _record(_SOIL_EC, _SOIL_TEMPERATURE, _SOIL_MOISTURE),
}

# information and settings, then what the model measures
MODELS: Mapping[str, tuple[Row, Row]] = {
    "milesight/em300-cl": (
        _EM300,
        {
            b"\x03\xed": _LIQUID,
            b"\x04\xee": _word("calibration_result", "failed", "success"),
            b"\x83\xed": _alarm(_LIQUID, "liquid_alarm", *_LIQUID_ALARM),
        },
    ),
    "milesight/em300-di": (_EM300, _PULSES),
    "milesight/em300-mld": (
        _EM300,
        # the guide's table says 06, its examples say 05
        {b"\x05\x00": _LEAK, b"\x06\x00": _LEAK, b"\x20\xce": _record(_unused(3), _LEAK)},
    ),
    "milesight/em300-sld": (_EM300, _LEAK_AND_CLIMATE),
    "milesight/em300-zld": (_EM300, _LEAK_AND_CLIMATE),
    "milesight/em310-udl": (_settings(_SETTINGS), {b"\x03\x82": _DISTANCE, b"\x04\x00": _POSITION}),
    "milesight/em400-mud": (_EM400, _CONTAINER),
    "milesight/em400-tld": (_EM400, _CONTAINER),
    "milesight/em400-udl": (_EM400, _CONTAINER),
    "milesight/em410-rdl": (_WITH_HISTORY, _RADAR),
    "milesight/em500-pp": (
        _WITH_HISTORY,
        {b"\x03\x7b": _number("pressure", "H"), b"\x20\xce": _record(_number("pressure", "H"))},
    ),
    "milesight/em500-smtc": (_WITH_HISTORY, _SOIL),
    "milesight/em500-swl": (
        _WITH_HISTORY,
        {b"\x03\x77": _number("depth", "H"), b"\x20\xce": _record(_number("depth", "H"))},
    ),
    "milesight/em500-udl": (
        _WITH_HISTORY,
        {
            b"\x03\x82": _DISTANCE,
            b"\x83\xe9": _all(
                _DISTANCE, _number("distance_mutation", "H"), _word("distance_alarm", *_CHANGE_ALARM)
            ),
            b"\x20\xce": _record(_DISTANCE),
        },
    ),
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    information, measured = MODELS[context.model]
    data, end = frame.data, len(frame.data)
    found: dict[str, Any] = {}
    measures = False
    at = 0
    while at < end:
        head = data[at : at + 2]
        read = measured.get(head)
        if read is not None:
            measures = True
        else:
            read = information.get(head)
            if read is None:
                frame.require(at + 2)
                if not measures:
                    detail = f"byte {at}: channel {head[0]:02x}, type {head[1]:02x} is unknown"
                    raise FrameError("implausible", detail)
                found["unread"] = data[at:].hex()
                return found
        at = read(frame, at + 2, found)
    return found
