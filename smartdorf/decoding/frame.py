"""A frame: the bytes of one uplink, read by offset. What is not there is refused with a reason.

Owns: bounds, byte order, the reasons. Must not know any sensor.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import Any

# A codec refuses a frame for one of these. They are counted, so they are few and never change with the frame.
UNKNOWN_F_PORT = "unknown_f_port"
TOO_SHORT = "too_short"
LENGTH = "length"  # neither too short nor cut: this model has no frame of that length
CHECKSUM = "checksum"
IMPLAUSIBLE = "implausible"  # fixed bytes are not what they must be, or values contradict each other
REFUSED = "refused"  # a vendor's codec says so, in its own words
# The engine itself adds these:
ENCRYPTED = "encrypted"  # end to end: we have no key
CODEC_ERROR = "codec_error"  # the codec has a mistake
MISSING_OBJECT = "missing_object"  # no codec here, and ChirpStack decoded nothing either

CODEC_REASONS = frozenset({UNKNOWN_F_PORT, TOO_SHORT, LENGTH, CHECKSUM, IMPLAUSIBLE, REFUSED})
REASONS = CODEC_REASONS | {ENCRYPTED, CODEC_ERROR, MISSING_OBJECT}


class FrameError(Exception):
    """This frame is refused: a reason that is counted, and the detail that helps a person."""

    def __init__(self, reason: str, detail: str = "") -> None:
        if reason not in CODEC_REASONS:
            # stored as codec_error, with the codec's line: what is counted must not change with the frame
            raise ValueError(f"unknown reason {reason!r}, expected one of {', '.join(sorted(CODEC_REASONS))}")
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    @classmethod
    def unknown_f_port(cls, frame: Frame) -> FrameError:
        return cls(UNKNOWN_F_PORT, f"this model sends nothing on f_port {frame.f_port}")


@cache
def _layout(layout: str) -> struct.Struct:
    return struct.Struct(layout)


def _number(layout: str) -> Callable[[Frame, int], int]:
    """A method of Frame that reads one number: most of what codecs do, so it is made of one call."""
    compiled = struct.Struct(layout)
    unpack, size = compiled.unpack_from, compiled.size

    def read(self: Frame, offset: int) -> int:
        try:
            if offset >= 0:
                number: int = unpack(self.data, offset)[0]
                return number
        except struct.error:
            pass
        raise self._cut(offset, size)

    return read


class Frame:
    """``frame.u16(2)``: the 16-bit number that starts at byte 2, big endian; ``u16le`` is little endian."""

    __slots__ = ("data", "f_port")

    def __init__(self, data: bytes, f_port: int) -> None:
        self.data = data
        self.f_port = f_port

    def __len__(self) -> int:
        return len(self.data)

    def expect(self, *lengths: int) -> None:
        """Refuse any other length, before looking inside."""
        got = len(self.data)
        if got not in lengths:
            wanted = " or ".join(str(length) for length in lengths)
            reason = TOO_SHORT if got < min(lengths) else LENGTH
            raise FrameError(reason, f"expected {wanted} bytes on f_port {self.f_port}, got {got}")

    def require(self, length: int) -> None:
        """Refuse what is shorter."""
        if len(self.data) < length:
            raise FrameError(
                TOO_SHORT, f"expected at least {length} bytes on f_port {self.f_port}, got {len(self.data)}"
            )

    def unpack(self, layout: str, offset: int = 0) -> tuple[Any, ...]:
        """Several values at once, as ``struct`` lays them out: the fastest way to read a fixed frame."""
        compiled = _layout(layout)
        try:
            return compiled.unpack_from(self.data, offset)
        except struct.error:
            raise self._cut(offset, compiled.size) from None

    def part(self, offset: int, length: int) -> bytes:
        part = self.data[offset : offset + length] if offset >= 0 else b""
        if len(part) < length:
            raise self._cut(offset, length)
        return part

    def _cut(self, offset: int, length: int) -> FrameError:
        detail = f"expected {length} bytes from byte {offset} on, the frame has {len(self.data)}"
        return FrameError(TOO_SHORT, detail)

    u8 = _number("B")
    i8 = _number("b")
    u16 = _number(">H")
    u16le = _number("<H")
    i16 = _number(">h")
    i16le = _number("<h")
    u32 = _number(">I")
    u32le = _number("<I")
    i32 = _number(">i")
    i32le = _number("<i")

    def u24(self, offset: int) -> int:
        return int.from_bytes(self.part(offset, 3))

    def u24le(self, offset: int) -> int:
        return int.from_bytes(self.part(offset, 3), "little")
