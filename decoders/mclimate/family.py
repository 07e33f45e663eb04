"""MClimate sensors and valves: the keep-alive of each, which is what they measure. Any f_port, big endian.

Flood sensor, T-Valve and thermostat after "Keep-alive" in their communication protocols (docs.mclimate.eu); Vicki and
HT sensor after the vendor's published codecs.

    Vicki, 9 bytes
    KK TT SS HH PP RR pr B____wmlb? cfapz___
K 01 or 81   T target, °C   S room: 01 S*165/256-40, 81 (S-28.33)/5.667 °C   H humidity, 100/256 %
P, p motor's position, low byte and upper four bits   R, r its range   B battery, 2 V and 0.1 V each
w window open   m motor draws much   l motor draws little   b sensor broken
c child lock   f calibration failed   a mounted on its backplate   p taken for online   z frost protection

    HT sensor, 5 or 7 bytes      01 SSSS HH B_ _____nEE EEEEEEEE
S room, 0.1 °C from -40 °C   n no external probe   E its temperature, 0.1 °C

    wireless thermostat          01 SSSS HH BBBB TT PP LLLL MM      81 SSSS HH BBBB TTTT PP LLLL MM
T target, °C; in 81 0.1 °C   P power: 0 solar cell, 1 batteries, 2 USB   L light, lx   M motion

    flood sensor, 2 to 4 bytes   RRR_x_f_ BB [-TTTTTTT [VV]]
R reason   x box opened   f flood   B battery, 16 mV   - below zero   T temperature, °C   V firmware, if asked for

    T-Valve, 2 bytes             WW VAAAAAAA          5 bytes   RRR_xdfm aoc_____ CC OO BB
W water, 0.5 °C   V open   A air, 0.5 °C from -10 °C   R reason   x box opened   d wire of the probe broken   f flood
m magnet
a alarm confirmed   o, c opened or closed by hand   C, O time it takes to close and open, s   B battery, 1.6 V and 8 mV

Vicki, HT sensor and thermostat also answer commands: the answers come first, a keep-alive follows.
"""

from collections.abc import Callable, Mapping
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]


def _humidity(byte: int) -> float:
    return round(byte * 100 / 256, 2)


def _coarse_battery(nibble: int) -> float:
    return round(2 + nibble * 0.1, 1)


def _vicki(frame: Frame, at: int) -> Found:
    kind, target, room, humidity, position, span, upper, state, more = frame.unpack(">9B", at)
    position |= upper >> 4 << 8
    span |= (upper & 0x0F) << 8
    broken = bool(state & 1)
    found: Found = {
        "reason": 81 if kind == 0x81 else 1,
        "targetTemperature": target,
        "motorRange": span,
        "motorPosition": position,
        "batteryVoltage": _coarse_battery(state >> 4),
        "openWindow": bool(state & 8),
        "highMotorConsumption": bool(state & 4),
        "lowMotorConsumption": bool(state & 2),
        "brokenSensor": broken,
        "childLock": bool(more & 0x80),
        "calibrationFailed": bool(more & 0x40),
        "attachedBackplate": bool(more & 0x20),
        "perceiveAsOnline": bool(more & 0x10),
        "antiFreezeProtection": bool(more & 0x08),
    }
    if not broken:
        temperature = (room - 28.33333) / 5.66666 if kind == 0x81 else room * 165 / 256 - 40
        found["sensorTemperature"] = round(temperature, 2)
        found["relativeHumidity"] = _humidity(humidity)
    if span:  # before calibration it is 0
        found["valveOpenness"] = round((1 - position / span) * 100)
    return found


def _ht_sensor(frame: Frame, at: int) -> Found:
    room, humidity, battery = frame.unpack(">HBB", at + 1)
    found: Found = {
        "sensorTemperature": (room - 400) / 10,
        "relativeHumidity": _humidity(humidity),
        "batteryVoltage": _coarse_battery(battery >> 4),
    }
    if len(frame) == at + 7:
        probe = frame.u16(at + 5)
        connected = not probe & 0x0400
        found["thermistorProperlyConnected"] = connected
        if connected:  # not under the vendor's name, which says 0 where there is no probe
            found["thermistorTemperature"] = (probe & 0x3FF) / 10
    return found


