"""Milesight tracker AT101: position by satellites, else by the access points around it.

After the payload tables in the user guides and in the vendor's README of each model. Any f_port (85 unless
configured), framed as all Milesight sensors (family.py), little endian:

    CC TT V...  CC TT V...  CC TT V...
C channel, T type, V value: its length follows from channel and type; 20 CE is a record of history, Unix time in front
"""

from typing import Any

from smartdorf.decoding import Context, Frame, parts

from .information import INFORMATION, TEMPERATURE, record

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
    b"\x03\x67": TEMPERATURE,
    b"\x04\x88": parts.in_order(
        _LATITUDE,
        _LONGITUDE,
        parts.packed("<B", ("motion_status", 0, 4, _MOTION), ("geofence_status", 4, 4, _GEOFENCE)),
    ),
    b"\x05\x00": parts.word("position", "normal", "tilt"),
    b"\x06\xd9": _access_point,
    b"\x07\x00": parts.word("tamper_status", "install", "uninstall"),
    b"\x83\x67": parts.in_order(
        TEMPERATURE, parts.word("temperature_alarm", "threshold_alarm_release", "threshold_alarm")
    ),
    b"\x20\xce": record(_LONGITUDE, _LATITUDE),
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    return parts.tagged(frame, 2, _TRACKER, INFORMATION)
