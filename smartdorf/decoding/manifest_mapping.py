"""The manifest's ``measurements:``, ``time:`` and ``records:``: read, checked and compiled into a Plan.

Owns the mapping's syntax. Names, units, codes and parameters are settled here, so that nothing about them can
go wrong when an uplink comes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smartdorf.decoding import plausible
from smartdorf.decoding.derive import FORMULAS, Derivation, Formula, add
from smartdorf.decoding.mapping import Path, Plan, Records, Step, Used
from smartdorf.decoding.plausible import Plausibility, read_plausibility
from smartdorf.decoding.units import Conversion, UnitError, conversion
from smartdorf.errors import did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import Quantity, Vocabulary
from smartdorf.yaml_source import Node

# parameter → its unit and default
Parameters = Mapping[str, tuple[str, float | None]]

_FIELD_KEYS = ("field", "unit", "scale", "offset", "fillers", "codes", "channel", *plausible.KEYS)
_DERIVED_KEYS = ("range", "jump", "stuck")  # where a counter rolls over, its source says
_WHOLE_CHANNEL = range(256)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a model measures, as ``decoders show`` tells it."""

    metric: str
    channel: int
    source: str  # the field, or the derivation
    unit: str  # of the source
    in_records: bool = False

    def describe(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "channel": self.channel,
            "source": self.source,
            "unit": self.unit,
            "history": self.in_records,
        }


def read_mapping(
    root: Node, vocabulary: Vocabulary, parameters: Parameters
) -> tuple[tuple[Measurement, ...], Plan, Mapping[tuple[str, int], Plausibility]]:
    """What is measured, how, and what each quantity of each channel can be."""
    reader = _Reader(vocabulary, parameters)
    if root["measurements"].value == {}:
        root["measurements"].problem(_("there is no measurement"))
    steps, derivations = reader.measurements(root["measurements"])
    times = tuple(reader.path(node) for node in _one_or_many(root["time"]))
    records = tuple(reader.records(node, root["measurements"]) for node in root["records"].elements())
    paths = [(step.key, *step.rest) for step in steps] + list(times) + [entry.path for entry in records]
    plan = Plan(steps, (*derivations, *reader.sums()), times, records, _used(paths))
    return tuple(reader.described), plan, reader.plausibility


def _one_or_many(node: Node) -> Iterator[Node]:
    if isinstance(node.value, list):
        yield from node.elements()
    elif node.value is not None:
        yield node


def _used(paths: Iterable[Path]) -> Used:
    """What the mapping uses, as a tree; a list is used as a whole."""
    used: Used = {}
    for path in paths:
        here: Used = used
        for depth, key in enumerate(path):
            if not isinstance(key, str):
                break
            ends = depth + 1 == len(path) or not isinstance(path[depth + 1], str)
            below = here.get(key, {})
            if ends or below is None:
                here[key] = None
                break
            here[key] = below
            here = below
    return used


