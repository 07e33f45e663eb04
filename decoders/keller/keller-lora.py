"""KELLER ADT1 and ARC1, senders for level and pressure probes. Big endian.

After "KELLER LoRa payload" (docs.kolibricloud.ch) and the vendor's published codec:

    f_port 1, function 1, measured values          f_port 4, function 12, about the device, 20 bytes
    01  DD  CCCC  FFFFFFFF ...                     0C  __  GGGG  VVVV  SSSSSSSS  TTTTTTTT  UUUUUUUU  BB  HH
D kind of device: what its channels are, see _CHANNELS      C which of them follow, a bit each, the lowest first
F float32; bar, °C, V, mS/cm; no number where the probe has none      G class and group      V version
S serial number      T its time, seconds since 2000      U battery, V      B battery, %      H humidity inside, %
"""

from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_PD12, _PD1B = "Pd (P1-P2)", "Pd (P1-PBaro)"
_FIRST = ("P1", "P2", "T", "TOB1", "TOB2")
_BARO = ("PBaro", "TBaro")
_VOLTS = ("Volt Inp. 1", "Volt Inp. 2")
_MORE_PRESSURES = ("P1 (2)", "P1 (3)", "P1 (4)", "P1 (5)")
_CONDUCTIVITY = ("Conductivity Tc", "Conductivity raw")
_COUNTER = "Counter input"
_WITH_CONDUCTIVITY = ("P1", "P2", "T (Conductivity)", "TOB1", "TOB2", *_BARO, *_VOLTS, *_CONDUCTIVITY)

# by kind of device
_CHANNELS: dict[int, tuple[str, ...]] = {
    0: (_PD12, *_FIRST),
    1: (_PD12, *_FIRST),
    2: (_PD1B, *_FIRST, *_BARO),
    3: (_PD1B, *_FIRST, *_BARO),
    4: (_PD12, *_FIRST, *_BARO, *_VOLTS),
    5: (_PD1B, *_FIRST, *_BARO, *_VOLTS),
    6: (_PD12, *_FIRST, *_BARO, *_VOLTS, *_MORE_PRESSURES, _COUNTER),
    7: (*_BARO, *_VOLTS, *(f"SDI12 CH{number}" for number in range(1, 11))),
    8: (
        "P1", "TOB1", "P1 (2)", "TOB1 (2)", "P1 (3)", "TOB1 (3)", "P1 (4)", "TOB1 (4)", "P1 (5)", "TOB1 (5)",
        *_VOLTS, *_BARO, _COUNTER,
    ),
    9: (_PD12, *_WITH_CONDUCTIVITY),
    10: (_PD1B, *_WITH_CONDUCTIVITY),
    11: (
        "P1", "TOB1", "Conductivity Tc", "T (Conductivity)", "P1 (2)", "TOB1 (2)", "Conductivity Tc (2)",
        "T (Conductivity) (2)", "P1 (3)", "TOB1 (3)", "Conductivity Tc (3)", "T (Conductivity) (3)", *_BARO, _COUNTER,
    ),
    13: (
        "P1", "P2", "TOB1", "TOB2", "P1 (2)", "P2 (2)", "TOB1 (2)", "TOB2 (2)", *_BARO, *_VOLTS, _COUNTER,
    ),
}  # fmt: skip
_FROM = datetime(2000, 1, 1, tzinfo=UTC)


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port == 1:
        _expect_function(frame, 1)
        return _measured(frame)
    if frame.f_port == 4:
        _expect_function(frame, 12)
        return _device(frame)
    raise FrameError.unknown_f_port(frame)


def _expect_function(frame: Frame, function: int) -> None:
    if frame.u8(0) != function:
        raise FrameError(
            "implausible", f"function {frame.u8(0)} on f_port {frame.f_port}, expected {function}"
        )


def _measured(frame: Frame) -> dict[str, Any]:
    kind, flags = frame.unpack(">BH", 1)
    names = _CHANNELS.get(kind)
    if names is None:
        raise FrameError("implausible", f"byte 1: what the channels of device kind {kind} are is not known")
    sent = [bit for bit in range(16) if flags >> bit & 1]
    if sent and sent[-1] >= len(names):
        raise FrameError(
            "implausible", f"device kind {kind} has {len(names)} channels, the frame has {sent[-1] + 1}"
        )
    frame.expect(4 + 4 * len(sent))
    found: dict[str, Any] = {"func": 1, "ct": kind, "channel": f"{flags:016b}", "channelCount": len(sent)}
    for bit, value in zip(sent, frame.unpack(f">{len(sent)}f", 4), strict=True):
        if isfinite(value):
            found[names[bit]] = value
    return found


def _device(frame: Frame) -> dict[str, Any]:
    frame.expect(20)
    device_class, group, year, week, serial, seconds, volts, percent, humidity = frame.unpack(">BBBBIIfBB", 2)
    found: dict[str, Any] = {
        "func": 12,
        "class_group_text": f"{device_class:02}.{group:02}",
        "sw_version_text": f"{year:02}.{week:02}",
        "serial_number": serial,
        "device_local_datetime": f"{_FROM + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}",
        "battery_capacity_percentage": percent,
        "humidity_percentage": humidity,
    }
    if isfinite(volts):
        found["battery_voltage"] = volts
    return found
