"""Readers for frames that are a sequence of tagged parts, from which a family's codec builds its table.

Many vendors send ``tag value tag value …``, where the tag alone says how long the value is. A reader reads one
value: it is called with the frame, the byte at which the value begins and the object, writes what the value says
into the object and returns the byte behind it. Must not know any vendor's tags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from struct import Struct, calcsize
from typing import Any

from smartdorf.decoding.frame import IMPLAUSIBLE, Frame, FrameError

Reader = Callable[[Frame, int, dict[str, Any]], int]
Table = Mapping[bytes, Reader]  # by tag


def tagged(frame: Frame, tag: int, measured: Table, told: Table | None = None) -> dict[str, Any]:
    """All parts of a frame; ``tag`` is how many bytes a tag has, ``told`` are parts that measure nothing.

    A part that is in no table has no known length, so nothing behind it can be read. What was measured in front
    of it counts (newer firmware may append parts, and a leak must not get lost over that); the rest is kept as
    bytes. Where nothing was measured in front of it, it is more likely another model, and the frame is refused.
    """
    data, end = frame.data, len(frame.data)
    found: dict[str, Any] = {}
    measures = False
    at = 0
    while at < end:
        head = data[at : at + tag]
        read = measured.get(head)
        if read is not None:
            measures = True
        else:
            read = told.get(head) if told is not None else None
            if read is None:
                frame.require(at + tag)
                if not measures:
                    raise FrameError(IMPLAUSIBLE, f"byte {at}: this model has no part {head.hex(' ')}")
                found["unread"] = data[at:].hex()
                return found
        at = read(frame, at + tag, found)
    return found


def number(name: str, layout: str, divisor: float = 1, faults: Mapping[int, str] | None = None) -> Reader:
    """One number, as ``struct`` lays it out (``"<h"``). What is no finite number is left out.

    ``faults``: values that are none, but say what is wrong with the sensor behind it. The field
    ``<name>_sensor_status`` then says so, or that it is normal.
    """
    compiled = Struct(layout)
    unpack, size = compiled.unpack_from, compiled.size
    status = name + "_sensor_status"
    may_be_no_number = layout[-1] in "efd"

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        end = at + size
        if end > len(frame.data):
            frame.require(end)
        (value,) = unpack(frame.data, at)
        if faults is not None:
            found[status] = faults.get(value, "normal")
            if value in faults:
                return end
        if may_be_no_number and not isfinite(value):
            return end
        found[name] = value if divisor == 1 else value / divisor
        return end

    return read


def code(name: str, words: Mapping[int, str]) -> Reader:
    """A byte with a word for each value; a value without one is kept as its number."""

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        value = frame.u8(at)
        found[name] = words.get(value, value)
        return at + 1

    return read


def word(name: str, *words: str) -> Reader:
    """A byte that counts ``words`` from 0."""
    return code(name, dict(enumerate(words)))


def packed(layout: str, *fields: tuple[str, int, int, tuple[str, ...]]) -> Reader:
    """Several enumerations in the bits of one number: name, lowest bit, how many bits, words from 0."""
    size = calcsize(layout)

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        (bits,) = frame.unpack(layout, at)
        for name, shift, width, words in fields:
            value = bits >> shift & ((1 << width) - 1)
            found[name] = words[value] if value < len(words) else value
        return at + size

    return read


def raw(name: str, length: int) -> Reader:
    """Bytes that are kept as they are, in hex."""

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        found[name] = frame.part(at, length).hex()
        return at + length

    return read


def fixed(name: str, said: str) -> Reader:
    """A byte that always means the same: that it was sent is what it says."""

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        frame.u8(at)
        found[name] = said
        return at + 1

    return read


def unused(length: int) -> Reader:
    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        frame.require(at + length)
        return at + length

    return read


def in_order(*readers: Reader) -> Reader:
    """One behind the other."""

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        for reader in readers:
            at = reader(frame, at, found)
        return at

    return read


def each(name: str, *readers: Reader) -> Reader:
    """A part that may come several times in a frame: the list ``name`` gets one object more."""
    inner = in_order(*readers)

    def read(frame: Frame, at: int, found: dict[str, Any]) -> int:
        element: dict[str, Any] = {}
        at = inner(frame, at, element)
        found.setdefault(name, []).append(element)
        return at

    return read
