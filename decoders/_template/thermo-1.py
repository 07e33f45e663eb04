"""Example THERMO-1: air temperature, battery, distance to the content. f_port 1, 8 bytes, big endian.

After "THERMO-1 user manual", rev. 3, chapter 5.

    TTTT BBBB DDDD P_ _F
T air temperature, int16, 0.01 °C; 8000 = no reading      B battery, mV
D distance, mm     P position: 0 upright, 1 fallen        F always 5
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_POSITIONS = ("upright", "fallen")


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    # Length, fixed bytes, checksum, then values: refuse early, each refusal with its own reason.
    if frame.f_port != 1:
        raise FrameError.unknown_f_port(frame)
    frame.expect(8)
    if frame.u8(7) & 0x0F != 5:
        raise FrameError("implausible", f"the last byte is {frame.u8(7):02x}, expected _5")
    position = frame.u8(6) >> 4
    return {
        "temperature": frame.i16(0) / 100,
        "battery": frame.u16(2),
        "distance": frame.u16(4),
        "position": _POSITIONS[position] if position < len(_POSITIONS) else position,
    }
