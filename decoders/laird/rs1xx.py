"""Laird (Ezurio) Sentrius RS1xx sensors: temperature and humidity, or an outside RTD. Big endian.

After the vendor's published codecs and frames. Any f_port.

    01 OO  VVVV...  BB AAAA KKKK                    measured now; 0b from an RTD
    02 OO  AA KKKK BB NN SSSSSSSS  VVVV...          several measured, N of them
    03 OO  SSSSSSSS VVVV...                         measured earlier, when nobody heard it
    04 OO  NN  SSSSSSSS VVVV...  SSSSSSSS VVVV...   N of these
    05, 06, 0c OO ...                               settings
    07 OO  YY MM DD  RR rr  PPPPPPPP                firmware
    0a OO  uu UU                                    voltage of the battery: hundredths, whole
O options, a bit each   B battery, in six steps   A alarms so far   K measurements kept
S seconds since 2015, as the vendor's codec says; another publisher counts them from 2000
V humidity and temperature of the inner sensor, or the RTD's temperature:
    hh HH tt TT        hundredths, whole: of humidity (%), of temperature (°C, both of them int8)
    tttt TTTT          hundredths, whole (both int16, °C)

How far apart the values of message 02 are is a setting that the frame does not say, so they are kept without times.
"""

from collections.abc import Callable, Mapping

from smartdorf.decoding import Context, Frame, FrameError

_EPOCH = 1_420_070_400  # 2015 in Unix seconds
_BEFORE_IT_EXISTED = 365 * 86_400  # seconds; a clock that was never set counts from the beginning
_BATTERY = ("0-5%", "5-20%", "20-40%", "40-60%", "60-80%", "80-100%")
_OPTIONS = (
    "Sensor request for server time", "Sensor configuration error", "Sensor alarm flag", "Sensor reset flag",
    "Sensor fault flag",
)  # fmt: skip
_SETTINGS = (0x05, 0x06, 0x0C)
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


# the message with what was measured now, its name, and what it measured
MODELS: Mapping[str, tuple[int, str, Values]] = {
    "laird/rs1xx-ext-temp-rtd": (0x0B, "Laird_RTD", _rtd),
    "laird/rs1xx-temp-rh": (0x01, "Laird_Internal_TH", _inner),
}


def decode(frame: Frame, context: Context) -> dict:
    now, name, values = MODELS[context.model]
    kind, bits = frame.unpack("BB")
    options = [word for bit, word in enumerate(_OPTIONS) if bits >> bit & 1] or ["None"]
    if kind == now:
        return {"msgType": name, "options": options, **_measured(frame, values)}
    if kind in _SETTINGS:
        return {"msgType": "settings", "options": options, "settings": frame.data[2:].hex()}
    if kind not in _OTHERS:
        raise FrameError("implausible", f"this model has no message of type {kind:02x}")
    name, read = _OTHERS[kind]
    return {"msgType": name, "options": options, **read(frame, values)}


def _measured(frame: Frame, values: Values) -> dict:
    frame.expect(11)
    battery, alarms, kept = frame.unpack(">BHH", 6)
    return {
        **values(frame, 2),
        "batteryCapacity": _battery(battery),
        "alarmMsgCount": alarms,
        "backlogMsgCount": kept,
    }


def _kept_one(frame: Frame, values: Values) -> dict:
    frame.expect(6 + _SIZE)
    return {"backlog": [_kept(frame, 2, values)]}


def _kept_several(frame: Frame, values: Values) -> dict:
    number = frame.u8(2)
    frame.expect(3 + number * (4 + _SIZE))
    return {"backlog": [_kept(frame, at, values) for at in range(3, len(frame), 4 + _SIZE)]}


def _voltage(frame: Frame, values: Values) -> dict:
    frame.expect(4)
    return {"voltage": _joined(frame.i8(3), frame.i8(2))}


def _battery(step: int) -> str | int:
    return _BATTERY[step] if step < len(_BATTERY) else step


def _kept(frame: Frame, at: int, values: Values) -> dict:
    seconds = frame.u32(at)
    time = {"unset_clock": seconds} if seconds < _BEFORE_IT_EXISTED else {"timestamp": _EPOCH + seconds}
    return {**time, **values(frame, at + 4)}


def _aggregated(frame: Frame, values: Values) -> dict:
    alarms, kept, battery, number, time = frame.unpack(">BHBBI", 2)
    frame.expect(11 + number * _SIZE)
    return {
        "alarmMsgCount": alarms,
        "backlogMsgCount": kept,
        "batteryCapacity": _battery(battery),
        "numberOfReadings": number,
        "since": _EPOCH + time,
        "aggregated": [values(frame, at) for at in range(11, len(frame), _SIZE)],
    }


def _firmware(frame: Frame, values: Values) -> dict:
    frame.expect(11)
    year, month, day, major, minor, part = frame.unpack(">5BI", 2)
    return {
        "releaseDate": f"{year}/{month}/{day}",
        "releaseNumber": f"{major}.{minor}",
        "partNumber": part,
    }


_OTHERS: Mapping[int, tuple[str, Callable[[Frame, Values], dict]]] = {
    0x02: ("Laird_Agg_TH", _aggregated),
    0x03: ("SendBackLogMessage", _kept_one),
    0x04: ("SendBackLogMessages", _kept_several),
    0x07: ("Laird_FW_Version", _firmware),
    0x0A: ("Laird_Battery_Voltage", _voltage),
}
