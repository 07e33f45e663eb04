"""Decentlab DL-PR26: pressure (liquid level) and temperature of a submerged Keller probe. Any f_port, big endian.

After "DL-PR26 Pressure / Liquid Level and Temperature Sensor for LoRaWAN, Datasheet", Payload structure.

    VV DDDD FFFF [PPPP TTTT] [BBBB]
V protocol version, 2          D device id           F flags: which sensors follow, lowest bit first
P pressure, flag bit 0: 16384 is the lower and 49152 the upper end of the probe's range
T temperature, flag bit 0: 0.05 °C / 16 steps from -50 °C at 384
B battery, flag bit 1, mV

The probe's range is not in the frame (parameters). A frame with the battery alone is complete. Version and device
id are checked and left out of the object: they never say anything new about a device.
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_PROBE, _BATTERY = 0b01, 0b10


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    version, _device_id, flags = frame.unpack(">BHH")
    if version != 2:
        raise FrameError("implausible", f"protocol version {version}, expected 2")
    if flags & ~(_PROBE | _BATTERY):
        raise FrameError("implausible", f"flags {flags:04x} name sensors that this model does not have")
    frame.expect(5 + (4 if flags & _PROBE else 0) + (2 if flags & _BATTERY else 0))
    found: dict[str, Any] = {}
    at = 5
    if flags & _PROBE:
        low, high = context.parameter("pressure_min_bar"), context.parameter("pressure_max_bar")
        if low is not None and high is not None:
            found["pressure"] = {"value": (frame.u16(at) - 16384) / 32768 * (high - low) + low}
        found["temperature"] = {"value": (frame.u16(at + 2) - 384) * 0.003125 - 50}
        at += 4
    if flags & _BATTERY:
        found["battery_voltage"] = {"value": frame.u16(at) / 1000}
    return found
