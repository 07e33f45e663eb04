"""Who is who: devices, places and which device watches which place since when. Pure lookups in memory.

The database owns these facts (``db/directory.py`` reads and writes them); decoding and rules are given a
``Directory`` and never ask the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Place:
    """What people talk about: a parking bay, a container, a gauge, a meter point, a room."""

    id: int
    slug: str  # unique, made for typing: "glas-kirchplatz"
    name: str
    place_type: str
    tenant: str
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)  # mounting_height_m, gauge_zero_m …
    limits: Mapping[str, float] = field(default_factory=dict)  # a rule's limits, overridden for this place


@dataclass(frozen=True, slots=True)
class Device:
    """A LoRaWAN device. ``model`` is None until somebody has onboarded it; its uplinks are stored raw."""

    id: int
    dev_eui: str
    name: str
    model: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)  # calibration, pulse weight …
    limits: Mapping[str, float] = field(default_factory=dict)
    firmware: str = ""  # as the device last told it
    silence: float | None = None  # s, how long one is normal; None: not learned yet


@dataclass(frozen=True, slots=True)
class Installation:
    """A device, or one of its channels, at a place for a time. ``channel`` None: the whole device."""

    device_id: int
    place_id: int
    valid_from: datetime
    valid_to: datetime | None = None
    channel: int | None = None

    def in_force(self, time: datetime) -> bool:
        return self.valid_from <= time and (self.valid_to is None or time < self.valid_to)

    def covers(self, channel: int, time: datetime) -> bool:
        return self.channel in (None, channel) and self.in_force(time)


@dataclass(frozen=True, slots=True)
class Gateway:
    """What hears devices: our own or a foreign one. It is known from its first reception on."""

    id: int
    gateway_id: str
    name: str = ""
    is_own: bool = False  # it tells of itself, too

    def __str__(self) -> str:
        return self.name or self.gateway_id


@dataclass(frozen=True)
class Directory:
    """All places, devices, installations and gateways of this installation of smartdorf, at one moment."""

    places: Mapping[int, Place] = field(default_factory=dict)
    devices: Mapping[int, Device] = field(default_factory=dict)
    installations: tuple[Installation, ...] = ()
    gateways: Mapping[int, Gateway] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        places: Iterable[Place],
        devices: Iterable[Device],
        installations: Iterable[Installation],
        gateways: Iterable[Gateway] = (),
    ) -> Directory:
        return cls(
            {place.id: place for place in places},
            {device.id: device for device in devices},
            tuple(installations),
            {gateway.id: gateway for gateway in gateways},
        )

    def with_devices(self, devices: Iterable[Device]) -> Directory:
        """This directory and a few devices more."""
        return Directory(
            self.places,
            {**self.devices, **{device.id: device for device in devices}},
            self.installations,
            self.gateways,
        )

    def with_firmware(self, firmware: Mapping[int, str]) -> Directory:
        """This directory, after devices (by id) have told of their firmware."""
        return self.with_devices(replace(self.devices[id_], firmware=text) for id_, text in firmware.items())

    @cached_property
    def by_dev_eui(self) -> Mapping[str, Device]:
        return {device.dev_eui: device for device in self.devices.values()}

    @cached_property
    def _by_device(self) -> Mapping[int, tuple[Installation, ...]]:
        """Installations of each device: those of one channel first, the newest first."""
        found: dict[int, list[Installation]] = {}
        for installation in self.installations:
            found.setdefault(installation.device_id, []).append(installation)
        return {
            device_id: tuple(sorted(group, key=lambda i: (i.channel is None, -i.valid_from.timestamp())))
            for device_id, group in found.items()
        }

    @cached_property
    def _by_place(self) -> Mapping[int, tuple[Installation, ...]]:
        found: dict[int, list[Installation]] = {}
        for installation in self.installations:
            found.setdefault(installation.place_id, []).append(installation)
        return {place_id: tuple(group) for place_id, group in found.items()}

    @cached_property
    def _settled(self) -> Mapping[int, datetime]:
        """From when on nothing changes any more for a device, so that answers about it can be remembered."""
        return {
            device_id: max(time for i in group for time in (i.valid_from, i.valid_to) if time is not None)
            for device_id, group in self._by_device.items()
        }

    @cached_property
    def _remembered(self) -> dict[tuple[int, int], Place | None]:
        return {}

    @cached_property
    def _remembered_parameters(self) -> dict[int, Mapping[str, float]]:
        return {}

    def place_at(self, device_id: int, channel: int, time: datetime) -> Place | None:
        """The place that ``channel`` of the device watched at ``time``."""
        settled = self._settled.get(device_id)
        if settled is None:
            return None
        if time < settled:
            return self._find_place(device_id, channel, time)
        key = (device_id, channel)
        if key not in self._remembered:
            self._remembered[key] = self._find_place(device_id, channel, time)
        return self._remembered[key]

    def _find_place(self, device_id: int, channel: int, time: datetime) -> Place | None:
        for installation in self._by_device[device_id]:
            if installation.covers(channel, time):
                return self.places.get(installation.place_id)
        return None

    def installed_at(self, place_id: int, time: datetime) -> tuple[Installation, ...]:
        """What watches the place at ``time``."""
        return tuple(i for i in self._by_place.get(place_id, ()) if i.in_force(time))

    def parameters_at(self, device: Device, time: datetime) -> Mapping[str, float]:
        """What decoding needs to know: the device's parameters over those of the places it watches."""
        settled = self._settled.get(device.id)
        if settled is None:
            return device.parameters
        if time < settled:
            return self._find_parameters(device, time)
        if device.id not in self._remembered_parameters:
            self._remembered_parameters[device.id] = self._find_parameters(device, time)
        return self._remembered_parameters[device.id]

    def _find_parameters(self, device: Device, time: datetime) -> Mapping[str, float]:
        merged: dict[str, float] = {}
        for installation in self._by_device[device.id]:
            place = self.places.get(installation.place_id)
            if place is not None and installation.in_force(time):
                merged.update(place.parameters)
        return merged | dict(device.parameters)
