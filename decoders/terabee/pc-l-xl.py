"""Terabee People Counting L-XL, counts who passes below it. Big endian.

After the vendor's user manual, chapter "LoRaWAN communication", and its published frames:

    f_port 1, regular:                 IIIIIIII OOOOOOOO [FF]
    f_port 2, answer about the counts: CC IIIIIIII OOOOOOOO        C 02 asked for, 01 reset to 0
    f_port 3, 4, 100, answers:         CC ...
    f_port 255, a command was refused
I, O persons in and out since the counts were reset      F state, a bit each; the lowest: it has stopped to count
C command
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_COUNTS, _COUNT_ANSWER, _ANSWERS, _REFUSED = 1, 2, (3, 4, 100), 255
_GET = 2
_STOPPED = 0x01


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port == _COUNTS:
        return _counts(frame)
    if frame.f_port == _REFUSED:
        raise FrameError("implausible", f"the device does not know the command {frame.data.hex()}")
    if frame.f_port != _COUNT_ANSWER and frame.f_port not in _ANSWERS:
        raise FrameError.unknown_f_port(frame)
    command = frame.u8(0)
    if frame.f_port == _COUNT_ANSWER and command == _GET:
        frame.expect(9)
        value: Any = {"count_in": frame.u32(1), "count_out": frame.u32(5)}
    else:
        value = frame.data[1:].hex()
    return {"cmd": {"id": command, "value": value}}


def _counts(frame: Frame) -> dict[str, Any]:
    frame.require(8)
    if len(frame) > 9:
        raise FrameError("length", f"expected 8 or 9 bytes on f_port 1, got {len(frame)}")
    found: dict[str, Any] = {"count_in": frame.u32(0), "count_out": frame.u32(4)}
    if len(frame) == 9:
        state = frame.u8(8)
        found |= {"state": state, "stopped": bool(state & _STOPPED)}
    return found
