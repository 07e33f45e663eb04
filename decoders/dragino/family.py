"""Dragino sensors with a fixed layout for each f_port: one codec, one row of ``MODELS`` for each model. Big endian.

After "Uplink Payload" in the user manual of each model. Where a battery has 14 bits, the two above are flags.

    LDDS20, LDDS45, LDDS75, f_port 2: 8 bytes; 5 before firmware 1.1.4; fewer there when no sensor was found
    __BBBBBB BBBBBBBB  DDDD  II  TTTT  SS
    LDDS04, f_port 2, 11 bytes
    I_BBBBBB BBBBBBBB  DDDD DDDD DDDD DDDD  MM
    LLDS12, f_port 2, 11 bytes
    __BBBBBB BBBBBBBB  TTTT  DDDD  GGGG  II  LL  MM
    LMDS200, f_port 2, 7 bytes
    BBBB  DDDD DDDD  CCCCCCAI
    DDS20-LB, DDS45-LB, DDS75-LB, LDS12-LB, MDS200-LB: the same, and on f_port 3 records of 11 bytes
    DDSxx ____ DDDD ____ __ SSSSSSSS      LDS12 ____ DDDD GGGG LL SSSSSSSS      MDS200 ____ DDDD DDDD __ SSSSSSSS
B battery, mV   D distance, mm; in the LMDS200 cm, of the nearest thing and of the one behind it   I interrupt
T temperature of a probe, int16, 0.1 °C   S there is a sensor   G strength of the signal   L the lidar's temperature, °C
C alarms so far   A distance out of its limits   M kind of message   S in records Unix time

    LDS02, LWL01, LWL02, f_port 10, 10 bytes                LDS02, f_port 7, 5 bytes: what it counted alone
    DLBBBBBB BBBBBBBB  MM  NNNNNN  UUUUUU  _______A         D_BBBBBB BBBBBBBB  NNNNNN
    LWL03A, WL03A-LB, LDS03A, DS03A-LB, f_port 2, 11 bytes; f_port 3: records of the same
    ____PIAO  NNNNNN  UUUUUU  SSSSSSSS
    LDS03A, DS03A-LB with two contacts, f_port 2, 18 bytes
    ____PIAO  NNNNNN  UUUUUU  SSSSSSSS  ______AO  NNNNNN  UUUUUU
D door open   L leak   M 1 door, 2 leak, 3 both   N how often   U how long the last time, minutes
O open, or a leak   A it lasts too long   I sent because it was time   P N starts again with each message
S Unix time

    SW3L, SW3L-LB, f_port 2, 11 bytes                       f_port 3: records of 11 bytes
    __KKKKA_  PPPPPPPP  __MMMMMM  __  SSSSSSSS              __KKKKA_  __MMMMMM  __  PPPPPPPP  SSSSSSSS
K which flow sensor   A water flows for too long   P pulses   M 0 all of them, 1 those since the last message

    LHT52, f_port 2, 11 bytes; f_port 3: records of the same
    TTTT  HHHH  RRRR  EE  SSSSSSSS
T, R temperature inside and of a probe, int16, 0.01 °C, 7fff without one   H humidity, 0.1 %   E kind of probe
    LHT52, f_port 4: the probe's number, 8 bytes

    f_port 4: settings            f_port 5, 7 bytes: device status
                                  MM  FFFF  RR  UU  BBBB
M model   F firmware, a digit each nibble   R frequency band   U sub band
"""

from collections.abc import Callable, Mapping
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]
Reader = Callable[[Frame], Found]
RecordReader = Callable[[Frame, int], Found]
Layouts = Mapping[int, Reader]  # by f_port

_BATTERY = 0x3FFF
_BANDS = (
    "EU868", "US915", "IN865", "AU915", "KZ865", "RU864", "AS923", "AS923_1", "AS923_2", "AS923_3", "CN470", "EU433",
    "KR920", "MA869",
)  # fmt: skip


# -- distances ---------------------------------------------------------------------------------


def _ultrasonic(nearest: int) -> Reader:
    """What is nearer than ``nearest`` mm cannot be measured."""

    def read(frame: Frame) -> Found:
        if len(frame) < 5:
            frame.require(3)
            return {"Bat": (frame.u16(0) & _BATTERY) / 1000, "distance": "No Sensor"}
        frame.expect(5, 8)
        battery, distance, interrupt = frame.unpack(">HHB")
        found: Found = {"Bat": (battery & _BATTERY) / 1000, "Interrupt_flag": interrupt}
        found["Distance"] = distance if distance >= nearest else "Invalid Reading"
        if len(frame) == 8:
            found["TempC_DS18B20"] = frame.i16(5) / 10
            found["Sensor_flag"] = frame.u8(7)
        return found

    return read


