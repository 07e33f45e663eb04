"""One device as the network server sees it: identity, session, frame counters, radio link.

Owns: the state of a session and the events that carry it. Must not know faults or the order of publication.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from smartdorf.simulate import chirpstack
from smartdorf.simulate.chirpstack import Event, Reception
from smartdorf.simulate.frames import Payload
from smartdorf.simulate.radio import FREQUENCIES, Hearing, Link
from smartdorf.simulate.village import SimulatedDevice, Village, seeded

DEDUPLICATION = timedelta(milliseconds=200)  # ChirpStack waits so long for other gateways
FRESH_SHARE = 0.3  # of the devices are switched on at the start; the others have a session
WALL_DB = 8.0
CELLAR_DB = 18.0


def new_uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def new_dev_addr(rng: random.Random) -> str:
    """Of the block for private networks (NwkID 0 and 1)."""
    return f"{rng.getrandbits(26):08x}"


@dataclass(slots=True)
class Station:
    device: SimulatedDevice
    info: Event
    info_of_txack: Event  # application tags are missing there
    link: Link
    dev_addr: str
    f_cnt: int
    joined: bool
    next_status: datetime
    battery_level: float
    first: bool = True  # nothing of it has been published yet
    f_cnt_down: int = 0
    unacknowledged: str | None = None  # queue item of a confirmed downlink

    @classmethod
    def of(cls, device: SimulatedDevice, village: Village) -> Station:
        rng = seeded("station", village.seed, device.dev_eui)
        place = device.place
        own_tags = {"place": place.slug, "model": device.model}
        info = chirpstack.device_info(
            tenant=village.tenant,
            application=device.application,
            profile=device.profile,
            device_name=device.name,
            dev_eui=device.dev_eui,
            tags={"domain": device.application[1], **own_tags},
        )
        walls = CELLAR_DB if place.place_type == "cellar" else WALL_DB
        return cls(
            device,
            info,
            info | {"tags": own_tags},
            Link(village.gateways, place.latitude, place.longitude, walls),
            dev_addr=new_dev_addr(rng),
            f_cnt=rng.randrange(100, 20_000),
            joined=rng.random() >= FRESH_SHARE,
            next_status=village.start + timedelta(hours=24 * rng.random()),
            battery_level=round(rng.uniform(40, 100), 1),
        )

    @property
    def eui(self) -> str:
        return self.device.dev_eui

    def topic(self, event_type: str) -> str:
        return chirpstack.topic(self.device.application[0], self.eui, event_type)

    def begin_session(self, rng: random.Random) -> None:
        self.dev_addr, self.f_cnt, self.f_cnt_down = new_dev_addr(rng), 0, 0
        self.joined, self.first = True, True

    def uplink(
        self,
        rng: random.Random,
        *,
        at: datetime,
        hearings: list[Hearing],
        payload: Payload,
        f_cnt: int,
        clock_error: timedelta = timedelta(),
    ) -> tuple[Event, datetime]:
        """The ``up`` event of a frame sent ``at``, and when it is published.

        ``time`` is what the first gateway with a clock says, else the server's own time after it has waited
        for copies. With a ``clock_error`` the gateways' clocks are wrong, and the server believes them.
        """
        channel = rng.randrange(8)
        receptions = []
        for number, (gateway, rssi, snr) in enumerate(hearings):
            has_clock = gateway.gps or (clock_error and number == 0)
            receptions.append(
                Reception(
                    gateway.gateway_id,
                    ns_time=at + timedelta(microseconds=rng.randint(20_000, 90_000)),
                    ns_digits=rng.randint(1, 999),
                    rssi=rssi,
                    snr=snr,
                    channel=channel,
                    rf_chain=0 if channel < 3 else 1,
                    latitude=gateway.latitude,
                    longitude=gateway.longitude,
                    altitude=gateway.altitude,
                    uplink_id=rng.getrandbits(32),
                    context=rng.randbytes(4),
                    gps_time=at + clock_error if has_clock else None,
                )
            )
        published = min(reception.ns_time for reception in receptions) + DEDUPLICATION
        by_gateway = next((reception.gps_time for reception in receptions if reception.gps_time), None)
        event = chirpstack.up(
            deduplication_id=new_uuid(rng),
            time=chirpstack.timestamp(by_gateway)
            if by_gateway
            else chirpstack.timestamp(published, rng.randint(1, 999)),
            device=self.info,
            dev_addr=self.dev_addr,
            dr=self.link.dr,
            f_cnt=f_cnt,
            f_port=payload.f_port,
            data=payload.data,
            receptions=receptions,
            frequency=FREQUENCIES[channel],
        )
        return event, published

    def status(self, rng: random.Random, up: Event, at: datetime) -> Event:
        """The answer to the daily DevStatusReq, which travels with an uplink and shares its id."""
        self.next_status += timedelta(days=1)
        self.battery_level = max(round(self.battery_level - 0.1, 1), 1.0)
        return chirpstack.status(
            deduplication_id=up["deduplicationId"],
            time=chirpstack.timestamp(at),
            device=self.info,
            margin=rng.randint(-3, 24),
            battery_level=self.battery_level,
        )

    def txack(self, rng: random.Random, up: Event, at: datetime) -> Event:
        """A gateway has sent a confirmed downlink; the answer is awaited with the next uplink."""
        self.unacknowledged = new_uuid(rng)
        event = chirpstack.txack(
            downlink_id=rng.getrandbits(32),
            time=chirpstack.timestamp(at),
            device=self.info_of_txack,
            queue_item_id=self.unacknowledged,
            f_cnt_down=self.f_cnt_down,
            gateway_id=up["rxInfo"][0]["gatewayId"],
            frequency=up["txInfo"]["frequency"],
            dr=up["dr"],
            context=rng.randbytes(4),
        )
        self.f_cnt_down += 1
        return event

    def ack(self, rng: random.Random, up: Event, at: datetime) -> Event | None:
        """What became of the last confirmed downlink, if there was one."""
        if self.unacknowledged is None:
            return None
        queue_item_id, self.unacknowledged = self.unacknowledged, None
        return chirpstack.ack(
            deduplication_id=up["deduplicationId"],
            time=chirpstack.timestamp(at),
            device=self.info,
            queue_item_id=queue_item_id,
            acknowledged=rng.random() < 0.9,
            f_cnt_down=max(self.f_cnt_down - 1, 0),
        )
