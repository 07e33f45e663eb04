"""What a ChirpStack event in JSON becomes, and why one is refused. The events in tests/data/events are
constructed from ChirpStack's message definitions; identifiers are invented."""

import json
import re
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from smartdorf.ingest.chirpstack import (
    MAX_PAYLOAD,
    REASONS,
    Rejected,
    TopicInfo,
    describe_topic,
    parse_event,
)
from smartdorf.model import DeviceEvent, DeviceInfo, Reception, Uplink

EVENTS = Path(__file__).parents[2] / "data" / "events"
NOW = datetime(2026, 3, 9, 6, 15, tzinfo=UTC)
APPLICATION = "b1f5a2c4-77d0-4c39-9a86-1d2e3f405162"
WASTE_SENSOR = DeviceInfo(
    dev_eui="a81758fffe0a1b2c",
    device_name="glas-marktplatz-2",
    device_profile_name="Füllstand Ultraschall EU868",
    application_id=APPLICATION,
    application_name="abfall",
    tenant_name="Gemeinde Musterbach",
    tags={"fraction": "glass", "place": "marktplatz"},
)
VALVE = DeviceInfo(
    dev_eui="70b3d57ed005e4a1",
    device_name="ventil-hochbehaelter",
    device_profile_name="Ventil Class C",
    application_id="c2e6b3d5-88e1-4d4a-8b97-2e3f40516273",
    application_name="wasser",
    tenant_name="Gemeinde Musterbach",
)


