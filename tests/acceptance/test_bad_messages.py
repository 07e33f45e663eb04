"""Whatever arrives, the next message is not stopped by it, and nothing vanishes without a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from smartdorf.simulate import Message, chirpstack
from smartdorf.simulate.frames import lht65n
from smartdorf.simulate.publish import publish
from smartdorf.simulate.village import LHT65N
from tests.support.mosquitto import Mosquitto, Publisher
from tests.support.postgres import Database
from tests.support.service import ServiceProcess, until
from tests.support.speaker import Speaker, speaker
from tests.support.traffic import Traffic, fetch, onboard, until_rows, value

PAYLOAD = lht65n(battery_v=3.0, temperature_c=20.0, humidity_pct=50.0)
Event = dict[str, Any]


class Bad(NamedTuple):
    name: str
    reason: str  # with which it must be set aside
    spoil: Callable[[Event], bytes]


def _with(**changes: object) -> Callable[[Event], bytes]:
    return lambda event: json.dumps(event | changes).encode()


def _of_time(at: datetime) -> Callable[[Event], bytes]:
    """All of its times are wrong, also the network server's, so nothing is left to believe."""

    def spoil(event: Event) -> bytes:
        text = chirpstack.timestamp(at)
        receptions = [info | {"nsTime": text} for info in event["rxInfo"]]
        return json.dumps(event | {"time": text, "rxInfo": receptions}).encode()

    return spoil


def _snr(text: str) -> Callable[[Event], bytes]:
    return lambda event: json.dumps(event).replace('"snr": 7.5', f'"snr": {text}').encode()


def _object(text: str) -> Callable[[Event], bytes]:
    return lambda event: json.dumps(event | {"object": "@"}).replace('"@"', text).encode()


def _named(name: bytes) -> Callable[[Event], bytes]:
    def spoil(event: Event) -> bytes:
        return (
            json.dumps(event | {"deviceInfo": event["deviceInfo"] | {"deviceName": "@"}})
            .encode()
            .replace(b"@", name)
        )

    return spoil


def _protobuf(event: Event) -> bytes:
    return chirpstack.encode_protobuf("up", event)


BAD = (
    Bad("nothing at all", "unreadable", lambda _event: b""),
    Bad("one byte", "unreadable", lambda _event: b"{"),
    Bad("a text that is no event", "unreadable", lambda _event: b"Error 503: try again later"),
    Bad("a name that is no UTF-8", "unreadable", _named("Schulstraße".encode("latin-1"))),
    Bad("UTF-16", "unreadable", lambda event: json.dumps(event).encode("utf-16")),
    Bad("only NUL", "unreadable", lambda _event: bytes(1000)),
    Bad("truncated JSON", "unreadable", lambda event: json.dumps(event).encode()[:-200]),
    Bad("truncated Protobuf", "unreadable", lambda event: _protobuf(event)[:60]),
    Bad("a list", "unreadable", lambda event: json.dumps([event]).encode()),
    Bad("NaN in the radio's numbers", "unreadable", _snr("NaN")),
    Bad("Infinity", "unreadable", _snr("-Infinity")),
    Bad("NaN in ChirpStack's object", "unreadable", _object('{"t": NaN}')),
    Bad("nested without end", "unreadable", _object('{"a":' * 30_000 + "1" + "}" * 30_000)),
    Bad("256 KiB and more", "too_large", _with(object={"text": "x" * 300_000})),
    Bad("one megabyte", "too_large", _with(object={"text": "x" * 1_000_000})),
    Bad("five megabytes", "too_large", _with(object={"text": "x" * 5_000_000})),
    Bad("next year", "future_time", _of_time(datetime.now(UTC) + timedelta(days=365))),
    Bad("the year 9999", "future_time", _of_time(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))),
    Bad(
        "a clock that was never set", "implausible_time", _of_time(datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC))
    ),
    Bad("no time", "unreadable", _with(time=None, rxInfo=[])),
    Bad("a time in words", "unreadable", _with(time="gestern")),
    Bad("no device", "unreadable", _with(deviceInfo=None)),
    Bad("another device than the topic says", "unreadable", _with(deviceInfo={"devEui": "ff" * 8})),
    Bad("a counter below zero", "unreadable", _with(fCnt=-1)),
    Bad("a counter beyond 32 bits", "unreadable", _with(fCnt=2**32)),
    Bad("a number of 400 digits", "unreadable", _with(fCnt=10**400)),
    Bad("no base64", "unreadable", _with(data="%%%")),
    Bad("an id that is none", "unreadable", _with(deduplicationId="17")),
)


