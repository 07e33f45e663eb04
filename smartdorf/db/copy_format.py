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

_EXPRESSIONS = {"timestamptz": "microseconds({})", "uuid": "{}.bytes"}  # what struct is given of a value

_REFUSED = (struct.error, ValueError, TypeError, OverflowError, AttributeError)
_count, _length = struct.Struct(">h").pack, struct.Struct(">i").pack


@lru_cache(maxsize=8192)
def _microseconds(time: datetime) -> int:
    """Remembered, since an uplink's time stands in a dozen of its rows."""
    return (time - _EPOCH) // _MICROSECOND


def _bytes(value: bytes) -> bytes:
    return _length(len(value)) + value


def _text(value: str) -> bytes:
    return _bytes(value.encode())


class CopyFormat:
    """The rows of one table. ``columns``: name → type.

    The leading columns of fixed size are packed at once if none of them is NULL: put as many there as there are, and
    behind them those that are seldom given.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.columns = columns
        types = tuple(columns.values())
        self._fields = [_field(type_) for type_ in types]
        self._pack = _compile(types, self._fields)

    def pack(self, row: Sequence[Any]) -> bytes:
        """One row. Raises DataRejectedError for a value that its column cannot hold, as the server would."""
        try:
            return self._pack(*row)
        except _REFUSED:  # a NULL in front, or a value that is none
            return self._pack_each(row)

    def _pack_each(self, row: Sequence[Any]) -> bytes:
        try:
            fields = zip(self._fields, row, strict=True)
            packed = [_NULL if value is None else field(value) for field, value in fields]
        except _REFUSED as error:
            raise DataRejectedError(f"{', '.join(self.columns)}: {error}") from error
        return b"".join([_count(len(packed)), *packed])

    def stream(self, rows: Iterable[Sequence[Any] | bytes]) -> bytes:
        """All that COPY reads. What is bytes was packed before."""
        packed = [row if isinstance(row, bytes) else self.pack(row) for row in rows]
        return b"".join([_HEADER, *packed, _TRAILER])


def _field(type_: str) -> Callable[[Any], bytes]:
    """Encodes one value, not NULL, with its length."""
    if type_ == "text":
        return _text
    if type_ == "bytea":
        return _bytes
    code = _FIXED[type_]
    pack, size = struct.Struct(f">i{code}").pack, struct.calcsize(f">{code}")
    if type_ == "timestamptz":
        return lambda value: pack(size, _microseconds(value))
    if type_ == "uuid":
        return lambda value: pack(size, value.bytes)
    return lambda value: pack(size, value)


def _compile(types: Sequence[str], fields: Sequence[Callable[[Any], bytes]]) -> Callable[..., bytes]:
    """A function of a row's values, made from its types as ``namedtuple`` makes its own.

    A loop over the columns takes twice as long, and thousands of rows are packed each second.
    """
    head = list(takewhile(_FIXED.__contains__, types))
    names = [f"value_{index}" for index in range(len(types))]
    packed = [str(len(types))]
    for name, type_ in zip(names, head, strict=False):
        value = _EXPRESSIONS.get(type_, "{}").format(name)
        packed += [str(struct.calcsize(f">{_FIXED[type_]}")), value]
    parts = [f"pack({', '.join(packed)})"] + [
        f"null if {name} is None else field_{index}({name})"
        for index, name in enumerate(names)
        if index >= len(head)
    ]
    joined = parts[0] if len(parts) == 1 else f"b''.join(({', '.join(parts)}))"
    scope: dict[str, Any] = {f"field_{index}": field for index, field in enumerate(fields)}
    scope |= {
        "pack": struct.Struct(">h" + "".join(f"i{_FIXED[type_]}" for type_ in head)).pack,
        "microseconds": _microseconds,
        "null": _NULL,
    }
    made: Callable[..., bytes] = eval(f"lambda {', '.join(names)}: {joined}", scope)  # noqa: S307 - our own text
    return made
