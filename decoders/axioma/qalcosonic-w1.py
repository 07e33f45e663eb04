"""Axioma Qalcosonic W1, ultrasonic water meter. Little endian; volumes in litres, times in Unix seconds.

After "Qalcosonic W1 LoRa Payload (Long) Extended", V01.8; the enhanced payload after the meters' published frames.

    f_port 100, extended payload, 17 bytes and 2 for each hour, usually 15; 2F is padding
    TTTTTTTT SS VVVVVVVV  LLLLLLLL WWWWWWWW  DDDD DDDD ...
T now          S status          V volume now
L log time     W volume then     D what ran through in each hour from L on

    f_port 100, enhanced payload, 51 bytes
    01 TTTTTTTT SS WWWWWWWW  D... (23 x 14 bits)  X (6 bits)
W volume of the first of 24 hours      D the 23 hours after it, lowest bit first
X multiplier of D; other than 0 its meaning is not published, so D is not used then

    f_port 103, alarm: TTTTTTTT SS            f_port 101: what the extended payload consists of, see _configuration

S status: 04 battery low, 08 permanent error, 10 temporary error, and in its upper three bits the cause of that.
The time of the W in the enhanced payload is not in the frame: we take the hours as ending at the full hour before T.

Corrupted frames come with sound radio checksums. We know them by times that contradict each other: a log cannot be
newer than the reading, nor older than the meter's memory. The clock itself may be wrong, that is no reason to refuse.
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_HOUR = 3600  # seconds
_MEMORY = 366 * 24 * _HOUR
_PADDING = 0x2F
_ENHANCED = 51  # bytes
_ENHANCED_HOURS = 23

# upper three bits of the status
_CAUSES = {0b000: "pipe_empty", 0b001: "leakage", 0b011: "backflow", 0b100: "low_temperature", 0b101: "burst"}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port == 100:
        if len(frame) == _ENHANCED and frame.data[0] == 1:
            return _enhanced(frame)
        return _extended(frame)
    if frame.f_port == 101:
        return _configuration(frame)
    if frame.f_port == 103:
        frame.expect(5)
        return {"date": frame.u32le(0), **_status(frame.u8(4))}
    raise FrameError.unknown_f_port(frame)


def _status(status: int) -> dict[str, bool]:
    cause = _CAUSES.get(status >> 5) if status & 0x10 or status >> 5 else None
    return {
        "low_battery": bool(status & 0x04),
        "permanent_error": bool(status & 0x08),
        **{name: name == cause for name in _CAUSES.values()},
    }


def _extended(frame: Frame) -> dict[str, Any]:
    frame.require(17)
    now, status, volume, time, logged = frame.unpack("<IBIII")
    if not 0 <= now - time <= _MEMORY:
        raise FrameError("implausible", f"read at {now}, but the log begins at {time}: a corrupted frame")
    volumes = [{"time": time, "volume": logged}]
    hours = frame.data[17:]
    if len(hours) % 2:
        if hours[-1] != _PADDING:
            raise FrameError("length", f"{len(hours)} bytes of hourly volumes, expected two for each hour")
        hours = hours[:-1]
    for at in range(0, len(hours), 2):
        delta = int.from_bytes(hours[at : at + 2], "little")
        if delta == _PADDING << 8 | _PADDING:
            break
        time += _HOUR
        logged += delta
        volumes.append({"time": time, "volume": logged})
    if time > now:
        raise FrameError("implausible", f"read at {now}, but the log ends at {time}: a corrupted frame")
    return {"lastLogTime": now, "lastVolume": volume, **_status(status), "volumes": volumes}


def _enhanced(frame: Frame) -> dict[str, Any]:
    now, status, logged = frame.unpack("<IBI", 1)
    packed = int.from_bytes(frame.part(10, 41), "little")
    deltas = [packed >> 14 * hour & 0x3FFF for hour in range(_ENHANCED_HOURS)]
    multiplier = packed >> 14 * _ENHANCED_HOURS
    time = now - now % _HOUR - _ENHANCED_HOURS * _HOUR
    found: dict[str, Any] = {"timestamp_unix": now, **_status(status)}
    volumes = [{"time": time, "volume": logged}]
    if multiplier:
        found["history_multiplier"] = multiplier
    else:
        for delta in deltas[:-1]:
            time += _HOUR
            logged += delta
            volumes.append({"time": time, "volume": logged})
        found["current_volume_m3"] = (logged + deltas[-1]) / 1000
    return {**found, "volumes": volumes}


# -- f_port 101 -----------------------------------------------------------------------------------------

# M-Bus value information; the longest that fits counts
_VALUES = {
    b"\xff\x89\x13": "Current date and time, Unix time",
    b"\xfd\x17": "Status byte",
    b"\x13": "Total volume, L",
    b"\x93\x3d": "Total volume, oz",
    b"\x93": "Volume at log date, L",
    b"\x93\xbd": "Volume at log date, oz",
    b"\x93\x1e": "Historical total volume, L",
    b"\x93\xbd\x1e": "Historical total volume, oz",
}
_CHANGES = ("absolute", "positive difference", "negative difference", "signed difference")
_SPACINGS = ("seconds", "minutes", "hours", "days")


def _configuration(frame: Frame) -> dict[str, Any]:
    """M-Bus headers (size and storage, then what it is), at the end how the history is spaced:

        KV... KV... KV...  NN UU PP
    K data information: size in the lower four bits (D: variable), 4_ is a stored value     V value information
    N length byte    U change type, unit and size of a history record (2, 2 and 4 bits)     P spacing
    """
    frame.require(4)
    end = len(frame) - 3
    at = 0
    values = []
    while at < end:
        size, what = _value(frame, at, end)
        header = frame.u8(at)
        kind = _VALUES[what]
        values.append(
            {
                "dataType": kind,
                "size": "variable" if size == 0x0D else size,
                "compactProfile": kind.startswith("Historical"),
                "withStorage": header & 0xF0 == 0x40,
                "imperial": kind.endswith("oz"),
            }
        )
        at += 1 + len(what)
    unit = frame.u8(end + 1)
    spacing = {"changeType": _CHANGES[unit >> 6], "unit": _SPACINGS[unit >> 4 & 3], "recordSize": unit & 0x0F}
    return {
        "payloadType": "Configuration parameters",
        "values": values,
        "lengthByte": frame.u8(end),
        "spacingUnit": spacing,
        "spacing": frame.u8(end + 2),
    }


def _value(frame: Frame, at: int, end: int) -> tuple[int, bytes]:
    for length in (3, 2, 1):
        what = frame.data[at + 1 : min(at + 1 + length, end)]
        if len(what) == length and what in _VALUES:
            return frame.data[at] & 0x0F, what
    raise FrameError("implausible", f"byte {at}: unknown value information")
