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
    LSE01, f_port 2, 11 bytes
    __BBBBBB BBBBBBBB  TTTT  WWWW  KKKK  EEEE  MRRSIIII
B battery, mV   D distance, mm; in the LMDS200 cm, of the nearest thing and of the one behind it   I interrupt
T temperature of a probe, int16, 0.1 °C   S there is a sensor   G strength of the signal   L the lidar's temperature, °C
C alarms so far   A distance out of its limits   M kind of message; in the LSE01 1 for raw values
W soil moisture, 0.01 %   K soil temperature, int16, 0.01 °C   E soil conductivity, µS/cm

    LDS02, LWL01, LWL02, f_port 10, 10 bytes                LDS02, f_port 7, 5 bytes: what it counted alone
    DLBBBBBB BBBBBBBB  MM  NNNNNN  UUUUUU  _______A         D_BBBBBB BBBBBBBB  NNNNNN
    LWL03A, f_port 2, 11 bytes; f_port 3: records of the same
    _____IAL  NNNNNN  UUUUUU  SSSSSSSS
D door open   L leak   M 1 door, 2 leak, 3 both   N how often   U how long the last time, minutes
A it lasts too long   I sent because it was time   S Unix time

    SW3L, f_port 2, 11 bytes                                f_port 3: records of 11 bytes
    KKKKKKA_  PPPPPPPP  MM  __  SSSSSSSS                    KKKKKKA_  MM  __  PPPPPPPP  SSSSSSSS
K which flow sensor   A water flows for too long   P pulses   M 0 all of them, 1 those since the last message

    LGT92, f_port 2, 11, 15 or 18 bytes
    YYYYYYYY  XXXXXXXX  _ABBBBBB BBBBBBBB  MMLFFFFF  RRRR PPPP  HH ZZZZ
Y, X latitude and longitude, int32, 0.000001°; without a fix 0 or 0fffffff   A alarm button   M what wakes it
L its light is on   F firmware, 160 and more   R, P roll and pitch, int16, 0.01°   H dilution, 0.01
Z altitude, int16, 0.01 m

    f_port 4: settings            f_port 5, 7 bytes: device status
                                  MM  FFFF  RR  UU  BBBB
M model   F firmware, a digit each nibble   R frequency band   U sub band

