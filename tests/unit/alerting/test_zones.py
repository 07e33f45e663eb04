"""Zones told as stories: a lot and its bays, a stream and its rain gauge. Times are minutes since the beginning."""

from __future__ import annotations

from collections.abc import Iterable

from smartdorf.alerting.engine import Input, bind
from smartdorf.config.rules import RuleSet
from smartdorf.directory import Directory, Installation, Place
from tests.unit.alerting.village import LONG_AGO, Village, at, make_device, make_place, make_rules

LOT_NEARLY_FULL = """
        for_each: {place_type: parking_lot}
        limits: {nearly_full: 80, relaxed: 60}
        when: zone_share(parking_occupied == occupied, place_type="parking_bay") >= nearly_full
        clear: zone_share(parking_occupied == occupied, place_type="parking_bay") < relaxed
        summary: {de: "{place}: {zone_count} von {zone_known} Stellplätzen belegt ({zone_share})",
                  en: "{place}: {zone_count} of {zone_known} bays occupied ({zone_share})"}"""
BAY_STUCK = """
        for_each: {place_type: parking_bay}
        when: stuck(parking_occupied, "6h") and zone_share(stuck(parking_occupied, "6h")) < 50
        summary: {de: "{place} rührt sich nicht", en: "{place} does not move"}"""
GAUGE_SILENT = """
        for_each: {place_type: gauge}
        limits: {rain: 10}
        when: >-
            zone_max(sum(precipitation_mm, "2h"), place_type="rain_gauge") >= rain
            and (-0.01 < delta(water_level_m, "2h") < 0.01 or age(water_level_m) > "2h")
        summary: {de: "{place} steht still: {zone_max_sum_precipitation_mm} Regen",
                  en: "{place} does not move: {zone_max_sum_precipitation_mm} of rain"}"""


def members(
    lot: Place, place_type: str, numbers: Iterable[int], **fields: object
) -> tuple[list[Place], list[Installation]]:
    places = [make_place(n, place_type=place_type, **{"tags": {"zone": lot.slug}, **fields}) for n in numbers]
    return places, [Installation(place.id, place.id, LONG_AGO) for place in places]


def lot_of(bays: int, rules: RuleSet, **lot_fields: object) -> Village:
    """Place 100 is the lot; its bays and their sensors are numbered from 1."""
    lot = make_place(100, slug="rathaus", name="Rathaus", place_type="parking_lot", **lot_fields)
    places, installations = members(lot, "parking_bay", range(1, bays + 1))
    return Village(
        rules,
        places=[lot, *places],
        devices=[make_device(n) for n in range(1, bays + 1)],
        installations=installations,
    )


# -- a lot -----------------------------------------------------------------------------------------------------------


def test_a_lot_is_told_when_four_of_its_five_bays_are_taken_and_is_over_below_sixty_percent() -> None:
    village = lot_of(5, make_rules(LotNearlyFull=LOT_NEARLY_FULL))
    for bay in range(1, 6):
        village.see(bay, device=bay, parking_occupied=0)
    for bay in range(1, 5):
        village.see(10 + bay, device=bay, parking_occupied=1)
    assert village.log == [("LotNearlyFull", "fired", 14)]
    assert village.last is not None
    (fired,) = village.last.transitions
    assert fired.summary == {
        "de": "Rathaus: 4 von 5 Stellplätzen belegt (80\xa0%)",
        "en": "Rathaus: 4 of 5 bays occupied (80\xa0%)",
    }
    name = 'zone_share(parking_occupied == occupied, place_type="parking_bay")'
    assert fired.inputs == {name: Input(80.0, at(14))}
    village.see(20, device=1, parking_occupied=0)  # 60 % is not below 60 %
    assert village.phase("LotNearlyFull", 100) == "firing"
    village.see(21, device=2, parking_occupied=0)
    assert village.log[-1] == ("LotNearlyFull", "resolved", 21)


def test_a_lot_has_limits_of_its_own() -> None:
    village = lot_of(2, make_rules(LotNearlyFull=LOT_NEARLY_FULL), limits={"nearly_full": 50, "relaxed": 40})
    village.see(0, device=1, parking_occupied=1).see(1, device=2, parking_occupied=0)
    assert village.phase("LotNearlyFull", 100) == "firing"


