"""Libelium Smart Parking v2, a radar and magnetometer under the wheels. Frames of eleven bytes.

After "Frames" in the "Smart Parking Technical Guide" (the first generation, whose first two bytes are the same), and
the frame types of the second generation as they have been published.

    OB__TTTT CC PPPPPPPPP
O the bay is occupied      B the battery is low      T frame type      C counter of frames, 0 to 255
P nine bytes of which the second generation's meaning is not published: kept as they came

Every frame tells the bay's state, whatever its type. The vendor names no f_port.
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_TYPES = {
    0: "INFO",  # the bay was taken or left
    1: "KEEP_ALIVE",
    2: "CONFIG_UP",
    3: "CONFIG_DOWN",
    4: "START_FRAME_1",
    5: "START_FRAME_2",
    6: "RTC_SYNC",
    7: "RTC_UPDATE",
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    frame.expect(11)
    state, sequence = frame.unpack(">BB")
    kind = _TYPES.get(state & 0x0F)
    if kind is None:
        raise FrameError("implausible", f"frame type {state & 0x0F} is reserved")
    header = {
        "frame_type": kind,
        "status": "OCCUPIED" if state & 0x80 else "VACANT",
        "battery_low": bool(state & 0x40),
        "sequence": sequence,
    }
    return {"frame_type": kind, "header": header, "payload": frame.part(2, 9).hex()}
