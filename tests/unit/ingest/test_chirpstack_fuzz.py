"""Whatever arrives: an event or a ``Rejected``, at once."""

import json
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartdorf.ingest.chirpstack import REASONS, Rejected, parse_event
from smartdorf.model import DeviceEvent, Uplink
from tests.unit.ingest.test_chirpstack_protobuf import EXAMPLES

EVENTS = Path(__file__).parents[2] / "data" / "events"
NOW = datetime(2026, 3, 9, 6, 15, tzinfo=UTC)
TYPES = ("up", "join", "status", "log", "ack", "txack", "location")
VALID = [
    (event, dev_eui, payload)
    for name, (event, dev_eui, message) in EXAMPLES.items()
    for payload in (message.SerializeToString(), (EVENTS / f"{name}.json").read_bytes())
]
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()  # json writes NaN and Infinity as the bare words, as a careless bridge would
    | st.text(max_size=20)
    | st.sampled_from(["2026-03-09T05:41:07.123456789+00:00", "a81758fffe0a1b2c", "AQI=", "CLASS_A"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def check(event: str, payload: bytes, dev_eui: str = "a81758fffe0a1b2c") -> None:
    """Parse; anything but an event whose promises hold, or a ``Rejected``, fails the test."""
    parsed: Uplink | DeviceEvent | Rejected
    started = perf_counter()
    try:
        parsed = parse_event(f"application/1/device/{dev_eui}/event/{event}", payload, NOW)
    except Rejected as refusal:
        parsed = refusal
    assert perf_counter() - started < 0.5
    if isinstance(parsed, Rejected):
        assert parsed.reason in REASONS
        assert 0 < len(parsed.detail) <= 200
        return
    assert parsed.dev_eui == dev_eui
    assert parsed.time.tzinfo is UTC
    json.dumps(parsed.object if isinstance(parsed, Uplink) else parsed.payload, allow_nan=False)


@given(st.sampled_from(TYPES), st.binary(max_size=400))
def test_arbitrary_bytes(event: str, payload: bytes) -> None:
    check(event, payload)


@given(st.text(max_size=200), st.binary(max_size=50))
def test_arbitrary_topics(topic: str, payload: bytes) -> None:
    with pytest.raises(Rejected):
        parse_event(topic, payload, NOW)


@settings(max_examples=300)
@given(st.sampled_from(VALID), st.data())
def test_damaged_events(valid: tuple[str, str, bytes], data: st.DataObject) -> None:
    event, dev_eui, payload = valid
    start = data.draw(st.integers(0, len(payload)))
    length = data.draw(st.integers(0, 8))
    damage = data.draw(st.binary(max_size=8))
    check(event, payload[:start] + damage + payload[start + length :], dev_eui)


@given(st.sampled_from(VALID), st.floats(0, 1))
def test_truncated_events(valid: tuple[str, str, bytes], share: float) -> None:
    event, dev_eui, payload = valid
    check(event, payload[: int(len(payload) * share)], dev_eui)


@settings(max_examples=300)
@given(st.sampled_from(sorted(EXAMPLES)), st.data())
def test_json_documents_with_any_value_anywhere(name: str, data: st.DataObject) -> None:
    event, dev_eui, _message = EXAMPLES[name]
    document: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_bytes())
    target: Any = document
    while True:  # walk down to some field and replace it
        keys = sorted(target) if isinstance(target, dict) else list(range(len(target)))
        key = data.draw(st.sampled_from(keys))
        inner = target[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        target = inner
    target[key] = data.draw(JSON_VALUES)
    check(event, json.dumps(document).encode(), dev_eui)


@given(st.sampled_from(TYPES), st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=5))
def test_any_json_document(event: str, document: dict[str, Any]) -> None:
    check(event, json.dumps(document).encode())


@given(
    st.sampled_from(TYPES),
    st.lists(
        st.builds(
            lambda number, wire, body: (
                bytes([number << 3 | wire, *([len(body)] if wire == 2 else [])]) + body
            ),
            st.integers(1, 15),
            st.sampled_from([0, 1, 2, 5]),
            st.binary(max_size=60),
        ),
        max_size=8,
    ),
)
def test_fields_of_protobuf_in_any_order_and_of_any_type(event: str, fields: list[bytes]) -> None:
    check(event, b"".join(fields))


@pytest.mark.parametrize(
    "payload",
    [
        b"{" * 262_144,
        b'{"object":' * 26_000,
        b'{"data":"' + b"A" * 262_000 + b'"}',
        b"[" * 262_144,
        b" " * 262_143 + b"{",
        b'{"time":"' + b"9" * 262_000 + b'"}',
        b'{"object":{"n":' + b"9" * 262_000 + b"}}",
        b"\x0a\x00" * 131_072,
        b"\x0b" * 262_144,
        b"x" * 1_048_576,
    ],
    ids=lambda payload: payload[:12].decode("ascii"),
)
def test_large_and_nested_payloads_are_decided_at_once(payload: bytes) -> None:
    for event in TYPES:
        check(event, payload)
