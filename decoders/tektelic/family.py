"""TEKTELIC sensors: one codec for the family, one row of ``MODELS`` for each model. Big endian.

After the published codecs of the vendor and of The Things Network, and the frames published with them.

    f_port 10
    CC TT V...  CC TT V...  CC TT V...
    f_port 100: settings that were read, AA V... AA V...        f_port 101: answer to settings that were written
C channel, T type, V value: its length follows from channel and type   A register

A yes or no is FF or 00. What a probe in the soil says is a voltage or a frequency, which published formulas turn into
degrees and centibars.
"""

from collections.abc import Mapping

from smartdorf.decoding import Context, Frame, FrameError, parts

from .probes import built_in, thermistor, watermark

_CLIMATE: parts.Table = {
    b"\x03\x67": parts.number("ambient_temperature", ">h", 10),
    b"\x04\x68": parts.number("relative_humidity", "B", 2),
}
_BATTERY: parts.Table = {
    b"\x00\xff": parts.number("battery_voltage", ">h", 100),
    b"\x00\xba": parts.number("battery_voltage", ">h", 1000),
    b"\x00\xd3": parts.number("rem_batt_capacity", "B"),
    b"\x00\xbd": parts.number("rem_batt_days", ">H"),
}


def _axes(name: str) -> parts.Reader:
    """A vector in thousandths of g."""

    def read(frame: Frame, at: int, found: dict) -> int:
        x, y, z = frame.unpack(">hhh", at)
        found[name] = {"xaxis": x / 1000, "yaxis": y / 1000, "zaxis": z / 1000}
        return at + 6

    return read


def _failed_cycle(frame: Frame, at: int, found: dict) -> int:
    bits = frame.u8(at)
    found["geolocation_cycle_failed"] = {
        "gnss": bits & 3,
        "wi_fi": bits >> 2 & 1,
        "ble": bits >> 3 & 1,
        "duty_cycle_drop": bits >> 4 & 1,
    }
    return at + 1


MODELS: Mapping[str, parts.Table] = {
    "tektelic/comfort": {
        **_BATTERY,
        **_CLIMATE,
        b"\x01\x00": parts.number("reed_state", "B"),
        b"\x02\x00": parts.number("light_detected", "B"),
        b"\x05\x02": parts.number("impact_magnitude", ">H", 1000),
        b"\x06\x00": parts.number("break_in", "B"),
        b"\x07\x71": _axes("acceleration"),
        b"\x08\x04": parts.number("reed_count", ">H"),
        b"\x09\x00": parts.number("moisture", "B"),
        b"\x0a\x00": parts.number("motion_event_state", "B"),
        b"\x0b\x67": parts.number("mcu_temperature", ">h", 10),
        b"\x0c\x00": parts.number("impact_alarm", "B"),
        b"\x0d\x04": parts.number("motion_event_count", ">H"),
        b"\x0e\x00": parts.number("extconnector_state", "B"),
        b"\x0f\x04": parts.number("extconnector_counter", ">H"),
        b"\x10\x02": parts.number("light_intensity", "B"),
        b"\x11\x02": parts.number("extconnector_analog", ">h", 1000),
    },
    "tektelic/agro": {
        b"\x00\xff": _BATTERY[b"\x00\xff"],
        b"\x00\xd3": _BATTERY[b"\x00\xd3"],
        b"\x00\xbd": _BATTERY[b"\x00\xbd"],
        b"\x01\x04": parts.number("input1_frequency", ">H"),
        b"\x02\x02": built_in("Input2_voltage"),
        b"\x03\x02": thermistor("Input3_voltage"),
        b"\x03\x67": parts.number("Input3_temperature", ">h", 10),
        b"\x04\x02": thermistor("Input4_voltage"),
        b"\x04\x67": parts.number("Input4_temperature", ">h", 10),
        b"\x05\x04": watermark("watermark1"),
        b"\x06\x04": watermark("watermark2"),
        b"\x09\x00": parts.number("light_detected", "B"),
        b"\x09\x65": parts.number("light_intensity", ">H"),
        b"\x0a\x00": parts.number("orientation_alarm", "B"),
        b"\x0a\x71": _axes("accelerometer_data"),
        b"\x0b\x67": parts.number("ambient_temperature", ">h", 10),
        b"\x0b\x68": parts.number("relative_humidity", "B", 2),
        b"\x0c\x67": parts.number("mcu_temperature", ">h", 10),
    },
    "tektelic/stork": {
        b"\x00\x00": parts.number("acceleration_alarm", "B"),
        b"\x00\x71": _axes("acceleration_vector"),
        b"\x00\x95": _failed_cycle,
        b"\x00\xbd": _BATTERY[b"\x00\xbd"],
        b"\x00\xd3": _BATTERY[b"\x00\xd3"],
        b"\x03\x67": parts.number("temperature", ">h", 10),
        b"\x04\x68": parts.number("relative_humidity", "B", 2),
    },
}
# what is no measurement is kept as it came
_ANSWERS = {100: "registers", 101: "written"}


def decode(frame: Frame, context: Context) -> dict:
    if frame.f_port in _ANSWERS:
        frame.require(1)
        return {_ANSWERS[frame.f_port]: frame.data.hex()}
    if frame.f_port != 10:
        raise FrameError.unknown_f_port(frame)
    frame.require(3)
    return parts.tagged(frame, 2, MODELS[context.model])
