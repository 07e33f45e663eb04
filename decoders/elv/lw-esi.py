"""ELV LW-ESI, reader for electricity and gas meters. f_port 10; the readings are little endian.

After the vendor's published codec and its example frames; a frame has one or more readings.

    LL RR VVVV  then  01 __TTTTTT ____OOUU CCCCCCCCCC _____SUU PPPPPPPP
                or    02 FFFF FFFF FFFF: what the infrared reader has learnt
L length of the head   R why it was sent   V supply, mV, big endian   T 1 drawn, 2 fed in
U unit: 0 Wh and W, 1 kWh and kW, 2 m³ and m³/h   O the counter has been over its end   C counter, 0.0001
S sign of the power, 1 is minus      P power, 0.01
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]

_REASONS = ("Reserved", "Timer_Event", "User_Button", "Power_Event", "Calibration")
_TYPES = ("Reserved", "Consumption", "Delivery")
_UNITS = (("Wh", "W"), ("kWh", "kW"), ("m^3", "m^3/h"))
_SIGNS = ("Positive", "Negative")
_DRAWN, _FED_IN = 1, 2


def _reading(frame: Frame, at: int) -> tuple[Found, Found]:
    """A reading in the vendor's words, and what it measures in kWh, kW and m³."""
    kind, unit, low, high, power_unit, power = frame.unpack("<BBIBBI", at)
    kind, unit, negative, power_unit = kind & 0x3F, unit & 0x03, power_unit >> 2 & 1, power_unit & 0x03
    if kind not in (_DRAWN, _FED_IN) or unit >= len(_UNITS) or power_unit >= len(_UNITS):
        raise FrameError("implausible", f"a reading of kind {kind} in units {unit} and {power_unit}")
    counter, power = (high << 32 | low) / 10000, power / 100
    said = {
        "Consumption_Type": _TYPES[kind],
        "Energy_Counter_Unit": _UNITS[unit][0],
        "Energy_Counter": counter,
        "Energy_Power_Unit": _UNITS[power_unit][1],
        "Signum_Of_Power": _SIGNS[negative],
        "Power": power,
    }
    measured: Found = {}
    if unit == 2:
        measured["gas"] = counter
    else:
        measured["drawn" if kind == _DRAWN else "fed_in"] = counter / 1000 if unit == 0 else counter
    if power_unit != 2 and kind == _DRAWN:
        kilowatts = power / 1000 if power_unit == 0 else power
        measured["power"] = -kilowatts if negative else kilowatts
    return said, measured


def decode(frame: Frame, context: Context) -> Found:
    if frame.f_port != 10:
        raise FrameError.unknown_f_port(frame)
    head = frame.u8(0)
    if head < 3:
        raise FrameError("implausible", f"a head of {head} bytes, expected at least 3")
    reason, supply = frame.unpack(">BH", 1)
    reason &= 0x0F
    found: Found = {
        "TX_Reason": _REASONS[reason] if reason < len(_REASONS) else reason,
        "Supply_Voltage": supply,
    }
    at = head + 1
    said: dict[str, list[Any]] = {}
    while at < len(frame):
        kind = frame.u8(at)
        if kind == 0x01:
            reading, measured = _reading(frame, at + 1)
            for name, value in reading.items():
                said.setdefault(name, []).append(value)
            found |= measured
            at += 13
        elif kind == 0x02:
            found["infrared"] = list(frame.unpack("<3h", at + 1))
            at += 7
        else:
            raise FrameError("implausible", f"byte {at}: unknown kind of data {kind:02x}")
    if said:
        found["Energy_Data"] = said
    return found
