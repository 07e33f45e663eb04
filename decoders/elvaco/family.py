"""Elvaco CMi modules in heat meters: a format, then records of M-Bus (EN 13757-3). Any f_port, little endian.

The records after EN 13757-3, the formats of each module after the vendor's published codec.

    KK  then records  DD [EE...] VV [WW...] value
K message format, of which each module has its own      D, E what kind of number, of which time and tariff (DIF, DIFE)
V, W which quantity in which unit (VIF, VIFE)
    KK {"E": reading, "U": unit, "ID": meter}   the JSON format

A number that the meter marks as invalid is left out. Energies become kWh, whatever the meter counts in. What is stored
at midnight goes with the meter's own time of the frame. A record of a manufacturer's own kind has no known length;
it and what follows stay unread.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]

_JSON = {"elvaco/cmi4110": 0x02, "elvaco/cmi4140": 0x17}
FORMATS: Mapping[str, frozenset[int]] = {
    "elvaco/cmi4110": frozenset({0x00, 0x01, 0x02, 0x03, 0x04, 0x3F, 0x40, 0x41, *range(0x46, 0x4B)}),
    "elvaco/cmi4140": frozenset({*range(0x15, 0x1E), 0x3B, 0x3C, 0x4D, 0x4E, 0x4F}),
}

# bytes, by the lowest four bits of the DIF
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 7: 8}
_DECIMALS = {9: 1, 10: 2, 11: 3, 12: 4, 14: 6}
_INSTANT, _HIGHEST, _LOWEST, _INVALID = range(4)
_COOLING = (0xFF, 0x02)
_KWH = {"Wh": 0.001, "kWh": 1, "MWh": 1000, "GJ": 1 / 0.0036, "MJ": 1 / 3.6}


class _Record(NamedTuple):
    kind: int  # the lowest four bits of the DIF
    function: int
    storage: int
    tariff: int
    unit: int
    quantity: int  # the VIF, without its highest bit
    more: tuple[int, ...]  # VIFEs
    data: bytes


def decode(frame: Frame, context: Context) -> Found:
    kind = frame.u8(0)
    if kind not in FORMATS[context.model]:
        raise FrameError("implausible", f"this module has no message format {kind:02x}")
    found: Found = {"messageFormat": f"{kind:02x}"}
    if kind == _JSON[context.model]:
        return found | _json(frame)
    frame.require(5)
    at = 1
    midnight: Found = {}
    while at < len(frame):
        record, end = _record(frame, at)
        if record is None:
            found["unread"] = frame.data[at:].hex()
            break
        values = midnight if record.storage == 1 else found
        values.update(_value(record))
        at = end
    if midnight and "timeStamp" in found:
        day = found["timeStamp"].partition("T")[0]
        found["daily"] = [{"date": f"{day}T00:00:00Z", **midnight}]
    return found


def _json(frame: Frame) -> Found:
    try:
        said = json.loads(frame.part(1, len(frame) - 1))
        energy, unit, meter = float(said["E"]), said["U"], said["ID"]
        reading = energy * _KWH[unit]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise FrameError("implausible", "the JSON has no reading in a known unit") from None
    if not 0 <= reading < 1e12:
        raise FrameError("implausible", f"a reading of {reading} kWh")
    return {
        "energy": reading,
        "energyUnit": "kWh",
        "meterId": meter if isinstance(meter, int) else str(meter),
    }


# -- M-Bus ----------------------------------------------------------------------------------------------


def _record(frame: Frame, at: int) -> tuple[_Record | None, int]:
    """The record at byte ``at`` and the byte behind it; None if its length is not known."""
    information = frame.u8(at)
    at += 1
    storage, tariff, unit = information >> 6 & 1, 0, 0
    extension, place = information, 0
    while extension & 0x80 and place < 10:
        extension = frame.u8(at)
        storage |= (extension & 0x0F) << (4 * place + 1)
        tariff |= (extension >> 4 & 0x03) << (2 * place)
        unit |= (extension >> 6 & 0x01) << place
        at, place = at + 1, place + 1
    quantity = extension = frame.u8(at)
    at += 1
    more = []
    while extension & 0x80 and len(more) < 10:
        extension = frame.u8(at)
        more.append(extension)
        at += 1
    kind = information & 0x0F
    length = _INTEGERS.get(kind) or _DECIMALS.get(kind)
    if length is None or (quantity == 0xFF and more[0] & 0x80):
        return None, at
    data = frame.part(at, length)
    function = information >> 4 & 0x03
    return _Record(kind, function, storage, tariff, unit, quantity & 0x7F, tuple(more), data), at + length


def _number(record: _Record) -> int | None:
    if record.kind in _INTEGERS:
        return int.from_bytes(record.data, "little", signed=True)
    digits = record.data[::-1].hex()
    sign = 1
    if digits[0] == "f":
        sign, digits = -1, "0" + digits[1:]
    return sign * int(digits) if digits.isdecimal() else None


def _value(record: _Record) -> Found:
    if record.quantity == 0x6D and record.kind == 4 and not record.more:
        return _time(record.data)
    number = _number(record)
    if record.function == _INVALID or number is None:
        return {}
    if record.quantity == 0x7D and record.more == (0x17,):
        return {"errorFlags": int.from_bytes(record.data, "little")}
    if record.quantity == 0x78 and not record.more:
        return {"meterId": number}
    name, value = _quantity(record, number)
    return {_named(name, record): value} if name else {}


def _time(data: bytes) -> Found:
    """Type F: minutes, hours, day and year, month and year. The highest bit of the first byte: it is not valid."""
    minute, hour, day, month = data[0] & 0x3F, data[1] & 0x1F, data[2] & 0x1F, data[3] & 0x0F
    year = 2000 + (data[2] >> 5 | data[3] >> 4 << 3)
    try:
        time = datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return {}
    return {} if data[0] & 0x80 else {"timeStamp": time.isoformat(timespec="minutes")}


def _scaled(number: int, power: int) -> float:
    return number * 10**power if power >= 0 else number / 10**-power


# the first VIF of each quantity, how many there are, and the power of ten of the first: in kWh, m³, kW, m³/h and °C
_QUANTITIES = (
    (0x00, 8, "energy", -6),
    (0x10, 8, "volume", -6),
    (0x28, 8, "power", -6),
    (0x38, 8, "flow", -6),
    (0x58, 4, "forwardTemperature", -3),
    (0x5C, 4, "returnTemperature", -3),
    (0x60, 4, "temperatureDifference", -3),
)


def _quantity(record: _Record, number: int) -> tuple[str, float]:
    """What the VIF says; an empty name if nothing that is known here."""
    code, more = record.quantity, record.more
    if code == 0x7B and len(more) == 1:
        return _large_energy(more[0], number)
    if 0x08 <= code < 0x10 and more in ((), _COOLING):  # joules
        return "coolingEnergy" if more else "energy", _scaled(number, code - 0x08) / 3_600_000
    for first, count, name, power in _QUANTITIES:
        if first <= code < first + count:
            value = _scaled(number, power + code - first)
            if more == _COOLING and name == "energy":
                return "coolingEnergy", value
            return ("", 0) if more else (name, value)
    return "", 0


def _large_energy(code: int, number: int) -> tuple[str, float]:
    """MWh and GJ, by tenths and whole."""
    if code in (0x00, 0x01):
        return "energy", _scaled(number, 2 + code)
    if code in (0x08, 0x09):
        return "energy", _scaled(number, code) / 36
    return "", 0


def _named(name: str, record: _Record) -> str:
    """The present value has the plain name; the others say what they are."""
    upper = name[0].upper() + name[1:]
    if record.function == _HIGHEST:
        name = f"max{upper}"
    elif record.function == _LOWEST:
        name = f"min{upper}"
    if record.unit:
        name = f"pulse{record.unit}{name[0].upper()}{name[1:]}"
    if record.tariff:
        name = f"tariff{record.tariff}{name[0].upper()}{name[1:]}"
    if record.storage > 1 and record.function == _INSTANT:
        name += "AtDueDate" if record.storage == 2 else f"AtStorage{record.storage}"
    return name
