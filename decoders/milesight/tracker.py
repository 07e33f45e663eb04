"""Milesight tracker AT101: position by satellites, else by the access points around it.

After the payload tables in the user guides and in the vendor's README of each model. Any f_port (85 unless
configured), framed as all Milesight sensors (family.py), little endian:

    CC TT V...  CC TT V...  CC TT V...
C channel, T type, V value: its length follows from channel and type; 20 CE is a record of history, Unix time in front
"""

from typing import Any

from smartdorf.decoding import Context, Frame, parts


def _firmware(frame: Frame, at: int, found: dict[str, Any]) -> int:
    """0110: v1.10"""
    found["firmware_version"] = f"v{frame.u8(at)}.{frame.u8(at + 1):x}"
    return at + 2


def _hardware(frame: Frame, at: int, found: dict[str, Any]) -> int:
    """0110: v1.1"""
    found["hardware_version"] = f"v{frame.u8(at)}.{frame.u8(at + 1) >> 4}"
    return at + 2


_INFORMATION: parts.Table = {
    b"\xff\x01": parts.raw("protocol_version", 1),
    b"\xff\x03": parts.number("report_interval", "<H"),
    b"\xff\x09": _hardware,
    b"\xff\x0a": _firmware,
    b"\xff\x0b": parts.fixed("device_status", "on"),
    b"\xff\x0f": parts.word("lorawan_class", "Class A", "Class B", "Class C", "Class CtoB"),
    b"\xff\x10": parts.fixed("reboot", "yes"),
    b"\xff\x16": parts.raw("sn", 8),
    b"\xff\xfe": parts.fixed("reset_event", "reset"),
    b"\xff\xff": parts.raw("tsl_version", 2),
    b"\x01\x75": parts.number("battery", "<B"),
}

_TEMPERATURE = parts.number("temperature", "<h", 10)
_MOTION = ("unknown", "start moving", "moving", "stop moving")
_GEOFENCE = ("inside", "outside", "unset", "unknown")


def _degrees(name: str) -> parts.Reader:
    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        value = frame.i32le(at)
        if value not in (-1, 0x7FFFFFFF):  # no fix
            found[name] = value / 1_000_000
        return at + 4

    return read


def _access_point(frame: Frame, at: int, found: dict[str, Any]) -> int:
    group, mac, signal, motion = frame.unpack("<B6sbB", at)
    motion &= 0x0F
    heard = mac != b"\xff" * 6
    found["wifi_scan_result"] = "finish" if heard else "timeout"
    found["motion_status"] = _MOTION[motion] if motion < len(_MOTION) else motion
    if heard:
        point = {"group": group, "mac": mac.hex(":"), "rssi": signal, "motion_status": found["motion_status"]}
        found.setdefault("wifi", []).append(point)
    return at + 9


_LATITUDE, _LONGITUDE = _degrees("latitude"), _degrees("longitude")
_TRACKER: parts.Table = {
    b"\x03\x67": _TEMPERATURE,
    b"\x04\x88": parts.in_order(
        _LATITUDE,
        _LONGITUDE,
        parts.packed("<B", ("motion_status", 0, 4, _MOTION), ("geofence_status", 4, 4, _GEOFENCE)),
    ),
    b"\x05\x00": parts.word("position", "normal", "tilt"),
    b"\x06\xd9": _access_point,
    b"\x07\x00": parts.word("tamper_status", "install", "uninstall"),
    b"\x83\x67": parts.in_order(
        _TEMPERATURE, parts.word("temperature_alarm", "threshold_alarm_release", "threshold_alarm")
    ),
    b"\x20\xce": parts.each("history", parts.number("timestamp", "<I"), _LONGITUDE, _LATITUDE),
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    return parts.tagged(frame, 2, _TRACKER, _INFORMATION)
