"""What `smartdorf db status` knows: sizes, compressed chunks, jobs that failed, how far the aggregates are."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from smartdorf.db import policies, storage
from tests.support.postgres import Database
from tests.support.series import insert, metric_ids, refresh

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def test_sizes_and_when_something_was_last_heard_or_deleted(any_db: Database):
    with psycopg.connect(any_db.dsn, autocommit=True) as connection:
        insert(connection, [(NOW - DAY, 20.0)], metric=metric_ids(connection)["air_temperature_c"])
        connection.execute(
            "INSERT INTO frame_gap (device_id, dev_addr, started_at, first_f_cnt, last_f_cnt, received, "
            "retransmissions, last_time) VALUES (1, '01', %s, 0, 0, 1, 0, %s)",
            (NOW - DAY, NOW - DAY),
        )
        connection.execute(
            "INSERT INTO audit_log (time, actor, action, subject) "
            "VALUES (%s, 'smartdorf', 'retention.delete', 'expired')",
            (NOW,),
        )
    found = storage.look(any_db.dsn, any_db.profile)
    assert (found.heard_at, found.retention_at) == (NOW - DAY, NOW)
    sizes = {relation.name: relation.bytes for relation in found.relations}
    assert sizes["measurement"] > 0
    assert found.bytes > sum(sizes.values()) / 2
    assert [relation.bytes for relation in found.relations] == sorted(sizes.values(), reverse=True)
    assert "measurement_hourly" in sizes or any_db.profile == "plain"


@pytest.mark.timescale
def test_compressed_chunks_and_how_far_the_aggregates_are(timescale_db: str):
    with psycopg.connect(timescale_db, autocommit=True) as connection:
        metric = metric_ids(connection)["air_temperature_c"]
        noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
        insert(connection, [(noon + timedelta(minutes=i), float(i)) for i in range(200)], metric=metric)
        insert(connection, [(noon + 30 * DAY, 1.0)], metric=metric)
        connection.execute(
            "SELECT compress_chunk(c) FROM show_chunks('measurement', older_than => %s) c", (noon + 8 * DAY,)
        )
    found = storage.look(timescale_db, "timescale")
    [measurement] = [relation for relation in found.relations if relation.name == "measurement"]
    assert (measurement.chunks, measurement.compressed_chunks) == (2, 1)
    assert measurement.compressed_bytes is not None
    assert measurement.uncompressed_bytes is not None
    assert {lag.until for lag in found.lags} == {None}
    refresh(Database(timescale_db, "timescale"))
    until = {lag.relation: lag.until for lag in storage.look(timescale_db, "timescale").lags}
    assert until["measurement_hourly"] == datetime(2026, 6, 3, 13, tzinfo=UTC)
    assert until["measurement_daily"] == datetime(2026, 6, 3, 22, tzinfo=UTC)


@pytest.mark.timescale
def test_a_job_that_never_ran_is_no_failure(timescale_db: str):
    policies.apply(timescale_db, policies.wanted(compress_after=14 * DAY, late=53 * DAY))
    found = storage.look(timescale_db, "timescale")
    assert len(found.jobs) == 14
    assert {job.state for job in found.jobs} == {"never"}
    assert storage.failed(found) == []


@pytest.mark.native_timescale
def test_a_job_that_failed_says_why(native_db: str):
    policies.apply(native_db, policies.wanted(compress_after=14 * DAY, late=53 * DAY))
    with psycopg.connect(native_db, autocommit=True) as connection:
        (job,) = connection.execute(
            "SELECT job_id FROM timescaledb_information.jobs WHERE hypertable_name = 'uplink'"
        ).fetchone()
        connection.execute(
            "INSERT INTO _timescaledb_internal.bgw_job_stat (job_id, last_start, last_finish, next_start, "
            "last_successful_finish, last_run_success, total_runs, total_duration, total_duration_failures, "
            "total_successes, total_failures, total_crashes, consecutive_failures, consecutive_crashes) "
            "VALUES (%s, now(), now(), now(), '-infinity', false, 1, '0', '0', 0, 1, 0, 1, 0) "
            "ON CONFLICT (job_id) DO UPDATE SET last_run_success = false, last_successful_finish = '-infinity'",
            (job,),
        )
    found = {job.relation: job for job in storage.failed(storage.look(native_db, "timescale"))}
    assert found["uplink"].kind == "compress"
    assert found["uplink"].succeeded_at is None
