"""YOBIIQ electricity meters EM2101 and EM4301, and the reader of smart meters iQ DSMR. Big endian.

After the vendor's published codecs and their example frames.

    CC TT V...  CC TT V...   C channel, T which register, V its value; a text goes on to the next C or the end
    00 or 01                 instead of parts: a command succeeded or failed

    EM: f_port 1 to 10 measurements, 11 switching (EM2101), 50 about the device, 60 why the relay switched (EM2101)
    DSMR: f_port 1 to 10 measurements, 11 alarms, 50 to 99 about the device, 100 settings
    f_port 20 records        01 FE SSSSSSSS  then  CC TT AAAA V...
S Unix time   A seconds before S

A value that has a unit is an object in the EM meters, as in the vendor's codec, and plain in the DSMR. What the EM
meters call the total power of the system stays in the object, since it is said in whole kW. The key for the meter's
data, which a settings message can hold, is not kept. An answer to a command comes on the command's port.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from smartdorf.decoding import Context, Frame, FrameError

Found = dict[str, Any]


class Register(NamedTuple):
    name: str
    layout: str  # as struct; "" for a text, "log" for a list of times, "key" for what is not kept
    divisor: int = 1
    unit: str = ""
    words: tuple[str, ...] = ()
    version: bool = False


Registers = Mapping[int, Register]


def _row(
    first: int, names: Iterable[str], layout: str, divisor: int = 1, unit: str = ""
) -> dict[int, Register]:
    """Registers one behind the other that differ in their names only."""
    return {first + place: Register(name, layout, divisor, unit) for place, name in enumerate(names)}


def _phases(name: str) -> list[str]:
    return [f"{name}L{phase}" for phase in (1, 2, 3)]


# -- EM2101, EM4301 -------------------------------------------------------------------------------------


def _energies(line: str) -> dict[int, Register]:
    kinds = [(kind, way) for kind in ("active", "reactive") for way in ("Import", "Export")]
    registers: dict[int, Register] = {}
    for place, (kind, way) in enumerate(kinds):
        names = [f"{kind}Energy{way}{line}T{tariff}" for tariff in (1, 2)]
        registers |= _row(4 + 2 * place, names, "I", 1, "Wh" if kind == "active" else "varh")
    return registers


_METER: Registers = {
    **_row(0x00, ["index", "timestamp"], "I"),
    0x03: Register("dataloggerTimestamp", "I"),
    **_row(0x0C, ["voltageL1N", "voltageL2N", "voltageL3N"], "i", 10, "V"),
    **_row(0x0F, ["currentL123", *_phases("current")], "i", 1, "mA"),
    **_row(0x13, ["activePowerL123", *_phases("activePower")], "i", 1, "W"),
    **_row(0x17, _phases("reactivePower"), "i", 1000, "kvar"),
    **_row(0x1A, _phases("apparentPower"), "i", 1000, "kVA"),
    **_row(0x1D, _phases("powerFactor"), "b", 100),
    **_row(0x20, _phases("phaseAngle"), "h", 100, "degree"),
    0x23: Register("frequency", "h", 100, "Hz"),
    0x24: Register("totalSystemActivePower", "I", 1, "kW"),
    0x25: Register("totalSystemReactivePower", "I", 1000, "kvar"),
    0x26: Register("totalSystemApparentPower", "I", 1000, "kVA"),
    **_row(0x27, [f"maximumL{phase}CurrentDemand" for phase in (1, 2, 3)], "i", 1, "mA"),
    0x2A: Register("averagePower", "i", 1, "W"),
    0x2B: Register("midYearOfCertification", "I"),
    0xF0: Register("manufacturedYear", "H"),
    0xF1: Register("firmwareVersion", "BB", version=True),
    0xF2: Register("hardwareVersion", "BB", version=True),
}
_ABOUT: Registers = {
    0x00: Register("relayStatus", "B", words=("LOW", "HIGH")),
    0x09: Register("hardwareVersion", "BB", version=True),
    0x0A: Register("firmwareVersion", "BB", version=True),
    0x0B: Register("powerEvent", "B", words=("AC Power Off", "AC Power On")),
    0x0F: Register("deviceClass", "B", words=("Class A", "Class B", "Class C")),
    0x16: Register("deviceSerialNumber", "I"),
    0x1E: Register("primaryCurrentTransformerRatio", "H"),
    0x1F: Register("secondaryCurrentTransformerRatio", "B"),
    0x20: Register("primaryVoltageTransformerRatio", "I"),
    0x21: Register("secondaryVoltageTransformerRatio", "H"),
    0x28: Register("deviceModel", ""),
    **{
        first + place: Register(f"{name}{which}", layout, divisor, unit)
        for first, which in ((0x3C, "Fallback"), (0x50, "Dynamic"))
        for place, (name, layout, divisor, unit) in enumerate(
            (
                ("currentLimit", "H", 10, "A"),
                ("voltageLimit", "H", 1, "V"),
                ("powerLimit", "H", 1, "W"),
                ("deactivationDelay", "H", 1, "s"),
                ("activationDelay", "H", 1, "s"),
                ("offsetCurrent", "H", 10, "A"),
                ("offsetDelay", "H", 1, "s"),
                ("resetTime", "H", 1, "s"),
                ("resetAmount", "B", 1, ""),
            )
        )
    },
}
_SWITCHED: Registers = {
    0x01: Register("relayStatus", "B", words=("OPEN", "CLOSED")),
    0x02: Register("digitalInputStatus", "B", words=("OPEN", "CLOSED")),
}
_WHY: Registers = {
    **_row(0x01, ["relaySwitchingOffReasonCode", "relayEnableReasonCode"], "B"),
    **_row(0x03, ["relaySwitchOffTime", "relayEnableTime"], "I"),
    **_row(0x05, [f"{kind}WhenRelaySwitchingOff" for kind in ("current", "voltage", "activePower")], "I"),
    0x08: Register("resetAmountStatusCode", "B"),
}

# -- iQ DSMR --------------------------------------------------------------------------------------------

_ALARM = ("NORMAL", "ALARM")
_ENABLED = ("DISABLED", "ENABLED")
_DEVICE: Registers = {
    0x01: Register("dataloggerTimestamp", "I"),
    0x64: Register("deviceStatus", "B", words=("FACTORY MODE", "NORMAL MODE")),
    **_row(0x65, ["manufacturer", "originalEquipmentManufacturer", "deviceModel"], ""),
    0x68: Register("deviceSerialNumber", "I"),
    0x69: Register("firmwareVersion", "BB", version=True),
    0x6A: Register("hardwareVersion", "BB", version=True),
    0x6B: Register("externalPowerStatus", "B", words=("AC POWER OFF", "AC POWER ON")),
    0x6C: Register("batteryPercentage", "B"),
    0x6D: Register("batteryVoltage", "H", 1000),
    0x78: Register("internalCircuitTemperatureAlarm", "B", words=_ALARM),
    0x79: Register("internalCircuitTemperatureNumberOfAlarms", "I"),
    0x7A: Register("internalCircuitTemperature", "h", 100),
    0x7B: Register("internalCircuitHumidity", "B"),
    0x82: Register("ambientTemperature", "h", 100),
    0x83: Register("ambientHumidity", "B"),
    0x96: Register("joinStatus", "B", words=("OFFLINE", "ONLINE")),
    **_row(0x9D, ["applicationPort", "joinTypeCode"], "B"),
    0x9F: Register("deviceClass", "B", words=("CLASS A", "CLASS B", "CLASS C")),
    0xA0: Register("adr", "B", words=_ENABLED),
    0xA1: Register("dataRateCode", "B"),
    0xA3: Register("radioModeCode", "B"),
    0xA4: Register("numberOfJoinAttempts", "B"),
    0xA5: Register("linkCheckTimeframe", "H"),
    0xA6: Register("dataRetransmission", "B", words=_ENABLED),
    0xA7: Register("lorawanWatchdogAlarm", "B", words=_ALARM),
    **_row(0xB0, ["serialStopBitsCode", "serialDataWidth", "serialParityCode"], "B"),
    0xB3: Register("serialBaudRate", "I"),
    0xB4: Register("dsmrProfile", "B", words=("NL", "LUX")),
    0xB5: Register("serialWatchdogFunction", "B", words=_ENABLED),
    0xB6: Register("serialWatchdogTimeout", "H"),
    0xB7: Register("serialWatchdogAlarm", "B", words=_ALARM),
    **_row(0xD1, ["pulseCounterDryInput1", "pulseCounterDryInput2"], "I"),
    0xDD: Register("decryptionKey", "key"),
    0xDE: Register("decryptionFunction", "B", words=_ENABLED),
    0xFE: Register("timestamp", "I"),
}


def _slaves() -> dict[int, Register]:
    """Gas and water meters behind the electricity meter."""
    registers: dict[int, Register] = {}
    for channel in (1, 2, 3, 4):
        first = 0x2E + 3 * channel
        registers[first] = Register(f"deviceTypeOnChannel{channel}", "H")
        registers[first + 1] = Register(f"equipmentIdentifierChannel{channel}", "")
        registers[first + 2] = Register(f"lastReadingOnChannel{channel}", "II")
    return registers


_TELEGRAM: Registers = {
    **_DEVICE,
    **_slaves(),
    0x10: Register("p1Version", "BB", version=True),
    0x11: Register("telegramTimestamp", "I"),
    0x12: Register("equipmentIdentifier", ""),
    **_row(
        0x13, [f"electricityDelivered{way}Client{t}" for way in ("To", "By") for t in ("", "T1", "T2")], "I"
    ),
    0x19: Register("tariffIndicator", "H"),
    **_row(0x1A, ["electricityPowerDelivered", "electricityPowerReceived"], "i"),
    **_row(0x1C, ["numberOfPowerFailures", "numberOfLongPowerFailures"], "I"),
    0x1E: Register("powerFailureEventLog", "log"),
    **_row(0x1F, [*_phases("numberOfVoltageSags"), *_phases("numberOfVoltageSwells")], "I"),
    **_row(0x25, _phases("voltage"), "i", 10),
    **_row(0x28, _phases("current"), "i"),
    **_row(0x2B, [*_phases("activePowerDelivered"), *_phases("activePowerReceived")], "i"),
    **_row(
        0x3D,
        [f"total{way}Reactive{what}" for what in ("Energy", "Power") for way in ("Imported", "Exported")],
        "I",
    ),
    0x41: Register("activeThreshold", "I", 10),
    0x42: Register("maxImportedExportedCurrent", "hh"),
    **_row(0x43, ["totalImportedApparentPower", "totalExportedApparentPower"], "I"),
    **_row(0x45, ["breakerControlState", "relay1ControlState", "relay2ControlState"], "B"),
    **_row(0x48, [*_phases("importedReactivePower"), *_phases("exportedReactivePower")], "I"),
    **_row(0x4E, [f"valvePositionGasChannel{channel}" for channel in (1, 2, 3, 4)], "B"),
}

# -- reading --------------------------------------------------------------------------------------------

_SIZES = {"B": 1, "b": 1, "H": 2, "h": 2, "I": 4, "i": 4, "BB": 2, "II": 8, "hh": 4, "key": 16}


def _end_of_text(frame: Frame, at: int, channel: int) -> int:
    end = frame.data.find(bytes([channel]), at)
    return len(frame) if end < 0 else end


def _value(frame: Frame, at: int, channel: int, register: Register) -> tuple[Any, int]:
    """The value at byte ``at``, None if it is not kept, and the byte behind it."""
    if register.layout == "":
        end = _end_of_text(frame, at, channel)
        return frame.data[at:end].decode("ascii", "replace").replace("\0", ""), end
    if register.layout == "log":
        count = frame.u32le(at)
        return {"count": count}, at + 4 + len(frame.part(at + 4, 8 * count))
    end = at + _SIZES[register.layout]
    if register.layout == "key":
        frame.require(end)
        return None, end
    values = frame.unpack(f">{register.layout}", at)
    if register.version:
        return f"V{values[0]:x}.{values[1]:x}", end
    if len(values) > 1:
        return list(values), end
    value = values[0] if register.divisor == 1 else values[0] / register.divisor
    if register.words:
        value = register.words[value] if value < len(register.words) else value
    return {"data": value} if register.unit else value, end


def _parts(frame: Frame, registers: Registers) -> Found:
    found: Found = {}
    at = 0
    while at < len(frame):
        channel, kind = frame.unpack(">BB", at)
        if (channel, kind) == (0x0B, 0x0A) and registers is not _TELEGRAM:
            found["modbusErrorCode"] = frame.u8(at + 2)
            at += 3
            continue
        register = registers.get(kind)
        if register is None:
            if not found:
                raise FrameError("implausible", f"this model has no register {kind:02x}")
            found["unread"] = frame.data[at:].hex()
            break
        value, at = _value(frame, at + 2, channel, register)
        if value is not None:
            found[register.name] = value
    return found


def _records(frame: Frame) -> Found:
    head, sent = frame.unpack(">HI")
    if head != 0x01FE:
        raise FrameError("implausible", f"records begin with {head:04x}, expected 01fe")
    records: list[Found] = []
    at = 6
    while at < len(frame):
        channel, kind, age = frame.unpack(">BBH", at)
        register = _TELEGRAM.get(kind)
        if register is None:
            raise FrameError("implausible", f"this model has no register {kind:02x}")
        value, at = _value(frame, at + 4, channel, register)
        if value is not None:
            records.append({"ts": sent - age, register.name: value})
    return {"packageTimestamp": sent, "history": records}


Read = Callable[[Frame], Found]


def _reads(registers: Registers) -> Read:
    def read(frame: Frame) -> Found:
        return _parts(frame, registers)

    return read


_EM4301 = {**dict.fromkeys(range(1, 11), _reads({**_METER, **_energies("L123")})), 50: _reads(_ABOUT)}
_EM2101 = {
    **dict.fromkeys(range(1, 11), _reads({**_METER, **_energies("L1")})),
    11: _reads(_SWITCHED),
    50: _reads(_ABOUT),
    60: _reads(_WHY),
}
_DSMR = {
    **dict.fromkeys([*range(1, 12), *range(50, 101)], _reads(_TELEGRAM)),
    20: _records,
}
MODELS: Mapping[str, Mapping[int, Read]] = {
    "yobiiq/dsmr": _DSMR,
    "yobiiq/em2101": _EM2101,
    "yobiiq/em4301": _EM4301,
}


def decode(frame: Frame, context: Context) -> Found:
    if frame.f_port == 0:  # commands of the network
        return {}
    if len(frame) == 1 and frame.u8(0) in (0, 1):
        return {"command_succeeded": frame.u8(0) == 0}
    read = MODELS[context.model].get(frame.f_port)
    if read is None:
        raise FrameError.unknown_f_port(frame)
    frame.require(3)
    return read(frame)