def _ultrasonic_lb(nearest: int) -> Reader:
    """The newer devices: always eight bytes. They can be set to send many distances, which is not described."""
    read_now = _ultrasonic(nearest)

    def read(frame: Frame) -> Found:
        frame.expect(8)
        return read_now(frame)

    return read


def _ultrasonic_at(nearest: int) -> RecordReader:
    def read(frame: Frame, at: int) -> Found:
        distance = frame.u16(at + 2)
        return {"Distance": distance if distance >= nearest else "Invalid Reading", "TIME": frame.u32(at + 7)}

    return read


def _is_settings(frame: Frame) -> bool:
    """The reply to a question about the settings, instead of a measurement."""
    return frame.data[0] == 0x03 and frame.data[-1] == 0x02


def _four_distances(frame: Frame) -> Found:
    frame.expect(11)
    if _is_settings(frame):
        return {"mes_type": 2, "settings": frame.part(1, 9).hex()}
    battery, one, two, three, four, kind = frame.unpack(">5HB")
    return {
        "BatV": (battery & _BATTERY) / 1000,
        "EXTI_Trigger": "TRUE" if battery & 0x8000 else "FALSE",
        "distance1_cm": one / 10,
        "distance2_cm": two / 10,
        "distance3_cm": three / 10,
        "distance4_cm": four / 10,
        "mes_type": kind,
    }


def _lidar(frame: Frame) -> Found:
    frame.expect(11)
    if _is_settings(frame):
        return {"Message_type": 2, "settings": frame.part(1, 9).hex()}
    battery, probe, distance, strength, interrupt, temperature, kind = frame.unpack(">HhHHBbB")
    found: Found = {
        "Bat": (battery & _BATTERY) / 1000,
        "TempC_DS18B20": probe / 10,
        "Lidar_signal": strength,
        "Interrupt_flag": interrupt,
        "Lidar_temp": temperature,
        "Message_type": kind,
    }
    if strength in _TRUSTED:
        found["Lidar_distance"] = distance / 10
    return found


# otherwise the manual does not trust the distance
_TRUSTED = range(100, 0xFFFF)


def _lidar_at(frame: Frame, at: int) -> Found:
    distance, strength, temperature, time = frame.unpack(">HHbI", at + 2)
    found: Found = {"Lidar_signal": strength, "Lidar_temp": temperature, "TIME": time}
    if strength in _TRUSTED:
        found["Lidar_distance"] = distance / 10
    return found


def _radar(frame: Frame) -> Found:
    frame.expect(7)
    battery, nearest, behind, alarm = frame.unpack(">HHHB")
    return {
        "Bat": battery / 1000,
        "dis1": nearest,
        "dis2": behind,
        "DALARM_count": alarm >> 2,
        "Distance_alarm": alarm >> 1 & 1,
        "Interrupt_alarm": alarm & 1,
    }


def _radar_at(frame: Frame, at: int) -> Found:
    nearest, behind = frame.unpack(">HH", at + 2)
    return {"dis1": nearest, "dis2": behind, "TIME": frame.u32(at + 7)}


def _radar_settings(frame: Frame) -> Found:
    frame.expect(9)
    shorter, low, high, interrupt = frame.unpack(">BHHB", 3)
    return {"TDC": frame.u24(0), "ATDC": shorter, "Alarm_min": low, "Alarm_max": high, "Interrupt": interrupt}


# -- doors, leaks, flows ----------------------------------------------------------------------------------


def _contact(frame: Frame) -> Found:
    frame.expect(10)
    battery, kind = frame.unpack(">HB")
    found: Found = {"BAT_V": (battery & _BATTERY) / 1000, "MOD": kind}
    if kind in (1, 3):
        found["DOOR_OPEN_STATUS"] = battery >> 15
    if kind in (2, 3):
        found["WATER_LEAK_STATUS"] = battery >> 14 & 1
    if kind in (1, 2):
        what = "DOOR_OPEN" if kind == 1 else "WATER_LEAK"
        found[f"{what}_TIMES"] = frame.u24(3)
        found[f"LAST_{what}_DURATION"] = frame.u24(6)
    found["ALARM"] = frame.u8(9) & 1
    return found


def _contact_counts(frame: Frame) -> Found:
    frame.expect(5)
    battery = frame.u16(0)
    return {
        "BAT_V": (battery & _BATTERY) / 1000,
        "EDC_MOD": "OPEN" if battery >> 15 else "CLOSE",
        "EDC_TIMES": frame.u24(2),
    }


_DOOR = ("CLOSE", "OPEN")
_LEAK = ("NO LEAK", "LEAK")


