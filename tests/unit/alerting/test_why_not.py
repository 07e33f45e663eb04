"""Why there is no alert."""

from __future__ import annotations

from datetime import timedelta

import pytest

from smartdorf.alerting.memory import View
from smartdorf.alerting.state import AlertKey, AlertState
from smartdorf.alerting.why_not import Look, why_unwatched
from smartdorf.directory import Installation
from tests.unit.alerting.village import LONG_AGO, Village, at, make_device, make_place, make_rules

FULL = """
        for_each: {place_type: container}
        limits: {full: 80}
        when: fill_level_pct >= full
        for: 2 readings, 30m
        summary: {de: "x", en: "x"}"""


def look(village: Village, minutes: float, rule: str = "Full", language: str = "en") -> list[str]:
    key = AlertKey(rule, "place", 1)
    instance = village.bound.instances[key]
    view = View(village.bound, village.state)
    intervals = {"acme/box": timedelta(hours=4)}
    before = dict(village.state.instances)
    found = Look(
        instance, village.directory, village.state, view, at(minutes), intervals, language
    ).sentences()
    assert village.state.instances == before
    return [sentence.replace("\xa0", " ") for sentence in found]


def one(when: str) -> Village:
    return Village(
        make_rules(
            Full=f"""
        for_each: {{place_type: container}}
        when: {when}
        summary: {{de: "x", en: "x"}}"""
        )
    )


def test_value_and_limit_are_compared() -> None:
    village = Village(make_rules(Full=FULL)).see(5, fill_level_pct=71)
    assert look(village, 30) == [
        "Fill level is 71 % (Sun 1 Mar, 13:05); the rule wants at least 80 % (full)."
    ]
    assert look(village, 30, language="de") == [
        "Füllstand: 71 % (So., 01.03., 13:05 Uhr); die Regel verlangt mindestens 80 % (full)."
    ]


def test_no_sensor_no_value_and_a_sensor_that_was_never_heard() -> None:
    assert look(Village(make_rules(Full=FULL), installations=[]), 30) == ["No sensor is mounted here."]
    assert look(Village(make_rules(Full=FULL)), 30) == [
        "Fill level is unknown: there is no value yet.",
        "Sensor 1 has never been heard.",
    ]
    heard = Village(make_rules(Full=FULL)).see(0)
    assert look(heard, 30) == ["Fill level is unknown: there is no value yet."]


def test_a_value_that_is_too_old_says_nothing_of_now() -> None:
    village = Village(make_rules(Full=FULL)).see(0, fill_level_pct=71)
    [value, silent] = look(village, 26 * 60)
    assert value.endswith("That was 1 day ago: what is so now is unknown.")
    assert silent == "Sensor 1 is silent: its last message came 1 day ago."


def test_what_is_pending_says_what_it_waits_for() -> None:
    village = Village(make_rules(Full=FULL)).see(0, fill_level_pct=85)
    assert look(village, 10) == [
        "The condition has held since Sun 1 Mar, 13:00, but not yet for long enough.",
        "1 of 2 readings have come.",
        "It fires Sun 1 Mar, 13:30 at the earliest, if nothing has changed by then.",
    ]


def test_what_was_closed_by_hand_waits_for_newer_data() -> None:
    village = Village(make_rules(Full=FULL)).see(0, fill_level_pct=71)
    village.state.instances[AlertKey("Full", "place", 1)] = AlertState("closed", at(5), 0)
    assert look(village, 10)[0] == (
        "It was closed by hand (Sun 1 Mar, 13:05) and opens again only with newer data."
    )


def test_an_open_alert_is_no_riddle() -> None:
    village = Village(make_rules(Full=FULL)).see(0, fill_level_pct=85).see(40, fill_level_pct=85)
    assert look(village, 50) == ["An alert is open since Sun 1 Mar, 13:40."]


@pytest.mark.parametrize(
    ("when", "values", "sentence"),
    [
        (
            "container_tilted == tilted",
            {"container_tilted": 0},
            "Position is upright (Sun 1 Mar, 13:00); the rule wants “tilted”.",
        ),
        ("water_leak", {"water_leak": 0}, "Leak is dry (Sun 1 Mar, 13:00); the rule wants the opposite."),
        (
            "not (fill_level_pct < 80)",
            {"fill_level_pct": 71},
            "Fill level is 71 % (Sun 1 Mar, 13:00); the rule wants at least 80 %.",
        ),
        (
            "fill_level_pct > 80 and container_tilted == tilted",
            {"fill_level_pct": 85, "container_tilted": 0},
            "Position is upright (Sun 1 Mar, 13:00); the rule wants “tilted”.",
        ),
        (
            'silent_for() > "2h"',
            {},
            "The time since the last message is 30 minutes; the rule wants more than 2 hours.",
        ),
        (
            'avg(fill_level_pct, "1h") > 80',
            {"fill_level_pct": 85},
            "The average of Fill level over 60 minutes is unknown: the readings do not cover that time.",
        ),
    ],
)
def test_only_what_keeps_it_from_holding_is_said(when: str, values: dict[str, float], sentence: str) -> None:
    assert look(one(when).see(0, **values), 30) == [sentence]


