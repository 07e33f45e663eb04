"""Load for the benchmarks: very many sound uplinks of one model, made quickly.

Owns: uplinks that give exactly three measurements each (battery voltage, air temperature, humidity; the
external probe is missing). Must not know what they are sent to. There are no faults and no daily rhythm.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from smartdorf.simulate import chirpstack, frames
from smartdorf.simulate.ledger import Message
from smartdorf.simulate.stream import Encoding
from smartdorf.simulate.village import LHT65N, SimulatedDevice, Village, seeded

START = datetime(2026, 1, 1, tzinfo=UTC)
INTERVAL = timedelta(minutes=20)  # from one uplink of a device to its next

_Write = Callable[[str, datetime, int, bytes], bytes]  # deduplication id, time, f_cnt, data -> payload


def load_village(*, seed: int, devices: int, start: datetime = START) -> Village:
    """The village whose devices ``load_messages`` speaks for, to onboard them."""
    return Village.build(seed, devices=devices, start=start, models=(LHT65N,))


def load_messages(
    n: int,
    *,
    seed: int,
    devices: int,
    encoding: Encoding = "json",
    start: datetime = START,
    interval: timedelta = INTERVAL,
) -> list[Message]:
    """``n`` uplinks in order of time: all devices once, all twice, …, each with its f_cnt counting from 0.

    The last one is sent at about ``start`` + ``n`` / ``devices`` * ``interval``.
    """
    village = load_village(seed=seed, devices=devices, start=start)
    rng = seeded("load", seed)
    speakers = [
        (_topic(device), _writer(village, device, index, protobuf=_protobuf(encoding, index)))
        for index, device in enumerate(village.devices)
    ]
    step = interval / devices
    messages = []
    for number in range(n):
        f_cnt, index = divmod(number, devices)
        topic, write = speakers[index]
        at = start + number * step
        data = frames.lht65n(
            battery_v=3.0 + 0.1 * rng.random(),
            temperature_c=18.0 + 6.0 * rng.random(),
            humidity_pct=40.0 + 20.0 * rng.random(),
        ).data
        messages.append(Message(topic, write(_uuid(rng), at, f_cnt, data), at))
    return messages


def _protobuf(encoding: Encoding, index: int) -> bool:
    return encoding == "protobuf" or (encoding == "mixed" and index % 2 == 1)


def _topic(device: SimulatedDevice) -> str:
    return chirpstack.topic(device.application[0], device.dev_eui, "up")


def _writer(village: Village, device: SimulatedDevice, index: int, *, protobuf: bool) -> _Write:
    """Writes this device's events from a prepared one: only what differs between uplinks is put in."""
    gateways = village.gateways[index % 2 :][:2]
    event = chirpstack.up(
        deduplication_id="",
        time=chirpstack.timestamp(START),
        device=chirpstack.device_info(
            tenant=village.tenant,
            application=device.application,
            profile=device.profile,
            device_name=device.name,
            dev_eui=device.dev_eui,
            tags={"domain": device.application[1], "place": device.place.slug, "model": device.model},
        ),
        dev_addr=f"{index + 1:08x}",
        dr=5 - index % 4,
        f_cnt=0,
        f_port=2,
        data=b"",
        receptions=[
            chirpstack.Reception(
                gateway.gateway_id,
                ns_time=START,
                rssi=-80 - index % 30 - 9 * number,
                snr=9.5 - index % 9 - 3 * number,
                channel=index % 8,
                latitude=gateway.latitude,
                longitude=gateway.longitude,
                altitude=gateway.altitude,
                uplink_id=1 + index,
                context=index.to_bytes(4),
            )
            for number, gateway in enumerate(gateways)
        ],
        frequency=868_100_000 + 200_000 * (index % 3),
    )
    return _protobuf_writer(event) if protobuf else _json_writer(event)


def _json_writer(event: chirpstack.Event) -> _Write:
    marked = event | {
        "deduplicationId": "@id@",
        "time": "@time@",
        "fCnt": "@f_cnt@",
        "data": "@data@",
        "rxInfo": [info | {"nsTime": "@time@"} for info in event["rxInfo"]],
    }
    template = chirpstack.encode_json(marked).replace(b"%", b"%%").replace(b'"@f_cnt@"', b"%(f_cnt)d")
    for name in (b"id", b"time", b"data"):
        template = template.replace(b"@%s@" % name, b"%%(%s)s" % name)

    def write(deduplication_id: str, at: datetime, f_cnt: int, data: bytes) -> bytes:
        return template % {
            b"id": deduplication_id.encode(),
            b"time": chirpstack.timestamp(at).encode(),
            b"f_cnt": f_cnt,
            b"data": base64.b64encode(data),
        }

    return write


def _protobuf_writer(event: chirpstack.Event) -> _Write:
    message = chirpstack.parse_event("up", event)

    def write(deduplication_id: str, at: datetime, f_cnt: int, data: bytes) -> bytes:
        message.deduplication_id, message.f_cnt, message.data = deduplication_id, f_cnt, data
        seconds, nanos = int(at.replace(microsecond=0).timestamp()), at.microsecond * 1000
        for time in (message.time, *(info.ns_time for info in message.rx_info)):
            time.seconds, time.nanos = seconds, nanos
        return bytes(message.SerializeToString(deterministic=True))

    return write


def _uuid(rng: random.Random) -> str:
    """Like ``uuid.UUID(…, version=4)``, which takes most of the time of everything here."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
