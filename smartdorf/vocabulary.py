"""The dictionary of quantities: decoders and rules may name nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, lru_cache
from pathlib import Path

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
    """All quantities by name."""

    def __init__(self, quantities: Mapping[str, Quantity]) -> None:
        self.quantities = dict(quantities)

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
    root.check_keys(["classes", "quantities"], ["classes", "quantities"])
    root["classes"].check_keys(["privacy", "retention"], ["privacy", "retention"])
    privacy = dict(root["classes"]["privacy"].items())
    retention = dict(root["classes"]["retention"].items())
    quantities = {
        name: _quantity(name, node, privacy, retention) for name, node in root["quantities"].items()
    }
    root.source.raise_problems()
    return Vocabulary(quantities)


def _quantity(name: str, node: Node, privacy: Mapping[str, Node], retention: Mapping[str, Node]) -> Quantity:
    required = ["unit", "kind", "range", "de", "en", "privacy", "retention"]
    node.check_keys([*required, "unit_label", "decimals", "codes", "jump", "stuck"], required)
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
    )


def range_of(node: Node) -> tuple[float, float]:
    """``[lowest, highest]``."""
    ends = [end.number(0.0) for end in node.elements()]
    if len(ends) == 2 and ends[0] < ends[1]:
        return ends[0], ends[1]
    node.problem(_("expected a range: [lowest, highest]"))
    return 0.0, 1.0
