"""What can go wrong on the way, on demand: which fault befalls a frame, and the garbage itself.

Owns: the shares, and payloads that no correct service or decoder accepts. Must not know the stream that
they are put into.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import NamedTuple

from smartdorf.simulate import chirpstack
from smartdorf.simulate.chirpstack import Event
from smartdorf.simulate.frames import Payload
from smartdorf.simulate.village import DL_PR26, EM300_ZLD, EM400_MUD, LHT65N, QALCOSONIC_W1, TPS110

UNREADABLE, TOO_LARGE, FUTURE_TIME = "unreadable", "too_large", "future_time"
HUGE = 1_000_000  # bytes of a too large message
HUGE_SHARE = 0.01  # of the garbage


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Shares of the uplinks that something befalls, 0 to 1; without arguments nothing goes wrong.

    An uplink suffers at most one of ``lost``, ``late``, ``reordered``, ``clock_errors``, ``counter_resets``
    and ``broken_frames``, so these add up to at most 1. The first frame of a session is never lost, late or
    reordered: nobody could tell that something is missing before it.
    """

    lost: float = 0.0  # never published
    late: float = 0.0  # published minutes to hours after it was heard
    reordered: float = 0.0  # published after the next uplink of the same device
    clock_errors: float = 0.0  # event `time` wrong by minutes to days, nsTime right
    counter_resets: float = 0.0  # the device forgets its session: a log event, then a join
    broken_frames: float = 0.0  # a valid event with a payload that no correct decoder accepts
    duplicates: float = 0.0  # the same message twice
    retransmissions: float = 0.0  # the same frame again under a new deduplicationId
    garbage: float = 0.0  # an additional message that is no usable event
    silent_devices: int = 0  # so many devices fall silent within the first hours, for good
    dead_gateway: bool = False  # one gateway stops hearing after the first hour

    EXCLUSIVE = ("lost", "late", "reordered", "clock_errors", "counter_resets", "broken_frames")

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "silent_devices" and not 0 <= value <= 1:
                raise ValueError(f"{item.name} is a share between 0 and 1, not {value}")
        if self.silent_devices < 0:
            raise ValueError("silent_devices is a number of devices")
        if sum(getattr(self, name) for name in self.EXCLUSIVE) > 1 + 1e-9:
            raise ValueError(f"{', '.join(self.EXCLUSIVE)} exclude each other and add up to more than 1")

    def fate(self, rng: random.Random) -> str:
        """Which of the exclusive faults befalls the next uplink; "" is none."""
        draw = rng.random()
        for name in self.EXCLUSIVE:
            draw -= getattr(self, name)
            if draw < 0:
                return name
        return ""


def clock_error(rng: random.Random) -> timedelta:
    """Ten minutes to five days, either way: more than any network delay explains."""
    error = timedelta(minutes=10) + timedelta(days=5) * rng.random() ** 3
    return error if rng.random() < 0.5 else -error


def broken_frame(model: str, rng: random.Random) -> Payload:
    """A payload that a correct decoder must refuse: cut inside its first value, or of an impossible length."""
    return rng.choice(_BROKEN[model])


# Milesight's decoders take any port, so theirs are cut only
_BROKEN: dict[str, tuple[Payload, ...]] = {
    TPS110: (Payload(2, b"\x01\x12\x00"), Payload(3, b"\x00\x00\x00\x00\x99"), Payload(77, b"\x01\x12")),
    EM400_MUD: (Payload(85, b"\x03\x67\x01"), Payload(85, b"\x04\x82"), Payload(85, b"\x01\x75")),
    EM300_ZLD: (Payload(85, b"\x03\x67\x01"), Payload(85, b"\x04\x68"), Payload(85, b"\x05\x00")),
    QALCOSONIC_W1: (Payload(100, bytes(13)), Payload(103, b"\xdd\x48\xae"), Payload(77, bytes(47))),
    DL_PR26: (
        Payload(1, bytes.fromhex("05016700033e8060170c7f")),  # there is no protocol version 5
        Payload(1, bytes.fromhex("02016700033e80")),
    ),
    LHT65N: (Payload(2, bytes.fromhex("cbf60b0d")), Payload(77, bytes.fromhex("cbf60b0d0376010add7fff"))),
}


class Garbage(NamedTuple):
    reason: str
    kind: str
    payload: bytes


