"""Digital Matter Oyster3 and Yabby3, battery-powered trackers. Little endian.

After the published codec and its frames.

    f_port 1, position in full, 11 bytes: LLLLLLLL NNNNNNNN  HHHHHHFT  SS  BB
    f_port 4, position, 9 bytes:          LLLLLL NNNNNN  SSSSSHHH  BB  _____MFT
    f_port 2, answer to a downlink:       AQQQQQQQ  JJ  II
    f_port 3, statistics, 11 bytes: fields of some bits each, from the lowest bit on, see _STATISTICS
L, N latitude, longitude, 1e-7 degree, on f_port 4 the upper three of four bytes     F no fix, the position is the last
H heading, 5.625 or 45 degrees      S speed, km/h or 5 km/h      B battery, 25 mV    T in a trip      M man down
A accepted      Q number of the downlink      J, I firmware, major and minor
"""

from smartdorf.decoding import Context, Frame, FrameError

_BATTERY_STEP = 0.025  # V
# name, how many bits, and what one is worth
_STATISTICS = (
    ("initialBatV", 4, 1),
    ("txCount", 11, 32),
    ("tripCount", 13, 32),
    ("gpsSuccesses", 10, 32),
    ("gpsFails", 8, 32),
    ("aveGpsFixS", 9, 1),
    ("aveGpsFailS", 9, 1),
    ("aveGpsFreshenS", 8, 1),
    ("wakeupsPerTrip", 7, 1),
    ("uptimeWeeks", 9, 1),
)


def decode(frame: Frame, context: Context) -> dict:
    if frame.f_port == 1:
        return _full_position(frame)
    if frame.f_port == 2:
        frame.require(3)
        said, major, minor = frame.unpack("3B")
        return {
            "type": "downlink ack",
            "sequence": said & 0x7F,
            "accepted": bool(said >> 7),
            "fwMaj": major,
            "fwMin": minor,
        }
    if frame.f_port == 3:
        return _statistics(frame)
    if frame.f_port == 4:
        return _position(frame)
    raise FrameError.unknown_f_port(frame)


def _full_position(frame: Frame) -> dict:
    frame.require(11)
    latitude, longitude, flags, speed, battery = frame.unpack("<iiBBB")
    return {
        "type": "position",
        "inTrip": bool(flags & 1),
        "fixFailed": bool(flags & 2),
        **_where(flags, latitude, longitude, (flags >> 2) * 5.625, speed),
        "batV": round(battery * _BATTERY_STEP, 2),
    }


def _position(frame: Frame) -> dict:
    frame.require(9)
    motion, battery, flags = frame.unpack("3B", 6)
    return {
        "type": "position",
        "inTrip": bool(flags & 1),
        "fixFailed": bool(flags & 2),
        "manDown": bool(flags & 4),
        **_where(flags, _upper_bytes(frame, 0), _upper_bytes(frame, 3), (motion & 7) * 45, (motion >> 3) * 5),
        "batV": round(battery * _BATTERY_STEP, 2),
    }


def _upper_bytes(frame: Frame, at: int) -> int:
    return int.from_bytes(frame.part(at, 3), "little", signed=True) * 256


def _where(flags: int, latitude: int, longitude: int, heading: float, speed: int) -> dict:
    """Without a fix it repeats where it was last, which says nothing about now."""
    found = {
        "latitudeDeg": latitude / 1e7,
        "longitudeDeg": longitude / 1e7,
        "headingDeg": heading,
        "speedKmph": speed,
    }
    return {"cached": found} if flags & 2 else found


def _statistics(frame: Frame) -> dict:
    frame.require(11)
    bits = int.from_bytes(frame.part(0, 11), "little")
    found: dict = {"type": "stats"}
    for name, width, worth in _STATISTICS:
        found[name] = (bits & ((1 << width) - 1)) * worth
        bits >>= width
    found["initialBatV"] = 4 + found["initialBatV"] / 10
    return found
