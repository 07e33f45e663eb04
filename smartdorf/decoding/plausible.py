"""What the values of a model's quantity can be, each alone and one after the other. Owns the manifest's keys for it."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import NamedTuple

from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import Quantity, range_of
from smartdorf.yaml_source import Node

KEYS = ("range", "jump", "stuck", "rollover")


class Plausibility(NamedTuple):
    """In the vocabulary's unit.

    ``jump``: the largest believable change within an hour; ``stuck``: a sensor whose value has not moved for so long
    is broken; ``rollover``: where a counter begins at 0 again, 0 for nowhere.
    """

    low: float
    high: float
    jump: float = math.inf
    stuck: timedelta | None = None
    is_counter: bool = False
    rollover: float = 0.0

    @property
    def is_watched(self) -> bool:
        """Whether a value says something about the next one."""
        return self.is_counter or self.stuck is not None or self.jump < math.inf


def read_plausibility(quantity: Quantity, node: Node) -> Plausibility:
    """What the vocabulary says, unless the manifest knows better; ``rollover`` is in the field's unit still."""
    low, high = quantity.low, quantity.high
    if "range" in node:
        low, high = range_of(node["range"])
        if low < quantity.low or high > quantity.high:
            message = _("{quantity} can only be from {low:g} to {high:g}, in {unit}")
            node["range"].problem(
                message.format(
                    quantity=quantity.name, low=quantity.low, high=quantity.high, unit=quantity.unit
                )
            )
    is_counter = quantity.kind == "counter"
    rollover = node["rollover"].number(0.0)
    if "rollover" in node and (not is_counter or rollover <= 0):
        node["rollover"].problem(_("expected where a counter begins at 0 again: rollover: 65536"))
    jump = node["jump"].number(quantity.jump)
    if jump <= 0:
        node["jump"].problem(_("expected the largest believable change within an hour, more than 0"))
    stuck = node["stuck"].duration() if "stuck" in node else quantity.stuck
    return Plausibility(low, high, jump, stuck, is_counter, rollover)
