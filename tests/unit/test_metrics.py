from dataclasses import dataclass
from datetime import UTC, datetime

from smartdorf.metrics import Metrics


def lines(metrics: Metrics) -> list[str]:
    return metrics.render().decode().splitlines()


def test_a_batch_is_counted_once_with_all_its_parts() -> None:
    metrics = Metrics("0.1.0")
    metrics.count_batch(
        messages=3,
        commit_seconds=0.004,
        uplinks={"stored": 2, "duplicate": 1},
        events={"join": 1},
        faults={("checksum", "dragino/lht65n", "1.3"): 1},
        quarantined={"no JSON": 1},
        missing_frames=5,
    )
    found = lines(metrics)
    assert 'smartdorf_uplinks_total{result="stored"} 2.0' in found
    assert 'smartdorf_uplinks_total{result="duplicate"} 1.0' in found
    assert 'smartdorf_events_total{type="join"} 1.0' in found
    faults = 'smartdorf_decode_faults_total{firmware="1.3",model="dragino/lht65n",reason="checksum"} 1.0'
    assert faults in found
    assert 'smartdorf_quarantined_messages_total{reason="no JSON"} 1.0' in found
    assert "smartdorf_missing_frames 5.0" in found
    assert 'smartdorf_batch_messages_bucket{le="5.0"} 1.0' in found
    assert 'smartdorf_commit_seconds_bucket{le="0.005"} 1.0' in found
    assert 'smartdorf_commit_seconds_bucket{le="0.0025"} 0.0' in found


def test_uplinks_are_there_with_zero_before_the_first_one() -> None:
    assert 'smartdorf_uplinks_total{result="stored"} 0.0' in lines(Metrics("0.1.0"))


def test_a_severity_that_has_no_alert_any_more_shows_zero() -> None:
    metrics = Metrics("0.1.0")
    metrics.show_firing({"critical": 2, "warning": 1})
    metrics.show_firing({"warning": 3})
    assert 'smartdorf_alerts_firing{severity="critical"} 0.0' in lines(metrics)
    assert 'smartdorf_alerts_firing{severity="warning"} 3.0' in lines(metrics)


def test_a_receiver_is_visible_before_it_was_told_anything() -> None:
    metrics = Metrics("0.1.0")
    metrics.watch_receiver("bauhof")
    assert 'smartdorf_outbox_waiting{receiver="bauhof"} 0.0' in lines(metrics)
    assert 'smartdorf_notifications_total{receiver="bauhof",result="failed"} 0.0' in lines(metrics)


@dataclass(frozen=True)
class Facts:
    connected: bool = True
    caught_up: bool = False
    messages: int = 0
    qos0: int = 0
    reconnects: int = 0
    sessions_lost: int = 0
    held: int = 0
    last_message_at: datetime | None = None
    certificate_expires_at: datetime | None = None


def test_what_a_source_says_of_itself_is_shown() -> None:
    metrics = Metrics("0.1.0")
    own = metrics.source("own")
    own.show(Facts(messages=100, reconnects=1))
    own.show(Facts(messages=150, reconnects=1, qos0=2, held=7))
    found = lines(metrics)
    assert 'smartdorf_source_connected{source="own"} 1.0' in found
    assert 'smartdorf_source_caught_up{source="own"} 0.0' in found
    assert 'smartdorf_source_messages_total{source="own"} 150.0' in found
    assert 'smartdorf_source_qos0_total{source="own"} 2.0' in found
    assert 'smartdorf_source_reconnects_total{source="own"} 1.0' in found
    assert 'smartdorf_source_held{source="own"} 7.0' in found


def test_when_a_source_last_heard_something_is_shown_once_it_has() -> None:
    metrics = Metrics("0.1.0")
    own = metrics.source("own")
    own.show(Facts())
    assert not any(
        line.startswith("smartdorf_source_last_message_timestamp_seconds{") for line in lines(metrics)
    )
    own.show(Facts(last_message_at=datetime(2026, 11, 23, 12, 0, tzinfo=UTC)))
    assert 'smartdorf_source_last_message_timestamp_seconds{source="own"} 1.7954352e+09' in lines(metrics)


def test_a_source_without_a_certificate_has_no_date_of_expiry() -> None:
    metrics = Metrics("0.1.0")
    metrics.source("own").show(Facts())
    metrics.source("utility").show(Facts(certificate_expires_at=datetime(2027, 1, 1, tzinfo=UTC)))
    found = lines(metrics)
    # 2027-01-01T00:00:00Z
    assert 'smartdorf_certificate_expiry_timestamp_seconds{source="utility"} 1.7987616e+09' in found
    assert not any("expiry" in line and "own" in line for line in found)


def test_two_services_in_one_process_count_apart() -> None:
    first, second = Metrics("0.1.0"), Metrics("0.1.0")
    first.count_transitions(["fired", "fired", "resolved"])
    assert 'smartdorf_alert_transitions_total{kind="fired"} 2.0' in lines(first)
    assert 'smartdorf_alert_transitions_total{kind="fired"} 0.0' in lines(second)
