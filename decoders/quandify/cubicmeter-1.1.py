"""Quandify CubicMeter 1.1, ultrasonic water meter that is clamped onto the pipe. Little endian.

After the vendor's published codec and frames:

    f_port 1, status, 28 bytes
    ________  EEEE  VVVVVVVV  ________________________  LL  AA  RR  NN  XX  TT
    f_port 6, answer: QQ SS KK and, by K, 1 a status, 2 the device (35 bytes), 4 its settings (38 bytes), 0 nothing
    device    RRRRRRRR  HH  AA  ...(22)  PP  ...      settings  ____________ IIIIIIII ... (interval, seconds, at byte 5)
E error, its highest bit: no water can be sensed; 384 is water that flows back      V volume, l
L leak: up to 2 none or small, 3 medium, 4 large      A R battery in use and recovered, 1800 mV + 8 mV
N X water, lowest and highest since the last message      T air; all -20 °C + 0.5 °C      Q the f_port of the question
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_STATES = {0: "ok", 1: "commandError", 2: "payloadError", 3: "valueError"}
_APP_STATES = {3: "ready", 4: "pipeSelection", 5: "metering"}
_PIPES = {
    0: "Custom", 1: "Copper 15 mm", 2: "Copper 18 mm", 3: "Copper 22 mm", 4: "Chrome 15 mm", 5: "Chrome 18 mm",
    6: "Chrome 22 mm", 7: "Pal 16 mm", 8: "Pal 20 mm", 9: "Pal 25 mm", 14: "Pex 16 mm", 15: "Pex 20 mm",
    16: "Pex 25 mm", 17: "Distpipe",
}  # fmt: skip
_STATUS, _HARDWARE, _SETTINGS = 28, 35, 38  # bytes


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port == 1:
        frame.expect(_STATUS)
        return {"type": "statusReport", "decoded": _status(frame, 0)}
    if frame.f_port == 6:
        return _answer(frame)
    raise FrameError.unknown_f_port(frame)


def _status(frame: Frame, at: int) -> dict[str, Any]:
    error, volume = frame.unpack("<HI", at + 4)
    leak, active, recovered, lowest, highest, air = frame.unpack("<6B", at + 22)
    return {
        "errorCode": error & 0x7FFF,
        "isSensing": not error & 0x8000,
        "totalVolume": volume,
        "leakState": leak,
        "batteryActive": 1800 + 8 * active,
        "batteryRecovered": 1800 + 8 * recovered,
        "waterTemperatureMin": lowest / 2 - 20,
        "waterTemperatureMax": highest / 2 - 20,
        "ambientTemperature": air / 2 - 20,
    }


def _answer(frame: Frame) -> dict[str, Any]:
    question, state, kind = frame.unpack("<BBB")
    if state not in _STATES:
        raise FrameError("implausible", f"byte 1: no answer has status {state}")
    answer: dict[str, Any] = {"fPort": question, "status": _STATES[state]}
    if kind == 0:
        frame.expect(3)
        answer |= {"type": "none", "data": {}}
    elif kind == 1:
        frame.expect(3 + _STATUS)
        status = _status(frame, 3)
        return {"type": "response", "decoded": {**status, **answer, "type": "statusReport"}}
    elif kind == 2:
        frame.expect(3 + _HARDWARE)
        answer |= {"type": "hardwareReport", "data": _hardware(frame)}
    elif kind == 4:
        frame.expect(3 + _SETTINGS)
        answer |= {"type": "settingsReport", "data": {"lorawanReportInterval": frame.u32le(8)}}
    else:
        raise FrameError("implausible", f"byte 2: no answer is of kind {kind}")
    return {"type": "response", "decoded": answer}


def _hardware(frame: Frame) -> dict[str, Any]:
    patch, minor, major, hardware, state = frame.unpack("<HBBBB", 3)
    pipe = frame.u8(31)
    return {
        "firmwareVersion": f"{major}.{minor}.{patch}",
        "hardwareVersion": hardware,
        "appState": _APP_STATES.get(state, state),
        "pipe": {"id": pipe, "type": _PIPES.get(pipe, pipe)},
    }
