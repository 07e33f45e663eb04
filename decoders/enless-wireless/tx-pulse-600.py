"""Enless Wireless TX PULSE 600-036, pulse counter. Any f_port, 22 bytes, big endian.

After the vendor's published codec and its example frames.

    IIIIII TT NN FF AAAAAAAA BBBBBBBB OOOOOOOO _____ccc_lll_hhh _____ddd_sssbb_m
I id   T type, 08   N counts the messages   F firmware, 6 bits   A, B, O pulses of channels 1 and 2 and open collector
c leak, l low flow, h high flow: a bit for each of open collector, channel 2, channel 1
d debounced   s contact closed: a bit for each in the same order   b battery, 0 full to 3 a quarter   m alarm
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_TX_PULSE = 0x08
_CHANNELS = ("pulse_ch1", "pulse_ch2", "pulse_oc")


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    frame.expect(22)
    kind, number, firmware, *counts, alarms, state = frame.unpack(">3B3IHH", 3)
    if kind != _TX_PULSE:
        raise FrameError("implausible", f"a device of type {kind:02x}, expected {_TX_PULSE:02x}")
    status: dict[str, Any] = {"msg_type": "alarm" if state & 1 else "normal"}
    alarm: dict[str, Any] = {}
    for bit, channel in enumerate(_CHANNELS):
        alarm[f"{channel}_flow"] = {"high": bool(alarms >> bit & 1), "low": bool(alarms >> (bit + 4) & 1)}
        alarm[f"{channel}_leak"] = bool(alarms >> (bit + 8) & 1)
        status[channel] = "closed" if state >> (bit + 4) & 1 else "open"
        status[f"debounce_ch{bit + 1}"] = "enabled" if state >> (bit + 8) & 1 else "disabled"
    return {
        "id": frame.u24(0),
        "type": kind,
        "seq_counter": number,
        "fw_version": firmware & 0x3F,
        "values": {channel: {"value": count} for channel, count in zip(_CHANNELS, counts, strict=True)},
        "alarm_status": alarm,
        "states": {"battery": 100 - 25 * (state >> 2 & 3), "status": status},
    }
