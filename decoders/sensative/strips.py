"""Sensative Strips: flat sensors for doors, leaks, room climate and presence. Big endian.

After "LoRa Strips Payload Formats" and the user guide.

    f_port 1
    QQQQ  TT V...  TT V...
Q number of the first report that is stored in the device, ffff: none      T type, V value: its length follows from T

Which reports come depends on the kind of Strips and on how it was set up. Stored reports, which it sends on another
f_port when asked, are not read here.
"""

from collections.abc import Mapping

from smartdorf.decoding import Context, Frame, FrameError, parts


def _value(name: str, layout: str, divisor: float = 1) -> parts.Reader:
    """``{"value": …}``: the vendor's objects carry a unit beside it."""
    inner = parts.number("value", layout, divisor)

    def read(frame: Frame, at: int, found: dict) -> int:
        found[name] = {}
        return inner(frame, at, found[name])

    return read


def _yes(name: str) -> parts.Reader:
    def read(frame: Frame, at: int, found: dict) -> int:
        found[name] = {"value": bool(frame.u8(at))}
        return at + 1

    return read


def _temperature_alarm(name: str) -> parts.Reader:
    def read(frame: Frame, at: int, found: dict) -> int:
        bits = frame.u8(at)
        found[name] = {"high": bool(bits & 1), "low": bool(bits & 2)}
        return at + 1

    return read


def _nothing(name: str) -> parts.Reader:
    def read(frame: Frame, at: int, found: dict) -> int:
        found[name] = {"value": 0}
        return at

    return read


def _check_in(frame: Frame, at: int, found: dict) -> int:
    found["CheckInConfirmed"] = {"version": frame.part(at, 4).hex(), "idddata": frame.part(at + 4, 4).hex()}
    return at + 8


_TEMPERATURE = _value("TempReport", ">h", 10)
_HUMIDITY = _value("HumidityReport", "B", 2)
_AVERAGE = _value("AverageTempReport", ">h", 10)
_DOOR = _yes("DoorReport")

REPORTS: Mapping[bytes, parts.Reader] = {
    b"\x00": _nothing("EmptyReport"),
    b"\x01": _value("BatteryReport", "B"),
    b"\x02": _TEMPERATURE,
    b"\x03": _temperature_alarm("TempAlarm"),
    b"\x04": _AVERAGE,
    b"\x05": _temperature_alarm("AverageTempAlarm"),
    b"\x06": _HUMIDITY,
    b"\x07": _value("LuxReport", ">H"),
    b"\x08": _value("LuxReport2", ">H"),
    b"\x09": _DOOR,
    b"\x0a": _yes("DoorAlarm"),
    b"\x0b": _yes("TamperReport"),
    b"\x0c": _yes("TamperAlarm"),
    b"\x0d": _value("FloodReport", "B"),
    b"\x0e": _yes("FloodAlarm"),
    b"\x0f": _yes("FoilAlarm"),
    b"\x10": _yes("UserSwitch1Alarm"),
    b"\x11": _value("DoorCountReport", ">H"),
    b"\x12": _yes("PresenceReport"),
    b"\x13": _value("IRProximityReport", ">H"),
    b"\x14": _value("IRCloseProximityReport", ">H"),
    b"\x15": _yes("CloseProximityAlarm"),
    b"\x16": _value("DisinfectAlarm", "B"),
    b"\x50": parts.in_order(_HUMIDITY, _TEMPERATURE),
    b"\x51": parts.in_order(_HUMIDITY, _AVERAGE),
    b"\x52": parts.in_order(_TEMPERATURE, _DOOR),
    b"\x6e": _check_in,
}


def decode(frame: Frame, context: Context) -> dict:
    if frame.f_port != 1:
        raise FrameError.unknown_f_port(frame)
    frame.require(3)
    found = {"historyStart": frame.u16(0)}
    found.update(parts.tagged(Frame(frame.data[2:], frame.f_port), 1, REPORTS))
    return found
