"""Talkpool OY1320, meter reader. Big endian.

After the published frame, and the manual of the OY1410, whose messages are built likewise:

    f_port 2, 6 bytes: 01  21  NNNNNNNN
01 what is sent without being asked      21 the meter's reading      N reading, in the steps of the meter
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_READING = 0x0121


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port != 2:
        raise FrameError.unknown_f_port(frame)
    frame.expect(6)
    command, reading = frame.unpack(">HI")
    if command != _READING:
        raise FrameError("implausible", f"message {command:04x}, a reading is {_READING:04x}")
    return {"MeterReading": reading}
