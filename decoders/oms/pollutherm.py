"""Sensus PolluTherm F and PolluStat with the LoRa module: a format, then M-Bus records, see records.py.

After "PolluStat, PolluTherm F, LoRa module" MS 4300 INT, 12.2023, table 15: the extended format, 28. The other formats
were not seen; but for that of letters they are records as well, which tell themselves what they are.

    KK  0406 EEEEEEEE  0414 VVVVVVVV  07FFA0 SS TTTT RRRR FFFF PPPP  06FF21 IIII NNNNNNNN  046D DDDDDDDD
K format      E energy (040E in gigajoules)      V volume      T R flow and return temperature, int16, 0.01 °C
S bits 6 to 4: P power in 10^(S-3) W; bits 2 to 0: F flow in 10^(S-6) m³/h      I what is wrong      N meter
D the meter's time. Energy in calories or BTU, and that of cooling, stay in the object.
"""

from struct import unpack
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

from .records import NOW, OF_MANUFACTURER, Record, read_records, scaled

_LETTERS = b"{"[0]
_INFO = (OF_MANUFACTURER, 0x21)
_TOGETHER = (OF_MANUFACTURER, 0x20)
_PARTS = (
    ("energy_wh", "energy_kwh", 1000),
    ("energy_j", "energy_kwh", 3_600_000),
    ("volume_m3", "volume_m3", 1),
    ("power_w", "power_kw", 1000),
    ("flow_m3h", "flow_m3h", 1),
    ("flow_temperature_c", "flow_temperature_c", 1),
    ("return_temperature_c", "return_temperature_c", 1),
    ("fabrication_number", "meter", 1),
    ("error_flags", "info", 1),
)
_NAMES = {what: (name, divisor) for what, name, divisor in _PARTS}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    message_format = frame.u8(0)
    if frame.u8(1) == _LETTERS:
        raise FrameError("implausible", "the format of letters; set the module to the extended format")
    found: dict[str, Any] = {"format": message_format}
    for record in read_records(frame, 1):
        found |= _read(record)
    if "energy_kwh" not in found:
        raise FrameError("implausible", "no energy in it: not the frame of a heat meter")
    return found


def _read(record: Record) -> dict[str, Any]:
    value, what = record.value, record.what
    if what == "time" and value is not None and record.storage == 0:
        return {"time": value}
    plain = record.function == NOW and record.storage == record.tariff == record.unit == 0
    if not plain or not isinstance(value, int | float):
        return {}
    if record.vif[:2] == _TOGETHER and len(record.vif) == 3:
        return _together(int(value), record.vif[2])
    if record.vif == _INFO:
        return {"info": int(value) & 0xFFFF, "meter": int(value) >> 16 & 0xFFFFFFFF}
    if what in _NAMES:
        name, divisor = _NAMES[what]
        return {name: value / divisor}
    return {}


def _together(packed: int, scaling: int) -> dict[str, Any]:
    flow_temperature, return_temperature, flow, power = unpack(
        "<hhHH", packed.to_bytes(8, "little", signed=True)
    )
    return {
        "flow_temperature_c": flow_temperature / 100,
        "return_temperature_c": return_temperature / 100,
        "flow_m3h": scaled(flow, (scaling & 7) - 6),
        "power_kw": scaled(power, (scaling >> 4 & 7) - 6),
    }
