"""Rules over data and time, told as stories. Times are minutes since the beginning."""

from __future__ import annotations

from datetime import timedelta

from smartdorf.alerting.engine import Input, Observation, bind, evaluate, tick
from smartdorf.config.rules import RuleSet
from smartdorf.directory import Directory, Installation
from tests.unit.alerting.village import LONG_AGO, Village, at, make_device, make_place, make_rules, seen

# -- one sensor at one place --------------------------------------------------------------------------------------


def test_two_readings_fire_and_a_value_below_the_lower_limit_resolves() -> None:
    village = Village(make_rules("Full"))
    village.see(0, fill_level_pct=85).see(60, fill_level_pct=70)
    village.see(120, fill_level_pct=85).see(180, fill_level_pct=90)
    village.see(240, fill_level_pct=65).see(300, fill_level_pct=59)
    assert village.log == [
        ("Full", "pending", 0),
        ("Full", "dropped", 60),
        ("Full", "pending", 120),
        ("Full", "fired", 180),
        ("Full", "resolved", 300),
    ]


def test_a_transition_says_why_in_both_languages_with_the_inputs() -> None:
    village = Village(make_rules("Full"))
    village.see(0, fill_level_pct=80.4).see(60, fill_level_pct=83.6)
    assert village.last is not None
    (fired,) = village.last.transitions
    assert fired.summary == {"de": "Platz 1: 84\xa0% voll", "en": "Platz 1: 84\xa0% full"}
    assert fired.inputs == {"fill_level_pct": Input(83.6, at(60))}
    assert (fired.since, fired.time, fired.reason) == (at(0), at(60), None)
    assert fired.rule_version == next(iter(village.rules)).version


def test_a_message_without_the_value_is_no_reading_and_clears_nothing() -> None:
    village = Village(make_rules("Full"))
    village.see(0, fill_level_pct=85).see(10).see(20, battery_v=3.6)
    assert village.phase("Full") == "pending"
    village.see(30, fill_level_pct=85).see(40).see(50, battery_v=3.6).tick(60 * 24 * 365)
    assert village.phase("Full") == "firing"


def test_a_repeated_and_a_late_value_change_nothing() -> None:
    village = Village(make_rules("Full"))
    village.see(60, fill_level_pct=85).see(60, fill_level_pct=85).see(60, fill_level_pct=20)
    village.see(30, fill_level_pct=90).see(59, fill_level_pct=10)
    assert village.log == [("Full", "pending", 60)]
    assert village.state.latest[1, 0, "fill_level_pct"] == (85, at(60))


def test_a_datalog_counts_at_its_own_times() -> None:
    village = Village(make_rules("Full"))
    village.see_all(
        seen(0, fill_level_pct=85), seen(15, fill_level_pct=86), seen(30, fill_level_pct=40), seen(45)
    )
    assert village.log == [("Full", "pending", 0), ("Full", "fired", 15), ("Full", "resolved", 30)]


def test_all_values_of_one_time_go_in_before_anything_is_decided() -> None:
    village = Village(make_rules("Frost"))
    village.see(0, air_temperature_c=5, ground_temperature_c=-3)
    village.see(
        10, air_temperature_c=1, ground_temperature_c=2
    )  # one after the other it would fire in between
    assert village.log == []
    village.see(20, air_temperature_c=1, ground_temperature_c=-1)
    assert village.log == [("Frost", "fired", 20)]


def test_one_observation_with_two_inputs_is_one_reading() -> None:
    both = RULES_TWO_READINGS
    village = Village(make_rules(Frost=both))
    village.see(0, air_temperature_c=1, ground_temperature_c=-1)
    assert village.phase("Frost") == "pending"
    village.see(5, air_temperature_c=1)
    assert village.phase("Frost") == "firing"


RULES_TWO_READINGS = """
        for_each: {place_type: container}
        when: air_temperature_c < 2 and ground_temperature_c < 0
        summary: {de: "a", en: "a"}"""


def test_an_unknown_input_keeps_the_state() -> None:
    village = Village(make_rules("Frost"))
    village.see(0, air_temperature_c=1)
    assert village.phase("Frost") == "none"
    village.see(5, ground_temperature_c=-1)
    assert village.phase("Frost") == "firing"