def _event(frame: Frame, at: int, what: str, words: tuple[str, str], number: str = "") -> Found:
    """What a door or a leak sensor says; ``number`` where one of two speaks."""
    flags = frame.u8(at)
    return {
        f"ALARM{number}": "TRUE" if flags & 2 else "FALSE",
        f"{what}_STATUS": words[flags & 1],
        f"{what}_TIMES": frame.u24(at + 1),
        f"LAST_{what}_DURATION": frame.u24(at + 4),
    }


def _leak_at(frame: Frame, at: int) -> Found:
    return {**_event(frame, at, "WATER_LEAK", _LEAK), "TIME": frame.u32(at + 7)}


def _door_at(frame: Frame, at: int) -> Found:
    return {**_event(frame, at, "DOOR_OPEN", _DOOR), "TIME": frame.u32(at + 7)}


def _why(frame: Frame) -> Found:
    """Whether it was time to send, and whether the count starts again with each message."""
    flags = frame.u8(0)
    return {"TDC": "YES" if flags & 4 else "NO", "CMOD": "PART" if flags & 8 else "SUM"}


def _leak(frame: Frame) -> Found:
    frame.expect(11)
    return _without_parts({**_why(frame), **_leak_at(frame, 0)})


def _doors(frame: Frame) -> Found:
    frame.expect(11, 18)
    if len(frame) == 11:
        return _without_parts({**_why(frame), **_door_at(frame, 0)})
    return _without_parts(
        {
            **_why(frame),
            **_event(frame, 0, "DOOR1_OPEN", _DOOR, "1"),
            **_event(frame, 11, "DOOR2_OPEN", _DOOR, "2"),
            "TIME": frame.u32(7),
        }
    )


def _without_parts(found: Found) -> Found:
    """A count since the last message is no counter: it gets a name of its own."""
    if found["CMOD"] == "SUM":
        return found
    return {f"PART_{name}" if name.endswith("_TIMES") else name: value for name, value in found.items()}


def _leak_settings(frame: Frame) -> Found:
    frame.expect(8)
    no_alarm, keep, minutes, alarm = frame.unpack(">BBHB", 3)
    return {
        "TDC": frame.u24(0),
        "DISALARM": no_alarm & 1,
        "KEEP_STATUS": keep & 1,
        "KEEP_TIME": minutes,
        "LEAK_ALARM_TIME": alarm,
    }


def _door_settings(frame: Frame) -> Found:
    frame.expect(11)
    no_alarm, keep, minutes, keep_2, minutes_2, alarm = frame.unpack(">BBHBHB", 3)
    return {
        "TDC": frame.u24(0),
        "DISALARM": no_alarm & 1,
        "KEEP_STATUS1": keep & 1,
        "KEEP_TIME1": minutes,
        "KEEP_STATUS2": keep_2 & 1,
        "KEEP_TIME2": minutes_2,
        "ALARM_TDC": alarm,
    }


def _flow_of(flags: int, mode: int, pulses: int, time: int) -> Found:
    sensor = flags >> 2 & 0x0F
    found: Found = {
        "Calculate_flag": sensor,
        "Alarm": "TRUE" if flags & 2 else "FALSE",
        "MOD": mode & 0x3F,
        "Data_time": time,
    }
    if mode & 0x3F == 1:
        found["Last_pulse"] = pulses
    else:
        found["Total_pulse"] = pulses
        if sensor in _PULSES_PER_LITRE:
            found["Water_flow_value"] = pulses / _PULSES_PER_LITRE[sensor]
    return found


# DN15, DN20, DN25, DN50
_PULSES_PER_LITRE = {0: 450, 1: 390, 2: 64, 3: 12}


def _flow(frame: Frame) -> Found:
    frame.expect(11)
    flags, pulses, mode, _reserved, time = frame.unpack(">BIBBI")
    return _flow_of(flags, mode, pulses, time)


def _flow_at(frame: Frame, at: int) -> Found:
    flags, mode, _reserved, pulses, time = frame.unpack(">BBBII", at)
    return _flow_of(flags, mode, pulses, time)


def _flow_settings(frame: Frame) -> Found:
    frame.expect(7)
    stop, alarm = frame.unpack(">BH", 4)
    return {"TDC": frame.u24(0), "Stop_Timer": stop, "Alarm_Timer": alarm}


def _datalog(read_at: RecordReader, time: str) -> Reader:
    """Records of eleven bytes, kept by the device; one without a time is none."""

    def read(frame: Frame) -> Found:
        frame.require(11)
        if len(frame) % 11:
            raise FrameError("length", f"a datalog has records of 11 bytes, got {len(frame)} bytes")
        records = [read_at(frame, at) for at in range(0, len(frame), 11)]
        return {"DATALOG": [record for record in records if record[time]]}

    return read