async def test_no_message_stops_the_next_one(database: Database, broker: Mosquitto, folder: Path) -> None:
    village, device = speaker(LHT65N)
    await onboard(database, village)
    traffic = Traffic()
    bad = {item.name: device.raw(item.spoil(device.event(PAYLOAD))) for item in BAD}
    messages: list[Message] = []
    for message in bad.values():
        messages += [message, *traffic.record([_minutes_ago(device)])]
    async with ServiceProcess(folder, database, broker.port) as service:
        # first one after the other, each a batch of its own, then all together
        publisher = await Publisher.connect(broker.port)
        for message in messages:
            await publisher.publish(message.topic, [message.payload])
        await publisher.close()
        await traffic.until_stored(database)
        await publish(
            [*messages, *traffic.record([_minutes_ago(device)])], host="127.0.0.1", port=broker.port
        )
        await traffic.until_stored(database)
        assert (await service.get("/readyz"))[0] == 200
    rows = await fetch(database, "SELECT payload, reason FROM quarantine")
    stored = {bytes(row[0]): row[1] for row in rows}
    expected = {item.name: item.reason for item in BAD}
    # of what is bigger than two megabytes only the beginning is kept
    found = {
        name: next(
            (reason for payload, reason in stored.items() if _is_kept_of(payload, message.payload)), None
        )
        for name, message in bad.items()
    }
    assert found == expected
    await traffic.check_uplinks(database)
    assert len(stored) == len(BAD), "the same message again is the same row"


async def test_topics_that_nobody_foresaw_and_other_events(
    database: Database, broker: Mosquitto, folder: Path
) -> None:
    village, device = speaker(LHT65N)
    await onboard(database, village)
    traffic = Traffic()
    event = device.event(PAYLOAD)
    log_event = {
        "time": event["time"],
        "deviceInfo": event["deviceInfo"],
        "level": "ERROR",
        "code": "OTAA",
        "description": "a NUL \0 in it",  # which PostgreSQL refuses
    }
    log_topic = device.topic.replace("/up", "/log")
    refused = {
        device.topic.replace("/up", "/from-the-future"): ("unknown_event", event),
        device.topic.replace(device.device.dev_eui, "no-eui"): ("unknown_event", event),
        log_topic: ("refused_by_database", log_event),
    }
    async with ServiceProcess(folder, database, broker.port) as service:
        publisher = await Publisher.connect(broker.port)
        for topic, (_reason, content) in refused.items():
            await publisher.publish(topic, [chirpstack.encode_json(content)])
            for message in traffic.record([_minutes_ago(device)]):
                await publisher.publish(message.topic, [message.payload], qos=0)
        await publisher.publish(log_topic, [chirpstack.encode_json(log_event | {"description": "sound"})])
        await publisher.close()
        await traffic.until_stored(database)

        async def counted() -> bool:
            return await service.metric('smartdorf_source_qos0_total{source="village"}') == len(refused)

        await until(counted, "the metrics tell of the messages with QoS 0")
    await traffic.check_uplinks(database)
    rows = await fetch(database, "SELECT topic, reason FROM quarantine")
    assert {row[0]: row[1] for row in rows} == {topic: reason for topic, (reason, _) in refused.items()}
    events = await fetch(database, "SELECT type, payload->>'description' FROM device_event")
    assert [tuple(row) for row in events] == [("log", "sound")]


async def test_a_time_that_a_gateway_invented_is_replaced_and_kept(
    database: Database, broker: Mosquitto, folder: Path
) -> None:
    """The first gateway's clock decides the event's time; where it is wrong, the network server's stands instead."""
    village, device = speaker(LHT65N)
    await onboard(database, village)
    heard = datetime.now(UTC) - timedelta(hours=2)
    invented = [heard - timedelta(days=7000), heard - timedelta(minutes=3), heard + timedelta(days=400)]
    believed = heard + timedelta(seconds=90)  # two minutes are allowed
    messages = [
        device.message(device.event(PAYLOAD, at, heard + timedelta(minutes=15 * number)))
        for number, at in enumerate(invented)
    ]
    messages.append(
        device.message(device.event(PAYLOAD, believed + timedelta(hours=1), heard + timedelta(hours=1)))
    )
    async with ServiceProcess(folder, database, broker.port):
        for _ in range(2):  # a redelivery must get the same time
            await publish(messages, host="127.0.0.1", port=broker.port)
        await publish([_minutes_ago(device)], host="127.0.0.1", port=broker.port)
        await until_rows(database, 5)
        rows = await fetch(
            database,
            "SELECT u.time, u.reported_time, min(m.quality) FROM uplink u "
            "JOIN measurement m ON m.device_id = u.device_id AND m.time = u.time "
            "GROUP BY u.deduplication_id, u.time, u.reported_time ORDER BY u.time",
        )
    time_replaced = 2  # smartdorf.model.Quality
    assert [tuple(row) for row in rows][:4] == [
        (heard, invented[0], time_replaced),
        (heard + timedelta(minutes=15), invented[1], time_replaced),
        (heard + timedelta(minutes=30), invented[2], time_replaced),
        (believed + timedelta(hours=1), None, 0),
    ]
    assert len(rows) == 5


