"""What people read: numbers, units and durations in their language."""

from __future__ import annotations

import pytest

from smartdorf.alerting.texts import duration_text, quantity_text
from smartdorf.vocabulary import load_vocabulary
from tests.unit.alerting.village import Village, at, make_device, make_rules

MINUTE = 60_000_000  # microseconds


@pytest.mark.parametrize(
    ("name", "value", "de", "en"),
    [
        ("water_level_m", 1.234, "1,23 m", "1.23 m"),
        ("water_volume_m3", 1234.5678, "1.234,568 m³", "1,234.568 m³"),
        ("fill_level_pct", 82.5, "82 %", "82 %"),
        ("air_temperature_c", -0.04, "0,0 °C", "0.0 °C"),
        ("parking_occupied", 1, "belegt", "occupied"),
        ("parking_occupied", 7, "7", "7"),
    ],
)
def test_a_value_is_written_with_its_unit_and_decimals(name: str, value: float, de: str, en: str) -> None:
    quantity = load_vocabulary()[name]
    assert quantity_text(quantity, value, "de").replace("\xa0", " ") == de
    assert quantity_text(quantity, value, "en").replace("\xa0", " ") == en


@pytest.mark.parametrize(
    ("minutes", "de", "since"),
    [
        (0, "0 Minuten", "0 Minuten"),
        (1, "1 Minute", "1 Minute"),
        (119.9, "119 Minuten", "119 Minuten"),
        (120, "2 Stunden", "2 Stunden"),
        (26 * 60, "26 Stunden", "26 Stunden"),
        (72 * 60, "3 Tage", "3 Tagen"),
        (100 * 24 * 60, "100 Tage", "100 Tagen"),
    ],
)
def test_a_duration_is_as_exact_as_it_matters(minutes: float, de: str, since: str) -> None:
    assert duration_text(minutes * MINUTE, "de").replace("\xa0", " ") == de
    assert duration_text(minutes * MINUTE, "de", since=True).replace("\xa0", " ") == since


def said(village: Village) -> dict[str, str]:
    assert village.last is not None
    (transition,) = village.last.transitions
    return {language: text.replace("\xa0", " ") for language, text in transition.summary.items()}


def test_every_placeholder_is_filled_in() -> None:
    body = """
        for_each: {place_type: container}
        limits: {full: 80, quiet: 2d, part: 0.5}
        when: fill_level_pct >= full or silent_for() > quiet or fill_level_pct * part > 1
        summary: {de: "{place}|{device}|{fill_level_pct}|{full}|{quiet}|{part}|{silent_for}|{{}}", en: "x"}"""
    village = Village(make_rules(All=body)).see(0, fill_level_pct=81)
    assert said(village)["de"] == "Platz 1|Sensor 1|81 %|80 %|48 Stunden|0,50|0 Minuten|{}"


def test_an_unknown_value_is_called_so_and_a_missing_text_is_taken_from_the_other_language() -> None:
    body = """
        for_each: {place_type: container}
        when: water_leak or fill_level_pct > 90
        for: 1 reading
        summary: {de: "{fill_level_pct}"}"""
    assert said(Village(make_rules(Leak=body)).see(0, water_leak=1)) == {"de": "unbekannt", "en": "unknown"}


def test_a_device_without_a_name_is_called_by_its_number_and_one_without_a_place_says_so() -> None:
    body = """
        for_each: {device: any}
        when: water_leak
        summary: {de: "{device}, {place}", en: "{device}, {place}"}"""
    village = Village(make_rules(Leak=body), devices=[make_device(name="")], installations=[])
    assert said(village.see(0, water_leak=1)) == {
        "de": "0000000000000001, noch ohne Ort",
        "en": "0000000000000001, no place yet",
    }


def test_the_resolution_tells_the_value_that_cleared_it() -> None:
    village = Village(make_rules("Full")).see(0, fill_level_pct=85).see(1, fill_level_pct=85)
    assert said(village.see(2, fill_level_pct=4))["de"] == "Platz 1: 4 % voll"
    assert village.last is not None
    assert village.last.transitions[0].inputs["fill_level_pct"].time == at(2)
