"""Milesight sensors: one codec for the family, one row of ``MODELS`` for each model.

After the payload tables in the user guides of the EM300 and EM400 series. Any f_port (85 unless configured).

    CC TT V...  CC TT V...  CC TT V...
C channel, T type, V value: its length follows from channel and type, little endian. Parts come in any order, and
only those that changed. A channel with bit 7 set repeats a value because it crossed a threshold; behind the value
stands the alarm's state (0 released, 1 raised). Channel ff is device information; 20 ce is one record of history:

    20 CE SSSSSSSS V...
S Unix time of the measurement in seconds

Channels fe and ff also repeat a setting that a downlink has changed.

A part that is not in a model's row has no known length, so nothing behind it can be read. What this model measured
in front of it counts (newer firmware may append parts, and a leak must not get lost over that); the rest is kept as
bytes. Where nothing was measured in front of it, it is more likely the wrong model, and the frame is refused.
"""

from collections.abc import Callable, Mapping
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

# (channel, type) as two bytes → how many bytes the value has, and what it says, written into the object
Reader = Callable[[Frame, int, dict[str, Any]], None]
Row = Mapping[bytes, tuple[int, Reader]]


def _u8(name: str) -> Reader:
    def read(frame: Frame, at: int, found: dict[str, Any]) -> None:
        found[name] = frame.data[at]

    return read


def _u16(name: str) -> Reader:
    def read(frame: Frame, at: int, found: dict[str, Any]) -> None:
        found[name] = frame.u16le(at)

    return read


def _tenths(name: str) -> Reader:
    def read(frame: Frame, at: int, found: dict[str, Any]) -> None:
        found[name] = frame.i16le(at) / 10

    return read


def _halves(name: str) -> Reader:
    def read(frame: Frame, at: int, found: dict[str, Any]) -> None:
        found[name] = frame.data[at] / 2

    return read


def _word(name: str, *words: str) -> Reader:
    """An enumeration by its index; a value without a word is kept as its number."""

    def read(frame: Frame, at: int, found: dict[str, Any]) -> None:
        value = frame.data[at]
        found[name] = words[value] if value < len(words) else value

    return read


def _always(name: str, word: str) -> Reader:
    def read(frame: Frame, at: int, found: dict[str, Any]) -> None:
        found[name] = word

    return read


def _hex(name: str, length: int) -> Reader:
    def read(frame: Frame, at: int, found: dict[str, Any]) -> None:
        found[name] = frame.part(at, length).hex()

    return read


def _alarm(reader: Reader, name: str, at_status: int) -> Reader:
    words = _word(name, "threshold_alarm_release", "threshold_alarm")

    def read(frame: Frame, at: int, found: dict[str, Any]) -> None:
        reader(frame, at, found)
        words(frame, at + at_status, found)

    return read


def _record(*readers: tuple[int, Reader]) -> tuple[int, Reader]:
    """A record of history: its time, then values one behind the other."""

    def read(frame: Frame, at: int, found: dict[str, Any]) -> None:
        record: dict[str, Any] = {"timestamp": frame.u32le(at)}
        at += 4
        for length, reader in readers:
            reader(frame, at, record)
            at += length
        found.setdefault("history", []).append(record)

    return 4 + sum(length for length, _reader in readers), read


def _version(name: str, *, nibbles: bool = False) -> Reader:
    """0110: v1.1 as hardware, v1.10 as firmware."""

    def read(frame: Frame, at: int, found: dict[str, Any]) -> None:
        major, minor = frame.data[at], frame.data[at + 1]
        found[name] = f"v{major}.{minor >> 4 if nibbles else f'{minor:x}'}"

    return read


def _ipso(frame: Frame, at: int, found: dict[str, Any]) -> None:
    value = frame.data[at]
    found["ipso_version"] = f"v{value >> 4}.{value & 0x0F}"


_TEMPERATURE = _tenths("temperature")
_DISTANCE = _u16("distance")
_HUMIDITY = _halves("humidity")
_LEAK = _word("leakage_status", "normal", "leak")

