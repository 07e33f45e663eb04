"""Aqua-Scope BVS (ball valve servo) and WWD (wireless water detector). Big endian.

After the vendor's published codecs and frames:

    BVS, f_port 10 what happened, 16 regularly     WWD, f_port 10 what happened, 16 regularly
    _CO____L  __  TTTT                             ______RL  BB  TTTT
O open      C closed      L leak, on f_port 10 only      R leak of another detector      B battery, %      T °C, int16
"""

from collections.abc import Callable, Mapping
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_HAPPENED, _REGULAR = 10, 16
_OPEN, _CLOSED = 0x20, 0x40


def _valve(frame: Frame) -> dict[str, Any]:
    status, _unknown, temperature = frame.unpack(">BBh")
    found: dict[str, Any] = {"temperature": temperature}
    if frame.f_port == _HAPPENED:
        found["leak"] = "Y" if status & 0x01 else "N"
    position = status & (_OPEN | _CLOSED)
    if position in (_OPEN, _CLOSED):  # between the two it moves
        found["valve"] = "On" if position == _OPEN else "Off"
    return found


def _detector(frame: Frame) -> dict[str, Any]:
    status, battery, temperature = frame.unpack(">BBh")
    found: dict[str, Any] = {"battery": battery, "temperature": temperature}
    if frame.f_port == _HAPPENED:
        found["leak"] = status & 0x01
        found["remote"] = status >> 1 & 0x01
    return found


MODELS: Mapping[str, Callable[[Frame], dict[str, Any]]] = {
    "aquascope/bvs": _valve,
    "aquascope/wwd": _detector,
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port not in (_HAPPENED, _REGULAR):
        raise FrameError.unknown_f_port(frame)
    frame.expect(4)
    return MODELS[context.model](frame)
