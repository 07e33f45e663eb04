"""What the writer keeps in memory between batches, and how it is read back from the database.

It is replaced as a whole: after a broken connection nobody knows whether the last commit happened, so the
memory is thrown away and loaded anew before the batch is tried again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

import asyncpg

from smartdorf.alerting.engine import BoundRules, EngineState, bind
from smartdorf.alerting.hearing import LEARNED_FROM, OUT_OF_SERVICE, Hearing
from smartdorf.alerting.memory import MOST_SPANS, Series, Span, Spans
from smartdorf.alerting.state import AlertKey
from smartdorf.alerting.windows import History, Reading
from smartdorf.config.calendar import Calendar
from smartdorf.config.rules import RuleSet
from smartdorf.db import directory as db_directory
from smartdorf.db import hearing as db_hearing
from smartdorf.db import state as db_state
from smartdorf.db.state import LatestValue
from smartdorf.decoding.registry import Catalogue
from smartdorf.directory import Directory
from smartdorf.errors import Problem
from smartdorf.ingest.frames import (
    RESTARTS_WITHIN,
    RETRANSMISSION_WINDOW,
    SESSION_KEPT,
    FrameLedger,
    Session,
)
from smartdorf.ingest.series import Known, SeriesLedger, Watched
from smartdorf.ingest.transitions import state_of
from smartdorf.model import Quality
from smartdorf.vocabulary import NOTED, Vocabulary

_LATER = datetime.max.replace(tzinfo=UTC)  # after all planned moves: the parameters that will stay


@dataclass(slots=True)
class Memory:
    """Facts and state that every batch needs; changed only after a commit."""

    directory: Directory
    gateways: dict[str, int]  # ids by gateway_id
    metrics: dict[str, int]  # ids by quantity
    ledger: FrameLedger
    series: SeriesLedger
    rules: BoundRules
    state: EngineState


@dataclass(frozen=True)
class Content:
    """What the village's files say: loaded once, before the database is needed."""

    vocabulary: Vocabulary
    catalogue: Catalogue
    rules: RuleSet
    calendar: Calendar = field(default_factory=Calendar)

    @property
    def problems(self) -> list[Problem]:
        """What is broken and was left out."""
        return [*self.catalogue.problems, *self.rules.problems, *self.calendar.problems]

    @cached_property
    def watched(self) -> Mapping[str, Watched]:
        """By model: the quantities whose values tell of each other."""
        return {name: model.watched for name, model in self.catalogue.models.items()}

    @property
    def intervals(self) -> Mapping[str, timedelta]:
        """How often devices of each model report, where they do so regularly."""
        models = self.catalogue.models.items()
        return {name: model.uplink_interval for name, model in models if model.uplink_interval is not None}

    @property
    def categories(self) -> Mapping[str, str]:
        """Category by model."""
        return {name: model.category for name, model in self.catalogue.models.items()}


async def load_memory(connection: asyncpg.Connection, content: Content) -> Memory:
    """Read everything back. The caller maps the driver's errors."""
    metrics = await db_directory.sync_metrics(connection, content.vocabulary)
    directory = await load_directory(connection, content, metrics)
    latest = await db_state.fetch_latest(connection)
    rules = bind_rules(content, directory)
    return Memory(
        directory=directory,
        gateways=await db_directory.load_gateways(connection),
        metrics=metrics,
        ledger=await _load_ledger(connection),
        series=await _load_series(connection, content, latest),
        rules=rules,
        state=await load_state(connection, latest, rules),
    )


async def load_directory(
    connection: asyncpg.Connection, content: Content, metrics: Mapping[str, int]
) -> Directory:
    """Places and devices; what follows from their models and parameters is brought up to date in the database."""
    directory = await db_directory.load_directory(connection)
    sizes = {}
    for device in directory.devices.values():
        model = content.catalogue.models.get(device.model or "")
        if model is not None:
            for (metric, channel), size in model.rollovers(directory.parameters_at(device, _LATER)).items():
                sizes[device.id, channel, metrics[metric]] = size
    await db_directory.sync_rollovers(connection, sizes)
    return directory


def bind_rules(content: Content, directory: Directory) -> BoundRules:
    """The rules, with the devices and places that they watch."""
    return bind(
        content.rules,
        directory,
        content.categories,
        calendar=content.calendar,
        intervals=content.intervals,
    )