# -- durations ----------------------------------------------------------------------------------------------------


def test_a_state_that_lasts_fires_when_the_duration_is_over_however_late_the_tick() -> None:
    village = Village(make_rules("Tilted"))
    village.see(0, container_tilted=1).tick(29).tick(45)
    assert village.log == [("Tilted", "pending", 0), ("Tilted", "fired", 30)]


def test_a_value_after_a_gap_fires_at_its_own_time() -> None:
    village = Village(make_rules("Tilted"))
    village.see(0, container_tilted=1).see(45, container_tilted=1).tick(50)
    assert village.log == [("Tilted", "pending", 0), ("Tilted", "fired", 45)]


def test_a_backlog_that_shows_it_to_be_over_fires_nothing() -> None:
    village = Village(make_rules("Tilted"))
    village.see(0, container_tilted=1).see(45, container_tilted=0).tick(50)
    assert village.log == [("Tilted", "pending", 0), ("Tilted", "dropped", 45)]


def test_readings_and_a_duration_are_both_needed() -> None:
    village = Village(make_rules("Steady"))
    village.see(0, fill_level_pct=95).tick(60)
    assert village.phase("Steady") == "pending"
    village.see(61, fill_level_pct=95)
    village.see(70, fill_level_pct=5).see(80, fill_level_pct=95).see(90, fill_level_pct=95).tick(120)
    assert village.log == [
        ("Steady", "pending", 0),
        ("Steady", "fired", 61),
        ("Steady", "resolved", 70),
        ("Steady", "pending", 80),
        ("Steady", "fired", 110),
    ]


def test_data_that_is_a_moment_older_than_the_tick_does_not_end_an_alert_before_it_began() -> None:
    village = Village(make_rules("Tilted"))
    village.see(0, container_tilted=1).tick(30).see(29.9, container_tilted=0)
    assert village.log[-1] == ("Tilted", "resolved", 30)


# -- silence and age ------------------------------------------------------------------------------------------------


def test_a_silent_sensor_is_reported_by_time_and_ends_with_any_message() -> None:
    village = Village(make_rules("Silent"))
    village.see(0, battery_v=3.6).tick(26 * 60)
    assert village.log == []
    village.tick(40 * 60)
    (event,) = village.log
    assert event[:2] == ("Silent", "fired")
    assert village.last is not None
    fired = village.last.transitions[0]
    assert fired.time == at(26 * 60) + timedelta(microseconds=1)
    assert fired.summary["de"] == "Sensor 1 (Platz 1): seit 26\xa0Stunden"
    village.tick(1000 * 60)
    assert village.phase("Silent") == "firing"
    village.see(1001 * 60)
    assert village.log[-1] == ("Silent", "resolved", 1001 * 60)


def test_every_message_starts_the_silence_anew() -> None:
    village = Village(make_rules("Silent"))
    for hour in range(0, 200, 20):
        village.see(hour * 60).tick(hour * 60 + 60 * 19)
    assert village.log == []
    village.tick((180 + 27) * 60)
    assert [event[1] for event in village.log] == ["fired"]


def test_a_backlog_starts_no_silence() -> None:
    village = Village(make_rules("Silent"))
    village.see(0).see_all(seen(100 * 60), seen(200 * 60))
    village.tick(201 * 60)
    assert village.log == []


def test_a_late_message_does_not_end_a_silence() -> None:
    village = Village(make_rules("Silent"))
    village.see(60).tick(60 * 60).see(30)
    assert village.phase("Silent") == "firing"


def test_a_sensor_that_was_mounted_and_never_heard_is_silent_since_then() -> None:
    village = Village(make_rules("Silent"), installations=[Installation(1, 1, at(0))])
    village.tick(25 * 60)
    assert village.log == []
    village.tick(27 * 60)
    assert village.phase("Silent") == "firing"


def test_nobody_misses_a_sensor_that_is_still_in_its_box() -> None:
    village = Village(make_rules("Silent"), installations=[])
    village.tick(100 * 24 * 60)
    assert village.log == []


def test_the_time_in_the_drawer_is_no_silence() -> None:
    village = Village(make_rules("Silent"), installations=[Installation(1, 1, at(1000 * 60))])
    village.see(0).tick(1001 * 60)
    assert village.log == []
    village.tick(1027 * 60)
    assert village.phase("Silent") == "firing"


