"""Nexelec AIR+, alarm and measurement of carbon monoxide. Big endian, packed by bits.

After the frames that the vendor has published with their values; their fields are packed as in its other sensors, whose
guides also tell the fillers. Any f_port.

    AE 01  CCCCCCCC CC______ ________                                   alarm
    AE 02  CCCCCCCC CCTTTTTT TTTTHHHH HHHHGGGS SSS_____                 measured now
    AE kk  ...                                                          settings, which are kept as they came
C carbon monoxide, ppm    T temperature, 0.1 °C above -30    H humidity, 0.5 %
G, S grade of the air and its cause, kept as they came

All ones mean that it cannot be measured.
"""

from smartdorf.decoding import Context, Frame, FrameError

_PRODUCT = 0xAE
_FAULT_10, _FAULT_8 = 0x3FF, 0xFF


def decode(frame: Frame, context: Context) -> dict:
    product, kind = frame.unpack("BB")
    if product != _PRODUCT:
        raise FrameError("implausible", f"product {product:02x} says this, expected {_PRODUCT:02x}")
    if kind == 1:
        frame.expect(5)
        return {"typeOfMessage": "CO Alarm Status", **_carbon_monoxide(frame.u16(2) >> 6)}
    if kind == 2:
        frame.expect(7)
        bits = int.from_bytes(frame.part(2, 5), "big")
        return {"typeOfMessage": "Real Time", **_carbon_monoxide(bits >> 30), **_climate(bits)}
    return {"kind": kind, "settings": frame.data[2:].hex()}


def _carbon_monoxide(value: int) -> dict:
    return {} if value == _FAULT_10 else {"coConcentration": {"value": value, "unit": "ppm"}}


def _climate(bits: int) -> dict:
    temperature, humidity = bits >> 20 & 0x3FF, bits >> 12 & 0xFF
    found: dict = {"iaq": bits >> 5 & 0x7F}
    if temperature != _FAULT_10:
        found["temperature"] = {"value": (temperature - 300) / 10, "unit": "°C"}
    if humidity != _FAULT_8:
        found["relativeHumidity"] = {"value": humidity / 2, "unit": "%RH"}
    return found