_INFORMATION: Row = {
    b"\xff\x01": (1, _ipso),
    b"\xff\x09": (2, _version("hardware_version", nibbles=True)),
    b"\xff\x0a": (2, _version("firmware_version")),
    b"\xff\x0b": (1, _always("device_status", "on")),
    b"\xff\x0f": (1, _word("lorawan_class", "Class A", "Class B", "Class C", "Class CtoB")),
    b"\xff\x16": (8, _hex("sn", 8)),
    b"\xff\xfe": (1, _always("reset_event", "reset")),
    b"\xff\xff": (2, _version("tsl_version")),
    b"\x01\x75": (1, _u8("battery")),
}


def _settings(readers: Mapping[int, tuple[int, Reader]]) -> Row:
    """Both channels on which a changed setting is repeated."""
    return {bytes((channel, kind)): part for channel in (0xFE, 0xFF) for kind, part in readers.items()}


_SETTINGS = {
    0x02: (2, _u16("collection_interval")),
    0x03: (2, _u16("report_interval")),
    0x06: (9, _hex("alarm_config", 9)),
    0x10: (1, _always("reboot", "yes")),
}
_EM300_SETTINGS = {
    **_SETTINGS,
    0x27: (1, _always("clear_history", "yes")),
    0x28: (1, _always("report_status", "yes")),
    0x68: (1, _word("history_enable", "disable", "enable")),
    0x69: (1, _word("retransmit_enable", "disable", "enable")),
    0x6A: (3, _hex("retransmit_config", 3)),
    0x6D: (1, _always("stop_transmit", "yes")),
    0x79: (6, _hex("d2d_master_config", 6)),
    0xEA: (3, _hex("calibration_settings", 3)),
}
_EM400_SETTINGS = {
    **_SETTINGS,
    0x13: (1, _word("install_height_enable", "disable", "enable")),
    0x1C: (2, _hex("recollection_config", 2)),
    0x28: (1, _always("query_device_status", "yes")),
    0x3E: (1, _word("tilt_linkage_distance_enable", "disable", "enable")),
    0x4A: (1, _always("sync_time", "yes")),
    0x56: (1, _word("tof_detection_enable", "disable", "enable")),
    0x70: (2, _u16("people_existing_height")),
    0x71: (1, _word("working_mode", "standard", "bin", "parking")),
    0x77: (2, _u16("install_height")),
}

# information and settings, then what the model measures
MODELS: Mapping[str, tuple[Row, Row]] = {
    "milesight/em400-mud": (
        {**_settings(_EM400_SETTINGS), **_INFORMATION},
        {
            b"\x03\x67": (2, _TEMPERATURE),
            b"\x04\x82": (2, _DISTANCE),
            b"\x05\x00": (1, _word("position", "normal", "tilt")),
            b"\x83\x67": (3, _alarm(_TEMPERATURE, "temperature_alarm", 2)),
            b"\x84\x82": (3, _alarm(_DISTANCE, "distance_alarm", 2)),
        },
    ),
    "milesight/em300-zld": (
        {**_settings(_EM300_SETTINGS), **_INFORMATION},
        {
            b"\x03\x67": (2, _TEMPERATURE),
            b"\x04\x68": (1, _HUMIDITY),
            b"\x05\x00": (1, _LEAK),
            b"\x20\xce": _record((2, _TEMPERATURE), (1, _HUMIDITY), (1, _LEAK)),
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
        part = measured.get(head)
        if part is not None:
            measures = True
        else:
            part = information.get(head)
            if part is None:
                frame.require(at + 2)
                if not measures:
                    detail = f"byte {at}: channel {head[0]:02x}, type {head[1]:02x} is unknown"
                    raise FrameError("implausible", detail)
                found["unread"] = data[at:].hex()
                return found
        length, read = part
        at += 2
        if at + length > end:
            frame.require(at + length)
        read(frame, at, found)
        at += length
    return found
