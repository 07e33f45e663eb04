"""Sontex meters with LoRaWAN: heat, water and heat cost allocators. M-Bus records, see records.py.

After EN 13757-3 and the vendor's published codecs for Superstatic 749 and 789, Supercal 739 and 5, 878, W1-L and W2-L:

    f_port 2:  [78]  DIF [DIFE...] VIF [VIFE...] value  ...
storage 0 is now, the other ones are the target day with its date; 0C78 is the number of the meter
FF2C, FD17   what is wrong, a bit each; see _ALLOCATOR_FLAGS and _WATER_FLAGS
tariff 1     of the heat meters 739, 749 and 789: the cooling energy
"""

from collections.abc import Mapping
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

from .records import NOW, OF_MANUFACTURER, Record, read_records

Flags = Mapping[str, int]

_ERRORS = (OF_MANUFACTURER, 0x2C)
_ALLOCATOR_FLAGS: Flags = {
    "fraud_switch_closed": 0x01,
    "measure_error": 0x02,
    "invalid_time_clock": 0x04,
    "key_too_long_closed": 0x20,
    "temperature_out_of_range": 0x40,
}
_WATER_FLAGS: Flags = {
    "fraud_manipulation": 0x0080,
    "pipe_break": 0x0100,
    "leakage": 0x0200,
    "qmax": 0x0400,
    "backward_flow": 0x0800,
    "zero_flow": 0x1000,
    "device_end_of_legal_life": 0x2000,
}
# what records.py calls it → our name and a divisor
_NAMES = {
    "energy_wh": ("energy_kwh", 1000),
    "energy_j": ("energy_kwh", 3_600_000),
    "volume_m3": ("volume_m3", 1),
    "allocator_units": ("allocator_units", 1),
    "flow_m3h": ("flow_m3h", 1),
    "power_w": ("power_kw", 1000),
    "flow_temperature_c": ("high_temperature_c", 1),
    "return_temperature_c": ("low_temperature_c", 1),
    "external_temperature_c": ("ambient_temperature_c", 1),
}
_COUNTED = ("energy_kwh", "volume_m3", "allocator_units")

# model → what makes the frame one of it, and what its flags mean
_MODELS: Mapping[str, tuple[str, Flags]] = {
    "sontex/7x9": ("energy_kwh", {}),
    "sontex/sc5": ("energy_kwh", {}),
    "sontex/878": ("allocator_units", _ALLOCATOR_FLAGS),
    "sontex/w1w2": ("volume_m3", _WATER_FLAGS),
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port != 2:
        raise FrameError.unknown_f_port(frame)
    main, flags = _MODELS[context.model]
    found: dict[str, Any] = {}
    at_storage: dict[int, dict[str, Any]] = {}
    times: dict[int, str] = {}
    counted = set()
    for record in read_records(frame, 1 if frame.u8(0) == 0x78 else 0):
        name, divisor = _NAMES.get(record.what or "", (None, 1))
        if name in _COUNTED:
            counted.add(name)
        if record.what == "time":
            if isinstance(record.value, str) and record.tariff == 0:
                times[record.storage] = record.value
        elif record.vif == _ERRORS or record.what == "error_flags":
            found |= _flags(record, flags)
        elif record.what == "fabrication_number" and isinstance(record.value, int | float):
            found["fabrication_number"] = int(record.value)
        elif name is not None and record.function == NOW and record.unit == 0 and _is_number(record.value):
            key = name if record.tariff == 0 else f"{name}_tariff_{record.tariff}"
            at_storage.setdefault(record.storage, {})[key] = record.value / divisor
    if main not in counted or (main != "energy_kwh" and "energy_kwh" in counted):
        raise FrameError(
            "implausible", f"a frame of {', '.join(sorted(counted)) or 'no counter'}: another meter"
        )
    found |= at_storage.pop(0, {})
    if 0 in times:
        found["time"] = times[0]
    log = [{"time": times[storage], **values} for storage, values in at_storage.items() if storage in times]
    return found | {"log": log} if log else found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _flags(record: Record, flags: Flags) -> dict[str, Any]:
    if not isinstance(record.value, int | float):
        return {}
    bits = int(record.value) & 0xFFFF
    return {"errors": bits, **{name: bool(bits & bit) for name, bit in flags.items()}}