def utc(*parts: Any) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def example(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return document


def topic(event: str, dev_eui: str = "a81758fffe0a1b2c") -> str:
    return f"application/{APPLICATION}/device/{dev_eui}/event/{event}"


def parse(event: str, document: Any, *, dev_eui: str = "a81758fffe0a1b2c") -> Uplink | DeviceEvent:
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_event(topic(event, dev_eui), payload, NOW)


def parse_up(**changes: Any) -> Uplink:
    """The example uplink with other values; ``None`` takes a field away."""
    document = {k: v for k, v in (example("up") | changes).items() if v is not None}
    uplink = parse("up", document)
    assert isinstance(uplink, Uplink)
    return uplink


def rejected(event: str, document: Any, *, dev_eui: str = "a81758fffe0a1b2c") -> Rejected:
    with pytest.raises(Rejected) as caught:
        parse(event, document, dev_eui=dev_eui)
    assert caught.value.reason in REASONS
    assert len(caught.value.detail) <= 200
    return caught.value


# -- uplinks ------------------------------------------------------------------------------------------------


def test_an_uplink_is_read_with_all_that_we_use() -> None:
    assert parse_up() == Uplink(
        deduplication_id=UUID("3f2b9c1e-6d40-4a57-8e13-9b7c5d2a1f06"),
        device=WASTE_SENSOR,
        dev_addr="01f3c7a8",
        time=utc(2026, 3, 9, 5, 41, 7, 318204),
        f_cnt=4711,
        f_port=2,
        data=bytes.fromhex("0d04012e000042"),
        receptions=(
            Reception("0016c001f1500a01", -88, 9.2, utc(2026, 3, 9, 5, 41, 7, 401993)),
            Reception("7276ff0039030b02", -112, 0.0, utc(2026, 3, 9, 5, 41, 7, 377120)),
        ),
        dr=5,
        adr=True,
        confirmed=False,
        frequency=867_300_000,
        ns_time=utc(2026, 3, 9, 5, 41, 7, 377120),
        reported_time=None,
        object={"distance": 1069.0, "battery": 3.412, "tilt": False, "note": "ok"},
        encrypted=False,
    )


def test_a_frame_without_payload_is_an_uplink_too() -> None:
    uplink = parse("up", example("up_mac_only"), dev_eui="70b3d57ed005e4a1")

    assert isinstance(uplink, Uplink)
    assert (uplink.f_port, uplink.f_cnt, uplink.data, uplink.object) == (0, 0, b"", None)
    assert uplink.device == VALVE
    assert uplink.time == utc(2026, 3, 9, 5, 42, 30, 105000)


def test_a_frame_that_came_through_a_relay_is_an_uplink_like_others() -> None:
    uplink = parse("up", example("up_relayed"))

    assert isinstance(uplink, Uplink)
    assert (uplink.f_cnt, uplink.confirmed, uplink.encrypted) == (4712, True, False)
    assert uplink.time == utc(2026, 3, 9, 5, 43)


def test_an_end_to_end_encrypted_payload_is_marked() -> None:
    encrypted = parse("up", example("up_encrypted"))

    assert isinstance(encrypted, Uplink)
    assert encrypted.encrypted
    assert parse_up(joinServerContext={"appSKey": {"kekLabel": "kek", "aesKey": "AQI="}}).encrypted
    assert not parse_up(joinServerContext={"sessionKeyId": ""}).encrypted


def test_what_protobuf_would_leave_out_may_be_missing_in_json() -> None:
    document = example("up")
    sparse = {key: document[key] for key in ("deduplicationId", "time", "deviceInfo", "devAddr")}
    uplink = parse("up", sparse | {"rxInfo": [{"gatewayId": "0016c001f1500a01"}]})

    assert isinstance(uplink, Uplink)
    assert (uplink.f_cnt, uplink.f_port, uplink.dr, uplink.data) == (0, 0, 0, b"")
    assert (uplink.adr, uplink.confirmed, uplink.frequency, uplink.ns_time) == (False, False, None, None)
    assert uplink.receptions == (Reception("0016c001f1500a01", 0, 0.0, None),)


def test_fields_of_a_newer_chirpstack_do_no_harm() -> None:
    document = example("up") | {"newThing": {"deep": [1, {"x": None}]}}
    document["deviceInfo"]["newThing"] = 1
    document["rxInfo"][0]["newThing"] = "x"

    assert parse("up", document) == parse("up", example("up"))


def test_upper_case_identifiers_become_lower_case() -> None:
    document = example("up")
    document["deviceInfo"]["devEui"] = "A81758FFFE0A1B2C"
    document["devAddr"] = "01F3C7A8"
    document["rxInfo"][0]["gatewayId"] = "0016C001F1500A01"
    document["deduplicationId"] = "3F2B9C1E-6D40-4A57-8E13-9B7C5D2A1F06"

    assert parse("up", document, dev_eui="A81758FFFE0A1B2C") == parse("up", example("up"))


def test_json_may_be_indented_and_begin_with_spaces() -> None:
    payload = b" \r\n\t" + (EVENTS / "up.json").read_bytes()

    assert parse("up", payload) == parse("up", example("up"))


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("0016c001f1500a01", ["0016c001f1500a01"]),
        ("F1500A01", ["00000000f1500a01"]),  # passive roaming tells the lower half only
        ("", []),  # a roaming partner that does not tell its gateways
    ],
)
def test_an_uplink_heard_by_a_roaming_partner_is_kept(told: str, kept: list[str]) -> None:
    uplink = parse_up(rxInfo=[{"gatewayId": told, "rssi": -90}])

    assert [reception.gateway_id for reception in uplink.receptions] == kept


# -- time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-03-09T05:41:07+00:00", 0),
        ("2026-03-09T05:41:07.318+00:00", 318000),
        ("2026-03-09T05:41:07.318204+00:00", 318204),
        ("2026-03-09T05:41:07.318204999+00:00", 318204),
        ("2026-03-09T05:41:07.999999999+00:00", 999999),
        ("2026-03-09T05:41:07.999999999Z", 999999),
        ("2026-03-09T06:41:07.000000999+01:00", 0),
    ],
)
def test_times_are_truncated_to_microseconds_and_never_rounded(text: str, microsecond: int) -> None:
    uplink = parse_up(time=text)

    assert uplink.time == utc(2026, 3, 9, 5, 41, 7, microsecond)
    assert uplink.time.tzinfo is UTC


def arrived(*times: str | None) -> list[dict[str, Any]]:
    return [{"gatewayId": f"{n:016x}"} | ({"nsTime": time} if time else {}) for n, time in enumerate(times)]


