"""Milesight sensors for rooms and what is in them: air (AM), doors, motion and sound (WS), odour (GS), probes (TS).

After the payload tables in the user guides and in the vendor's README of each model. Any f_port (85 unless
configured), framed as all Milesight sensors (family.py), little endian:

    CC TT V...  CC TT V...  CC TT V...
C channel, T type, V value: its length follows from channel and type; 20 CE is a record of history, Unix time in front
"""

from typing import Any

from smartdorf.decoding import Context, Frame, parts

from .information import INFORMATION, TEMPERATURE, record

_TOLD: parts.Table = {
    **INFORMATION,
    b"\xff\x68": parts.word("history_enable", "disable", "enable"),
    b"\xff\xa0": parts.raw("sensor_id", 9),
}
_HUMIDITY = parts.number("humidity", "<B", 2)
_CLIMATE: parts.Table = {b"\x03\x67": TEMPERATURE, b"\x04\x68": _HUMIDITY}


_PIR = parts.word("pir", "idle", "trigger")
_CO2 = parts.number("co2", "<H")
_PRESSURE = parts.number("pressure", "<H", 10)
_LIGHT_LEVEL = parts.number("light_level", "<B")
# an index of air quality; in the same bytes an AM107 tells ppb
_TVOC = parts.number("tvoc", "<H", 100)
_TVOC_UGM3 = parts.number("tvoc_ugm3", "<H")
_PM25, _PM10 = parts.number("pm2_5", "<H"), parts.number("pm10", "<H")
_HCHO, _O3 = parts.number("hcho", "<H", 100), parts.number("o3", "<H", 100)
_DUST: parts.Table = {b"\x0b\x7d": _PM25, b"\x0c\x7d": _PM10}


def _ambience(*also: parts.Reader) -> parts.Table:
    history = (TEMPERATURE, parts.number("humidity", "<H", 2), _PIR, _LIGHT_LEVEL, _CO2)
    return {
        **_CLIMATE,
        b"\x05\x00": _PIR,
        b"\x06\xcb": _LIGHT_LEVEL,
        b"\x07\x7d": _CO2,
        b"\x08\x7d": _TVOC,
        b"\x08\xe6": _TVOC_UGM3,
        b"\x09\x73": _PRESSURE,
        b"\x0e\x01": parts.word("buzzer_status", "off", "on"),
        b"\x20\xce": record(*history, _TVOC, _PRESSURE, *also),
        b"\x21\xce": record(*history, _TVOC_UGM3, _PRESSURE, *also),
    }


def _sound(frame: Frame, at: int, found: dict[str, Any]) -> int:
    """Fields are called after the weights: LAF, LAeq, LAFmax for A and fast."""
    weight = frame.u8(at)
    frequency, time = "ZAC?"[weight & 0x03], "IFS?"[weight >> 2 & 0x03]
    for position, name in enumerate((f"L{frequency}{time}", f"L{frequency}eq", f"L{frequency}{time}max")):
        found[name] = frame.u16le(at + 1 + 2 * position) / 10
    return at + 7


_OCCUPANCY = parts.word("occupancy", "vacant", "occupied")
_ILLUMINATION = parts.in_order(
    parts.number("illumination", "<H"),
    parts.number("infrared_and_visible", "<H"),
    parts.number("infrared", "<H"),
)
_ACTIVITY: parts.Table = {
    **_CLIMATE,
    b"\x05\x6a": parts.number("activity", "<H"),
    b"\x06\x65": _ILLUMINATION,
}
_GAS_FAULTS = {0xFFFE: "polarizing", 0xFFFF: "device error"}

_READ_STATUS = ("Success", "Read Error", "Overload")
_EVENTS = ("Reserved", "Periodic", "Alarm(Threshold or Mutation)", "Alarm Release")
_CHILL_ALARM = ("Threshold Alarm Release", "Threshold Alarm", "Mutation Alarm")


