"""STREGA Smart Valve, versions 3 and 4. Letters and digits with numbers between; big endian.

After the vendor's published codec and frame:

    VVVV S [# TTTT HHHH] [C NNNNNN] [V AAAA]
V battery in mV, four digits; bits 7 and 6 of the first say class C and external power (then it is no voltage)
S '0' and bits: 01 valve open, 02 tamper, 04 cable, 08 and 10 digital inputs, 20 leak, 40 fraud
T box temperature, H humidity in it, uint16: -40 °C + 165 °C / 65536, 100 % / 65536
N pulses of the counter, A analog input in mV: hexadecimal digits
Answers to settings have an @ in place of the #, or begin with it; they tell nothing else that is measured.
"""

from math import floor
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_FLAGS = ("Actuator", "Tamper", "Cable", "DI0", "DI1", "Leak", "Fraud")
_HASH, _AT, _COUNTER, _ANALOG = b"#"[0], b"@"[0], b"C"[0], b"V"[0]


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    frame.require(5)
    if frame.data[0] == _AT:
        return {"answer": frame.data.hex()}
    found = _head(frame)
    at = 5
    if len(frame) > at and frame.data[at] == _AT:
        return {**found, "answer": frame.data[at:].hex()}
    if len(frame) > at and frame.data[at] == _HASH:
        temperature, humidity = frame.unpack(">HH", at + 1)
        found["Temp"] = round(temperature * 165 / 65536 - 40, 2)
        found["Hygro"] = round(humidity * 100 / 65536, 2)
        at += 5
    if len(frame) > at and frame.data[at] == _COUNTER:
        found["counterValue"] = _hexadecimal(frame, at + 1, 6)
        at += 7
    if len(frame) > at and frame.data[at] == _ANALOG:
        found["Ana"] = _hexadecimal(frame, at + 1, 4) / 1000
        at += 5
    if len(frame) > at:
        raise FrameError("implausible", f"byte {at}: {frame.data[at]:02x} is no part of a valve's message")
    return found


def _head(frame: Frame) -> dict[str, Any]:
    first = frame.data[0]
    class_c, powered = first >> 7, first >> 6 & 1
    digits = bytes([first & 0x3F, *frame.data[1:4]])
    found: dict[str, Any] = {"Class": str(class_c), "Power": str(powered)}
    if not powered:
        if not digits.isdigit():
            raise FrameError("implausible", f"a battery voltage of {digits.hex()}, expected four digits")
        millivolts = int(digits)
        found["Bat"] = floor((millivolts - 2000) / 16 + 0.5)
        found["battery_mv"] = millivolts
    status = frame.data[4] - 0x30
    if not 0 <= status < 0x80:
        raise FrameError("implausible", f"byte 4: {frame.data[4]:02x} is no state of a valve")
    return found | {name: str(status >> bit & 1) for bit, name in enumerate(_FLAGS)}


def _hexadecimal(frame: Frame, at: int, length: int) -> int:
    digits = frame.part(at, length)
    try:
        return int(digits.decode("ascii"), 16)
    except ValueError:
        raise FrameError("implausible", f"byte {at}: {digits.hex()}, expected hexadecimal digits") from None
