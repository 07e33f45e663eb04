"""What the rules cost: their share of a core, whether history makes them dearer, how long a start and a backtest take.

The shipped rules at containers with their sensors, at a parking lot and at gateways. The engine is measured in this
process, without a database.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from statistics import median
from time import perf_counter, process_time

from msgspec.structs import replace

from smartdorf.alerting.engine import BoundRules, EngineState, Observation, bind, evaluate, tick
from smartdorf.backtest import backtest
from smartdorf.bench import past
from smartdorf.bench.database import Database, open_database
from smartdorf.bench.machine import Machine, describe_machine
from smartdorf.config.rules import load_rules
from smartdorf.content import shipped
from smartdorf.db.directory import sync_metrics
from smartdorf.db.pool import connected
from smartdorf.decoding.registry import load_catalogue
from smartdorf.directory import Device, Directory, Gateway, Installation, Place
from smartdorf.errors import UsageError
from smartdorf.garbage import collect_rarely
from smartdorf.i18n import gettext as _
from smartdorf.ingest.memory import Content, bind_rules, load_memory
from smartdorf.vocabulary import load_vocabulary

INSTANCES, UPLINKS_PER_SECOND, SECONDS = 5_000, 30, 1_800
DEVICES_WITH_HISTORY, HISTORY_DAYS = 50, (1, 10, 100, 365)
BAYS, GATEWAYS = 200, 5  # of one lot; each device is heard by two of the gateways
BLOCKS, BLOCK = 20, 500  # of uplinks that are timed together at each length of history
DEVICES_AT_START = 10_000
PAST_DEVICES, PAST_DAYS = 500, 90

Tell = Callable[[str], None]
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Load:
    instances: int
    devices: int
    share_of_core: float
    microseconds: float  # for an uplink, ticks included


@dataclass(frozen=True, slots=True)
class Cost:
    """Of an uplink, after so many days of hourly uplinks."""

    days: int
    microseconds: float


@dataclass(frozen=True, slots=True)
class Start:
    devices: int
    instances: int
    seconds: float  # everything that a starting writer reads and makes
    bind_seconds: float  # of them


@dataclass(frozen=True, slots=True)
class Trial:
    uplinks: int
    alerts: int
    seconds: float
    cpu_seconds: float  # of this process; the rest is the database's


@dataclass(frozen=True, slots=True)
class Report:
    """``database``, ``start`` and ``trial`` None: no server was named."""

    machine: Machine
    load: Load
    history: Sequence[Cost]
    database: Database | None = None
    start: Start | None = None
    trial: Trial | None = None


async def bench_rules(dsn: str | None, tell: Tell) -> Report:
    """Measure everything; what needs a database only where ``dsn`` names one."""
    vocabulary = load_vocabulary()
    catalogue = load_catalogue([shipped("decoders")], vocabulary)
    content = Content(vocabulary, catalogue, load_rules([shipped("rules")], vocabulary))
    machine = describe_machine()
    tell(_("evaluating rules …"))
    load = _measure_load(content)
    tell(_("evaluating rules with more and more history …"))
    history = _measure_history(content)
    if dsn is None:
        return Report(machine, load, history)
    async with open_database(dsn) as database:
        tell(_("making {devices} devices and starting with them …").format(devices=DEVICES_AT_START))
        start = await _measure_start(database, content)
    collect_rarely()  # as the command does
    async with open_database(dsn) as database:
        tell(_("making a past of {days} days …").format(days=PAST_DAYS))
        trial = await _measure_trial(database, content, tell)
    return Report(machine, load, history, database, start, trial)


# -- the engine alone -------------------------------------------------------------------------------------------------


def _village(containers: int, bays: int = 0) -> Directory:
    """The devices are numbered as their places: containers first, then the bays of one lot."""
    numbers = range(1, containers + bays + 1)
    lot = Place(containers + bays + 1, "lot", "Lot", "parking_lot", "village")
    return Directory.of(
        [
            Place(n, f"place-{n}", f"Place {n}", "container", "village")
            if n <= containers
            else Place(n, f"bay-{n}", f"Bay {n}", "parking_bay", "village", {"zone": lot.slug})
            for n in numbers
        ]
        + ([lot] if bays else []),
        [Device(n, f"{n:016x}", f"Device {n}", past.MODEL) for n in numbers],
        [Installation(n, n, _BEGIN - _DAY) for n in numbers],
        [Gateway(n, f"{n:016x}") for n in range(1, GATEWAYS + 1)] if bays else [],
    )


def _bound(content: Content, directory: Directory) -> BoundRules:
    return bind(content.rules, directory, content.categories, intervals=content.intervals)


def _uplink(number: int, device: int, time: datetime) -> Observation:
    """Every seventh reading of a device is that of a full container: alerts come and go."""
    level = 90.0 if number % 7 == 0 else 30.0 + number % 40
    return Observation(device, time, ((0, "fill_level_pct", level), (0, "battery_pct", 90.0)))


def _parked(number: int, device: int, time: datetime) -> Observation:
    """Another bay is taken, or left, with each uplink of a bay."""
    return Observation(device, time, ((0, "parking_occupied", float(number % 2)),))


def _measure_load(content: Content) -> Load:
    of_the_lot = len(_bound(content, _village(0, BAYS)).instances)
    containers = -(-(INSTANCES - of_the_lot) // len(_bound(content, _village(1)).instances))
    devices = containers + BAYS
    bound, state = _bound(content, _village(containers, BAYS)), EngineState()
    numbers = count()

    def second(time: datetime) -> None:
        for part in range(UPLINKS_PER_SECOND):
            turn, device = divmod(next(numbers), devices)
            make = _uplink if device < containers else _parked
            seen = make(turn, device + 1, time + timedelta(milliseconds=33 * part))
            heard = (device % GATEWAYS + 1, (device + 1) % GATEWAYS + 1)
            state.apply(evaluate(bound, state, [replace(seen, gateways=heard)]))
        state.apply(tick(bound, state, time + timedelta(seconds=1)))

    for warming in range(devices // UPLINKS_PER_SECOND + 1):  # each device has told something
        second(_BEGIN + timedelta(seconds=warming))
    begin = _BEGIN + timedelta(seconds=devices)
    gc.collect()
    started = process_time()
    for passed in range(SECONDS):
        second(begin + timedelta(seconds=passed))
    used = process_time() - started
    return Load(len(bound.instances), devices, used / SECONDS, used / SECONDS / UPLINKS_PER_SECOND * 1e6)


def _measure_history(content: Content) -> list[Cost]:
    bound, state = _bound(content, _village(DEVICES_WITH_HISTORY)), EngineState()
    stream = _hourly(DEVICES_WITH_HISTORY)

    def see(uplinks: int) -> None:
        for _number in range(uplinks):
            time, seen = next(stream)
            state.apply(tick(bound, state, time))
            state.apply(evaluate(bound, state, [seen]))

    costs, done = [], 0
    for days in HISTORY_DAYS:
        see(days * 24 * DEVICES_WITH_HISTORY - done)
        times = []
        for _block in range(BLOCKS):
            started = perf_counter()
            see(BLOCK)
            times.append((perf_counter() - started) / BLOCK * 1e6)
        done = days * 24 * DEVICES_WITH_HISTORY + BLOCKS * BLOCK
        costs.append(Cost(days, median(times)))
    return costs


def _hourly(devices: int) -> Iterator[tuple[datetime, Observation]]:
    for hour in count():
        for device in range(1, devices + 1):
            time = _BEGIN + hour * _HOUR + timedelta(seconds=device)
            yield time, _uplink(hour, device, time)


# -- with a database --------------------------------------------------------------------------------------------------


async def _measure_start(database: Database, content: Content) -> Start:
    """Devices that have reported for a day; then a writer starts."""
    end = datetime.now(UTC)
    async with connected(database.dsn) as connection:
        await sync_metrics(connection, content.vocabulary)
        await past.add_devices(connection, DEVICES_AT_START, end - _DAY)
        await past.hear(connection, end - _DAY, end)
        await past.remember(connection)
        await connection.execute("VACUUM ANALYZE", timeout=600)
        heard = await connection.fetchval("SELECT count(DISTINCT device_id) FROM uplink")
    async with connected(database.dsn) as connection:
        started = perf_counter()
        memory = await load_memory(connection, content)
        seconds = perf_counter() - started
    started = perf_counter()
    bound = bind_rules(content, memory.directory)
    bind_seconds = perf_counter() - started
    known = len(memory.state.last_heard)
    if known != heard:  # a benchmark of wrong results would be worthless
        message = _("Of {heard} devices {known} were read back.")
        raise UsageError(message.format(heard=heard, known=known))
    return Start(DEVICES_AT_START, len(bound.instances), seconds, bind_seconds)


async def _measure_trial(database: Database, content: Content, tell: Tell) -> Trial:
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    begin = end - PAST_DAYS * _DAY
    async with connected(database.dsn) as connection:
        await sync_metrics(connection, content.vocabulary)
        await past.add_devices(connection, PAST_DEVICES, begin)
        for week in range(-(-PAST_DAYS // 7)):
            first = begin + week * 7 * _DAY
            await past.hear(connection, first, min(first + 7 * _DAY, end))
        await connection.execute("VACUUM ANALYZE", timeout=600)
        stored = await connection.fetchval("SELECT count(*) FROM uplink")
        tell(_("trying the rules on {uplinks} uplinks …").format(uplinks=stored))
        started, used = perf_counter(), process_time()
        outcome = await backtest(
            connection,
            [content.rules],
            content.categories,
            content.intervals,
            since=begin,
            until=end + _HOUR,
        )
        seconds, cpu = perf_counter() - started, process_time() - used
    if outcome.moments != stored:
        message = _("Of {uplinks} uplinks {seen} were tried.")
        raise UsageError(message.format(uplinks=stored, seen=outcome.moments))
    [results] = outcome.results
    return Trial(stored, sum(len(result.alerts) for result in results), seconds, cpu)