def test_bays_of_which_nothing_is_known_are_neither_free_nor_taken() -> None:
    village = lot_of(6, make_rules(LotNearlyFull=LOT_NEARLY_FULL))
    village.see(0, device=1, parking_occupied=1).see(1, device=2, parking_occupied=1)
    assert village.log == []  # two of six: less than half is known
    village.see(2, device=3, parking_occupied=1)
    assert village.log == [("LotNearlyFull", "fired", 2)]
    assert village.last is not None
    assert village.last.transitions[0].summary["en"] == "Rathaus: 3 of 3 bays occupied (100\xa0%)"


def test_a_lot_that_is_no_longer_heard_does_not_become_free() -> None:
    village = lot_of(4, make_rules(LotNearlyFull=LOT_NEARLY_FULL))
    for bay in range(1, 5):
        village.see(bay, device=bay, parking_occupied=1)
    day = 24 * 60
    village.see(3 * day, device=1, parking_occupied=0).tick(4 * day)  # of the others nothing is known by now
    assert village.phase("LotNearlyFull", 100) == "firing"
    village.see(4 * day, device=1, parking_occupied=0).see(4 * day + 1, device=2, parking_occupied=1)
    assert village.phase("LotNearlyFull", 100) == "firing"  # one of two, but three of four may be taken
    village.see(4 * day + 2, device=2, parking_occupied=0)  # two of four at most: 50 %
    assert village.log[-1] == ("LotNearlyFull", "resolved", 4 * day + 2)


def test_a_bay_without_a_sensor_does_not_count_and_one_that_gets_one_does() -> None:
    rules = make_rules(LotNearlyFull=LOT_NEARLY_FULL)
    village = lot_of(5, rules)
    directory = village.directory
    village.rebind(0, installations=directory.installations[:3])
    for bay in range(1, 4):
        village.see(bay, device=bay, parking_occupied=1)
    assert village.phase("LotNearlyFull", 100) == "firing"
    village.rebind(10, installations=directory.installations)
    assert village.phase("LotNearlyFull", 100) == "firing"
    village.see(11, device=4, parking_occupied=0).see(12, device=5, parking_occupied=0)  # 3 of 5
    assert village.phase("LotNearlyFull", 100) == "firing"
    village.see(13, device=3, parking_occupied=0)
    assert village.phase("LotNearlyFull", 100) == "none"


def test_a_bay_that_leaves_the_zone_counts_no_more_and_timers_run_on() -> None:
    rules = make_rules(LotNearlyFull=LOT_NEARLY_FULL + "\n        for: 30m")
    village = lot_of(3, rules)
    for bay in range(1, 4):
        village.see(0, device=bay, parking_occupied=1)
    assert village.log == [("LotNearlyFull", "pending", 0)]
    places = [place for place in village.directory.places.values() if place.id != 3]
    village.rebind(10, places=[*places, make_place(3, place_type="parking_bay")])
    village.see(15, device=3, parking_occupied=0)  # elsewhere now
    village.tick(30)
    assert village.log == [("LotNearlyFull", "pending", 0), ("LotNearlyFull", "fired", 30)]


def test_a_restart_knows_the_bays_and_the_timer() -> None:
    village = lot_of(2, make_rules(LotNearlyFull=LOT_NEARLY_FULL + "\n        for: 30m"))
    village.see(0, device=1, parking_occupied=0).see(4, device=2, parking_occupied=1)
    village.restart().see(5, device=1, parking_occupied=1)
    village.restart().tick(34).restart().tick(35)
    assert village.log == [("LotNearlyFull", "pending", 5), ("LotNearlyFull", "fired", 35)]


def test_a_late_value_of_one_bay_counts_beside_the_newer_one_of_another() -> None:
    """It is the newest of its own bay; nothing happens before what is already known."""
    village = lot_of(2, make_rules(LotNearlyFull=LOT_NEARLY_FULL))
    village.see(60, device=1, parking_occupied=1).see(50, device=2, parking_occupied=1)
    assert village.log == [("LotNearlyFull", "fired", 60)]


