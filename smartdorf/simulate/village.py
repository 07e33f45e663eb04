"""The simulated village: its places, devices, gateways and the stories that happen to some of them.

Owns: who is where, and the identifiers; all of it follows from the seed. Must not know frames, events,
faults or how a device behaves.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from smartdorf.simulate.radio import SimulatedGateway

DEFAULT_DEVICES = 60
CENTRE = (49.5873, 9.6241)  # a made-up village in a real landscape
TENANT_NAME = "Gemeinde Auental"

TPS110 = "bosch/tps110"
EM400_MUD = "milesight/em400-mud"
QALCOSONIC_W1 = "axioma/qalcosonic-w1"
DL_PR26 = "decentlab/dl-pr26"
LHT65N = "dragino/lht65n"
EM300_ZLD = "milesight/em300-zld"

Identity = tuple[str, str]  # id and name, as ChirpStack gives both


@dataclass(frozen=True)
class SimulatedPlace:
    slug: str
    name: str
    place_type: str
    tags: Mapping[str, str]
    latitude: float
    longitude: float
    parameters: Mapping[str, float]  # limits that rules may use


@dataclass(frozen=True)
class SimulatedDevice:
    dev_eui: str
    model: str
    name: str
    parameters: Mapping[str, float]  # what a decoder needs to know of the mounting
    place: SimulatedPlace
    application: Identity
    profile: Identity


@dataclass(frozen=True)
class Story:
    """Something worth an alert that happens to one device within the first two days."""

    what: str
    dev_eui: str
    place: str
    begins: datetime
    ends: datetime

    def is_on(self, at: datetime) -> bool:
        return self.begins <= at < self.ends


@dataclass(frozen=True)
class _Kind:
    model: str
    profile: str
    application: str
    place_types: tuple[str, ...]  # taking turns, as the names do
    share: int  # of the 60 devices of the default village
    eui_prefix: str  # the vendor's where we know it, else a locally administered one
    names: tuple[str, ...]
    tag: str  # what its tag is called, and the values that take turns
    tag_values: tuple[str, ...]
    device_parameters: Mapping[str, float]
    place_parameters: Mapping[str, float]
    stories: tuple[tuple[str, float, float], ...]  # what, from and to in hours after the start


_KINDS = (
    _Kind(
        TPS110, "Bosch TPS110", "parken", ("parking_bay",), 20, "02b05c",
        ("Parkplatz Rathaus", "Parkplatz Bahnhof", "Parkplatz Friedhof"),
        "lot", ("rathaus", "bahnhof", "friedhof"), {}, {}, (("long_stay", 2, 34),),
    ),
    _Kind(
        EM400_MUD, "Milesight EM400-MUD", "abfall", ("container",), 12, "24e124",
        ("Container Schulstraße", "Container Sportheim", "Container Bauhof", "Container Marktplatz"),
        "fraction", ("glass", "paper", "textile"), {"mounting_height_m": 1.6}, {"full": 80, "overfull": 95},
        (("container_full", 0, 26),),
    ),
    _Kind(
        DL_PR26, "Decentlab DL-PR26", "wasser", ("gauge",), 4, "70b3d57ba0",
        ("Pegel Mühlbach Brücke", "Pegel Mühlbach Wehr", "Pegel Talgraben", "Pegel Regenrückhaltebecken"),
        "water", ("muehlbach", "muehlbach", "talgraben", "becken"),
        {"pressure_min_bar": 0.0, "pressure_max_bar": 1.0}, {"warning": 1.2, "alarm": 1.6},
        (("high_water", 5, 24),),
    ),
    _Kind(
        QALCOSONIC_W1, "Axioma Qalcosonic W1", "wasser", ("meter",), 8, "02a810",
        ("Wasserzähler Schule", "Wasserzähler Kindergarten", "Wasserzähler Sporthalle",
         "Wasserzähler Rathaus"),
        "building", ("schule", "kindergarten", "sporthalle", "rathaus"), {}, {},
        (("burst", 10, 24), ("seepage", 6, 30)),
    ),
    _Kind(
        LHT65N, "Dragino LHT65N", "umwelt", ("room", "room", "room", "outdoor"), 10, "a84041",
        ("Klassenzimmer", "Gruppenraum", "Sitzungssaal", "Wetterhütte"),
        "use", ("school", "kindergarten", "office", "outdoor"), {}, {},
        (("low_battery", 0, 48), ("silence", 12, 30)),
    ),
    _Kind(
        EM300_ZLD, "Milesight EM300-ZLD", "gebaeude", ("cellar",), 6, "24e124",
        ("Keller Rathaus", "Keller Schule", "Heizraum Sporthalle", "Technikraum Freibad"),
        "building", ("rathaus", "schule", "sporthalle", "freibad"), {}, {},
        (("leak", 7, 12), ("low_battery", 0, 48)),
    ),
)  # fmt: skip

MODELS = tuple(kind.model for kind in _KINDS)


@dataclass(frozen=True)
class Village:
    seed: int
    start: datetime
    tenant: Identity
    gateways: tuple[SimulatedGateway, ...]
    devices: tuple[SimulatedDevice, ...]
    stories: tuple[Story, ...]

    @property
    def places(self) -> tuple[SimulatedPlace, ...]:
        return tuple(device.place for device in self.devices)

    @classmethod
    def build(
        cls, seed: int, *, devices: int | None = None, start: datetime, models: Collection[str] = MODELS
    ) -> Village:
        """The village of this seed. More ``devices`` keep the mix; ``models`` restricts it."""
        rng = seeded("village", seed)
        tenant = (_uuid(rng), TENANT_NAME)
        gateways = _gateways(rng)
        applications = {kind.application: (_uuid(rng), kind.application) for kind in _KINDS}
        profiles = {kind.model: (_uuid(rng), kind.profile) for kind in _KINDS}
        kinds = [kind for kind in _KINDS if kind.model in models]
        counts = _counts(kinds, DEFAULT_DEVICES if devices is None else devices)
        built: list[SimulatedDevice] = []
        stories: list[Story] = []
        for kind in kinds:
            identities = applications[kind.application], profiles[kind.model]
            own = list(_devices(kind, counts[kind.model], len(built), rng, *identities))
            stories += _stories(kind, own, start)
            built += own
        return cls(seed, start, tenant, gateways, tuple(built), tuple(stories))

    def inventory(self) -> dict[str, Any]:
        """Gateways, and devices with their places, as a real installation would onboard them."""
        return {
            "gateways": [asdict(gateway) for gateway in self.gateways],
            "devices": [
                {
                    "dev_eui": device.dev_eui,
                    "model": device.model,
                    "name": device.name,
                    "application": device.application[1],
                    "device_profile": device.profile[1],
                    "parameters": dict(device.parameters),
                    "place": {
                        "slug": device.place.slug,
                        "name": device.place.name,
                        "place_type": device.place.place_type,
                        "tags": dict(device.place.tags),
                        "latitude": device.place.latitude,
                        "longitude": device.place.longitude,
                        "parameters": dict(device.place.parameters),
                    },
                }
                for device in self.devices
            ],
        }


def _gateways(rng: random.Random) -> tuple[SimulatedGateway, ...]:
    sites = (
        ("Rathausturm", 0.000, 0.000, 42.0, True),
        ("Wasserhochbehälter", 0.014, -0.011, 96.0, True),
        ("Feuerwehr", -0.010, 0.012, 18.0, False),
        ("Kläranlage", -0.018, -0.020, 12.0, False),
    )
    base = rng.getrandbits(12) << 4
    return tuple(
        SimulatedGateway(
            f"0016c001ff{0x100000 + base + index:06x}",
            name,
            round(CENTRE[0] + north, 6),
            round(CENTRE[1] + east, 6),
            210.0 + height,
            gps,
        )
        for index, (name, north, east, height, gps) in enumerate(sites)
    )


def _counts(kinds: list[_Kind], devices: int) -> Counter[str]:
    """Share ``devices`` among the kinds like seats among parties: always to the one furthest behind."""
    counts: Counter[str] = Counter()
    for _ in range(devices):
        # a kind without a device comes first, so that a tiny village has one of each
        behind = min(kinds, key=lambda kind: (counts[kind.model] > 0, (counts[kind.model] + 1) / kind.share))
        counts[behind.model] += 1
    return counts


def _devices(
    kind: _Kind, count: int, first: int, rng: random.Random, application: Identity, profile: Identity
) -> Iterator[SimulatedDevice]:
    middle = 12 - len(kind.eui_prefix)  # hex digits between the vendor's prefix and our running number
    for index in range(count):
        turn = index % len(kind.names)
        number = index // len(kind.names) + 1
        name = f"{kind.names[turn]} {number:02d}"
        slug = _slug(name)
        eui = f"{kind.eui_prefix}{rng.getrandbits(4 * middle):0{middle}x}{first + index:04x}"
        place = SimulatedPlace(
            slug,
            name,
            kind.place_types[index % len(kind.place_types)],
            {kind.tag: kind.tag_values[index % len(kind.tag_values)]},
            round(CENTRE[0] + rng.gauss(0, 0.008), 6),
            round(CENTRE[1] + rng.gauss(0, 0.010), 6),
            kind.place_parameters,
        )
        device_name = f"{kind.model.partition('/')[2]}-{slug}"
        yield SimulatedDevice(
            eui, kind.model, device_name, kind.device_parameters, place, application, profile
        )


def _stories(kind: _Kind, devices: list[SimulatedDevice], start: datetime) -> Iterator[Story]:
    for device, (what, begins, ends) in zip(devices, kind.stories, strict=False):
        hours = start + timedelta(hours=begins), start + timedelta(hours=ends)
        yield Story(what, device.dev_eui, device.place.slug, *hours)


def seeded(purpose: str, seed: int, of: str = "") -> random.Random:
    """A source of randomness of its own, so that more of one thing does not change another."""
    return random.Random(f"{purpose} {seed} {of}")  # noqa: S311 - it plays, and has to be repeatable


def _slug(name: str) -> str:
    plain = name.lower().replace("ä", "ae").replace("ö", "oe").replace("ü", "ue").replace("ß", "ss")
    return plain.replace(" ", "-")


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