def test_a_move_that_is_planned_does_not_pause_the_silence() -> None:
    planned = [Installation(1, 1, LONG_AGO, valid_to=at(5000)), Installation(1, 2, at(5000))]
    village = Village(make_rules("Silent"), places=[make_place(1), make_place(2)], installations=planned)
    village.see(0).tick(27 * 60)
    assert village.phase("Silent") == "firing"


def test_silence_may_have_to_last_as_well() -> None:
    village = Village(make_rules("PlaceSilent"))
    village.see(0).tick(24 * 60)
    assert village.log == [("PlaceSilent", "pending", 120), ("PlaceSilent", "fired", 150)]


def test_a_place_is_as_silent_as_the_most_silent_of_its_sensors() -> None:
    village = Village(
        make_rules("PlaceSilent"),
        devices=[make_device(1), make_device(2)],
        installations=[Installation(1, 1, at(0)), Installation(2, 1, at(0))],
    )
    for minutes in range(0, 300, 10):
        village.see(minutes, device=1)
        if minutes < 60:
            village.see(minutes, device=2)
        village.tick(minutes)
    assert village.log == [("PlaceSilent", "pending", 170), ("PlaceSilent", "fired", 200)]
    village.see(301, device=1)
    assert village.phase("PlaceSilent") == "firing"
    village.see(302, device=2)
    assert village.phase("PlaceSilent") == "none"


def test_an_old_value_is_reported_though_the_sensor_speaks() -> None:
    village = Village(make_rules("Stale"))
    village.see(0, fill_level_pct=20).see(120, battery_v=3.6).tick(181)
    assert village.phase("Stale") == "firing"
    village.see(190, battery_v=3.6).tick(200)
    assert village.phase("Stale") == "firing"
    village.see(210, fill_level_pct=20)
    assert village.phase("Stale") == "none"


def test_of_what_was_never_measured_there_is_no_age() -> None:
    village = Village(make_rules("Stale"))
    village.see(0, battery_v=3.6).tick(10_000)
    assert village.log == []


# -- several sensors, channels, swaps -------------------------------------------------------------------------------


def two_sensors(rules: RuleSet) -> Village:
    return Village(
        rules,
        devices=[make_device(1), make_device(2)],
        installations=[Installation(1, 1, LONG_AGO), Installation(2, 1, LONG_AGO)],
    )


LEAK = """
        for_each: {place_type: container}
        when: water_leak
        summary: {de: "a", en: "a"}"""


def test_a_dry_sensor_does_not_hide_the_wet_one_beside_it() -> None:
    village = two_sensors(make_rules(Leak=LEAK))
    village.see(0, device=1, water_leak=1).see(5, device=2, water_leak=0)
    assert village.phase("Leak") == "firing"
    village.see(10, device=1, water_leak=0)
    assert village.log == [("Leak", "fired", 0), ("Leak", "resolved", 10)]


def test_two_channels_of_one_device_are_two_sensors() -> None:
    village = Village(make_rules(Leak=LEAK))
    village.see_all(Observation(1, at(0), ((0, "water_leak", 0.0), (1, "water_leak", 1.0))))
    assert village.phase("Leak") == "firing"
    assert village.last is not None
    assert village.last.transitions[0].inputs == {"water_leak": Input(1.0, at(0))}


def test_a_good_reading_of_one_sensor_is_no_second_bad_reading_of_the_other() -> None:
    village = two_sensors(make_rules("Full"))
    village.see(0, device=1, fill_level_pct=95).see(5, device=2, fill_level_pct=20)
    assert village.phase("Full") == "pending"
    village.see(10, device=1, fill_level_pct=30)
    assert village.log == [("Full", "pending", 0), ("Full", "dropped", 10)]


def test_all_sensors_must_be_below_the_lower_limit_to_resolve() -> None:
    village = two_sensors(make_rules("Full"))
    village.see(0, device=2, fill_level_pct=70)
    village.see(5, device=1, fill_level_pct=95).see(10, device=1, fill_level_pct=95)
    village.see(15, device=1, fill_level_pct=10)
    assert village.phase("Full") == "firing"
    village.see(20, device=2, fill_level_pct=10)
    assert village.phase("Full") == "none"


