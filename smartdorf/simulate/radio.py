"""The radio side of the village: which gateways hear a device, how well, at which data rate.

Owns: positions of gateways and a plain path-loss model. Must not know frames, events or faults.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# the eight channels of the shipped EU868 region file, in Hz
FREQUENCIES = (
    868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000,
)  # fmt: skip
NOISE_FLOOR = -117.0  # dBm in 125 kHz
MARGIN = 10.0  # dB that ADR leaves as installation margin
# the SNR in dB that data rates 5 to 0 need at least
REQUIRED_SNR = ((5, -7.5), (4, -10.0), (3, -12.5), (2, -15.0), (1, -17.5), (0, -20.0))
SLOWEST = REQUIRED_SNR[-1]
METRES_PER_DEGREE = 111_320


@dataclass(frozen=True)
class SimulatedGateway:
    gateway_id: str
    name: str
    latitude: float
    longitude: float
    altitude: float
    gps: bool  # it has a clock of its own and says when it heard a frame


class Hearing(NamedTuple):
    gateway: SimulatedGateway
    rssi: int
    snr: float


class Link:
    """What a device at one position may expect of each gateway, best first."""

    def __init__(
        self, gateways: Sequence[SimulatedGateway], latitude: float, longitude: float, wall_db: float
    ) -> None:
        expected = [(_expected_rssi(gateway, latitude, longitude) - wall_db, gateway) for gateway in gateways]
        expected.sort(key=lambda item: (-item[0], item[1].gateway_id))
        # nobody mounts a sensor that nobody hears
        best = max(expected[0][0], NOISE_FLOOR + SLOWEST[1]), expected[0][1]
        margin = best[0] - NOISE_FLOOR - MARGIN
        self.dr, snr = next((rate for rate in REQUIRED_SNR if margin >= rate[1]), SLOWEST)
        others = [item for item in expected[1:] if item[0] > NOISE_FLOOR + snr]
        self._expected = [best, *others][:3]

    @property
    def reaches(self) -> frozenset[str]:
        """The gateways that can hear the device at all."""
        return frozenset(gateway.gateway_id for _, gateway in self._expected)

    def hear(self, rng: random.Random, deaf: Collection[str] = ()) -> list[Hearing]:
        """Who hears one frame: the best gateway always, others as the weather has it; nobody who is deaf."""
        heard = []
        for place, (expected, gateway) in enumerate(self._expected):
            fading = rng.gauss(0.0, 3.0)
            lucky = rng.random() < 0.8
            if gateway.gateway_id in deaf or (place and not lucky):
                continue
            rssi = max(round(expected + fading), -139)
            # above +10 dB a gateway's receiver cannot tell the difference any more
            snr = round(min(rssi - NOISE_FLOOR, 10.0 + fading) * 4) / 4
            heard.append(Hearing(gateway, rssi, max(snr, -20.0)))
        return heard


def _expected_rssi(gateway: SimulatedGateway, latitude: float, longitude: float) -> float:
    north = (gateway.latitude - latitude) * METRES_PER_DEGREE
    east = (gateway.longitude - longitude) * METRES_PER_DEGREE * math.cos(math.radians(latitude))
    metres = max(math.hypot(north, east), 20.0)
    # 14 dBm sent; a village with hills loses 35 dB for each tenfold distance
    return -58.0 - 35.0 * math.log10(metres / 20.0)
