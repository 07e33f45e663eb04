"""Holidays of the Länder, and those that a village adds."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from smartdorf.config.calendar import LANDS, Calendar, load_calendar, school_note, unknown_land, wrong_date

FILE = """\
land: BY
source: KMK, as of 2029-06-01
school_holidays:
  - {name: Weihnachtsferien, from: 2029-12-24, to: 2030-01-04}
  - {name: Sommerferien, from: 2030-07-29, to: 2030-09-09}
  - {name: Buß- und Bettag, from: 2030-11-20}
"""


def load(tmp_path: Path, text: str, land: str | None = "BY") -> Calendar:
    (tmp_path / "ferien.yaml").write_text(text, encoding="utf-8")
    return load_calendar(land, catholic=False, local=(), files=[tmp_path / "ferien.yaml"])


@pytest.mark.parametrize(
    ("land", "day", "is_holiday"),
    [
        (None, date(2026, 4, 3), True),  # Good Friday
        (None, date(2027, 1, 6), False),
        ("BY", date(2027, 1, 6), True),
        ("BW", date(2026, 11, 1), True),
        ("NI", date(2026, 10, 31), True),
        ("BY", date(2026, 10, 31), False),
        ("BE", date(2027, 3, 8), True),
        ("SN", date(2026, 11, 18), True),
        ("TH", date(2026, 9, 20), True),
    ],
)
def test_public_holidays_are_those_of_the_land(land: str | None, day: date, is_holiday: bool) -> None:
    assert Calendar(land).is_holiday(day) is is_holiday


def test_some_communities_have_more() -> None:
    assumption, peace_festival = date(2026, 8, 15), date(2026, 8, 8)
    assert not Calendar("BY").is_holiday(assumption)
    assert Calendar("BY", catholic=True).is_holiday(assumption)
    assert Calendar("SL").is_holiday(assumption)
    augsburg = Calendar("BY", local=frozenset({"08-08", "2027-06-14"}))
    assert augsburg.is_holiday(peace_festival)
    assert augsburg.is_holiday(date(2031, 8, 8))
    assert augsburg.is_holiday(date(2027, 6, 14))
    assert not augsburg.is_holiday(date(2028, 6, 14))


@pytest.mark.parametrize("land", LANDS)
def test_school_holidays_of_every_land_are_known_for_the_next_years(land: str) -> None:
    calendar = Calendar(land)
    for year in (2026, 2027, 2028):
        assert calendar.is_school_holiday(date(year, 8, 4))  # everywhere in Germany
        assert calendar.is_school_holiday(date(year, 12, 28))
        assert not calendar.is_school_holiday(date(year, 11, 15))  # nowhere


def test_without_a_land_no_day_is_a_school_holiday() -> None:
    assert not Calendar().is_school_holiday(date(2026, 8, 15))


def test_a_file_adds_years(tmp_path: Path) -> None:
    calendar = load(tmp_path, FILE)
    assert calendar.problems == ()
    assert calendar.is_school_holiday(date(2030, 1, 4))
    assert not calendar.is_school_holiday(date(2030, 1, 5))
    assert calendar.is_school_holiday(date(2030, 11, 20))
    assert calendar.is_school_holiday(date(2029, 8, 1))  # still as smartdorf knows them
    assert calendar.school_known_until(date(2029, 6, 1)) == date(2030, 11, 20)


def test_between_its_first_and_last_day_only_the_file_counts(tmp_path: Path) -> None:
    text = FILE.replace("2029-12-24", "2026-07-20").replace("2030-01-04", "2026-07-24")
    calendar = load(tmp_path, text)
    assert calendar.is_school_holiday(date(2026, 7, 21))
    assert not calendar.is_school_holiday(date(2026, 8, 10))  # the file does not have it


def test_every_mistake_in_a_file_is_reported_and_nothing_of_it_counts(tmp_path: Path) -> None:
    calendar = load(
        tmp_path,
        """\
land: Bayern
school_holidays:
  - {name: Sommerferien, from: 2030-07-29, to: 2030-07-01}
  - {name: Herbst, from: Oktober}
  - {name: Ostern, fron: 2030-04-15}
""",
    )
    assert [f"{p.line}:{p.column}: {p.message}" for p in calendar.problems] == [
        '1:1: "source" is missing',
        '1:7: unknown Land "Bayern"; did you mean "BY"?',
        "3:48: ends before it begins",
        "4:26: expected a day: 2030-07-29",
        '5:20: unknown key "fron"; did you mean "from"?',
        '5:5: "from" is missing',
    ]
    assert not calendar.is_school_holiday(date(2030, 7, 29))


def test_a_file_of_another_land_is_a_mistake(tmp_path: Path) -> None:
    [problem] = load(tmp_path, FILE, land="HE").problems
    assert problem.message == "these are holidays of BY; the settings say [village] land = HE"


def test_a_note_says_when_school_holidays_are_not_known(tmp_path: Path) -> None:
    assert school_note(Calendar("BY"), date(2026, 11, 27)) is None
    assert school_note(Calendar(), date(2026, 11, 27)) == (
        "no school holidays are known: set [village] land in smartdorf.toml; no day counts as one"
    )
    assert school_note(load(tmp_path, FILE), date(2030, 6, 1)) == (
        "no school holiday data for BY after 2030-11-20: from then on no day counts as one; see docs/rules.md"
    )


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("BY", None),
        ("by", 'unknown Land "by"; did you mean "BY"?'),
        ("Thüringen", 'unknown Land "Thüringen"; did you mean "TH"?'),
        ("BYE", 'unknown Land "BYE"; did you mean "BY"?'),
    ],
)
def test_an_unknown_land_comes_with_advice(word: str, advice: str | None) -> None:
    assert unknown_land(word) == advice


@pytest.mark.parametrize("text", ["8.8.", "02-30", "2027-13-01", "0808", "20270614"])
def test_a_local_holiday_is_a_day(text: str) -> None:
    assert wrong_date(text) == f'"{text}" is no day: write "08-08" for every year, "2027-06-14" for one'
    assert wrong_date("02-29") is None
