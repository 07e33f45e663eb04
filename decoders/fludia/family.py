"""Fludia FM432e and FM432ir, readers for electricity meters. Any f_port, big endian.

After the vendor's published codec and its example frames.

    optical reader (FM432e; FM432ir on a meter with a disc)     69 or 6F  SS NNNNNNNN  DDDD ...
S minutes of a step   N count now   D how much it rose in each step before, oldest first
    its settings, 16 bytes          6A or 70  RR ____ PP FF MM BB NNNNNNNN SS VV UU YY
R restarts   P parameters   F firmware   M place of the reader   B battery low   V values in a message   U repeated
Y sensitivity

    FM432ir, what the meter tells   71 to 73, 76 to 78  SS GG EEEEEEEEEEEEEEEE  DDDD ...
                                    74, 79              SS GG EEEEEEEEEEEEEEEE  DDDD ...  FFFFFFFFFFFFFFFF  DDDD ...
E energy: 71, 76 the balance (16.8.0), 72, 77 drawn (1.8.0), 73, 78 fed in (2.8.0), 74, 79 drawn, then F fed in
D as above   from 76 on Wh, below 0.1 Wh   G signed, bit 0; in 74 and 79 bit 1 for F. FF.. or FFFB and above: no value
    its settings, 21 bytes          F0 3A or 3B  SS VV UU OO __ FF YY BB XX XX XX EEEEEEEEEEEEEEEE
O which energy: 0 drawn, 1 balance, 2 fed in, 3 drawn and fed in   X powers of ten of drawn, balance, fed in

A count of an optical reader is one of flashes or turns: how much energy one is says the meter. The energies at the
steps before follow from the rises, back to the first that is missing.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]

_NO_RISE = 0xFFFB  # and above
_PLACES = ("Electromechanical (Position A)", "Electronic (Position B)")
_OBIS = (
    "E-POS values (OBIS code 1.8.0)",
    "E-SUM values (OBIS code 16.8.0)",
    "E-NEG values (OBIS code 2.8.0)",
    "E-POS values (OBIS code 1.8.0) and E-NEG values (OBIS code 2.8.0)",
)
_POS, _SUM, _NEG, _BOTH = range(4)
_NO_SCALER = 0x7F


class _Energy(NamedTuple):
    name: str
    obis: int
    per_wh: int


_ENERGIES: Mapping[int, _Energy] = {
    0x71: _Energy("T1_MME_E_SUM", _SUM, 10),
    0x72: _Energy("T1_MME_E_POS", _POS, 10),
    0x73: _Energy("T1_MME_E_NEG", _NEG, 10),
    0x74: _Energy("T1_MME_E_POS_AND_E_NEG", _BOTH, 10),
    0x76: _Energy("T1_MME_E_SUM_WH", _SUM, 1),
    0x77: _Energy("T1_MME_E_POS_WH", _POS, 1),
    0x78: _Energy("T1_MME_E_NEG_WH", _NEG, 1),
    0x79: _Energy("T1_MME_E_POS_AND_E_NEG_WH", _BOTH, 1),
}


def _history(context: Context, step: int, name: str, last: float, rises: list[float | None]) -> list[Found]:
    """Where the count stood at the beginning of each step."""
    now = context.received_at.timestamp()
    found: list[Found] = []
    for back, rise in enumerate(reversed(rises), 1):
        if rise is None:
            break
        last -= rise
        found.append({"date": now - back * step * 60, name: last})
    return found[::-1]


def _require_step(step: int) -> None:
    if not step:
        raise FrameError("implausible", "a step of 0 minutes")


def _counts(frame: Frame, context: Context, name: str) -> Found:
    frame.require(8)
    if len(frame) % 2 or len(frame) > 46:
        raise FrameError("length", f"expected two bytes for each step behind 6 bytes, got {len(frame)} bytes")
    step, count = frame.unpack(">BI", 1)
    _require_step(step)
    rises = frame.unpack(f">{(len(frame) - 6) // 2}H", 6)
    history = _history(context, step, "pulses", count, list(rises))
    return {"message_type": name, "time_step": step, "pulses": count, "history": history}


def _count_settings(frame: Frame, name: str) -> Found:
    frame.expect(16)
    starts, parameters, firmware, place, battery, count, step, values, repeated, sensitivity = frame.unpack(
        ">B2x4BI4B", 1
    )
    return {
        "message_type": name,
        "number_of_starts": starts,
        "param_id": parameters,
        "firmware_version": firmware,
        "meter_type": _PLACES[place] if place < len(_PLACES) else place,
        "low_battery": battery,
        "pulses": count,  # not the vendor's "index", which is an energy in other messages
        "time_step": step,
        "number_of_values": values,
        "redundancy": repeated,
        "sensitivity": sensitivity,
    }


def _series(
    frame: Frame, at: int, count: int, signed: bool, per_wh: int
) -> tuple[float | None, list[float | None]]:
    """An energy and its rises."""
    layout = "q" if signed else "Q"
    (raw,) = frame.unpack(f">{layout}", at)
    energy = None if frame.part(at, 8) == b"\xff" * 8 else raw if per_wh == 1 else raw / per_wh
    rises: list[float | None] = []
    for place in range(at + 8, at + 8 + 2 * count, 2):
        rise = frame.i16(place) if signed else frame.u16(place)
        rises.append(None if frame.u16(place) >= _NO_RISE else rise / per_wh)
    return energy, rises


def _energies(frame: Frame, context: Context, kind: _Energy) -> Found:
    series, least = (2, 23) if kind.obis == _BOTH else (1, 13)
    frame.require(least)
    count, rest = divmod(len(frame) - 3 - 8 * series, 2 * series)
    if rest or len(frame) > 51:
        raise FrameError("length", f"{len(frame)} bytes are no whole steps")
    step, signs = frame.unpack(">BB", 1)
    _require_step(step)
    found: Found = {"message_type": kind.name, "meter_type": "mME (Position B)", "obis": _OBIS[kind.obis]}
    found["time_step"] = step
    names = {_BOTH: ("e_pos", "e_neg"), _NEG: ("e_neg",)}.get(kind.obis, ("e_pos",))
    indexes: Found = {}
    history: dict[float, Found] = {}
    for place, name in enumerate(names):
        at = 3 + place * (8 + 2 * count)
        energy, rises = _series(frame, at, count, bool(signs >> place & 1), kind.per_wh)
        if energy is None:
            continue
        indexes[name] = energy
        for element in _history(context, step, name, energy, rises):
            history.setdefault(element["date"], {}).update(element)
    if kind.obis not in (_SUM, _POS):
        found["index"] = indexes
    elif indexes:
        found["index"] = indexes["e_pos"]
    return {**found, "history": list(history.values())}


def _energy_settings(frame: Frame) -> Found:
    frame.expect(21)
    kind, step, values, repeated, obis, firmware, sensitivity, battery = frame.unpack(">5BxBBB", 1)
    if kind not in (0x3A, 0x3B):
        raise FrameError("implausible", f"unknown message f0{kind:02x}")
    found: Found = {
        "message_type": "T2_MME" if kind == 0x3A else "T2_MME_WH",
        "meter_type": "mME (Position B)",
        "time_step": step,
        "number_of_values": values,
        "redundancy": repeated,
        "firmware_version": firmware,
        "sensitivity": sensitivity,
        "low_battery": battery & 1,
    }
    for place, name in enumerate(("scaler_e_pos", "scaler_e_sum", "scaler_e_neg"), 10):
        if frame.u8(place) != _NO_SCALER:
            found[name] = 10.0 ** frame.i8(place)
    if obis < len(_OBIS):
        found["obis"] = _OBIS[obis]
        (raw,) = frame.unpack(">q" if obis == _SUM else ">Q", 13)
        if obis == _SUM or raw != 0xFFFFFFFFFFFFFFFF:  # -1 is a balance like any other
            energy = raw / 10 if kind == 0x3A else raw
            found["index"] = {"e_neg": energy} if obis == _NEG else energy
    return found


# of the restart and of messages that measure nothing, the lengths; the optical reader's calibration for one
_TOLD = {0x01: (3,), 0x12: (19, 37), 0x13: (11, 30)}
_COUNTS = {"fludia/fm432e": (0x69, "T1", 0x6A, "T2"), "fludia/fm432ir": (0x6F, "T1_MECA", 0x70, "T2_MECA")}


def decode(frame: Frame, context: Context) -> Found:
    kind = frame.u8(0)
    counts, counts_name, settings, settings_name = _COUNTS[context.model]
    if kind == counts:
        return _counts(frame, context, counts_name)
    if kind == settings:
        return _count_settings(frame, settings_name)
    if kind in _TOLD:
        frame.expect(*_TOLD[kind])
        return {"message": frame.data.hex()}
    if context.model == "fludia/fm432ir" and kind == 0xF0:
        return _energy_settings(frame)
    if context.model == "fludia/fm432ir" and kind in _ENERGIES:
        return _energies(frame, context, _ENERGIES[kind])
    raise FrameError("implausible", f"this model has no message {kind:02x}")