def test_one_box_watches_two_containers() -> None:
    village = Village(
        make_rules("Full"),
        places=[make_place(1), make_place(2)],
        installations=[Installation(1, 1, LONG_AGO, channel=0), Installation(1, 2, LONG_AGO, channel=1)],
    )
    for minutes in (0, 60):
        village.see_all(
            Observation(1, at(minutes), ((0, "fill_level_pct", 20.0), (1, "fill_level_pct", 90.0)))
        )
    assert (village.phase("Full", 1), village.phase("Full", 2)) == ("none", "firing")


def test_a_swapped_sensor_goes_on_with_the_alert_of_the_place() -> None:
    village = Village(make_rules("Full"), devices=[make_device(1), make_device(2)])
    village.see(0, device=1, fill_level_pct=85)
    swapped = [Installation(1, 1, LONG_AGO, valid_to=at(30)), Installation(2, 1, at(30))]
    village.rebind(30, installations=swapped)
    assert village.phase("Full") == "pending"
    village.see(40, device=1, fill_level_pct=10)  # the old one, on a workbench
    village.see(60, device=2, fill_level_pct=85)
    village.see(120, device=2, fill_level_pct=10)
    assert village.log == [("Full", "pending", 0), ("Full", "fired", 60), ("Full", "resolved", 120)]


def test_until_the_new_sensor_has_spoken_the_last_value_of_the_old_one_stands() -> None:
    village = Village(make_rules("Tilted"), devices=[make_device(1), make_device(2)])
    village.see(0, device=1, container_tilted=1)
    swapped = [Installation(1, 1, LONG_AGO, valid_to=at(10)), Installation(2, 1, at(10))]
    village.rebind(10, installations=swapped).see(20, device=2).tick(30)
    assert village.log == [("Tilted", "pending", 0), ("Tilted", "fired", 30)]


def test_a_late_value_of_the_old_sensor_does_not_count_beside_the_new_one() -> None:
    swapped = [Installation(1, 1, LONG_AGO, valid_to=at(30)), Installation(2, 1, at(30))]
    village = Village(
        make_rules("Full", Leak=LEAK), devices=[make_device(1), make_device(2)], installations=swapped
    )
    village.see(40, device=2, fill_level_pct=85, water_leak=0)
    village.see(20, device=1, fill_level_pct=85, water_leak=1)  # came late, through another gateway
    assert village.log == [("Full", "pending", 40)]
    village.see(60, device=2, fill_level_pct=85)
    assert village.log == [("Full", "pending", 40), ("Full", "fired", 60)]


def test_all_channels_of_the_old_sensor_stand_until_the_new_one_has_spoken() -> None:
    village = Village(make_rules("Tilted"), devices=[make_device(1), make_device(2)])
    tilted_and_upright = ((0, "container_tilted", 0.0), (1, "container_tilted", 1.0))
    village.see_all(Observation(1, at(0), tilted_and_upright))
    swapped = [Installation(1, 1, LONG_AGO, valid_to=at(10)), Installation(2, 1, at(10))]
    village.rebind(10, installations=swapped).tick(30)
    assert village.log == [("Tilted", "pending", 0), ("Tilted", "fired", 30)]


# -- what is watched --------------------------------------------------------------------------------------------------


def test_a_place_has_its_own_limits() -> None:
    small, large = make_place(1, limits={"full": 50.0, "emptied": 20.0}), make_place(2)
    village = Village(
        make_rules("Full"),
        places=[small, large],
        devices=[make_device(1), make_device(2)],
        installations=[Installation(1, 1, LONG_AGO), Installation(2, 2, LONG_AGO)],
    )
    for minutes in (0, 60):
        village.see(minutes, device=1, fill_level_pct=55).see(minutes, device=2, fill_level_pct=55)
    assert (village.phase("Full", 1), village.phase("Full", 2)) == ("firing", "none")


def test_limits_that_cannot_be_are_reported_and_the_rules_own_count() -> None:
    village = Village(make_rules("Full"), places=[make_place(limits={"full": 50.0})])  # emptied is 60
    (problem,) = village.bound.problems
    assert str(problem) == (
        "place place-1: Full, clear: holds together with `when` (at 50): the order of the limits is wrong; "
        "its limits are ignored, the rule's own count"
    )
    village.see(0, fill_level_pct=55).see(60, fill_level_pct=55)
    assert village.phase("Full") == "none"


