"""SenseCAP S2120, weather station with eight sensors. Big endian.

After the published codec and frames. Any f_port.

    II V...  II V...  II V...
I which part, its length follows from it; parts come in any order
    01, 4a    TTTT HH LLLLLLLL UU WWWW      02, 4b    DDDD RRRRRRRR PPPP      4c    GGGG AAAAAAAA
    03        BB                            04        BB FFFF FFFF MMMM MMMM      05    MMMM MMMM
    06        EE                            10        QQ KKKKKKKK KKKKKKKK
T temperature, int16, 0.1 °C    H humidity, %    L light, lx    U UV index, 0.1    W wind, G gust, 0.1 m/s
D direction of the wind, degrees    R rain, 0.001 mm/h    A rain so far, 0.001 mm    P pressure, 10 Pa
B battery, %    F versions of hardware and firmware    M intervals, minutes
E fault of the sensor    Q, K which sensor
"""

from smartdorf.decoding import Context, Frame, parts

_AIR = parts.in_order(
    parts.number("Air Temperature", ">h", 10),
    parts.number("Air Humidity", "b"),
    parts.number("Light Intensity", ">I"),
    parts.number("UV Index", "B", 10),
    parts.number("Wind Speed", ">H", 10),
)
_WEATHER = parts.in_order(
    parts.number("Wind Direction Sensor", ">H"),
    parts.number("Rain Gauge", ">I", 1000),
    parts.number("Barometric Pressure", ">H"),
)
_BATTERY = parts.number("Battery", "B")
_INTERVALS = parts.in_order(parts.number("measureInterval", ">H"), parts.number("gpsInterval", ">H"))
PARTS: parts.Table = {
    b"\x01": _AIR,
    b"\x02": _WEATHER,
    b"\x03": _BATTERY,
    b"\x04": parts.in_order(
        _BATTERY,
        parts.raw("Hardware Version", 2),
        parts.raw("Firmware Version", 2),
        _INTERVALS,
    ),
    b"\x05": _INTERVALS,
    b"\x06": parts.number("errCode", "B"),
    b"\x10": parts.raw("sensor", 9),
    b"\x4a": _AIR,
    b"\x4b": _WEATHER,
    b"\x4c": parts.in_order(
        parts.number("Peak Wind Gust", ">H", 10), parts.number("Rain Accumulation", ">I", 1000)
    ),
}


def decode(frame: Frame, context: Context) -> dict:
    frame.require(2)
    return parts.tagged(frame, 1, PARTS)
