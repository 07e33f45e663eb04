"""Three-valued logic (Kleene): true, false, and None for "unknown". The parts that conditions are built of.

A part is a function of the slots: the values, limits and durations of one subject at one moment, where None is a
value that nobody knows. What is unknown stays unknown, unless the answer is the same whatever it turns out to be.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence

Slots = Sequence[float | None]
Number = Callable[[Slots], float | None]
Truth = Callable[[Slots], bool | None]


def slot(index: int) -> Number:
    return operator.itemgetter(index)


def constant(value: float) -> Number:
    return lambda slots: value


def compare(relation: Callable[[float, float], bool], left: Number, right: Number) -> Truth:
    def compared(slots: Slots) -> bool | None:
        a = left(slots)
        if a is None:
            return None
        b = right(slots)
        return None if b is None else relation(a, b)

    return compared


def compare_between(
    relation: Callable[[float, float], bool], least: Number, greatest: Number, other: Number
) -> Truth:
    """A number of which only the bounds are known: true or false where it is the same wherever the number lies."""

    def compared(slots: Slots) -> bool | None:
        low, high, b = least(slots), greatest(slots), other(slots)
        if low is None or high is None or b is None:
            return None
        first = relation(low, b)
        same = relation(high, b) == first == relation(min(max(b, low), high), b)
        return first if same else None

    return compared


def compare_bounded(
    relation: Callable[[float, float], bool],
    left: Number,
    right: Number,
    left_top: Number | None = None,
    right_top: Number | None = None,
) -> Truth:
    """Of one side at most only the bounds are known: then it is the least, and ``top`` the greatest."""
    if left_top is not None:
        return compare_between(relation, left, left_top, right)
    if right_top is not None:
        return compare_between(lambda a, b: relation(b, a), right, right_top, left)
    return compare(relation, left, right)


def holds(number: Number) -> Truth:
    """A state as a condition: true where it is not 0."""

    def held(slots: Slots) -> bool | None:
        value = number(slots)
        return None if value is None else value != 0

    return held


def all_of(parts: Sequence[Truth]) -> Truth:
    """``and``: one false part makes it false, whatever is unknown."""

    def every(slots: Slots) -> bool | None:
        result: bool | None = True
        for part in parts:
            value = part(slots)
            if value is False:
                return False
            if value is None:
                result = None
        return result

    return every


def any_of(parts: Sequence[Truth]) -> Truth:
    """``or``: one true part makes it true, whatever is unknown."""

    def some(slots: Slots) -> bool | None:
        result: bool | None = False
        for part in parts:
            value = part(slots)
            if value is True:
                return True
            if value is None:
                result = None
        return result

    return some


def negate(part: Truth) -> Truth:
    def negated(slots: Slots) -> bool | None:
        value = part(slots)
        return None if value is None else not value

    return negated


def calculate(operation: Callable[[float, float], float], left: Number, right: Number) -> Number:
    """Arithmetic. What has no result (a division by zero, an overflow) is unknown."""

    def calculated(slots: Slots) -> float | None:
        a, b = left(slots), right(slots)
        if a is None or b is None:
            return None
        try:
            result = operation(a, b)
        except (ZeroDivisionError, OverflowError):
            return None
        return result if math.isfinite(result) else None

    return calculated


def minus(number: Number) -> Number:
    def negative(slots: Slots) -> float | None:
        value = number(slots)
        return None if value is None else -value

    return negative
