"""Adeunis TEMP, COMFORT and PULSE (third and fourth generation). Big endian. Any f_port.

After the vendor's published frames with their values, and its technical reference manuals.

    KK SS ...  [TTTTTTTT]
    TEMP, 57       XXXX ...                of two sensors XXXX YYYY ...
    COMFORT, 4c    XXXX HH ...
    PULSE, 46      AAAAAAAA BBBBBBBB
    PULSE, 5a, 5b  AAAAAAAA DDDD ...       what the counter A (5b: B) had been is less by D each time
K kind    S status: FFFP_CL_    F counts frames    P two sensors    C with a time    L battery low
T seconds since 2013    X, Y temperature, int16, 0.1 °C    H humidity, %

Values follow each other from now on backwards. How far they are apart is a setting that the frame does not say, so
only the first is measured; the others are kept. Other kinds (alarms, settings, network, alive) are kept as they came.
"""

from collections.abc import Callable, Mapping

from smartdorf.decoding import Context, Frame, FrameError

_EPOCH = 1_356_998_400  # 2013 in Unix seconds
_TWO_SENSORS, _WITH_TIME, _BATTERY_LOW = 0x10, 0x04, 0x02
# settings, network, answers, alive
_COMMON = frozenset({0x10, 0x11, 0x12, 0x1F, 0x20, 0x2F, 0x30, 0x31, 0x33, 0x36, 0x37})

Values = Callable[[Frame, int], dict]  # of the frame up to a byte


def _whole(end: int, size: int) -> None:
    if end <= 2:
        raise FrameError("too_short", "there is no value")
    if (end - 2) % size:
        raise FrameError("length", f"values have {size} bytes each, got {end - 2} bytes")


def _temperatures(frame: Frame, end: int) -> dict:
    sensors = 2 if frame.u8(1) & _TWO_SENSORS else 1
    _whole(end, 2 * sensors)
    values = [frame.i16(at) / 10 for at in range(2, end, 2)]
    return {"temperatures": [{"values": values[sensor::sensors]} for sensor in range(sensors)]}


def _comfort(frame: Frame, end: int) -> dict:
    _whole(end, 3)
    return {
        "temperature": {"values": [frame.i16(at) / 10 for at in range(2, end, 3)]},
        "humidity": {"values": [frame.u8(at + 2) for at in range(2, end, 3)]},
    }


def _counters(frame: Frame, end: int) -> dict:
    if end != 10:
        raise FrameError("length", f"two counters have 8 bytes, got {end - 2}")
    first, second = frame.unpack(">II", 2)
    return {"counterA": [first], "counterB": [second]}


def _counter_history(name: str) -> Values:
    def read(frame: Frame, end: int) -> dict:
        if end < 6 or end % 2:
            raise FrameError("length", f"a counter and its changes have 4, 6, 8 ... bytes, got {end - 2}")
        values = [frame.u32(2)]
        for at in range(6, end, 2):
            values.append(values[-1] - frame.u16(at))
        return {name: values}

    return read


MODELS: Mapping[str, Mapping[int, Values]] = {
    "adeunis/comfort": {0x4C: _comfort},
    "adeunis/pulse": {
        0x46: _counters,
        0x5A: _counter_history("counterA"),
        0x5B: _counter_history("counterB"),
    },
    "adeunis/temp": {0x57: _temperatures},
}
_ALARMS = {"adeunis/comfort": 0x4D, "adeunis/pulse": 0x47, "adeunis/temp": 0x58}


def decode(frame: Frame, context: Context) -> dict:
    kind, status = frame.unpack("BB")
    found: dict = {
        "type": f"{kind:02x}",
        "status": {"frameCounter": status >> 5, "lowBattery": bool(status & _BATTERY_LOW)},
    }
    read = MODELS[context.model].get(kind)
    if read is None:
        if kind in _COMMON or kind == _ALARMS[context.model]:
            return found | {"frame": frame.data[2:].hex()}
        raise FrameError("implausible", f"this model has no frame of kind {kind:02x}")
    end = len(frame)
    if status & _WITH_TIME:
        end -= 4
        frame.require(6)
        found["timestamp"] = _EPOCH + frame.u32(end)
    return found | read(frame, end)
