"""enginko level sensors EGK-LW20L and EGK-LW20W. Little endian; the first byte says which frame it is.

After "enginko data frame format", rev. 1.34, 1.1 (time sync), 1.5 (IO) and 1.14 (level measurement).

    14 KK TTTTTTTT AAAA HHHH DDDD [FF] [MMMM GGGG] [CCCC] [UU PPPPPP] BB
K kind of sensor: 00 none of the bracketed, 01 F C, 02 C U P, 03 F C U P, fe all of them, ff F M G
T time, see _time      A the probe's voltage, mV      H height of the content, mm      D distance to it, mm
F fill level, %        M amplitude, G gain: for the vendor      C int16, 0.01 °C      U humidity, 0.5 %
P air pressure, 0.01 hPa      B battery, %
D above 60000 is an error, H means nothing then; so is F above 100

    0A TTTTTTTT IIIIIIII OOOOOOOO EEEEEEEE        I inputs, O outputs, E inputs that triggered: a bit each
    01 SSSSSSSS VVVVVV AAAA ...                   asks for the time: S its number, V version, A kind of device

The vendor names no f_port.
"""

from datetime import UTC, datetime
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]

_FARTHEST = 60000  # mm
# kind of sensor → has fill level, amplitude and gain, temperature, humidity and pressure
_KINDS = {
    0x00: (False, False, False, False),
    0x01: (True, False, True, False),
    0x02: (False, False, True, True),
    0x03: (True, False, True, True),
    0xFE: (True, True, True, True),
    0xFF: (True, True, False, False),
}


def decode(frame: Frame, context: Context) -> Found:
    kind = frame.u8(0)
    if kind == 0x14:
        return _level(frame)
    if kind == 0x0A:
        return _io(frame)
    if kind == 0x01:
        return _time_sync(frame)
    raise FrameError("implausible", f"kind of frame {kind:02x} is none of a level sensor")


def _time(frame: Frame, at: int) -> Found:
    """Years since 2000 in 7 bits, month 4, day 5, hour 5, minute 6, pairs of seconds 5: the highest bits first."""
    packed = frame.u32le(at)
    try:
        time = datetime(
            2000 + (packed >> 25),
            packed >> 21 & 0xF,
            packed >> 16 & 0x1F,
            packed >> 11 & 0x1F,
            packed >> 5 & 0x3F,
            2 * (packed & 0x1F),
            tzinfo=UTC,
        )
    except ValueError:
        return {}  # its clock was never set
    return {"time": time.isoformat()}


def _level(frame: Frame) -> Found:
    kind = frame.u8(1)
    if kind not in _KINDS:
        raise FrameError("implausible", f"kind of sensor {kind:02x} is not known")
    has_fill, has_debugging, has_temperature, has_air = _KINDS[kind]
    frame.expect(13 + has_fill + 4 * has_debugging + 2 * has_temperature + 4 * has_air)
    voltage, height, distance = frame.unpack("<HHH", 6)
    found: Found = {"type": kind, **_time(frame, 2), "ADC": {"value": voltage}}
    if distance <= _FARTHEST:
        found |= {"height": {"value": height}, "distance1": {"value": distance}}
    at = 12
    if has_fill:
        if (fill := frame.u8(at)) <= 100:
            found["fillLevel"] = {"value": fill}
        at += 1
    if has_debugging:
        found["amplitude"], found["gain"] = frame.unpack("<HH", at)
        at += 4
    if has_temperature:
        found["temperature"] = {"value": frame.i16le(at) / 100}
        at += 2
    if has_air:
        found["humidity"] = {"value": frame.u8(at) / 2}
        found["pressure"] = {"value": frame.u24le(at + 1) / 100}
        at += 4
    found["battery"] = {"value": frame.u8(at)}
    return found


def _io(frame: Frame) -> Found:
    frame.expect(17)
    inputs, outputs, triggered = frame.unpack("<III", 5)
    return {**_time(frame, 1), "inputStatus": inputs, "outputStatus": outputs, "inputTrigger": triggered}


def _time_sync(frame: Frame) -> Found:
    frame.require(10)
    major, minor, build = frame.unpack(">BBB", 5)
    return {
        "syncID": frame.part(1, 4).hex().upper(),
        "syncVersion": f"{major:02X}.{minor:02X}.{build:02X}",
        "applicationType": frame.part(8, 2).hex().upper(),
        "rfu": frame.data[10:].hex().upper(),
    }
