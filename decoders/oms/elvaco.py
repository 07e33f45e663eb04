"""Elvaco CMi modules in heat meters: a format, then records of M-Bus (EN 13757-3). Any f_port, little endian.

The records after EN 13757-3, the formats of each module after the vendor's published codec.

    KK  then records  DD [EE...] VV [WW...] value
K message format, of which each module has its own      D, E what kind of number, of which time and tariff (DIF, DIFE)
V, W which quantity in which unit (VIF, VIFE)
    KK {"E": reading, "U": unit, "ID": meter}   the JSON format

A number that the meter marks as invalid is left out. Energies become kWh, whatever the meter counts in. What is stored
at midnight goes with the meter's own time of the frame.
"""

import json
from collections.abc import Mapping
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

from .records import AT_ERROR, MAXIMUM, MINIMUM, NOW, Record, read_records

Found = dict[str, Any]

_JSON = {"elvaco/cmi4110": 0x02, "elvaco/cmi4140": 0x17}
FORMATS: Mapping[str, frozenset[int]] = {
    "elvaco/cmi4110": frozenset({0x00, 0x01, 0x02, 0x03, 0x04, 0x3F, 0x40, 0x41, *range(0x46, 0x4B)}),
    "elvaco/cmi4140": frozenset({*range(0x15, 0x1E), 0x3B, 0x3C, 0x4D, 0x4E, 0x4F}),
}

_COOLING = (0x7F, 0x02)  # of Elvaco: behind the VIF of an energy
_KWH = {"Wh": 0.001, "kWh": 1, "MWh": 1000, "GJ": 1 / 0.0036, "MJ": 1 / 3.6}


def decode(frame: Frame, context: Context) -> Found:
    kind = frame.u8(0)
    if kind not in FORMATS[context.model]:
        raise FrameError("implausible", f"this module has no message format {kind:02x}")
    found: Found = {"messageFormat": f"{kind:02x}"}
    if kind == _JSON[context.model]:
        return found | _json(frame)
    frame.require(5)
    midnight: Found = {}
    for record in read_records(frame, 1):
        values = midnight if record.storage == 1 else found
        values.update(_value(record))
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


# what a record says → its name here, and what it is divided by to be in kWh, m³, kW, m³/h and °C
_QUANTITIES = {
    "energy_wh": ("energy", 1e3),
    "energy_j": ("energy", 3.6e6),
    "volume_m3": ("volume", 1),
    "power_w": ("power", 1e3),
    "flow_m3h": ("flow", 1),
    "flow_temperature_c": ("forwardTemperature", 1),
    "return_temperature_c": ("returnTemperature", 1),
    "temperature_difference_k": ("temperatureDifference", 1),
}


def _value(record: Record) -> Found:
    what, value, is_cooling = record.what, record.value, record.vif[1:] == _COOLING
    if what == "time":
        return {"timeStamp": value} if isinstance(value, str) else {}
    if record.function == AT_ERROR or not isinstance(value, int | float):
        return {}
    if what == "error_flags":
        return {"errorFlags": int(value)}
    if what == "fabrication_number":
        return {"meterId": int(value)}
    if is_cooling:
        what = record._replace(vif=record.vif[:1]).what
    name, divisor = _QUANTITIES.get(what or "", ("", 1))
    if not name or (is_cooling and name != "energy"):
        return {}
    return {_named("coolingEnergy" if is_cooling else name, record): value / divisor}


def _named(name: str, record: Record) -> str:
    """The present value has the plain name; the others say what they are."""
    upper = name[0].upper() + name[1:]
    if record.function == MAXIMUM:
        name = f"max{upper}"
    elif record.function == MINIMUM:
        name = f"min{upper}"
    if record.unit:
        name = f"pulse{record.unit}{name[0].upper()}{name[1:]}"
    if record.tariff:
        name = f"tariff{record.tariff}{name[0].upper()}{name[1:]}"
    if record.storage > 1 and record.function == NOW:
        name += "AtDueDate" if record.storage == 2 else f"AtStorage{record.storage}"
    return name
