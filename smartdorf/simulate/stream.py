"""From what devices send to the MQTT messages that ChirpStack would publish, in order, with faults.

Owns: which fault befalls which frame, the order of publication, and telling the ledger. Must not know
sockets or clocks: time is the time of the transmissions.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

from smartdorf.simulate import chirpstack
from smartdorf.simulate.behaviour import Circumstances, Transmission, transmissions
from smartdorf.simulate.chirpstack import Event
from smartdorf.simulate.faults import (
    Faults,
    GarbageMaker,
    broken_frame,
    clock_error,
    delay,
    gateway_dies,
    silent_from,
)
from smartdorf.simulate.frames import Payload
from smartdorf.simulate.ledger import Ledger, Message, Note, UplinkNote
from smartdorf.simulate.radio import Hearing
from smartdorf.simulate.station import Station, new_uuid
from smartdorf.simulate.village import Village, seeded

Encoding = Literal["json", "protobuf", "mixed"]

SECOND = timedelta(seconds=1)
JOIN_TIME = 8 * SECOND  # from the join-request to the first uplink
# so many uplinks from one such event to the next, over the whole village
DOWNLINK_EVERY, LOG_EVERY, LOCATION_EVERY = 50, 80, 200

_LOGS = (
    ("WARNING", "UPLINK_F_CNT_RETRANSMISSION", "Uplink was flagged as re-transmission"),
    ("ERROR", "DOWNLINK_GATEWAY", "TOO_LATE"),
    ("ERROR", "OTAA", "DevNonce has already been used"),
)


def simulate(
    village: Village,
    faults: Faults | None = None,
    *,
    seed: int = 0,
    until: datetime | None = None,
    count: int | None = None,
    encoding: Encoding = "json",
    ledger: Ledger | None = None,
) -> Iterator[Message]:
    """The messages of ``village`` from its start on, in order of publication, made one by one.

    Ends with the last message up to ``until``, or after ``count`` messages; without either it never ends.
    ``seed`` decides on the faults. ``ledger`` knows each message by the time it is handed out, and nothing
    of those that are still held back at the end.
    """
    ledger = Ledger() if ledger is None else ledger
    stream = _Stream(village, faults or Faults(), seed, encoding, ledger)
    for item in islice(stream.outgoing(until), count):
        ledger.add(item.note)
        yield item.message


@dataclass(order=True, slots=True)
class _Outgoing:
    at: datetime
    number: int  # breaks ties in the order of making
    message: Message = field(compare=False)
    note: Note = field(compare=False)


class _Stream:
    def __init__(
        self, village: Village, faults: Faults, seed: int, encoding: Encoding, ledger: Ledger
    ) -> None:
        self._village = village
        self._faults = faults
        self._encoding = encoding
        self._ledger = ledger
        self._rng = seeded("network", village.seed)
        self._chance = seeded("faults", seed)
        self._garbage = GarbageMaker(self._chance)
        self._outbox: list[_Outgoing] = []
        self._made = 0
        self._uplinks = 0
        self._held: dict[str, list[tuple[str, bytes, Note]]] = {}  # dev_eui -> what the next uplink overtakes
        self._stations = [Station.of(device, village) for device in village.devices]
        silent = self._chance.sample(village.devices, min(faults.silent_devices, len(village.devices)))
        self._silent_from = {device.dev_eui: silent_from(village.start, self._chance) for device in silent}
        self._dies = gateway_dies(village.start)
        self._doomed = self._chance.choice(self._dispensable()) if faults.dead_gateway else None

    def _dispensable(self) -> list[str]:
        """The gateways without which at least one device is still heard, so that the village never goes mute."""
        talking = [station.link for station in self._stations if station.eui not in self._silent_from]
        ids = [gateway.gateway_id for gateway in self._village.gateways]
        return [gateway for gateway in ids if any(link.reaches - {gateway} for link in talking)] or ids

    def outgoing(self, until: datetime | None) -> Iterator[_Outgoing]:
        sent_by_device = [self._sent_by(index) for index in range(len(self._stations))]
        for at, index, sent in heapq.merge(*sent_by_device):
            yield from self._due(at if until is None else min(at, until))
            if until is not None and at > until:
                return
            self._send(self._stations[index], sent)
        yield from self._due(until)  # all devices have fallen silent

    def _sent_by(self, index: int) -> Iterator[tuple[datetime, int, Transmission]]:
        """What one device sends. For merging, ``index`` settles ties before transmissions are compared."""
        station = self._stations[index]
        rng = seeded("behaviour", self._village.seed, station.eui)
        story = next((story for story in self._village.stories if story.dev_eui == station.eui), None)
        given = Circumstances(rng, self._village.start, not station.joined, story)
        silent_from = self._silent_from.get(station.eui)
        for sent in transmissions(station.device, given):
            if silent_from is not None and sent.at >= silent_from:
                self._ledger.silent_devices.append(station.eui)
                return
            yield sent.at, index, sent

    def _due(self, horizon: datetime | None) -> Iterator[_Outgoing]:
        while self._outbox and (horizon is None or self._outbox[0].at <= horizon):
            yield heapq.heappop(self._outbox)

    def _send(self, station: Station, sent: Transmission) -> None:
        """One frame leaves its device."""
        at = sent.at
        deaf = () if self._doomed is None or at < self._dies else (self._doomed,)
        if deaf:
            self._ledger.dead_gateway = self._doomed
        hearings = station.link.hear(self._rng, deaf)
        if not hearings:
            if station.joined:
                station.f_cnt += 1
                self._ledger.unheard += 1
            return
        if not station.joined:
            self._join(station, at)
            at += JOIN_TIME
        fate = self._fate(station)
        if fate == "counter_resets":
            self._reset(station, at)
            return
        f_cnt, station.f_cnt = station.f_cnt, station.f_cnt + 1
        if fate == "lost":
            self._ledger.lost += 1
            return
        station.first = False
        payload, truth = sent.payload, sent.truth
        if fate == "broken_frames":
            payload, truth = broken_frame(station.device.model, self._chance), {}
        error = clock_error(self._chance) if fate == "clock_errors" else timedelta()
        event, published = station.uplink(
            self._rng, at=at, hearings=hearings, payload=payload, f_cnt=f_cnt, clock_error=error
        )
        uplink = UplinkNote(station.eui, station.dev_addr, f_cnt, at, truth)
        self._deliver(station, event, published, Note("up", (fate,) if fate else (), uplink=uplink))
        if not fate:
            if self._chance.random() < self._faults.retransmissions:
                self._retransmit(station, at, hearings, payload, f_cnt)
            self._accompany(station, event, published)
        if self._chance.random() < self._faults.garbage:
            self._litter(station, event, published)

    def _fate(self, station: Station) -> str:
        fate = self._faults.fate(self._chance)
        if station.first and fate in ("lost", "late", "reordered", "counter_resets"):
            return ""
        if fate == "reordered" and station.eui in self._held:
            return ""  # one frame at a time waits to be overtaken
        return fate

    def _deliver(self, station: Station, event: Event, at: datetime, note: Note) -> None:
        """Publish an uplink now, late, or behind the device's next one; some of them twice."""
        topic, payload = station.topic("up"), self._encoded("up", event)
        copies = [(topic, payload, note)]
        if self._chance.random() < self._faults.duplicates:
            copies.append((topic, payload, Note(faults=("duplicates",))))
        if "reordered" in note.faults:
            self._held[station.eui] = copies
            return
        if "late" in note.faults:
            at += delay(self._chance)
        for number, held in enumerate([*copies, *self._held.pop(station.eui, ())]):
            self._publish(at + number * SECOND, *held)

    def _retransmit(
        self, station: Station, at: datetime, hearings: list[Hearing], payload: Payload, f_cnt: int
    ) -> None:
        """The same frame again, seconds later, and the network server takes it for a new one."""
        event, published = station.uplink(
            self._rng,
            at=at + SECOND * self._chance.randint(3, 12),
            hearings=hearings,
            payload=payload,
            f_cnt=f_cnt,
        )
        note = Note("up", ("retransmissions",))
        self._publish(published, station.topic("up"), self._encoded("up", event), note)

    def _reset(self, station: Station, at: datetime) -> None:
        """A frame that starts from 0 in an old session gives a log event only; then the device joins anew."""
        context = {"deduplication_id": new_uuid(self._rng)}
        event = chirpstack.log(
            time=chirpstack.timestamp(at),
            device=station.info,
            level="WARNING",
            code="UPLINK_F_CNT_RESET",
            description="Frame-counter reset or rollover detected",
            context=context,
        )
        self._publish_event(station, "log", event, at, faults=("counter_resets",))
        self._join(station, at + SECOND)

    def _join(self, station: Station, at: datetime) -> None:
        station.begin_session(self._rng)
        event = chirpstack.join(
            deduplication_id=new_uuid(self._rng),
            time=chirpstack.timestamp(at),
            device=station.info,
            dev_addr=station.dev_addr,
        )
        self._publish_event(station, "join", event, at)

    def _accompany(self, station: Station, up: Event, at: datetime) -> None:
        """The other events that an uplink brings along, now and then."""
        rng, self._uplinks = self._rng, self._uplinks + 1
        if (ack := station.ack(rng, up, at)) is not None:
            self._publish_event(station, "ack", ack, at)
        if at >= station.next_status:
            self._publish_event(station, "status", station.status(rng, up, at), at)
        if self._uplinks % DOWNLINK_EVERY == 0:
            sent = at + 1.2 * SECOND
            self._publish_event(station, "txack", station.txack(rng, up, sent), sent)
        if self._uplinks % LOG_EVERY == 0:
            level, code, description = rng.choice(_LOGS)
            event = chirpstack.log(
                time=chirpstack.timestamp(at),
                device=station.info,
                level=level,
                code=code,
                description=description,
                context={"deduplication_id": new_uuid(rng)},
            )
            self._publish_event(station, "log", event, at)
        if self._uplinks % LOCATION_EVERY == 0:
            place = station.device.place
            event = chirpstack.location(
                deduplication_id=up["deduplicationId"],
                time=chirpstack.timestamp(at),
                device=station.info,
                latitude=round(place.latitude + rng.gauss(0, 0.0005), 6),
                longitude=round(place.longitude + rng.gauss(0, 0.0005), 6),
                accuracy=float(rng.randint(20, 150)),
            )
            self._publish_event(station, "location", event, at)

    def _litter(self, station: Station, event: Event, at: datetime) -> None:
        topic = station.topic("up")
        garbage = self._garbage.make(topic, event, protobuf=self._as_protobuf())
        note = Note(garbage=(garbage.reason, garbage.kind))
        self._publish(at + SECOND * self._chance.uniform(0.01, 3), topic, garbage.payload, note)

    def _publish_event(
        self, station: Station, event_type: str, event: Event, at: datetime, faults: tuple[str, ...] = ()
    ) -> None:
        payload = self._encoded(event_type, event)
        self._publish(at, station.topic(event_type), payload, Note(event_type, faults))

    def _publish(self, at: datetime, topic: str, payload: bytes, note: Note) -> None:
        self._made += 1
        heapq.heappush(self._outbox, _Outgoing(at, self._made, Message(topic, payload, at), note))

    def _encoded(self, event_type: str, event: Event) -> bytes:
        if self._as_protobuf():
            return chirpstack.encode_protobuf(event_type, event)
        return chirpstack.encode_json(event)

    def _as_protobuf(self) -> bool:
        return self._encoding == "protobuf" or (self._encoding == "mixed" and self._chance.random() < 0.5)
