"""VEGAPULS Air 41 and 42, radar sensors for levels. Big endian.

After the published codec and its frame. What a packet has depends on its number:

    PP NN FFFFFFFF UU BB  TTTT  LLLLLLLL OOOOOOOO  DDDDDDDD  AA
P number: 2, 3, 4, 5      N state by NAMUR NE 107      F measured, float32, in unit U (numbers of the HART protocol)
B battery, %      T temperature, int16, 0.1 °C      L O latitude and longitude, float32: packets 3 and 5
D state by VEGA: packets 4 and 5      A tilt, °; older sensors do not send it
FE: a packet without content. The measured value is the distance; what
is in no unit of length is left to the reader.
"""

from math import isfinite
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_STATES = {0: "good", 1: "functionCheck", 2: "maintenanceRequired", 3: "outOfSpecification", 4: "failure"}
_METRES = {45: ("m", 1.0), 44: ("ft", 0.3048), 47: ("in", 0.0254), 48: ("cm", 0.01), 49: ("mm", 0.001)}
_WITH_POSITION, _WITH_VEGA_STATE = (3, 5), (4, 5)
_EMPTY = 0xFE


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port != 1:
        raise FrameError.unknown_f_port(frame)
    packet = frame.u8(0)
    if packet == _EMPTY:
        return {"packetId": packet, "packetType": "dummy"}
    if packet not in (2, 3, 4, 5):
        raise FrameError("implausible", f"what packet {packet} has in it is not known")
    length = 10 + 8 * (packet in _WITH_POSITION) + 4 * (packet in _WITH_VEGA_STATE)
    frame.expect(length, length + 1)
    state, value, unit, battery, temperature = frame.unpack(">BfBBh", 1)
    found: dict[str, Any] = {
        "packetId": packet,
        "namurStatus": {"code": state, "label": _STATES.get(state, "unknown")},
        "measurement": {"unitCode": unit},
        "batteryLevel": battery,
        "temperature": temperature / 10,
    }
    if isfinite(value):
        found["measurement"]["value"] = value
        if unit in _METRES:
            name, factor = _METRES[unit]
            found["measurement"]["unit"] = name
            found["distance_m"] = value * factor
    at = 10
    if packet in _WITH_POSITION:
        latitude, longitude = frame.unpack(">ff", at)
        if isfinite(latitude) and isfinite(longitude):
            found["location"] = {"latitude": latitude, "longitude": longitude}
        at += 8
    if packet in _WITH_VEGA_STATE:
        found["vegaDeviceStatus"] = frame.u32(at)
        at += 4
    if at < len(frame):
        found["tiltAngle"] = frame.u8(at)
    return found
