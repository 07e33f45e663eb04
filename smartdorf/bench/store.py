"""The benchmark of the store: load a year, compress and aggregate it, and ask what panels and maps ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, LiteralString

import asyncpg
import msgspec

from smartdorf.bench.database import Database, open_database
from smartdorf.bench.history import INTERVAL, add_devices, fill_latest, measure
from smartdorf.bench.latency import Milliseconds
from smartdorf.bench.machine import Machine, describe_machine
from smartdorf.clock import Clock
from smartdorf.config.settings import DatabaseSettings, RetentionSettings
from smartdorf.db import policies
from smartdorf.db.pool import connected
from smartdorf.errors import UsageError
from smartdorf.i18n import gettext as _

DEVICES, DAYS = 500, 365  # of a whole village
WEEK, DAY = timedelta(days=7), timedelta(days=1)
LATE = 21 * DAY  # how old the late day is: compressed, and within the windows of the policies
ROUNDS = 40  # of each question
COMPRESS_AFTER = timedelta(days=DatabaseSettings.model_fields["compress_after_days"].default)
KEPT_LATE = RetentionSettings().late

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the chunks that are compressed: bytes per measurement before and after."""

    measurements: int
    bytes_before: float  # per measurement, with the index
    bytes_after: float
    chunks: int
    largest_chunk: int  # bytes, uncompressed
    aggregates: int  # bytes


@dataclass(frozen=True, slots=True)
class LateDay:
    measurements: int
    stored_seconds: float
    refreshed_seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """``server``: planned and carried out there; ``client``: until the rows are objects of Python."""

    question: str
    rows: int
    server: Milliseconds
    client: Milliseconds


@dataclass(frozen=True, slots=True)
class Report:
    machine: Machine
    database: Database
    devices: int
    rows_per_second: float
    sizes: Sizes
    answers: list[Answer]
    late_day: LateDay


@dataclass(frozen=True, slots=True)
class Question:
    name: str
    query: LiteralString
    takes_place: bool
    since: timedelta | None


QUESTIONS = (
    Question(
        "year of one place by hours",
        "SELECT bucket, minimum, average, maximum FROM measurement_hourly "
        "WHERE place_id = $1 AND metric_id = 2 AND bucket >= $2 ORDER BY bucket",
        True,
        365 * DAY,
    ),
    Question(
        "year of one place by days",
        "SELECT bucket, minimum, average, maximum FROM measurement_daily "
        "WHERE place_id = $1 AND metric_id = 2 AND bucket >= $2 ORDER BY bucket",
        True,
        365 * DAY,
    ),
    Question(
        "24 hours of one place",
        "SELECT m.time, m.value FROM installation i "
        "JOIN measurement m ON m.device_id = i.device_id AND m.place_id = i.place_id "
        "WHERE i.place_id = $1 AND m.metric_id = 2 AND m.time >= $2 ORDER BY m.time",
        True,
        DAY,
    ),
    Question(
        "map of all places",
        "SELECT p.slug, p.latitude, p.longitude, l.value, l.time FROM place p "
        "JOIN measurement_latest l ON l.place_id = p.id WHERE l.metric_id = 1",
        False,
        None,
    ),
)


async def bench_store(dsn: str, devices: int, tell: Tell) -> Report:
    """Measure everything in a scratch database; ``tell`` is told what is being done."""
    async with open_database(dsn) as database:
        if database.profile != "timescale":
            raise UsageError(
                _("This server has no TimescaleDB; there is nothing to compress or to aggregate.")
            )
        async with connected(database.dsn) as connection:
            return await _Bench(connection, database, devices, tell).run()


