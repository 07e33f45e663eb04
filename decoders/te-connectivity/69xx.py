"""TE Connectivity 69xxN, wireless pressure transducers, and what speaks as they do. Big endian.

After the vendor's published codec and frames:

    f_port 10, measured, 12 bytes              f_port 30, keep-alive: PSWO NNNN DD BB
    PSWO  NNNN  DD  BB  TTTT  VVVVVVVV
P platform      W radio
S what it measures: 2 temperature, 3 pressure, 4 humidity, 5 vibration (the spectrum behind T stays unread)
O how V is sent: 1 float32, 2 int32 in hundredths
N counter      D state, a bit each: see _STATES      B battery, %      T temperature of the device, int16, 0.01 °C
V pressure, bar; temperature, °C; humidity, %

The vendor calls all of V "data"; here only a pressure is called so. The vibration sensor is the 8931N.
"""

from math import isfinite
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_VIBRATION = 5
_VALUES = {2: "probe_temperature", 3: "data", 4: "humidity"}
_SHORTEST_SPECTRUM = 13
_FLOAT, _INTEGER = 1, 2
_STATES = {7: "SnsErr", 6: "CfgErr", 5: "MiscErr", 4: "Condition", 3: "PrelPhase"}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port not in (10, 30):
        raise FrameError.unknown_f_port(frame)
    frame.require(6)
    kind, counter, state, battery = frame.unpack(">HHBB")
    measures = kind >> 8 & 0x0F
    if measures not in _VALUES and measures != _VIBRATION:
        raise FrameError("implausible", f"what a device of kind {kind:04x} measures is not known")
    if frame.f_port == 30:
        frame.expect(6)
    elif measures == _VIBRATION:
        frame.require(_SHORTEST_SPECTRUM)
    else:
        frame.expect(12)
    found: dict[str, Any] = {
        "cnt": counter,
        "devstat": [name for bit, name in _STATES.items() if state >> bit & 1],
        "sensor_error": bool(state & 0x80),
        "bat": battery,
    }
    if frame.f_port == 30:
        return found
    found["temp"] = frame.i16(6) / 100
    return found if measures == _VIBRATION else found | _value(frame, _VALUES[measures], kind & 0x0F)


def _value(frame: Frame, name: str, output: int) -> dict[str, Any]:
    if output == _FLOAT:
        (value,) = frame.unpack(">f", 8)
        return {name: value} if isfinite(value) else {}
    if output == _INTEGER:
        return {name: frame.i32(8) / 100}
    raise FrameError("implausible", f"byte 1: how a value of form {output} is sent is not known")
