"""Sontex heat meters with LoRaWAN: M-Bus records, see records.py.

After EN 13757-3 and the vendor's published codecs for Superstatic 749 and 789, Supercal 739 and 5:

    f_port 2:  [78]  DIF [DIFE...] VIF [VIFE...] value  ...
storage 0 is now, the other ones are the target day with its date; 0C78 is the number of the meter
FF2C, FD17   what is wrong, a bit each
tariff 1     of the heat meters 739, 749 and 789: the cooling energy
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

from .records import NOW, OF_MANUFACTURER, read_records

_ERRORS = (OF_MANUFACTURER, 0x2C)
# what records.py calls it → our name and a divisor
_NAMES = {
    "energy_wh": ("energy_kwh", 1000),
    "energy_j": ("energy_kwh", 3_600_000),
    "volume_m3": ("volume_m3", 1),
    "flow_m3h": ("flow_m3h", 1),
    "power_w": ("power_kw", 1000),
    "flow_temperature_c": ("high_temperature_c", 1),
    "return_temperature_c": ("low_temperature_c", 1),
    "external_temperature_c": ("ambient_temperature_c", 1),
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port != 2:
        raise FrameError.unknown_f_port(frame)
    found: dict[str, Any] = {}
    at_storage: dict[int, dict[str, Any]] = {}
    times: dict[int, str] = {}
    for record in read_records(frame, 1 if frame.u8(0) == 0x78 else 0):
        name, divisor = _NAMES.get(record.what or "", (None, 1))
        if record.what == "time":
            if isinstance(record.value, str) and record.tariff == 0:
                times[record.storage] = record.value
        elif record.vif == _ERRORS or record.what == "error_flags":
            if isinstance(record.value, int | float):
                found["errors"] = int(record.value) & 0xFFFF
        elif record.what == "fabrication_number" and isinstance(record.value, int | float):
            found["fabrication_number"] = int(record.value)
        elif name is not None and record.function == NOW and record.unit == 0 and _is_number(record.value):
            key = name if record.tariff == 0 else f"{name}_tariff_{record.tariff}"
            at_storage.setdefault(record.storage, {})[key] = record.value / divisor
    if not any("energy_kwh" in values for values in at_storage.values()):
        raise FrameError("implausible", "a frame without an energy: another meter")
    found |= at_storage.pop(0, {})
    if 0 in times:
        found["time"] = times[0]
    log = [{"time": times[storage], **values} for storage, values in at_storage.items() if storage in times]
    return found | {"log": log} if log else found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
