"""Browan Tabs sensors: one row of ``MODELS`` for each model. Little endian.

After the published codecs and frames.

    TBWL100, f_port 106, 5 bytes     SS BB PP HH TT
    TBHH100, f_port 103, 8 bytes     SS BB TT HH ________
    TBMS100, f_port 102, 8 bytes     SS BB TT MMMM NNNNNN
S status, a bit each   B battery in its lower four bits, 0.1 V above 2.5   T temperature in seven bits, °C above -32
P the same on the board   H humidity in seven bits, %; 127 is a fault of the sensor
M minutes since somebody moved   N how often somebody has moved

The TBHH100 leaves room for gases that only its sister models measure.
"""

from collections.abc import Callable, Mapping

from smartdorf.decoding import Context, Frame, FrameError

_NO_HUMIDITY = 127


def _battery(byte: int) -> float:
    return (25 + (byte & 0x0F)) / 10


def _temperature(byte: int) -> int:
    return (byte & 0x7F) - 32


def _humidity(byte: int) -> dict:
    humidity = byte & 0x7F
    return {} if humidity == _NO_HUMIDITY else {"humidity": humidity}


def _leak(frame: Frame) -> dict:
    frame.expect(5)
    status, battery, board, humidity, temperature = frame.unpack("5B")
    return {
        "status": status & 1,
        "statusChanged": status >> 4 & 1,
        "temperatureChanged": status >> 5 & 1,
        "humidityChanged": status >> 6 & 1,
        "battery": _battery(battery),
        "temperatureBoard": _temperature(board),
        "temperature": _temperature(temperature),
        **_humidity(humidity),
    }


def _climate(frame: Frame) -> dict:
    frame.expect(8)
    battery, temperature, humidity = frame.unpack("3B", 1)
    return {
        "battery_volt": _battery(battery),
        "temperature": _temperature(temperature),
        **_humidity(humidity),
    }


def _motion(frame: Frame) -> dict:
    frame.expect(8)
    status, battery, temperature, minutes = frame.unpack("<BBBH")
    return {
        "mot_motionst": status & 1,
        "battery_volt": _battery(battery),
        "temperature": _temperature(temperature),
        "mot_times": minutes,
        "count": frame.u24le(5),
    }


# model → its f_port and layout
MODELS: Mapping[str, tuple[int, Callable[[Frame], dict]]] = {
    "browan/tbhh100": (103, _climate),
    "browan/tbms100": (102, _motion),
    "browan/tbwl100": (106, _leak),
}


def decode(frame: Frame, context: Context) -> dict:
    f_port, read = MODELS[context.model]
    if frame.f_port != f_port:
        raise FrameError.unknown_f_port(frame)
    return read(frame)
