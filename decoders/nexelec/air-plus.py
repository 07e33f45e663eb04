"""Nexelec AIR+, alarm and measurement of carbon monoxide. Big endian, packed by bits.

After the vendor's published codec and frames. Any f_port.

    AE 00  HHHHHHHH SSSSSSSS LLLLLLLL FFF_BB__          how it is
    AE 01  CCCCCCCC CCPAQ_X_ WWWWWWWW                   alarm
    AE 02  CCCCCCCC CCTTTTTT TTTTHHHH HHHHGGGR RRR_____ measured now
    AE 03, 04 ...                                       settings, which are kept as they came
H hardware    S software, tenths    L months left to live    F faults: carbon monoxide, temperature, memory    B battery
C carbon monoxide, ppm    P, A alarm before and alarm    Q silenced    X test    W weeks since the last test
T temperature, 0.1 °C above -30    H humidity, 0.5 %    G grade of the air    R its reason

All ones mean that a value cannot be measured, one less that the sensor is not there.
"""

from smartdorf.decoding import Context, Frame, FrameError

_PRODUCT = 0xAE
_BATTERY = ("High", "Medium", "Low", "Critical")
_GRADES = ("Excellent", "Good", "Fair", "Poor", "Bad", "Not used", "Not used", "Error")
_ACTIVE = ("Not active", "Active")
_NO_CARBON_MONOXIDE = 1023
_NO_TEMPERATURE, _NO_HUMIDITY = 1022, 254  # and what is above


def decode(frame: Frame, context: Context) -> dict:
    product, kind = frame.unpack("BB")
    if product != _PRODUCT:
        raise FrameError("implausible", f"product {product:02x} says this, expected {_PRODUCT:02x}")
    if kind in (3, 4):
        return {"kind": kind, "settings": frame.data[2:].hex()}
    read = _KINDS.get(kind)
    if read is None:
        raise FrameError("implausible", f"no message of type {kind:02x}")
    return read(frame)


def _status(frame: Frame) -> dict:
    hardware, software, months, flags = frame.unpack("4B", 2)
    return {
        "typeOfMessage": "Product Status",
        "hwRevision": hardware,
        "swRevision": software / 10,
        "remainingProductLifetime": {"value": months, "unit": "month"},
        "fault": flags >> 5,
        "energyStatus": _BATTERY[flags >> 2 & 3],
    }


def _alarm(frame: Frame) -> dict:
    bits, weeks = frame.unpack(">HB", 2)
    return {
        "typeOfMessage": "CO Alarm Status",
        **_carbon_monoxide(bits >> 6),
        "preAlarm": _ACTIVE[bits >> 5 & 1],
        "localAlarm": _ACTIVE[bits >> 4 & 1],
        "coAlarmHush": _ACTIVE[bits >> 3 & 1],
        "timeSinceLastTest": {"value": weeks, "unit": "week"},
    }


def _measured(frame: Frame) -> dict:
    bits = int.from_bytes(frame.part(2, 5), "big")
    temperature, humidity = bits >> 20 & 0x3FF, bits >> 12 & 0xFF
    found = {
        "typeOfMessage": "Real Time",
        **_carbon_monoxide(bits >> 30),
        "iaqGlobal": _GRADES[bits >> 9 & 7],
        "iaqReason": bits >> 5 & 0xF,
    }
    if temperature < _NO_TEMPERATURE:
        found["temperature"] = {"value": (temperature - 300) / 10, "unit": "°C"}
    if humidity < _NO_HUMIDITY:
        found["relativeHumidity"] = {"value": humidity / 2, "unit": "%RH"}
    return found


def _carbon_monoxide(value: int) -> dict:
    return {} if value == _NO_CARBON_MONOXIDE else {"coConcentration": {"value": value, "unit": "ppm"}}


_KINDS = {0: _status, 1: _alarm, 2: _measured}
