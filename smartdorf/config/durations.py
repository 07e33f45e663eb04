"""Durations as people write them in rule files: ``90s``, ``30m``, ``26h``, ``2d``, ``1w``, ``1h30m``.

Whole microseconds inside, like every time in smartdorf, so that a timer and the condition it serves agree.
"""

from __future__ import annotations

import re

SECOND = 1_000_000
_UNITS = {"s": SECOND, "m": 60 * SECOND, "min": 60 * SECOND, "h": 3600 * SECOND, "d": 86_400 * SECOND}
_UNITS["w"] = 7 * _UNITS["d"]
LONGEST = 36_525 * _UNITS["d"]
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(min|[smhdw])\s*", re.ASCII)


def parse_duration(text: str) -> int | None:
    """Microseconds; None where ``text`` is no duration (nothing here is meant to wait for a century)."""
    text = text.strip()
    total, end = 0.0, 0
    while match := _PART.match(text, end):
        total += float(match[1]) * _UNITS[match[2]]
        end = match.end()
    return round(total) if end == len(text) and end > 0 and total <= LONGEST else None


def format_duration(microseconds: float) -> str:
    """The shortest way to write it: ``26h``, ``2d``, ``90m``."""
    for unit in ("w", "d", "h", "m"):
        if microseconds and microseconds % _UNITS[unit] == 0:
            return f"{microseconds / _UNITS[unit]:.0f}{unit}"
    return f"{microseconds / SECOND:g}s"
