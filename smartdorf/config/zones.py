"""The functions over the places of a zone: their names, and what comes out of them.

A zone is a place together with all those whose tag ``zone`` names it. A rule's own place is never among the places that
its zone functions look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from smartdorf.config.durations import SECOND
from smartdorf.vocabulary import Quantity

TAG = "zone"
DEFAULT_AGE = 26 * 3600 * SECOND  # as long as a sensor may be silent before DeviceSilent says so

SHARE = Quantity(
    "zone_share", "%", "gauge", 0, 100, 0, {"de": "Anteil", "en": "share"}, "public", "short", "%"
)


class ZoneFunction(NamedTuple):
    """Of what it is made, and what an unknown place does to it.

    ``bounded``: what the unknown places could change may be left open, so there is a least and a greatest value.
    """

    of: Literal["values", "conditions"]
    bounded: bool = True


ZONES = {
    "zone_share": ZoneFunction("conditions"),
    "zone_count": ZoneFunction("conditions"),
    "zone_avg": ZoneFunction("values", bounded=False),
    "zone_min": ZoneFunction("values"),
    "zone_max": ZoneFunction("values"),
    "zone_sum": ZoneFunction("values"),
}


def zones_of(tags: Mapping[str, str]) -> list[str]:
    """The slugs that a place's tag names: ``zone=muehlbach`` or, of a rain gauge for two streams,
    ``zone=muehlbach,erlenbach``."""
    return [slug for name in tags.get(TAG, "").split(",") if (slug := name.strip())]
