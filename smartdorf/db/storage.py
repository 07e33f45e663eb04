"""What the database holds and what it does by itself: sizes, compression, how far the aggregates are, failed jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import psycopg
from psycopg.rows import class_row
from psycopg.sql import SQL

from smartdorf.db.migrate import Profile, connected_psycopg

T = TypeVar("T")

# TimescaleDB runs each job in a worker of its own, beside its launcher, its scheduler and the workers of parallel
# queries; PostgreSQL's default of 8 is too few, and a job that gets none waits for its next turn.
ENOUGH_WORKERS = 16


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, or an aggregate of TimescaleDB. ``rows``: as the planner knows them, so about.

    ``chunks`` and what follows are None where there are none; ``uncompressed_bytes``: what the compressed chunks took
    before.
    """

    name: str
    bytes: int
    rows: int
    chunks: int | None = None
    compressed_chunks: int | None = None
    compressed_bytes: int | None = None
    uncompressed_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A policy of TimescaleDB. ``state``: never, ok, failed; ``error``: of the last run that failed."""

    relation: str
    kind: str
    state: str
    succeeded_at: datetime | None
    next_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Lag:
    """How far an aggregate is materialized; what is newer is computed when it is asked for."""

    relation: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Storage:
    bytes: int  # of the whole database
    heard_at: datetime | None  # time of the newest uplink
    retention_at: datetime | None  # when something was last deleted because of its age
    workers: int  # max_worker_processes
    relations: list[Relation]
    jobs: list[Job]
    lags: list[Lag]


def look(dsn: str, profile: Profile) -> Storage:
    """Cheap: reads catalogues, never the data."""
    with connected_psycopg(dsn) as connection:
        row = connection.execute(_WHOLE).fetchone()
        assert row is not None
        size, heard_at, retention_at, workers = row
        relations = _fetch(connection, Relation, _TABLES)
        jobs: list[Job] = []
        lags: list[Lag] = []
        if profile == "timescale":
            hyper = _fetch(connection, Relation, _HYPERTABLES)
            names = {relation.name for relation in hyper}
            relations = [*hyper, *(relation for relation in relations if relation.name not in names)]
            jobs, lags = _fetch(connection, Job, _JOBS), _fetch(connection, Lag, _LAGS)
    relations.sort(key=lambda relation: -relation.bytes)
    return Storage(size, heard_at, retention_at, workers, relations, jobs, lags)


def failed(storage: Storage) -> list[Job]:
    """The jobs whose last run failed."""
    return [job for job in storage.jobs if job.state == "failed"]


def behind(lag: Lag, now: datetime) -> timedelta | None:
    """None: nothing has been materialized yet."""
    return now - lag.until if lag.until is not None else None


def _fetch(connection: psycopg.Connection[Any], kind: type[T], query: SQL) -> list[T]:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query).fetchall()


_WHOLE = """
    SELECT pg_database_size(current_database()), (SELECT max(last_time) FROM frame_gap),
           (SELECT max(time) FROM audit_log WHERE action = 'retention.delete'),
           current_setting('max_worker_processes')::integer
"""
_TABLES = SQL(
    """
    SELECT relname AS name, pg_total_relation_size(oid) AS bytes, greatest(reltuples, 0)::bigint AS rows
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    ORDER BY 2 DESC
    """
)
_HYPERTABLES = SQL(
    """
    WITH hyper AS (
        SELECT hypertable_name AS name, format('%I.%I', hypertable_schema, hypertable_name)::regclass AS id
        FROM timescaledb_information.hypertables
        UNION ALL
        SELECT view_name, format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)::regclass
        FROM timescaledb_information.continuous_aggregates
    )
    SELECT name, hypertable_size(id) AS bytes, approximate_row_count(id) AS rows, c.chunks, c.compressed_chunks,
           c.compressed_bytes::bigint, c.uncompressed_bytes::bigint
    FROM hyper CROSS JOIN LATERAL (
        SELECT (SELECT count(*) FROM show_chunks(id)) AS chunks,
               count(*) FILTER (WHERE compression_status = 'Compressed') AS compressed_chunks,
               sum(after_compression_total_bytes) AS compressed_bytes,
               sum(before_compression_total_bytes) AS uncompressed_bytes
        FROM chunk_columnstore_stats(id)
    ) c
    """
)
# Workers of TimescaleDB fill these in; a job that has never run has no row of its own.
_JOBS = SQL(
    """
    SELECT coalesce(c.view_name, j.hypertable_name) AS relation,
           CASE WHEN j.proc_name = 'policy_compression' THEN 'compress' ELSE 'refresh' END AS kind,
           CASE WHEN s.last_run_status IS NULL THEN 'never'
                WHEN s.last_run_status = 'Success' THEN 'ok' ELSE 'failed' END AS state,
           nullif(s.last_successful_finish, '-infinity') AS succeeded_at, nullif(s.next_start, '-infinity') AS next_at,
           CASE WHEN s.last_run_status = 'Failed' THEN
               (SELECT e.err_message FROM timescaledb_information.job_errors e
                WHERE e.job_id = j.job_id ORDER BY e.start_time DESC LIMIT 1) END AS error
    FROM timescaledb_information.jobs j
    LEFT JOIN timescaledb_information.job_stats s USING (job_id)
    LEFT JOIN timescaledb_information.continuous_aggregates c
           ON j.hypertable_name IN (c.materialization_hypertable_name, c.view_name)
    WHERE j.proc_name IN ('policy_compression', 'policy_refresh_continuous_aggregate')
    ORDER BY 1, 2
    """
)
_LAGS = SQL(
    """
    SELECT c.view_name AS relation,
           nullif(_timescaledb_functions.to_timestamp(_timescaledb_functions.cagg_watermark(h.id)),
                  _timescaledb_functions.to_timestamp(_timescaledb_functions.get_internal_time_min('timestamptz'::regtype))
           ) AS until
    FROM timescaledb_information.continuous_aggregates c
    JOIN _timescaledb_catalog.hypertable h ON h.table_name = c.materialization_hypertable_name
    ORDER BY 1
    """
)
