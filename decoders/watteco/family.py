"""Watteco (formerly nke Watteco) sensors: reports of clusters like ZigBee's, and batches of them. Port 125, big endian.

After the clusters' pages on support.watteco.com and the vendor's published codec; the batches are in batch.py.

    EE MM CCCC AAAA [SS] TT V... [R...]
E endpoint: bits 5-7 and, as its higher bits, 1 and 2; bit 0 is 1      M command: 0A report, 8A report with an alarm,
  01 reply to a question with S status, 07, 09 and others replies about the configuration
C cluster      A attribute      T type of the value, as in ZigBee; 41 and 42 have their length in front
V value        R why it was reported, if the device was set to say so

Which input of a device a value belongs to is told by the endpoint. A report of a cluster that the model does not have
is refused; replies are kept as they are.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from smartdorf.decoding import Context, Frame, FrameError

from .batch import Series, read_batch

Found = dict[str, Any]
Reader = Callable[[Frame, int, str], Found]  # where the value begins, what the input is called

_REPORT, _ALARM, _REPLY = 0x0A, 0x8A, 0x01
_RECENT = 60  # seconds: a sample of a batch that is no older is the present value

# bytes of a value, by type
_LENGTHS = {
    0x08: 1, 0x09: 2, 0x0A: 3, 0x0B: 4, 0x0D: 6, 0x10: 1, 0x18: 1, 0x19: 2, 0x20: 1, 0x21: 2, 0x22: 3, 0x23: 4,
    0x28: 1, 0x29: 2, 0x2A: 3, 0x2B: 4, 0x30: 1, 0x39: 4,
}  # fmt: skip
_COUNTED = {0x41: 1, 0x42: 1, 0x43: 2, 0x4C: 2}  # bytes of the length in front

_SOURCES = (
    "main_or_external_voltage",
    "rechargeable_battery_voltage",
    "disposable_battery_voltage",
    "solar_harvesting_voltage",
    "tic_harvesting_voltage",
)


_PHASES = ["a", "b", "c", "abc"]


def _hundredths(layout: str, none: int) -> Reader:
    def read(frame: Frame, at: int, name: str) -> Found:
        (value,) = frame.unpack(layout, at)
        return {} if value == none else {name: value / 100}

    return read


def _float(frame: Frame, at: int, name: str) -> Found:
    (value,) = frame.unpack(">f", at)
    return {name: value} if isfinite(value) else {}


def _count(frame: Frame, at: int, name: str) -> Found:
    return {name: frame.u32(at)}


def _state(frame: Frame, at: int, name: str) -> Found:
    return {name: bool(frame.u8(at))}


def _output(frame: Frame, at: int, name: str) -> Found:
    return {name: "ON" if frame.u8(at) else "OFF"}


def _firmware(frame: Frame, at: int, name: str) -> Found:
    one, two, three = frame.part(at, 3)
    return {name: f"{one}.{two}.{three}.{frame.u24(at + 3)}"}


def _confirmed(frame: Frame, at: int, name: str) -> Found:
    return {name: "confirmed" if frame.u8(at) else "unconfirmed"}


def _power(frame: Frame, at: int, name: str) -> Found:
    """Length, mode, which sources there are, the voltage of each, which one is in use."""
    sources = frame.u8(at + 2)
    at += 3
    found: Found = {}
    for bit, source in enumerate(_SOURCES):
        if sources >> bit & 1:
            found[source] = frame.u16(at) / 1000
            at += 2
    return found


def _energy(frame: Frame, at: int, name: str) -> Found:
    """Energies and powers of a phase or of all: Wh, varh, W and var; each as received and delivered."""
    values = frame.unpack(">8I", at + 1)
    names = [
        f"{sign}_{kind}_{quantity}_{name}"
        for quantity in ("energy", "power")
        for kind in ("active", "reactive")
        for sign in ("positive", "negative")
    ]
    found: Found = dict(zip(names, values, strict=True))
    found[f"active_power_{name}"] = values[4] - values[5]
    return found


def _multi_binary(frame: Frame, at: int, name: str) -> Found:
    """All inputs of a device, the first in the lowest bit."""
    states = frame.u16(at)
    return {f"{name}_{number + 1}": bool(states >> number & 1) for number in range(3)}


def _powers(frame: Frame, at: int, name: str) -> Found:
    """Drawn less fed in, active and reactive, of each phase and of all: W and var."""
    values = frame.unpack(">8i", at + 1)
    names = [f"{kind}_power_{phase}" for phase in _PHASES for kind in ("active", "reactive")]
    return dict(zip(names, values, strict=True))


def _balances(frame: Frame, at: int, name: str) -> Found:
    """Drawn less fed in, active and reactive, of each phase and of all. Wh or kWh, as another attribute says."""
    return {name: list(frame.unpack(">8i", at + 1))}


def _phase(frame: Frame, at: int, name: str) -> Found:
    voltage, current, angle = frame.unpack(">HHh", at)
    return {f"Vrms_{name}": voltage / 10, f"Irms_{name}": current / 10, f"angle_{name}": angle}


def _one_phase(frame: Frame, at: int, name: str) -> Found:
    return _phase(frame, at + 1, name)


def _three_phases(frame: Frame, at: int, name: str) -> Found:
    return {
        key: value
        for phase in range(3)
        for key, value in _phase(frame, at + 1 + 6 * phase, "abc"[phase]).items()
    }


class Attribute(NamedTuple):
    type: int
    names: Sequence[str]  # by endpoint
    read: Reader
    length: int = 0  # of a counted value; the power descriptor's depends on its sources


Attributes = Mapping[tuple[int, int], Attribute]  # by cluster and attribute

_COMMON: Attributes = {
    (0x0000, 0x0002): Attribute(0x0D, ["firmware"], _firmware),
    (0x0050, 0x0006): Attribute(0x41, ["power"], _power),
    (0x8004, 0x0000): Attribute(0x08, ["message_type"], _confirmed),
}
_COMMON_CLUSTERS = {0x0000, 0x0050, 0x8004}


def _inputs(name: str, count: int) -> list[str]:
    return [f"{name}_{number}" for number in range(1, count + 1)]


def _binary_inputs(counts: Sequence[str], states: Sequence[str]) -> Attributes:
    return {
        (0x000F, 0x0402): Attribute(0x23, counts, _count),
        (0x000F, 0x0055): Attribute(0x10, states, _state),
    }


class Model(NamedTuple):
    attributes: Attributes
    tag_bits: int = 0  # of a batch; 0 if the model sends none that is described
    series: Mapping[int, Series] = {}


_ANALOG = Model(
    {
        (0x000C, 0x0055): Attribute(0x39, ["4-20_mA", "0-10_V"], _float),
        **_binary_inputs(["index"], ["pin_state"]),
    },
    3,
    {
        0: Series("4-20_mA", 32, step=0.004, floating=True),
        1: Series("0-10_V", 32, floating=True),
        2: Series("battery_voltage", 16, step=100, divisor=1000),
        3: Series("external_power_voltage", 16, step=100, divisor=1000),
        4: Series("index", 32),
    },
)

MODELS: Mapping[str, Model] = {
    "watteco/flasho": Model(
        _binary_inputs(
            ["index", "index_2", "index_3"], ["pin_state", "pin_state_2", "pin_state_3"]
        ),  # one probe or three
        1,
        {0: Series("index", 32), 1: Series("battery_voltage", 16, step=100, divisor=1000)},
    ),
    "watteco/levo": _ANALOG,
    "watteco/presso": _ANALOG,
    "watteco/pulse-senso": Model(
        {
            **_binary_inputs(_inputs("index", 3), _inputs("pin_state", 3)),
            (0x8005, 0x0000): Attribute(0x19, ["pin_state"], _multi_binary),
        },
        4,
        {
            **{number: Series(name, 32) for number, name in enumerate(_inputs("index", 3))},
            **{number: Series(name, 1) for number, name in enumerate(_inputs("pin_state", 3), 3)},
            6: Series("battery_voltage", 16, step=100, divisor=1000),
            7: Series("multi_state", 16),
        },
    ),
    "watteco/remote-temperature2": Model(
        {(0x0402, 0x0000): Attribute(0x29, _inputs("temperature", 2), _hundredths(">h", -0x8000))},
        3,
        {
            0: Series("temperature_1", 16, step=10, divisor=100, signed=True),
            1: Series("temperature_2", 16, step=10, divisor=100, signed=True),
            5: Series("battery_voltage", 16, step=100, divisor=1000),
        },
    ),
    "watteco/th": Model(
        {
            (0x0402, 0x0000): Attribute(0x29, ["temperature"], _hundredths(">h", -0x8000)),
            (0x0405, 0x0000): Attribute(0x21, ["humidity"], _hundredths(">H", 0xFFFF)),
            **_binary_inputs(["violation_count"], ["violation_detection"]),
        },
        2,
        {
            0: Series("temperature", 16, step=10, divisor=100, signed=True),
            1: Series("humidity", 16, step=100, divisor=100),
            2: Series("battery_voltage", 16, divisor=1000),
            3: Series("violation_detection", 1),
        },
    ),
    "watteco/triphaso": Model(
        {
            (0x0006, 0x0000): Attribute(0x10, ["output"], _output),
            **_binary_inputs(["index"], ["pin_state"]),
            (0x800A, 0x0000): Attribute(0x41, _PHASES, _energy, 32),
            (0x8010, 0x0000): Attribute(0x41, ["balances"], _balances, 32),
            (0x8010, 0x0001): Attribute(0x41, ["powers"], _powers, 32),
            (0x800B, 0x0000): Attribute(0x41, _PHASES[:3], _one_phase, 6),
            (0x800D, 0x0000): Attribute(0x41, ["abc"], _three_phases, 18),
        }
    ),
}


def decode(frame: Frame, context: Context) -> Found:
    if frame.f_port != 125:
        raise FrameError.unknown_f_port(frame)
    model = MODELS[context.model]
    if frame.u8(0) & 1:
        return _message(frame, {**_COMMON, **model.attributes})
    return _batch(frame, model, context)


def _message(frame: Frame, attributes: Attributes) -> Found:
    control, command, cluster = frame.unpack(">BBH")
    endpoint = control >> 5 | (control & 0x06) << 2
    if command not in (_REPORT, _ALARM, _REPLY):
        return {
            "endpoint": endpoint,
            "command": f"{command:02x}",
            "cluster": f"{cluster:04x}",
            "said": frame.data[4:].hex(),
        }
    attribute = frame.u16(4)
    at = 6
    if command == _REPLY:
        status = frame.u8(6)
        if status:
            return {"cluster": f"{cluster:04x}", "attribute": f"{attribute:04x}", "status": status}
        at = 7
    length, end = _extent(frame, at)
    known = attributes.get((cluster, attribute))
    found: Found = {}
    if known is not None:
        found = _value(frame, at, length, known, endpoint)
    elif command != _REPLY and cluster not in _COMMON_CLUSTERS | {
        cluster for cluster, _attribute in attributes
    }:
        raise FrameError("implausible", f"this model has no cluster {cluster:04x}")
    else:
        value = frame.part(end - length, length).hex()
        found = {"cluster": f"{cluster:04x}", "attribute": f"{attribute:04x}", "value": value}
    if command == _ALARM:
        found["alarm"] = True
    if len(frame) > end:
        found["cause"] = frame.data[end:].hex()
    return found


def _extent(frame: Frame, at: int) -> tuple[int, int]:
    """How long the value is whose type stands at byte ``at``, and where it ends."""
    kind = frame.u8(at)
    counted = _COUNTED.get(kind)
    if counted is not None:
        length = int.from_bytes(frame.part(at + 1, counted))
        end = at + 1 + counted + length
    elif kind in _LENGTHS:
        length = _LENGTHS[kind]
        end = at + 1 + length
    else:
        raise FrameError("implausible", f"unknown type {kind:02x} of a value")
    frame.require(end)
    return length, end


def _value(frame: Frame, at: int, length: int, known: Attribute, endpoint: int) -> Found:
    kind = frame.u8(at)
    if kind != known.type:
        raise FrameError("implausible", f"a value of type {kind:02x}, expected {known.type:02x}")
    if known.length and length != known.length:
        raise FrameError("length", f"a value of {length} bytes, expected {known.length}")
    if endpoint >= len(known.names):
        raise FrameError("implausible", f"this model has no endpoint {endpoint} for this value")
    return known.read(frame, at + 1, known.names[endpoint])


def _batch(frame: Frame, model: Model, context: Context) -> Found:
    if not model.tag_bits:
        raise FrameError("implausible", "batches of this model are not described")
    samples = [
        sample for sample in read_batch(frame.data, model.tag_bits, model.series) if isfinite(sample.value)
    ]
    newest: dict[str, int] = {}
    for sample in samples:
        if sample.age < 0:
            raise FrameError("implausible", f"{sample.name} was measured after the batch was sent")
        newest[sample.name] = min(sample.age, newest.get(sample.name, sample.age))
    found: Found = {}
    earlier: dict[int, Found] = {}
    for sample in samples:
        is_present = sample.age == newest[sample.name] and sample.age <= _RECENT
        values = found if is_present else earlier.setdefault(sample.age, {})
        values[sample.name] = sample.value
    now = context.received_at.timestamp()
    history = [{"date": now - age, **values} for age, values in sorted(earlier.items(), reverse=True)]
    return {**found, "history": history} if history else found