# -- certain and uncertain numbers -------------------------------------------------------------------------------------


def count_rule(when: str, hold: str = "") -> RuleSet:
    return make_rules(
        Count=f"""
        for_each: {{place_type: parking_lot}}
        when: {when}
        {hold}
        summary: {{de: "{{place}}", en: "{{place}}"}}"""
    )


def test_what_unknown_bays_could_change_is_unknown() -> None:
    free = "zone_count(parking_occupied == free) <= 1"
    village = lot_of(3, count_rule(free))
    village.see(0, device=1, parking_occupied=1)
    assert village.log == []  # the two others may be free
    village.see(1, device=2, parking_occupied=1)
    assert village.log == [("Count", "fired", 1)]  # one may be, that makes one
    village.see(2, device=1, parking_occupied=0)
    assert village.phase("Count", 100) == "firing"  # one is, and one may be
    village.see(3, device=3, parking_occupied=0)
    assert village.phase("Count", 100) == "none"


def stream(rules: RuleSet, rain_gauges: int = 2) -> Village:
    """Place 100 is a catchment, place 1 its level gauge, the places 2, 3 … rain gauges."""
    catchment = make_place(100, slug="muehlbach", name="Mühlbach", place_type="catchment")
    gauge, at_gauge = members(catchment, "gauge", [1])
    rain, at_rain = members(catchment, "rain_gauge", range(2, 2 + rain_gauges))
    return Village(
        rules,
        places=[catchment, *gauge, *rain],
        devices=[make_device(n) for n in range(1, 2 + rain_gauges)],
        installations=[*at_gauge, *at_rain],
    )


def test_heavy_rain_does_not_end_because_its_gauge_falls_silent() -> None:
    rules = make_rules(
        Rain="""
        for_each: {place_type: catchment}
        when: zone_max(precipitation_rate_mmh, place_type="rain_gauge", age="1h") >= 20
        for: 10m
        summary: {de: "{zone_max_precipitation_rate_mmh}", en: "{zone_max_precipitation_rate_mmh}"}"""
    )
    village = stream(rules)
    village.see(0, device=2, precipitation_rate_mmh=25).see(5, device=3, precipitation_rate_mmh=0.5)
    village.see(10, device=3, precipitation_rate_mmh=0.5)
    assert village.log[-1] == ("Rain", "fired", 10)
    assert village.last is not None
    assert village.last.transitions[0].summary["de"] == "25,0\xa0mm/h"
    village.see(90, device=3, precipitation_rate_mmh=0.5)
    assert village.phase("Rain", 100) == "firing"  # the other gauge may have more
    village.see(91, device=2, precipitation_rate_mmh=1)
    assert village.phase("Rain", 100) == "none"


# -- neighbours ------------------------------------------------------------------------------------------------------


def test_a_bay_that_stands_still_while_its_neighbours_move_is_stuck() -> None:
    village = lot_of(4, make_rules(NeighboursMoveBayStuck=BAY_STUCK))
    for hour in range(8):
        for bay in range(1, 5):
            village.see(hour * 60 + bay, device=bay, parking_occupied=float(bay > 2 and hour % 2))
    fired = [(entry.key.id, entry.kind) for entry in village.last.transitions] if village.last else []
    assert village.phase("NeighboursMoveBayStuck", 1) == "firing"
    assert village.phase("NeighboursMoveBayStuck", 2) == "firing"
    assert village.phase("NeighboursMoveBayStuck", 3) == "none"
    assert fired == []


def test_at_night_no_bay_is_stuck_since_none_moves() -> None:
    village = lot_of(4, make_rules(NeighboursMoveBayStuck=BAY_STUCK))
    for hour in range(10):
        for bay in range(1, 5):
            village.see(hour * 60 + bay, device=bay, parking_occupied=0)
    assert village.log == []


# -- rain and level --------------------------------------------------------------------------------------------------


