"""Dragino LHT65N: air temperature and humidity, and what its socket carries. Big endian.

After the LHT65N user manual, 2.4 "Uplink Payload" and 2.6 "Datalog Feature".

    f_port 2, 11 bytes
    SSBBBBBB BBBBBBBB  TTTT  HHHH  NPYUEEEE  XXXXXXXX
S battery status: 0 ultra low, 1 low, 2 OK, 3 good      B battery, 14 bits, mV
T air temperature, int16, 0.01 °C                       H relative humidity, 0.1 %
N not acknowledged earlier   P reply to a poll, see below   Y clock is set   U asks for the time
E what is plugged into the socket                       X its value, 4 bytes; 7FFF in front = no reading

E = 9 is a probe with the time: its temperature takes the battery's place, the battery status stands in the upper
two bits of the humidity, X is the Unix time. E = 15 tells the probe's 64-bit serial number in place of T, H and X.

    f_port 2 with P, any number of records of 11 bytes: what was measured earlier
    XXXX  TTTT  HHHH  NPYUEEEE  SSSSSSSS
S Unix time of the measurement; a record of zeros says that there is none

    f_port 5, 7 bytes: device status
    MM  FFFF  RR  UU  BBBB
M model, 0B here   F firmware, a digit each nibble   R frequency band   U sub band   B battery, mV
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_POLL_REPLY = 0x40
_DS18B20, _TMP117, _INTERRUPT, _LIGHT, _ADC, _COUNT, _COUNT_32, _DS18B20_TIME, _DS18B20_ID = (
    1,
    2,
    4,
    5,
    6,
    7,
    8,
    9,
    15,
)
_RECORD = 11  # bytes
_BANDS = {1: "EU868", 2: "US915", 3: "IN865", 4: "AU915", 5: "KZ865", 6: "RU864", 7: "AS923"}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port == 2:
        frame.require(_RECORD)
        flags = frame.data[6]
        if flags & _POLL_REPLY:
            return {"datalog": _datalog(frame)}
        frame.expect(_RECORD)
        return _reading(frame, flags & 0x0F)
    if frame.f_port == 5:
        return _status(frame)
    raise FrameError.unknown_f_port(frame)


def _reading(frame: Frame, kind: int) -> dict[str, Any]:
    if kind == _DS18B20_TIME:
        return _reading_with_time(frame)
    battery, temperature, humidity = frame.unpack(">HhH")
    found: dict[str, Any] = {"BatV": (battery & 0x3FFF) / 1000, "Bat_status": battery >> 14}
    if kind == _DS18B20_ID:
        found["ID"] = (frame.part(2, 4) + frame.part(7, 4)).hex()
        return found
    found["TempC_SHT"] = temperature / 100
    found["Hum_SHT"] = humidity / 10
    if kind == _COUNT_32:
        found["Exit_count"] = frame.u32(7)
    else:
        _socket(frame, 7, kind, found)
    return found


def _reading_with_time(frame: Frame) -> dict[str, Any]:
    probe, temperature, humidity = frame.unpack(">hhH")
    return {
        "TempC_DS": probe / 100,
        "Bat_status": humidity >> 14,
        "TempC_SHT": temperature / 100,
        "Hum_SHT": (humidity & 0xFFF) / 10,
        "Systimestamp": frame.u32(7),
    }


def _socket(frame: Frame, at: int, kind: int, found: dict[str, Any]) -> None:
    """What is plugged in: the two bytes at ``at`` mean what ``kind`` says."""
    if kind == _DS18B20:
        found["TempC_DS"] = frame.i16(at) / 100
    elif kind == _TMP117:
        found["TempC_TMP117"] = frame.i16(at) / 100
    elif kind == _INTERRUPT:
        found["Exti_pin_level"] = "High" if frame.u8(at) else "Low"
        found["Exti_status"] = "True" if frame.u8(at + 1) else "False"
    elif kind == _LIGHT:
        found["ILL_lx"] = frame.u16(at)
    elif kind == _ADC:
        found["ADC_V"] = frame.u16(at) / 1000
    elif kind in (_COUNT, _COUNT_32):
        found["Exit_count"] = frame.u16(at)
    elif kind == _DS18B20_TIME:
        found["TempC_DS"] = frame.i16(at) / 100
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


def _status(frame: Frame) -> dict[str, Any]:
    frame.expect(7)
    model, firmware, band, sub_band, battery = frame.unpack(">BHBBH")
    if model != 0x0B:
        raise FrameError("implausible", f"the frame says that it is model {model:02x}, an LHT65N is 0b")
    return {
        "Sensor_Model": "LHT65N",
        "Firmware_Version": f"{firmware >> 8 & 0xF}.{firmware >> 4 & 0xF}.{firmware & 0xF}",
        "Freq_Band": _BANDS.get(band, band),
        "Sub_Band": sub_band,
        "BAT": battery / 1000,
    }
