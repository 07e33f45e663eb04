"""Nwave's sensors in the ground: NPS405 watches a bay, NCC405 counts vehicles. Big endian.

After Nwave's description of the payloads of both models (formats by f_port).

    NPS405, f_port 1, the bay's state has changed: 1 byte
    DDDDDDDO
    NPS405, f_port 2, heartbeat: 3 bytes, newer firmware more
    HHHHHHHO VV TT ...
    NPS405, f_port 3, startup: 5 bytes
    FF GG HH RR _______O
    NPS405, f_port 10, a driver's tag was seen: 6 bytes, older firmware 5 (without B); without O there is no state
    DDDDDDDO [BB] IIIIIIII
    NCC405, f_port 1, the counter: CCCC
    NCC405, f_port 2, heartbeat: HH VV MM
    NCC405, f_port 3, startup: FF GG HH RR
    both, f_port 6: debugging, which is for the vendor, kept as bytes
O occupied       D duration of the state before, see _duration      H the hardware on itself, unpublished
V battery, 2.5 V + 4 mV each      M its mean over a day      T int8, 10 °C + 0.5 °C each
F.G.H firmware version      R reset cause      I tag, B its battery, 0.1 V      C vehicles, uint16
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]

_RESET_CAUSES = {
    0: "rejoining_lorawan_network",
    1: "watchdog",
    2: "power_on",
    3: "user_request",
    6: "brownout",
    7: "other",
}
# minutes: to 89 as they are, then in steps of five, then of an hour
_FIVES, _HOURS, _LONGER = 90, 120, 127


def decode(frame: Frame, context: Context) -> Found:
    counts = context.model == "nwave/ncc405"
    if frame.f_port == 1:
        return _counter(frame) if counts else _state(frame)
    if frame.f_port == 2:
        return _heartbeat_of_counter(frame) if counts else _heartbeat(frame)
    if frame.f_port == 3:
        return _startup(frame, with_state=not counts)
    if frame.f_port == 6:
        return {"type": "debug", "bytes": frame.data.hex()}
    if frame.f_port == 10 and not counts:
        return _tag(frame)
    raise FrameError.unknown_f_port(frame)


def _occupied(state: int) -> bool:
    return bool(state & 1)


def _duration(state: int) -> Found:
    """Minutes that the state before lasted, by how much it may have been longer, and whether it was too long to say."""
    coded = state >> 1
    if coded < _FIVES:
        minutes, error = coded, 0
    elif coded < _HOURS:
        minutes, error = 90 + (coded - _FIVES) * 5, 4
    else:
        minutes, error = 240 + (coded - _HOURS) * 60, 59
    found: Found = {
        "previous_state_duration": minutes,
        "previous_state_duration_overflow": coded == _LONGER,
    }
    if coded != _LONGER:
        found["previous_state_duration_error"] = error
    return found


def _volts(coded: int) -> float:
    return (2500 + 4 * coded) / 1000


def _state(frame: Frame) -> Found:
    frame.expect(1)
    state = frame.u8(0)
    return {"type": "parking_status", "occupied": _occupied(state), **_duration(state)}


def _heartbeat(frame: Frame) -> Found:
    state, battery, temperature = frame.unpack(">BBb")
    celsius = temperature / 2 + 10
    return {
        "type": "heartbeat",
        "occupied": _occupied(state),
        "battery_voltage": _volts(battery),
        "battery_health": _battery_health(_volts(battery), celsius),
        "temperature": celsius,
    }


def _battery_health(volts: float, celsius: float) -> str:
    """A cold battery may have 0.1 V less."""
    low = 3.0 if celsius >= -5 else 2.9
    if volts >= low:
        return "normal"
    return "low" if volts >= low - 0.1 else "critical"


def _tag(frame: Frame) -> Found:
    frame.expect(5, 6)
    state = frame.u8(0)
    found: Found = {"type": "user_registration", "tag_id": f"{frame.u32(len(frame) - 4):X}"}
    if len(frame) == 6:
        found["tag_battery_voltage"] = frame.u8(1) / 10
    if _occupied(state):
        found |= {"occupied": True, **_duration(state)}
    return found


def _counter(frame: Frame) -> Found:
    frame.expect(2)
    return {"type": "counter_update", "counter_value": frame.u16(0)}


def _heartbeat_of_counter(frame: Frame) -> Found:
    frame.expect(3)
    _health, battery, mean = frame.unpack(">BBB")
    return {
        "type": "heartbeat",
        "battery_voltage": _volts(battery),
        "battery_voltage_mean_24h": _volts(mean),
    }


def _startup(frame: Frame, *, with_state: bool) -> Found:
    frame.expect(5 if with_state else 4)
    major, minor, patch, cause = frame.unpack(">BBBB")
    found: Found = {
        "type": "startup",
        "firmware_version": f"{major}.{minor}.{patch}",
        "reset_cause": _RESET_CAUSES.get(cause, f"unknown ({cause})"),
    }
    if with_state:
        found["occupied"] = bool(frame.u8(4) & 1)
    return found