def rained(village: Village, hours: int, millimetres: float, level: float | None = 0.5) -> Village:
    for half in range(hours * 2):
        village.see(half * 30, device=2, precipitation_mm=millimetres)
        village.see(half * 30, device=3, precipitation_mm=0)
        if level is not None:
            village.see(half * 30 + 1, device=1, water_level_m=level)
    return village


def test_a_gauge_that_stays_where_it_is_in_heavy_rain_is_reported() -> None:
    village = rained(stream(make_rules(GaugeSilentInRain=GAUGE_SILENT)), 4, 3)
    assert village.phase("GaugeSilentInRain", 1) == "firing"
    # the window is covered from two hours on: 4 × 3 mm are 12 mm; the level's from a minute later on
    assert village.log == [("GaugeSilentInRain", "fired", 121)]
    village = rained(stream(make_rules(GaugeSilentInRain=GAUGE_SILENT)), 4, 2)
    assert village.log == []


def test_a_gauge_that_says_nothing_in_heavy_rain_is_reported_whoever_speaks_last() -> None:
    village = stream(make_rules(GaugeSilentInRain=GAUGE_SILENT))
    village.see(-300, device=1, water_level_m=0.5)
    rained(village, 4, 3, level=None)
    assert village.log == [("GaugeSilentInRain", "fired", 120)]
    assert village.last is not None
    village.see(211, device=1, water_level_m=0.9)
    assert (
        village.phase("GaugeSilentInRain", 1) == "firing"
    )  # whether it has moved within two hours is unknown
    village.see(240, device=2, precipitation_mm=0)  # 9 mm since 120
    assert village.log[-1] == ("GaugeSilentInRain", "resolved", 240)


def test_the_summary_names_the_rain() -> None:
    village = stream(make_rules(GaugeSilentInRain=GAUGE_SILENT))
    village.see(-300, device=1, water_level_m=0.5)
    for half in range(5):
        village.see(half * 30, device=2, precipitation_mm=3)
    (fired,) = [entry for entry in village.last.transitions if entry.kind == "fired"] if village.last else []
    assert fired.summary["de"] == "Platz 1 steht still: 12,0\xa0mm Regen"


def test_a_rain_gauge_may_stand_for_two_streams() -> None:
    rules = make_rules(GaugeSilentInRain=GAUGE_SILENT)
    places = [
        make_place(1, place_type="gauge", tags={"zone": "a"}),
        make_place(2, place_type="rain_gauge", tags={"zone": "a, b"}),
        make_place(3, place_type="gauge", tags={"zone": "b"}),
        make_place(4, slug="a", place_type="catchment"),
        make_place(5, slug="b", place_type="catchment"),
    ]
    bound = bind(rules, Directory.of(places, [], []), {})
    asked = {key.id: [sorted(z.places) for z in instance.zones] for key, instance in bound.instances.items()}
    assert asked == {1: [[2]], 3: [[2]]}


# -- what is told when devices and rules meet ------------------------------------------------------------------------


def test_a_zone_that_does_not_exist_and_one_without_places_are_noted() -> None:
    rules = make_rules(LotNearlyFull=LOT_NEARLY_FULL)
    places = [
        make_place(100, slug="rathaus", place_type="parking_lot"),
        make_place(1, slug="bucht-1", place_type="parking_bay", tags={"zone": "rathuas"}),
    ]
    notes = [str(note) for note in bind(rules, Directory.of(places, [], []), {}).notes]
    assert any("bucht-1" in note and '"rathuas"' in note and "rathaus" in note for note in notes), notes
    assert any("LotNearlyFull" in note and "around rathaus there is none" in note for note in notes), notes


def test_a_bay_that_only_its_lot_asks_is_watched() -> None:
    rules = make_rules(LotNearlyFull=LOT_NEARLY_FULL)
    places = [
        make_place(100, slug="rathaus", place_type="parking_lot"),
        make_place(1, slug="bucht-1", place_type="parking_bay", tags={"zone": "rathaus"}),
    ]
    assert bind(rules, Directory.of(places, [], []), {}).notes == ()


# -- several sensors, and sensors that are swapped ---------------------------------------------------------------------


