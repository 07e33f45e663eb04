"""What the village's devices send and when: people park, containers fill, pipes leak, streams rise.

Owns: one endless generator of transmissions for each sensor model, in simulated time, with a daily rhythm
in Europe/Berlin. Must not know the network (frame counters, gateways, ChirpStack) nor faults.

``truth`` says what the device measured, in the vocabulary's names and units and as exactly as the frame can
say it, where the frame leaves no room for interpretation.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from smartdorf.simulate import frames
from smartdorf.simulate.frames import Payload
from smartdorf.simulate.village import (
    DL_PR26,
    EM300_ZLD,
    EM400_MUD,
    LHT65N,
    QALCOSONIC_W1,
    TPS110,
    SimulatedDevice,
    Story,
)

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
CLOSEST = timedelta(seconds=30)  # between two frames of one device; a join fits in between
METRES_OF_WATER_PER_BAR = 10.1972


class Transmission(NamedTuple):
    at: datetime
    payload: Payload
    truth: Mapping[str, float]


class Circumstances(NamedTuple):
    """What a device's generator is given: its own randomness, when it begins, what happens to it."""

    rng: random.Random
    start: datetime
    fresh: bool  # it has just been switched on
    story: Story | None

    def during(self, what: str, at: datetime) -> bool:
        return self.story is not None and self.story.what == what and self.story.is_on(at)


def transmissions(device: SimulatedDevice, given: Circumstances) -> Iterator[Transmission]:
    """Everything that ``device`` sends from the start on, in order of time, for ever."""
    earliest = given.start
    for sent in _BEHAVIOURS[device.model](device, given):
        if given.during("silence", sent.at):
            continue
        at = max(sent.at, earliest)
        earliest = at + CLOSEST
        yield sent._replace(at=at) if at != sent.at else sent


def local_hour(at: datetime) -> float:
    local = at.astimezone(BERLIN)
    return local.hour + local.minute / 60


def _outdoor_temperature(at: datetime) -> float:
    season = math.cos((at.timetuple().tm_yday - 200) / 365 * math.tau)  # warmest in the middle of July
    day = math.cos((local_hour(at) - 15) / 24 * math.tau)  # and at three in the afternoon
    return 10.5 + 9.5 * season + 4.5 * day


def _parking(device: SimulatedDevice, given: Circumstances) -> Iterator[Transmission]:
    rng, now = given.rng, given.start + timedelta(seconds=given.rng.uniform(0, 60))
    heartbeat = given.start + DAY * rng.random()
    occupied = rng.random() < 0.4
    if given.fresh:
        yield Transmission(now, frames.tps110_startup(occupied=occupied), {"parking_occupied": occupied})
    while True:
        change = now + (_stay(rng, now) if occupied else _until_somebody_parks(rng, now))
        if given.story and given.story.what == "long_stay":
            change = _with_long_stay(given.story, occupied=occupied, now=now, change=change)
        while heartbeat < change:
            ground = round(_outdoor_temperature(heartbeat))
            payload = frames.tps110_heartbeat(occupied=occupied, temperature_c=ground)
            yield Transmission(heartbeat, payload, {"parking_occupied": occupied})
            heartbeat += DAY
        now, occupied = change, not occupied
        yield Transmission(now, frames.tps110_status(occupied=occupied), {"parking_occupied": occupied})


def _with_long_stay(story: Story, *, occupied: bool, now: datetime, change: datetime) -> datetime:
    """The next change of a bay whose story is that somebody stays from its beginning to its end."""
    if story.is_on(now):
        return story.ends if occupied else now + timedelta(minutes=3)
    return min(change, story.begins) if now < story.begins else change


def _stay(rng: random.Random, now: datetime) -> timedelta:
    if local_hour(now) >= 18 and rng.random() < 0.5:  # residents stay till the morning
        return timedelta(hours=rng.uniform(9, 14))
    return timedelta(hours=max(rng.lognormvariate(-0.4, 0.8), 0.05))


def _until_somebody_parks(rng: random.Random, now: datetime) -> timedelta:
    waited = timedelta()
    while True:
        waited += timedelta(hours=rng.expovariate(1.6))
        hour = local_hour(now + waited)
        if rng.random() < (1.0 if 8 <= hour < 19 else 0.4 if 6 <= hour < 22 else 0.03):
            return waited