def _probe(frame: Frame, at: int, found: dict[str, Any]) -> int:
    found["read_status"] = "Success"
    return TEMPERATURE(frame, at, found)


def _probe_record(frame: Frame, at: int, found: dict[str, Any]) -> int:
    parts.packed("<B", ("event_type", 0, 4, _EVENTS), ("read_status", 4, 4, _READ_STATUS))(frame, at, found)
    return TEMPERATURE(frame, at + 1, found if found["read_status"] == "Success" else {})


def _alarm(reader: parts.Reader, name: str, *words: str) -> parts.Reader:
    return parts.in_order(reader, parts.word(name, *words))


_PROBE: parts.Table = {
    b"\x03\x67": _probe,
    b"\x83\x67": _alarm(_probe, "temperature_alarm", *_CHILL_ALARM),
    b"\x93\x67": parts.in_order(
        _probe, parts.number("temperature_mutation", "<h", 10), parts.word("temperature_alarm", *_CHILL_ALARM)
    ),
    b"\xb3\x67": parts.word("read_status", "Read Error", "Overload"),
    b"\x20\xce": record(_probe_record),
}


_REPORTS = ("temperature resume", "temperature threshold", "pir idle", "pir occupancy", "period")
MODELS: dict[str, parts.Table] = {
    "milesight/am102": {**_CLIMATE, b"\x20\xce": record(TEMPERATURE, _HUMIDITY)},
    "milesight/am103": {**_CLIMATE, b"\x07\x7d": _CO2, b"\x20\xce": record(TEMPERATURE, _HUMIDITY, _CO2)},
    "milesight/am104": _ACTIVITY,
    "milesight/am107": {
        **_ACTIVITY,
        b"\x07\x7d": _CO2,
        b"\x08\x7d": parts.number("tvoc", "<H"),  # ppb
        b"\x09\x73": _PRESSURE,
    },
    "milesight/am307": _ambience(),
    "milesight/am308": {**_ambience(_PM25, _PM10), **_DUST},
    "milesight/am319-hcho": {**_ambience(_PM25, _PM10, _HCHO), **_DUST, b"\x0a\x7d": _HCHO},
    "milesight/am319-o3": {**_ambience(_PM25, _PM10, _O3), **_DUST, b"\x0d\x7d": _O3},
    "milesight/gs301": {
        b"\x02\x67": TEMPERATURE,
        b"\x03\x68": _HUMIDITY,
        b"\x04\x7d": parts.number("nh3", "<H", 100, faults=_GAS_FAULTS),
        b"\x05\x7d": parts.number("h2s", "<H", 100, faults=_GAS_FAULTS),
        b"\x06\x7d": parts.number("h2s", "<H", 1000, faults=_GAS_FAULTS),
        b"\x07\xea": parts.raw("calibration", 5),
    },
    "milesight/ts101": {b"\x03\x67": TEMPERATURE},
    "milesight/ts201": _PROBE,
    "milesight/ws101": {
        b"\xff\x2e": parts.code("press", {1: "short press", 2: "long press", 3: "double press"})
    },
    "milesight/ws202": {
        b"\x03\x00": parts.word("pir", "normal", "trigger"),
        b"\x04\x00": parts.word("daylight", "dark", "light"),
    },
    "milesight/ws203": {
        **_CLIMATE,
        b"\x05\x00": _OCCUPANCY,
        b"\x83\x67": parts.in_order(TEMPERATURE, parts.word("temperature_abnormal", "normal", "abnormal")),
        b"\x20\xce": record(parts.word("report_type", *_REPORTS), _OCCUPANCY, TEMPERATURE, _HUMIDITY),
    },
    "milesight/ws301": {
        b"\x03\x00": parts.word("magnet_status", "close", "open"),
        b"\x04\x00": parts.word("tamper_status", "installed", "uninstalled"),
    },
    "milesight/ws302": {b"\x05\x5b": _sound},
}


def decode(frame: Frame, context: Context) -> dict[str, Any]:
    return parts.tagged(frame, 2, MODELS[context.model], _TOLD)