def _minutes_ago(device: Speaker) -> Message:
    return device.up(PAYLOAD, datetime.now(UTC) - timedelta(minutes=10))


def _is_kept_of(kept: bytes, whole: bytes) -> bool:
    if len(whole) <= 2 * 1024 * 1024:
        return kept == whole
    return len(kept) > 60_000 and whole.startswith(kept)


STRANGE: dict[str, Callable[[Event], bytes]] = {
    "an SNR that no float of 32 bits holds": _snr("1e300"),
    "the same, of the weaker of two gateways": lambda event: json.dumps(
        event | {"rxInfo": [*event["rxInfo"], event["rxInfo"][0] | {"gatewayId": "ab" * 8, "snr": -1e300}]}
    ).encode(),
    "an SNR that no float of 64 bits holds": _snr("1e999"),
    "half a surrogate pair in a name": _named(rb"\ud800"),
    "half a surrogate pair in the object": _object(r'{"t": "\udfff"}'),
    "half a surrogate pair as a key of the object": _object(r'{"\ud83d": 1}'),
    "half a surrogate pair in a time": _with(time="\ud800"),
    "NUL in a name": _named(rb"\u0000"),
    "NUL as a key of the object": _object(r'{"\u0000": 1}'),
    "an integer of 30 digits in the object": _object('{"n": ' + "9" * 30 + "}"),
    "a number of 5000 digits in the object": _object('{"n": ' + "9" * 5000 + "}"),
    "a number beyond all floats in the object": _object('{"n": 1e400}'),
    "a number close to nothing in the object": _object('{"n": 1e-400}'),
    "sixty levels in the object": _object('{"a":' * 60 + "1" + "}" * 60),
    "the same key twice": _object('{"a": 1, "a": 2}'),
    "a name of 100,000 characters": _named(b"x" * 100_000),
    "two thousand gateways": lambda event: json.dumps(
        event | {"rxInfo": [{"gatewayId": f"{n:016x}", "nsTime": event["time"]} for n in range(2000)]}
    ).encode(),
    "the same gateway twice": lambda event: json.dumps(event | {"rxInfo": event["rxInfo"] * 2}).encode(),
    "a gateway without a name": _with(rxInfo=[{"rssi": -100}]),
    "no gateway": _with(rxInfo=[]),
    "the first moment of our calendar": _with(time="0001-01-01T00:00:00Z"),
    "the last moment of our calendar": _with(time="9999-12-31T23:59:59.999999999Z"),
    "a leap second": _with(time="2016-12-31T23:59:60Z"),
    "a frame of 242 bytes": _with(data="/////" + "A" * 319),
    "no data": _with(data=None),
    "port 0": _with(fPort=0, data=""),
}


@pytest.mark.parametrize("onboarded", [True, False])
async def test_strange_values_are_stored_or_set_aside_and_nothing_stops(
    database: Database, broker: Mosquitto, folder: Path, onboarded: bool
) -> None:
    """Of a known device its codec's values are stored; of an unknown one ChirpStack's object, as it came."""
    village, device = speaker(LHT65N)
    _neighbourhood, neighbour = speaker(LHT65N, seed=2)
    await onboard(database, village, devices=onboarded)
    traffic = Traffic()
    async with ServiceProcess(folder, database, broker.port):
        for number, (name, spoil) in enumerate(STRANGE.items(), 1):
            print(name)  # the last one that is shown stopped the next
            good = traffic.record([_minutes_ago(neighbour)], status="unknown_device")
            await publish(
                [device.raw(spoil(device.event(PAYLOAD))), *good], host="127.0.0.1", port=broker.port
            )
            query = "SELECT (SELECT count(*) FROM uplink) + (SELECT count(*) FROM quarantine)"

            async def stored(query: str = query, expected: int = 2 * number) -> bool:
                return bool(await value(database, query) == expected)

            await until(stored, f"{name}: it and the next one are stored", 8)
