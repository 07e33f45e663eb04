"""Develiot RWMR, remote water meter reader. Little endian.

After the vendor's published codec (hardware version 8) and frame:

    f_port 12, 11 bytes
    FFFF_TBA  PPPPPPPP  PPPPPPPP  UU  CC
F firmware      A B T: counters 1 and 2, thermometer are in use      P counters      U battery, 3.3 V / 255
C temperature, -30 °C + 90 °C / 255
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_SERVICES = ("PULSE_COUNTER1", "PULSE_COUNTER2", "TEMPERATURE")


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port != 12:
        raise FrameError.unknown_f_port(frame)
    frame.expect(11)
    head, first, second, battery, temperature = frame.unpack("<BIIBB")
    in_use = [bool(head >> bit & 1) for bit in range(len(_SERVICES))]
    found: dict[str, Any] = {
        "type": "status",
        "firmwareVersion": head >> 4,
        "activatedServices": [
            f"LORASENSE_REPORT_SERVICE_{name}" for name, used in zip(_SERVICES, in_use, strict=True) if used
        ],
        "batteryLevel": round(battery * 3.3 / 255, 2),
    }
    if in_use[0]:
        found["pulseCounter1"] = first
    if in_use[1]:
        found["secondCounter"] = second
    if in_use[2]:
        found["temperature"] = round(temperature * 90 / 255 - 30, 2)
    return found
