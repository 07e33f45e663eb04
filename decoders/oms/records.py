"""M-Bus records, as meters for water, heat and gas send them, over LoRaWAN as well. Little endian.

After EN 13757-3 "Application protocols" and the OMS specification, volume 2.

    CI header  DIF [DIFE...] VIF [VIFE...] value  DIF ...
    CI 78: no header      CI 7A: access number, status, configuration (2)      CI 72: address (8), then as 7A
    DIF   E S FF DDDD     E: a DIFE follows, S: lowest bit of the storage number, F: function, D: size of the value
    DIFE  E U TT SSSS     U: unit, T: tariff, S: further bits of the storage number; the lowest come first
    VIF   E VVVVVVV       V: what was measured, its lowest bits are mostly a power of ten

A record says at which *storage* its value lies; the date of the same storage says when that was. 0 is now.
A value of another size than expected, a BCD digit above 9 or the lowest negative number is no value: None.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from struct import unpack
from typing import NamedTuple

from smartdorf.decoding import Frame, FrameError

NOW, MAXIMUM, MINIMUM, AT_ERROR = range(4)  # functions

# two-byte code pages and whatever a manufacturer chose
PAGE_FB, PAGE_FD, OF_MANUFACTURER = 0x7B, 0x7D, 0x7F

_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 4, 6: 6, 7: 8, 9: 1, 10: 2, 11: 3, 12: 4, 14: 6}
_REAL, _VARIABLE, _IDLE = 5, 13, 0x2F
_PLAIN_TEXT = 0x7C
_DATE, _DATE_TIME = 0x6C, 0x6D
_MOST_EXTENSIONS = 10

# first code, how many, what, exponent of the first
_POWERS = (
    (0x00, 8, "energy_wh", -3),
    (0x08, 8, "energy_j", 0),
    (0x10, 8, "volume_m3", -6),
    (0x18, 8, "mass_kg", -3),
    (0x28, 8, "power_w", -3),
    (0x30, 8, "power_jh", 0),
    (0x38, 8, "flow_m3h", -6),
    (0x40, 8, "flow_m3min", -7),
    (0x48, 8, "flow_m3s", -9),
    (0x58, 4, "flow_temperature_c", -3),
    (0x5C, 4, "return_temperature_c", -3),
    (0x60, 4, "temperature_difference_k", -3),
    (0x64, 4, "external_temperature_c", -3),
    (0x68, 4, "pressure_bar", -3),
)
# by VIF: what and exponent
_MEANINGS = {
    start + step: (what, exponent + step) for start, count, what, exponent in _POWERS for step in range(count)
} | {0x6E: ("allocator_units", 0), 0x78: ("fabrication_number", 0)}

_PAGES = {
    (PAGE_FB, 0x00): ("energy_wh", 5),
    (PAGE_FB, 0x01): ("energy_wh", 6),
    (PAGE_FB, 0x08): ("energy_j", 8),
    (PAGE_FB, 0x09): ("energy_j", 9),
    (PAGE_FD, 0x17): ("error_flags", 0),
}


class Record(NamedTuple):
    """One value; ``vif`` has all its bytes without the bit that says that another follows."""

    function: int
    storage: int
    tariff: int
    unit: int
    vif: tuple[int, ...]
    value: int | float | str | bytes | None

    @property
    def what(self) -> str | None:
        """In words; None for what is not here, or not only (an extension may turn the meaning round)."""
        if self.vif in ((_DATE,), (_DATE_TIME,)):
            return "time"
        return _meaning(self.vif)[0]


class Header(NamedTuple):
    status: int | None
    number: str | None  # of the meter
    end: int


def read_header(frame: Frame) -> Header:
    kind = frame.u8(0)
    if kind == 0x78:
        return Header(None, None, 1)
    if kind not in (0x72, 0x7A):
        raise FrameError("implausible", f"starts with {kind:02x}, an M-Bus answer with 72, 78 or 7a")
    at = 9 if kind == 0x72 else 1
    status = frame.u8(at + 1)
    if frame.u16le(at + 2) >> 8 & 0x1F:
        raise FrameError(
            "implausible", "the records are encrypted by the meter; switch that off, LoRaWAN encrypts"
        )
    return Header(status, f"{frame.u32le(1):08x}" if kind == 0x72 else None, at + 4)


def read_records(frame: Frame, at: int = 0) -> Iterator[Record]:
    """All of them from byte ``at`` to the end, or to where a manufacturer's own data begin."""
    end = len(frame.data)
    while at < end:
        information = frame.u8(at)
        at += 1
        if information == _IDLE:
            continue
        size = information & 0x0F
        if size == 0x0F:
            return
        storage, tariff, unit = information >> 6 & 1, 0, 0
        more, extension = information & 0x80, 0
        while more:
            if extension == _MOST_EXTENSIONS:
                raise FrameError("implausible", f"byte {at}: a record has at most 10 bytes of DIFE")
            dife = frame.u8(at)
            at += 1
            storage |= (dife & 0x0F) << 4 * extension + 1
            tariff |= (dife >> 4 & 3) << 2 * extension
            unit |= (dife >> 6 & 1) << extension
            more = dife & 0x80
            extension += 1
        vif, at = _read_vif(frame, at)
        if size == _VARIABLE:
            length = frame.u8(at)
            if length >= 0xC0:
                raise FrameError("implausible", f"byte {at}: only texts and bytes may have a variable length")
            value: int | float | str | bytes | None = frame.part(at + 1, length)
            at += 1 + length
        else:
            width = _SIZES.get(size, 0)
            value = _value(frame.part(at, width), size, vif)
            at += width
        yield Record(information >> 4 & 3, storage, tariff, unit, vif, value)


