"""Dragino sensors that measure a distance: a row of ``MODELS`` for each model. Big endian.

After "Uplink Payload" in the user manual of each model; f_ports 4 and 5 are in layouts.py.

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
"""

from collections.abc import Mapping

from smartdorf.decoding import Context, Frame, FrameError

from .layouts import BATTERY, Found, Layouts, Reader, RecordReader, logger, recorder, status


def _ultrasonic(nearest: int) -> Reader:
    """What is nearer than ``nearest`` mm cannot be measured."""

    def read(frame: Frame) -> Found:
        if len(frame) < 5:
            frame.require(3)
            return {"Bat": (frame.u16(0) & BATTERY) / 1000, "distance": "No Sensor"}
        frame.expect(5, 8)
        battery, distance, interrupt = frame.unpack(">HHB")
        found: Found = {"Bat": (battery & BATTERY) / 1000, "Interrupt_flag": interrupt}
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
        "BatV": (battery & BATTERY) / 1000,
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
        "Bat": (battery & BATTERY) / 1000,
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


# model → f_port → its layout
MODELS: Mapping[str, Layouts] = {
    "dragino/ldds04": {2: _four_distances},
    "dragino/ldds20": {2: _ultrasonic(20)},
    "dragino/ldds45": {2: _ultrasonic(30)},
    "dragino/ldds75": {2: _ultrasonic(280)},
    "dragino/ldds75-v1.1.4": {2: _ultrasonic(280)},
    "dragino/llds12": {2: _lidar},
    "dragino/lmds200": {2: _radar, 4: _radar_settings, 5: status(0x0C, "LMDS200")},
    "dragino/dds20-lb": logger(_ultrasonic_lb(20), _ultrasonic_at(20), status(0x29, "DDS20-LB")),
    "dragino/dds45-lb": logger(_ultrasonic_lb(30), _ultrasonic_at(30), status(0x28, "DDS45-LB")),
    "dragino/dds75-lb": logger(_ultrasonic_lb(280), _ultrasonic_at(280), status(0x27, "DDS75-LB")),
    "dragino/lds12-lb": logger(_lidar, _lidar_at, status(0x24, "LDS12-LB")),
    "dragino/mds200-lb": recorder(_radar, _radar_at, "TIME", _radar_settings, status(0x2B, "MDS200-LB")),
}


def decode(frame: Frame, context: Context) -> Found:
    read = MODELS[context.model].get(frame.f_port)
    if read is None:
        raise FrameError.unknown_f_port(frame)
    return read(frame)
