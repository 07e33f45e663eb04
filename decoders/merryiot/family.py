"""MerryIoT sensors: one row of ``MODELS`` for each model. Little endian.

After the published codecs and frames.

    WL10, f_port 126, 4 bytes      SS BB TT HH
    DW10, f_port 120, 9 bytes      SS BB TT HH MMMM NNNNNN
    f_port 204: what the device is, 9 bytes, and its settings, 10 bytes; kept as they came
S status, a bit each, from the lowest: water or open, button, opened housing, and in the DW10 tilted
B battery in its lower four bits, 0.1 V above 2.1   T temperature, int8, °C   H humidity, %
M minutes since the last event   N how many events
"""

from smartdorf.decoding import Context, Frame, FrameError


def _head(frame: Frame) -> dict:
    battery, temperature, humidity = frame.unpack("<BbB", 1)
    return {"battery_volt": (21 + (battery & 0x0F)) / 10, "temperature": temperature, "humi": humidity}


def _leak(frame: Frame) -> dict:
    frame.expect(4)
    status = frame.u8(0)
    return {**_head(frame), "water": status & 1, "button": status >> 1 & 1, "tamper": status >> 2 & 1}


def _door(frame: Frame) -> dict:
    frame.expect(9)
    status = frame.u8(0)
    return {
        **_head(frame),
        "open": status & 1,
        "button": status >> 1 & 1,
        "tamper": status >> 2 & 1,
        "tilt": status >> 3 & 1,
        "time": frame.u16le(4),
        "count": frame.u24le(6),
    }


# model → its f_port and layout
MODELS = {"merryiot/dw10": (120, _door), "merryiot/wl10": (126, _leak)}


def decode(frame: Frame, context: Context) -> dict:
    f_port, read = MODELS[context.model]
    if frame.f_port == 204:
        frame.expect(9, 10)
        return {"device": frame.data.hex()}
    if frame.f_port != f_port:
        raise FrameError.unknown_f_port(frame)
    return read(frame)
