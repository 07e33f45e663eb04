"""Garbage is garbage: nobody could use it, and every piece is unlike the others."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from chirpstack_api import integration
from google.protobuf import json_format
from google.protobuf.message import DecodeError

from smartdorf.simulate import Faults, Ledger, Message, Village, simulate
from smartdorf.simulate.faults import GARBAGE_KINDS
from smartdorf.simulate.ledger import Note

START = datetime(2026, 5, 4, tzinfo=UTC)


class _Noting(Ledger):
    """A ledger that remembers what the last message was."""

    def add(self, note: Note) -> None:
        self.last = note
        super().add(note)


def _garbage(encoding, hours=40) -> list[tuple[Message, str, str]]:
    ledger = _Noting()
    village = Village.build(5, start=START)
    until = START + timedelta(hours=hours)
    messages = simulate(village, Faults(garbage=0.5), seed=9, until=until, encoding=encoding, ledger=ledger)
    found = []
    for message in messages:
        if ledger.last.garbage is not None:
            found.append((message, *ledger.last.garbage))
    return found


@pytest.fixture(scope="module")
def garbage() -> list[tuple[Message, str, str]]:
    return _garbage("json")


def _read(payload: bytes) -> integration.UplinkEvent:
    """What a reader of good will makes of a payload; raises where it can make nothing of it."""

    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} is not JSON")

    if payload[:1] == b"{":
        values = json.loads(payload.decode("utf-8"), parse_constant=refuse)
        event = json_format.ParseDict(values, integration.UplinkEvent(), ignore_unknown_fields=True)
    else:
        event = integration.UplinkEvent.FromString(payload)
    if not event.deduplication_id or not event.device_info.dev_eui:
        raise ValueError("an event says which device it is of")
    return event


def test_all_kinds_occur_and_every_piece_is_unique(garbage):
    kinds = Counter(kind for _, _, kind in garbage)
    assert set(kinds) == set(GARBAGE_KINDS)
    assert len({(message.topic, message.payload) for message, _, _ in garbage}) == len(garbage) > 1000


def test_unreadable_garbage_cannot_be_read(garbage):
    for message, reason, kind in garbage:
        if reason == "unreadable":
            try:
                _read(message.payload)
            except (ValueError, DecodeError, json_format.ParseError):
                continue
            pytest.fail(f"{kind} is readable: {message.payload[:200]!r}")


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_garbage_from_the_future_is_a_sound_event_of_another_time(encoding):
    future = [message for message, reason, _ in _garbage(encoding, hours=20) if reason == "future_time"]
    assert len(future) > 20
    for message in future:
        event = _read(message.payload)
        earliest = message.at + timedelta(days=89)
        assert event.time.ToDatetime(tzinfo=UTC) > earliest
        assert all(info.ns_time.ToDatetime(tzinfo=UTC) > earliest for info in event.rx_info)


def test_too_large_messages_are_rare_and_of_a_megabyte(garbage):
    sizes = [len(message.payload) for message, reason, _ in garbage if reason == "too_large"]
    assert 1 <= len(sizes) < 0.03 * len(garbage)
    assert min(sizes) > 1_000_000


def test_garbage_comes_on_a_sound_topic(garbage):
    for message, _, _ in garbage:
        match message.topic.split("/"):
            case ["application", application, "device", dev_eui, "event", "up"]:
                assert (len(application), len(bytes.fromhex(dev_eui))) == (36, 8)
            case _:
                pytest.fail(message.topic)