@dataclass(frozen=True, slots=True)
class _Bench:
    connection: asyncpg.Connection
    database: Database
    devices: int
    tell: Tell

    async def run(self) -> Report:
        now = Clock().now().replace(minute=0, second=0, microsecond=0)
        begin = now - DAYS * DAY
        await add_devices(self.connection, self.devices, begin)
        rows, seconds = await self._load(begin, now)
        await fill_latest(self.connection, now - 2 * INTERVAL)
        sizes = await self._settle(rows)
        answers = await self._ask(now)
        late = await self._late_day(now)
        await self._check(rows + late.measurements)
        return Report(describe_machine(), self.database, self.devices, rows / seconds, sizes, answers, late)

    async def _load(self, begin: datetime, end: datetime) -> tuple[int, float]:
        """Week by week, as time goes by: what is old enough is aggregated and compressed before the next comes."""
        rows, seconds, week = 0, 0.0, begin
        while week < end:
            start = perf_counter()
            rows += await measure(self.connection, week, min(week + WEEK, end))
            seconds += perf_counter() - start
            week += WEEK
            if week >= end or (week - begin) // WEEK % 8 == 0:
                text = _("loaded up to {day:%Y-%m-%d}: {rows} measurements, {rate} a second")
                self.tell(text.format(day=min(week, end), rows=rows, rate=round(rows / seconds)))
            await self._refresh(week - WEEK - DAY, min(week, end))
            await self._compress("measurement", week - COMPRESS_AFTER)
            for view in policies.HOURS + policies.DAYS:
                await self._compress(view, week - KEPT_LATE - WEEK)
        return rows, seconds

    async def _refresh(self, begin: datetime, end: datetime) -> None:
        for view in ("measurement_hourly", "measurement_daily"):
            statement = f"CALL refresh_continuous_aggregate('{view}', $1::timestamptz, $2::timestamptz)"
            await self.connection.execute(statement, begin, end, timeout=3600)

    async def _compress(self, relation: str, before: datetime) -> None:
        chunks = await self.connection.fetch(
            "SELECT format('%I.%I', c.chunk_schema, c.chunk_name) AS name FROM timescaledb_information.chunks c "
            "LEFT JOIN timescaledb_information.continuous_aggregates a "
            "ON a.materialization_hypertable_name = c.hypertable_name "
            "WHERE coalesce(a.view_name, c.hypertable_name) = $1 AND NOT c.is_compressed AND c.range_end < $2",
            relation,
            before,
        )
        for chunk in chunks:
            await self.connection.execute(f"CALL convert_to_columnstore('{chunk['name']}')", timeout=3600)

    async def _settle(self, rows: int) -> Sizes:
        """What the server does at night, so that it does not do it while we measure."""
        self.tell(_("measuring sizes …"))
        await self.connection.execute("VACUUM ANALYZE", timeout=3600)
        [stats] = await self.connection.fetch(
            "SELECT sum(before_compression_total_bytes) AS before, sum(after_compression_total_bytes) AS after, "
            "max(before_compression_total_bytes) AS largest "
            "FROM chunk_columnstore_stats('measurement') WHERE compression_status = 'Compressed'"
        )
        compressed = await self.connection.fetchval(
            "SELECT count(*) FROM measurement WHERE time < (SELECT max(range_end) FROM timescaledb_information.chunks "
            "WHERE hypertable_name = 'measurement' AND is_compressed)",
            timeout=3600,
        )
        chunks = await self.connection.fetchval("SELECT count(*) FROM show_chunks('measurement')")
        aggregates = await self.connection.fetchval(
            "SELECT sum(hypertable_size(format('%I.%I', materialization_hypertable_schema, "
            "materialization_hypertable_name)::regclass)) FROM timescaledb_information.continuous_aggregates"
        )
        return Sizes(
            measurements=rows,
            bytes_before=int(stats["before"]) / compressed,
            bytes_after=int(stats["after"]) / compressed,
            chunks=chunks,
            largest_chunk=int(stats["largest"]),
            aggregates=int(aggregates),
        )

    async def _ask(self, now: datetime) -> list[Answer]:
        self.tell(_("asking what panels and maps ask …"))
        # planned anew each time, as a panel's query is
        async with connected(self.database.dsn, plan_anew=True) as connection:
            return [await self._answer(connection, question, now) for question in QUESTIONS]

    async def _answer(self, connection: asyncpg.Connection, question: Question, now: datetime) -> Answer:
        server, client, found = [], [], 0
        for number in range(ROUNDS + 1):
            arguments: list[Any] = [number * 7 % self.devices + 1] if question.takes_place else []
            arguments += [now - question.since] if question.since is not None else []
            start = perf_counter()
            found = len(await connection.fetch(question.query, *arguments))
            client.append(perf_counter() - start)
            explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {question.query}"
            [plan] = msgspec.json.decode(await connection.fetchval(explain, *arguments))
            server.append((plan["Planning Time"] + plan["Execution Time"]) / 1000)
        # the first one fills the caches
        return Answer(question.name, found, Milliseconds.of(server[1:]), Milliseconds.of(client[1:]))

    async def _late_day(self, now: datetime) -> LateDay:
        """A gateway's whole day arrives three weeks late; then TimescaleDB's jobs run, as they would by themselves."""
        self.tell(_("a day of all devices arrives late …"))
        wanted = policies.wanted(compress_after=COMPRESS_AFTER, late=KEPT_LATE)
        await asyncio.to_thread(policies.apply, self.database.dsn, wanted)
        jobs = [
            row[0]
            for row in await self.connection.fetch(
                "SELECT job_id FROM timescaledb_information.jobs "
                "WHERE proc_name = 'policy_refresh_continuous_aggregate' ORDER BY job_id"
            )
        ]
        await self._run(jobs)  # what is due anyway
        day = (now - LATE).astimezone(UTC) + INTERVAL / 2
        start = perf_counter()
        rows = await measure(self.connection, day, day + DAY)
        stored = perf_counter()
        await self._run(jobs)
        return LateDay(rows, stored - start, perf_counter() - stored)

    async def _check(self, rows: int) -> None:
        """A benchmark of wrong results would be worthless: the days have what was loaded, the late day included."""
        counted = await self.connection.fetchval(
            "SELECT sum(samples)::bigint FROM measurement_daily", timeout=600
        )
        if counted != rows:
            message = _("The aggregates have {counted} of {rows} measurements.")
            raise UsageError(message.format(counted=counted, rows=rows))

    async def _run(self, jobs: Sequence[int]) -> None:
        for job in jobs:
            await self.connection.execute(f"CALL run_job({job})", timeout=3600)
