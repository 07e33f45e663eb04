"""dnt radiator drive LW-eTRV and room thermostat LW-WTH. f_port 10, big endian.

After the vendor's published codecs and their example frames. Answers and reports, one behind the other, each begins
with what it is about. Those that are about the settings have no place here; from the first of them on a frame stays
unread.

    04 NN ...  status, N tells which of these follow
               LW-eTRV from bit 7 down   BB RR SS VV PPPP II MMMhwc__
               LW-WTH  from bit 0 up     BB RRRR HH SS ___ttmhw
B battery, 10 mV above 1.5 V   R room, eTRV 0.2 °C, WTH int16, 0.1 °C   H humidity, %   S target, eTRV 0.2, WTH 0.5 °C
V valve, 0.5 %   P, I gains of the controller   M, m what steers it   h holiday pending   w window open
c battery cover locked   t the room does not get warmer

    05 BB  06 ..  07 EE error  18 VV  21 SS  26 R  27 SS  2E window  43 HH   06 eTRV: cover, WTH: mode
"""

from collections.abc import Callable, Mapping
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]
Reader = Callable[[Frame, int, Found], int]  # where it begins; returns where it ends

_MODES = ("Manu Temp", "Manu_Pos", "Auto", "Emergency", "Frost Protection", "Boost", "Window Open", "Holiday")
_ERRORS = (
    "VALVE_DRIVE_READY",
    "VALVE_DRIVE_UNINITIALIZED",
    "VALVE_TO_TIGHT",
    "ADJUST_RANGE_OVERSIZE",
    "ADJUST_RANGE_UNDERSIZE",
    "ADAPTION_RUN_CALC_ERROR",
)


def _put(found: Found, path: str, value: Any) -> None:
    """Into the object as the vendor nests it."""
    *way, name = path.split(".")
    for step in way:
        found = found.setdefault(step, {})
    found[name] = value


def _byte(path: str, divisor: float = 1, offset: float = 0) -> Reader:
    def read(frame: Frame, at: int, found: Found) -> int:
        byte = frame.u8(at)
        _put(found, path, byte if divisor == 1 and not offset else byte / divisor + offset)
        return at + 1

    return read


def _bit(path: str) -> Reader:
    def read(frame: Frame, at: int, found: Found) -> int:
        _put(found, path, bool(frame.u8(at) & 1))
        return at + 1

    return read


def _word(path: str, words: tuple[str, ...]) -> Reader:
    def read(frame: Frame, at: int, found: Found) -> int:
        code = frame.u8(at)
        _put(found, path, words[code] if code < len(words) else code)
        return at + 1

    return read


def _millivolts(path: str) -> Reader:
    def read(frame: Frame, at: int, found: Found) -> int:
        _put(found, path, frame.u8(at) * 10 + 1500)
        return at + 1

    return read


def _room(frame: Frame, at: int, found: Found) -> int:
    found["room_temperature"] = frame.i16(at)  # tenths, as the vendor gives it
    return at + 2


def _gains(frame: Frame, at: int, found: Found) -> int:
    proportional, integral = frame.unpack(">HB", at)
    found["gain"] = {"p": proportional, "i": integral / 1_000_000}
    return at + 3


def _drive_flags(frame: Frame, at: int, found: Found) -> int:
    flags = frame.u8(at)
    mode = "heating_control.mode"
    _put(found, f"{mode}.active_mode.value", _MODES[flags >> 5])
    _put(found, f"{mode}.holiday.is_pending.value", bool(flags & 0x10))
    _put(found, f"{mode}.window_open_detection.is_open.value", bool(flags & 0x08))
    _put(found, "battery_cover_locked.value", bool(flags & 0x04))
    return at + 1


def _thermostat_flags(frame: Frame, at: int, found: Found) -> int:
    flags = frame.u8(at)
    found["misc_flags"] = {
        "window_open": flags & 1,
        "holiday_mode_pending": flags >> 1 & 1,
        "active_mode_code": flags >> 2 & 3,
        "temperature_too_low": flags >> 4 & 1,
    }
    return at + 1


def _status(*readers: tuple[int, Reader]) -> Reader:
    """Each with the bit that says that it follows."""

    def read(frame: Frame, at: int, found: Found) -> int:
        follows = frame.u8(at)
        unknown = follows & ~sum(bit for bit, _reader in readers)
        if unknown:
            raise FrameError("implausible", f"a status with unknown parts {unknown:02x}")
        at += 1
        for bit, reader in readers:
            if follows & bit:
                at = reader(frame, at, found)
        return at

    return read


_ROOM, _TARGET = "heating_control.room_temperature.value", "heating_control.set_point_temperature.value"
_VALVE, _WINDOW = (
    "heating_control.valve_position.value",
    "heating_control.mode.window_open_detection.is_open.value",
)
_DRIVE: Mapping[int, Reader] = {
    0x04: _status(
        (0x80, _millivolts("battery_voltage.value")),
        (0x40, _byte(_ROOM, 5)),
        (0x20, _byte(_TARGET, 5)),
        (0x10, _byte(_VALVE, 2)),
        (0x08, _gains),
        (0x04, _drive_flags),
    ),
    0x05: _millivolts("battery_voltage.value"),
    0x06: _bit("battery_cover_locked.value"),
    0x07: _word("error_code.value", _ERRORS),
    0x18: _byte(_VALVE, 2),
    0x21: _byte("heating_control.mode.manu_temp.value", 5),
    0x26: _byte(_ROOM, 5),
    0x27: _byte(_TARGET, 5),
    0x2E: _bit(_WINDOW),
}
_THERMOSTAT: Mapping[int, Reader] = {
    0x04: _status(
        (0x01, _millivolts("voltage")),
        (0x02, _room),
        (0x04, _byte("room_humidity")),
        (0x08, _byte("set_point_temperature", 2)),
        (0x10, _thermostat_flags),
    ),
    0x05: _millivolts("voltage"),
    0x06: _byte("active_mode_code"),
    0x07: _byte("error_code"),
    0x21: _byte("set_point_temperature", 2),
    0x26: _room,
    0x2E: _byte("window_open_status"),
    0x43: _byte("room_humidity"),
}
MODELS: Mapping[str, Mapping[int, Reader]] = {"dnt/lw-etrv": _DRIVE, "dnt/lw-wth": _THERMOSTAT}


def decode(frame: Frame, context: Context) -> Found:
    if frame.f_port != 10:
        raise FrameError.unknown_f_port(frame)
    frame.require(2)
    readers = MODELS[context.model]
    found: Found = {}
    at = 0
    while at < len(frame):
        reader = readers.get(frame.u8(at))
        if reader is None:
            found["unread"] = frame.data[at:].hex()
            break
        at = reader(frame, at + 1, found)
    return found
