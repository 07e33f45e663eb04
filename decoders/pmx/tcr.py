"""PMX TCR, a radar that counts who passes a road, by direction. Big endian.

After the codec that the vendor published for its own firmware (the older one of Parametric names itself otherwise).

    f_port 13 to 17, an interval    A2 hh mm CCCC SS cccc ss VV
    f_port 190, after joining       D2 TT LL KK FFFF XXXX
    f_port 1, an answer             C2 PP WW [WW]
h m when the interval ended, by the device's clock      V supply voltage, 0.1 V
C S how many passed from left to right, and their average speed, km/h      c s from right to left
13 everything; 14 to 17 the categories 1 to 4, which the device's settings make of size and speed
T type      L level of functions      K class of speeds      F, X firmware of device and solar charger, 4+4+8 bits
P which setting      W its value

How fast nobody was says nothing: without a count the speed is left out.
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_COUNTS, _IDENTITY, _ANSWER = 0xA2, 0xD2, 0xC2
_IDENTITY_PORT, _ANSWER_PORT = 190, 1
_CLASSES = {13: "ud", 14: "cat1", 15: "cat2", 16: "cat3", 17: "cat4"}
_TYPES = (
    "TCR-LS", "TCR-LSS", "TCR-HS", "TCR-HSS", "TCR-LSA", "TCR-LSB", "TCR-HSA", "TCR-HSB", "TCR-LSBS", "TCR-HSBS",
    "TCR-DLI", "TCR-DLE", "TCR-SLI", "TCR-SLE",
)  # fmt: skip
_LEVELS = ("BASIC", "ADVANCED", "PRO")
_SPEEDS = ("P", "LS", "HS")


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port in _CLASSES:
        return _counts(frame, _CLASSES[frame.f_port])
    if frame.f_port == _IDENTITY_PORT:
        return _identity(frame)
    if frame.f_port == _ANSWER_PORT:
        return _answer(frame)
    raise FrameError.unknown_f_port(frame)


def _begins(frame: Frame, mark: int) -> None:
    if frame.u8(0) != mark:
        raise FrameError("implausible", f"begins with {frame.u8(0):02x}, expected {mark:02x}")


def _counts(frame: Frame, which: str) -> dict[str, Any]:
    _begins(frame, _COUNTS)
    frame.expect(10)
    hour, minute, to_right, right_speed, to_left, left_speed, voltage = frame.unpack(">BBHBHBB", 1)
    if hour > 23 or minute > 59:
        raise FrameError("implausible", f"an interval that ended at {hour:02}:{minute:02}")
    found: dict[str, Any] = {
        f"{which}_time": 100 * hour + minute,
        f"{which}_ltr_cnt": to_right,
        f"{which}_rtl_cnt": to_left,
        "volts": voltage / 10,
    }
    if to_right:
        found[f"{which}_ltr_spd"] = right_speed
    if to_left:
        found[f"{which}_rtl_spd"] = left_speed
    return found


def _identity(frame: Frame) -> dict[str, Any]:
    _begins(frame, _IDENTITY)
    frame.expect(8)
    kind, level, speeds, *versions = frame.unpack("7B", 1)
    return {
        "typestr": _named(_TYPES, kind),
        "fu_level": _named(_LEVELS, level),
        "speedclass": _named(_SPEEDS, speeds),
        "fw_version": _version(*versions[:2]),
        "sbx_version": _version(*versions[2:]),
    }


def _named(names: tuple[str, ...], code: int) -> str | int:
    return names[code] if code < len(names) else code


def _version(first: int, last: int) -> str:
    return f"{first >> 4}.{first & 0x0F}.{last}"


def _answer(frame: Frame) -> dict[str, Any]:
    _begins(frame, _ANSWER)
    frame.expect(3, 4)
    return {"setting": frame.u8(1), "value": frame.u8(2) if len(frame) == 3 else frame.u16(2)}
