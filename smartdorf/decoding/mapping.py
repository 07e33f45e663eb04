"""From a decoded object to samples: the manifest's mapping, compiled flat so that an uplink costs microseconds.

Owns: steps, times of a frame and of its records, what is left over. Must not know files, YAML or units: all
that was settled when the manifest was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from smartdorf.decoding.derive import Derivation
from smartdorf.model import Quality, Sample

# A device's own time counts as the time of measurement if the network heard the frame this soon after it.
OWN_TIME_BEHIND = timedelta(hours=1)
OWN_TIME_AHEAD = timedelta(minutes=10)
# A wrong clock is most often a wrong time zone, and those differ by quarter hours: rounded to them, a record
# that is sent twice gets the same time twice.
_QUARTER = timedelta(minutes=15)
OLDEST_RECORD = timedelta(days=3653)  # no battery lasts longer
_NO_SHIFT = timedelta(0)
_MILLISECONDS = 100_000_000_000  # as seconds this is the year 5138

_OUT_OF_RANGE = int(Quality.OUT_OF_RANGE)
_HISTORY = int(Quality.HISTORY)
_TIME_REPLACED = int(Quality.TIME_REPLACED)
_ABSENT: Any = object()

Path = tuple[str | int, ...]


class Step(NamedTuple):
    """One field to one measurement."""

    metric: str
    channel: int
    key: str
    rest: Path  # further into the value
    factor: float
    divisor: float
    offset: float
    fillers: frozenset[float | str] | None  # values that mean "no value"
    codes: Mapping[str, float] | None
    low: float
    high: float
    is_fallback: bool  # another field of this measurement comes first


class Records(NamedTuple):
    """A list inside the object whose elements were measured at times of their own."""

    path: Path
    time: Path
    steps: tuple[Step, ...]


# What the mapping uses of an object: None for all of it, a mapping for parts of it.
Used = dict[str, "Used | None"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A manifest's mapping, ready to run."""

    steps: tuple[Step, ...]
    derivations: tuple[Derivation, ...]
    times: tuple[Path, ...]  # where the frame's own time stands; the first that is there counts
    records: tuple[Records, ...]
    used: Used


class Mapped(NamedTuple):
    samples: tuple[Sample, ...]
    left_over: dict[str, Any] | None
    missing: tuple[str, ...]


def map_object(
    plan: Plan, found: Mapping[str, Any], received_at: datetime, parameters: Mapping[str, float]
) -> Mapped:
    """What ``found`` says in the vocabulary's words."""
    samples: list[Sample] = []
    unusable: list[str] = []
    missing: tuple[str, ...] = ()
    time, quality, own, shift = received_at, 0, None, _NO_SHIFT
    if plan.times:
        time, quality, own, shift = _clock(plan.times, found, received_at)
    _take(plan.steps, found, time, quality, samples, unusable)
    if plan.records:
        _take_records(plan.records, found, (received_at, own, shift, quality), samples, unusable)
    if plan.derivations:
        missing = _derive(plan.derivations, parameters, samples)
    left_over = _left_over(found, plan.used)
    for key in unusable:
        left_over[key] = found[key]
    return Mapped(tuple(samples), left_over or None, missing)


def _take(
    steps: tuple[Step, ...],
    source: Mapping[str, Any],
    time: datetime,
    quality: int,
    samples: list[Sample],
    unusable: list[str],
) -> None:
    for metric, channel, key, rest, factor, divisor, offset, fillers, codes, low, high, is_fallback in steps:
        value = source.get(key, _ABSENT)
        if rest and value is not _ABSENT:
            value = _dig(value, rest)
        if value is _ABSENT or value is None:
            continue
        if is_fallback and any(s.metric == metric and s.channel == channel for s in samples):
            continue
        number: float | None
        if codes is not None:
            number = codes.get(_word(value))
        elif type(value) is float or type(value) is int:
            number = value
        else:
            number = _number(value)
        if fillers is not None and (number in fillers or (isinstance(value, str) and value in fillers)):
            continue
        try:
            number = number * factor / divisor + offset  # type: ignore[operator] # None is handled below, once
        except (TypeError, OverflowError):
            number = None
        if number is None or number - number != 0.0:  # NaN and infinity differ from themselves
            unusable.append(key)
        elif low <= number <= high:
            samples.append(Sample(metric, number, time, channel, quality))
        else:
            samples.append(Sample(metric, number, time, channel, quality | _OUT_OF_RANGE))


