import json

import pytest

from smartdorf.errors import UsageError
from smartdorf.notify.webhook import WebhookReceiver, payload, sign, signing_key
from tests.unit.notify.test_message import make_notification


def test_signature_is_that_of_the_standards_published_example() -> None:
    # the reference libraries of standardwebhooks.com test with these values
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_without_the_prefix_is_the_key_itself() -> None:
    assert signing_key("sixteen letters.") == b"sixteen letters."


@pytest.mark.parametrize("secret", ["", "short", "whsec_", "whsec_c2hvcnQ="])
def test_a_short_secret_is_refused_with_advice(secret: str) -> None:
    with pytest.raises(UsageError, match="openssl rand -base64 32"):
        signing_key(secret)


def test_a_damaged_secret_is_refused() -> None:
    with pytest.raises(UsageError, match="not base64"):
        signing_key("whsec_!!!")


def test_the_secret_is_not_shown() -> None:
    assert "sixteen" not in repr(WebhookReceiver("it", "http://127.0.0.1/", "sixteen letters."))


def test_payload_carries_what_a_program_needs() -> None:
    found = json.loads(payload(make_notification()))
    assert found["type"] == "alert.fired"
    assert found["timestamp"] == "2026-11-23T13:05:00Z"
    assert found["data"]["alert_id"] == 17
    assert found["data"]["place"] == "Glass Kirchplatz"
    assert found["data"]["since"] == "2026-11-23T12:05:00Z"
    assert found["data"]["inputs"] == {"fill_level_pct": 83.2}
    assert found["data"]["subject"] == "Container full: Glass Kirchplatz"
