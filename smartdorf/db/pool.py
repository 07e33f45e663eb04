"""Connections, and the one place where the driver's errors become ours.

Reading goes through a small pool. Writing goes over one dedicated connection that also holds the advisory
lock: losing the lock and losing the connection are the same event, so a writer that was cut off can never
commit beside its successor.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from smartdorf.db.migrate import UNPACK_FREELY
from smartdorf.errors import (
    AlreadyRunningError,
    DatabaseUnavailableError,
    DataRejectedError,
    SchemaError,
    lacking_rights,
)
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.local_time import moment_text

WRITER_LOCK = 0x736D6172_77726974  # "smarwrit"
CONNECT_TIMEOUT = 10.0  # seconds
# A statement that takes longer than this on the hot path means a dead server, not a slow one.
COMMAND_TIMEOUT = 60.0  # seconds

_UNAVAILABLE = (
    OSError,  # refused, reset, no route; TimeoutError is one, too
    asyncpg.InterfaceError,  # "connection is closed"
    asyncpg.InternalClientError,
    # Whatever else the server says is about itself and no message's fault: shutting down, starting up, disk full,
    # read-only, deadlock, an I/O error, a database that is being restored, a password that was changed.
    asyncpg.PostgresError,
)


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn the driver's exceptions into DatabaseUnavailableError, DataRejectedError or SchemaError."""
    try:
        yield
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        raise DataRejectedError(str(error)) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise SchemaError(lacking_rights(error)) from error
    except asyncpg.SyntaxOrAccessError as error:
        message = _("The database's schema does not fit ({error}): run `smartdorf db migrate`.")
        raise SchemaError(message.format(error=error)) from error
    except _UNAVAILABLE as error:
        raise DatabaseUnavailableError(f"{type(error).__name__}: {error}") from error


def hush_lost_connections(loop: asyncio.AbstractEventLoop) -> None:
    """Whoever had asked has been told already; the loop would show it again, as an error with a traceback.

    asyncpg's COPY forgets a future when its connection dies, and uvloop the look-up of a name that took longer than
    anybody waited for it. Everything else is shown as before.
    """

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), (asyncpg.PostgresConnectionError, socket.gaierror)):
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)


# Should our machine lose its power or its network, the server lets go of the lock after half a minute instead of
# the system's two hours; until then no successor could write.
_NOTICE_OUR_END = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "30000",
}

# Two containers may share host name and pid; this tells one process's sessions from another's.
_PROCESS = secrets.token_hex(3)


def _application(role: str) -> str:
    """What pg_stat_activity shows of us: who holds the lock is read from there (63 characters at most)."""
    return f"smartdorf {role} {_PROCESS} on {socket.gethostname()[:24]} pid {os.getpid()}"


@asynccontextmanager
async def open_pool(dsn: str, *, size: int = 3) -> AsyncIterator[asyncpg.Pool]:
    """A pool for reading; it opens its connections when they are needed, so the database may come later."""
    with mapped_errors():
        pool = await asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=size,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            server_settings={"application_name": _application("reader")},
        )
    try:
        yield pool
    finally:
        pool.terminate()


@asynccontextmanager
async def connected(dsn: str, *, plan_anew: bool = False) -> AsyncIterator[asyncpg.Connection]:
    """One connection for a command that runs and ends. ``plan_anew``: no statement is kept prepared."""
    try:
        with mapped_errors():
            connection = await asyncpg.connect(
                dsn,
                timeout=CONNECT_TIMEOUT,
                command_timeout=COMMAND_TIMEOUT,
                statement_cache_size=0 if plan_anew else 100,
                server_settings={"application_name": _application("command")},
            )
    except DatabaseUnavailableError as error:
        message = _("The database cannot be reached: {error}")
        raise DatabaseUnavailableError(message.format(error=error)) from error
    try:
        with mapped_errors():
            yield connection
    finally:
        connection.terminate()


async def connect_writer(dsn: str) -> asyncpg.Connection:
    """The writer's connection, holding the lock. Raises AlreadyRunningError naming who holds it.

    A session of this very process that the server has not yet noticed to be dead (half-open TCP) is ended.
    """
    me = _application("writer")
    with mapped_errors():
        connection = await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            server_settings={"application_name": me, "timezone": "UTC", **_NOTICE_OUR_END},
        )
        try:
            await connection.execute(UNPACK_FREELY)
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = $1 AND pid <> pg_backend_pid() AND datname = current_database()",
                me,
            )
            if not await _take_lock(connection):
                holder = await writer_holder(connection)
                if (
                    holder is not None and me in holder
                ):  # our former session, busy with a slow disk, is ending
                    raise DatabaseUnavailableError(holder)
                raise already_running(holder or _("unknown"))
        except BaseException:
            connection.terminate()
            raise
    return connection


def already_running(holder: str) -> AlreadyRunningError:
    """``holder``: as ``writer_holder`` names it."""
    message = _(
        "Another instance already writes to this database: {holder}. "
        "Stop it first; two writers would evaluate every uplink twice."
    )
    return AlreadyRunningError(message.format(holder=holder))


async def _take_lock(connection: asyncpg.Connection) -> bool:
    # A terminated session needs a moment to let go of the lock, so wait for it a little.
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '2s'")
            await connection.execute("SELECT pg_advisory_lock($1)", WRITER_LOCK)
    except asyncpg.LockNotAvailableError:
        return False
    return True


async def writer_holder(connection: asyncpg.Connection) -> str | None:
    """Who holds the writer's lock, in words, or None."""
    row = await connection.fetchrow(
        "SELECT a.application_name, host(a.client_addr) AS address, a.backend_start "
        "FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
        "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
        "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND (l.classid::bigint << 32) + l.objid::bigint = $1",
        WRITER_LOCK,
    )
    if row is None:
        return None
    return _("{application} (from {address}, since {since})").format(
        application=row["application_name"],
        address=row["address"] or "local",
        since=moment_text(row["backend_start"], current_language()),
    )
