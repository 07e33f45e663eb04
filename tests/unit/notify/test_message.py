from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from smartdorf.db.alerts import Input
from smartdorf.local_time import time_text
from smartdorf.notify.message import SUBJECT_LENGTH, body, footer, in_language, subject, value_text
from smartdorf.notify.receiver import Notification


def make_notification(**overrides: object) -> Notification:
    fields: dict[str, object] = {
        "id": 42,
        "language": "en",
        "alert_id": 17,
        "rule": "ContainerFull",
        "severity": "warning",
        "kind": "fired",
        "title": "Container full",
        "summary": "Glass Kirchplatz: 83 % full",
        "action": "Add to tomorrow's tour.",
        "place": "Glass Kirchplatz",
        "device": "glass-01",
        "time": datetime(2026, 11, 23, 13, 5, tzinfo=UTC),
        "since": datetime(2026, 11, 23, 12, 5, tzinfo=UTC),
        "inputs": (Input("fill_level_pct", 83.2),),
    }
    return Notification(**(fields | overrides))  # type: ignore[arg-type]  # the overrides are the test's


def test_a_message_says_what_and_where_then_what_to_do_then_the_facts() -> None:
    assert body(make_notification()) == (
        "Glass Kirchplatz: 83 % full\n"
        "Add to tomorrow's tour.\n"
        "\n"
        "Since Mon 23 Nov, 13:05, detected Mon 23 Nov, 14:05\n"
        "Place: Glass Kirchplatz\n"
        "Sensor: glass-01\n"
        "Values: Fill level 83\xa0%"
    )


def test_an_alert_about_a_gateway_names_it() -> None:
    message = make_notification(
        title="Gateway hears nothing",
        summary="Gateway Rathaus: nothing received for 2 hours",
        action="",
        place="",
        device="",
        gateway="Rathaus",
        inputs=(),
    )
    assert subject(message) == "Gateway hears nothing: Rathaus"
    assert body(message) == (
        "Gateway Rathaus: nothing received for 2 hours\n"
        "\n"
        "Since Mon 23 Nov, 13:05, detected Mon 23 Nov, 14:05\n"
        "Gateway: Rathaus"
    )


def test_the_subject_names_the_alert_and_the_place() -> None:
    assert subject(make_notification()) == "Container full: Glass Kirchplatz"


def test_only_a_critical_alert_is_urgent() -> None:
    assert subject(make_notification(severity="critical")) == "Urgent: Container full: Glass Kirchplatz"


def test_an_alert_that_is_over_says_so_first_and_asks_for_nothing() -> None:
    message = make_notification(kind="resolved", severity="critical", summary="40 % full")
    assert subject(message) == "Over: Container full: Glass Kirchplatz"
    assert body(message).startswith(
        "Over: Glass Kirchplatz: 40 % full\n\nFrom Mon 23 Nov, 13:05 to Mon 23 Nov, 14:05\n"
    )
    assert "tour" not in body(message)


def test_the_first_line_names_the_place_where_the_rule_forgot_to() -> None:
    assert body(make_notification(summary="83 % full")).startswith("Glass Kirchplatz: 83 % full\n")


def test_an_alert_of_a_device_without_a_place_is_named_after_the_device() -> None:
    message = make_notification(place="", summary="", title="Sensor silent")
    assert subject(message) == "Sensor silent: glass-01"
    assert body(message).startswith("glass-01: Sensor silent\n")
    assert "Place" not in body(message)


def test_an_alert_that_fires_at_once_has_one_time() -> None:
    time = datetime(2026, 11, 23, 13, 5, tzinfo=UTC)
    assert "\nSince Mon 23 Nov, 14:05\n" in body(make_notification(since=time, time=time))


def test_a_late_alert_says_that_it_is_late_and_still_holds() -> None:
    assert "Told late: the data arrived late. It still holds." in body(make_notification(stale=True))


def test_an_alert_that_ended_before_it_could_be_told_says_so() -> None:
    message = make_notification(over_since=datetime(2026, 11, 23, 16, 30, tzinfo=UTC))
    assert "Meanwhile over: Mon 23 Nov, 17:30" in body(message)


def test_the_link_stands_last() -> None:
    message = make_notification(link="https://village.example/alerts/17")
    assert body(message).endswith("\n\nhttps://village.example/alerts/17")


def test_german_readers_get_german_times_values_and_labels() -> None:
    message = make_notification(
        language="de",
        title="Container voll",
        summary="Glas Kirchplatz: 83 % voll",
        place="Glas Kirchplatz",
        inputs=(Input("fill_level_pct", 83.2), Input("battery_v", 3.584), Input("container_tilted", 1.0)),
    )
    assert "Mo., 23.11., 14:05 Uhr" in body(message)
    assert "Füllstand 83\xa0%, Batteriespannung 3,58\xa0V, Lage gekippt" in body(message)


def test_times_are_shown_in_berlin_on_both_sides_of_the_hour_that_happens_twice() -> None:
    # 25.10.2026: at 03:00 summer time the clocks go back to 02:00
    assert time_text(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "de") == "So., 25.10., 02:30 Uhr"
    assert time_text(datetime(2026, 10, 25, 2, 30, tzinfo=UTC), "de") == "So., 25.10., 03:30 Uhr"


def test_an_unknown_input_is_called_unknown() -> None:
    assert value_text(Input("fill_level_pct", None), "en") == "unknown"


def test_a_computed_input_keeps_the_rules_words() -> None:
    message = make_notification(inputs=(Input('delta(water_level_m, "1h")', 0.3141),))
    assert 'Values: delta(water_level_m, "1h") 0.314' in body(message)


def test_a_missing_text_falls_back_to_german_and_then_to_any() -> None:
    assert in_language({"de": "voll", "en": "full"}, "en") == "full"
    assert in_language({"de": "voll"}, "en") == "voll"
    assert in_language({"en": "full"}, "de") == "full"
    assert in_language({}, "de") == ""


def test_the_footer_says_what_this_is_not() -> None:
    assert footer(make_notification()) == (
        "Supplementary information, not a certified alarm system. Rule ContainerFull, alert 17."
    )


@given(st.text(), st.text(), st.sampled_from(["fired", "resolved"]), st.sampled_from(["warning", "critical"]))
def test_a_subject_is_always_one_short_line(title: str, place: str, kind: str, severity: str) -> None:
    found = subject(make_notification(title=title, place=place, kind=kind, severity=severity))
    assert len(found) <= SUBJECT_LENGTH == 70
    assert len(found.splitlines()) <= 1
