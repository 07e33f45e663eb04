"""The stream of messages: reproducible, in order, and with a ledger that is exact."""

import base64
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartdorf.simulate import Faults, Ledger, Message, Village, simulate
from smartdorf.simulate.village import LHT65N

START = datetime(2026, 5, 4, tzinfo=UTC)
EVERYTHING = Faults(
    lost=0.03,
    late=0.03,
    reordered=0.03,
    clock_errors=0.03,
    counter_resets=0.01,
    broken_frames=0.03,
    duplicates=0.05,
    retransmissions=0.05,
    silent_devices=2,
    dead_gateway=True,
)


def _village(**changes: Any) -> Village:
    return Village.build(**({"seed": 1, "start": START} | changes))


def _run(faults: Faults | None = None, *, hours: float = 24, **changes: Any) -> tuple[list[Message], Ledger]:
    ledger = Ledger()
    until = START + timedelta(hours=hours)
    return list(simulate(_village(), faults, until=until, ledger=ledger, **changes)), ledger


def _events(messages: list[Message], event_type: str = "up") -> list[dict[str, Any]]:
    return [json.loads(m.payload) for m in messages if m.topic.endswith(f"/event/{event_type}")]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_same_seeds_give_the_same_messages():
    faults = Faults(garbage=0.1, lost=0.1, duplicates=0.1)
    assert _run(faults, seed=4)[0] == _run(faults, seed=4)[0]
    assert _run(faults, seed=4)[0] != _run(faults, seed=5)[0]


def test_messages_come_in_the_order_of_publication():
    messages, _ = _run(EVERYTHING)
    assert [m.at for m in messages] == sorted(m.at for m in messages)
    assert messages[-1].at <= START + timedelta(hours=24)


def test_count_is_the_number_of_messages():
    ledger = Ledger()
    assert len(list(simulate(_village(), EVERYTHING, count=123, ledger=ledger))) == 123
    assert ledger.published == 123


def test_messages_are_made_one_by_one():
    endless = simulate(_village())
    assert next(endless).at <= next(endless).at


def test_without_faults_every_frame_counter_arrives_once():
    messages, ledger = _run()
    sessions = defaultdict(list)
    for event in _events(messages):
        sessions[event["deviceInfo"]["devEui"], event["devAddr"]].append(event["fCnt"])
    for counters in sessions.values():
        assert counters == list(range(counters[0], counters[0] + len(counters)))
    assert ledger.missing_frames == ledger.lost == ledger.duplicates == 0
    assert ledger.published == len(messages)


def test_event_time_and_arrival_agree_without_faults():
    messages, _ = _run(hours=6)
    for message, event in zip(
        (m for m in messages if m.topic.endswith("/up")), _events(messages), strict=True
    ):
        arrival = min(_time(info["nsTime"]) for info in event["rxInfo"])
        assert abs(_time(event["time"]) - arrival) < timedelta(seconds=1)
        assert timedelta() < message.at - arrival < timedelta(seconds=1)


def test_an_uplink_is_heard_by_one_to_three_gateways_at_a_plausible_level():
    messages, _ = _run(hours=12)
    heard: Counter[int] = Counter()
    for event in _events(messages):
        heard[len(event["rxInfo"])] += 1
        assert len({info["gatewayId"] for info in event["rxInfo"]}) == len(event["rxInfo"])
        assert all(-140 < info["rssi"] < -30 for info in event["rxInfo"])
        assert all(-20 <= info.get("snr", 0) < 25 for info in event["rxInfo"])
        assert 0 <= event["dr"] <= 5
    assert set(heard) == {1, 2, 3}


def test_a_join_starts_a_session_with_counter_zero():
    messages, _ = _run(hours=30)
    joined = {}
    for message in messages:
        if message.topic.endswith("/join"):
            event = json.loads(message.payload)
            joined[event["deviceInfo"]["devEui"]] = event["devAddr"]
        elif message.topic.endswith("/up"):
            event = json.loads(message.payload)
            address = joined.pop(event["deviceInfo"]["devEui"], None)
            if address is not None:
                assert (event["devAddr"], event["fCnt"]) == (address, 0)
    assert not joined


