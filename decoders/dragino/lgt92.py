"""Dragino LGT-92: the position of a thing or a person, and a button for help. Big endian.

After the LGT-92 user manual, 2.4 "Uplink Payload".

    f_port 2, 11, 15 or 18 bytes
    YYYYYYYY  XXXXXXXX  _ABBBBBB BBBBBBBB  MMLFFFFF  RRRR PPPP  HH ZZZZ
Y, X latitude and longitude, int32, 0.000001°; without a fix 0, with a low battery 0fffffff
A alarm button   B battery, mV   M what wakes it   L its light is on   F firmware, 160 and more
R, P roll and pitch, int16, 0.01°   H dilution, 0.01   Z altitude, int16, 0.01 m: higher than 327 m it is wrong
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_BATTERY = 0x3FFF
_NO_FIX = ((0, 0), (0x0FFFFFFF, 0x0FFFFFFF), (-1, -1))


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port != 2:
        raise FrameError.unknown_f_port(frame)
    frame.expect(11, 15, 18)
    latitude, longitude, battery, flags = frame.unpack(">iiHB")
    found: dict[str, Any] = {
        "ALARM_status": bool(battery & 0x4000),
        "BatV": (battery & _BATTERY) / 1000,
        "MD": ("Disable", "Move", "Collide", "User")[flags >> 6],
        "LON": bool(flags & 0x20),
        "FW": 160 + (flags & 0x1F),
    }
    if (latitude, longitude) not in _NO_FIX:
        found["latitude"], found["longitude"] = latitude / 1_000_000, longitude / 1_000_000
    if len(frame) > 11:
        found["Roll"], found["Pitch"] = frame.i16(11) / 100, frame.i16(13) / 100
    if len(frame) > 15:
        found["HDOP"], found["ALTITUDE"] = frame.u8(15) / 100, frame.i16(16) / 100
    return found
