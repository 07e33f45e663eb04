"""Elsys sensors: one table for all models, since a type means the same on each. Any f_port (5 unless configured).

After "Elsys LoRa payload", the vendor's list of sensor types, which all their devices share.

    TT V...  TT V...  TT V...
T type; it says how long the value V is. Big endian.

Type 3E, which is sent after joining, repeats the settings behind a byte with their length.
"""

from typing import Any

from smartdorf.decoding import Context, Frame, parts

_OCCUPANCY = ("unoccupied", "pending", "occupied")


def _also(name: str, first: int, layout: str, divisor: float) -> parts.Reader:
    """A type that comes once for each further probe: numbered in their order."""

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        number = first
        while f"{name}{number}" in found:
            number += 1
        return parts.number(f"{name}{number}", layout, divisor)(frame, at, found)

    return read


def _settings(frame: Frame, at: int, found: dict[str, Any]) -> int:
    length = frame.u8(at)
    return parts.raw("settings", length)(frame, at + 1, found)


_MEASURED: parts.Table = {
    b"\x01": parts.number("temperature", ">h", 10),
    b"\x02": parts.number("humidity", ">B"),
    # acceleration, 63 is 1 g
    b"\x03": parts.in_order(parts.number("x", ">b"), parts.number("y", ">b"), parts.number("z", ">b")),
    b"\x04": parts.number("light", ">H"),
    b"\x05": parts.number("motion", ">B"),
    b"\x06": parts.number("co2", ">H"),
    b"\x07": parts.number("vdd", ">H"),
    b"\x08": parts.number("analog1", ">H"),
    b"\x09": parts.raw("gps", 6),
    b"\x0a": parts.number("pulse1", ">H"),
    b"\x0b": parts.number("pulseAbs", ">I"),
    b"\x0c": parts.number("externalTemperature", ">h", 10),
    b"\x0d": parts.number("digital", ">B"),
    b"\x0e": parts.number("distance", ">H"),
    b"\x0f": parts.number("accMotion", ">B"),
    b"\x10": parts.in_order(
        parts.number("irInternalTemperature", ">h", 10), parts.number("irExternalTemperature", ">h", 10)
    ),
    b"\x11": parts.word("occupancy", *_OCCUPANCY),
    b"\x12": parts.number("waterleak", ">B"),
    b"\x13": parts.raw("grideye", 65),
    b"\x14": parts.number("pressure", ">I", 1000),
    b"\x15": parts.in_order(parts.number("soundPeak", ">B"), parts.number("soundAvg", ">B")),
    b"\x16": parts.number("pulse2", ">H"),
    b"\x17": parts.number("pulseAbs2", ">I"),
    b"\x18": parts.number("analog2", ">H"),
    b"\x19": _also("externalTemperature", 2, ">h", 10),
    b"\x1a": parts.number("digital2", ">B"),
    b"\x1b": parts.number("analogUv", ">i"),
    b"\x1c": parts.number("tvoc", ">H"),
}
_TOLD: parts.Table = {b"\x3d": parts.raw("debug", 4), b"\x3e": _settings}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    return parts.tagged(frame, 1, _MEASURED, _TOLD)
