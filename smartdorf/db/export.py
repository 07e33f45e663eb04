"""Measurements as they leave the house: series after series, each in the order of time, in constant memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

import asyncpg

Resolution = Literal["raw", "hourly", "daily", "monthly"]
BATCH = 20_000  # rows in memory


@dataclass(frozen=True, slots=True)
class Selection:
    """``places`` (slugs) and ``quantities`` None: any. ``until`` is exclusive."""

    resolution: Resolution = "raw"
    places: Sequence[str] | None = None
    quantities: Sequence[str] | None = None
    begin: datetime | None = None
    until: datetime | None = None


class Series(NamedTuple):
    """One channel's quantity at one place; ``place`` empty where the device watches none."""

    place_id: int | None
    device_id: int
    channel: int
    metric_id: int
    place: str
    place_name: str
    dev_eui: str
    quantity: str
    unit: str


VALUES: dict[Resolution, tuple[str, ...]] = {
    "raw": ("value", "quality"),
    "hourly": ("minimum", "average", "maximum", "samples", "first", "last"),
    "daily": ("minimum", "average", "maximum", "samples", "first", "last"),
    "monthly": ("minimum", "average", "maximum", "samples", "first", "last"),
}

# What the months know, and what is so new or so implausible that they do not.
_SERIES = """
    SELECT s.place_id, s.device_id, s.channel, s.metric_id, coalesce(p.slug, ''), coalesce(p.name, ''), d.dev_eui,
           q.name, q.unit
    FROM (SELECT DISTINCT place_id, device_id, channel, metric_id FROM measurement_monthly
          UNION SELECT place_id, device_id, channel, metric_id FROM measurement_latest) s
    JOIN device d ON d.id = s.device_id JOIN metric q ON q.id = s.metric_id LEFT JOIN place p ON p.id = s.place_id
    WHERE ($1::text[] IS NULL OR p.slug = ANY ($1)) AND ($2::text[] IS NULL OR q.name = ANY ($2))
    ORDER BY p.slug NULLS LAST, q.name, d.dev_eui, s.channel
"""


async def fetch_series(connection: asyncpg.Connection, selection: Selection) -> list[Series]:
    """The series of the selection, by place, quantity, device and channel."""
    rows = await connection.fetch(_SERIES, selection.places, selection.quantities)
    return [Series(*row) for row in rows]


async def rows_of(
    connection: asyncpg.Connection, series: Series, selection: Selection
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """Time and the columns of VALUES, oldest first, a batch at a time. Inside a transaction."""
    columns = ", ".join(VALUES[selection.resolution])
    table, time = "measurement", "time"
    if selection.resolution != "raw":
        table, time = f"measurement_{selection.resolution}", "bucket"
    cursor = await connection.cursor(
        f"SELECT {time}, {columns} FROM {table} "
        "WHERE device_id = $1 AND channel = $2 AND metric_id = $3 AND place_id IS NOT DISTINCT FROM $4 "
        f"AND ($5::timestamptz IS NULL OR {time} >= $5) AND ($6::timestamptz IS NULL OR {time} < $6) ORDER BY {time}",
        series.device_id,
        series.channel,
        series.metric_id,
        series.place_id,
        selection.begin,
        selection.until,
    )
    while rows := await cursor.fetch(BATCH):
        yield [tuple(row) for row in rows]
