"""The Protobuf form of the example events, written by hand, must give exactly what their JSON gives."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from chirpstack_api.common import (
    CLASS_A,
    CLASS_C,
    GEO_RESOLVER_TDOA,
    JoinServerContext,
    KeyEnvelope,
    Location,
)
from chirpstack_api.gw import (
    CR_4_5,
    CRC_OK,
    DelayTimingInfo,
    DownlinkTxInfo,
    LoraModulationInfo,
    Modulation,
    Timing,
    UplinkRxInfo,
    UplinkTxInfo,
)
from chirpstack_api.integration import (
    UPLINK_F_CNT_RETRANSMISSION,
    WARNING,
    AckEvent,
    JoinEvent,
    LocationEvent,
    LogEvent,
    StatusEvent,
    TxAckEvent,
    UplinkEvent,
    UplinkRelayRxInfo,
)
from chirpstack_api.integration import DeviceInfo as DeviceInfoMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from smartdorf.ingest.chirpstack import Rejected, parse_event
from smartdorf.model import DeviceEvent, Uplink

EVENTS = Path(__file__).parents[2] / "data" / "events"
NOW = datetime(2026, 3, 9, 6, 15, tzinfo=UTC)
GPS_TIME = Duration(seconds=1457070085, nanos=318204000)
SENSOR = "a81758fffe0a1b2c"
ACTUATOR = "70b3d57ed005e4a1"

WASTE_SENSOR = DeviceInfoMessage(
    tenant_id="0d6c7b0e-2a51-4d0c-b7a2-5c1f3e9a8d41",
    tenant_name="Gemeinde Musterbach",
    application_id="b1f5a2c4-77d0-4c39-9a86-1d2e3f405162",
    application_name="abfall",
    device_profile_id="6f0e1d2c-3b4a-4958-8776-95a4b3c2d1e0",
    device_profile_name="Füllstand Ultraschall EU868",
    device_name="glas-marktplatz-2",
    dev_eui=SENSOR,
    device_class_enabled=CLASS_A,
    tags={"fraction": "glass", "place": "marktplatz"},
)
VALVE = DeviceInfoMessage(
    tenant_id="0d6c7b0e-2a51-4d0c-b7a2-5c1f3e9a8d41",
    tenant_name="Gemeinde Musterbach",
    application_id="c2e6b3d5-88e1-4d4a-8b97-2e3f40516273",
    application_name="wasser",
    device_profile_id="70112e3d-4c5b-4a69-9887-a6b5c4d3e2f1",
    device_profile_name="Ventil Class C",
    device_name="ventil-hochbehaelter",
    dev_eui=ACTUATOR,
    device_class_enabled=CLASS_C,
)


def at(hour: int, minute: int, second: int, nanos: int = 0) -> Timestamp:
    """A time of 9 March 2026."""
    return Timestamp(seconds=1773014400 + hour * 3600 + minute * 60 + second, nanos=nanos)


def radio(frequency: int, spreading_factor: int) -> UplinkTxInfo:
    lora = LoraModulationInfo(bandwidth=125000, spreading_factor=spreading_factor, code_rate=CR_4_5)
    return UplinkTxInfo(frequency=frequency, modulation=Modulation(lora=lora))


def codec_output(**values: Any) -> Struct:
    output = Struct()
    output.update(values)
    return output


UP = UplinkEvent(
    deduplication_id="3f2b9c1e-6d40-4a57-8e13-9b7c5d2a1f06",
    time=at(5, 41, 7, 318204000),
    device_info=WASTE_SENSOR,
    dev_addr="01f3c7a8",
    adr=True,
    dr=5,
    f_cnt=4711,
    f_port=2,
    data=bytes.fromhex("0d04012e000042"),
    object=codec_output(distance=1069, battery=3.412, tilt=False, note="ok"),
    rx_info=[
        UplinkRxInfo(
            gateway_id="0016c001f1500a01",
            uplink_id=3912004417,
            gw_time=at(5, 41, 7, 318204000),
            ns_time=at(5, 41, 7, 401993871),
            time_since_gps_epoch=GPS_TIME,
            rssi=-88,
            snr=9.2,
            channel=4,
            rf_chain=1,
            location=Location(latitude=49.2871, longitude=9.4412, altitude=312),
            context=bytes.fromhex("a40e11c3"),
            crc_status=CRC_OK,
        ),
        UplinkRxInfo(
            gateway_id="7276ff0039030b02",
            uplink_id=6120,
            ns_time=at(5, 41, 7, 377120999),
            rssi=-112,
            channel=4,
            location=Location(),
            context=bytes.fromhex("0006f3d4"),
            crc_status=CRC_OK,
        ),
    ],
    tx_info=radio(867300000, 7),
    region_config_id="eu868",
)

EXAMPLES: dict[str, tuple[str, str, Message]] = {
    "up": ("up", SENSOR, UP),
    "up_mac_only": (
        "up",
        ACTUATOR,
        UplinkEvent(
            deduplication_id="91d4e7a2-5b38-4c06-bf21-0a6e8d9c7b35",
            time=at(5, 42, 30, 105000000),
            device_info=VALVE,
            dev_addr="00aa10ff",
            rx_info=[
                UplinkRxInfo(
                    gateway_id="7276ff0039030b02", uplink_id=6121, ns_time=at(5, 42, 29, 904417250), rssi=-121
                )
            ],
            tx_info=radio(868100000, 12),
        ),
    ),
    "up_relayed": (
        "up",
        SENSOR,
        UplinkEvent(
            deduplication_id="5ce0f6b9-1a27-4d83-9c54-e3b2a1908f76",
            time=at(5, 43, 0),
            device_info=WASTE_SENSOR,
            dev_addr="01f3c7a8",
            adr=True,
            dr=3,
            f_cnt=4712,
            f_port=2,
            confirmed=True,
            data=bytes.fromhex("0d04012e000043"),
            rx_info=[
                UplinkRxInfo(
                    gateway_id="0016c001f1500a01", ns_time=at(5, 43, 0, 250000001), rssi=-101, snr=-2.8
                )
            ],
            tx_info=radio(868300000, 9),
            relay_rx_info=UplinkRelayRxInfo(dev_eui="70b3d57ed0067788", frequency=865100000, rssi=-79),
        ),
    ),
    "up_encrypted": (
        "up",
        SENSOR,
        UplinkEvent(
            deduplication_id="a7b81c3d-0e9f-4256-8d74-6c5b4a392817",
            time=at(5, 44, 11, 500000000),
            device_info=WASTE_SENSOR,
            dev_addr="01f3c7a9",
            adr=True,
            dr=5,
            f_cnt=12,
            f_port=2,
            data=bytes.fromhex("f5fde4a8842cd6"),
            rx_info=[
                UplinkRxInfo(gateway_id="0016c001f1500a01", ns_time=at(5, 44, 11, 622000000), rssi=-90, snr=8)
            ],
            tx_info=radio(868500000, 7),
            join_server_context=JoinServerContext(session_key_id="0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
        ),
    ),
    "join": (
        "join",
        SENSOR,
        JoinEvent(
            deduplication_id="c04d5e6f-7a8b-4c9d-8e0f-1a2b3c4d5e6f",
            time=at(5, 40, 2, 18733000),
            device_info=WASTE_SENSOR,
            dev_addr="01f3c7a8",
            join_server_context=JoinServerContext(
                app_s_key=KeyEnvelope(kek_label="village-kek", aes_key=bytes(24))
            ),
            region_config_id="eu868",
        ),
    ),
    "status": (
        "status",
        SENSOR,
        StatusEvent(
            deduplication_id="3f2b9c1e-6d40-4a57-8e13-9b7c5d2a1f06",
            time=at(5, 41, 7, 318204000),
            device_info=WASTE_SENSOR,
            margin=-7,
            battery_level=78.74,
        ),
    ),
    "ack": (
        "ack",
        ACTUATOR,
        AckEvent(
            deduplication_id="d15e6f70-8b9c-4dae-9f10-2b3c4d5e6f70",
            time=at(6, 0, 1, 200000),
            device_info=VALVE,
            queue_item_id="e26f7081-9cad-4ebf-a021-3c4d5e6f7081",
            acknowledged=True,
            f_cnt_down=31,
        ),
    ),
    "ack_timeout": (
        "ack",
        ACTUATOR,
        AckEvent(
            time=at(6, 10, 0, 123456789),
            device_info=VALVE,
            queue_item_id="f3708192-adbe-4fc0-b132-4d5e6f708192",
            f_cnt_down=32,
        ),
    ),
    "txack": (
        "txack",
        ACTUATOR,
        TxAckEvent(
            downlink_id=4026531841,
            time=at(6, 0, 0, 402000000),
            device_info=VALVE,
            queue_item_id="e26f7081-9cad-4ebf-a021-3c4d5e6f7081",
            f_cnt_down=31,
            gateway_id="0016c001f1500a01",
            tx_info=DownlinkTxInfo(
                frequency=869525000,
                power=27,
                modulation=Modulation(
                    lora=LoraModulationInfo(
                        bandwidth=125000, spreading_factor=12, code_rate=CR_4_5, polarization_inversion=True
                    )
                ),
                timing=Timing(delay=DelayTimingInfo(delay=Duration(seconds=1))),
                context=bytes([1, 2, 3, 4]),
            ),
        ),
    ),
    "log": (
        "log",
        SENSOR,
        LogEvent(
            time=at(5, 45, 30, 1234),
            device_info=WASTE_SENSOR,
            level=WARNING,
            code=UPLINK_F_CNT_RETRANSMISSION,
            description="Frame-counter did not increment",
            context={"deduplication_id": "0481a2b3-becf-40d1-8243-5e6f70819203"},
        ),
    ),
    "location": (
        "location",
        SENSOR,
        LocationEvent(
            deduplication_id="1592b3c4-cfd0-41e2-9354-6f7081920314",
            time=at(5, 50, 0),
            device_info=WASTE_SENSOR,
            location=Location(latitude=49.28, longitude=9.44, source=GEO_RESOLVER_TDOA, accuracy=120.5),
        ),
    ),
}


def parse(event: str, payload: bytes, dev_eui: str = SENSOR) -> Uplink | DeviceEvent:
    return parse_event(f"application/1/device/{dev_eui}/event/{event}", payload, NOW)


def parse_up(**changes: Any) -> Uplink:
    """The example uplink with other values."""
    message = UplinkEvent()
    message.CopyFrom(UP)
    message.MergeFrom(UplinkEvent(**changes))
    uplink = parse("up", message.SerializeToString())
    assert isinstance(uplink, Uplink)
    return uplink


def refusal_of(event: str, message: Message) -> Rejected:
    with pytest.raises(Rejected) as caught:
        parse(event, message.SerializeToString())
    return caught.value


def test_there_is_a_protobuf_twin_of_every_example() -> None:
    assert set(EXAMPLES) == {path.stem for path in EVENTS.glob("*.json")}


@pytest.mark.parametrize("name", EXAMPLES)
def test_protobuf_and_json_give_the_same_event(name: str) -> None:
    event, dev_eui, message = EXAMPLES[name]
    json_text = (EVENTS / f"{name}.json").read_bytes()

    assert parse(event, message.SerializeToString(), dev_eui) == parse(event, json_text, dev_eui)


def test_nan_and_infinity_of_a_codec_become_nothing() -> None:
    output = codec_output(bad=[math.nan, {"worse": math.inf}], worst=-math.inf, good=21.5)
    uplink = parse_up(object=output)

    assert uplink.object is not None
    assert uplink.object["bad"] == [None, {"worse": None}]
    assert uplink.object["worst"] is None
    assert uplink.object["good"] == 21.5
    assert json.dumps(uplink.object, allow_nan=False)


def test_nan_in_another_event_becomes_nothing() -> None:
    location = Location(latitude=math.nan, longitude=9.44, accuracy=math.inf)
    message = LocationEvent()
    message.CopyFrom(EXAMPLES["location"][2])
    message.location.CopyFrom(location)
    event = parse("location", message.SerializeToString())

    assert isinstance(event, DeviceEvent)
    assert event.payload["location"] == {"latitude": None, "longitude": 9.44, "accuracy": None}


def test_every_kind_of_codec_output_is_kept() -> None:
    values = {"text": "ä", "none": None, "yes": True, "list": [1.0, "x", [False]], "empty": {}}

    assert parse_up(object=codec_output(**values)).object == {
        "distance": 1069.0,
        "battery": 3.412,
        "tilt": False,
        "note": "ok",
        **values,
    }


@pytest.mark.parametrize("snr", [-20.0, -0.25, 7.2, 10.75, 13.8, 1e-30, 3.4028234663852886e38])
def test_a_32_bit_float_reads_as_in_json(snr: float) -> None:
    reception = parse_up(rx_info=[UplinkRxInfo(gateway_id="0016c001f1500a01", snr=snr)]).receptions[-1]

    assert reception.snr == pytest.approx(snr, rel=1e-7)
    assert len(repr(reception.snr)) <= 13  # 7.2, not 7.199999809265137


def test_a_number_that_protobuf_allows_and_lorawan_does_not_is_named() -> None:
    port = refusal_of(
        "up", UplinkEvent(deduplication_id=UP.deduplication_id, device_info=UP.device_info, f_port=256)
    )
    rssi = refusal_of(
        "up", UplinkEvent(deduplication_id=UP.deduplication_id, rx_info=[UplinkRxInfo(rssi=40000)])
    )
    snr = refusal_of(
        "up", UplinkEvent(deduplication_id=UP.deduplication_id, rx_info=[UplinkRxInfo(snr=math.nan)])
    )

    assert "dev_addr" not in port.detail
    assert port.detail == "fPort: Expected `int` <= 255"
    assert rssi.detail == "rxInfo[0].rssi: Expected `int` <= 32767"
    assert snr.detail == "rxInfo[0].snr: Expected `float`, got `null`"


def test_a_message_without_its_device_is_refused() -> None:
    refusal = refusal_of("status", StatusEvent(deduplication_id=UP.deduplication_id, time=at(5, 0, 0)))

    assert (refusal.reason, refusal.detail) == (
        "unreadable",
        "Object missing required field `deviceInfo`",
    )


def test_a_time_outside_the_calendar_is_refused() -> None:
    message = StatusEvent(
        deduplication_id=UP.deduplication_id, device_info=WASTE_SENSOR, time=Timestamp(seconds=2**60)
    )
    refusal = refusal_of("status", message)

    assert refusal.reason == "unreadable"
    assert refusal.detail.startswith("time: ")


def test_an_enumeration_value_of_a_newer_chirpstack_is_kept_as_its_number() -> None:
    message = LogEvent(time=at(5, 0, 0), device_info=WASTE_SENSOR, code=77)
    event = parse("log", message.SerializeToString())

    assert isinstance(event, DeviceEvent)
    assert (event.payload["code"], event.payload["level"]) == (77, "INFO")


def test_fields_of_a_newer_chirpstack_do_no_harm() -> None:
    field_500_text_x = bytes.fromhex("a21f0178")

    assert parse("up", UP.SerializeToString() + field_500_text_x) == parse_up()


def test_a_nul_in_a_name_does_not_cost_the_event() -> None:
    uplink = parse_up(device_info=DeviceInfoMessage(device_name="a\0b", tags={"place": "x\0"}))

    assert uplink.device.device_name == "a\ufffdb"
    assert uplink.device.tags == {"fraction": "glass", "place": "x\ufffd"}


def test_bytes_that_are_neither_json_nor_protobuf_say_so() -> None:
    with pytest.raises(Rejected) as caught:
        parse("up", b"\xff\xff")

    assert caught.value.detail == "is neither JSON nor ChirpStack's UplinkEvent in Protobuf"


def test_nesting_that_protobuf_itself_refuses_is_refused() -> None:
    def field(number: int, body: bytes) -> bytes:
        length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) & 127 | 128, len(body) >> 7])
        return bytes([number << 3 | 2]) + length + body

    nested = b""
    for _level in range(60):
        nested = field(1, field(1, b"x") + field(2, field(5, nested)))  # Struct{fields: {x: Value{Struct}}}
    with pytest.raises(Rejected) as caught:
        parse("up", UP.SerializeToString() + field(11, nested))

    assert caught.value.reason == "unreadable"
