"""A device that says what a test tells it to say, as ChirpStack would pass it on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from smartdorf.simulate import Message, SimulatedDevice, Village, chirpstack
from smartdorf.simulate.frames import Payload


class Speaker:
    """One device of a village; its frame counter counts on with every uplink."""

    def __init__(self, village: Village, device: SimulatedDevice) -> None:
        self.device = device
        self.f_cnt = 0
        self._village = village

    @property
    def topic(self) -> str:
        return chirpstack.topic(self.device.application[0], self.device.dev_eui, "up")

    def event(
        self, payload: Payload, at: datetime | None = None, heard: datetime | None = None
    ) -> dict[str, Any]:
        """An uplink that gateways date ``at`` and the network server heard at ``heard``; both are now by default."""
        at = at or datetime.now(UTC)
        heard = heard or at
        gateway = self._village.gateways[0]
        self.f_cnt += 1
        return chirpstack.up(
            deduplication_id=str(uuid4()),
            time=chirpstack.timestamp(at),
            device=chirpstack.device_info(
                tenant=self._village.tenant,
                application=self.device.application,
                profile=self.device.profile,
                device_name=self.device.name,
                dev_eui=self.device.dev_eui,
                tags={},
            ),
            dev_addr="01020304",
            dr=5,
            f_cnt=self.f_cnt,
            f_port=payload.f_port,
            data=payload.data,
            receptions=[
                chirpstack.Reception(
                    gateway.gateway_id,
                    ns_time=heard,
                    rssi=-90,
                    snr=7.5,
                    channel=1,
                    latitude=gateway.latitude,
                    longitude=gateway.longitude,
                    altitude=gateway.altitude,
                    uplink_id=self.f_cnt,
                    context=b"\1\2\3\4",
                )
            ],
            frequency=868_300_000,
        )

    def message(self, event: Mapping[str, Any]) -> Message:
        return self.raw(chirpstack.encode_json(dict(event)))

    def raw(self, payload: bytes) -> Message:
        return Message(self.topic, payload, datetime.now(UTC))

    def up(self, payload: Payload, at: datetime | None = None) -> Message:
        return self.message(self.event(payload, at))


def speaker(model: str, *, seed: int = 1, age: timedelta = timedelta(days=1)) -> tuple[Village, Speaker]:
    """A village with one device of this model, to be onboarded, and that device."""
    village = Village.build(seed, devices=1, start=datetime.now(UTC) - age, models=(model,))
    return village, Speaker(village, village.devices[0])
