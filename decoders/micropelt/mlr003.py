"""Micropelt MLR003, radiator valve that lives on the heat of its radiator.

After the vendor's published codec and its example frames; what the messages of ports 5 to 15 say beyond numbers is
left as a code.

    f_port 1, 12 bytes; 11 before the room's temperature can come from outside
    PP FR FT AR AT tehafrsm VV CC GG ofzkMMM UU [TT]
P valve, %   F flow sensor, 0.5 °C: raw, and the flow's temperature   A room sensor, 0.25 °C: raw, and the room's
t temperature drops   e store   h harvests   a, f room's or flow's sensor fails   r radio   s signal   m motor error
V store, 20 mV   C, G current drawn and generated, 10 µA   o operating condition   f full   z zero   k calibrated
M what steers it, U its value: for a room temperature 0.5 °C, for a position %   T what it steers by, 0.25 °C

    f_port 2 version, 3 motor's range, 4 data rate, 5 search of the opening point, 6 drop of temperature,
    7 coefficients of the control, 8 offset of the flow sensor, 9 external temperature, 15 switching off
"""

from collections.abc import Callable, Mapping
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]

_FAILURES = ("Motor_Error", "Received_Signal_Strength", "Radio_Communication_Error", "Flow_Sensor_Failure",
             "Ambient_Sensor_Failure", "Harvesting_Active", "Energy_Storage", "Temperature_Drop_Detection")  # fmt: skip
_STATES = ("Calibration_OK", "Zero_Error", "Storage_Fully_Charged", "Operating_Condition")  # from bit 4 on
_MODES = ("Valve_Position", "RESERVED", "SP_Ambient_Temperature", "Detecting_Opening_Point", "Slow_Harvesting",
          "Temperature_Drop", "Freeze_Protect", "Forced_Heating")  # fmt: skip
_VALUE_STEPS = {0: 1, 2: 0.5, 3: 0.25, 4: 0.25, 6: 1, 7: 1}  # by mode
_ROOM_TEMPERATURE = 2


def _now(frame: Frame) -> Found:
    frame.expect(11, 12)
    position, flow_raw, flow, room_raw, room, failures, store, drawn, made, state, value = frame.unpack(
        ">11B"
    )
    mode = state & 0x07
    found: Found = {
        "Current_Valve_Position": position,
        "Flow_Sensor_Raw": flow_raw * 0.5,
        "Ambient_Sensor_Raw": room_raw * 0.25,
        "Storage_Voltage": store / 50,
        "Average_Current_Consumed": drawn * 10,
        "Average_Current_Generated": made * 10,
        "User_Mode": _MODES[mode],
    }
    found |= {name: failures >> bit & 1 for bit, name in enumerate(_FAILURES)}
    found |= {name: state >> bit & 1 for bit, name in enumerate(_STATES, 4)}
    if not found["Flow_Sensor_Failure"]:
        found["Flow_Temperature"] = flow * 0.5
    if not found["Ambient_Sensor_Failure"]:
        found["Ambient_Temperature"] = room * 0.25
    if mode in _VALUE_STEPS:
        found["User_Value"] = value * _VALUE_STEPS[mode]
    if mode == _ROOM_TEMPERATURE:
        found["Target_Temperature"] = value * 0.5
    if len(frame) == 12:
        found["Used_Temperature"] = frame.u8(11) * 0.25
    return found


def _version(frame: Frame) -> Found:
    frame.expect(6)
    revision, hardware, year, month, day, minor = frame.unpack(">6B")
    return {
        "REV": f"{revision & 0xF}.{revision >> 4:x}",
        "HW": f"{hardware & 0xF}.{hardware >> 4}",
        "FW": f"20{year:02}.{month}.{day}.{minor}",
    }


def _motor(frame: Frame) -> Found:
    frame.expect(1)
    steps = frame.u8(0)
    return {"motor_range": steps * 208 / 1000} if steps in range(3, 13) else {"motor_range_code": steps}


def _data_rate(frame: Frame) -> Found:
    frame.expect(1)
    return {"SpreadingFactor": {0: "SF7", 1: "SF8"}.get(frame.u8(0), frame.u8(0))}


def _opening_point(frame: Frame) -> Found:
    frame.expect(2)
    opening, status = frame.unpack(">BB")
    return {
        "Opening_Percent_Found": opening >> 7,
        "Opening_Percent_Value": opening & 0x7F,
        "code": status & 0x07,
    }


def _drop(frame: Frame) -> Found:
    frame.expect(1)
    return {"temperature_drop_detected": bool(frame.u8(0) & 1), "action_code": frame.u8(0) >> 6}


def _control(frame: Frame) -> Found:
    frame.expect(7)
    proportional, integral, derivative, closed, derivative_closed, offset = frame.unpack(">BBBxBBB")
    return {
        "P_Coefficient": proportional,
        "I_Coefficient": integral / 50,
        "D_Coefficient": derivative / 5,
        "Closed_Percent": closed,
        "D_Coefficient_when_closed": derivative_closed / 5,
        "Offset_Percent": offset,
    }


def _flow_offset(frame: Frame) -> Found:
    frame.expect(1)
    return {"flow_offset": frame.i8(0) * 0.25}


def _external(frame: Frame) -> Found:
    frame.expect(1, 2)
    found: Found = {"external_temperature_sensor_expiry_in_minutes": frame.u8(0) * 5}
    if len(frame) == 2:
        found["is_controlled_by_external_temperature"] = bool(frame.u8(1))
    return found


def _switch(frame: Frame) -> Found:
    frame.expect(1)
    return {"code": frame.u8(0)}


_PORTS: Mapping[int, Callable[[Frame], Found]] = {
    1: _now,
    2: _version,
    3: _motor,
    4: _data_rate,
    5: _opening_point,
    6: _drop,
    7: _control,
    8: _flow_offset,
    9: _external,
    15: _switch,
}


def decode(frame: Frame, context: Context) -> Found:
    read = _PORTS.get(frame.f_port)
    if read is None:
        raise FrameError.unknown_f_port(frame)
    return read(frame)