def test_status_shares_its_id_with_an_uplink():
    messages, _ = _run()
    uplinks = {event["deduplicationId"] for event in _events(messages)}
    statuses = _events(messages, "status")
    assert len(statuses) > 10
    assert {event["deduplicationId"] for event in statuses} <= uplinks


def test_ack_names_the_downlink_that_a_gateway_sent():
    messages, _ = _run()
    sent = {event["queueItemId"]: event["fCntDown"] for event in _events(messages, "txack")}
    answers = _events(messages, "ack")
    assert len(answers) > 10
    assert all(sent[event["queueItemId"]] == event["fCntDown"] for event in answers)


def test_duplicates_are_the_same_bytes_again():
    messages, ledger = _run(Faults(duplicates=0.2))
    copies = Counter((m.topic, m.payload) for m in messages)
    assert ledger.duplicates == sum(number - 1 for number in copies.values()) > 100
    assert ledger.uplinks == len({event["deduplicationId"] for event in _events(messages)})


def test_retransmissions_repeat_counter_and_data_under_a_new_id():
    messages, ledger = _run(Faults(retransmissions=0.2))
    seen = defaultdict(list)
    for event in _events(messages):
        key = event["deviceInfo"]["devEui"], event["devAddr"], event["fCnt"], event["data"]
        seen[key].append(event)
    repeated = [events for events in seen.values() if len(events) == 2]
    assert len(repeated) == ledger.retransmissions > 100
    for first, again in repeated:
        assert first["deduplicationId"] != again["deduplicationId"]
        assert timedelta() < _time(again["time"]) - _time(first["time"]) < timedelta(minutes=5)


def test_lost_frames_leave_the_gaps_that_the_ledger_says():
    messages, ledger = _run(Faults(lost=0.1))
    sessions = defaultdict(set)
    for event in _events(messages):
        sessions[event["deviceInfo"]["devEui"], event["devAddr"]].add(event["fCnt"])
    gaps = sum(max(counters) - min(counters) + 1 - len(counters) for counters in sessions.values())
    assert ledger.missing_frames == gaps > 100
    assert gaps <= ledger.lost  # the last frames of a device may be lost without anybody noticing


def test_late_uplinks_keep_their_time():
    messages, ledger = _run(Faults(late=0.1))
    waits = [
        message.at - _time(json.loads(message.payload)["time"])
        for message in messages
        if message.topic.endswith("/up")
    ]
    assert sum(wait >= timedelta(minutes=5) for wait in waits) == ledger.late > 100
    assert max(waits) < timedelta(hours=9)


def test_reordered_uplinks_arrive_behind_the_next_one():
    messages, ledger = _run(Faults(reordered=0.1))
    highest: dict[str, int] = {}
    overtaken = 0
    for event in _events(messages):
        session = event["deviceInfo"]["devEui"] + event["devAddr"]
        if event["fCnt"] < highest.get(session, -1):
            overtaken += 1
            assert highest[session] - event["fCnt"] == 1
        highest[session] = max(event["fCnt"], highest.get(session, -1))
    assert overtaken == ledger.reordered > 100


def test_clock_errors_leave_the_servers_time_right():
    messages, ledger = _run(Faults(clock_errors=0.1))
    wrong = 0
    for message in messages:
        if message.topic.endswith("/up"):
            event = json.loads(message.payload)
            arrival = min(_time(info["nsTime"]) for info in event["rxInfo"])
            assert message.at - arrival < timedelta(seconds=1)
            wrong += abs(_time(event["time"]) - arrival) >= timedelta(minutes=9)
    assert wrong == ledger.clock_errors > 100


