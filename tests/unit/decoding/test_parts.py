"""Frames of tagged parts: what the readers say, where they end, and what happens to a part nobody knows."""

from __future__ import annotations

from typing import Any

import pytest

from smartdorf.decoding import Frame, FrameError, parts

TEMPERATURE = parts.number("temperature", ">h", 10)
MEASURED: parts.Table = {b"\x01": TEMPERATURE, b"\x02": parts.word("door", "shut", "open")}
TOLD: parts.Table = {b"\xf0": parts.raw("serial", 2)}


def read(reader: parts.Reader, data: str) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    end = reader(Frame(bytes.fromhex(data), 1), 0, found)
    return found, end


def tagged(data: str) -> dict[str, Any]:
    return parts.tagged(Frame(bytes.fromhex(data), 1), 1, MEASURED, TOLD)


def test_parts_come_in_any_order():
    assert tagged("0201 f0abcd 01ffec") == {"door": "open", "serial": "abcd", "temperature": -2.0}


def test_a_frame_without_parts_says_nothing():
    assert tagged("") == {}


def test_what_stands_behind_an_unknown_part_cannot_be_read_but_what_stands_in_front_counts():
    assert tagged("0100c8 99 0201") == {"temperature": 20.0, "unread": "990201"}


@pytest.mark.parametrize("data", ["99 0100c8", "f0abcd 99"])
def test_a_frame_that_begins_with_an_unknown_part_is_of_another_model(data: str):
    with pytest.raises(FrameError, match="this model has no part 99") as caught:
        tagged(data)
    assert caught.value.reason == "implausible"


@pytest.mark.parametrize("data", ["0100", "01", "02", "f0ab"])
def test_a_part_that_is_cut_off_refuses_the_frame(data: str):
    with pytest.raises(FrameError) as caught:
        tagged(data)
    assert caught.value.reason == "too_short"


def test_half_a_tag_is_cut_off_too():
    with pytest.raises(FrameError) as caught:
        parts.tagged(Frame(bytes.fromhex("010100c801"), 1), 2, {b"\x01\x01": TEMPERATURE})
    assert caught.value.reason == "too_short"


def test_a_fault_is_no_value_but_is_said():
    reader = parts.number("level", "<H", faults={0xFFFF: "read failed"})
    assert read(reader, "ffff") == ({"level_sensor_status": "read failed"}, 2)
    assert read(reader, "0a00") == ({"level_sensor_status": "normal", "level": 10}, 2)


@pytest.mark.parametrize("data", ["0000807f", "0000c07f"])
def test_infinity_and_no_number_are_left_out(data: str):
    assert read(parts.number("x", "<f"), data) == ({}, 4)


def test_a_code_without_a_word_is_kept_as_its_number():
    assert read(parts.code("state", {0: "off", 255: "error"}), "ff") == ({"state": "error"}, 1)
    assert read(parts.code("state", {0: "off", 255: "error"}), "07") == ({"state": 7}, 1)


def test_enumerations_in_the_bits_of_one_number():
    reader = parts.packed("<B", ("mode", 0, 2, ("heat", "cool")), ("fan", 4, 4, ("off", "low")))
    assert read(reader, "11") == ({"mode": "cool", "fan": "low"}, 1)
    assert read(reader, "f3") == ({"mode": 3, "fan": 15}, 1)


def test_readers_one_behind_the_other():
    reader = parts.in_order(parts.unused(1), parts.fixed("restarted", "yes"), parts.number("n", "<B"))
    assert read(reader, "00ff2a") == ({"restarted": "yes", "n": 42}, 3)


@pytest.mark.parametrize("reader", [parts.unused(2), parts.fixed("a", "b"), parts.raw("a", 2)])
def test_nothing_is_read_past_the_end(reader: parts.Reader):
    with pytest.raises(FrameError):
        reader(Frame(b"\x00", 1), 1, {})


def test_a_part_that_comes_twice_makes_a_list():
    frame = Frame(bytes.fromhex("0500c8 05ffec"), 1)
    found = parts.tagged(frame, 1, {b"\x05": parts.each("history", TEMPERATURE)})
    assert found == {"history": [{"temperature": 20.0}, {"temperature": -2.0}]}