def test_the_earliest_arrival_at_the_network_server_counts() -> None:
    uplink = parse_up(rxInfo=arrived(None, "2026-03-09T05:41:08+00:00", "2026-03-09T05:41:07.5+00:00"))

    assert uplink.ns_time == utc(2026, 3, 9, 5, 41, 7, 500000)


@pytest.mark.parametrize("hours", [-24 * 365 * 20, -1, 1, 24 * 365])
def test_a_time_that_differs_from_the_arrival_is_replaced_and_kept(hours: int) -> None:
    wrong = utc(2026, 3, 9, 5, 41) + timedelta(hours=hours)
    uplink = parse_up(time=wrong.isoformat(), rxInfo=arrived("2026-03-09T05:41:00.25+00:00"))

    assert uplink.time == uplink.ns_time == utc(2026, 3, 9, 5, 41, 0, 250000)
    assert uplink.reported_time == wrong


@pytest.mark.parametrize("seconds", [-120, 0, 120])
def test_a_difference_of_up_to_two_minutes_is_no_reason_to_doubt(seconds: int) -> None:
    time = utc(2026, 3, 9, 5, 41) + timedelta(seconds=seconds)
    uplink = parse_up(time=time.isoformat(), rxInfo=arrived("2026-03-09T05:41:00+00:00"))

    assert (uplink.time, uplink.reported_time) == (time, None)


def test_a_redelivery_gets_the_same_time_however_late_it_comes() -> None:
    payload = json.dumps(example("up") | {"time": "2019-04-07T00:00:00+00:00"}).encode()

    first = parse_event(topic("up"), payload, NOW)
    again = parse_event(topic("up"), payload, NOW + timedelta(days=3))

    assert first == again


def test_without_an_arrival_the_time_stands() -> None:
    uplink = parse_up(time="2026-03-01T00:00:00+00:00", rxInfo=[])

    assert (uplink.time, uplink.ns_time, uplink.reported_time) == (utc(2026, 3, 1), None, None)


def test_a_missing_time_is_filled_by_the_arrival() -> None:
    uplink = parse_up(time=None, rxInfo=arrived("2026-03-09T05:41:00+00:00"))

    assert (uplink.time, uplink.reported_time) == (utc(2026, 3, 9, 5, 41), None)


def test_an_uplink_without_any_time_is_refused() -> None:
    document = example("up") | {"rxInfo": []}
    del document["time"]
    refusal = rejected("up", document)

    assert refusal.reason == "unreadable"
    assert refusal.detail == "time is missing, and no rxInfo has an nsTime to stand in for it"


def test_an_event_more_than_an_hour_ahead_is_refused() -> None:
    status = example("status")
    at_the_limit = parse("status", status | {"time": "2026-03-09T07:15:00+00:00"})
    refusal = rejected("status", status | {"time": "2026-03-09T07:15:00.000001+00:00"})

    assert at_the_limit.time == NOW + timedelta(hours=1)
    assert refusal.reason == "future_time"
    assert "2026-03-09 07:15:00.000001+00:00" in refusal.detail
    assert "clock" in refusal.detail


def test_an_uplink_whose_arrival_lies_in_the_future_is_refused() -> None:
    refusal = rejected("up", example("up") | {"rxInfo": arrived("2026-03-10T00:00:00+00:00")})

    assert refusal.reason == "future_time"


@pytest.mark.parametrize(
    "time", ["1970-01-01T00:00:00Z", "1980-01-06T00:00:00Z", "1999-12-31T23:59:59.999999Z"]
)
def test_a_clock_that_was_never_set_is_refused(time: str) -> None:
    refusal = rejected("log", example("log") | {"time": time})

    assert refusal.reason == "implausible_time"
    assert "2000-01-01" in refusal.detail


@pytest.mark.parametrize(
    "time",
    [
        "yesterday",
        "",
        "2026-03-09T05:41:07",  # no offset: whose time would it be?
        "2026-02-30T00:00:00Z",
        "2016-12-31T23:59:60Z",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
    ],
)
def test_a_time_that_is_none_is_refused(time: str) -> None:
    for event in ("up", "log"):
        refusal = rejected(event, example(event) | {"time": time})

        assert refusal.reason == "unreadable"
        assert refusal.detail == f'time: expected a time with its UTC offset (RFC 3339), got "{time}"'


