"""Milesight sensors: one codec for the family, one row of ``MODELS`` for each model.

After the payload tables in the user guides of the EM300 and EM400 series. Any f_port (85 unless configured).

    CC TT V...  CC TT V...  CC TT V...
C channel, T type, V value: its length follows from channel and type, little endian. Parts come in any order, and
only those that changed. A channel with bit 7 set repeats a value because it crossed a threshold; behind the value
stands the alarm's state (0 released, 1 raised). Channel ff is device information; 20 ce is one record of history:

    20 CE SSSSSSSS V...
S Unix time of the measurement in seconds

A part that is not in a model's row has no known length, so nothing behind it can be read: the frame is refused.
"""

from collections.abc import Callable, Mapping
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

# (channel, type) → how many bytes the value has, and what it says
Reader = Callable[[Frame, int], Mapping[str, Any]]
Row = Mapping[tuple[int, int], tuple[int, Reader]]


def _u8(name: str) -> Reader:
    return lambda frame, at: {name: frame.u8(at)}


def _u16(name: str) -> Reader:
    return lambda frame, at: {name: frame.u16le(at)}


def _tenths(name: str) -> Reader:
    return lambda frame, at: {name: frame.i16le(at) / 10}


def _halves(name: str) -> Reader:
    return lambda frame, at: {name: frame.u8(at) / 2}


def _word(name: str, *words: str) -> Reader:
    """An enumeration by its index; a value without a word is kept as its number."""

    def read(frame: Frame, at: int) -> Mapping[str, Any]:
        value = frame.u8(at)
        return {name: words[value] if value < len(words) else value}

    return read


def _alarm(reader: Reader, name: str, at_status: int) -> Reader:
    words = _word(name, "threshold_alarm_release", "threshold_alarm")
    return lambda frame, at: {**reader(frame, at), **words(frame, at + at_status)}


def _record(*readers: tuple[int, Reader]) -> tuple[int, Reader]:
    """A record of history: its time, then values one behind the other."""

    def read(frame: Frame, at: int) -> Mapping[str, Any]:
        record: dict[str, Any] = {"timestamp": frame.u32le(at)}
        at += 4
        for length, reader in readers:
            record.update(reader(frame, at))
            at += length
        return {"history": [record]}

    return 4 + sum(length for length, _reader in readers), read


def _version(name: str, *, nibbles: bool = False) -> Reader:
    """0110: v1.1 as hardware, v1.10 as firmware."""

    def read(frame: Frame, at: int) -> Mapping[str, Any]:
        major, minor = frame.u8(at), frame.u8(at + 1)
        return {name: f"v{major}.{minor >> 4 if nibbles else f'{minor:x}'}"}

    return read


def _ipso(frame: Frame, at: int) -> Mapping[str, Any]:
    value = frame.u8(at)
    return {"ipso_version": f"v{value >> 4}.{value & 0x0F}"}


_TEMPERATURE = _tenths("temperature")
_DISTANCE = _u16("distance")
_HUMIDITY = _halves("humidity")
_LEAK = _word("leakage_status", "normal", "leak")

_COMMON: Row = {
    (0xFF, 0x01): (1, _ipso),
    (0xFF, 0x09): (2, _version("hardware_version", nibbles=True)),
    (0xFF, 0x0A): (2, _version("firmware_version")),
    (0xFF, 0x0B): (1, lambda frame, at: {"device_status": "on"}),
    (0xFF, 0x0F): (1, _word("lorawan_class", "Class A", "Class B", "Class C", "Class CtoB")),
    (0xFF, 0x16): (8, lambda frame, at: {"sn": frame.part(at, 8).hex()}),
    (0xFF, 0xFE): (1, lambda frame, at: {"reset_event": "reset"}),
    (0xFF, 0xFF): (2, _version("tsl_version")),
    (0x01, 0x75): (1, _u8("battery")),
}

MODELS: Mapping[str, Row] = {
    "milesight/em400-mud": {
        **_COMMON,
        (0x03, 0x67): (2, _TEMPERATURE),
        (0x04, 0x82): (2, _DISTANCE),
        (0x05, 0x00): (1, _word("position", "normal", "tilt")),
        (0x83, 0x67): (3, _alarm(_TEMPERATURE, "temperature_alarm", 2)),
        (0x84, 0x82): (3, _alarm(_DISTANCE, "distance_alarm", 2)),
    },
    "milesight/em300-zld": {
        **_COMMON,
        (0x03, 0x67): (2, _TEMPERATURE),
        (0x04, 0x68): (1, _HUMIDITY),
        (0x05, 0x00): (1, _LEAK),
        (0x20, 0xCE): _record((2, _TEMPERATURE), (1, _HUMIDITY), (1, _LEAK)),
    },
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    row = MODELS[context.model]
    found: dict[str, Any] = {}
    at, end = 0, len(frame)
    while at < end:
        channel, kind = frame.u8(at), frame.u8(at + 1)
        part = row.get((channel, kind))
        if part is None:
            detail = f"byte {at}: channel {channel:02x}, type {kind:02x} is unknown"
            raise FrameError("implausible", detail)
        length, reader = part
        frame.require(at + 2 + length)
        said = reader(frame, at + 2)
        if "history" in said and "history" in found:
            found["history"] += said["history"]
        else:
            found.update(said)
        at += 2 + length
    return found
