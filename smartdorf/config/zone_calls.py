"""How a zone function is written: ``zone_share(parking_occupied == occupied, place_type="parking_bay", age="6h")``."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import NamedTuple

from smartdorf.config.terms import code_names
from smartdorf.config.zones import ZONES
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import Quantity

Refuse = Callable[[ast.AST, str], Exception]

_EXAMPLES = {
    "conditions": 'zone_share(parking_occupied == occupied, place_type="parking_bay")',
    "values": 'zone_max(sum(precipitation_mm, "2h"), place_type="rain_gauge")',
}


class ZoneCall(NamedTuple):
    """What stands between the brackets."""

    of: ast.expr
    place_type: str  # "": of any type
    age: ast.expr | None


def read_zone_call(node: ast.Call, name: str, refuse: Refuse) -> ZoneCall:
    keywords = {keyword.arg or "": keyword.value for keyword in node.keywords}
    if len(node.args) != 1 or keywords.keys() - {"place_type", "age"}:
        message = _("{name}() takes one thing to look at, and place_type= or age= where needed: {example}")
        raise refuse(node, message.format(name=name, example=_EXAMPLES[ZONES[name].of]))
    place_type = keywords.get("place_type")
    if place_type is None:
        return ZoneCall(node.args[0], "", keywords.get("age"))
    if isinstance(place_type, ast.Constant) and isinstance(place_type.value, str) and place_type.value:
        return ZoneCall(node.args[0], place_type.value, keywords.get("age"))
    raise refuse(place_type, _('which places? write their type in quotes: place_type="parking_bay"'))


def state_advice(node: ast.expr, quantity: Quantity | None) -> str:
    """What to write instead of the average of a state."""
    words = list(code_names(quantity)) if quantity is not None else []
    text = f"{ast.unparse(node)} == {words[-1]}" if words else ast.unparse(node)
    message = _("a state has no average and no sum: ask where it holds, zone_share({text})")
    return message.format(text=text)
