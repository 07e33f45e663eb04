"""The functions over the values of a quantity's last hours or days: their names, and what comes out of them."""

from __future__ import annotations

from typing import Literal, NamedTuple

from smartdorf.config.durations import SECOND

DAY = 86_400 * SECOND
LONGEST_WINDOW = 14 * DAY
USUAL_DAYS = 13  # usual() looks at as many days before; with a window of a day that is as far as any reaches


class Window(NamedTuple):
    """What a function makes of values: in their own unit, per hour, or a bare number.

    ``same_range``: as plausible as a single value; ``is_truth``: a condition by itself; ``whole``: says something only
    of a time of which enough is known, not just its beginning and its end.
    """

    unit: Literal["same", "per hour", "none"] = "same"
    same_range: bool = False
    is_truth: bool = False
    whole: bool = True

    def unit_of(self, unit: str) -> str | None:
        if self.unit == "none":
            return None
        return f"{unit}/h" if self.unit == "per hour" else unit


WINDOWS = {
    "avg": Window(same_range=True),
    "min": Window(same_range=True),
    "max": Window(same_range=True),
    "median": Window(same_range=True),
    "sum": Window(),
    "count": Window("none"),
    "first": Window(same_range=True, whole=False),
    "last": Window(same_range=True, whole=False),
    "delta": Window(whole=False),
    "rate": Window("per hour", whole=False),
    "stuck": Window("none", is_truth=True),
}