def test_a_devices_own_silence_limit_is_in_seconds() -> None:
    village = Village(make_rules("Silent"), devices=[make_device(limits={"quiet": 3600.0})])
    village.see(0).tick(59)
    assert village.phase("Silent") == "none"
    village.tick(61)
    assert village.phase("Silent") == "firing"


def test_rules_choose_by_type_tags_model_and_category() -> None:
    rules = make_rules(
        ByTag="for_each: {place_type: container, tags: {fraction: glass}}\n        when: water_leak\n"
        "        summary: {de: a, en: a}",
        ByModel="for_each: {device: {model: acme/box}}\n        when: water_leak\n        summary: {de: a, en: a}",
        ByCategory="for_each: {device: {category: water}}\n        when: water_leak\n"
        "        summary: {de: a, en: a}",
    )
    directory = Directory.of(
        [make_place(1, tags={"fraction": "glass"}), make_place(2), make_place(3, place_type="gauge")],
        [make_device(1), make_device(2, model="acme/meter"), make_device(3, model=None)],
        [],
    )
    bound = bind(rules, directory, {"acme/box": "waste", "acme/meter": "water"})
    assert sorted(bound.instances) == [
        ("ByCategory", "device", 2),
        ("ByModel", "device", 1),
        ("ByTag", "place", 1),
    ]
    assert [str(note) for note in bound.notes] == [
        "place place-2: no rule watches it (it is a container)",
        "place place-3: no rule watches it (it is a gauge)",
    ]


def test_a_rule_that_watches_nothing_is_noted_with_its_file_and_line() -> None:
    bound = bind(make_rules("Full"), Directory(), {})
    (note,) = bound.notes
    assert note.line == 4
    assert "Full watches nothing: there is no place {place_type: container}" in note.message


def test_a_device_that_was_taken_down_is_out_of_service() -> None:
    village = Village(make_rules("Silent"), installations=[Installation(1, 1, LONG_AGO, valid_to=at(0))])
    village.see(0).tick(100 * 60)
    assert village.log == []


# -- changes while it runs ------------------------------------------------------------------------------------------


def firing() -> Village:
    return Village(make_rules("Full")).see(0, fill_level_pct=85).see(60, fill_level_pct=85)


def test_an_alert_whose_rule_was_removed_is_closed_with_the_reason() -> None:
    village = firing().rebind(90, rules=make_rules("Tilted"))
    assert village.log[-1] == ("Full", "resolved", 90)
    assert village.last is not None
    assert village.last.transitions[0].reason == "rule removed"
    assert village.last.transitions[0].summary["de"] == "Die Regel gibt es nicht mehr."


def test_an_alert_whose_place_was_removed_or_changed_its_type_is_closed_with_the_reason() -> None:
    for places, reason in (([], "place removed"), ([make_place(place_type="gauge")], "no longer watched")):
        village = firing().rebind(90, places=places)
        assert village.last is not None
        assert [(t.kind, t.reason) for t in village.last.transitions] == [("resolved", reason)]
        assert not village.state.instances


def test_what_was_only_pending_is_dropped_with_its_rule() -> None:
    village = Village(make_rules("Full")).see(0, fill_level_pct=85).rebind(1, rules=make_rules("Tilted"))
    assert village.log[-1] == ("Full", "dropped", 1)


def test_an_alert_whose_rule_is_only_broken_stays() -> None:
    village = firing()
    broken = RuleSet(broken=frozenset({"Full"}))
    assert village.rebind(90, rules=broken).log[-1] == ("Full", "fired", 60)
    assert village.rebind(91, rules=RuleSet(complete=False)).phase("Full") == "firing"
    village.rebind(92, rules=make_rules("Full")).see(120, fill_level_pct=10)
    assert village.log[-1] == ("Full", "resolved", 120)


def test_an_alert_goes_on_when_its_rule_is_only_changed() -> None:
    village = firing()
    village.rebind(90, rules=make_rules("Full", "Tilted"))
    assert village.phase("Full") == "firing"


