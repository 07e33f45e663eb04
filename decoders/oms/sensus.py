"""Sensus iPERL, water meter with LoRaWAN. M-Bus records with a short header, see records.py.

After EN 13757-3 and the meters' published frame:

    7A NN SS CCCC  8404 13 VVVVVVVV  8404 6D TTTTTTTT  8D04 93 13 ...
S status: 04 battery low, 08 permanent error, 10 temporary error      V volume at storage 8      T when that was
8D04 93 13: the volumes before, an inverse compact profile, see profiles.py
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

from .profiles import unfold
from .records import NOW, Record, read_header, read_records

_VOLUMES = range(0x10, 0x18)


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    header = read_header(frame)
    records = list(read_records(frame, header.end))
    found: dict[str, Any] = {}
    if header.status is not None:
        found |= {
            "low_battery": bool(header.status & 0x04),
            "permanent_error": bool(header.status & 0x08),
            "temporary_error": bool(header.status & 0x10),
            "manufacturer_status": header.status >> 5,
        }
    times = {record.storage: record.value for record in records if record.what == "time"}
    volumes = {record.storage: record.value for record in records if _is_volume(record)}
    if not volumes:
        raise FrameError("implausible", "no volume in it: not the frame of a water meter")
    latest = 0 if 0 in volumes else min(volumes)
    if volumes[latest] is not None:
        found["volume"] = volumes[latest]
    if isinstance(times.get(latest), str):
        found["time"] = times[latest]
    earlier: list[dict[str, Any]] = [
        {"time": times[storage], "value": volume}
        for storage, volume in volumes.items()
        if storage != latest and volume is not None and isinstance(times.get(storage), str)
    ]
    for record in records:
        if isinstance(record.value, bytes):
            base = volumes.get(record.storage) if record.vif[0] in _VOLUMES else None
            time = times.get(record.storage)
            earlier += unfold(
                record,
                base if isinstance(base, (int, float)) else None,
                time if isinstance(time, str) else None,
            )
    if earlier:
        found["volumes"] = earlier
    return found


def _is_volume(record: Record) -> bool:
    return record.what == "volume_m3" and record.function == NOW and record.tariff == 0