# -- other events -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "event", "device", "key", "time"),
    [
        (
            "join",
            "join",
            WASTE_SENSOR,
            "c04d5e6f-7a8b-4c9d-8e0f-1a2b3c4d5e6f",
            utc(2026, 3, 9, 5, 40, 2, 18733),
        ),
        (
            "status",
            "status",
            WASTE_SENSOR,
            "3f2b9c1e-6d40-4a57-8e13-9b7c5d2a1f06",
            utc(2026, 3, 9, 5, 41, 7, 318204),
        ),
        ("ack", "ack", VALVE, "e26f7081-9cad-4ebf-a021-3c4d5e6f7081", utc(2026, 3, 9, 6, 0, 1, 200)),
        (
            "ack_timeout",
            "ack",
            VALVE,
            "f3708192-adbe-4fc0-b132-4d5e6f708192",
            utc(2026, 3, 9, 6, 10, 0, 123456),
        ),
        (
            "txack",
            "txack",
            VALVE,
            "e26f7081-9cad-4ebf-a021-3c4d5e6f7081:4026531841",
            utc(2026, 3, 9, 6, 0, 0, 402000),
        ),
        (
            "location",
            "location",
            WASTE_SENSOR,
            "1592b3c4-cfd0-41e2-9354-6f7081920314",
            utc(2026, 3, 9, 5, 50),
        ),
    ],
)
def test_every_other_event_has_its_key_and_its_payload(
    name: str, event: str, device: DeviceInfo, key: str, time: datetime
) -> None:
    document = example(name)
    parsed = parse(event, document, dev_eui=device.dev_eui)

    assert isinstance(parsed, DeviceEvent)
    assert (parsed.type, parsed.key, parsed.time, parsed.device) == (event, key, time, device)
    assert "deviceInfo" not in parsed.payload
    if name != "join":
        assert parsed.payload == {k: v for k, v in document.items() if k != "deviceInfo"}


def test_the_session_key_of_a_join_is_not_kept() -> None:
    joined = parse("join", example("join"))

    assert isinstance(joined, DeviceEvent)
    assert joined.payload["joinServerContext"] == {"appSKey": {"kekLabel": "village-kek"}}


def test_log_events_that_say_the_same_share_a_key_and_others_do_not() -> None:
    log = example("log")
    reordered = dict(reversed(log.items()))
    other_tags = deepcopy(log)
    other_tags["deviceInfo"]["tags"] = {}

    def key(document: dict[str, Any]) -> str:
        event = parse("log", document)
        assert isinstance(event, DeviceEvent)
        return event.key

    others = [
        log | {"time": "2026-03-09T05:45:30.000001235+00:00"},
        log | {"code": "OTAA"},
        log | {"level": "ERROR"},
        log | {"description": "other"},
        log | {"context": {}},
    ]
    assert re.fullmatch("[0-9a-f]{32}", key(log))
    assert key(log) == key(reordered) == key(other_tags)
    assert len({key(log), *map(key, others)}) == 6


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ("join", "deduplicationId"),
        ("status", "deduplicationId"),
        ("location", "deduplicationId"),
        ("ack", "queueItemId"),
        ("txack", "queueItemId"),
    ],
)
def test_an_event_without_its_identity_is_refused(event: str, field: str) -> None:
    document = example(event)
    dev_eui = document["deviceInfo"]["devEui"]
    for broken in ("", "7", "x" * 36):
        refusal = rejected(event, document | {field: broken}, dev_eui=dev_eui)
        assert refusal.reason == "unreadable"
        assert refusal.detail == f"{field}: Invalid UUID"