def _container(device: SimulatedDevice, given: Circumstances) -> Iterator[Transmission]:
    rng, story = given.rng, given.story
    depth = device.parameters["mounting_height_m"]
    battery = rng.uniform(60, 100)
    full_soon = story is not None and story.what == "container_full"
    fill, an_hour = (62.0, 3.2) if full_soon else (rng.uniform(5, 45), rng.uniform(0.2, 1.2))
    emptied = story.ends if story and full_soon else _next_collection(given.start, rng)
    alarmed = False
    now = given.start + HOUR * rng.random()
    while True:
        busy = 1.0 if 7 <= local_hour(now) < 21 else 0.15
        fill = min(fill + an_hour * busy * rng.uniform(0.5, 1.5), 98.0)
        if now >= emptied:  # the lorry tips it out, and sets it down empty
            payload = frames.em400_mud(
                battery_pct=round(battery),
                temperature_c=_outdoor_temperature(emptied),
                distance_mm=350,
                tilted=True,
            )
            tipped = {"container_tilted": 1.0, "battery_pct": round(battery)} | _filling(350, depth)
            yield Transmission(emptied, payload, tipped)
            fill, alarmed = rng.uniform(1, 4), False
            an_hour = rng.uniform(0.2, 1.2)
            emptied = _next_collection(now + HOUR, rng)
        battery = max(battery - 0.001, 1)
        distance_mm = round(depth * 1000 * (1 - fill / 100) + rng.gauss(0, 4))
        distance_mm = min(max(distance_mm, 30), round(depth * 1000))
        temperature = round(_outdoor_temperature(now) + rng.gauss(0, 0.5), 1)
        truth = _filling(distance_mm, depth)
        if fill > 80 and not alarmed:
            alarmed = True
            yield Transmission(now, frames.em400_mud_alarm(distance_mm=distance_mm), truth)
        else:
            payload = frames.em400_mud(
                battery_pct=round(battery), temperature_c=temperature, distance_mm=distance_mm, tilted=False
            )
            measured = truth | {"container_tilted": 0.0, "battery_pct": round(battery)}
            yield Transmission(now, payload, measured)
        now += HOUR + timedelta(seconds=rng.uniform(-20, 20))


def _filling(distance_mm: int, depth: float) -> dict[str, float]:
    distance = distance_mm / 1000
    return {"fill_distance_m": distance, "fill_level_pct": 100 * (1 - distance / depth)}


def _next_collection(now: datetime, rng: random.Random) -> datetime:
    """Tuesdays and Fridays between half past six and nine."""
    local = now.astimezone(BERLIN)
    minutes = rng.uniform(0, 150)
    for days in range(8):
        day = (local + timedelta(days=days)).date()
        at = datetime.combine(day, time(6, 30), BERLIN) + timedelta(minutes=minutes)
        if day.weekday() in (1, 4) and at > local:
            return at.astimezone(now.tzinfo)
    raise AssertionError("there is a Tuesday in every week")


def _gauge(device: SimulatedDevice, given: Circumstances) -> Iterator[Transmission]:
    rng, story = given.rng, given.story
    low, high = device.parameters["pressure_min_bar"], device.parameters["pressure_max_bar"]
    device_id = int(device.dev_eui[-4:], 16)
    base, wander = rng.uniform(0.35, 0.6), 0.0
    battery = rng.uniform(3.1, 3.3)
    now = given.start + timedelta(minutes=10) * rng.random()
    while True:
        wander = 0.98 * wander + rng.gauss(0, 0.002)
        level = base + wander + (_flood(story, now) if story and story.what == "high_water" else 0.0)
        # quantised as the frame does it, so that the truth is what a decoder can find
        words = round((level / METRES_OF_WATER_PER_BAR - low) / (high - low) * 32768)
        pressure = words / 32768 * (high - low) + low
        temperature = round((8 + 0.3 * _outdoor_temperature(now) + 50) / 0.003125) * 0.003125 - 50
        payload = frames.dl_pr26(
            device_id=device_id,
            battery_v=battery,
            pressure_bar=pressure,
            temperature_c=temperature,
            pressure_min_bar=low,
            pressure_max_bar=high,
        )
        truth = {
            "water_pressure_bar": pressure,
            "water_temperature_c": temperature,
            "battery_v": round(battery * 1000) / 1000,
        }
        yield Transmission(now, payload, truth)
        battery = max(battery - 0.000005, 2.0)
        now += timedelta(minutes=10, seconds=rng.uniform(-3, 3))


def _flood(story: Story, at: datetime) -> float:
    """Metres on top of the usual level: a quick rise to 1.5 m in four hours, then a slow fall."""
    hours = (at - story.begins) / HOUR
    if hours <= 0:
        return 0.0
    if hours < 4:
        return 1.5 * math.sin(hours / 4 * math.pi / 2) ** 2
    return 1.5 * math.exp(-(hours - 4) / 5)


def _meter(device: SimulatedDevice, given: Circumstances) -> Iterator[Transmission]:
    rng, story = given.rng, given.story
    size = rng.uniform(15, 60)  # litres an hour on average
    hour = given.start.replace(minute=0, second=0, microsecond=0) - timedelta(hours=frames.W1_DELTAS + 1)
    volume = rng.uniform(50_000, 900_000)
    log: deque[tuple[datetime, int]] = deque(maxlen=frames.W1_DELTAS + 1)
    report = given.start + timedelta(hours=12) * rng.random()
    while True:
        log.append((hour, int(volume)))
        used = size * _water_use(hour) * rng.uniform(0.3, 1.7) + _escaping(story, hour)
        next_hour = hour + HOUR
        due = []
        if story and story.what == "burst" and hour <= story.begins < next_hour:
            payload = frames.qalcosonic_w1_alarm(time=story.begins, status=frames.W1_BURST)
            due.append(Transmission(story.begins, payload, _meter_state(frames.W1_BURST)))
        if hour <= report < next_hour and report >= given.start:
            reading = int(volume + used * ((report - hour) / HOUR))
            status = _meter_status(story, report)
            payload = frames.qalcosonic_w1(
                time=report,
                status=status,
                volume_l=reading,
                log_time=log[0][0],
                log_volume_l=log[0][1],
                deltas_l=[after[1] - before[1] for before, after in pairwise(log)],
            )
            truth = {"water_volume_m3": reading / 1000} | _meter_state(status)
            due.append(Transmission(report, payload, truth))
            report += timedelta(hours=12)
        yield from sorted(due, key=lambda sent: sent.at)
        volume += used
        hour = next_hour


