"""Arad Sonata, ultrasonic water meter. Big endian.

After the published codec and its frames. Nothing names the unit; hourly volumes of hundreds can only be litres:
VVVVVVVV has the exponent of ten in the lower four bits of E, where 7 stands for litres.

    f_port 1, 9D regular and 9B burst, 11 bytes
    KK  MM  AAAA  ____  VVVVVVVV  EE      (bytes 4 and 5: further alarms)
    f_port 1, 06 log, 18 bytes and 2 for each record
    06  ____  MM  VVVVVVVV  EE  LLLL  IIII  AAAA  BBBB  EE  DDDD ...
    f_port 1, 80 log of hours and weeks, 50 bytes
    80  MM  FFFF  RR  TTTTTTTT  VVVVVVVV  EE  AAAA  BBBB  HHHH (6)  WWWWWWWW (5)
M kind of meter      A alarms, a bit each: see _ALARMS      L minutes since the reading      I minutes between records
D what ran through, the latest record first; from 8000 on there is none      B battery, mV
F firmware      T Unix time
H the hours, the latest (begun) first      W the weeks; it is not described in which unit, they are kept as they are
"""

from datetime import datetime, timedelta
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_REGULAR, _BURST, _LOG, _WEEKS = 0x9D, 0x9B, 0x06, 0x80
_KINDS = {_REGULAR: "Standard", _BURST: "Alarm Burst", _LOG: "Data Log", _WEEKS: "WT Log Beacon"}
# the lowest bit first
_ALARMS = (
    "tamper", "commFailureCutWire", "backFlow", "leak", "poorRF", "lowBattery", "fieldProg", "system",
    "lowTemperature", "tilt", "qmax", "burstPipe", "emptyPipe", "slaveLowBattery", "slaveInvalidRead", "smart",
)  # fmt: skip
_NO_RECORD = 0x8000

Log = list[dict[str, Any]]


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port != 1:
        raise FrameError.unknown_f_port(frame)
    kind = frame.u8(0)
    if kind in (_REGULAR, _BURST):
        frame.expect(11)
        meter, alarms, more, volume, exponent = frame.unpack(">BHHIB", 1)
        found = {"readVolume": _litres(volume, exponent), "extendedAlarmBitmap": more}
    elif kind == _LOG:
        meter, alarms, found = _log(frame, context.received_at)
    elif kind == _WEEKS:
        meter, alarms, found = _weeks(frame)
    else:
        raise FrameError("implausible", f"there is no message of kind {kind:02x}")
    flags = {name: bool(alarms >> bit & 1) for bit, name in enumerate(_ALARMS)}
    return {"msgType": kind, "msgTypeText": _KINDS[kind], "deviceTypeID": meter, "alarm": flags, **found}


def _litres(value: int, exponent: int) -> float:
    power = (exponent & 0x0F) - 7
    return value * 10**power if power >= 0 else value / 10**-power


def _log(frame: Frame, received_at: datetime) -> tuple[int, int, dict[str, Any]]:
    frame.require(18)
    if len(frame) % 2:
        raise FrameError("length", f"a log has records of 2 bytes, got {len(frame)} bytes")
    meter, volume, exponent, since, between, alarms, battery, difference_exponent = frame.unpack(
        ">BIBHHHHB", 3
    )
    at = received_at - timedelta(minutes=since)
    read = _litres(volume, exponent)
    found = {"readTime": at.timestamp(), "readVolume": read, "batteryLevel": battery / 1000}
    log: Log = []
    for difference in frame.unpack(f">{(len(frame) - 18) // 2}H", 18):
        if difference >= _NO_RECORD:
            break
        read -= _litres(difference, difference_exponent)
        at -= timedelta(minutes=between)
        log.append({"time": at.timestamp(), "volume": round(read, 6), "error": ""})
    return meter, alarms, {**found, "archievedCumulatedVolumes": log}


def _weeks(frame: Frame) -> tuple[int, int, dict[str, Any]]:
    frame.expect(50)
    meter, major, minor, rssi, seconds, volume, exponent, alarms, battery = frame.unpack(">BBBbIIBHH", 1)
    read = _litres(volume, exponent)
    found = {
        "fwVersion": f"{major}.{minor}",
        "rssi": rssi,
        "readTime": seconds,
        "readVolume": read,
        "batteryLevel": battery / 1000,
        "weeks": list(frame.unpack(">5I", 30)),
    }
    hour = seconds - seconds % 3600
    log: Log = []
    for number, difference in enumerate(frame.unpack(">6H", 18)):
        if difference >= _NO_RECORD:
            break
        read -= _litres(difference, exponent)
        log.append({"time": hour - 3600 * number, "volume": round(read, 6), "error": ""})
    return meter, alarms, {**found, "hourlyArchivedCumulatedVolumes": log}
