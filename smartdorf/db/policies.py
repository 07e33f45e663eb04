"""What TimescaleDB does by itself, later and again and again: compress old chunks, keep the aggregates up to date.

``plan`` compares what should be with what is, ``apply`` makes it so; nothing that is not ours is touched. Deleting what
is too old is no policy of TimescaleDB's but ours (``retention``): it can be told by class of data only there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter
from typing import Any, Literal

import psycopg
from psycopg.sql import SQL

from smartdorf.db.migrate import connected_psycopg

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
COMPRESSED = ("device_event", "measurement", "reception", "uplink")
HOURS = ("measurement_hourly", "state_part_hourly")
DAYS = ("measurement_daily", "state_part_daily")
_KINDS = attrgetter("kind")


@dataclass(frozen=True, slots=True, order=True)
class Policy:
    """``begin`` and ``end``: how old what it works on is, at most and at least; None: without limit."""

    relation: str
    kind: Literal["compress", "refresh"]
    begin: timedelta | None
    end: timedelta
    every: timedelta


@dataclass(frozen=True, slots=True)
class Change:
    """``before`` None: it is new; ``after`` None: it is no longer wanted."""

    before: Policy | None
    after: Policy | None


def wanted(*, compress_after: timedelta, late: timedelta) -> list[Policy]:
    """All policies. ``late``: how old a value may be when it arrives and still take part in the aggregates.

    An hour is made of raw values and must never be made again once these are deleted: it would vanish. Days are made of
    hours and months of days, which stay, so their windows may reach two buckets further, as TimescaleDB demands.
    Both are compressed once nothing can change them any more.
    """
    return [
        *(Policy(table, "compress", None, compress_after, DAY / 2) for table in COMPRESSED),
        *(Policy(view, "compress", None, late + 7 * DAY, DAY) for view in (*HOURS, *DAYS)),
        *(Policy(view, "refresh", late, HOUR, HOUR / 2) for view in HOURS),
        *(Policy(view, "refresh", late + 3 * DAY, DAY, HOUR) for view in DAYS),
        Policy("frame_part_daily", "refresh", late, DAY, HOUR),
        Policy("measurement_monthly", "refresh", late + 93 * DAY, DAY, DAY),
    ]


def plan(dsn: str, policies: Sequence[Policy]) -> list[Change]:
    """What has to change so that exactly ``policies`` are there."""
    with connected_psycopg(dsn) as connection:
        return _changes(_existing(connection), policies)


def apply(dsn: str, policies: Sequence[Policy]) -> list[Change]:
    """Make it so, all or nothing; returns what was changed."""
    with connected_psycopg(dsn) as connection, connection.transaction():
        changes = _changes(_existing(connection), policies)
        # an aggregate may be compressed only while it is refreshed: that comes first and goes last
        for policy in sorted((c.before for c in changes if c.before), key=_KINDS):
            connection.execute(_REMOVE[policy.kind], (policy.relation,))
        new = {change.after for change in changes}
        # in the order given: the job of the hours has the lower number and, when both are due, runs before the days'
        for policy in sorted((policy for policy in policies if policy in new), key=_KINDS, reverse=True):
            _add(connection, policy)
    return changes


def _changes(existing: Sequence[Policy], policies: Sequence[Policy]) -> list[Change]:
    before = {(policy.relation, policy.kind): policy for policy in existing}
    after = {(policy.relation, policy.kind): policy for policy in policies}
    return [
        Change(before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


_EXISTING = SQL(
    """
    SELECT coalesce(c.view_name, j.hypertable_name) AS relation,
           CASE j.proc_name WHEN 'policy_compression' THEN 'compress' ELSE 'refresh' END AS kind,
           (j.config ->> 'start_offset')::interval AS begin,
           coalesce(j.config ->> 'end_offset', j.config ->> 'compress_after')::interval AS end,
           j.schedule_interval AS every
    FROM timescaledb_information.jobs j
    LEFT JOIN timescaledb_information.continuous_aggregates c
           ON c.materialization_hypertable_name = j.hypertable_name OR c.view_name = j.hypertable_name
    WHERE j.proc_name IN ('policy_compression', 'policy_refresh_continuous_aggregate')
    """
)
_REMOVE = {
    "compress": SQL("CALL remove_columnstore_policy(%s::regclass)"),
    "refresh": SQL("SELECT remove_continuous_aggregate_policy(%s::regclass)"),
}


def _existing(connection: psycopg.Connection[Any]) -> list[Policy]:
    ours = {policy.relation for policy in wanted(compress_after=DAY, late=DAY)}
    rows = connection.execute(_EXISTING).fetchall()
    return [Policy(*row) for row in rows if row[0] in ours]


def _add(connection: psycopg.Connection[Any], policy: Policy) -> None:
    if policy.kind == "compress":
        statement = SQL(
            "CALL add_columnstore_policy(%s::regclass, after => %s::interval, schedule_interval => %s::interval)"
        )
        connection.execute(statement, (policy.relation, policy.end, policy.every))
        return
    statement = SQL(
        "SELECT add_continuous_aggregate_policy(%s::regclass, start_offset => %s::interval, "
        "end_offset => %s::interval, schedule_interval => %s::interval)"
    )
    connection.execute(statement, (policy.relation, policy.begin, policy.end, policy.every))
