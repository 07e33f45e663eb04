"""Netvox sensors of the R3 and R7 series: one row of ``MODELS`` for each model. Big endian.

After the published codec and frames.

    f_port 6, 11 bytes
    VV DD 00  SS HH YYYYMMDD ....      what it is, after joining
    VV DD 01  BB X...                  how it is
    f_port 7, 11 bytes: answers about how often it reports
    81 DD RR                           written: R is 00 when it was done
    82 DD NNNN MMMM CC                 read: it waits N to M seconds, or until the battery fell by C, 0.1 V
V version of the command   D which model   S, H versions of software (tenths) and hardware   Y.. date in digits
B battery, 0.1 V, bit 7: it is low   X what it measures, a byte each
"""

from collections.abc import Mapping
from dataclasses import dataclass

from smartdorf.decoding import Context, Frame, FrameError


@dataclass(frozen=True)
class Model:
    number: int
    name: str
    states: tuple[tuple[str, Mapping[int, object]], ...]  # of each byte behind the battery: name and words


_LEAK = {0: "NoLeak", 1: "Leak"}
MODELS = {
    "netvox/r311w": Model(0x06, "R311W", (("WaterLeak_1", _LEAK), ("WaterLeak_2", _LEAK))),
    "netvox/r718wb": Model(0x12, "R718WB", (("WaterLeak", _LEAK),)),
    "netvox/r719a": Model(0x59, "R719A", (("CarOnOff", {}),)),
}


def decode(frame: Frame, context: Context) -> dict:
    model = MODELS[context.model]
    if frame.f_port not in (6, 7):
        raise FrameError.unknown_f_port(frame)
    frame.expect(11)
    if frame.u8(1) != model.number:
        raise FrameError("implausible", f"model {frame.u8(1):02x} says this, expected {model.number:02x}")
    return _report(frame, model) if frame.f_port == 6 else _answer(frame, model)


def _report(frame: Frame, model: Model) -> dict:
    kind = frame.u8(2)
    if kind == 0:
        return {
            "Device": model.name,
            "SWver": frame.u8(3) / 10,
            "HWver": frame.u8(4),
            "Datecode": frame.part(5, 4).hex(),
        }
    if kind != 1:
        raise FrameError("implausible", f"report of type {kind:02x}, expected 00 or 01")
    battery = frame.u8(3)
    found = {"Device": model.name, "Volt": (battery & 0x7F) / 10, "LowBattery": battery >> 7}
    for at, (name, words) in enumerate(model.states, 4):
        state = frame.u8(at)
        found[name] = words.get(state, state)
    return found


def _answer(frame: Frame, model: Model) -> dict:
    command = frame.u8(0)
    if command == 0x81:
        status = frame.u8(2)
        return {
            "Cmd": "ConfigReportRsp",
            "Device": model.name,
            "Status": "Success" if status == 0 else "Failure",
        }
    if command == 0x82:
        shortest, longest, change = frame.unpack(">HHB", 2)
        return {
            "Cmd": "ReadConfigReportRsp",
            "Device": model.name,
            "MinTime": shortest,
            "MaxTime": longest,
            "BatteryChange": change / 10,
        }
    raise FrameError("implausible", f"answer to command {command:02x}, expected 81 or 82")
