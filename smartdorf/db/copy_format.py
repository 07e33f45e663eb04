"""Rows in PostgreSQL's binary COPY format: bytes, made ahead of the transaction that sends them. Pure.

The driver encodes a row while the server waits for it; here that is done while the server is still busy with the
batch before, and faster, since the columns of fixed size are packed in one go.

Source: PostgreSQL's documentation of COPY, "Binary Format", and the send functions of its types: a row is the number
of its fields (int16), then each as its length (int32; -1 is NULL) and its bytes; numbers are big-endian, a timestamptz
is microseconds since 2000-01-01 UTC.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import Any
from uuid import UUID

from smartdorf.errors import DataRejectedError

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, flags, length of the header's extension
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"

_FIXED = {  # types of a fixed size, as the struct module calls them
    "bigint": "q",
    "smallint": "h",
    "boolean": "?",
    "double precision": "d",
    "real": "f",
    "timestamptz": "q",
    "uuid": "16s",
}

_REFUSED = (struct.error, ValueError, TypeError, OverflowError, AttributeError)
_count, _length = struct.Struct(">h").pack, struct.Struct(">i").pack


@lru_cache(maxsize=8192)
def _microseconds(time: datetime) -> int:
    """Remembered, since an uplink's time stands in a dozen of its rows."""
    return (time - _EPOCH) // _MICROSECOND


def _uuid_bytes(value: UUID) -> bytes:
    return value.bytes


_CONVERTED: Mapping[str, Callable[[Any], Any]] = {"timestamptz": _microseconds, "uuid": _uuid_bytes}


class CopyFormat:
    """The rows of one table. ``columns``: name → type.

    The leading columns of fixed size are packed at once if none of them is NULL: put as many there as there are, and
    behind them those that are seldom given.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.columns = columns
        types = tuple(columns.values())
        head = list(takewhile(_FIXED.__contains__, types))
        self._head = len(head)
        self._pack_head = struct.Struct(">h" + "".join(f"i{_FIXED[name]}" for name in head)).pack
        self._blank: list[Any] = [len(types)]
        for name in head:
            self._blank += [struct.calcsize(f">{_FIXED[name]}"), None]
        self._converted = [
            (2 + 2 * index, _CONVERTED[name]) for index, name in enumerate(head) if name in _CONVERTED
        ]
        self._fields = [_field(name) for name in types]
        self._tail = self._fields[self._head :]

    def pack(self, row: Sequence[Any]) -> bytes:
        """One row. Raises DataRejectedError for a value that its column cannot hold, as the server would."""
        try:
            values = self._blank.copy()
            values[2::2] = row[: self._head] if self._tail else row
            for index, convert in self._converted:
                values[index] = convert(values[index])
            head = self._pack_head(*values)
            return head + _joined(self._tail, row[self._head :]) if self._tail else head
        except _REFUSED:  # a NULL in front, or a value that is none
            return self._pack_each(row)

    def _pack_each(self, row: Sequence[Any]) -> bytes:
        try:
            return _count(len(self._fields)) + _joined(self._fields, row)
        except _REFUSED as error:
            raise DataRejectedError(f"{', '.join(self.columns)}: {error}") from error

    def stream(self, rows: Iterable[Sequence[Any] | bytes]) -> bytes:
        """All that COPY reads. What is bytes was packed before."""
        packed = [row if isinstance(row, bytes) else self.pack(row) for row in rows]
        return b"".join([_HEADER, *packed, _TRAILER])


def _joined(fields: Sequence[Callable[[Any], bytes]], row: Sequence[Any]) -> bytes:
    return b"".join(
        [_NULL if value is None else field(value) for field, value in zip(fields, row, strict=True)]
    )


def _field(type_: str) -> Callable[[Any], bytes]:
    """Encodes one value, not NULL, with its length."""
    if type_ == "text":
        return _text
    if type_ == "bytea":
        return _bytes
    code, convert = _FIXED[type_], _CONVERTED.get(type_)
    pack, size = struct.Struct(f">i{code}").pack, struct.calcsize(f">{code}")
    if convert is None:
        return lambda value: pack(size, value)
    return lambda value: pack(size, convert(value))


def _text(value: str) -> bytes:
    return _bytes(value.encode())


def _bytes(value: bytes) -> bytes:
    return _length(len(value)) + value
