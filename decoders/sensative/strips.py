"""Sensative Strips: flat sensors for doors, leaks, room climate and presence. Big endian.

After the published codecs and frames.

    f_port 1                          what is now
    QQQQ  TT V...  TT V...
    f_port 2                          what was kept
    QQQQ  AAAAAAAA TT V...  AAAAAAAA TT V...
Q number of the first report that is kept, ffff: none      A how many seconds ago
T type, without bit 7, which says that the report is kept too      V value: its length follows from T

Which reports come depends on the kind of Strips and on how it was set up. Of a door's two values published codecs do
not agree which is open, so that is no measurement.
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

_PLAIN: Mapping[bytes, parts.Reader] = {
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
    b"\x52": parts.in_order(_DOOR, _TEMPERATURE),
    b"\x6e": _check_in,
    b"\x70": _value("CapacitanceFloodReport", ">H"),
    b"\x71": _value("CapacitancePadReport", ">H"),
    b"\x72": _value("CapacitanceEndReport", ">H"),
}
REPORTS: parts.Table = {bytes((tag[0] | kept,)): read for tag, read in _PLAIN.items() for kept in (0, 0x80)}


def decode(frame: Frame, context: Context) -> dict:
    if frame.f_port not in (1, 2):
        raise FrameError.unknown_f_port(frame)
    frame.require(3)
    found = {"historyStart": frame.u16(0)}
    if frame.f_port == 2:
        return found | _history(frame, int(context.received_at.timestamp()))
    found.update(parts.tagged(Frame(frame.data[2:], frame.f_port), 1, REPORTS))
    return found


def _history(frame: Frame, received_at: int) -> dict:
    history: list[dict] = []
    at = 2
    while at < len(frame):
        ago, tag = frame.u32(at), frame.part(at + 4, 1)
        if tag not in REPORTS:  # its length is not known: what stands in front of it counts
            if history:
                return {"history": history, "unread": frame.data[at:].hex()}
            raise FrameError("implausible", f"byte {at + 4}: there is no report {tag.hex()}")
        report: dict = {"timestamp": received_at - ago}
        at = REPORTS[tag](frame, at + 5, report)
        history.append(report)
    return {"history": history}