class GarbageMaker:
    """Makes messages that must be refused, each unlike every other on the same topic.

    It is given a sound event and spoils it. ``future_time`` lies at least 90 days ahead of the event, so a
    simulation that started longer ago than that would not be refused.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._emptied: set[str] = set()  # topics that had their one empty payload

    def make(self, topic: str, event: Event, *, protobuf: bool) -> Garbage:
        if self._rng.random() < HUGE_SHARE:
            huge = event | {"deduplicationId": self._uuid(), "object": {"text": "x" * HUGE}}
            return Garbage(TOO_LARGE, "huge", _json(huge))
        kind = self._rng.choice(_KINDS)
        if kind == "empty" and topic not in self._emptied:
            self._emptied.add(topic)
            return Garbage(UNREADABLE, kind, b"")
        if kind == "future_time":
            return Garbage(FUTURE_TIME, kind, self._from_the_future(event, protobuf=protobuf))
        if kind in ("empty", "not_json"):
            return Garbage(UNREADABLE, "not_json", f"Error 503: try again later ({self._uuid()})".encode())
        return Garbage(UNREADABLE, kind, _SPOIL[kind](event | {"deduplicationId": self._uuid()}, self._rng))

    def _from_the_future(self, event: Event, *, protobuf: bool) -> bytes:
        ahead = timedelta(days=self._rng.uniform(90, 7300))
        time = datetime.fromisoformat(event["time"]) + ahead
        when = chirpstack.timestamp(time)
        receptions = [
            {name: value for name, value in info.items() if name not in ("gwTime", "timeSinceGpsEpoch")}
            | {"nsTime": when}
            for info in event["rxInfo"]
        ]
        future = event | {"deduplicationId": self._uuid(), "time": when, "rxInfo": receptions}
        return chirpstack.encode_protobuf("up", future) if protobuf else chirpstack.encode_json(future)

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _truncated_json(event: Event, rng: random.Random) -> bytes:
    whole = _json(event)
    return whole[: rng.randint(80, len(whole) - 2)]  # behind the id that makes it unique


def _truncated_protobuf(event: Event, rng: random.Random) -> bytes:
    """Cut inside ``deviceInfo``, whose length was already announced."""
    whole = chirpstack.encode_protobuf("up", event)
    inside = whole.index(event["deviceInfo"]["tenantId"].encode())
    return whole[: inside + rng.randint(1, 36)]


def _latin_1(event: Event, rng: random.Random) -> bytes:
    named = event | {"deviceInfo": event["deviceInfo"] | {"deviceName": "Schulstraße"}}
    return json.dumps(named, ensure_ascii=False).encode("latin-1")


def _utf_16(event: Event, rng: random.Random) -> bytes:
    return json.dumps(event).encode("utf-16")


def _wrong_types(event: Event, rng: random.Random) -> bytes:
    name, value = rng.choice(
        (("deviceInfo", "none"), ("fCnt", {"value": 1}), ("data", [1, 2]), ("rxInfo", 7), ("time", True))
    )
    return _json(event | {name: value})


def _not_an_object(event: Event, rng: random.Random) -> bytes:
    return _json([event["deduplicationId"], rng.random()])


def _not_a_number(event: Event, rng: random.Random) -> bytes:
    """What many a JSON library writes for NaN and infinity, though JSON has neither."""
    value = rng.choice((float("nan"), float("inf"), float("-inf")))
    return _json(event | {"rxInfo": [info | {"snr": value} for info in event["rxInfo"]]})


def _missing_dev_eui(event: Event, rng: random.Random) -> bytes:
    device = event["deviceInfo"]
    return _json(event | {"deviceInfo": {name: device[name] for name in device if name != "devEui"}})


def _missing_device_info(event: Event, rng: random.Random) -> bytes:
    return _json({name: event[name] for name in event if name != "deviceInfo"})


_SPOIL: dict[str, Callable[[Event, random.Random], bytes]] = {
    "truncated_json": _truncated_json,
    "truncated_protobuf": _truncated_protobuf,
    "latin_1": _latin_1,
    "utf_16": _utf_16,
    "wrong_types": _wrong_types,
    "not_an_object": _not_an_object,
    "not_a_number": _not_a_number,
    "missing_dev_eui": _missing_dev_eui,
    "missing_device_info": _missing_device_info,
}
_KINDS = ("empty", "not_json", "future_time", *_SPOIL)
GARBAGE_KINDS = (*_KINDS, "huge")


def silent_from(start: datetime, rng: random.Random) -> datetime:
    return start + timedelta(hours=rng.uniform(1, 6))


def gateway_dies(start: datetime) -> datetime:
    return start + timedelta(hours=1)


def delay(rng: random.Random) -> timedelta:
    """How late a late message is: five minutes to eight hours, mostly less than one."""
    return timedelta(minutes=5) + timedelta(hours=8) * rng.random() ** 3
