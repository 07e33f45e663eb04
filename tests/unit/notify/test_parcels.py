"""What goes out in which message."""

from __future__ import annotations

import json
from datetime import timedelta

from smartdorf.db.outbox import Hush
from smartdorf.notify.message import body, footer, subject
from smartdorf.notify.parcels import Parcel, message_of, parcels, reason_to_skip
from smartdorf.notify.webhook import payload
from tests.unit.notify.test_pipeline import TIME, make_row

KEY = ("bauhof", "ContainerFull", "fired")
LATER = TIME + timedelta(minutes=1)


def planned(rows: list[int], *, lately: int = 0, now: object = TIME, limit: int = 250) -> list[list[int]]:
    found = [make_row(id=number) for number in rows]
    return [[row.id for row in parcel] for parcel in parcels(found, {KEY: lately}, now, limit)]  # type: ignore[arg-type]


def test_up_to_five_are_told_one_by_one() -> None:
    assert planned([1, 2, 3, 4, 5]) == [[1], [2], [3], [4], [5]]
    assert planned([1, 2], lately=3) == [[1], [2]]


def test_the_rest_waits_a_minute_and_goes_together() -> None:
    assert planned([1, 2, 3], lately=4) == [[1]]
    assert planned([1, 2, 3], lately=4, now=LATER) == [[1], [2, 3]]
    assert planned([1, 2], lately=40, now=LATER) == [[1, 2]]


def test_what_is_critical_goes_out_at_once_with_what_is_there() -> None:
    rows = [make_row(id=number, severity="critical") for number in (1, 2)]
    assert list(parcels(rows, {KEY: 5}, TIME, 250)) == [tuple(rows)]


def test_what_is_tried_again_or_not_told_at_all_goes_alone() -> None:
    rows = [make_row(id=1, attempts=2), make_row(id=2, stale=True, resolved_at=TIME), make_row(id=3)]
    assert [[row.id for row in parcel] for parcel in parcels(rows, {KEY: 4}, TIME, 250)] == [[1], [2], [3]]


def test_what_was_put_together_stays_so() -> None:
    rows = [make_row(id=1, summary_id=90), make_row(id=2, summary_id=90, resolved_at=TIME, stale=True)]
    assert list(parcels(rows, {}, TIME, 250)) == [tuple(rows)]


def test_what_may_be_cut_off_waits_for_its_rest() -> None:
    rows = [make_row(id=1), make_row(id=2, summary_id=90), make_row(id=3, summary_id=90)]
    assert list(parcels(rows, {}, TIME, 3)) == [(rows[0],)]


def test_a_flood_beyond_what_is_looked_at_does_not_wait_and_is_not_one_endless_message() -> None:
    sizes = [len(parcel) for parcel in planned([*range(250)], lately=5)]
    assert sizes == [100, 100, 50]


def test_a_silence_says_who_and_why() -> None:
    hush = Hush(3, "miller@desk", "roadworks", TIME)
    assert reason_to_skip(make_row(silence=hush)) == (
        "silenced by miller@desk until Mon 23 Nov, 14:05: roadworks"
    )
    assert reason_to_skip(make_row(held=True, resolved_at=TIME)) == "over before it could be told"


def test_what_is_stale_goes_together_whatever_its_rule_the_worst_first() -> None:
    rows = [
        make_row(id=1, stale=True),
        make_row(id=2, stale=True, rule="DoorOpen", kind="raised", severity="info"),
        make_row(id=3, stale=True, rule="WaterLeak", severity="critical"),
        make_row(id=4, stale=True, receiver="leitung"),
        make_row(id=5),
    ]
    assert [[row.id for row in parcel] for parcel in parcels(rows, {}, TIME, 250)] == [[5]]
    calm = TIME + timedelta(seconds=5)
    assert [[row.id for row in parcel] for parcel in parcels(rows, {}, calm, 250)] == [[3, 1, 2], [4], [5]]


def test_what_a_silence_held_back_is_not_from_an_outage() -> None:
    rows = [make_row(id=number, stale=True, held=True) for number in (1, 2)]
    assert [[row.id for row in parcel] for parcel in parcels(rows, {}, TIME, 250)] == [[1], [2]]


