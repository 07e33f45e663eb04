"""Dragino LHT65N and its forerunner LHT65: air temperature and humidity, and what its socket carries. Big endian.

After the LHT65N user manual, 2.4 "Uplink Payload" and 2.6 "Datalog Feature". An LHT65 has f_port 2 only.

    f_port 2, 11 bytes
    SSBBBBBB BBBBBBBB  TTTT  HHHH  NPYUEEEE  XXXXXXXX
S battery status: 0 ultra low, 1 low, 2 OK, 3 good      B battery, 14 bits, mV
T air temperature, int16, 0.01 °C                       H relative humidity, 0.1 %
N, P what was measured earlier, see below               Y clock is set   U asks for the time
E what is plugged into the socket                       X its value, 4 bytes; 7FFF in front = no reading

E = 9 and 10 are probes with the time: the probe's temperature takes the battery's place, the battery status stands
in the upper two bits of the humidity, X is the Unix time. E = 15 tells the probe's 64-bit serial number in place of
T, H and X. E = 4, an interrupt, has 15 bytes since firmware 1.5: X goes on with how often and for how long.

    f_port 2 with N or P, any number of records of 11 bytes: measured earlier, and not acknowledged then (N) or
    asked for by a poll (P)
    XXXX  TTTT  HHHH  NPYUEEEE  SSSSSSSS
S Unix time of the measurement; a record of zeros says that there is none

    f_port 3: what the probe alone measured since the last frame, several values without their times
    __BBBBBB BBBBBBBB  KK  TTTT TTTT ...
K kind of probe

    f_port 5, 7 bytes: device status
    MM  FFFF  RR  UU  BBBB
M model, 0B here   F firmware, a digit each nibble   R frequency band   U sub band   B battery, mV
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

from .layouts import status

_EARLIER = 0xC0  # either of two bits
_RECORD = 11  # bytes
_LONG_INTERRUPT = 15

_DS18B20 = 1
_TMP117 = 2
_INTERRUPT = 4
_LIGHT = 5
_ADC = 6
_COUNT = 7
_COUNT_32 = 8
_DS18B20_TIME = 9
_TMP117_TIME = 10
_SHT31 = 11
_DS18B20_ID = 15

_PROBES = {
    _DS18B20: "TempC_DS",
    _DS18B20_TIME: "TempC_DS",
    _TMP117: "TempC_TMP117",
    _TMP117_TIME: "TempC_TMP117",
    _SHT31: "Ext_TempC_SHT",
}
_SERIES = {1: "ds18b20", 2: "tmp117", 3: "gxht30", 4: "sht31"}  # kinds of probe on f_port 3
_status = status(0x0B, "LHT65N")


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port == 2:
        frame.require(_RECORD)
        flags = frame.data[6]
        if flags & _EARLIER:
            return {"datalog": _datalog(frame)}
        kind = flags & 0x0F
        if kind == _INTERRUPT:
            frame.expect(_RECORD, _LONG_INTERRUPT)
        else:
            frame.expect(_RECORD)
        return _reading(frame, kind)
    if context.model == "dragino/lht65n":
        if frame.f_port == 3:
            return _series(frame)
        if frame.f_port == 5:
            return _status(frame)
    raise FrameError.unknown_f_port(frame)


def _reading(frame: Frame, kind: int) -> dict[str, Any]:
    if kind in (_DS18B20_TIME, _TMP117_TIME):
        return _reading_with_time(frame, kind)
    battery, temperature, humidity = frame.unpack(">HhH")
    found: dict[str, Any] = {"BatV": (battery & 0x3FFF) / 1000, "Bat_status": battery >> 14}
    if kind == _DS18B20_ID:
        found["ID"] = (frame.part(2, 4) + frame.part(7, 4)).hex()
        return found
    found["TempC_SHT"] = temperature / 100
    found["Hum_SHT"] = (humidity & 0xFFF) / 10
    if kind == _COUNT_32:
        found["Exit_count"] = frame.u32(7)
        return found
    _socket(frame, 7, kind, found)
    if kind == _SHT31:
        found["Ext_Hum_SHT"] = (frame.u16(9) & 0xFFF) / 10
    elif len(frame) == _LONG_INTERRUPT:
        found["Exit_count"] = frame.u24(9)
        found["Exit_duration"] = frame.u24(12)
    return found


def _reading_with_time(frame: Frame, kind: int) -> dict[str, Any]:
    probe, temperature, humidity = frame.unpack(">hhH")
    return {
        _PROBES[kind]: probe / 100,
        "Bat_status": humidity >> 14,
        "TempC_SHT": temperature / 100,
        "Hum_SHT": (humidity & 0xFFF) / 10,
        "Systimestamp": frame.u32(7),
    }


def _socket(frame: Frame, at: int, kind: int, found: dict[str, Any]) -> None:
    """What is plugged in: the two bytes at ``at`` mean what ``kind`` says."""
    if kind in _PROBES:
        found[_PROBES[kind]] = frame.i16(at) / 100
    elif kind == _INTERRUPT:
        found["Exti_pin_level"] = "High" if frame.u8(at) else "Low"
        found["Exti_status"] = "True" if frame.u8(at + 1) else "False"
    elif kind == _LIGHT:
        found["ILL_lx"] = frame.u16(at)
    elif kind == _ADC:
        found["ADC_V"] = frame.u16(at) / 1000
    elif kind in (_COUNT, _COUNT_32):
        found["Exit_count"] = frame.u16(at)
    elif kind != 0:
        found["Ext_sensor"] = kind


def _datalog(frame: Frame) -> list[dict[str, Any]]:
    if len(frame) % _RECORD:
        raise FrameError("length", f"a datalog has records of {_RECORD} bytes, got {len(frame)} bytes")
    records = []
    for at in range(0, len(frame), _RECORD):
        time = frame.u32(at + 7)
        if time == 0:
            continue
        record: dict[str, Any] = {
            "time": time,
            "TempC_SHT": frame.i16(at + 2) / 100,
            "Hum_SHT": (frame.u16(at + 4) & 0xFFF) / 10,
        }
        _socket(frame, at, frame.u8(at + 6) & 0x0F, record)
        records.append(record)
    return records


def _series(frame: Frame) -> dict[str, Any]:
    battery, kind = frame.unpack(">HB")
    if kind not in _SERIES:
        raise FrameError("implausible", f"unknown kind of probe {kind:02x}")
    if len(frame) % 2 == 0:
        raise FrameError("length", f"{len(frame) - 3} bytes of temperatures, expected two for each")
    temperatures = [frame.i16(at) / 100 for at in range(3, len(frame), 2)]
    return {"bat": battery & 0x3FFF, "sensor": _SERIES[kind], "Temp": temperatures}
