"""The dictionary of quantities: decoders and rules may name nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from babel.numbers import format_decimal

from smartdorf.errors import NotFoundError, did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.yaml_source import Node, read_yaml

KINDS = ("gauge", "counter", "state", "event")
PATH = Path(__file__).parent / "vocabulary.yaml"

# Quantities that smartdorf makes itself of every device: 1 is bad, 0 the end of it.
DECODE_FAULT = "decode_fault"
LINK_WEAK = "link_weak"
RESTARTING = "device_restarting"
NOTED = (DECODE_FAULT, LINK_WEAK, RESTARTING)


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that decoding must be told about a device or its place."""

    name: str
    label: Mapping[str, str]
    unit: str
    low: float
    high: float
    default: float | None
    required: bool  # it is asked for where it is missing


class Sum(NamedTuple):
    """How a quantity follows from another one: plus a parameter, all in the same unit."""

    quantity: str
    parameter: str


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity that we store.

    ``unit`` is UCUM ("1" for none); ``low``/``high`` the plausible range in that unit; ``codes`` an
    enumeration's names by code; ``decimals`` how many people want to read.
    """

    name: str
    unit: str
    kind: str
    low: float
    high: float
    decimals: int
    label: Mapping[str, str]  # by language
    privacy: str
    retention: str
    unit_label: str = ""  # what people read behind the number
    codes: Mapping[int, Mapping[str, str]] = field(default_factory=dict)  # code → label by language
    jump: float = math.inf  # the largest believable change within an hour
    stuck: timedelta | None = None  # what has not moved for so long is broken
    sum: Sum | None = None  # what it follows from, whichever sensor measures that

    def plausible(self, value: float) -> bool:
        return self.low <= value <= self.high


def quantity_text(quantity: Quantity, value: float, language: str) -> str:
    """A value as people read it: ``83 %``, ``3,58 V``, ``belegt``."""
    if labels := quantity.codes.get(round(value)):
        return labels[language]
    number = number_text(round(value, quantity.decimals), quantity.decimals, language)
    return f"{number}\N{NO-BREAK SPACE}{quantity.unit_label}" if quantity.unit_label else number


@lru_cache(maxsize=4096)
def number_text(value: float, decimals: int, language: str) -> str:
    """Cached: the library takes 30 µs, and a village's values repeat."""
    pattern = "#,##0." + "0" * decimals if decimals else "#,##0"
    return str(format_decimal(value + 0.0, format=pattern, locale=language))  # + 0.0: no "-0"


class Vocabulary:
    """All quantities by name, and the parameters of those that follow from others."""

    def __init__(
        self, quantities: Mapping[str, Quantity], parameters: Mapping[str, Parameter] | None = None
    ) -> None:
        self.quantities = dict(quantities)
        self.parameters = dict(parameters or {})

    def __contains__(self, name: str) -> bool:
        return name in self.quantities

    def __getitem__(self, name: str) -> Quantity:
        try:
            return self.quantities[name]
        except KeyError:
            hint = did_you_mean(name, self.quantities)
            raise NotFoundError(_('unknown quantity "{name}"').format(name=name) + hint) from None

    def unknown(self, name: str) -> str:
        """The message for a name that is not here, with its did-you-mean."""
        return _('unknown quantity "{name}"').format(name=name) + did_you_mean(name, self.quantities)


@cache
def load_vocabulary(path: Path = PATH) -> Vocabulary:
    """Read ``vocabulary.yaml``; raises ContentError with every mistake."""
    root = read_yaml(path)
    root.check_keys(["classes", "parameters", "quantities"], ["classes", "quantities"])
    root["classes"].check_keys(["privacy", "retention"], ["privacy", "retention"])
    privacy = dict(root["classes"]["privacy"].items())
    retention = dict(root["classes"]["retention"].items())
    quantities = {
        name: _quantity(name, node, privacy, retention) for name, node in root["quantities"].items()
    }
    parameters = {
        name: replace(read_parameter(name, node), required=False) for name, node in root["parameters"].items()
    }
    for name, quantity in quantities.items():
        if quantity.sum is not None:
            _check_sum(quantity, root["quantities"][name]["sum"], quantities, parameters)
    root.source.raise_problems()
    return Vocabulary(quantities, parameters)


def _quantity(name: str, node: Node, privacy: Mapping[str, Node], retention: Mapping[str, Node]) -> Quantity:
    required = ["unit", "kind", "range", "de", "en", "privacy", "retention"]
    node.check_keys([*required, "unit_label", "decimals", "codes", "jump", "stuck", "sum"], required)
    low, high = range_of(node["range"])
    codes = {}
    for code, labels in node["codes"].items():
        labels.check_keys(["de", "en"], ["de", "en"])
        if code.lstrip("-").isdigit():
            codes[int(code)] = {"de": labels["de"].text(), "en": labels["en"].text()}
        else:
            node["codes"].problem_at(code, _("an enumeration's code is a whole number"))
    return Quantity(
        name=name,
        unit=str(node["unit"].plain() or ""),
        unit_label=node["unit_label"].text(),
        kind=node["kind"].one_of(KINDS, "gauge"),
        low=low,
        high=high,
        decimals=node["decimals"].integer(1),
        label={"de": node["de"].text(), "en": node["en"].text()},
        privacy=node["privacy"].one_of(privacy),
        retention=node["retention"].one_of(retention),
        codes=codes,
        jump=node["jump"].number(math.inf),
        stuck=node["stuck"].duration(),
        sum=_sum(node["sum"]) if "sum" in node else None,
    )


def _sum(node: Node) -> Sum | None:
    terms = [term.text() for term in node.elements()]
    if len(terms) == 2:
        return Sum(*terms)
    node.problem(_("expected a quantity and a parameter: [water_level_m, gauge_datum_m]"))
    return None


def _check_sum(
    quantity: Quantity, node: Node, quantities: Mapping[str, Quantity], parameters: Mapping[str, Parameter]
) -> None:
    assert quantity.sum is not None
    terms: list[tuple[str, Mapping[str, Quantity] | Mapping[str, Parameter]]] = [
        (quantity.sum.quantity, quantities),
        (quantity.sum.parameter, parameters),
    ]
    for name, known in terms:
        if name not in known:
            node.problem(_('unknown name "{name}"').format(name=name) + did_you_mean(name, known))
        elif known[name].unit != quantity.unit:
            message = _("{name} is in {own}, expected {unit}")
            node.problem(message.format(name=name, own=known[name].unit, unit=quantity.unit))


def read_parameter(name: str, node: Node) -> Parameter:
    """One entry of ``parameters``, of the vocabulary or a manifest; whether its unit is one, the reader says."""
    node.check_keys(["unit", "de", "en", "range", "default"], ["unit", "de", "en", "range"])
    unit = str(node["unit"].plain() or "1")
    low, high = range_of(node["range"]) if "range" in node else (-math.inf, math.inf)
    default = node["default"].number() if "default" in node else None
    if default is not None and not low <= default <= high:
        node["default"].problem(_("the default is outside the range"))
    label = {language: node[language].text() for language in ("de", "en")}
    return Parameter(name, label, unit, low, high, default, required=default is None)


def range_of(node: Node) -> tuple[float, float]:
    """``[lowest, highest]``."""
    ends = [end.number(0.0) for end in node.elements()]
    if len(ends) == 2 and ends[0] < ends[1]:
        return ends[0], ends[1]
    node.problem(_("expected a range: [lowest, highest]"))
    return 0.0, 1.0