def outage() -> Parcel:
    leak = make_row(
        stale=True,
        alert_id=11,
        rule="WaterLeak",
        severity="critical",
        title={"de": "Wasser im Gebäude", "en": "Water in the building"},
        summary={"de": "Wasser!", "en": "Water!"},
        action={"de": "Hingehen.", "en": "Go there."},
        place="Rathauskeller",
    )
    full = make_row(stale=True, alert_id=12, kind="raised", stage={"de": "überfüllt", "en": "overfull"})
    return leak, full


def test_after_an_outage_one_message_says_what_still_holds() -> None:
    message = message_of(outage(), 90, "de", None)
    assert message.kind == "fired"
    assert subject(message) == "Dringend: 2 Alarme nach einem Ausfall: Wasser im Gebäude, Container v…"
    assert body(message) == (
        "2 Alarme aus der Zeit eines Ausfalls bestehen noch; was inzwischen beendet ist, wird nicht gemeldet.\n"
        "\n"
        "– Dringend: Wasser im Gebäude, Rathauskeller: Mo., 23.11., 14:05 Uhr, Wasser!\n"
        "  Hingehen.\n"
        "– Container voll (überfüllt), Glas Kirchplatz: Mo., 23.11., 14:05 Uhr, 83 % voll"
    )
    assert footer(message).endswith("Alarm 11, 12.")


def test_the_daily_list_asks_for_a_verdict_on_each() -> None:
    rows = (
        make_row(kind="listed", alert_id=12, summary_id=90),
        make_row(kind="listed", alert_id=14, summary_id=90, place="Glas Bad", resolved_at=LATER),
    )
    message = message_of(rows, 90, "en", None)
    assert subject(message) == "What the rules on trial would have told: 2 alerts"
    assert body(message) == (
        "What the rules on trial would have told: 2 alerts\n"
        "Nobody was told when they fired. Was it right? Please judge each of them:\n"
        "\n"
        "– Container full, Glas Kirchplatz: Mon 23 Nov, 13:05, 83 % voll\n"
        "  smartdorf alerts verdict 12 true|false|drill\n"
        "– Container full, Glas Bad: Mon 23 Nov, 13:05, 83 % voll (Meanwhile over: Mon 23 Nov, 14:06)\n"
        "  smartdorf alerts verdict 14 true|false|drill"
    )
    alone = message_of(rows[:1], 90, "en", None)
    assert subject(alone) == "What the rules on trial would have told: 1 alert"
    assert "verdict 12 true|false|drill" in body(alone)


def summary_of_three() -> Parcel:
    return tuple(
        make_row(
            id=number,
            alert_id=10 + number,
            place=f"Glas {name}",
            summary={"de": f"8{number} % voll"},
            action={"de": "In die Tour aufnehmen."},
            resolved_at=LATER if name == "Bad" else None,
        )
        for number, name in enumerate(("Kirchplatz", "Schule", "Bad"), 1)
    )


def test_one_message_names_number_and_places() -> None:
    message = message_of(summary_of_three(), 90, "de", "https://village.example")
    assert message.id == 90
    assert subject(message) == "3 × Container voll: Glas Kirchplatz, Glas Schule, Glas Bad"
    assert body(message) == (
        "3 × Container voll, zusammen gemeldet, weil sie zugleich kamen\n"
        "In die Tour aufnehmen.\n"
        "\n"
        "– Glas Kirchplatz: Mo., 23.11., 14:05 Uhr, 81 % voll\n"
        "– Glas Schule: Mo., 23.11., 14:05 Uhr, 82 % voll\n"
        "– Glas Bad: Mo., 23.11., 14:05 Uhr, 83 % voll (Inzwischen beendet: Mo., 23.11., 14:06 Uhr)"
    )
    assert footer(message).endswith("Regel ContainerFull, Alarm 11, 12, 13.")


def test_a_program_is_given_each_of_them() -> None:
    found = json.loads(payload(message_of(summary_of_three(), 90, "de", None)))
    assert found["type"] == "alert.fired"
    assert [entry["alert_id"] for entry in found["data"]["alerts"]] == [11, 12, 13]
    assert [entry["place"] for entry in found["data"]["alerts"]] == [
        "Glas Kirchplatz",
        "Glas Schule",
        "Glas Bad",
    ]
    alone = json.loads(payload(message_of(summary_of_three()[:1], 1, "de", None)))
    assert alone["data"]["alerts"] == []
