"""Rules on trial over what the database holds: reads it once, for one or two sets of rules. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import asyncpg

from smartdorf.alerting.backtest import WARM_UP, Arrivals, Backtest, Result, Stored
from smartdorf.config.calendar import Calendar
from smartdorf.config.rule import Rule
from smartdorf.db.directory import load_directory
from smartdorf.db.past import fetch_extent, fetch_heard, past
from smartdorf.directory import Directory
from smartdorf.errors import Problem

T = TypeVar("T")
Progress = Callable[[datetime], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """``results``: of each set of rules. ``first``: the oldest that was read, None: there was nothing."""

    directory: Directory
    results: Sequence[Sequence[Result]]
    problems: Sequence[Problem]
    first: datetime | None
    moments: int
    extent: tuple[datetime, datetime] | None  # where nothing was read: from when to when there is something


async def backtest(
    connection: asyncpg.Connection,
    sets: Sequence[Collection[Rule]],
    categories: Mapping[str, str],
    intervals: Mapping[str, timedelta],
    *,
    since: datetime,
    until: datetime,
    progress: Progress = lambda _time: None,
    calendar: Calendar | None = None,
) -> Outcome:
    """``progress`` is told, again and again, up to which time the past has been read."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        directory = await load_directory(connection)
        trials = [
            Backtest(rules, directory, categories, intervals, since=since, until=until, calendar=calendar)
            for rules in sets
        ]
        first, moments = await _read(connection, trials, since - WARM_UP, until, progress)
        extent = await fetch_extent(connection) if first is None else None
    problems = dict.fromkeys(problem for trial in trials for problem in trial.problems)
    return Outcome(directory, [trial.results() for trial in trials], [*problems], first, moments, extent)


async def _read(
    connection: asyncpg.Connection,
    trials: Sequence[Backtest],
    begin: datetime,
    until: datetime,
    progress: Progress,
) -> tuple[datetime | None, int]:
    """Let all that is stored pass; returns the oldest time, and how many moments there were."""
    devices = {device for trial in trials for device in trial.devices}
    quantities = {quantity for trial in trials for quantity in trial.quantities}
    names = {row[0]: row[1] for row in await connection.fetch("SELECT id, name FROM metric")}
    metrics = [id_ for id_, name in names.items() if name in quantities]
    arrivals = Arrivals(await fetch_heard(connection, devices, begin, until))
    first, moments = None, 0
    async with aclosing(_ahead(past(connection, devices, metrics, begin, until))) as batches:
        async for rows in batches:
            for time, device_id, heard, readable, recorded, channels, ids, values in rows:
                found = (
                    tuple(
                        [(c, names[id_], value) for c, id_, value in zip(channels, ids, values, strict=True)]
                    )
                    if channels is not None
                    else ()
                )
                observations = arrivals.of(Stored(time, device_id, heard, readable, recorded, found))
                for trial in trials:
                    trial.see(time, observations)
            first = first or rows[0][0]
            moments += len(rows)
            progress(rows[-1][0])
    return first, moments


async def _ahead(source: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """The database looks for the next batch while the one before is being worked on."""
    task = asyncio.ensure_future(anext(source, None))
    try:
        while (batch := await task) is not None:
            task = asyncio.ensure_future(anext(source, None))
            await asyncio.sleep(0)  # lets it ask
            yield batch
    finally:
        task.cancel()
