"""Laird (Ezurio) Sentrius RS1xx sensors: temperature and humidity, or an outside RTD. Big endian.

After "Sentrius RS1xx LoRaWAN Protocol". Any f_port.

    01 OO  VVVV...  BB AAAA KKKK                    measured now
    02 OO  ______ BB NN SSSSSSSS  VVVV...           several measured, N of them; A and K are in the first three bytes
    03 OO  SSSSSSSS VVVV...                         measured earlier, when nobody heard it
    04 OO  NN  SSSSSSSS VVVV...  SSSSSSSS VVVV...   N of these
    05 OO ...   06 OO ...                           settings
    07 OO  YY MM DD  RR rr  PPPPPPPP                firmware
O options, a bit each   B battery, in six steps   A alarms so far   K measurements kept   S seconds since 2000
V humidity and temperature of the inner sensor, or the RTD's temperature:
    hh HH tt TT        hundredths, whole: of humidity (%), of temperature (°C, both of them int8)
    tttt TTTT          hundredths, whole (both int16, °C)

How far apart the values of message 02 are is a setting that the frame does not say, so they are kept without times.
"""

from collections.abc import Callable, Mapping

from smartdorf.decoding import Context, Frame, FrameError

_EPOCH = 946_684_800  # 2000 in Unix seconds
_BATTERY = ("0-5%", "5-20%", "20-40%", "40-60%", "60-80%", "80-100%")
_OPTIONS = ("Sensor request for server time", "Sensor configuration error", "Sensor alarm flag")
_SIZE = 4  # of the values, in both kinds of sensors

Values = Callable[[Frame, int], dict]


def _inner(frame: Frame, at: int) -> dict:
    humidity, humidity_whole, temperature, whole = frame.unpack("BBbb", at)
    return {
        "humidity": _joined(humidity_whole, humidity),
        "temperature": _joined(whole, temperature),
    }


def _rtd(frame: Frame, at: int) -> dict:
    hundredths, whole = frame.unpack(">hh", at)
    return {"temperature": _joined(whole, hundredths)}


def _joined(whole: int, hundredths: int) -> float:
    return (100 * whole + hundredths) / 100


MODELS: Mapping[str, tuple[str, Values]] = {
    "laird/rs1xx-ext-temp-rtd": ("RTD", _rtd),
    "laird/rs1xx-temp-rh": ("TH", _inner),
}


def decode(frame: Frame, context: Context) -> dict:
    name, values = MODELS[context.model]
    kind, bits = frame.unpack("BB")
    options = [word for bit, word in enumerate(_OPTIONS) if bits >> bit & 1] or ["None"]
    if kind == 1:
        frame.expect(11)
        battery, alarms, kept = frame.unpack(">BHH", 6)
        return {
            "msgType": f"Laird_Internal_{name}",
            "options": options,
            **values(frame, 2),
            "batteryCapacity": _battery(battery),
            "alarmMsgCount": alarms,
            "backlogMsgCount": kept,
        }
    if kind == 2:
        return {"msgType": f"Laird_Agg_{name}", "options": options, **_aggregated(frame, values)}
    if kind == 3:
        frame.expect(6 + _SIZE)
        return {"msgType": "SendBackLogMessage", "options": options, "backlog": [_kept(frame, 2, values)]}
    if kind == 4:
        number = frame.u8(2)
        frame.expect(3 + number * (4 + _SIZE))
        backlog = [_kept(frame, at, values) for at in range(3, len(frame), 4 + _SIZE)]
        return {"msgType": "SendBackLogMessages", "options": options, "backlog": backlog}
    if kind in (5, 6):
        return {"msgType": "settings", "options": options, "settings": frame.data[2:].hex()}
    if kind == 7:
        return {"msgType": "Laird_FW_Version", "options": options, **_firmware(frame)}
    raise FrameError("implausible", f"message of type {kind:02x}, expected 01 to 07")


def _battery(step: int) -> str | int:
    return _BATTERY[step] if step < len(_BATTERY) else step


def _kept(frame: Frame, at: int, values: Values) -> dict:
    return {"timestamp": _EPOCH + frame.u32(at), **values(frame, at + 4)}


def _aggregated(frame: Frame, values: Values) -> dict:
    battery, number, time = frame.unpack(">BBI", 5)
    frame.expect(11 + number * _SIZE)
    return {
        "batteryCapacity": _battery(battery),
        "numberOfReadings": number,
        "since": _EPOCH + time,
        "aggregated": [values(frame, at) for at in range(11, len(frame), _SIZE)],
    }


def _firmware(frame: Frame) -> dict:
    frame.expect(11)
    year, month, day, major, minor, part = frame.unpack(">5BI", 2)
    return {
        "releaseDate": f"{year}/{month}/{day}",
        "releaseNumber": f"{major}.{minor}",
        "partNumber": part,
    }
