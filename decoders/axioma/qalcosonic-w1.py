"""Axioma Qalcosonic W1, ultrasonic water meter. Little endian; volumes in litres, times in Unix seconds.

After "Qalcosonic W1 LoRa Payload (Long) Extended", V01.8; the enhanced payload after the meters' published frames.

    f_port 100, extended payload, 17 bytes and 2 for each hour, usually 15; 2F is padding
    TTTTTTTT SS VVVVVVVV [CCCC] LLLLLLLL WWWWWWWW  DDDD DDDD ...
T now          S status          V volume now          C water, int16, 0.01 °C: meters with temperature only
L log time     W volume then     D what ran through in each hour from L on

    f_port 100, enhanced payload, 51 bytes
    01 TTTTTTTT SS WWWWWWWW  D... (23 x 14 bits)  X (6 bits)
W volume at 01:00 of the day before T, in the meter's own clock      D the 23 hours after it, lowest bit first
X multiplier of D; other than 0 its meaning is not published, so D is not used then

    f_port 103, alarm: TTTTTTTT SS            f_port 101: what the extended payload consists of, see _configuration

S status: 04 battery low, 08 permanent error, 10 temporary error, and in its upper three bits the cause of that.

Corrupted frames come with sound radio checksums. We know them by times that contradict each other: a log cannot be
newer than the reading, nor older than the meter's memory. The clock itself may be wrong, that is no reason to refuse.
Nothing else tells whether there is a temperature: it is there if only then the times fit.
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_HOUR = 3600  # seconds
_DAY = 24 * _HOUR
_MEMORY = 366 * _DAY
_PADDING = 0x2F
_ENHANCED = 51  # bytes
_ENHANCED_HOURS = 23

# upper three bits of the status
_CAUSES = {0b000: "pipe_empty", 0b001: "leakage", 0b011: "backflow", 0b100: "low_temperature", 0b101: "burst"}

Log = list[dict[str, int]]


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port == 100:
        if len(frame) == _ENHANCED and frame.data[0] == 1:
            return _enhanced(frame)
        return _extended(frame, context)
    if frame.f_port == 101:
        return _configuration(frame)
    if frame.f_port == 103:
        frame.expect(5)
        return {"date": frame.u32le(0), **_status(frame.u8(4))}
    raise FrameError.unknown_f_port(frame)


def _status(status: int) -> dict[str, Any]:
    temporary = bool(status & 0x10 or status >> 5)
    cause = _CAUSES.get(status >> 5) if temporary else None
    found: dict[str, Any] = {
        "low_battery": bool(status & 0x04),
        "permanent_error": bool(status & 0x08),
        "pipe_empty": cause == "pipe_empty",
        "leakage": cause == "leakage",
        "backflow": cause == "backflow",
        "low_temperature": cause == "low_temperature",
        "burst": cause == "burst",
    }
    if temporary and cause is None:
        found["status"] = status  # of a cause that is not published, tampering for one
    return found


def _extended(frame: Frame, context: Context) -> dict[str, Any]:
    frame.require(17)
    if len(frame) % 2 == 0 and frame.data[-1] != _PADDING:
        raise FrameError("length", f"{len(frame) - 17} bytes of hourly volumes, expected two for each hour")
    now, status, volume = frame.unpack("<IBI")
    minutes = context.parameter("log_interval_min")
    interval = int(60 * minutes) if minutes is not None and 1 <= minutes <= 1440 else 3600
    log = _log(frame, 9, now, interval)
    with_temperature = False
    if not log or now - log[-1]["time"] > _DAY:
        # bytes that are read at the wrong place may make a time that fits by chance, but seldom one that fits as well
        other = _log(frame, 11, now, interval)
        with_temperature = bool(other) and (not log or other[-1]["time"] > log[-1]["time"])
        if with_temperature:
            log = other
    if not log:
        raise FrameError("implausible", f"read at {now}, which no log in it fits: a corrupted frame")
    found = {"lastLogTime": now, "lastVolume": volume, **_status(status), "volumes": log}
    if with_temperature:
        found["temperature"] = frame.i16le(9) / 100
    return found


def _log(frame: Frame, at: int, now: int, interval: int) -> Log:
    """The log that begins at byte ``at``; none if its times cannot be."""
    if len(frame) < at + 8:
        return []
    time, volume = frame.unpack("<II", at)
    if not 0 <= now - time <= _MEMORY:
        return []
    log = [{"time": time, "volume": volume}]
    data = frame.data
    for place in range(at + 8, len(data) - 1, 2):
        delta = data[place] | data[place + 1] << 8
        if delta == _PADDING << 8 | _PADDING:
            break
        time += interval
        volume += delta
        log.append({"time": time, "volume": volume})
    return log if time <= now else []


def _enhanced(frame: Frame) -> dict[str, Any]:
    now, status, volume = frame.unpack("<IBI", 1)
    packed = int.from_bytes(frame.part(10, 41), "little")
    multiplier = packed >> 14 * _ENHANCED_HOURS
    time = now - now % _DAY - _ENHANCED_HOURS * _HOUR
    found: dict[str, Any] = {"timestamp_unix": now, **_status(status)}
    log = [{"time": time, "volume": volume}]
    if multiplier:
        found["history_multiplier"] = multiplier
    else:
        for hour in range(_ENHANCED_HOURS):
            time += _HOUR
            volume += packed >> 14 * hour & 0x3FFF
            log.append({"time": time, "volume": volume})
    return {**found, "volumes": log}


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