The vendor's formula for negative soil temperatures is off by one digit; they are plain int16.
"""

from collections.abc import Callable, Mapping
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]
Reader = Callable[[Frame], Found]

_BATTERY = 0x3FFF
_NO_FIX = ((0, 0), (0x0FFFFFFF, 0x0FFFFFFF), (-1, -1))
_BANDS = (
    "EU868", "US915", "IN865", "AU915", "KZ865", "RU864", "AS923", "AS923_1", "AS923_2", "AS923_3", "CN470", "EU433",
    "KR920", "MA869",
)  # fmt: skip


# -- distances and soil ---------------------------------------------------------------------------------


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
    if 100 <= strength < 0xFFFF:  # otherwise the manual does not trust the distance
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


def _radar_settings(frame: Frame) -> Found:
    frame.expect(9)
    shorter, low, high, interrupt = frame.unpack(">BHHB", 3)
    return {"TDC": frame.u24(0), "ATDC": shorter, "Alarm_min": low, "Alarm_max": high, "Interrupt": interrupt}


def _soil(frame: Frame) -> Found:
    frame.expect(11)
    battery, probe, moisture, temperature, conductivity, flags = frame.unpack(">HhHhHB")
    found: Found = {
        "Bat": (battery & _BATTERY) / 1000,
        "TempC_DS18B20": probe / 10,
        "s_flag": flags >> 4 & 1,
        "i_flag": flags & 0x0F,
        "Mod": flags >> 7,
    }
    if flags >> 7:
        found["Soil_dielectric_constant"] = moisture / 10
        found["Raw_water_SOIL"] = temperature & 0xFFFF
        found["Raw_conduct_SOIL"] = conductivity
    else:
        found["water_SOIL"] = moisture / 100
        found["temp_SOIL"] = temperature / 100
        found["conduct_SOIL"] = conductivity
    return found


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


def _leak_at(frame: Frame, at: int) -> Found:
    flags = frame.u8(at)
    return {
        "ALARM": "TRUE" if flags & 2 else "FALSE",
        "WATER_LEAK_STATUS": "LEAK" if flags & 1 else "NO LEAK",
        "WATER_LEAK_TIMES": frame.u24(at + 1),
        "LAST_WATER_LEAK_DURATION": frame.u24(at + 4),
        "TIME": frame.u32(at + 7),
    }


def _leak(frame: Frame) -> Found:
    frame.expect(11)
    return {"TDC": "YES" if frame.u8(0) & 4 else "NO", **_leak_at(frame, 0)}


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


def _flow_of(flags: int, mode: int, pulses: int, time: int) -> Found:
    sensor = flags >> 2
    found: Found = {
        "Calculate_flag": sensor,
        "Alarm": "TRUE" if flags & 2 else "FALSE",
        "MOD": mode,
        "Data_time": time,
    }
    if mode == 1:
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


def _datalog(read_at: Callable[[Frame, int], Found], time: str) -> Reader:
    """Records of eleven bytes, kept by the device; one without a time is none."""

    def read(frame: Frame) -> Found:
        frame.require(11)
        if len(frame) % 11:
            raise FrameError("length", f"a datalog has records of 11 bytes, got {len(frame)} bytes")
        records = [read_at(frame, at) for at in range(0, len(frame), 11)]
        return {"DATALOG": [record for record in records if record[time]]}

    return read


# -- position ---------------------------------------------------------------------------------------------


def _tracker(frame: Frame) -> Found:
    frame.expect(11, 15, 18)
    latitude, longitude, battery, flags = frame.unpack(">iiHB")
    found: Found = {
        "ALARM_status": bool(battery & 0x4000),
        "BatV": (battery & _BATTERY) / 1000,
        "MD": ("Disable", "Move", "Collide", "User")[flags >> 6],
        "LON": bool(flags & 0x20),
        "FW": 160 + (flags & 0x1F),
    }
    if (latitude, longitude) not in _NO_FIX:
        found["latitude"], found["longitude"] = latitude / 1_000_000, longitude / 1_000_000
    if len(frame) > 11:
        found["Roll"], found["Pitch"] = frame.i16(11) / 100, frame.i16(13) / 100
    if len(frame) > 15:
        found["HDOP"], found["ALTITUDE"] = frame.u8(15) / 100, frame.i16(16) / 100
    return found


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


# model → f_port → its layout
MODELS: Mapping[str, Mapping[int, Reader]] = {
    "dragino/ldds04": {2: _four_distances},
    "dragino/ldds20": {2: _ultrasonic(20)},
    "dragino/ldds45": {2: _ultrasonic(30)},
    "dragino/ldds75": {2: _ultrasonic(280)},
    "dragino/ldds75-v1.1.4": {2: _ultrasonic(280)},
    "dragino/llds12": {2: _lidar},
    "dragino/lmds200": {2: _radar, 4: _radar_settings, 5: _status(0x0C, "LMDS200")},
    "dragino/lse01": {2: _soil},
    "dragino/lds02": {7: _contact_counts, 10: _contact},
    "dragino/lwl01": {10: _contact},
    "dragino/lwl02": {10: _contact},
    "dragino/lwl03a": {
        2: _leak,
        3: _datalog(_leak_at, "TIME"),
        4: _leak_settings,
        5: _status(0x14, "LWL03A"),
    },
    "dragino/sw3l": {
        2: _flow,
        3: _datalog(_flow_at, "Data_time"),
        4: _flow_settings,
        5: _status(0x11, "SW3L"),
    },
    "dragino/lgt92": {2: _tracker},
}


def decode(frame: Frame, context: Context) -> Found:
    read = MODELS[context.model].get(frame.f_port)
    if read is None:
        raise FrameError.unknown_f_port(frame)
    return read(frame)