def yard(when: str, installations: list[Installation], devices: int) -> Village:
    """Place 100 is a yard, the places 1 and 2 belong to it."""
    rules = make_rules(
        Yard=f"""
        for_each: {{place_type: yard}}
        when: {when}
        for: 1m
        summary: {{de: "{{place}}", en: "{{place}}"}}"""
    )
    places = [make_place(100, slug="hof", place_type="yard")]
    places += [make_place(n, tags={"zone": "hof"}) for n in (1, 2)]
    return Village(
        rules, places=places, devices=map(make_device, range(1, devices + 1)), installations=installations
    )


def test_a_dry_sensor_does_not_hide_the_wet_one_beside_it() -> None:
    there = [Installation(1, 1, LONG_AGO), Installation(2, 1, LONG_AGO), Installation(3, 2, LONG_AGO)]
    village = yard("zone_count(water_leak) >= 1", there, 3)
    village.see(0, device=1, water_leak=1).see(1, device=2, water_leak=0).see(2, device=3, water_leak=0)
    assert village.log == [("Yard", "pending", 0), ("Yard", "fired", 1)]
    village.see(3, device=1, water_leak=0)
    assert village.phase("Yard", 100) == "none"


def test_of_two_sensors_at_one_place_the_greater_value_is_its_greatest_and_their_mean_counts_once() -> None:
    there = [Installation(1, 1, LONG_AGO), Installation(2, 1, LONG_AGO), Installation(3, 2, LONG_AGO)]
    greatest = yard("zone_max(fill_level_pct) > 80", there, 3)
    mean = yard("zone_avg(fill_level_pct) > 50", there, 3)
    for village in (greatest, mean):
        village.see(0, device=1, fill_level_pct=90).see(1, device=2, fill_level_pct=30)
        village.see(2, device=3, fill_level_pct=20).see(3, device=3, fill_level_pct=20)
    assert greatest.phase("Yard", 100) == "firing"
    assert mean.phase("Yard", 100) == "none"  # (60 + 20) / 2


def test_a_new_sensor_at_a_place_goes_on_for_the_old_one_and_what_that_says_elsewhere_does_not_count() -> (
    None
):
    there = [
        Installation(1, 1, LONG_AGO, valid_to=at(30)),
        Installation(2, 1, at(30)),
        Installation(3, 2, LONG_AGO),
    ]
    village = yard("zone_count(fill_level_pct >= 80) == 2", there, 3)
    village.see(0, device=1, fill_level_pct=85).see(1, device=3, fill_level_pct=85).see(10)
    assert village.log[-1] == ("Yard", "pending", 1)
    village.tick(20)
    village.see(40, device=1, fill_level_pct=10)  # in the workshop
    village.see(41, device=3, fill_level_pct=85)
    assert village.phase("Yard", 100) == "firing"
    village.see(50, device=2, fill_level_pct=10)
    assert village.log[-1] == ("Yard", "resolved", 50)


def test_values_of_a_zone_and_of_the_place_itself_fit_together() -> None:
    there = [Installation(n, n, LONG_AGO) for n in (1, 2, 3)]
    rules = make_rules(
        Warmer="""
        for_each: {place_type: container}
        when: air_temperature_c - zone_avg(air_temperature_c) > 5
        for: 2 readings
        summary: {de: "{zone_avg_air_temperature_c}", en: "{zone_avg_air_temperature_c}"}"""
    )
    places = [make_place(n, tags={"zone": "hof"}) for n in (1, 2, 3)]
    village = Village(rules, places=places, devices=map(make_device, (1, 2, 3)), installations=there)
    village.see(0, device=1, air_temperature_c=20).see(1, device=2, air_temperature_c=20)
    village.see(2, device=3, air_temperature_c=26)
    village.see(3, device=1, air_temperature_c=20)  # of another place: no second reading
    assert village.phase("Warmer", 3) == "pending"
    village.see(4, device=3, air_temperature_c=26)
    assert village.log == [("Warmer", "pending", 2), ("Warmer", "fired", 4)]
    assert village.last is not None
    assert village.last.transitions[0].summary["de"] == "20,0\xa0°C"