def _thermostat(frame: Frame, at: int) -> Found:
    kind, room, humidity, battery = frame.unpack(">BHBH", at)
    if kind == 0x81:
        tenths, power, light, motion = frame.unpack(">HBHB", at + 6)
        target = tenths / 10
    else:
        target, power, light, motion = frame.unpack(">BBHB", at + 6)
    return {
        "sensorTemperature": (room - 400) / 10,
        "relativeHumidity": _humidity(humidity),
        "batteryVoltage": round(battery / 1000, 2),
        "targetTemperature": target,
        "powerSourceStatus": power,
        "lux": light,
        "pir": bool(motion),
    }


def _keepalive(lengths: Mapping[int, int], read: Callable[[Frame, int], Found]) -> Callable[[Frame], Found]:
    """``lengths``: first byte and length of each keep-alive. It is all of the frame, or its end."""

    def decode(frame: Frame) -> Found:
        whole = lengths.get(frame.u8(0))
        if whole is not None:
            frame.expect(whole)
            return read(frame, 0)
        for kind, length in lengths.items():
            at = len(frame) - length
            if at > 0 and frame.u8(at) == kind:
                return {"answers": frame.part(0, at).hex(), **read(frame, at)}
        raise FrameError("implausible", f"begins with {frame.u8(0):02x}, and no keep-alive is at its end")

    return decode


def _ht(frame: Frame) -> Found:
    """The keep-alive of older firmware has no external probe."""
    if frame.u8(0) == 0x01 and len(frame) == 5:
        return _ht_sensor(frame, 0)
    return _ht_answering(frame)


_ht_answering = _keepalive({0x01: 7}, _ht_sensor)

# the newer firmware tells an opened box by 4, the older by 3
_FLOOD_REASONS = ("keepalive", "testButtonPressed", "floodDetected", "fraudDetected", "fraudDetected")
_VALVE_REASONS = ("keepalive", "testButtonPressed", "floodDetected", "controlButtonPressed", "fraudDetected")


def _reason(byte: int, reasons: tuple[str, ...]) -> str:
    if byte >> 5 >= len(reasons):
        raise FrameError("implausible", f"unknown reason {byte >> 5}")
    return reasons[byte >> 5]


def _flood(frame: Frame) -> Found:
    frame.expect(2, 3, 4)
    state, battery = frame.unpack(">BB")
    found: Found = {
        "reason": _reason(state, _FLOOD_REASONS),
        "boxTamper": bool(state & 8),
        "flood": bool(state & 2),
        "battery": battery * 16 / 1000,
    }
    if len(frame) > 2:
        temperature = frame.u8(2)
        found["temperature"] = -(temperature & 0x7F) if temperature & 0x80 else temperature
    if len(frame) == 4:
        found["firmware"] = f"{frame.u8(3) >> 4}.{frame.u8(3) & 0x0F}"
    return found


def _t_valve(frame: Frame) -> Found:
    frame.expect(2, 5)
    if len(frame) == 2:
        water, air = frame.unpack(">BB")
        return {
            "reason": "keepalive",
            "waterTemp": water / 2,
            "valveState": bool(air & 0x80),
            "ambientTemp": ((air & 0x7F) - 20) / 2,
        }
    state, alarm, closing, opening, battery = frame.unpack(">5B")
    return {
        "reason": _reason(state, _VALVE_REASONS),
        "boxTamper": bool(state & 8),
        "floodDetectionWireState": bool(state & 4),
        "flood": bool(state & 2),
        "magnet": bool(state & 1),
        "alarmValidated": bool(alarm & 0x80),
        "manualOpenIndicator": bool(alarm & 0x40),
        "manualCloseIndicator": bool(alarm & 0x20),
        "closeTime": closing,
        "openTime": opening,
        "battery": (battery * 8 + 1600) / 1000,
    }


MODELS: Mapping[str, Callable[[Frame], Found]] = {
    "mclimate/flood-sensor": _flood,
    "mclimate/ht-sensor": _ht,
    "mclimate/t-valve": _t_valve,
    "mclimate/vicki": _keepalive({0x01: 9, 0x81: 9}, _vicki),
    "mclimate/wireless-thermostat": _keepalive({0x81: 12, 0x01: 11}, _thermostat),
}


def decode(frame: Frame, context: Context) -> Found:
    return MODELS[context.model](frame)
