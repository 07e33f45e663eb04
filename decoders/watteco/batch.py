"""Watteco's batch reports: samples of several series, compressed. Port 125; the lowest bit of the first byte is 0.

The format after the vendor's published decoder. A stream of bits, lowest bit of a byte first;
numbers of more than eight bits come with the highest byte first, and what is no whole byte before it.

    FFFFFFFF CCC 0   then for each series   LL TTTT.. VVVV.. [CC HH]
F from bit 0: unused, common times, no further samples, asked for, and in four bits how many series there are
C counts the batches     L which series     T time of its first sample, 32 bits; later coded against the series before
V first sample, as wide as its type         C how steps of the value are coded     H with which code

    the further samples, each series with times of its own   LL NNNNNNNN [HH (T V)...]
    or with common times                                     NNNNNNNN HH T...   and for each series  LL (A [V])...
N how many      A 1 if the series has a sample at this time

Last comes the time of sending, coded against the last one. All times count seconds in the device's own clock, so a
sample's age is known, whatever the clock says. A step is coded by its number of bits, in one of three prefix codes,
and then these bits. Fifteen means that the value follows as a whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from struct import pack, unpack
from typing import NamedTuple

from smartdorf.decoding import FrameError

# by number of bits, 15 for a whole value
_CODES = (
    "00 01 11 101 1001 10001 100001 1000001 10000001 1000000000 10000000010 10000000011 10000000100 10000000101 "
    "10000000110 10000000111",
    "1101111 11010 1100 011 111 10 00 010 110110 110111011 110111001 1101110101 1101110100 1101110000 11011100011 "
    "11011100010",
    "1001 101 00 01 11 10001 100001 1000001 10000001 1000000000 10000000010 10000000011 10000000100 10000000101 "
    "10000000110 10000000111",
)
_WORDS = tuple({word: bits for bits, word in enumerate(code.split())} for code in _CODES)
_LONGEST = 11
_WHOLE = 15
_ABOVE, _BELOW = 1, 2  # codings of steps that have one direction only; 0 has both


class Series(NamedTuple):
    """What a tag stands for."""

    name: str
    bits: int  # of a whole value
    step: float = 1
    divisor: float = 1
    signed: bool = False
    floating: bool = False


class Sample(NamedTuple):
    name: str
    age: int  # seconds before the batch was sent
    value: float


@dataclass(slots=True)
class _Read:
    """A series while it is read: its samples so far, and how the next is coded."""

    samples: list[tuple[int, float]]
    coding: int
    code: int


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _bit(self) -> int:
        byte, bit = divmod(self._at, 8)
        if byte >= len(self._data):
            raise FrameError("too_short", f"the batch ends within a value, after {len(self._data)} bytes")
        self._at += 1
        return self._data[byte] >> bit & 1

    def number(self, bits: int) -> int:
        value = 0
        while bits > 0:
            part = bits % 8 or 8
            value = value << part | sum(self._bit() << place for place in range(part))
            bits -= part
        return value

    def width(self, code: int) -> int:
        """How many bits the next step has, in this code."""
        if code >= len(_WORDS):
            raise FrameError("implausible", f"there is no code {code}")
        word = ""
        while len(word) < _LONGEST:
            word += str(self._bit())
            if word in _WORDS[code]:
                return _WORDS[code][word]
        raise FrameError("implausible", f"{word} is no word of code {code}")

    def value(self, series: Series) -> float:
        number = self.number(series.bits)
        if series.floating:
            (float_value,) = unpack(">f", pack(">I", number))
            return float(float_value)
        return number - (1 << series.bits) if series.signed and number >> (series.bits - 1) else number

    def time(self, before: int, code: int) -> int:
        width = self.width(code)
        if width == _WHOLE:
            return self.number(32)
        return before + _least(width) + self.number(width)

    def next_value(self, series: Series, read: _Read, width: int) -> float:
        before = read.samples[-1][1]
        if width == _WHOLE:
            return self.value(series)
        step = self.number(width)
        if read.coding == _BELOW:
            return before - (step + _least(width)) * series.step
        if read.coding == _ABOVE or width == 0:
            return before + (step + _least(width)) * series.step
        # both directions: the lower half of what fits into the bits are the negative steps
        return before + (step if step >> (width - 1) else step + 1 - (1 << width)) * series.step


def _least(width: int) -> int:
    """The smallest step with this many bits: 0, 1, 3, 7 ..."""
    return (1 << width) - 1


def read_batch(data: bytes, tag_bits: int, table: Mapping[int, Series]) -> list[Sample]:
    bits = _Bits(data)
    flags = bits.number(8)
    bits.number(4)
    series: dict[int, _Read] = {}
    time = first = 0
    for position in range(flags >> 4):
        tag = _tag(bits, tag_bits, table)
        time = bits.time(time, 1) if position else bits.number(32)
        first = first if position else time
        read = _Read([(time, bits.value(table[tag]))], 0, 0)
        if not flags & 4:
            read.coding, read.code = bits.number(2), bits.number(2)
        series[tag] = read
    if not series:
        raise FrameError("implausible", "a batch without a series")
    last = time
    if not flags & 4:
        last = _with_common_times(bits, tag_bits, table, series, first) if flags & 2 else 0
        if not flags & 2:
            last = _with_own_times(bits, tag_bits, table, series, time)
    sent = bits.time(last, 1)
    return [
        Sample(table[tag].name, sent - at, value if table[tag].divisor == 1 else value / table[tag].divisor)
        for tag, read in series.items()
        for at, value in read.samples
    ]


def _tag(bits: _Bits, tag_bits: int, known: Mapping[int, object]) -> int:
    tag = bits.number(tag_bits)
    if tag not in known:
        raise FrameError("implausible", f"this model has no series {tag}")
    return tag


def _with_own_times(
    bits: _Bits, tag_bits: int, table: Mapping[int, Series], series: Mapping[int, _Read], last: int
) -> int:
    for _series in series:
        tag = _tag(bits, tag_bits, series)
        read = series[tag]
        count = bits.number(8)
        code = bits.number(2) if count else 0
        for _sample in range(count):
            time = bits.time(read.samples[-1][0], code)
            last = max(last, time)
            width = bits.width(read.code)
            read.samples.append((time, bits.next_value(table[tag], read, width)))
    return last


def _with_common_times(
    bits: _Bits, tag_bits: int, table: Mapping[int, Series], series: Mapping[int, _Read], first: int
) -> int:
    times = _common_times(bits, first)
    for _series in series:
        tag = _tag(bits, tag_bits, series)
        read = series[tag]
        first_stands_again = True
        for time in times:
            if not bits.number(1):
                continue
            width = bits.width(read.code)
            if width == 0 and first_stands_again:  # the sample that the batch began with
                first_stands_again = False
                continue
            read.samples.append((time, bits.next_value(table[tag], read, width)))
    return times[-1] if times else 0


def _common_times(bits: _Bits, first: int) -> Sequence[int]:
    count, code = bits.number(8), bits.number(2)
    times: list[int] = []
    for position in range(count):
        if position:
            times.append(bits.time(times[-1], code))
        else:
            times.append(bits.number(32) if bits.width(code) == _WHOLE else first)
    return times
