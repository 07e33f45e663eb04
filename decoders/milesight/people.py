"""Milesight people counters: cameras over doors and in halls (VS121, VS13x), infrared in a passage (VS35x)
or over a place (VS330, VS34x, VS370).

After the payload tables in the user guides and in the vendor's README of each model. Any f_port (85 unless
configured), framed as all Milesight sensors (family.py), little endian:

    CC TT V...  CC TT V...  CC TT V...
C channel, T type, V value: its length follows from channel and type; 20 CE is a record of history, Unix time in front

Totals count since the device was installed, periods since its last report.
"""

from typing import Any

from smartdorf.decoding import Context, Frame, parts

from .information import INFORMATION, TEMPERATURE, record


def _in_out(prefix: str) -> parts.Reader:
    return parts.in_order(parts.number(f"{prefix}_in", "<H"), parts.number(f"{prefix}_out", "<H"))


def _region_mask(frame: Frame, at: int, found: dict[str, Any]) -> int:
    """How many regions there are, and a bit for each in which somebody is; big endian, unlike all else."""
    regions, mask = frame.u8(at), frame.u16(at + 1)
    found["region_count"] = regions
    for region in range(min(regions, 16)):
        found[f"region_{region + 1}"] = mask >> region & 1
    return at + 3


def _regions(first: int, count: int) -> parts.Reader:
    return parts.in_order(
        *(parts.number(f"region_{region}_count", "<B") for region in range(first, first + count))
    )


def _flow(start: str) -> parts.Reader:
    return parts.in_order(*(parts.number(f"{start}_to_{end}", "<H") for end in "abcd"))


def _dwell(frame: Frame, at: int, found: dict[str, Any]) -> int:
    region, average, longest = frame.unpack("<BHH", at)
    found[f"region_{region}_avg_dwell"] = average
    found[f"region_{region}_max_dwell"] = longest
    return at + 5


def _lines() -> parts.Table:
    row: dict[bytes, parts.Reader] = {b"\x0f\xe3": _regions(1, 4), b"\x10\xe4": _dwell}
    for line in range(4):
        name, channel = f"line_{line + 1}", 3 + 3 * line
        row[bytes((channel, 0xD2))] = parts.number(f"{name}_total_in", "<I")
        row[bytes((channel + 1, 0xD2))] = parts.number(f"{name}_total_out", "<I")
        row[bytes((channel + 2, 0xCC))] = _in_out(f"{name}_period")
    return row


def _dotted(frame: Frame, at: int, found: dict[str, Any]) -> int:
    found["firmware_version"] = ".".join(str(part) for part in frame.part(at, 4))
    return at + 4


def _camera_hardware(frame: Frame, at: int, found: dict[str, Any]) -> int:
    found["hardware_version"] = f"{frame.u8(at)}.{frame.u8(at + 1)}"
    return at + 2


_CAMERA: parts.Table = {
    **INFORMATION,
    b"\xff\x01": parts.number("protocol_version", "<B"),
    b"\xff\x08": parts.raw("sn", 6),
    b"\xff\x09": _camera_hardware,
    b"\xff\x1f": _dotted,
}
_CAMERA_COUNTS: parts.Table = {
    b"\x04\xc9": parts.in_order(parts.number("people_count_all", "<B"), _region_mask),
    b"\x05\xcc": _in_out("people"),
    b"\x06\xcd": parts.number("people_count_max", "<B"),
    b"\x07\xd5": _regions(1, 8),
    b"\x08\xd5": _regions(9, 8),
    b"\x09\xda": _flow("a"),
    b"\x0a\xda": _flow("b"),
    b"\x0b\xda": _flow("c"),
    b"\x0c\xda": _flow("d"),
    b"\x0d\xcc": _in_out("people_total"),
    b"\x0e\xe4": _dwell,
    b"\x0f\x85": parts.number("timestamp", "<I"),
}

_PASSAGE_ALARM = {1: "threshold alarm"}
_HEAT_ALARM = {
    0: "threshold alarm release", 1: "threshold alarm", 3: "high temperature alarm",
    4: "high temperature alarm release",
}  # fmt: skip
_TOTAL, _PERIOD = _in_out("total"), _in_out("period")


def _passage_record(frame: Frame, at: int, found: dict[str, Any]) -> int:
    """Only a record of kind 1 has the totals too."""
    totals = frame.u8(at) == 1
    at = _PERIOD(frame, at + 1, found)
    return _TOTAL(frame, at, found) if totals else at


_PASSAGE: parts.Table = {
    b"\x03\x67": TEMPERATURE,
    b"\x04\xcc": _TOTAL,
    b"\x05\xcc": _PERIOD,
    b"\x0a\xef": parts.number("timestamp", "<I"),
    b"\x83\x67": parts.in_order(TEMPERATURE, parts.code("temperature_alarm", _HEAT_ALARM)),
    b"\x84\xcc": parts.in_order(_TOTAL, parts.code("total_count_alarm", _PASSAGE_ALARM)),
    b"\x85\xcc": parts.in_order(_PERIOD, parts.code("period_count_alarm", _PASSAGE_ALARM)),
    b"\x20\xce": record(_passage_record),
}

_OCCUPANCY: parts.Table = {b"\x03\x00": parts.word("occupancy", "vacant", "occupied")}
_ONE_LINE: parts.Table = {
    b"\x03\xd2": parts.number("total_counter_in", "<I"),
    b"\x04\xd2": parts.number("total_counter_out", "<I"),
    b"\x05\xcc": _in_out("periodic_counter"),
}

# information, then what the model measures
MODELS = {
    "milesight/vs121": (_CAMERA, _CAMERA_COUNTS),
    "milesight/vs132": ({**_CAMERA, b"\xff\x16": parts.raw("sn", 8)}, _ONE_LINE),
    "milesight/vs133": (INFORMATION, _lines()),
    "milesight/vs135": (INFORMATION, _lines()),
    "milesight/vs330": (
        INFORMATION,
        {
            b"\x02\x82": parts.number("distance", "<H"),
            b"\x03\x8e": parts.word("occupancy", "vacant", "occupied"),
            b"\x04\x8e": parts.word("calibration_status", "failed", "success"),
        },
    ),
    "milesight/vs340": (INFORMATION, _OCCUPANCY),
    "milesight/vs341": (INFORMATION, _OCCUPANCY),
    "milesight/vs350": (INFORMATION, _PASSAGE),
    "milesight/vs351": (INFORMATION, _PASSAGE),
    "milesight/vs370": (
        INFORMATION,
        {**_OCCUPANCY, b"\x04\x00": parts.code("illuminance", {0: "dim", 1: "bright", 0xFE: "disable"})},
    ),
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    told, measured = MODELS[context.model]
    return parts.tagged(frame, 2, measured, told)
