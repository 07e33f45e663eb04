"""The bytes of COPY, written out by hand from PostgreSQL's documentation ("Binary Format")."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from smartdorf.db.copy_format import CopyFormat
from smartdorf.errors import DataRejectedError

NOON = datetime(2000, 1, 1, 12, tzinfo=UTC)  # 43,200,000,000 µs after PostgreSQL's epoch: 0a0eebb000
READING = CopyFormat({"time": "timestamptz", "device_id": "bigint", "channel": "smallint", "value": "real"})


def test_a_row_is_the_number_of_its_fields_and_each_with_its_length():
    expected = "000400000008 0000000a0eebb00000000008 000000000000000700000002 000100000004 3fc00000"
    assert READING.pack((NOON, 7, 1, 1.5)) == bytes.fromhex(expected)


def test_null_has_the_length_minus_one_and_no_bytes():
    expected = "000400000008 0000000a0eebb000ffffffff00000002 0001ffffffff"
    assert READING.pack((NOON, None, 1, None)) == bytes.fromhex(expected)


def test_text_and_bytes_follow_what_is_of_fixed_size():
    mixed = CopyFormat({"id": "uuid", "text": "text", "data": "bytea", "known": "boolean"})
    row = (UUID("6a1d1c0e-0c59-4f0c-9a51-2f4a0d7a1b7e"), "voll ä", b"\x00\xff", True)
    expected = "000400000010 6a1d1c0e0c594f0c9a512f4a0d7a1b7e00000007 766f6c6c20c3a400000002 00ff00000001 01"
    assert mixed.pack(row) == bytes.fromhex(expected)


def test_a_time_before_the_epoch_and_one_of_another_zone():
    berlin = timezone(timedelta(hours=1))
    only = CopyFormat({"time": "timestamptz"})
    assert only.pack((datetime(2000, 1, 1, 13, tzinfo=berlin),)) == only.pack((NOON,))
    second_before = datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert only.pack((second_before,)) == bytes.fromhex("0001 00000008 fffffffffff0bdc0")


def test_a_stream_has_a_signature_and_an_end_and_takes_rows_packed_before():
    only = CopyFormat({"channel": "smallint"})
    packed = only.pack((2,))
    expected = "5047434f50590aff0d0a00 00000000 000000000001 00000002 00010001 00000002 0002ffff"
    assert only.stream([(1,), packed]) == bytes.fromhex(expected)


@pytest.mark.parametrize(
    "row",
    [
        (NOON, 7, 32768, 1.5),  # a smallint ends at 32767
        (NOON, 2**63, 1, 1.5),
        (NOON, 7, 1, 1e39),  # a real ends at 3.4e38
        (NOON, "7", 1, 1.5),
        ("noon", 7, 1, 1.5),
        (NOON.replace(tzinfo=None), 7, 1, 1.5),
        (NOON, 7, 1),
    ],
)
def test_what_a_column_cannot_hold_is_refused_as_the_server_would(row):
    with pytest.raises(DataRejectedError, match="time, device_id, channel, value"):
        READING.pack(row)
