"""Bosch Parking Lot Sensor TPS110. Little endian; the port says which frame it is.

After "Parking Lot Sensor, Communication Interface - Technical Description", rev. 1, V0.29.4.

    f_port 1, the bay's state has changed        f_port 2, heartbeat, once a day
    _______S                                     _______S TTTTTTTT
    1 byte                                       2 bytes; before firmware 0.29 without T

    f_port 3, startup, 17 bytes
    CCCC____ CCCC____ CCCC____ FFGGHH RR _______S
    \\ three 32-bit debug words /

S state: 1 occupied, 0 free                      T temperature in the housing, int8, °C
C debug code, the lower 12 bits of its word; 0 is none
F.G.H firmware version                           R reset cause
f_ports 4 to 6 carry device information, usage and debugging, which is for the vendor: kept as bytes.
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_RESET_CAUSES = {1: "watchdog", 2: "power on", 3: "system request", 4: "other"}
_INTERNAL = {4: "device information", 5: "device usage", 6: "debug"}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port == 1:
        frame.expect(1)
        return {"occupied": bool(frame.data[0] & 1)}
    if frame.f_port == 2:
        frame.expect(1, 2)
        found: dict[str, Any] = {"occupied": bool(frame.data[0] & 1)}
        if len(frame) == 2:
            found["temperature"] = frame.i8(1)
        return found
    if frame.f_port == 3:
        return _startup(frame)
    if frame.f_port in _INTERNAL:
        return {"type": _INTERNAL[frame.f_port], "bytes": frame.data.hex()}
    raise FrameError.unknown_f_port(frame)


def _startup(frame: Frame) -> dict[str, Any]:
    frame.expect(17)
    *words, major, minor, patch, cause, state = frame.unpack("<3I5B")
    return {
        "type": "startup",
        "debugCodes": [word & 0xFFF for word in words if word & 0xFFF],
        "firmwareVersion": f"{major}.{minor}.{patch}",
        "resetCause": _RESET_CAUSES.get(cause, f"unknown ({cause})"),
        "occupied": bool(state & 1),
    }
