"""The reader of M-Bus records that several vendors' codecs share: each kind of value, and what is none."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest

from smartdorf.content import shipped
from smartdorf.decoding import Frame, FrameError

PACKAGE = ModuleType("mbus_under_test")
PACKAGE.__path__ = [str(shipped("decoders") / "oms")]
sys.modules[PACKAGE.__name__] = PACKAGE
records = importlib.import_module(f"{PACKAGE.__name__}.records")
profiles = importlib.import_module(f"{PACKAGE.__name__}.profiles")


def read(data: str) -> list:
    return list(records.read_records(Frame(bytes.fromhex(data), 1)))


@pytest.mark.parametrize(
    ("data", "what", "value"),
    [
        ("01 5b 15", "flow_temperature_c", 21),
        ("01 5b fe", "flow_temperature_c", -2),
        ("02 5a cd00", "flow_temperature_c", 20.5),
        ("03 13 40e201", "volume_m3", 123.456),
        ("04 13 40e20100", "volume_m3", 123.456),
        ("05 2b 0000c03f", "power_w", 1.5),
        ("06 13 40e201000000", "volume_m3", 123.456),
        ("07 13 40e2010000000000", "volume_m3", 123.456),
        ("09 5b 21", "flow_temperature_c", 21),
        ("0a 5a 0502", "flow_temperature_c", 20.5),
        ("0b 3b 341200", "flow_m3h", 1.234),
        ("0c 78 78563412", "fabrication_number", 12345678),
        ("0e 13 563412000000", "volume_m3", 123.456),
        ("0c 13 563412f0", "volume_m3", -123.456),
        ("04 06 07000000", "energy_wh", 7000),
        ("04 0e 07000000", "energy_j", 7_000_000),
        ("04 fb01 02000000", "energy_wh", 2_000_000),
        ("03 6e d20400", "allocator_units", 1234),
        ("02 6c 0135", "time", "2024-05-01T00:00:00+00:00"),
        ("04 6d 07120135", "time", "2024-05-01T18:07:00+00:00"),
        ("06 6d 050712013500", "time", "2024-05-01T18:07:05+00:00"),
    ],
)
def test_a_value_is_read_by_its_size_and_meaning(data: str, what: str, value: float | str):
    (record,) = read(data)
    assert (record.what, record.value) == (what, value)


@pytest.mark.parametrize(
    "data",
    [
        "01 5b 80",  # the lowest negative number
        "02 5a 0080",
        "04 13 00000080",
        "0c 13 5634a200",  # a digit above nine
        "05 2b 0000c07f",  # no number
        "00 13",
        "08 13",  # selection, without a value
        "04 6d 87120135",  # the meter says that its time is wrong
        "04 6d 07190135",  # 25 o'clock
        "02 6c 0030",  # day 0
        "02 6c ffff",
    ],
)
def test_what_is_no_value_is_none(data: str):
    (record,) = read(data)
    assert record.value is None


def test_extensions_say_storage_tariff_and_unit():
    (record,) = read("c4 9f 61 13 01000000")
    # storage 1 | 0xf << 1 | 1 << 5, tariff 1 | 2 << 2, unit 0 | 1 << 1
    assert (record.storage, record.tariff, record.unit) == (63, 9, 2)


@pytest.mark.parametrize(
    ("data", "function"), [("01 5b 15", 0), ("11 5b 15", 1), ("21 5b 15", 2), ("31 5b 15", 3)]
)
def test_the_function_says_whether_it_is_now_the_highest_the_lowest_or_an_error(data: str, function: int):
    (record,) = read(data)
    assert record.function == function


def test_an_extension_of_the_meaning_is_not_taken_for_the_plain_value():
    (record,) = read("44 933c 07000000")
    assert (record.what, record.vif, record.value) == (None, (0x13, 0x3C), 0.007)


def test_fillers_are_skipped_and_a_manufacturers_own_data_end_the_records():
    assert [record.value for record in read("2f 2f 01 5b 15 2f 01 5f 10 0f 01 5b 01")] == [21, 16]


def test_a_unit_in_letters_stands_between_meaning_and_value():
    first, second = read("01 7c 02 4325 15 01 5b 16")
    assert (first.what, first.value) == (None, 21)
    assert second.value == 22


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("04", "too_short"),
        ("04 13 0000", "too_short"),
        ("84", "too_short"),
        ("0d 78 05 4142", "too_short"),
        ("0d 78 e1 4142", "implausible"),
        ("84 8080808080808080808080 13 00000000", "implausible"),
        ("04 939393939393939393939393 00000000", "implausible"),
    ],
)
def test_what_cannot_be_a_record_is_refused(data: str, reason: str):
    with pytest.raises(FrameError) as refused:
        read(data)
    assert refused.value.reason == reason


def unfold(
    data: str, base: float = 100.0, time: str = "2024-05-01T18:00:00+00:00"
) -> list[tuple[str, float]]:
    (record,) = read(data)
    return [(reading["time"][5:16], reading["value"]) for reading in profiles.unfold(record, base, time)]


def test_a_profile_goes_back_from_its_base():
    assert unfold("0d 9313 05 61 01 64 00 0a") == [
        ("05-01T17:00", 99.9),
        ("05-01T16:00", 99.9),
        ("05-01T15:00", 99.89),
    ]


def test_differences_may_fall_or_have_a_sign_and_be_spaced_by_days():
    assert unfold("0d 9313 03 b1 01 64") == [("04-30T18:00", 100.1)]
    assert unfold("0d 9313 04 f1 02 64 9c") == [("04-29T18:00", 99.9), ("04-27T18:00", 100.0)]


def test_an_unknown_difference_ends_a_profile():
    assert unfold("0d 9313 05 61 01 64 ff 0a") == [("05-01T17:00", 99.9)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("0d 9313 01 61", "too_short"),
        ("0d 9313 03 62 01 64", "length"),
        ("0d 9313 03 21 01 64", "implausible"),  # values and no differences
        ("0d 9313 03 6d 01 64", "implausible"),
        ("0d 931e 03 61 01 64", "implausible"),  # another kind of profile
    ],
)
def test_a_profile_of_another_kind_is_refused(data: str, reason: str):
    with pytest.raises(FrameError) as refused:
        unfold(data)
    assert refused.value.reason == reason


def test_encrypted_records_and_other_answers_are_refused():
    for data in ("7a 01 00 1005", "72 78563412 2d2c 01 04 01 00 0005", "00"):
        with pytest.raises(FrameError):
            records.read_header(Frame(bytes.fromhex(data), 1))


def test_a_header_says_status_number_and_where_the_records_begin():
    def header(data: str) -> tuple[int | None, str | None, int]:
        return tuple(records.read_header(Frame(bytes.fromhex(data), 1)))

    assert header("78") == (None, None, 1)
    assert header("7a 01 04 0000") == (4, None, 5)
    assert header("72 78563412 2d2c 01 04 01 08 0000") == (8, "12345678", 13)
