"""`limits: {quiet: learned}`: whose habits count, and what becomes of timers when they change."""

from __future__ import annotations

from datetime import timedelta

from smartdorf.alerting.engine import AlertKey, bind
from smartdorf.directory import Directory, Installation
from tests.unit.alerting.village import LONG_AGO, START, Village, make_device, make_place, make_rules

HOUR = 60  # minutes
LEARNED = """
        for_each: {device: any}
        limits: {quiet: learned}
        when: silent_for() > quiet
        summary: {de: "seit {silent_for}, normal {quiet}", en: "for {silent_for}, normal {quiet}"}"""
OF_PLACE = LEARNED.replace("{device: any}", "{place_type: container}")
RULES = make_rules(Silent=LEARNED)


def said(village: Village) -> str:
    assert village.last is not None
    return village.last.transitions[-1].summary["de"].replace("\N{NO-BREAK SPACE}", " ")


def test_what_was_learned_of_the_device_counts() -> None:
    village = Village(RULES, devices=[make_device(silence=1.75 * 3600)]).see(0).tick(105)
    assert village.log == []
    village.tick(106)
    assert village.phase("Silent") == "firing"
    assert said(village) == "seit 105 Minuten, normal 105 Minuten"


def test_until_something_is_learned_its_model_says_how_long() -> None:
    directory = Directory.of([], [make_device(1), make_device(2, model="acme/other")], [])
    bound = bind(RULES, directory, {}, intervals={"acme/box": timedelta(hours=12)})
    begin = [bound.instances[AlertKey("Silent", "device", number)].crossings[0][1] for number in (1, 2)]
    assert begin == [timedelta(hours=36, microseconds=1), timedelta(hours=26, microseconds=1)]


def test_a_limit_of_its_own_wins() -> None:
    device = make_device(silence=26 * 3600.0, limits={"quiet": 7200})
    village = Village(RULES, devices=[device]).see(0).tick(120)
    assert village.log == []
    assert village.tick(121).phase("Silent") == "firing"


def test_a_multiple_of_it_can_be_asked_for() -> None:
    rules = make_rules(Silent=LEARNED.replace("> quiet", "> 3 * quiet"))
    village = Village(rules, devices=[make_device(silence=3600.0)]).see(0).tick(3 * HOUR)
    assert village.log == []
    assert village.tick(3 * HOUR + 1).phase("Silent") == "firing"


def test_of_several_sensors_at_a_place_the_slowest_says_how_long() -> None:
    """One reports each quarter of an hour, the other twice a day: nobody is to be told each night."""
    devices = [make_device(1, silence=3600.0), make_device(2, silence=37 * 3600.0)]
    village = Village(
        make_rules(PlaceSilent=OF_PLACE),
        devices=devices,
        installations=[Installation(1, 1, START), Installation(2, 1, START)],
    )
    village.see(0, device=1).see(0, device=2).see(30 * HOUR, device=1).tick(37 * HOUR)
    assert village.log == []
    assert village.tick(37 * HOUR + 1).phase("PlaceSilent") == "firing"


def test_a_sensor_that_was_taken_down_no_longer_says_how_long() -> None:
    devices = [make_device(1, silence=3600.0), make_device(2, silence=37 * 3600.0)]
    installations = [Installation(1, 1, LONG_AGO), Installation(2, 1, LONG_AGO, LONG_AGO + timedelta(days=9))]
    village = Village(make_rules(PlaceSilent=OF_PLACE), devices=devices, installations=installations)
    assert village.see(0).tick(61).phase("PlaceSilent") == "firing"
    own = make_place(limits={"quiet": 7200})
    village = Village(
        make_rules(PlaceSilent=OF_PLACE), places=[own], devices=devices, installations=installations
    )
    assert village.see(0).tick(61).log == []


def test_a_limit_that_changes_moves_the_end_of_the_silence_and_not_its_beginning() -> None:
    village = Village(RULES, devices=[make_device(silence=3600.0)]).see(0).tick(50)
    village.rebind(50, devices=[make_device(silence=7200.0)]).tick(119)
    assert village.log == []
    assert village.tick(121).phase("Silent") == "firing"


def test_an_alert_stays_when_its_limit_becomes_longer_and_ends_with_a_message() -> None:
    village = Village(RULES, devices=[make_device(silence=3600.0)]).see(0).tick(61)
    village.rebind(70, devices=[make_device(silence=7200.0)]).tick(80)
    assert village.phase("Silent") == "firing"
    assert village.restart().tick(90).phase("Silent") == "firing"
    village.see(100)
    assert [entry[1] for entry in village.log] == ["fired", "resolved"]


def test_devices_whose_limit_stays_keep_their_timers() -> None:
    devices = [make_device(1, silence=3600.0), make_device(2, silence=3600.0)]
    village = Village(RULES, devices=devices, installations=()).see(0).see(0, device=2).tick(59)
    village.rebind(59, devices=[devices[0], make_device(2, silence=7200.0)]).tick(61)
    assert [(kind, round(minute)) for _rule, kind, minute in village.log] == [("fired", 60)]