def test_of_several_sensors_each_is_asked() -> None:
    village = Village(
        make_rules(Full=FULL),
        devices=[make_device(1), make_device(2)],
        installations=[Installation(1, 1, LONG_AGO), Installation(2, 1, LONG_AGO)],
    )
    village.see(0, device=1, fill_level_pct=71).see(0, device=2, fill_level_pct=12)
    assert [sentence.partition(" is ")[0] for sentence in look(village, 10)] == [
        "Sensor 1: Fill level",
        "Sensor 2: Fill level",
    ]


def test_who_is_not_watched_hears_what_differs() -> None:
    place = make_place(name="Bucht 7", place_type="parking_bay", tags={"fraction": "paper"})
    (rule,) = make_rules(Full=FULL.replace("container}", "container, tags: {fraction: glass, zone: a}}"))
    assert why_unwatched(rule, place, (), {}, "en") == [
        "Full watches places of the type container; Bucht 7 is a parking_bay.",
        "Full wants the tag fraction=glass; Bucht 7 has fraction=paper.",
        "Full wants the tag zone=a; Bucht 7 has no such tag.",
    ]
    (rule,) = make_rules(Full=FULL.replace("{place_type: container}", "{device: {category: water}}"))
    box = make_device(1)
    assert why_unwatched(rule, box, (), {"acme/box": "waste"}, "en") == [
        "Full watches devices of the category water; Sensor 1 has waste."
    ]
    gone = [Installation(1, 1, LONG_AGO, at(0))]
    assert why_unwatched(rule, box, gone, {"acme/box": "water"}, "en") == [
        "Sensor 1 was taken down everywhere; it is out of service."
    ]
    stranger = make_device(1, model=None)
    assert why_unwatched(rule, stranger, (), {}, "en") == [
        "Sensor 1 is not onboarded yet: `smartdorf devices add`."
    ]


def test_outside_of_its_hours_it_does_not_count() -> None:
    body = FULL.replace("for: 2 readings, 30m", 'active: {hours: "08:00-12:00"}\n        for: 1 reading')
    village = Village(make_rules(Full=body)).see(0, fill_level_pct=85)  # 13:00 in Berlin
    assert look(village, 5) == [
        "Now the condition does not count: it is outside of its hours, {hours: 08:00-12:00}.",
        "Else it would hold now.",
    ]


# -- zones and gateways -----------------------------------------------------------------------------------------------


def sentences(village: Village, rule: str, kind: str, number: int, minutes: float) -> list[str]:
    instance = village.bound.instances[AlertKey(rule, kind, number)]
    view = View(village.bound, village.state)
    found = Look(instance, village.directory, village.state, view, at(minutes), {}, "en").sentences()
    return [sentence.replace("\xa0", " ") for sentence in found]


def lot(when: str, limits: str = "{}") -> Village:
    """Place 9 without a sensor of its own, and four bays."""
    rules = make_rules(
        Lot=f"""
        for_each: {{place_type: parking_lot}}
        limits: {limits}
        when: {when}
        summary: {{de: "x", en: "x"}}"""
    )
    bays = [make_place(n, place_type="parking_bay", tags={"zone": "rathaus"}) for n in range(1, 5)]
    return Village(
        rules,
        places=[make_place(9, slug="rathaus", place_type="parking_lot"), *bays],
        devices=[make_device(n) for n in range(1, 5)],
        installations=[Installation(n, n, LONG_AGO) for n in range(1, 5)],
    )


def test_a_lot_tells_the_share_of_its_bays() -> None:
    village = lot('zone_share(parking_occupied == occupied, place_type="parking_bay") >= most', "{most: 75}")
    assert sentences(village, "Lot", "place", 9, 1) == [
        "The share of places with “parking_occupied == occupied” is unknown: too little is known of the places."
    ]
    for bay in range(1, 5):
        village.see(bay, device=bay, parking_occupied=bay == 1)
    assert sentences(village, "Lot", "place", 9, 10) == [
        "The share of places with “parking_occupied == occupied” is 25 %; the rule wants at least 75 % (most)."
    ]


def test_of_a_number_of_places_it_says_between_what_it_lies() -> None:
    village = lot('zone_count(parking_occupied == occupied, place_type="parking_bay") >= 3')
    for bay in (1, 2):
        village.see(bay, device=bay, parking_occupied=bay == 1)
    assert sentences(village, "Lot", "place", 9, 10) == [
        "The number of places with “parking_occupied == occupied” is between 1 and 3; the rule wants at least 3."
    ]
    village.see(3, device=3, parking_occupied=0)
    assert sentences(village, "Lot", "place", 9, 10) == [
        "The number of places with “parking_occupied == occupied” is between 1 and 2; the rule wants at least 3."
    ]


def test_of_a_gateway_it_says_how_long_it_has_heard_nothing() -> None:
    rules = make_rules(
        Deaf="""
        for_each: {gateway: any}
        limits: {quiet: 2h}
        when: silent_for() > quiet
        summary: {de: "x", en: "x"}"""
    )
    village = Village(
        rules, places=(), devices=[make_device(1)], installations=(), gateways={1: 30.0, 2: 24 * 60.0}
    )
    village.see(0, 1, by=[1, 2])
    assert sentences(village, "Deaf", "gateway", 1, 90) == [
        "The time since the last message is 90 minutes; the rule wants more than 2 hours (quiet)."
    ]
    assert sentences(village, "Deaf", "gateway", 2, 90) == [
        "The time since the last message is unknown: it is no longer than the gateway's pauses usually are."
    ]