def _water_use(at: datetime) -> float:
    hour = local_hour(at)
    return 0.02 if hour < 5 else 2.2 if 6 <= hour < 9 else 1.0 if hour < 17 else 1.8 if hour < 21 else 0.4


def _escaping(story: Story | None, at: datetime) -> float:
    """Litres that leave the pipe in the hour from ``at`` on without anybody opening a tap."""
    if story is None or not story.is_on(at):
        return 0.0
    return {"burst": 900.0, "seepage": 15.0}.get(story.what, 0.0)


def _meter_status(story: Story | None, at: datetime) -> int:
    if story is None or not story.is_on(at):
        return frames.W1_OK
    return {"burst": frames.W1_BURST, "seepage": frames.W1_LEAKAGE}.get(story.what, frames.W1_OK)


def _meter_state(status: int) -> dict[str, float]:
    return {
        "water_burst": float(status == frames.W1_BURST),
        "water_leak": float(status == frames.W1_LEAKAGE),
    }


def _climate(device: SimulatedDevice, given: Circumstances) -> Iterator[Transmission]:
    rng = given.rng
    outdoors = device.place.tags.get("use") == "outdoor"
    comfort = rng.uniform(19.5, 22)
    battery = 2.49 if given.story and given.story.what == "low_battery" else rng.uniform(2.9, 3.1)
    now = given.start + timedelta(minutes=20) * rng.random()
    while True:
        temperature, humidity = _air(rng, now, comfort, outdoors=outdoors)
        probe = round(_outdoor_temperature(now - 3 * HOUR) * 0.6 + 4, 2) if outdoors else None
        payload = frames.lht65n(
            battery_v=battery, temperature_c=temperature, humidity_pct=humidity, probe_c=probe
        )
        truth = {
            "air_temperature_c": temperature,
            "air_humidity_pct": humidity,
            "battery_v": round(battery * 1000) / 1000,
        }
        yield Transmission(now, payload, truth)
        battery = max(battery - 0.000004, 2.1)
        now += timedelta(minutes=20, seconds=rng.uniform(-2, 2))


def _air(rng: random.Random, now: datetime, comfort: float, *, outdoors: bool) -> tuple[float, float]:
    """Temperature and relative humidity, in steps of the sensor."""
    outside = _outdoor_temperature(now)
    if outdoors:
        temperature = outside + rng.gauss(0, 0.3)
        humidity = 75 - 3.5 * (temperature - 10.5) + rng.gauss(0, 2)
    else:
        heated = 6 <= local_hour(now) < 20
        temperature = max(comfort - (0 if heated else 2.5), outside - 2) + rng.gauss(0, 0.2)
        humidity = 48 + 0.4 * (outside - 10) + rng.gauss(0, 1.5)
    return round(temperature, 2), round(min(max(humidity, 15.0), 99.9), 1)


def _leak_detector(device: SimulatedDevice, given: Circumstances) -> Iterator[Transmission]:
    rng, story = given.rng, given.story
    battery = 9.4 if story and story.what == "low_battery" else rng.uniform(55, 100)
    now = given.start + timedelta(hours=6) * rng.random()
    events = [story.begins, story.ends] if story and story.what == "leak" else []
    while True:
        while events and events[0] <= now:  # sent at once, without the rest of the report
            at = events.pop(0)
            leaking = given.during("leak", at)
            yield Transmission(at, frames.em300_zld(leaking=leaking), {"water_leak": float(leaking)})
        leaking = given.during("leak", now)
        temperature = round(14 + 0.2 * _outdoor_temperature(now) + rng.gauss(0, 0.2), 1)
        humidity = round(2 * min((85 if leaking else 62) + rng.gauss(0, 2), 99)) / 2
        payload = frames.em300_zld(
            leaking=leaking, battery_pct=round(battery), temperature_c=temperature, humidity_pct=humidity
        )
        truth = {"water_leak": float(leaking), "battery_pct": round(battery), "air_humidity_pct": humidity}
        yield Transmission(now, payload, truth)
        battery = max(battery - 0.01, 1)
        now += timedelta(hours=6, seconds=rng.uniform(-10, 10))


_BEHAVIOURS: Mapping[str, Callable[[SimulatedDevice, Circumstances], Iterator[Transmission]]] = {
    TPS110: _parking,
    EM400_MUD: _container,
    DL_PR26: _gauge,
    QALCOSONIC_W1: _meter,
    LHT65N: _climate,
    EM300_ZLD: _leak_detector,
}
