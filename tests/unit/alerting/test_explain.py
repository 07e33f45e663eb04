"""The sentence that says why an alert fired."""

from __future__ import annotations

import pytest

from tests.unit.alerting.village import Village, make_place, make_rules

PLACE = make_place(name="Glas Markt")


def rule(when: str, further: str = "for: 1 readings") -> str:
    return f"""
        title: {{de: "Container voll", en: "Container full"}}
        for_each: {{place_type: container}}
        limits: {{full: 80, quiet: 2h}}
        when: {when}
        {further}
        summary: {{de: "x", en: "x"}}"""


def village(body: str) -> Village:
    return Village(make_rules(Full=body), places=[PLACE])


def said(found: Village, language: str = "en") -> str:
    assert found.last is not None
    (transition,) = found.last.transitions
    return transition.because[language].replace("\xa0", " ")


def test_a_level_its_limit_and_the_readings_it_took() -> None:
    found = village(rule("fill_level_pct >= full or silent_for() > quiet", "for: 2 readings"))
    found.see(0, fill_level_pct=83).see(40, fill_level_pct=85)
    assert said(found) == (
        "Container full at Glas Markt because Fill level was 85 % (limit full: 80 %) in 2 readings since "
        "Sun 1 Mar, 13:00."
    )
    assert said(found, "de") == (
        "Container voll, Glas Markt, weil Füllstand 85 % betrug (Grenze full: 80 %), in 2 Messungen seit "
        "So., 01.03., 13:00 Uhr."
    )
    assert found.last is not None
    assert found.last.transitions[0].limits == {"full": 80, "quiet": 7200}


def test_the_limit_that_counts_is_the_place_s_own() -> None:
    found = Village(
        make_rules(Full=rule("fill_level_pct >= full or silent_for() > quiet")),
        places=[make_place(name="Glas Markt", limits={"full": 70})],
    ).see(0, fill_level_pct=71)
    assert "(limit full: 70 %)" in said(found)
    assert found.last is not None
    assert found.last.transitions[0].limits["full"] == 70


@pytest.mark.parametrize(
    ("when", "values", "because"),
    [
        ("fill_level_pct > 60", {"fill_level_pct": 85}, "Fill level was 85 % (limit: 60 %)"),
        ("60 < fill_level_pct < 90", {"fill_level_pct": 85}, "Fill level was 85 % (limit: 60 %) and"),
        ("container_tilted == tilted", {"container_tilted": 1}, "Position was “tilted”"),
        ("water_leak", {"water_leak": 1}, "Leak was “leak”"),
        (
            "not (fill_level_pct < 80) and container_tilted == tilted",
            {"fill_level_pct": 85, "container_tilted": 1},
            "Fill level was 85 % (limit: 80 %) and Position was “tilted”",
        ),
        ("water_leak or fill_level_pct > 80", {"fill_level_pct": 85}, "because Fill level was 85 %"),
        ("fill_level_pct * 2 > 99", {"fill_level_pct": 85}, "fill_level_pct * 2 was 170 (limit: 99)"),
        (
            "air_temperature_c > water_temperature_c",
            {"air_temperature_c": 7, "water_temperature_c": 4.1},
            "Air temperature was 7.0 °C (Water temperature: 4.1 °C)",
        ),
        (
            "fill_level_pct > 80 and local_hour() >= 6",
            {"fill_level_pct": 85},
            "and it was 13:00 (limit: 06:00)",
        ),
    ],
)
def test_what_decided_is_said_and_nothing_else(when: str, values: dict[str, float], because: str) -> None:
    body = rule(when).replace("        limits: {full: 80, quiet: 2h}\n", "")
    assert because in said(village(body).see(0, **values))


def test_silence_and_age_are_durations() -> None:
    silent = rule("silent_for() > quiet or fill_level_pct > full", "")
    assert said(village(silent).see(0).tick(121)) == (
        "Container full at Glas Markt because no message had come for 2 hours (limit quiet: 2 hours)."
    )
    assert "weil seit 2 Stunden keine Nachricht gekommen war" in said(village(silent).see(0).tick(121), "de")
    old = rule("age(fill_level_pct) > quiet or fill_level_pct > full", "")
    assert "because the last value of Fill level was 2 hours old (limit quiet: 2 hours)." in said(
        village(old).see(0, fill_level_pct=3).tick(121)
    )


def test_a_duration_says_how_long() -> None:
    tilted = rule("container_tilted == tilted or silent_for() > quiet or fill_level_pct > full", "for: 30m")
    assert said(village(tilted).see(0, container_tilted=1).tick(30)).endswith(
        "because Position was “tilted” for 30 minutes, since Sun 1 Mar, 13:00."
    )


def test_windows_say_what_they_looked_at() -> None:
    found = village(rule("avg(fill_level_pct, quiet) > full and stuck(fill_level_pct, quiet)"))
    for minutes in (0, 60, 120):
        found.see(minutes, fill_level_pct=92)
    assert (
        "because the average of Fill level over 2 hours was 92 % (limit full: 80 %) and Fill level had not changed "
        "for 2 hours" in said(found)
    )


def test_a_raised_alert_says_why_of_its_stage() -> None:
    stages = """
        title: {de: Container, en: Container}
        for_each: {place_type: container}
        stages:
          - {name: {de: voll, en: full}, when: fill_level_pct >= 80, severity: info, notify: [a]}
          - {name: {de: überfüllt, en: overfull}, when: fill_level_pct >= 95, severity: critical, notify: [a]}
        for: 2 readings
        summary: {de: "x", en: "x"}"""
    found = village(stages)
    for minutes, level in ((0, 82), (10, 84), (20, 96), (30, 97)):
        found.see(minutes, fill_level_pct=level)
    assert said(found) == (
        "Container (overfull) at Glas Markt because Fill level was 97 % (limit: 95 %) in 2 readings since "
        "Sun 1 Mar, 13:20."
    )
