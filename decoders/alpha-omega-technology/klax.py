"""Alpha-Omega Technology KLAX, reader for electricity meters (SML). Big endian.

The head and the register lists after "KLAX V2, uplink documentation" (docs.tesenso.com), the values after the codec
and the frame published for The Things Network.

    HH HH ...       head: VVVVVVTT CKRR BBBB  from version 1 on CKRRRBBB
V version   T 0 SML, 1 Modbus, which has registers without units and is not read here   C connection test
K configured   R how the meter is read   B battery, 10 %, from version 1 on 20 %
    f_port 3   head  II NNNNCCCC  then parts     f_port 100  head, interval, minutes   f_port 101  head, version
I message, sent in C frames of which this is N
    01 FF UU (16 bytes) (16 bytes)   version 0: two registers, the last four values of each, newest first, int32
F from bit 0: there, register (2 bits), valid; above for the second   U units, four bits each, the first below
    01 UUUU_RRt ____VVVV (16 bytes)  later: one register, as float   R register   t there   V valid, newest in bit 0
    02 VVVVSSSS UU UU (16 bytes)     the newest of all four registers, int32 or float   V valid   S set
    03 (10 bytes)                    id of the meter
    f_port 103, 104                  which registers there are, three bytes each: 1.8.0 for one

The first register is taken for the energy drawn (1.8.0), as it mostly is; whoever mounts it can set it otherwise.
What the others are is not in the frame, so their energies stay in the object.
"""

from math import isfinite
from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]

_UNITS = ("NDEF", "Wh", "W", "V", "A", "Hz", "varh", "var", "VAh", "VA")
_READ = ("SML", "IEC 62056-21 Mode B", "IEC 62056-21 Mode C", "Logarex", "eBZ", "Tritschler VC3")


def decode(frame: Frame, context: Context) -> Found:
    frame.require(4)
    first, second = frame.unpack(">BB")
    version, kind = first >> 2, first & 0x03
    if kind:
        raise FrameError("implausible", f"a head of kind {kind}, expected 0 for SML")
    way = second >> 3 & 0x07 if version else second >> 4 & 0x03
    found: Found = {
        "header": {
            "version": version,
            "batteryPerc": (second & 0x07) * 20 if version else (second & 0x0F) * 10,
            "meterType": _READ[way] if way < len(_READ) else way,
            "configured": bool(second & 0x40),
            "connTest": bool(second & 0x80),
        }
    }
    if frame.f_port == 3:
        _parts(frame, version, found)
    elif frame.f_port == 100:
        found["measureIntervalMin"] = frame.u16(2)
    elif frame.f_port == 101:
        found["appVersion"] = f"{frame.u8(2)}.{frame.u8(3)}"
    elif frame.f_port in (103, 104):
        start = 4 if frame.f_port == 103 else 3
        found["registers"] = [
            ".".join(str(byte) for byte in frame.data[at : at + 3]) for at in range(start, len(frame) - 2, 3)
        ]
    else:
        raise FrameError.unknown_f_port(frame)
    return found


def _parts(frame: Frame, version: int, found: Found) -> None:
    index, parts = frame.unpack(">BB", 2)
    found["msgInfo"] = {"msgIdx": index, "msgCnt": parts & 0x0F, "msgNum": parts >> 4}
    at = 4
    while at < len(frame):
        kind = frame.u8(at)
        if kind == 0x01 and version == 0:
            _two_registers(frame, at + 1, found)
            at += 35
        elif kind == 0x01:
            _one_register(frame, at + 1, found)
            at += 19
        elif kind == 0x02:
            _newest(frame, at + 1, version, found)
            at += 20
        elif kind == 0x03:
            found["serverID"] = frame.part(at + 1, 10).hex()
            at += 11
        else:
            raise FrameError("implausible", f"byte {at}: unknown part {kind:02x}")


def _keep(found: Found, register: int, unit: int, values: list[float | None]) -> None:
    """The newest value under the register's name and unit, the earlier ones beside it."""
    name = f"register_{register + 1}_{_UNITS[unit] if unit < len(_UNITS) else unit}"
    if values[0] is not None:
        found[name] = values[0]
    earlier = [value for value in values[1:] if value is not None]
    if earlier:
        found[f"{name}_earlier"] = earlier


def _two_registers(frame: Frame, at: int, found: Found) -> None:
    flags, units = frame.unpack(">BB", at)
    values = frame.unpack(">8i", at + 2)
    for place in (0, 1):
        half, unit = flags >> (4 * place) & 0x0F, units >> (4 * place) & 0x0F
        taken = list(values[4 * place : 4 * place + 4])
        # an older device does not set the flag, but has values
        if half & 0x01 and (half & 0x08 or any(taken)):
            _keep(found, half >> 1 & 0x03, unit, taken)


def _one_register(frame: Frame, at: int, found: Found) -> None:
    flags, valid = frame.unpack(">BB", at)
    values = frame.unpack(">4f", at + 2)
    if flags & 0x01:
        taken = [value if valid >> bit & 1 and isfinite(value) else None for bit, value in enumerate(values)]
        _keep(found, flags >> 1 & 0x03, flags >> 4, taken)


def _newest(frame: Frame, at: int, version: int, found: Found) -> None:
    flags, low, high = frame.unpack(">BBB", at)
    values = frame.unpack(">4f" if version else ">4i", at + 3)
    units = (low & 0x0F, low >> 4, high & 0x0F, high >> 4)
    for register, (unit, value) in enumerate(zip(units, values, strict=True)):
        if flags >> register & 1 and flags >> (register + 4) & 1 and isfinite(value):
            _keep(found, register, unit, [value])
