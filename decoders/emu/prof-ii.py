"""EMU Professional II LoRa, electricity meter. Any f_port, little endian.

After the vendor's published codec and its example frames.

    TTTTTTTT  DD V...  DD V...  CC
T Unix time of the reading   D data point, V its value, of fixed length   C CRC-8 (polynomial 07) of all before it

A message of one or two bytes says that the meter is alive and nothing else.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]


class Point(NamedTuple):
    name: str
    layout: str  # as struct; "serial" and "text" have four bytes
    divisor: int = 1


def _row(first: int, names: Iterable[str], layout: str, divisor: int = 1) -> dict[int, Point]:
    return {first + place: Point(name, layout, divisor) for place, name in enumerate(names)}


def _energies(suffix: str) -> list[str]:
    return [
        f"{kind} Energy {way} T{tariff}{suffix if kind == 'Active' else suffix.replace('kWh', 'kvarh')}"
        for kind in ("Active", "Reactive")
        for way in ("Import", "Export")
        for tariff in (1, 2)
    ]


def _phases(name: str, suffix: str = "") -> list[str]:
    return [f"{name} L{phase}{suffix}" for phase in (1, 2, 3)]


POINTS: Mapping[int, Point] = {
    **_row(0x00, ["data-logger-index", "timestamp", "timestamp-previous"], "I"),
    **_row(0x03, _energies(""), "I"),
    **_row(0x0B, ["Active Power L123", *_phases("Active Power")], "i"),
    **_row(0x0F, ["Current L123", *_phases("Current"), "Current N"], "i"),
    **_row(0x14, _phases("Voltage", "-N"), "i", 10),
    **_row(0x17, _phases("Powerfactor"), "b", 100),
    0x1A: Point("Frequency", "h", 10),
    0x1B: Point("Active Power average", "i"),
    **_row(0x1C, _energies(" kWh"), "I"),
    **_row(0x24, _energies(" 64bit"), "Q"),
    0xF0: Point("errorcode", "B"),
    **_row(0xF1, ["serial-number", "factory-number"], "serial"),
    **_row(
        0xF3,
        [
            f"{what}-transformer {side}"
            for what in ("current", "voltage")
            for side in ("primary", "secondary")
        ],
        "H",
    ),
    0xF7: Point("meter-typ", "B"),
    **_row(0xF8, ["MID year", "factory year"], "serial"),
    **_row(0xFA, ["firmware version", "mid-Version", "manufacturer", "hw-index"], "text"),
    0xFE: Point("systemtime", "I"),
}
_SIZES = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "Q": 8, "serial": 4, "text": 4}
_POWER_FAIL = 0x20


def decode(frame: Frame, context: Context) -> Found:
    if 0 < len(frame) <= 2:
        return {"status": frame.data.hex()}
    frame.require(6)
    end = len(frame) - 1
    if _crc8(frame.data[:end]) != frame.data[end]:
        raise FrameError("checksum", f"the checksum is {frame.data[end]:02x}, but the bytes say otherwise")
    found: Found = {"timeStamp": frame.u32le(0)}
    at = 4
    while at < end:
        point = POINTS.get(frame.data[at])
        if point is None:
            if len(found) == 1:
                raise FrameError("implausible", f"unknown data point {frame.data[at]:02x}")
            found["unread"] = frame.data[at:end].hex()
            break
        at += 1
        if at + _SIZES[point.layout] > end:
            raise FrameError("too_short", f"{point.name} reaches into the checksum")
        found[point.name] = {"value": _value(frame, at, point)}
        at += _SIZES[point.layout]
    return found


def _value(frame: Frame, at: int, point: Point) -> Any:
    if point.layout == "serial":
        return frame.part(at, 4)[::-1].hex()
    if point.layout == "text":
        return frame.part(at, 4).decode("ascii", "replace").replace("\0", "")
    (value,) = frame.unpack(f"<{point.layout}", at)
    if point.name == "errorcode":
        return {"code": value, "PowerFail": bool(value & _POWER_FAIL)}
    return value if point.divisor == 1 else value / point.divisor


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _bit in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc
