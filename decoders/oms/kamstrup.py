"""Kamstrup flowIQ 2200, ultrasonic water meter with LoRaWAN. M-Bus records with a header, see records.py.

After EN 13757-3; its own values and their bits after the vendor's published codec. Mostly a log of last midnight:

    78  446D TTTTTTTT  4413 VVVVVVVV  52FF25 IIII  42FF1C AAAA  623B FFFF  523B FFFF  615B CC  515B CC  4D9313 ...
T when      V volume      I what was wrong on that day, a bit each: see _INFO      A how often acoustics heard a leak
F lowest and highest flow      C lowest and highest temperature of the water      4D: a profile of the hours before
72, installation: FF16, the number of its configuration; it measures nothing
"""

from typing import Any

from smartdorf.decoding import Context, Frame

from .profiles import unfold
from .records import AT_ERROR, MAXIMUM, MINIMUM, NOW, OF_MANUFACTURER, Record, read_header, read_records

_INFO = (
    "Dry", "Reverse", "Leak", "Burst", "Tamper", "Low Battery", "Low Ambient Temperature", "High Ambient Temperature",
)  # fmt: skip
_VOLUME_REVERSE = "Reverse Volume"
_READINGS = ("Volume", _VOLUME_REVERSE)

_OWN = {
    (OF_MANUFACTURER, 0x1C): "ALD last day",
    (OF_MANUFACTURER, 0x1B): "ALD",
    (OF_MANUFACTURER, 0x16): "Module type/config number",
}
_NAMES = {
    "flow_m3h": {NOW: "Volume flow", MAXIMUM: "Max Volume flow", MINIMUM: "Min Volume flow"},
    "flow_temperature_c": {
        NOW: "Flow temperature",
        MAXIMUM: "Max Flow temperature",
        MINIMUM: "Min Flow temperature",
    },
    "external_temperature_c": {
        NOW: "External temperature",
        MAXIMUM: "Max External temperature",
        MINIMUM: "Min External temperature",
    },
}
_VOLUMES = range(0x10, 0x18)
_INFO_CODE = (OF_MANUFACTURER, 0x25)
_REVERSE = 0x3C


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    header = read_header(frame)
    records = list(read_records(frame, header.end))
    times = {record.storage: record.value for record in records if record.what == "time"}
    found: dict[str, Any] = {}
    at_storage: dict[int, dict[str, Any]] = {}
    for record in records:
        if record.vif == _INFO_CODE and isinstance(record.value, (int, float)):
            flags = int(record.value)
            found |= {name: bool(flags >> bit & 1) for bit, name in enumerate(_INFO)}
        elif (name := _name(record)) is not None and record.value is not None:
            at_storage.setdefault(record.storage, {})[name] = record.value
    log = []
    for storage, values in at_storage.items():
        if storage == 0:
            found |= {"latestVolume" if name == "Volume" else name: value for name, value in values.items()}
            continue
        dated = isinstance(times.get(storage), str)
        readings = {name: values[name] for name in _READINGS if name in values} if dated else {}
        if readings:
            log.append({"Timestamp": times[storage], **readings})
        others = {name: value for name, value in values.items() if name not in readings}
        if others:  # lowest, highest, how often: of the day that ended then
            found[f"storage {storage}"] = others
    if isinstance(times.get(0), str):
        found["time"] = times[0]
    log += _profiles(records, at_storage, times)
    if log:
        found["log"] = log
    return found


def _name(record: Record) -> str | None:
    if record.what == "volume_m3":
        return {NOW: "Volume", AT_ERROR: "Error state Volume"}.get(record.function)
    if len(record.vif) == 2 and record.vif[0] in _VOLUMES and record.vif[1] == _REVERSE:
        return _VOLUME_REVERSE if record.function == NOW else None
    if record.vif in _OWN:
        return _OWN[record.vif]
    return _NAMES.get(record.what or "", {}).get(record.function)


def _profiles(
    records: list[Record], at_storage: dict[int, dict[str, Any]], times: dict[int, Any]
) -> list[dict[str, Any]]:
    log: list[dict[str, Any]] = []
    for record in records:
        if isinstance(record.value, bytes):
            base = at_storage.get(record.storage, {}).get("Volume") if record.vif[0] in _VOLUMES else None
            readings = unfold(record, base, times.get(record.storage))
            log += [{"Timestamp": reading["time"], "Volume": reading["value"]} for reading in readings]
    return log