# -- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"deduplicationId": "not-a-uuid"}, "deduplicationId: Invalid UUID"),
        ({"deduplicationId": ""}, "deduplicationId: Invalid UUID"),
        ({"deduplicationId": None}, "deduplicationId: Expected `uuid`, got `null`"),
        ({"deviceInfo": None}, "deviceInfo: Expected `object`, got `null`"),
        ({"fCnt": 4294967296}, "fCnt: Expected `int` <= 4294967295"),
        ({"fCnt": -1}, "fCnt: Expected `int` >= 0"),
        ({"fCnt": "7"}, "fCnt: Expected `int`, got `str`"),
        ({"fPort": 256}, "fPort: Expected `int` <= 255"),
        ({"dr": 256}, "dr: Expected `int` <= 255"),
        ({"txInfo": {"frequency": 4294967296}}, "txInfo.frequency: Expected `int` <= 4294967295"),
        ({"rxInfo": [{"rssi": -32769}]}, "rxInfo[0].rssi: Expected `int` >= -32768"),
        ({"rxInfo": [{"snr": None}]}, "rxInfo[0].snr: Expected `float`, got `null`"),
        ({"rxInfo": [{"gatewayId": "roof"}]}, 'rxInfo[].gatewayId: expected 16 hex digits, got "roof"'),
        ({"devAddr": ""}, 'devAddr: expected 8 hex digits, got ""'),
        ({"devAddr": "1f3c7a8"}, 'devAddr: expected 8 hex digits, got "1f3c7a8"'),
        ({"devAddr": "0x1f3c7a"}, 'devAddr: expected 8 hex digits, got "0x1f3c7a"'),
        ({"devAddr": "٠١٢٣٤٥٦٧"}, 'devAddr: expected 8 hex digits, got "٠١٢٣٤٥٦٧"'),
        ({"data": "AXV"}, "data: Invalid base64 encoded string"),
        ({"object": [1]}, "object: Expected `object | null`, got `array`"),
        ({"deviceInfo": {}}, "deviceInfo: Object missing required field `devEui`"),
    ],
)
def test_a_value_that_does_not_fit_is_named(changes: dict[str, Any], detail: str) -> None:
    refusal = rejected("up", example("up") | changes)

    assert (refusal.reason, refusal.detail) == ("unreadable", detail)
    assert str(refusal) == f"unreadable: {detail}"


def test_a_missing_required_field_is_named() -> None:
    refusal = rejected("up", {"fCnt": 1})

    assert refusal.detail == "Object missing required field `deduplicationId`"


def test_a_payload_of_another_device_than_the_topic_names_is_refused_with_advice() -> None:
    for event in ("up", "status"):
        refusal = rejected(event, example(event), dev_eui="0004a30b001c0530")

        assert refusal.reason == "unreadable"
        assert 'deviceInfo.devEui is "a81758fffe0a1b2c"' in refusal.detail
        assert "topic names device 0004a30b001c0530" in refusal.detail
        assert refusal.detail.endswith("?")


@pytest.mark.parametrize("token", [b"NaN", b"Infinity", b"-Infinity"])
def test_a_bare_nan_is_refused_with_a_hint_at_the_codec(token: bytes) -> None:
    payload = json.dumps(example("up")).encode().replace(b"1069.0", token)
    refusal = rejected("up", payload)

    assert refusal.reason == "unreadable"
    assert "the codec in ChirpStack must not return them" in refusal.detail


@pytest.mark.parametrize("number", ["1e999", "9" * 5000])
def test_a_number_beyond_all_bounds_is_refused(number: str) -> None:
    payload = json.dumps(example("up")).replace("1069.0", number).encode()

    assert rejected("up", payload).detail.startswith("object[...]: ")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b" ",
        b"{",
        b"{}",
        b"[]",
        b"null",
        b"hello",
        b"{}{}",
        b'{"deduplicationId":',
        b'\xef\xbb\xbf{"a":1}',
        b'{"deduplicationId":"\xff\xfe"}',
        b'{"time":"\xc3\x28"}',
        b'{"devAddr":"\\ud800"}',
        b"\xff" * 100,
        b"\x00" * 100,
    ],
)
def test_bytes_that_are_no_event_are_unreadable(payload: bytes) -> None:
    for event in ("up", "join", "status", "log", "ack", "txack", "location"):
        assert rejected(event, payload).reason == "unreadable"