async def _load_ledger(connection: asyncpg.Connection) -> FrameLedger:
    ledger = FrameLedger()
    for row in await db_state.fetch_sessions(connection, SESSION_KEPT):
        ledger.keep((row.device_id, row.dev_addr), Session(*row[1:-1]))
    for frame in await db_state.fetch_recent_frames(
        connection, 2 * RETRANSMISSION_WINDOW + timedelta(minutes=1)
    ):
        known = (frame.time, bytes(frame.data), frame.deduplication_id)
        ledger.remember(frame.device_id, frame.dev_addr, frame.f_cnt, known)
    for device_id, time in await db_state.fetch_starts(connection, RESTARTS_WITHIN):
        ledger.starts.setdefault(device_id, []).append(time)
    return ledger


async def _load_series(
    connection: asyncpg.Connection, content: Content, latest: Iterable[LatestValue]
) -> SeriesLedger:
    names: set[str] = {*NOTED}
    longest: dict[str, timedelta] = {}
    for watched in content.watched.values():
        for (metric, _channel), limits in watched.items():
            names.add(metric)
            if limits.stuck is not None:
                longest[metric] = max(limits.stuck, longest.get(metric, timedelta(0)))
    still = {
        (row.device_id, row.channel, row.metric): row
        for row in await db_state.fetch_still(connection, longest)
    }
    known = {}
    for row in latest:
        key = (row.device_id, row.channel, row.metric)
        # beside one that jumped the next cannot be judged: nobody knows any more what was before it
        if row.metric in names and not row.quality & (Quality.JUMP | Quality.OUT_OF_RANGE):
            same = still.get(key)
            since, readings = (same.since, same.readings) if same is not None else (row.time, 1)
            known[key] = Known(row.time, row.value, row.value, since, readings)
    return SeriesLedger(known)


async def load_state(
    connection: asyncpg.Connection, rows: Iterable[LatestValue], rules: BoundRules
) -> EngineState:
    """What the rules remember. ``rows``: the newest value of each series."""
    instances = dict(map(state_of, await db_state.fetch_rule_state(connection)))
    latest = {(row.device_id, row.channel, row.metric): (row.value, row.time) for row in rows}
    ended: dict[AlertKey, Spans] = {}
    lately = await db_hearing.fetch_ended(connection, rules.muting, OUT_OF_SERVICE, MOST_SPANS)
    for key, begin, end in lately:
        ended[AlertKey(*key)] = (*ended.get(AlertKey(*key), ()), Span(begin, end))
    return EngineState(
        instances,
        latest,
        await db_state.fetch_last_heard(connection),
        await load_history(connection, rules),
        Hearing(
            await db_hearing.fetch_last(connection),
            await db_hearing.fetch_pairs(connection),
            await db_hearing.fetch_pauses(connection, LEARNED_FROM),
            await db_hearing.fetch_told(connection),
        ),
        ended,
    )


async def load_history(connection: asyncpg.Connection, rules: BoundRules) -> dict[Series, History]:
    """What the windows of the rules reach."""
    return await _fetch_history(connection, _spans(rules))


async def update_history(
    connection: asyncpg.Connection, known: Mapping[Series, History], before: BoundRules, rules: BoundRules
) -> dict[Series, History]:
    """The same, where most of it is known: only what other rules, or other devices, look further back at is read."""
    reached, spans = _spans(before), _spans(rules)
    further = {key: span for key, span in spans.items() if key not in reached or span > reached[key]}
    kept = {
        series: history
        for series, history in known.items()
        if (key := (series[0], series[2])) in spans and key not in further
    }
    return {**kept, **await _fetch_history(connection, further)}


def _spans(rules: BoundRules) -> dict[tuple[int, str], timedelta]:
    """How far back they look, by device and quantity."""
    return {
        (device_id, metric): span
        for device_id, watchers in rules.watchers.items()
        for metric, span in watchers.spans.items()
    }


async def _fetch_history(
    connection: asyncpg.Connection, spans: Mapping[tuple[int, str], timedelta]
) -> dict[Series, History]:
    found: dict[Series, list[Reading]] = {}
    for row in await db_state.fetch_history(connection, spans) if spans else ():
        found.setdefault((row.device_id, row.channel, row.metric), []).append((row.value, row.time))
    return {series: History(readings, spans[series[0], series[2]]) for series, readings in found.items()}
