"""The database of a benchmark: made for it, and dropped afterwards. Owns all SQL of the benchmarks."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from smartdorf.bench.machine import cpu_seconds, family, parent
from smartdorf.bench.village import RULE
from smartdorf.db.migrate import Profile, migrate
from smartdorf.db.pool import connected
from smartdorf.embedded.postgres import EmbeddedPostgres
from smartdorf.errors import DatabaseUnavailableError, UsageError
from smartdorf.i18n import gettext as _

PREFIX = "smartdorf_bench_"
CHANNEL = "smartdorf_bench"


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated, empty database."""

    dsn: str
    name: str  # of the product, with its version
    profile: Profile
    embedded: bool
    server_pid: int | None  # where it runs on this machine

    def cpu(self) -> float | None:
        """Processor seconds of the whole server so far."""
        return cpu_seconds(*family(self.server_pid)) if self.server_pid is not None else None


@asynccontextmanager
async def open_database(dsn: str | None) -> AsyncIterator[Database]:
    """A scratch database on the server that ``dsn`` names, or on an embedded PostgreSQL."""
    async with AsyncExitStack() as stack:
        embedded = dsn is None
        if dsn is None:
            dsn = stack.enter_context(EmbeddedPostgres()).dsn
        scratch, profile = await stack.enter_async_context(_scratch(dsn))
        await asyncio.to_thread(migrate, scratch, profile)
        async with connected(scratch) as connection:
            version = await connection.fetchval("SHOW server_version")
            timescale = await connection.fetchval(
                "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
            )
            backend = await connection.fetchval("SELECT pg_backend_pid()")
            server = parent(backend, "postgres")
        name = f"PostgreSQL {version.partition(' ')[0]}"
        if timescale is not None:
            name = f"TimescaleDB {timescale}, {name}"
        yield Database(scratch, name, profile, embedded, server)


@asynccontextmanager
async def _scratch(dsn: str) -> AsyncIterator[tuple[str, Profile]]:
    name = f"{PREFIX}{os.getpid()}_{secrets.token_hex(3)}"
    try:
        profile = await _create(dsn, name)
    except DatabaseUnavailableError as error:
        message = _("The database server at {address} cannot be used: {error}")
        raise UsageError(
            message.format(address=urlsplit(dsn).netloc.rpartition("@")[2], error=error)
        ) from error
    try:
        yield urlunsplit(urlsplit(dsn)._replace(path=f"/{name}")), profile
    finally:
        async with connected(dsn) as connection:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def _create(dsn: str, name: str) -> Profile:
    async with connected(dsn) as connection:
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        except asyncpg.InsufficientPrivilegeError:
            message = _("{user} may not create databases here; the benchmark needs a scratch database")
            user = await connection.fetchval("SELECT current_user")
            raise UsageError(message.format(user=user)) from None
        available = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')"
        )
    return "timescale" if available else "plain"


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds."""

    uplinks: int
    measurements: int
    not_decoded: int  # of the uplinks
    quarantined: int
    alerts: int  # that fired or resolved

    def __sub__(self, before: Stored) -> Stored:
        return Stored(
            self.uplinks - before.uplinks,
            self.measurements - before.measurements,
            self.not_decoded - before.not_decoded,
            self.quarantined - before.quarantined,
            self.alerts - before.alerts,
        )


_COUNT = """
    SELECT (SELECT count(*) FROM uplink), (SELECT count(*) FROM measurement),
           (SELECT count(*) FROM uplink WHERE status <> 'decoded'), (SELECT count(*) FROM quarantine),
           (SELECT count(*) FROM alert_event)
"""


async def count_stored(connection: asyncpg.Connection) -> Stored:
    (row,) = await connection.fetch(_COUNT)
    return Stored(*row)


async def is_idle(connection: asyncpg.Connection) -> bool:
    """The service has worked off what the onboarding asked of it."""
    return not await connection.fetchval("SELECT EXISTS (SELECT FROM redecode_request)")


async def has_learned(connection: asyncpg.Connection) -> bool:
    """The service has learned how often the devices report, as it does at its first start and then at night."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM device_rhythm)"))


# The transaction that stores an alert, and the one that notes it as told, announce it when they are committed:
# PostgreSQL sends notifications after the commit, so what a listener sees is never too early.
_ANNOUNCE = f"""
    CREATE FUNCTION bench_fired() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('{CHANNEL}', 'fired ' || subject_id)
        FROM alert WHERE id = NEW.alert_id AND rule = '{RULE}';
        RETURN NULL;
    END
    $$;
    CREATE TRIGGER bench_fired AFTER INSERT ON alert_event FOR EACH ROW EXECUTE FUNCTION bench_fired();
    CREATE FUNCTION bench_told() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('{CHANNEL}', 'told ' || a.subject_id)
        FROM alert_event e JOIN alert a ON a.id = e.alert_id
        WHERE e.id = NEW.alert_event_id AND a.rule = '{RULE}';
        RETURN NULL;
    END
    $$;
    CREATE TRIGGER bench_told AFTER UPDATE OF state ON outbox FOR EACH ROW WHEN (NEW.state = 'sent')
        EXECUTE FUNCTION bench_told();
"""


async def announce_alerts(connection: asyncpg.Connection) -> None:
    """From now on each alert of ``RULE`` is announced on ``CHANNEL``: ``fired 17``, ``told 17``, by device id."""
    await connection.execute(_ANNOUNCE)


async def device_ids(connection: asyncpg.Connection) -> dict[str, int]:
    """Ids by dev_eui."""
    return {row[0]: row[1] for row in await connection.fetch("SELECT dev_eui, id FROM device")}