def _dig(value: Any, path: Path) -> Any:
    for step in path:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return _ABSENT
        elif not isinstance(value, list) or not -len(value) <= step < len(value):
            return _ABSENT
        value = value[step]
    return value


def _word(value: Any) -> str:
    """How a manifest writes this value as a key of ``codes``."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _number(value: Any) -> float | None:
    """Booleans are 1 and 0; some vendors' codecs give numbers as text."""
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str) and len(value) < 40:
        try:
            return float(value)
        except ValueError:
            return None
    return None


# -- times ----------------------------------------------------------------------------------------------


def _clock(
    paths: tuple[Path, ...], found: Mapping[str, Any], received_at: datetime
) -> tuple[datetime, int, datetime | None, timedelta]:
    """Time and quality of the frame's values, its own time, and by how much its records' times are wrong."""
    own = None
    for path in paths:
        if path[0] in found and (own := parse_time(_dig(found, path))) is not None:
            break
    if own is None:
        return received_at, 0, None, _NO_SHIFT
    behind = received_at - own
    if -OWN_TIME_AHEAD <= behind <= OWN_TIME_BEHIND:
        return min(own, received_at), 0, own, _NO_SHIFT
    return received_at, _TIME_REPLACED, own, round(behind / _QUARTER) * _QUARTER


def parse_time(value: Any) -> datetime | None:
    """Unix seconds or milliseconds, or ISO 8601; None for anything else."""
    try:
        if isinstance(value, (int, float)):
            if value <= 0 or isinstance(value, bool):
                return None
            return datetime.fromtimestamp(value / 1000 if value >= _MILLISECONDS else value, UTC)
        if isinstance(value, str):
            time = datetime.fromisoformat(value)
            return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _take_records(
    plans: tuple[Records, ...],
    found: Mapping[str, Any],
    clock: tuple[datetime, datetime | None, timedelta, int],
    samples: list[Sample],
    unusable: list[str],
) -> None:
    received_at, own, shift, quality = clock
    seen: set[tuple[str, int, datetime]] = set()
    for path, time_path, steps in plans:
        if path[0] not in found or (elements := _dig(found, path)) is _ABSENT:
            continue
        seen.update((sample.metric, sample.channel, sample.time) for sample in samples)
        left_out = not isinstance(elements, list)
        for element in () if left_out else elements:
            said = parse_time(_dig(element, time_path))
            if said is not None and said == own:
                continue  # some codecs repeat the current value at the end of the list
            # an age, since adding to a time could leave the calendar
            if said is None or not -OWN_TIME_AHEAD <= (age := received_at - said - shift) <= OLDEST_RECORD:
                left_out = True
                continue
            time = received_at - age if age > _NO_SHIFT else received_at
            taken: list[Sample] = []
            odd: list[str] = []
            _take(steps, element, time, quality | _HISTORY, taken, odd)
            left_out |= bool(odd)
            for sample in taken:
                identity = (sample.metric, sample.channel, sample.time)
                if identity not in seen:
                    seen.add(identity)
                    samples.append(sample)
        if left_out:
            unusable.append(str(path[0]))


# -- derived values, and the rest -----------------------------------------------------------------------


def _derive(
    derivations: tuple[Derivation, ...], parameters: Mapping[str, float], samples: list[Sample]
) -> tuple[str, ...]:
    missing: list[str] = []
    for derivation in derivations:  # in their order: a later one may follow from an earlier one
        sources = [s for s in samples if s.metric == derivation.source and s.channel == derivation.channel]
        if not sources:
            continue
        known, unknown = derivation.arguments(parameters)
        if unknown:
            missing += () if derivation.may_lack else unknown
            continue
        for source in sources:
            value = derivation.compute(source.value, known)
            if value - value != 0.0:  # they contradict each other: as good as missing
                missing += [name for name, _default in derivation.given if name in parameters]
                continue
            quality = source.quality
            if not derivation.low <= value <= derivation.high:
                quality |= _OUT_OF_RANGE
            samples.append(Sample(derivation.metric, value, source.time, source.channel, quality))
    return tuple(dict.fromkeys(missing))


def _left_over(found: Mapping[str, Any], used: Used) -> dict[str, Any]:
    rest: dict[str, Any] = {}
    for key, value in found.items():
        if key not in used:
            rest[key] = value
        elif (parts := used[key]) is not None:
            if not isinstance(value, Mapping):
                rest[key] = value
            elif inner := _left_over(value, parts):
                rest[key] = inner
    return rest
