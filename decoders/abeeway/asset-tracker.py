"""Abeeway trackers (micro, compact, industrial) with the asset tracker firmware 2.x. Big endian.

After the vendor's published codec and frames. f_port 17 or 18.

    KK  MMMSAVPD  BB  TT  CCCCOOOO  ...
K kind of message     M mode     S SOS     A state of the application     V moving     P position of its own accord
D on demand     C acknowledgement     O with positions: how it was found
B battery: on f_port 17 its voltage, on f_port 18 per cent; 0 while it is charged
T temperature, 255 steps from -44 to 85 °C

    03, position, O = 0 (GPS)               GG  LLLLLL  NNNNNN  EE
    0e, extended position, O = 0 (GPS)      GGGG  UU  LLLLLLLL  NNNNNNNN  AAAA  EE  HHHH  YYYY  ...
    04, health, O = 1                       EEEE XX NN  FFFF FFFF FFFF FFFF  VVVV
    07, 0a, what it is about: a byte
G age, s, in the shorter message 8 s     L, N latitude, longitude, 1e-7 degree, of the shorter one the upper three bytes
A altitude, cm, or m where bit 1 of U is set    H heading, 0.01 °    Y speed, cm/s    E 255 steps to 1000 m
In 04: E mAh so far    X, N highest and lowest temperature    F mAh of each radio    V battery, mV

Positions that were found by Wi-Fi or Bluetooth are addresses, which only a service can look up.
"""

from smartdorf.decoding import Context, Frame, FrameError

_PENDING, _POSITION, _HEALTH, _MISC, _EVENT, _EXTENDED = 0x00, 0x03, 0x04, 0x07, 0x0A, 0x0E
_KINDS = {
    _PENDING: "FRAME_PENDING",
    _POSITION: "POSITION_MESSAGE",
    _HEALTH: "HEALTH_STATUS",
    0x0C: "PROXIMITY_DETECTION",
    0x0F: "DEBUG",
    0x05: "HEARTBEAT",
    0x09: "SHUTDOWN",
    _EVENT: "EVENT",
    0x0B: "DATA_SCAN_COLLECTION",
    _EXTENDED: "EXTENDED_POSITION_MESSAGE",
}
_MISC_KINDS = {
    1: "ACTIVITY_STATUS",
    2: "CONFIGURATION",
    3: "SHOCK_DETECTION",
    4: "ACTIVITY_STATUS",
    5: "BLE_MAC",
}
_EVENTS = {0: "GEOLOC_START", 1: "MOTION_START", 2: "MOTION_END", 9: "ANGLE_DETECTION"}
_MODES = (
    "STAND_BY", "MOTION_TRACKING", "PERMANENT_TRACKING", "MOTION_START_END_TRACKING", "ACTIVITY_TRACKING", "OFF",
)  # fmt: skip
_GPS = 0
_HEAD = 5  # bytes


def decode(frame: Frame, context: Context) -> dict:
    if frame.f_port not in (17, 18):
        raise FrameError.unknown_f_port(frame)
    kind = frame.u8(0)
    if kind == _PENDING:
        return {"messageType": _KINDS[kind]}
    frame.require(_HEAD)
    found = _head(frame)
    if kind == _MISC:
        about = frame.u8(_HEAD) & 7
        return {"messageType": _MISC_KINDS.get(about, f"misc {about}"), **found}
    if kind not in _KINDS:
        raise FrameError("implausible", f"no message of type {kind:02x}")
    found = {"messageType": _KINDS[kind], **found}
    option = frame.u8(4) & 0x0F
    if kind == _POSITION and option == _GPS:
        age, accuracy = frame.u8(_HEAD), frame.u8(_HEAD + 7)
        found |= {
            "age": 8 * age,
            "gpsLatitude": _upper_bytes(frame, _HEAD + 1),
            "gpsLongitude": _upper_bytes(frame, _HEAD + 4),
            "horizontalAccuracy": round(accuracy * 1000 / 255, 2),
        }
    elif kind == _EXTENDED and option == _GPS:
        found |= _extended(frame)
    elif kind == _HEALTH and option == 1:
        found["healthStatus"] = _health(frame)
    elif kind == _EVENT:
        event = frame.u8(_HEAD)
        found["eventType"] = _EVENTS.get(event, event)
    return found


def _head(frame: Frame) -> dict:
    status, battery, temperature = frame.unpack("3B", 1)
    mode = status >> 5
    return {
        "trackingMode": _MODES[mode] if mode < len(_MODES) else mode,
        "sosFlag": status >> 4 & 1,
        "appState": status >> 3 & 1,
        "dynamicMotionState": "MOVING" if status & 4 else "STATIC",
        "periodicPosition": bool(status & 2),
        "onDemand": bool(status & 1),
        "temperatureMeasure": _temperature(temperature),
        "ackToken": frame.u8(4) >> 4,
        **_battery(frame.f_port, battery),
    }


def _battery(f_port: int, battery: int) -> dict:
    if f_port == 18:
        if battery in (0, 255):
            return {"batteryStatus": "CHARGING" if battery == 0 else "UNKNOWN"}
        return {"batteryStatus": "OPERATING", "batteryLevel": battery}
    if battery in (0, 255):  # the two steps that are reserved
        return {"batteryVoltage": 0}
    return {"batteryVoltage": round(2.8 + (battery - 1) * 1.4 / 253, 2)}


def _temperature(step: int) -> float:
    return round(-44 + step * 129 / 255, 1)


def _upper_bytes(frame: Frame, at: int) -> float:
    return int.from_bytes(frame.part(at, 3), "big", signed=True) * 256 / 1e7


def _extended(frame: Frame) -> dict:
    age, fix, latitude, longitude, altitude, accuracy, course, speed = frame.unpack(">HBiihBHH", _HEAD)
    return {
        "age": age,
        "gpsLatitude": latitude / 1e7,
        "gpsLongitude": longitude / 1e7,
        "gpsAltitude": float(altitude) if fix & 2 else altitude / 100,
        "horizontalAccuracy": round(accuracy * 1000 / 255, 2),
        "gpsCourseOverGround": course,
        "gpsSpeedOverGround": speed,
    }


def _health(frame: Frame) -> dict:
    total, highest, lowest, lora, ble, gps, wifi, battery = frame.unpack(">HBBHHHHH", _HEAD)
    return {
        "totalConsumption": total,
        "maxTemperature": _temperature(highest),
        "minTemperature": _temperature(lowest),
        "loraPowerConsumption": lora,
        "blePowerConsumption": ble,
        "gpsPowerConsumption": gps,
        "wifiPowerConsumption": wifi,
        "batteryVoltage": battery,
    }
