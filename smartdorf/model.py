"""The nouns of smartdorf: plain frozen values, no behaviour beyond what follows from their fields.

Times are aware, UTC, truncated to microseconds. ``dev_eui`` and ``gateway_id`` are 16 lower-case hex digits.
msgspec structs, since thousands of them are made each second.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct, field


class Reception(Struct, frozen=True, gc=False):
    """One gateway's hearing of one uplink."""

    gateway_id: str
    rssi: int  # dBm
    snr: float  # dB
    ns_time: datetime | None = None  # arrival at the network server


class DeviceInfo(Struct, frozen=True):
    """What ChirpStack says of the device in every event; enough to recognise its model."""

    dev_eui: str
    device_name: str = ""
    device_profile_name: str = ""
    application_id: str = ""
    application_name: str = ""
    tenant_name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class Uplink(Struct, frozen=True):
    """One deduplicated uplink (ChirpStack event ``up``).

    ``time`` is what everything counts with: the network's event time, or ``ns_time`` where the event time was
    implausible; then ``reported_time`` keeps what was said.
    """

    deduplication_id: UUID
    device: DeviceInfo
    dev_addr: str  # 8 hex digits
    time: datetime
    f_cnt: int
    f_port: int  # 0: MAC commands only
    data: bytes
    receptions: tuple[Reception, ...] = ()
    dr: int = 0
    adr: bool = False
    confirmed: bool = False
    frequency: int | None = None  # Hz
    ns_time: datetime | None = None  # earliest arrival at the network server
    reported_time: datetime | None = None  # the event time, where it was replaced
    object: Mapping[str, Any] | None = None  # what ChirpStack's own codec made of `data`
    encrypted: bool = False  # end to end: only the application server of the join server can read `data`

    @property
    def dev_eui(self) -> str:
        return self.device.dev_eui


class DeviceEvent(Struct, frozen=True):
    """Any other event of a device: join, status, log, ack, txack, location."""

    type: str
    key: str  # idempotency: deduplicationId, queueItemId (and downlinkId), or a hash of the payload
    time: datetime
    device: DeviceInfo
    payload: Mapping[str, Any]  # the event without deviceInfo, as ChirpStack's JSON names it

    @property
    def dev_eui(self) -> str:
        return self.device.dev_eui


Event = Uplink | DeviceEvent


class Quality(enum.IntFlag):
    """Why a measurement is to be read with care. Never a reason to drop it."""

    OK = 0
    OUT_OF_RANGE = 1  # outside the vocabulary's plausible range
    TIME_REPLACED = 2  # the event time was implausible; the network server's time stands instead
    HISTORY = 4  # from a datalog: measured before the frame was sent
    TOO_LATE = 8  # so old on arrival that its hour may no longer be aggregated again: stored only
    JUMP = 16  # further from the values before than is believable; of a counter: it fell
    STUCK = 32  # the sensor has said the same for longer than its quantity stays the same
    RESTARTING = 64  # the device has begun anew several times within a day

    @property
    def words(self) -> list[str]:
        """For people and programs: ``out_of_range``, ``history`` …"""
        return [flag.name.lower() for flag in self if flag.name]


class Sample(Struct, frozen=True, gc=False):
    """One value that a frame gave, in the vocabulary's unit."""

    metric: str
    value: float  # finite
    time: datetime
    channel: int = 0
    quality: int = 0  # Quality


class Fault(Struct, frozen=True):
    """Why a frame gave no values: a short reason that is counted, and the detail that helps."""

    reason: str
    detail: str = ""


_FIRMWARE = frozenset(("firmware", "firmwareversion", "fwversion", "softwareversion", "swversion", "version"))
_LONGEST_FIRMWARE = 40


class Decoded(Struct, frozen=True):
    """What decoding made of one uplink: samples, or a fault, or neither (a frame without measurements).

    ``object`` holds what the codec found and no measurement carries (firmware version, configuration …); all of
    ChirpStack's object where that was decoded, since nothing else could decode the uplink again.
    """

    samples: tuple[Sample, ...] = ()
    object: Mapping[str, Any] | None = None
    fault: Fault | None = None
    missing: tuple[str, ...] = ()  # parameters without which a measurement had to be left out

    @property
    def firmware(self) -> str | None:
        """The version of the device's firmware, where the frame tells it, by the names that vendors give it."""
        for name, value in (self.object or {}).items():
            if name.replace("_", "").lower() in _FIRMWARE and isinstance(value, str | int | float):
                return str(value)[:_LONGEST_FIRMWARE]
        return None
