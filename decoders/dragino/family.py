"""Dragino sensors of doors, leaks, flow and climate: a row of ``MODELS`` for each model. Big endian.

After "Uplink Payload" in the user manual of each model; f_ports 4 and 5 are in layouts.py.

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
"""

from collections.abc import Mapping

from smartdorf.decoding import Context, Frame, FrameError

from .layouts import BATTERY, Found, Layouts, recorder, status

# -- doors, leaks, flows ----------------------------------------------------------------------------------


def _contact(frame: Frame) -> Found:
    frame.expect(10)
    battery, kind = frame.unpack(">HB")
    found: Found = {"BAT_V": (battery & BATTERY) / 1000, "MOD": kind}
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
        "BAT_V": (battery & BATTERY) / 1000,
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


# model → f_port → its layout
MODELS: Mapping[str, Layouts] = {
    "dragino/lds02": {7: _contact_counts, 10: _contact},
    "dragino/lwl01": {10: _contact},
    "dragino/lwl02": {10: _contact},
    "dragino/lwl03a": recorder(_leak, _leak_at, "TIME", _leak_settings, status(0x14, "LWL03A")),
    "dragino/wl03a-lb": recorder(_leak, _leak_at, "TIME", _leak_settings, status(0x1D, "WL03A-LB")),
    "dragino/lds03a": recorder(_doors, _door_at, "TIME", _door_settings, status(0x0A, "LDS03A")),
    "dragino/ds03a-lb": recorder(_doors, _door_at, "TIME", _door_settings, status(0x1B, "DS03A-LB")),
    "dragino/sw3l": recorder(_flow, _flow_at, "Data_time", _flow_settings, status(0x11, "SW3L")),
    "dragino/sw3l-lb": recorder(_flow, _flow_at, "Data_time", _flow_settings, status(0x1F, "SW3L-LB")),
    "dragino/lht52": recorder(_climate, _climate_at, "Systimestamp", _probe_number, status(0x09, "LHT52")),
}


def decode(frame: Frame, context: Context) -> Found:
    read = MODELS[context.model].get(frame.f_port)
    if read is None:
        raise FrameError.unknown_f_port(frame)
    return read(frame)
