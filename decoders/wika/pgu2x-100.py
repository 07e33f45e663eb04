"""WIKA PGU2x.100 pressure gauge with the radio unit NETRIS3. Big endian.

After the published codec and its frames:

    f_port 10, the first two bytes are the kind of message and the number of the configuration
    01 02  CC  __  PPPP TTTT               measured, 02: while an alarm lasts
    03  CC  __  GIIIITTT VVVV ...          alarm of a limit      G: has ended, I: channel, T: kind of alarm, V: value
    04  CC  __  NN VVVV ...                alarm of the instrument
    05  CC  AAAA                           alarm of the radio unit
    07  CC  RR SS MMMM  QQ LLLLLLLL HHHHHHHH UU  QQ LLLLLLLL HHHHHHHH UU      about itself
    08  CC  NNNNNNNN NNNNNNNN              alive: how often it has measured and sent
P pressure and T temperature: 2500 is the low end of the range and 12500 the high one, FFFF is none. The temperature's
range is -40 to 60 °C, the pressure's stands on the gauge.      Q U numbers of quantity and unit, L H ends of the range
A message with only one of the two channels does not say which it is, and measures nothing.
"""

from math import isfinite
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_NONE = 0xFFFF
_ALARMS = (
    "lowThreshold", "highThreshold", "fallingSlope", "risingSlope", "lowThresholdWithDelay", "highThresholdWithDelay",
)  # fmt: skip
_SLOPES = ("fallingSlope", "risingSlope")


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port != 10:
        raise FrameError.unknown_f_port(frame)
    kind, configuration = frame.unpack(">BB")
    if kind in (1, 2):
        name = "dataNoAlarm" if kind == 1 else "dataWithAlarm"
        found = _measured(frame, context)
    elif kind == 3:
        name, found = "processAlarm", {"processAlarms": _limits(frame)}
    elif kind == 4:
        name, found = "technicalAlarm", {"technicalAlarms": _instrument(frame)}
    elif kind == 5:
        name, found = "radioUnitAlarm", {"radioAlarms": _radio(frame)}
    elif kind == 7:
        name, found = "identification", _itself(frame)
    elif kind == 8:
        frame.expect(10)
        measured, sent = frame.unpack(">II", 2)
        name, found = "keepAlive", {"numberOfMeasurements": measured, "numberOfTransmissions": sent}
    else:
        raise FrameError("implausible", f"there is no message of kind {kind:02x}")
    return {"messageType": name, "configId": configuration, **found}


def _measured(frame: Frame, context: Context) -> dict[str, Any]:
    frame.expect(5, 7)
    if len(frame) == 5:
        return {"measurements": {"single": _channel(frame.u16(3))}}
    pressure, temperature = _channel(frame.u16(3)), _channel(frame.u16(5))
    low, high = context.parameter("pressure_min_bar"), context.parameter("pressure_max_bar")
    if pressure["isValid"] and low is not None and high is not None:
        pressure["pressureBar"] = round(low + (high - low) * (pressure["raw"] - 2500) / 10000, 6)
    if temperature["isValid"]:
        temperature["temperatureC"] = (temperature["raw"] - 6500) / 100
    return {"measurements": {"channel0": pressure, "channel1": temperature}}


def _channel(raw: int) -> dict[str, Any]:
    if raw == _NONE:
        return {"raw": raw, "isValid": False}
    return {"raw": raw, "percentOfSpan": (raw - 2500) / 100, "isValid": True}


def _entries(frame: Frame) -> list[tuple[int, int]]:
    frame.require(6)
    if len(frame) % 3:
        raise FrameError("length", f"alarms have 3 bytes each, got {len(frame) - 3} bytes")
    return [(frame.u8(at), frame.u16(at + 1)) for at in range(3, len(frame), 3)]


def _limits(frame: Frame) -> list[dict[str, Any]]:
    alarms = []
    for head, value in _entries(frame):
        number = head & 0x07
        name = _ALARMS[number] if number < len(_ALARMS) else "reserved"
        slope = name in _SLOPES
        alarms.append(
            {
                "sense": "disappeared" if head & 0x80 else "triggered",
                "channelId": head >> 3 & 0x0F,
                "alarmType": name,
                "relatedRaw": value,
                "relatedValue": value / 100 if slope else (value - 2500) / 100,
                "relatedUnit": "%Span/min" if slope else "%Span",
            }
        )
    return alarms


def _instrument(frame: Frame) -> list[dict[str, Any]]:
    return [
        {"alarmCode": code, "relatedRaw": value, "error": bool(value & 0x01), "warning": bool(value & 0x02)}
        for code, value in _entries(frame)
    ]


def _radio(frame: Frame) -> dict[str, bool]:
    frame.expect(4)
    status = frame.u16(2)
    return {
        "uartCommunicationError": bool(status & 0x0100),
        "dutyCycleExceeded": bool(status & 0x0004),
        "temperatureOutOfRange": bool(status & 0x0002),
        "lowBattery": bool(status & 0x0001),
    }


def _itself(frame: Frame) -> dict[str, Any]:
    frame.expect(26)
    product, sub_product, instrument = frame.unpack(">BBH", 2)
    found: dict[str, Any] = {
        "wirelessProductId": product,
        "wirelessProductSubId": sub_product,
        "instrumentTypeId": instrument,
    }
    for name, at in (("channel0", 6), ("channel1", 16)):
        quantity, low, high, unit = frame.unpack(">BffB", at)
        found[name] = {"measurandId": quantity, "unitId": unit}
        if isfinite(low) and isfinite(high):
            found[name] |= {"minRange": low, "maxRange": high}
    return found