def test_a_rule_that_is_new_sees_a_silence_that_began_before_it() -> None:
    village = Village(make_rules("Full"))
    village.see(0).rebind(100 * 60, rules=make_rules("Full", "Silent")).tick(100 * 60)
    assert village.phase("Silent") == "firing"


# -- purity -----------------------------------------------------------------------------------------------------------


def test_nothing_changes_before_it_is_applied() -> None:
    village = Village(make_rules("Full", "Tilted", "Silent")).see(0, fill_level_pct=85, container_tilted=1)
    before = (dict(village.state.instances), dict(village.state.latest), dict(village.state.last_heard))
    again = [seen(60, fill_level_pct=90)]
    first = evaluate(village.bound, village.state, again)
    second = evaluate(village.bound, village.state, again)
    ticked = [tick(village.bound, village.state, at(60 * 48)).transitions for _ in range(2)]
    assert first.transitions == second.transitions != []
    assert ticked[0] == ticked[1] != []
    assert before == (village.state.instances, village.state.latest, village.state.last_heard)


def test_an_evaluation_that_changes_no_alert_has_nothing_to_write() -> None:
    village = Village(make_rules("Full", "Silent"))
    assert evaluate(village.bound, village.state, [seen(0, fill_level_pct=10)]).is_empty
    assert not evaluate(village.bound, village.state, [seen(0, fill_level_pct=90)]).is_empty
    assert tick(village.see(0).bound, village.state, at(60)).is_empty


# -- stages, kept firing, closed by hand -------------------------------------------------------------------------

OVERFULL = """
        for_each: {place_type: container}
        limits: {full: 80, overfull: 95, emptied: 60}
        stages:
          - {name: {de: voll, en: full}, when: fill_level_pct >= full, severity: info, notify: [bauhof]}
          - {name: {de: überfüllt, en: overfull}, when: fill_level_pct >= overfull, severity: warning, notify: [it]}
        clear: fill_level_pct < emptied
        summary: {de: "{place} {stage}: {fill_level_pct}", en: "{place} {stage}: {fill_level_pct}"}"""
FLOOD = """
        for_each: {place_type: container}
        when: water_level_m >= 1.2
        clear: water_level_m < 1
        for: 1 reading
        keep_firing_for: 1h
        close: by hand
        summary: {de: "{water_level_m}", en: "{water_level_m}"}"""


def test_a_container_that_gets_fuller_is_raised_and_says_so() -> None:
    village = Village(make_rules(Fill=OVERFULL))
    village.see(0, fill_level_pct=82).see(60, fill_level_pct=85)
    village.see(120, fill_level_pct=96).see(180, fill_level_pct=97)
    assert village.log == [("Fill", "pending", 0), ("Fill", "fired", 60), ("Fill", "raised", 180)]
    assert village.last is not None
    (raised,) = village.last.transitions
    assert (raised.stage, raised.summary["de"]) == (1, "Platz 1 überfüllt: 97\N{NO-BREAK SPACE}%")
    village.restart().see(240, fill_level_pct=85).see(300, fill_level_pct=20)
    assert village.log[3:] == [("Fill", "resolved", 300)]


def test_the_stage_that_one_of_two_sensors_has_reached_counts_and_is_told_with_its_value() -> None:
    village = two_sensors(make_rules(Fill=OVERFULL))
    village.see(0, device=1, fill_level_pct=82).see(1, device=2, fill_level_pct=96)
    village.see(60, device=1, fill_level_pct=83).see(61, device=2, fill_level_pct=97)
    assert [kind for _rule, kind, _minute in village.log] == ["pending", "fired", "raised"]
    assert village.last is not None
    assert village.last.transitions[0].summary["en"] == "Platz 1 overfull: 97\N{NO-BREAK SPACE}%"


def test_a_flood_eases_after_an_hour_below_and_waits_for_a_person() -> None:
    village = Village(make_rules(Flood=FLOOD))
    village.see(0, water_level_m=1.3).see(10, water_level_m=0.9).see(40, water_level_m=1.1)
    village.see(50, water_level_m=0.9).restart().tick(109).tick(110).tick(1000)
    assert village.log == [("Flood", "fired", 0), ("Flood", "eased", 110)]
    assert village.phase("Flood") == "firing"
    village.see(1100, water_level_m=1.4)
    assert village.log[2:] == [("Flood", "returned", 1100)]