def _read_vif(frame: Frame, at: int) -> tuple[tuple[int, ...], int]:
    vif: list[int] = []
    while True:
        code = frame.u8(at)
        at += 1
        if code & 0x7F == _PLAIN_TEXT and not vif:  # the unit in letters stands between
            length = frame.u8(at)
            frame.part(at + 1, length)
            at += 1 + length
        vif.append(code & 0x7F)
        if not code & 0x80:
            return tuple(vif), at
        if len(vif) > _MOST_EXTENSIONS:
            raise FrameError("implausible", f"byte {at}: a record has at most 10 bytes of VIFE")


def _meaning(vif: tuple[int, ...]) -> tuple[str | None, int]:
    if len(vif) == 1:
        return _MEANINGS.get(vif[0], (None, 0))
    if len(vif) == 2:
        return _PAGES.get((vif[0], vif[1]), (None, 0))
    return None, 0


def _value(data: bytes, size: int, vif: tuple[int, ...]) -> int | float | str | None:
    if not data:
        return None
    if vif[0] in (_DATE, _DATE_TIME):
        return _time(data)
    # reverse and error readings are scaled as the plain ones
    _what, exponent = _meaning(vif) if vif[0] in (PAGE_FB, PAGE_FD) else _meaning(vif[:1])
    number: float | None
    if size == _REAL:
        (number,) = unpack("<f", data)
        return scaled(number, exponent) if number is not None and abs(number) < 1e30 else None
    number = _bcd(data) if size > 8 else _binary(data)
    return None if number is None else scaled(number, exponent)


def scaled(number: float, exponent: int) -> float:
    """Divided rather than multiplied by 0.001, so that the number is the one that people write."""
    return number * 10**exponent if exponent >= 0 else number / 10**-exponent


def exponent_of(vif: tuple[int, ...]) -> int:
    return _meaning(vif[:1])[1]


def _binary(data: bytes) -> int | None:
    number = int.from_bytes(data, "little", signed=True)
    return None if number == -1 << 8 * len(data) - 1 else number


def _bcd(data: bytes) -> int | None:
    digits = data[::-1].hex()
    if digits[0] == "f":
        return -int(digits[1:]) if digits[1:].isdecimal() else None
    return int(digits) if digits.isdecimal() else None


def _time(data: bytes) -> str | None:
    """Types G (2 bytes), F (4) and I (6): ISO 8601. They tell no zone; one marked as wrong is none."""
    second = minute = hour = 0
    if len(data) == 4:
        minute, hour, invalid, day = data[0] & 0x3F, data[1] & 0x1F, data[0] & 0x80, data[2:]
    elif len(data) == 6:
        second, minute, hour = data[0] & 0x3F, data[1] & 0x3F, data[2] & 0x1F
        invalid, day = data[1] & 0x80, data[3:5]
    elif len(data) == 2:
        invalid, day = 0, data
    else:
        return None
    year = day[0] >> 5 | day[1] >> 1 & 0x78
    if invalid or year > 99:
        return None
    try:
        time = datetime(2000 + year, day[1] & 0x0F, day[0] & 0x1F, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return time.isoformat()
