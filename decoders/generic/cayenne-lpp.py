"""Cayenne Low Power Payload, which many self-made and some bought sensors send. Big endian.

After the tables of data types in the README of CayenneLPP and in the libraries that added to it. Any f_port.

    CC TT V...  CC TT V...  CC TT V...
C channel: several sensors of a kind     T type, V value: its length follows from T

The object is the one that ChirpStack's own Cayenne decoder makes: for each kind its channels. What an input means only
the builder of the device knows, so inputs are numbers.
"""

from collections.abc import Callable, Mapping
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

Read = Callable[[Frame, int], Any]


def _number(layout: str, divisor: int = 1) -> Read:
    def read(frame: Frame, at: int) -> float:
        (value,) = frame.unpack(layout, at)
        return value if divisor == 1 else value / divisor

    return read


def _axes(divisor: int) -> Read:
    def read(frame: Frame, at: int) -> dict:
        return {axis: value / divisor for axis, value in zip("xyz", frame.unpack(">hhh", at), strict=True)}

    return read


def _i24(frame: Frame, at: int) -> int:
    return int.from_bytes(frame.part(at, 3), "big", signed=True)


def _position(frame: Frame, at: int) -> dict:
    return {
        "latitude": _i24(frame, at) / 10_000,
        "longitude": _i24(frame, at + 3) / 10_000,
        "altitude": _i24(frame, at + 6) / 100,
    }


def _colour(frame: Frame, at: int) -> dict:
    return dict(zip(("red", "green", "blue"), frame.unpack("BBB", at), strict=True))


# type → name, length, reader
TYPES: Mapping[int, tuple[str, int, Read]] = {
    0: ("digitalInput", 1, _number("B")),
    1: ("digitalOutput", 1, _number("B")),
    2: ("analogInput", 2, _number(">h", 100)),
    3: ("analogOutput", 2, _number(">h", 100)),
    100: ("genericSensor", 4, _number(">I")),
    101: ("illuminanceSensor", 2, _number(">H")),
    102: ("presenceSensor", 1, _number("B")),
    103: ("temperatureSensor", 2, _number(">h", 10)),
    104: ("humiditySensor", 1, _number("B", 2)),
    113: ("accelerometer", 6, _axes(1000)),
    115: ("barometer", 2, _number(">H", 10)),
    116: ("voltage", 2, _number(">H", 100)),
    117: ("current", 2, _number(">H", 1000)),
    118: ("frequency", 4, _number(">I")),
    120: ("percentage", 1, _number("B")),
    121: ("altitude", 2, _number(">h")),
    125: ("concentration", 2, _number(">H")),
    128: ("power", 2, _number(">H")),
    130: ("distance", 4, _number(">I", 1000)),
    131: ("energy", 4, _number(">I", 1000)),
    132: ("direction", 2, _number(">H")),
    133: ("time", 4, _number(">I")),
    134: ("gyrometer", 6, _axes(100)),
    135: ("colour", 3, _colour),
    136: ("gpsLocation", 9, _position),
    142: ("switch", 1, _number("B")),
}


def decode(frame: Frame, context: Context) -> dict:
    frame.require(3)
    found: dict = {}
    at = 0
    while at < len(frame):
        channel, kind = frame.unpack("BB", at)
        if kind not in TYPES:
            if found:  # its length is not known: what stands in front of it counts
                found["unread"] = frame.data[at:].hex()
                return found
            raise FrameError("implausible", f"byte {at + 1}: there is no type {kind}")
        name, length, read = TYPES[kind]
        found.setdefault(name, {})[str(channel)] = read(frame, at + 2)
        at += 2 + length
    return found