class _Reader:
    """Reads one manifest's mapping."""

    def __init__(self, vocabulary: Vocabulary, parameters: Parameters) -> None:
        self._vocabulary = vocabulary
        self._parameters = parameters
        self.described: list[Measurement] = []
        self.plausibility: dict[tuple[str, int], Plausibility] = {}

    def measurements(
        self, node: Node, *, in_records: bool = False
    ) -> tuple[tuple[Step, ...], tuple[Derivation, ...]]:
        steps: list[Step] = []
        derived: list[tuple[Quantity, int, Node]] = []
        for name, value in node.items():
            if name not in self._vocabulary:
                node.problem_at(name, self._vocabulary.unknown(name))
                continue
            quantity = self._vocabulary[name]
            for entry in _one_or_many(value):
                if "derive" in entry and not in_records:
                    derived.append((quantity, self._channel(entry), entry))
                elif (step := self._step(quantity, entry, steps, in_records=in_records)) is not None:
                    steps.append(step)
            if value.value is None:
                node.problem_at(name, _("expected the name of a field: {field: temperature}"))
        measured = {(step.metric, step.channel) for step in steps}
        derivations = [self._derivation(*entry, measured) for entry in derived]
        return tuple(steps), tuple(found for found in derivations if found is not None)

    def records(self, node: Node, main: Node) -> Records:
        required = ["each", "time", "measurements"]
        node.check_keys(required, required)
        chosen = node["measurements"]
        if isinstance(chosen.value, list):  # names: mapped as in the main mapping, fields of the element
            entries: dict[str, Node] = {}
            for name in chosen.elements():
                if name.text() in main:
                    entries[name.text()] = main[name.text()]
                else:
                    known = list(main.value) if isinstance(main.value, dict) else []
                    message = _('"{name}" is not among the measurements above').format(name=name.text())
                    name.problem(message + did_you_mean(name.text(), known))
            chosen = Node(chosen.source, entries, chosen.line, chosen.column)
        steps, _derivations = self.measurements(chosen, in_records=True)
        return Records(self.path(node["each"]), self.path(node["time"]), steps)

    # -- one measurement --------------------------------------------------------------------------------

    def _step(self, quantity: Quantity, entry: Node, before: list[Step], *, in_records: bool) -> Step | None:
        if isinstance(entry.value, str):  # air_temperature_c: TempC_SHT
            field, options = entry, Node(entry.source, {}, entry.line, entry.column)
        else:
            entry.check_keys(_FIELD_KEYS, ["field"])
            field, options = entry["field"], entry
        if field.value is None:
            return None
        path, text = self.path(field), str(field.value)
        channel = self._channel(options)
        codes = self._codes(quantity, options)
        change = self._conversion(quantity, options)
        fillers = self._fillers(options)
        same = [step for step in before if step.metric == quantity.name and step.channel == channel]
        if any((step.key, *step.rest) == path for step in same):
            field.problem(_('"{field}" is used twice for {quantity}').format(
                field=text, quantity=quantity.name))  # fmt: skip
        unit = str(options["unit"].plain() or quantity.unit)
        self.described.append(Measurement(quantity.name, channel, text, unit, in_records))
        can_be = read_plausibility(quantity, options)
        size = can_be.rollover * change.factor / change.divisor
        self.plausibility.setdefault((quantity.name, channel), can_be._replace(rollover=size))
        return Step(
            quantity.name,
            channel,
            str(path[0]),
            path[1:],
            change.factor,
            change.divisor,
            change.offset,
            fillers,
            codes,
            can_be.low,
            can_be.high,
            bool(same),
        )

    def path(self, node: Node) -> Path:
        """``volumes[0].volume`` → ("volumes", 0, "volume")."""
        text = node.text()
        path: list[str | int] = []
        for part in text.split("."):
            match = re.fullmatch(r"([^\[\]]+)((?:\[-?\d{1,4}\])*)", part)
            if match is None:
                if node.value is not None and isinstance(node.value, str):
                    node.problem(
                        _(
                            '"{text}" is no field; write temperature, status.battery or volumes[0].volume'
                        ).format(text=text)
                    )
                return ("?",)
            path.append(match[1])
            path += [int(index) for index in re.findall(r"-?\d+", match[2])]
        return tuple(path)

    def _channel(self, node: Node) -> int:
        channel = node["channel"].integer(0)
        if channel not in _WHOLE_CHANNEL:
            node["channel"].problem(_("a channel is a number from 0 to 255"))
        return channel

    def _conversion(self, quantity: Quantity, node: Node) -> Conversion:
        change = Conversion()
        if "codes" in node:
            for key in ("unit", "scale", "offset"):
                if key in node:
                    node.problem_at(key, _("{key} makes no sense beside codes").format(key=key))
            return change
        if "unit" in node:
            try:
                change = conversion(str(node["unit"].plain()), quantity.unit)
            except UnitError as error:
                node["unit"].problem(f"{quantity.name}: {error}")
        scale = node["scale"].number(1.0)
        if scale == 0:
            node["scale"].problem(_("a scale of 0 makes every value the same"))
        return change.scaled(scale, node["offset"].number(0.0))

    def _fillers(self, node: Node) -> frozenset[float | str] | None:
        fillers: set[float | str] = set()
        for element in node["fillers"].elements():
            if isinstance(element.value, (int, float, str)) and not isinstance(element.value, bool):
                fillers.add(element.value)
            else:
                element.problem(_("a filler is a number or a text: the raw value that means no value"))
        return frozenset(fillers) or None

    def _codes(self, quantity: Quantity, node: Node) -> Mapping[str, float] | None:
        if "codes" not in node:
            return None
        codes: dict[str, float] = {}
        for word, code in node["codes"].items():
            value = code.number()
            if quantity.codes and value not in quantity.codes:
                known = ", ".join(f"{number} ({names['en']})" for number, names in quantity.codes.items())
                message = _("{quantity} has no code {code}; it has {known}")
                code.problem(message.format(quantity=quantity.name, code=code.describe(), known=known))
            codes[word] = value
        return codes

    # -- derived measurements ---------------------------------------------------------------------------

    def _derivation(
        self, quantity: Quantity, channel: int, node: Node, measured: set[tuple[str, int]]
    ) -> Derivation | None:
        word = node["derive"].one_of(FORMULAS)
        if word not in FORMULAS:
            return None
        formula = FORMULAS[word]
        places = [place.name for place in formula.places]
        needed = [place.name for place in formula.places if place.default is None]
        node.check_keys(["derive", "from", "channel", *places, *_DERIVED_KEYS], ["from", *needed])
        source = node["from"].text()
        if source and (source, channel) not in measured:
            message = _("{quantity} cannot be derived from {source}: it is not measured on channel {channel}")
            hint = did_you_mean(source, [name for name, number in measured if number == channel])
            node["from"].problem(
                message.format(quantity=quantity.name, source=source, channel=channel) + hint
            )
            return None
        if (quantity.name, channel) in measured:
            node.problem(_("{quantity} is measured already").format(quantity=quantity.name))
        self._check_units(quantity, node, formula, source)
        given = tuple(self._place(node, place.name, place.unit, place.default) for place in formula.places)
        text = f"{word}({', '.join([source, *(name or str(default) for name, default in given)])})"
        self.described.append(Measurement(quantity.name, channel, text, formula.unit))
        # a derived counter falls when its source does, and that has the flag
        can_be = read_plausibility(quantity, node)._replace(is_counter=False)
        self.plausibility.setdefault((quantity.name, channel), can_be)
        return Derivation(quantity.name, channel, source, formula.compute, given, can_be.low, can_be.high)

    def sums(self) -> Iterator[Derivation]:
        """What follows from the measurements by the vocabulary alone, unless the model measures it itself."""
        for quantity in self._vocabulary.quantities.values():
            if quantity.sum is None:
                continue
            source, parameter = quantity.sum
            _unit, default = self._parameters.get(parameter, ("", None))  # a manifest may know better
            for metric, channel in [key for key in self.plausibility if key[0] == source]:
                if (quantity.name, channel) in self.plausibility:
                    continue
                text = f"sum({metric}, {parameter})"
                self.described.append(Measurement(quantity.name, channel, text, quantity.unit))
                can_be = Plausibility(quantity.low, quantity.high, quantity.jump, quantity.stuck)
                self.plausibility[quantity.name, channel] = can_be
                given = ((parameter, default),)
                yield Derivation(
                    quantity.name, channel, source, add, given, can_be.low, can_be.high, may_lack=True
                )

    def _check_units(self, quantity: Quantity, node: Node, formula: Formula, source: str) -> None:
        message = _("{derive} makes {unit} from {source_unit}; {quantity} is in {wrong}")
        for name, unit in ((quantity.name, formula.unit), (source, formula.source_unit)):
            if name in self._vocabulary and self._vocabulary[name].unit != unit:
                node["derive"].problem(
                    message.format(
                        derive=node["derive"].text(),
                        unit=formula.unit,
                        source_unit=formula.source_unit,
                        quantity=name,
                        wrong=self._vocabulary[name].unit,
                    )
                )

    def _place(self, node: Node, place: str, unit: str, default: float | None) -> tuple[str, float | None]:
        if place not in node:
            return "", default
        name = node[place].text()
        if name not in self._parameters:
            message = _('unknown parameter "{name}"').format(name=name)
            node[place].problem(message + did_you_mean(name, self._parameters))
            return name, default
        own_unit, own_default = self._parameters[name]
        if own_unit != unit:
            message = _("{name} is in {own}, expected {unit}")
            node[place].problem(message.format(name=name, own=own_unit, unit=unit))
        return name, own_default
