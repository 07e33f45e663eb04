"""What would change if stored uplinks were decoded anew: the guard against a codec that quietly means something else.

Pure; whoever calls reads the database. Also finds what a device itself has changed: the length of its frames, or a
version that it reports.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from smartdorf.model import Decoded

EXAMPLES = 3  # of each quantity
SURE = 3  # frames before and after, for a change of a device to be one

Key = tuple[int, str, datetime]  # channel, quantity, time


class Difference(NamedTuple):
    """One value; None: there is none."""

    dev_eui: str
    channel: int
    time: datetime
    before: float | None
    after: float | None


@dataclass(slots=True)
class QuantityDrift:
    """Of one quantity: how many values stay, change, are new, or would be gone."""

    same: int = 0
    changed: int = 0
    new: int = 0
    gone: int = 0
    examples: list[Difference] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        return bool(self.changed or self.new or self.gone)


class Switch(NamedTuple):
    """Since ``time`` a device does otherwise than before: ``what`` is e.g. "f_port 2, bytes" or "firmware"."""

    dev_eui: str
    what: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    time: datetime


@dataclass(slots=True)
class _Seen:
    first: datetime
    last: datetime
    count: int = 1


@dataclass
class Drift:
    """Everything found so far. ``faults``: reasons of frames that gave values before and would give none."""

    uplinks: int = 0
    quantities: dict[str, QuantityDrift] = field(default_factory=lambda: defaultdict(QuantityDrift))
    faults: Counter[str] = field(default_factory=Counter)
    _seen: dict[tuple[str, str], dict[str, _Seen]] = field(default_factory=lambda: defaultdict(dict))

    @property
    def differs(self) -> bool:
        return bool(self.faults) or any(drift.differs for drift in self.quantities.values())

    def add(
        self,
        dev_eui: str,
        time: datetime,
        frame: tuple[int, int],
        decoded: Decoded,
        stored: Mapping[Key, float],
    ) -> None:
        """One uplink, oldest first.

        ``frame``: f_port and number of bytes; ``stored``: what the device has at the times of its values.
        """
        self.uplinks += 1
        port, length = frame
        self._note(dev_eui, f"f_port {port}, bytes", str(length), time)
        for name, value in (decoded.object or {}).items():
            if isinstance(value, str | int | float) and (
                "version" in name.lower() or "firmware" in name.lower()
            ):
                self._note(dev_eui, name, str(value), time)
        if decoded.fault is not None:
            if any(key[2] == time for key in stored):
                self.faults[decoded.fault.reason] += 1
            return
        found = {(sample.channel, sample.metric, sample.time): sample.value for sample in decoded.samples}
        for key, value in found.items():
            self._compare(dev_eui, key, stored.get(key), value)
        for key, value in stored.items():
            if key[2] == time and key not in found:  # other times may be another frame's
                self._compare(dev_eui, key, value, None)

    def switches(self) -> Iterator[Switch]:
        """Where a device has left one set of values for another, and has not come back."""
        for (dev_eui, what), seen in sorted(self._seen.items()):
            ordered = sorted(seen.items(), key=lambda item: item[1].first)
            for number in range(1, len(ordered)):
                before, after = ordered[:number], ordered[number:]
                begin = min(item.first for _value, item in after)
                if (
                    max(item.last for _value, item in before) < begin
                    and sum(item.count for _value, item in before) >= SURE
                    and sum(item.count for _value, item in after) >= SURE
                ):
                    yield Switch(dev_eui, what, _values(before), _values(after), begin)

    def _note(self, dev_eui: str, what: str, value: str, time: datetime) -> None:
        seen = self._seen[dev_eui, what]
        if (known := seen.get(value)) is None:
            seen[value] = _Seen(time, time)
        else:
            known.last = time
            known.count += 1

    def _compare(self, dev_eui: str, key: Key, before: float | None, after: float | None) -> None:
        channel, metric, time = key
        drift = self.quantities[metric]
        if before == after:
            drift.same += 1
            return
        if before is None:
            drift.new += 1
        elif after is None:
            drift.gone += 1
        else:
            drift.changed += 1
        if len(drift.examples) < EXAMPLES:
            drift.examples.append(Difference(dev_eui, channel, time, before, after))


def _values(seen: list[tuple[str, Any]]) -> tuple[str, ...]:
    return tuple(value for value, _item in seen)
