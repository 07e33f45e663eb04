"""Frames are read by offset, and what is not there is refused with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartdorf.decoding.frame import Frame, FrameError

FRAME = Frame(bytes.fromhex("0102fffefdfc8000"), 2)


@pytest.mark.parametrize(
    ("read", "offset", "value"),
    [
        ("u8", 2, 255),
        ("i8", 2, -1),
        ("u16", 0, 0x0102),
        ("u16le", 0, 0x0201),
        ("i16", 2, -2),
        ("i16le", 2, -257),
        ("u24", 0, 0x0102FF),
        ("u24le", 0, 0xFF0201),
        ("u32", 0, 0x0102FFFE),
        ("u32le", 0, 0xFEFF0201),
        ("i32", 2, -66052),
        ("i32le", 4, 0x0080FCFD),
    ],
)
def test_numbers_are_read_in_both_byte_orders(read: str, offset: int, value: int):
    assert getattr(FRAME, read)(offset) == value


def test_several_values_at_once():
    assert FRAME.unpack(">HhH") == (0x0102, -2, 0xFDFC)
    assert FRAME.unpack("<H", 6) == (0x0080,)


def test_reading_past_the_end_says_what_is_missing():
    with pytest.raises(FrameError) as refused:
        FRAME.u16(7)
    assert refused.value.reason == "too_short"
    assert refused.value.detail == "expected 2 bytes from byte 7 on, the frame has 8"


def test_a_cut_layout_is_refused():
    with pytest.raises(FrameError, match="too_short"):
        FRAME.unpack(">Q", 1)


def test_lengths_are_checked_before_looking_inside():
    FRAME.expect(8)
    FRAME.expect(4, 8)
    FRAME.require(8)
    with pytest.raises(FrameError, match=r"expected 9 bytes on f_port 2, got 8") as short:
        FRAME.expect(9)
    assert short.value.reason == "too_short"
    with pytest.raises(FrameError, match="expected 4 or 6 bytes") as other:
        FRAME.expect(4, 6)
    assert other.value.reason == "length"
    with pytest.raises(FrameError, match="at least 9"):
        FRAME.require(9)


@given(st.binary(max_size=20), st.integers(-30, 30), st.integers(0, 8))
def test_no_offset_reads_anything_but_the_bytes_there(data: bytes, offset: int, length: int):
    frame = Frame(data, 1)
    if offset >= 0 and offset + length <= len(data):
        assert frame.part(offset, length) == data[offset : offset + length]
    elif length:
        with pytest.raises(FrameError):
            frame.part(offset, length)
