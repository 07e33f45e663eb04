"""TE Connectivity 69xxN, wireless pressure transducers, and the vibration sensor 8931N. Big endian.

After the vendor's published codec and frames:

    f_port 10, measured, 12 bytes              f_port 30, keep-alive: PSWO NNNN DD BB
    PSWO  NNNN  DD  BB  TTTT  VVVVVVVV
P platform      S what it measures: 3 pressure, 5 vibration (the spectrum behind T stays unread)      W radio
O how V is sent: 1 float32, 2 int32 in hundredths
N counter      D state, a bit each: see _STATES      B battery, %      T temperature of the device, int16, 0.01 °C
V pressure, bar
"""

from math import isfinite
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_PRESSURE, _VIBRATION = 3, 5
_SHORTEST_SPECTRUM = 13
_FLOAT, _INTEGER = 1, 2
_STATES = {7: "SnsErr", 6: "CfgErr", 5: "MiscErr", 4: "Condition", 3: "PrelPhase"}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port not in (10, 30):
        raise FrameError.unknown_f_port(frame)
    frame.require(6)
    kind, counter, state, battery = frame.unpack(">HHBB")
    measures = kind >> 8 & 0x0F
    if measures not in (_PRESSURE, _VIBRATION):
        raise FrameError(
            "implausible", f"a device of kind {kind:04x}, which measures neither pressure nor vibration"
        )
    if frame.f_port == 30:
        frame.expect(6)
    elif measures == _PRESSURE:
        frame.expect(12)
    else:
        frame.require(_SHORTEST_SPECTRUM)
    found: dict[str, Any] = {
        "cnt": counter,
        "devstat": [name for bit, name in _STATES.items() if state >> bit & 1],
        "sensor_error": bool(state & 0x80),
        "bat": battery,
    }
    if frame.f_port == 30:
        return found
    found["temp"] = frame.i16(6) / 100
    return found if measures == _VIBRATION else found | _pressure(frame, kind & 0x0F)


def _pressure(frame: Frame, output: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if output == _FLOAT:
        (pressure,) = frame.unpack(">f", 8)
        if isfinite(pressure):
            found["data"] = pressure
    elif output == _INTEGER:
        found["data"] = frame.i32(8) / 100
    else:
        raise FrameError("implausible", f"byte 1: how a pressure of form {output} is sent is not known")
    return found
