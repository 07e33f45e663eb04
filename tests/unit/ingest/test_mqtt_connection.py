"""What a person is told when a connection fails, and how patiently it is tried again."""

from __future__ import annotations

import ssl

import mqtt5
import pytest

from smartdorf.ingest.mqtt_connection import (
    BrokerError,
    MqttConnection,
    Retry,
    Trouble,
    explain_connack,
    explain_error,
    explain_loss,
    explain_suback,
)
from smartdorf.ingest.mqtt_protocol import Loss
from smartdorf.ingest.mqtt_tls import TlsFiles

PLAIN = MqttConnection("village", "broker.example", 1883, "smartdorf", username="dorf", password="geheim")
WITH_TLS = MqttConnection("village", "broker.example", 8883, "smartdorf", tls=TlsFiles())


def lost(reason: mqtt5.DisconnectReasonCode, text: str | None = None) -> BrokerError:
    packet = mqtt5.DisconnectPacket(reason_code=reason, reason_str=text)
    return explain_loss(PLAIN, Loss(disconnect=packet), answered=True)


def refused(reason: mqtt5.ConnAckReasonCode) -> BrokerError:
    return explain_connack(PLAIN, mqtt5.ConnAckPacket(reason_code=reason))


def test_a_takeover_names_the_client_id_and_is_not_hurried() -> None:
    error = lost(mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER)
    assert 'another client connected with our id "smartdorf"' in str(error)
    assert error.trouble is Trouble.TAKEN_OVER


def test_a_broker_that_shuts_down_is_expected_back_soon() -> None:
    error = lost(mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN)
    assert str(error) == "broker.example:1883: the broker is shutting down"
    assert error.trouble is Trouble.NETWORK


def test_any_other_reason_is_passed_on_in_the_brokers_words() -> None:
    error = lost(mqtt5.DisconnectReasonCode.QUOTA_EXCEEDED, "too many sessions")
    assert (
        str(error)
        == "broker.example:1883: the broker ended the connection (quota exceeded: too many sessions)"
    )


@pytest.mark.parametrize(
    ("code", "advice", "trouble"),
    [
        (mqtt5.ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD, "refuses user name or password", Trouble.REFUSED),
        (mqtt5.ConnAckReasonCode.NOT_AUTHORIZED, 'check user name "dorf"', Trouble.REFUSED),
        (mqtt5.ConnAckReasonCode.CLIENT_ID_NOT_VALID, 'client id "smartdorf"', Trouble.REFUSED),
        (mqtt5.ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION, "does not speak MQTT 5", Trouble.REFUSED),
        (mqtt5.ConnAckReasonCode.SERVER_BUSY, "not ready for connections (server busy)", Trouble.NETWORK),
        (mqtt5.ConnAckReasonCode.BANNED, "refuses the connection (banned)", Trouble.REFUSED),
    ],
)
def test_each_refusal_has_its_advice(code: mqtt5.ConnAckReasonCode, advice: str, trouble: Trouble) -> None:
    error = refused(code)
    assert advice in str(error)
    assert "geheim" not in str(error)
    assert error.trouble is trouble


def test_a_refused_subscription_is_told_by_topic_and_a_granted_one_is_not() -> None:
    codes = mqtt5.SubAckReasonCode
    problems = explain_suback(
        ["a/#", "b/#", "c/#", "d/#"],
        [
            codes.GRANTED_QOS_AT_LEAST_ONCE,
            codes.NOT_AUTHORIZED,
            codes.GRANTED_QOS_AT_MOST_ONCE,
            codes.QUOTA_EXCEEDED,
        ],
    )
    assert [problem.split(":")[0] for problem in problems] == ['"b/#"', '"c/#"', '"d/#"']
    assert "only QoS 0 is granted" in problems[1]
    assert problems[2] == '"d/#": subscription refused (quota exceeded)'


def test_an_answer_to_fewer_subscriptions_than_asked_for_is_noticed() -> None:
    codes = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]
    assert explain_suback(["a", "b"], codes) == ["the broker answered 1 of 2 subscriptions"]


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1)"), "connection refused"),
        (TimeoutError(), "no answer in time"),
        (ConnectionResetError("reset"), "does this port speak TLS?"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "does not speak TLS"),
        (
            ssl.SSLError(1, "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca"),
            "not accept our client certificate",
        ),
        (OSError(101, "Network is unreachable"), "broker.example:8883: [Errno 101] Network is unreachable"),
    ],
)
def test_errors_while_connecting_are_advice(error: Exception, advice: str) -> None:
    assert advice in str(explain_error(WITH_TLS, error, opened=False))


def test_a_reset_of_a_standing_connection_is_not_blamed_on_tls() -> None:
    text = str(explain_error(WITH_TLS, ConnectionResetError("reset by peer"), opened=True))
    assert text == "broker.example:8883: the connection broke (reset by peer)"


def test_waiting_grows_to_its_limit_and_has_jitter() -> None:
    retry = Retry(first=0.25, longest=30)
    assert all(0.25 <= retry.delay(0, Trouble.NETWORK) <= 0.375 for _ in range(50))
    assert all(4.0 <= retry.delay(4, Trouble.NETWORK) <= 6.0 for _ in range(50))
    assert all(30.0 <= retry.delay(100_000, Trouble.NETWORK) <= 45.0 for _ in range(50))
    assert len({retry.delay(0, Trouble.NETWORK) for _ in range(50)}) > 1


def test_a_refusal_and_a_takeover_wait_longer_from_the_start() -> None:
    assert Retry(refused=10).delay(0, Trouble.REFUSED) >= 10
    assert Retry(taken_over=30).delay(0, Trouble.TAKEN_OVER) >= 30
