"""Events look as ChirpStack v4 writes them: what is emitted, what is omitted, how values are spelled."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from chirpstack_api import integration
from google.protobuf import json_format

from smartdorf.simulate import Village, chirpstack, simulate

TIME = datetime(2026, 10, 14, 6, 15, 22, 734112, tzinfo=UTC)
DEVICE = chirpstack.device_info(
    tenant=("52f14cd4-c6f1-4fbd-8f87-4025e1d49242", "Gemeinde"),
    application=("17c82e96-be03-4f38-aef3-f83d48582d97", "umwelt"),
    profile=("14855bf7-d10d-4aee-b618-ebfcb64dc7ad", "EM300-TH"),
    device_name="th-01",
    dev_eui="24e124136c012345",
    tags={},
)
MESSAGES = {
    "up": integration.UplinkEvent,
    "join": integration.JoinEvent,
    "status": integration.StatusEvent,
    "log": integration.LogEvent,
    "ack": integration.AckEvent,
    "txack": integration.TxAckEvent,
    "location": integration.LocationEvent,
}


def _up(**changes):
    reception = chirpstack.Reception(
        "0016c001ff10a235",
        ns_time=TIME + timedelta(microseconds=47_290),
        ns_digits=331,
        rssi=-97,
        snr=7.25,
        channel=2,
        latitude=49.123456,
        longitude=9.654321,
        altitude=231.0,
        uplink_id=2871035512,
        context=bytes.fromhex("5b2c91a4"),
        gps_time=TIME,
    )
    values = {
        "deduplication_id": "6a1d1c0e-0c59-4f0c-9a51-2f4a0d7a1b7e",
        "time": chirpstack.timestamp(TIME),
        "device": DEVICE,
        "dev_addr": "01a3f27c",
        "dr": 3,
        "f_cnt": 1842,
        "f_port": 85,
        "data": bytes.fromhex("01755c"),
        "receptions": [reception],
        "frequency": 868_500_000,
    }
    return chirpstack.up(**(values | changes))


def test_uplink_as_json_is_written_as_chirpstack_writes_it():
    assert json.loads(chirpstack.encode_json(_up())) == {
        "deduplicationId": "6a1d1c0e-0c59-4f0c-9a51-2f4a0d7a1b7e",
        "time": "2026-10-14T06:15:22.734112+00:00",
        "deviceInfo": {
            "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
            "tenantName": "Gemeinde",
            "applicationId": "17c82e96-be03-4f38-aef3-f83d48582d97",
            "applicationName": "umwelt",
            "deviceProfileId": "14855bf7-d10d-4aee-b618-ebfcb64dc7ad",
            "deviceProfileName": "EM300-TH",
            "deviceName": "th-01",
            "devEui": "24e124136c012345",
            "deviceClassEnabled": "CLASS_A",
            "tags": {},
        },
        "devAddr": "01a3f27c",
        "adr": True,
        "dr": 3,
        "fCnt": 1842,
        "fPort": 85,
        "confirmed": False,
        "data": "AXVc",
        "rxInfo": [
            {
                "gatewayId": "0016c001ff10a235",
                "uplinkId": 2871035512,
                "gwTime": "2026-10-14T06:15:22.734112+00:00",
                "nsTime": "2026-10-14T06:15:22.781402331+00:00",
                "timeSinceGpsEpoch": "1475993740.734112s",
                "rssi": -97,
                "snr": 7.25,
                "channel": 2,
                "location": {"latitude": 49.123456, "longitude": 9.654321, "altitude": 231.0},
                "context": "WyyRpA==",
                "crcStatus": "CRC_OK",
            }
        ],
        "txInfo": {
            "frequency": 868500000,
            "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 9, "codeRate": "CR_4_5"}},
        },
        "regionConfigId": "eu868",
    }


def test_scalars_of_the_integration_package_are_always_there():
    event = _up(dr=0, f_cnt=0, f_port=0, data=b"", adr=False, receptions=[])
    assert {name: event[name] for name in ("adr", "dr", "fCnt", "fPort", "confirmed", "data", "rxInfo")} == {
        "adr": False,
        "dr": 0,
        "fCnt": 0,
        "fPort": 0,
        "confirmed": False,
        "data": "",
        "rxInfo": [],
    }


def test_defaults_of_a_reception_are_omitted():
    silent = chirpstack.Reception(
        "0016c001ff10a235",
        ns_time=TIME,
        rssi=0,
        snr=0.0,
        channel=0,
        latitude=0.0,
        longitude=0.0,
        altitude=0.0,
        uplink_id=0,
        context=b"",
    )
    assert _up(receptions=[silent])["rxInfo"] == [
        {
            "gatewayId": "0016c001ff10a235",
            "nsTime": "2026-10-14T06:15:22.734112+00:00",
            "location": {},
            "crcStatus": "CRC_OK",
        }
    ]


@pytest.mark.parametrize(
    ("at", "ns_digits", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), 0, "2026-01-02T03:04:05+00:00"),
        (datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC), 0, "2026-01-02T03:04:05.600+00:00"),
        (datetime(2026, 1, 2, 3, 4, 5, 600_007, tzinfo=UTC), 0, "2026-01-02T03:04:05.600007+00:00"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), 9, "2026-01-02T03:04:05.000000009+00:00"),
    ],
)
def test_times_have_0_3_6_or_9_digits(at, ns_digits, text):
    assert chirpstack.timestamp(at, ns_digits) == text


@pytest.mark.parametrize(
    ("seconds", "microseconds", "text"), [(1, 0, "1s"), (1, 500_000, "1.500s"), (1, 500_001, "1.500001s")]
)
def test_durations_have_0_3_or_6_digits(seconds, microseconds, text):
    assert chirpstack.duration(seconds, microseconds) == text


def test_a_day_of_the_village_has_all_event_types_and_no_field_that_chirpstack_does_not_know():
    start = datetime(2026, 5, 4, tzinfo=UTC)
    seen = set()
    for message in simulate(Village.build(1, start=start), until=start + timedelta(days=1)):
        event_type = message.topic.rsplit("/", 1)[1]
        json_format.ParseDict(json.loads(message.payload), MESSAGES[event_type]())  # strict
        seen.add(event_type)
    assert seen == set(MESSAGES)


def test_both_encodings_say_the_same():
    start = datetime(2026, 5, 4, tzinfo=UTC)
    village = Village.build(1, start=start)
    as_json = simulate(village, count=600)
    as_protobuf = simulate(village, count=600, encoding="protobuf")
    for text, binary in zip(as_json, as_protobuf, strict=True):
        assert text.topic == binary.topic
        kind = MESSAGES[text.topic.rsplit("/", 1)[1]]
        assert json_format.ParseDict(json.loads(text.payload), kind()) == kind.FromString(binary.payload)


def test_txack_leaves_the_application_tags_out():
    start = datetime(2026, 5, 4, tzinfo=UTC)
    for message in simulate(Village.build(1, start=start), count=500):
        if message.topic.endswith(("/txack", "/up")):
            tags = json.loads(message.payload)["deviceInfo"]["tags"]
            assert ("domain" in tags) == message.topic.endswith("/up")
