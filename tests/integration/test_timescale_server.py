"""The TimescaleDB of the tests behaves like a server towards both drivers, as far as our tests rely on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg.pq import TransactionStatus

from tests.support.timescale import TimescaleServer

pytestmark = pytest.mark.timescale

START = datetime(2026, 3, 29, tzinfo=UTC)
TABLE = """
    CREATE TABLE level (time timestamptz NOT NULL, place int NOT NULL, value float8, UNIQUE (place, time))
        WITH (tsdb.hypertable, tsdb.partition_column = 'time', tsdb.segmentby = 'place')
"""


@pytest.fixture
def dsn(timescale_server: TimescaleServer) -> str:
    timescale_server.reset()
    with psycopg.connect(timescale_server.dsn, autocommit=True) as connection:
        connection.execute(TABLE)
    return timescale_server.dsn


@pytest.fixture
async def one(dsn: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def other(dsn: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
def connection(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(dsn, autocommit=True) as opened:
        yield opened


def rows(count: int) -> list[tuple[datetime, int, float]]:
    """One reading a minute, places 0 to 9 in turn."""
    return [(START + timedelta(minutes=number), number % 10, number / 2) for number in range(count)]


class TestAsyncpg:
    async def test_prepared_statements_of_two_connections_stay_apart(
        self, one: asyncpg.Connection[Any], other: asyncpg.Connection[Any]
    ) -> None:
        mine = await one.prepare("SELECT 'one ' || $1::text")
        theirs = await other.prepare("SELECT 'other ' || $1::text")

        assert await mine.fetchval("a") == "one a"
        assert await theirs.fetchval("b") == "other b"

    async def test_unnamed_statements_of_two_connections_stay_apart(self, dsn: str) -> None:
        first = await asyncpg.connect(dsn, statement_cache_size=0)
        second = await asyncpg.connect(dsn, statement_cache_size=0)

        values = await asyncio.gather(
            first.fetchval("SELECT 1 + $1::int", 1), second.fetchval("SELECT 'b' || $1::text", "c")
        )

        assert tuple(values) == (2, "bc")
        await first.close()
        await second.close()

    async def test_statement_that_cannot_be_prepared_disturbs_nobody(
        self, one: asyncpg.Connection[Any], other: asyncpg.Connection[Any]
    ) -> None:
        with pytest.raises(asyncpg.UndefinedTableError):
            await one.prepare("SELECT * FROM missing")

        assert await other.fetchval("SELECT 2") == 2
        assert await one.fetchval("SELECT 1") == 1

    async def test_executemany_inserts_every_row(self, one: asyncpg.Connection[Any]) -> None:
        await one.executemany("INSERT INTO level VALUES ($1, $2, $3)", rows(5000))

        assert await one.fetchval("SELECT count(*) FROM level") == 5000

    async def test_unnest_insert_skips_what_is_there_and_returns_the_rest(
        self, one: asyncpg.Connection[Any]
    ) -> None:
        insert = (
            "INSERT INTO level SELECT * FROM unnest($1::timestamptz[], $2::int[], $3::float8[]) "
            "ON CONFLICT DO NOTHING RETURNING place"
        )
        times, places, values = zip(*rows(5000), strict=True)
        await one.fetch(insert, times[:4000], places[:4000], values[:4000])

        assert len(await one.fetch(insert, times, places, values)) == 1000

    async def test_arrays_of_several_megabytes_arrive(self, one: asyncpg.Connection[Any]) -> None:
        texts = ["ö" * 1000] * 3000

        assert (
            await one.fetchval("SELECT sum(octet_length(t)) FROM unnest($1::text[]) AS t", texts) == 6_000_000
        )

    async def test_binary_copy_inserts_every_row(self, one: asyncpg.Connection[Any]) -> None:
        assert await one.copy_records_to_table("level", records=rows(5000)) == "COPY 5000"
        assert await one.fetchval("SELECT count(*) FROM level") == 5000

    async def test_copy_that_violates_a_constraint_leaves_nothing(self, one: asyncpg.Connection[Any]) -> None:
        with pytest.raises(asyncpg.UniqueViolationError):
            await one.copy_records_to_table("level", records=[*rows(10), *rows(1)])

        assert await one.fetchval("SELECT count(*) FROM level") == 0

    async def test_copy_into_a_missing_table_is_an_error_at_once(self, one: asyncpg.Connection[Any]) -> None:
        with pytest.raises(asyncpg.UndefinedTableError):
            await one.execute("COPY missing FROM STDIN")

        assert await one.fetchval("SELECT 1") == 1

    async def test_copy_out_gives_the_rows(self, one: asyncpg.Connection[Any]) -> None:
        received = bytearray()

        async def collect(data: bytes) -> None:
            received.extend(data)

        await one.copy_from_query("SELECT g, 'ä' FROM generate_series(1, 2) AS g", output=collect)

        assert received.decode() == "1\tä\n2\tä\n"

    async def test_error_in_a_transaction_rolls_it_back(
        self, one: asyncpg.Connection[Any], other: asyncpg.Connection[Any]
    ) -> None:
        async def fail() -> None:
            async with one.transaction():
                await one.execute("INSERT INTO level VALUES (now(), 1, 1)")
                await one.fetchval("SELECT 1 / $1::int", 0)

        with pytest.raises(asyncpg.DivisionByZeroError):
            await fail()

        assert await other.fetchval("SELECT count(*) FROM level") == 0

    async def test_error_in_a_savepoint_keeps_the_transaction(self, one: asyncpg.Connection[Any]) -> None:
        async with one.transaction():
            await one.execute("INSERT INTO level VALUES (now(), 1, 1)")
            with pytest.raises(asyncpg.DivisionByZeroError):
                async with one.transaction():
                    await one.fetchval("SELECT 1 / $1::int", 0)

        assert await one.fetchval("SELECT count(*) FROM level") == 1

    async def test_others_wait_while_a_transaction_is_open_and_see_what_it_committed(
        self, one: asyncpg.Connection[Any], other: asyncpg.Connection[Any]
    ) -> None:
        async with one.transaction():
            await one.execute("INSERT INTO level VALUES (now(), 1, 1)")
            waiting = asyncio.create_task(other.fetchval("SELECT count(*) FROM level"))
            await one.execute("INSERT INTO level VALUES (now(), 2, 1)")
            assert not waiting.done()

        assert await waiting == 2

    async def test_connection_that_breaks_inside_a_transaction_leaves_nothing(
        self, dsn: str, other: asyncpg.Connection[Any]
    ) -> None:
        broken = await asyncpg.connect(dsn)
        await broken.execute("BEGIN")
        await broken.execute("INSERT INTO level VALUES (now(), 1, 1)")
        broken.terminate()

        assert await other.fetchval("SELECT count(*) FROM level") == 0

    async def test_pool_serves_many_tasks(self, dsn: str) -> None:
        async with asyncpg.create_pool(dsn, min_size=3, max_size=3) as pool:
            counts = await asyncio.gather(*(pool.fetchval("SELECT count(*) FROM level") for _ in range(20)))

        assert counts == [0] * 20

    @pytest.mark.parametrize(
        ("setting", "default"),
        [
            ("search_path", '"$user", public'),
            ("client_min_messages", "notice"),
            ("enable_seqscan", "on"),
            ("TimeZone", "UTC"),
        ],
    )
    async def test_connection_back_in_its_pool_has_the_default_settings_of_postgresql(
        self, dsn: str, setting: str, default: str
    ) -> None:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            await pool.execute("SET TimeZone TO 'Europe/Berlin'")

            assert await pool.fetchval("SELECT current_setting($1)", setting) == default

    async def test_notification_reaches_those_who_listen_even_after_another_pool_reset(
        self, dsn: str, one: asyncpg.Connection[Any], other: asyncpg.Connection[Any]
    ) -> None:
        heard: asyncio.Queue[str] = asyncio.Queue()
        await one.add_listener("Alarm", lambda *event: heard.put_nowait(str(event[-1])))
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            await pool.execute("SELECT 1")  # giving the connection back sends UNLISTEN *

        await other.execute("SELECT pg_notify('Alarm', 'flood')")

        assert await asyncio.wait_for(heard.get(), 5) == "flood"


class TestPsycopg:
    def test_rollback_undoes_and_commit_keeps(self, dsn: str, connection: psycopg.Connection[Any]) -> None:
        with psycopg.connect(dsn) as worker:
            worker.execute("INSERT INTO level VALUES (now(), %s, 1)", (1,))
            worker.rollback()
            worker.execute("INSERT INTO level VALUES (now(), %s, 1)", (2,))
            worker.commit()

        assert connection.execute("SELECT place FROM level").fetchall() == [(2,)]

    def test_statements_prepared_after_five_uses_survive_others_deallocating_theirs(self, dsn: str) -> None:
        with psycopg.connect(dsn) as first, psycopg.connect(dsn, autocommit=True) as second:
            for _ in range(8):
                second.execute("SELECT %s::int", (1,))
                first.execute("SELECT %s::int", (1,))
                first.rollback()  # psycopg then sends DEALLOCATE ALL

            assert second.execute("SELECT %s::int", (7,)).fetchone() == (7,)

    def test_text_copy_inserts_every_row(self, connection: psycopg.Connection[Any]) -> None:
        with connection.cursor().copy("COPY level FROM STDIN") as copy:
            for row in rows(50):
                copy.write_row(row)

        assert connection.execute("SELECT count(*) FROM level").fetchone() == (50,)

    def test_copy_given_up_by_the_client_fails_the_transaction(self, dsn: str) -> None:
        def give_up(worker: psycopg.Connection[Any]) -> None:
            with worker.cursor().copy("COPY level FROM STDIN") as copy:
                copy.write_row(rows(1)[0])
                raise KeyError

        with psycopg.connect(dsn) as worker:
            with pytest.raises(KeyError):
                give_up(worker)
            assert worker.info.transaction_status is TransactionStatus.INERROR
            worker.rollback()

            assert worker.execute("SELECT count(*) FROM level").fetchone() == (0,)

    def test_pipeline_runs_all_its_statements(self, connection: psycopg.Connection[Any]) -> None:
        with connection.pipeline():
            for row in rows(20):
                connection.execute("INSERT INTO level VALUES (%s, %s, %s)", row)
            count = connection.execute("SELECT count(*) FROM level").fetchone()

        assert count == (20,)

    def test_notification_arrives(self, dsn: str, connection: psycopg.Connection[Any]) -> None:
        connection.execute("LISTEN alarm")
        with psycopg.connect(dsn) as sender:
            sender.execute("NOTIFY alarm, 'flood'")

        heard = next(connection.notifies(timeout=5))

        assert (heard.channel, heard.payload) == ("alarm", "flood")


class TestTimescale:
    def test_aggregate_of_an_aggregate_follows_the_local_day(
        self, connection: psycopg.Connection[Any]
    ) -> None:
        # 29 March 2026 in Berlin has 23 hours and begins at 23:00 UTC of the 28th; all readings are hourly
        connection.execute(
            "INSERT INTO level SELECT t, 1, 2 FROM "
            "generate_series('2026-03-28 00:00Z'::timestamptz, '2026-03-30 23:00Z', '1 hour') AS t"
        )
        connection.execute(
            "CREATE MATERIALIZED VIEW hourly WITH (timescaledb.continuous) AS "
            "SELECT time_bucket('1 hour', time) AS hour, count(*) AS n FROM level GROUP BY 1 WITH NO DATA"
        )
        connection.execute(
            "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS "
            "SELECT time_bucket('1 day', hour, 'Europe/Berlin') AS day, sum(n) AS n FROM hourly GROUP BY 1 "
            "WITH NO DATA"
        )
        for view in ("hourly", "daily"):
            connection.execute("CALL refresh_continuous_aggregate(%s, NULL, NULL)", (view,))

        found = connection.execute("SELECT n FROM daily WHERE day = '2026-03-28 23:00Z'").fetchone()

        assert found == (23,)

    def test_compressed_chunk_takes_late_rows(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute("INSERT INTO level VALUES (%s, 1, 1)", (START,))
        connection.execute("SELECT compress_chunk(c) FROM show_chunks('level') AS c")
        connection.execute("INSERT INTO level VALUES (%s, 1, 2)", (START + timedelta(minutes=1),))

        assert connection.execute("SELECT sum(value) FROM level").fetchone() == (3.0,)

    def test_reset_leaves_an_empty_database(
        self, timescale_server: TimescaleServer, connection: psycopg.Connection[Any]
    ) -> None:
        connection.execute("CREATE MATERIALIZED VIEW seen AS SELECT * FROM level")
        connection.execute("SELECT add_retention_policy('level', INTERVAL '1 year')")
        connection.execute("CREATE SCHEMA open_data; CREATE VIEW open_data.level AS TABLE level")
        connection.execute("CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        connection.execute("CREATE ROLE reader; GRANT SELECT ON level TO reader")

        timescale_server.reset()

        left = (
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace",
            "SELECT count(*) FROM timescaledb_information.jobs WHERE job_id >= 1000",
            "SELECT count(*) FROM pg_namespace WHERE nspname = 'open_data'",
            "SELECT count(*) FROM pg_proc WHERE proname = 'one'",
            "SELECT count(*) FROM pg_roles WHERE rolname = 'reader'",
        )
        assert [connection.execute(query).fetchone() for query in left] == [(0,)] * 5
