from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartdorf.db.outbox import OutboxRow
from smartdorf.notify.parcels import notification, reason_to_skip
from smartdorf.notify.pipeline import retry_delay

TIME = datetime(2026, 11, 23, 13, 5, tzinfo=UTC)


def make_row(**overrides: object) -> OutboxRow:
    fields: dict[str, object] = {
        "id": 42,
        "receiver": "bauhof",
        "attempts": 0,
        "stale": False,
        "told": False,
        "kind": "fired",
        "time": TIME,
        "reason": None,
        "alert_id": 17,
        "rule": "ContainerFull",
        "severity": "warning",
        "stage": {},
        "since": TIME - timedelta(hours=1),
        "resolved_at": None,
        "title": {"de": "Container voll", "en": "Container full"},
        "summary": {"de": "83 % voll"},
        "action": {},
        "inputs": (),
        "place": "Glas Kirchplatz",
        "device": "glass-01",
        "recorded_at": TIME,
    }
    return OutboxRow(**(fields | overrides))  # type: ignore[arg-type]  # the overrides are the test's


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 10), (2, 20), (3, 40), (7, 640), (8, 900), (200, 900), (10**6, 900)]
)
def test_retries_wait_twice_as_long_each_time_up_to_a_quarter_of_an_hour(attempts: int, seconds: int) -> None:
    assert retry_delay(attempts, jitter=0.5) == timedelta(seconds=seconds)


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0, 1e9))
def test_a_retry_is_never_at_once_and_never_later_than_an_hour(
    attempts: int, jitter: float, wish: float
) -> None:
    assert timedelta(seconds=8) <= retry_delay(attempts, jitter, wish) <= timedelta(hours=1)


def test_a_receiver_that_asks_for_time_gets_it() -> None:
    assert retry_delay(1, jitter=0.5, wish=120) == timedelta(minutes=2)


def test_a_new_alert_is_told() -> None:
    assert reason_to_skip(make_row()) is None


def test_a_stale_alert_is_told_while_it_holds_and_not_once_it_is_over() -> None:
    assert reason_to_skip(make_row(stale=True)) is None
    assert reason_to_skip(make_row(stale=True, resolved_at=TIME)) == "over before it could be told"


def test_an_alert_that_was_delayed_by_the_receiver_is_told_even_when_it_is_over() -> None:
    assert reason_to_skip(make_row(resolved_at=TIME)) is None


def test_the_end_is_told_to_those_who_heard_of_the_beginning_only() -> None:
    over = make_row(kind="resolved", resolved_at=TIME)
    assert reason_to_skip(over._replace(told=True)) is None
    assert reason_to_skip(over._replace(told=True, stale=True)) is None
    assert reason_to_skip(over) == "its beginning was not told to this receiver"


def test_a_link_is_given_only_where_there_is_a_page() -> None:
    assert notification(make_row(), "de", None).link == ""
    assert (
        notification(make_row(), "de", "https://village.example/").link == "https://village.example/alerts/17"
    )


def test_a_rule_without_a_title_is_called_by_its_name() -> None:
    assert notification(make_row(title={}), "de", None).title == "ContainerFull"


def test_a_late_message_of_an_alert_knows_that_it_is_over_but_the_end_does_not_repeat_it() -> None:
    assert notification(make_row(resolved_at=TIME), "de", None).over_since == TIME
    assert notification(make_row(kind="resolved", resolved_at=TIME), "de", None).over_since is None