# -- room climate -----------------------------------------------------------------------------------------


def _climate_at(frame: Frame, at: int) -> Found:
    temperature, humidity, probe, kind, time = frame.unpack(">hHhBI", at)
    return {
        "TempC_SHT": temperature / 100,
        "Hum_SHT": humidity / 10,
        "TempC_DS": probe / 100,
        "Ext": kind,
        "Systimestamp": time,
    }


def _climate(frame: Frame) -> Found:
    frame.expect(11)
    return _climate_at(frame, 0)


def _probe_number(frame: Frame) -> Found:
    frame.expect(8)
    return {"DS18B20_ID": frame.data.hex()}


# -- device status, and the models ------------------------------------------------------------------------


def _status(model: int, name: str) -> Reader:
    def read(frame: Frame) -> Found:
        frame.expect(7)
        said, firmware, band, sub_band, battery = frame.unpack(">BHBBH")
        if said != model:
            raise FrameError(
                "implausible", f"the frame says that it is model {said:02x}, this is {model:02x}"
            )
        return {
            "SENSOR_MODEL": name,
            "FIRMWARE_VERSION": f"{firmware >> 8 & 0xF}.{firmware >> 4 & 0xF}.{firmware & 0xF}",
            "FREQUENCY_BAND": _BANDS[band - 1] if 0 < band <= len(_BANDS) else band,
            "SUB_BAND": "NULL" if sub_band == 0xFF else sub_band,
            "BAT": battery / 1000,
        }

    return read


def _recorder(now: Reader, record: RecordReader, time: str, rare: Reader, status: Reader) -> Layouts:
    """A device that keeps what it measured; ``rare`` is f_port 4."""
    return {2: now, 3: _datalog(record, time), 4: rare, 5: status}


def _logger(now: Reader, record: RecordReader, status: Reader) -> Layouts:
    return {2: now, 3: _datalog(record, "TIME"), 5: status}


MODELS: Mapping[str, Layouts] = {
    "dragino/ldds04": {2: _four_distances},
    "dragino/ldds20": {2: _ultrasonic(20)},
    "dragino/ldds45": {2: _ultrasonic(30)},
    "dragino/ldds75": {2: _ultrasonic(280)},
    "dragino/ldds75-v1.1.4": {2: _ultrasonic(280)},
    "dragino/llds12": {2: _lidar},
    "dragino/lmds200": {2: _radar, 4: _radar_settings, 5: _status(0x0C, "LMDS200")},
    "dragino/dds20-lb": _logger(_ultrasonic_lb(20), _ultrasonic_at(20), _status(0x29, "DDS20-LB")),
    "dragino/dds45-lb": _logger(_ultrasonic_lb(30), _ultrasonic_at(30), _status(0x28, "DDS45-LB")),
    "dragino/dds75-lb": _logger(_ultrasonic_lb(280), _ultrasonic_at(280), _status(0x27, "DDS75-LB")),
    "dragino/lds12-lb": _logger(_lidar, _lidar_at, _status(0x24, "LDS12-LB")),
    "dragino/mds200-lb": _recorder(_radar, _radar_at, "TIME", _radar_settings, _status(0x2B, "MDS200-LB")),
    "dragino/lds02": {7: _contact_counts, 10: _contact},
    "dragino/lwl01": {10: _contact},
    "dragino/lwl02": {10: _contact},
    "dragino/lwl03a": _recorder(_leak, _leak_at, "TIME", _leak_settings, _status(0x14, "LWL03A")),
    "dragino/wl03a-lb": _recorder(_leak, _leak_at, "TIME", _leak_settings, _status(0x1D, "WL03A-LB")),
    "dragino/lds03a": _recorder(_doors, _door_at, "TIME", _door_settings, _status(0x0A, "LDS03A")),
    "dragino/ds03a-lb": _recorder(_doors, _door_at, "TIME", _door_settings, _status(0x1B, "DS03A-LB")),
    "dragino/sw3l": _recorder(_flow, _flow_at, "Data_time", _flow_settings, _status(0x11, "SW3L")),
    "dragino/sw3l-lb": _recorder(_flow, _flow_at, "Data_time", _flow_settings, _status(0x1F, "SW3L-LB")),
    "dragino/lht52": _recorder(_climate, _climate_at, "Systimestamp", _probe_number, _status(0x09, "LHT52")),
}


def decode(frame: Frame, context: Context) -> Found:
    read = MODELS[context.model].get(frame.f_port)
    if read is None:
        raise FrameError.unknown_f_port(frame)
    return read(frame)