def test_a_payload_beyond_the_limit_is_refused_before_it_is_read() -> None:
    document = json.dumps(example("up")).encode()
    just_fits = document + b" " * (MAX_PAYLOAD - len(document))

    assert parse("up", just_fits) == parse("up", example("up"))
    refusal = rejected("up", just_fits + b" ")
    assert (refusal.reason, refusal.detail) == (
        "too_large",
        "the payload has 262145 bytes; expected at most 262144",
    )


@pytest.mark.parametrize("opening", [b"[", b'{"x":'])
@pytest.mark.parametrize("depth", [65, 900, 40_000])
def test_nesting_that_would_exhaust_the_stack_later_is_refused(opening: bytes, depth: int) -> None:
    closing = b"]" if opening == b"[" else b"}"
    bomb = opening * depth + (b"1" if closing == b"}" else b"") + closing * depth

    def payload(event: str, field: bytes) -> bytes:
        return json.dumps(example(event)).encode()[:-1] + b"," + field + bomb[:200_000] + b"}"

    assert rejected("up", payload("up", b'"object":')).reason == "unreadable"
    assert rejected("status", payload("status", b'"newThing":')).reason == "unreadable"


def test_an_object_of_reasonable_depth_passes() -> None:
    nested = {"a": [{"b": [[1, {"c": None}]]}] * 3}

    assert parse_up(object=nested).object == nested


def test_a_nul_in_a_name_does_not_cost_the_event() -> None:
    document = example("up")
    document["deviceInfo"] |= {"deviceName": "a\0b", "tags": {"k\0": "v\0", "fraction": "glass"}}
    uplink = parse("up", document)

    assert uplink.device.device_name == "a\ufffdb"
    assert uplink.device.tags == {"k\ufffd": "v\ufffd", "fraction": "glass"}
    assert uplink.device.device_profile_name == "Füllstand Ultraschall EU868"


def test_a_nul_in_what_was_measured_is_left_as_it_is() -> None:
    assert parse_up(object={"text": "a\0b"}).object == {"text": "a\0b"}


def test_a_refusal_never_repeats_the_whole_payload() -> None:
    long = "x" * 5000
    for changes in ({"time": long}, {"devAddr": long}, {"rxInfo": [{"gatewayId": long}]}):
        assert "x" * 60 not in rejected("up", example("up") | changes).detail


# -- topics -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "village/", "a/b/c/", "/"])
def test_a_topic_may_have_a_prefix(prefix: str) -> None:
    text = f"{prefix}application/{APPLICATION}/device/A81758FFFE0A1B2C/event/up"

    assert describe_topic(text) == TopicInfo(APPLICATION, "a81758fffe0a1b2c", "up")
    assert isinstance(parse_event(text, (EVENTS / "up.json").read_bytes(), NOW), Uplink)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "eu868/gateway/0016c001f1500a01/event/stats",
        "application/1/device/a81758fffe0a1b2/event/up",
        "application/1/device/a81758fffe0a1b2g/event/up",
        "application/1/device/a81758fffe0a1b2c/command/down",
        "application/1/device/a81758fffe0a1b2c/event/up/",
        "application/1/2/device/a81758fffe0a1b2c/event/up",
        "x" * 60_000,
    ],
)
def test_a_topic_that_is_no_device_event_is_refused(text: str) -> None:
    assert describe_topic(text) is None
    with pytest.raises(Rejected) as caught:
        parse_event(text, b"{}", NOW)
    assert caught.value.reason == "unknown_event"
    assert "application/…/device/<16 hex digits>/event/up" in caught.value.detail
    assert len(caught.value.detail) <= 200


def test_an_event_type_that_we_do_not_know_is_refused_with_those_we_do() -> None:
    refusal = rejected("integration", b"{}")

    assert refusal.reason == "unknown_event"
    assert refusal.detail == (
        'unknown event "integration"; known are up, join, status, log, ack, txack, location'
    )
    assert describe_topic(topic("integration")) == TopicInfo(APPLICATION, "a81758fffe0a1b2c", "integration")
