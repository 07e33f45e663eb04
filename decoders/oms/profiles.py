"""Compact profiles: many earlier values of a meter in one M-Bus record.

After EN 13757-3, annex "Compact profile"; the inverse one goes back from the value and the time of its storage:

    DIF VIF 13  LL  MMUUSSSS  NN  DDDD DDDD ...
M how a value differs from the one after it: 1 it grew by D, 2 it fell, 3 D has a sign (0: D is the value itself)
U unit of the spacing: seconds, minutes, hours, days      S size of D, as in a DIF      N spacing
"""

from datetime import datetime, timedelta

from smartdorf.decoding import FrameError

from .records import Record, exponent_of, scaled

INVERSE = 0x13
_UNITS = (timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1))
_BYTES = {1: 1, 2: 2, 3: 3, 4: 4}
_ABSOLUTE, _FALLING, _SIGNED = 0, 2, 3

Reading = dict[str, str | float]


def unfold(record: Record, base: float | None, time: str | None) -> list[Reading]:
    """The values before ``base`` and its ``time``, the latest first."""
    data = record.value
    if not isinstance(data, bytes) or len(record.vif) != 2 or record.vif[1] != INVERSE:
        raise FrameError("implausible", "a record of variable length that is no inverse compact profile")
    if len(data) < 2:
        raise FrameError("too_short", "a compact profile says its spacing first")
    if base is None or time is None:
        raise FrameError(
            "implausible", "a compact profile without the value and the time that it goes back from"
        )
    mode, size = data[0] >> 6, _BYTES.get(data[0] & 0x0F)
    if mode == _ABSOLUTE or size is None:
        raise FrameError("implausible", f"a compact profile of differences, not of kind {data[0]:02x}")
    if (len(data) - 2) % size:
        raise FrameError("length", f"a compact profile has differences of {size} bytes")
    exponent = exponent_of(record.vif)
    spacing = _UNITS[data[0] >> 4 & 3] * data[1]
    readings: list[Reading] = []
    number = round(base * 10**-exponent) if exponent < 0 else round(base / 10**exponent)
    at = datetime.fromisoformat(time)
    for place in range(2, len(data), size):
        part = data[place : place + size]
        difference = int.from_bytes(part, "little", signed=mode == _SIGNED)
        if difference == (-1 << 8 * size - 1 if mode == _SIGNED else (1 << 8 * size) - 1):
            break  # the meter knows no difference here, so none before it
        number += difference if mode == _FALLING else -difference
        try:
            at -= spacing
        except OverflowError:
            break
        readings.append({"time": at.isoformat(), "value": scaled(number, exponent)})
    return readings