def test_counter_reset_is_a_log_event_and_a_new_session():
    messages, ledger = _run(Faults(counter_resets=0.05))
    resets = [event for event in _events(messages, "log") if event["code"] == "UPLINK_F_CNT_RESET"]
    assert len(resets) == ledger.counter_resets > 50
    assert ledger.missing_frames == 0


def test_broken_frames_are_valid_events():
    messages, ledger = _run(Faults(broken_frames=0.1))
    assert len(_events(messages)) == ledger.uplinks
    assert ledger.broken_frames > 100


def test_silent_devices_say_nothing_more():
    messages, ledger = _run(Faults(silent_devices=3), hours=48)
    assert len(ledger.silent_devices) == 3
    for message in messages:
        assert (
            message.at < START + timedelta(hours=7)
            or message.topic.split("/")[3] not in ledger.silent_devices
        )


def test_a_village_of_silent_devices_ends():
    messages, ledger = _run(Faults(silent_devices=60), hours=10_000)
    assert len(ledger.silent_devices) == 60
    assert messages[-1].at < START + timedelta(hours=7)


def test_dead_gateway_hears_nothing_more():
    messages, ledger = _run(Faults(dead_gateway=True), seed=2)
    heard = {
        info["gatewayId"]
        for message in messages
        if message.topic.endswith("/up") and message.at > START + timedelta(hours=1, seconds=1)
        for info in json.loads(message.payload)["rxInfo"]
    }
    assert ledger.dead_gateway is not None
    assert ledger.dead_gateway not in heard
    assert len(heard) == 3


def test_mixed_encoding_has_both():
    messages, _ = _run(hours=6, encoding="mixed")
    starts = Counter(message.payload[:1] for message in messages)
    assert starts[b"{"] > 50
    assert starts[b"\n"] > 50  # field 1, a string
    assert set(starts) <= {b"{", b"\n", b"\x08", b"\x12"}  # txack and log begin with other fields


def test_ledger_knows_the_newest_values_of_a_device():
    start = START
    village = Village.build(1, devices=1, start=start, models=[LHT65N])
    ledger = Ledger()
    messages = list(simulate(village, count=50, ledger=ledger))
    last = max(_events(messages), key=lambda event: _time(event["time"]))
    newest = ledger.newest[village.devices[0].dev_eui]
    data = base64.b64decode(last["data"])
    assert newest["air_temperature_c"][1] == int.from_bytes(data[2:4], "big", signed=True) / 100


shares = st.floats(0, 0.16)


@settings(max_examples=15, deadline=None)
@given(
    lost=shares,
    late=shares,
    reordered=shares,
    clock_errors=shares,
    counter_resets=shares,
    broken_frames=shares,
    duplicates=st.floats(0, 1),
    retransmissions=st.floats(0, 1),
    garbage=st.floats(0, 0.5),
    silent_devices=st.integers(0, 30),
    dead_gateway=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_whatever_goes_wrong_the_ledger_adds_up(seed: int, **faults: Any):
    ledger = Ledger()
    village = Village.build(seed, devices=12, start=START)
    messages = list(simulate(village, Faults(**faults), seed=seed, count=300, ledger=ledger))
    assert ledger.published == len(messages)
    assert ledger.published == sum(ledger.events.values()) + ledger.duplicates + sum(ledger.garbage.values())
    assert sum(ledger.garbage.values()) == sum(ledger.garbage_kinds.values())
    assert ledger.missing_frames >= 0


def test_ledger_is_plain_data():
    _, ledger = _run(EVERYTHING, hours=8)
    assert json.loads(json.dumps(ledger.as_dict())) == ledger.as_dict()


@pytest.mark.parametrize(
    "wrong", [{"lost": 1.5}, {"garbage": -0.1}, {"silent_devices": -1}, {"lost": 0.6, "late": 0.6}]
)
def test_impossible_faults_are_refused(wrong: dict[str, Any]):
    with pytest.raises(ValueError):
        Faults(**wrong)
