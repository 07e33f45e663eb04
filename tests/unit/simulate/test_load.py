"""Load for the benchmarks: plain uplinks, made quickly."""

import base64
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from chirpstack_api import integration
from google.protobuf import json_format

from smartdorf.simulate.load import load_messages, load_village

START = datetime(2026, 5, 4, tzinfo=UTC)


def _load(encoding="json", n=300):
    return load_messages(n, seed=1, devices=30, encoding=encoding, start=START)


def test_each_device_counts_and_goes_forward_in_time():
    messages = _load()
    seen = defaultdict(list)
    for message in messages:
        event = json.loads(message.payload)
        seen[event["deviceInfo"]["devEui"]].append((event["fCnt"], datetime.fromisoformat(event["time"])))
    assert len(seen) == 30
    for uplinks in seen.values():
        assert [f_cnt for f_cnt, _ in uplinks] == list(range(10))
        assert all(after[1] - before[1] == timedelta(minutes=20) for before, after in pairwise(uplinks))


def test_no_deduplication_id_comes_twice():
    assert len({json.loads(message.payload)["deduplicationId"] for message in _load()}) == 300


def test_frames_are_those_of_a_climate_sensor_without_probe():
    for message in _load():
        event = json.loads(message.payload)
        data = base64.b64decode(event["data"])
        assert event["fPort"] == 2
        assert len(data) == 11
        assert data[6:] == b"\x01\x7f\xff\x7f\xff"


def test_events_have_no_field_that_chirpstack_does_not_know_and_both_encodings_agree():
    for text, binary in zip(_load(), _load("protobuf"), strict=True):
        event = json_format.ParseDict(json.loads(text.payload), integration.UplinkEvent())
        assert event == integration.UplinkEvent.FromString(binary.payload)
        assert text.topic == binary.topic


def test_load_speaks_for_the_devices_of_its_village():
    village = load_village(seed=1, devices=30, start=START)
    assert {message.topic.split("/")[3] for message in _load()} == {
        device.dev_eui for device in village.devices
    }


def test_mixed_load_has_both_encodings():
    assert {message.payload[:1] for message in _load("mixed")} == {b"{", b"\n"}
