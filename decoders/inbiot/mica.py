"""inBiot MICA, air quality indoors: the models MICA, MINI, PLUS and WELL. Big endian.

After the vendor's published codec and frames. Any f_port.

    01 TTTT HHHH CCCC FFFF VVVV 1111 2222 4444 AAAA OOOO NNNN MMMM ZZZZ YYYYYYYY__ II tt vv qq mm dd
    00 ...  and  02 VV __ SS ...     settings; firmware VV.SS and what the device is
T temperature, int16, 0.1 °C    H humidity, 0.1 %    C carbon dioxide, ppm    F formaldehyde, µg/m³    V VOC, ppb
1 2 4 A particles PM1, PM2.5, PM4, PM10, µg/m³    O ozone, N nitrogen dioxide, ppb    M carbon monoxide, 0.1 ppm
Z number of the message      Y which model, as text      I t v q m indices of ventilation, thermal comfort, virus, air
quality and mould      d noise, dB; it may be followed by a byte more

All ones mean that the sensor is preheating or that the device has none. Which gases count is told by the model: the
others send what stands there by chance.
"""

from smartdorf.decoding import Context, Frame, FrameError

_NONE_16, _NONE_8 = 0xFFFF, 0xFF
_BEFORE = "Preheating"
_MODELS = ("MINI", "MICA", "PLUS", "WELL")
# name, how many make one unit, and which models have it
_GASES = (
    ("co2", 1, _MODELS),
    ("ch2o", 1, ("PLUS", "WELL")),
    ("tvoc", 1, ("MICA", "PLUS", "WELL")),
    ("pm1_0", 1, ("PLUS", "WELL")),
    ("pm2_5", 1, ("MICA", "PLUS", "WELL")),
    ("pm4", 1, ("PLUS", "WELL")),
    ("pm10", 1, ("MICA", "PLUS", "WELL")),
    ("o3", 1, ("WELL",)),
    ("no2", 1, ("WELL",)),
    ("co", 10, ("WELL",)),
)
_INDICES = ("tIndex", "virusIndex", "iaqIndex", "moldIndex")


def decode(frame: Frame, context: Context) -> dict:
    kind = frame.u8(0)
    if kind == 0:
        frame.require(2)
        return {"settings": frame.data[1:].hex()}
    if kind == 1:
        return _measured(frame)
    if kind == 2:
        frame.require(4)
        return {"fwVersion": f"{frame.u8(1)}.{frame.u8(3)}", "information": frame.data[4:].hex()}
    raise FrameError("implausible", f"message of type {kind:02x}, expected 00 to 02")


def _measured(frame: Frame) -> dict:
    frame.expect(38, 39)
    model = frame.part(27, 4).decode("ascii", errors="replace").strip("\0 ")
    if model not in _MODELS:
        raise FrameError("implausible", f"there is no model {model!r}")
    found: dict = {"type": model}
    temperature, humidity = frame.i16(1), frame.u16(3)
    if temperature != -1:  # ffff
        found["temperature"] = temperature / 10
    if humidity != _NONE_16:
        found["humidity"] = humidity / 10
    for number, (name, divisor, models) in enumerate(_GASES):
        if model in models:
            value = frame.u16(5 + 2 * number)
            found[name] = _BEFORE if value == _NONE_16 else value / divisor if divisor > 1 else value
    found["counter"], found["vIndex"] = frame.u16(25), frame.u8(32)
    for at, name in enumerate(_INDICES, 33):
        value = frame.u8(at)
        found[name] = "Calculating" if value == _NONE_8 else value
    noise = frame.u8(37)
    if noise:  # 0: without a microphone
        found["dB"] = _BEFORE if noise == _NONE_8 else noise
    return found
