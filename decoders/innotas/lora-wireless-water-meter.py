"""Innotas LoRa wireless water meter. Big endian.

After the published codec and its frames:

    f_port 1   ZZZZZZZZ
    f_port 2   ZZZZZZZZ  SSSSSSSS  __AFCBTM  L___KIII  DD
    f_port 3   ZZZZZZZZ  XXXX  PP  QQQQ  NNNN
    f_port 4   ZZZZZZZZ  HHHH HHHH HHHH HHHH
    f_port 9   how many messages it sent with SF7 to SF12, 4 bytes each
Z reading, m³      S reading on the due date, m³      D its month      K its kind      I interval of the messages
A reset, F radio, C checksum, B battery, T tampering, M measuring, L leak: something is wrong with it
X N highest and lowest flow, l/h      P standstill, 0.5 % of the day      Q most starts a day      H flow by hours, l/h
"""

from typing import Any

from smartdorf.decoding import Context, Frame, FrameError

_FLAGS = (
    ("ERROR_MESS", 0x01), ("ERROR_SABOT", 0x02), ("ERROR_BATT", 0x04), ("ERROR_CS", 0x08), ("ERROR_RF", 0x10),
    ("ERROR_RESET", 0x20),
)  # fmt: skip
_INTERVALS = ("norm", "1day", "7days", "14days")


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    if frame.f_port == 1:
        frame.expect(4)
        return {"ZS": frame.u32(0)}
    if frame.f_port == 2:
        return _with_due_date(frame)
    if frame.f_port == 3:
        frame.expect(11)
        reading, highest, standstill, starts, lowest = frame.unpack(">IHBHH")
        return {
            "ZS": reading,
            "Max_DF_L_pro_h": highest,
            "Still_proz_pro_Tag": standstill / 2,
            "Max_Start_Tag": starts,
            "Min_DF_L_pro_h": lowest,
        }
    if frame.f_port == 4:
        frame.expect(12)
        reading, *flows = frame.unpack(">I4H")
        return {"ZS": reading, **{f"DF_L_h{number}": flow for number, flow in enumerate(flows, 1)}}
    if frame.f_port == 9:
        frame.expect(24)
        return {f"SF{factor}": count for factor, count in enumerate(frame.unpack(">6I"), 7)}
    raise FrameError.unknown_f_port(frame)


def _with_due_date(frame: Frame) -> dict[str, Any]:
    frame.expect(11)
    reading, at_due_date, errors, more, month = frame.unpack(">IIBBB")
    status: dict[str, Any] = {name: int(bool(errors & bit)) for name, bit in _FLAGS}
    status["ERROR_LECK"] = more >> 7
    status["ST_TYPE"] = more & 0x08
    status["INTERVALL"] = "2min" if more & 0x04 else _INTERVALS[more & 0x03]
    status["ST_MON"] = month
    return {"ZS": reading, "STZS": at_due_date, "STATUS": status}
