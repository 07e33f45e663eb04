"""The one connection that writes, the lock it holds, and the memory that goes with it.

Knows nothing of messages: it gives its callers a transaction and a memory that fits the database, and when the
database goes away it waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg
import structlog

from smartdorf.db.pool import connect_writer, mapped_errors
from smartdorf.db.stages import create_stages
from smartdorf.errors import DatabaseUnavailableError
from smartdorf.ingest.memory import (
    Content,
    Memory,
    bind_rules,
    load_directory,
    load_history,
    load_memory,
    update_history,
)
from smartdorf.metrics import Metrics

log = structlog.get_logger(__name__)
T = TypeVar("T")

RETRY_FIRST, RETRY_LONGEST = 0.2, 5.0  # seconds between two tries to reach the database
CHANNEL = "smartdorf"  # NOTIFY: the directory was changed, or work was asked for


class Writer:
    """Use through ``turn`` (one at a time) and ``patiently`` (until the database has taken it)."""

    def __init__(
        self, dsn: str, content: Content, metrics: Metrics, on_notify: Callable[[str], None]
    ) -> None:
        self._dsn = dsn
        self._content = content
        self._metrics = metrics
        self._on_notify = on_notify
        self._connection: asyncpg.Connection | None = None
        self.turn = asyncio.Lock()  # batches, ticks and requests follow one another
        self.memory: Memory | None = None  # None: not connected
        self._is_current = (
            False  # nobody has said since it was read that the directory or the rules are others
        )

    @property
    def is_writer(self) -> bool:
        return self.memory is not None

    async def open(self) -> Memory:
        """Connect, take the lock and load the memory, where that is not done yet.

        Raises DatabaseUnavailableError, SchemaError, or AlreadyRunningError naming the other writer.
        """
        if self.memory is None or self._connection is None or self._connection.is_closed():
            self._drop()
            connection = await connect_writer(self._dsn)
            try:
                with mapped_errors():
                    await create_stages(connection)
                    connection.add_termination_listener(self._ended)
                    await connection.add_listener(CHANNEL, self._heard)
                    self._is_current = True
                    self.memory = await load_memory(connection, self._content)
            except BaseException:
                connection.terminate()
                raise
            self._connection = connection
            self._metrics.database_up.set(1)
            log.info(
                "writer is ready",
                devices=len(self.memory.directory.devices),
                rules=len(self._content.rules.rules),
            )
            self._on_notify("connected")  # what was said while nobody listened was not heard
        return self.memory

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._is_current = self._is_current and payload != "directory"
        self._on_notify(str(payload))

    def _ended(self, connection: object) -> None:
        """The server closed the connection: connect again now, not only when the next uplink needs it."""
        if connection is self._connection:
            self.lost(DatabaseUnavailableError())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """A transaction; its errors are ours. To be used after ``open`` and within ``turn``."""
        if self._connection is None:
            raise DatabaseUnavailableError
        with mapped_errors():
            async with self._connection.transaction():
                yield self._connection

    async def patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do ``work``; while the database is away, wait and try again.

        Each try begins with a memory read back from the database: whether a commit that broke off has happened
        is known there and nowhere else.
        """
        delay, told = RETRY_FIRST, ""
        while True:
            try:
                return await work()
            except DatabaseUnavailableError as error:
                self.lost(error)
                if delay > RETRY_FIRST and str(error) != told:  # the first was said, or healed at once
                    told = str(error)
                    log.warning("the database is still away", error=told)
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_LONGEST)

    def use(self, content: Content) -> None:
        """Other rules; they are bound at the next ``reload_directory``."""
        self._content, self._is_current = content, False

    async def reload_directory(self) -> Memory:
        """Read devices and places anew and bind the rules to them, where they have changed since that was done."""
        memory = await self.open()
        async with self.transaction() as connection:
            await connection.execute("SELECT")  # brings what was said until now
            if self._is_current:
                return memory
            self._is_current = True
            memory.directory = await load_directory(connection, self._content, memory.metrics)
            before, memory.rules = memory.rules, bind_rules(self._content, memory.directory)
            memory.state.history = await update_history(
                connection, memory.state.history, before, memory.rules
            )
        return memory

    async def reload_windows(self) -> None:
        """Read anew what the windows of the rules reach: values from the past were stored."""
        memory = await self.open()
        async with self.transaction() as connection:
            memory.state.history = await load_history(connection, memory.rules)

    def lost(self, error: DatabaseUnavailableError) -> None:
        """The database went away: the memory is void until ``open`` has read it back.

        Whoever listens opens it again, also where nobody else would: after a tick, with no uplink coming.
        """
        if self.memory is not None:
            log.warning("database lost; nothing is acknowledged until it is back", error=str(error))
            self._on_notify("disconnected")
        self._drop()

    def _drop(self) -> None:
        connection, self._connection, self.memory = self._connection, None, None
        if connection is not None:
            connection.terminate()
        self._metrics.database_up.set(0)

    async def close(self) -> None:
        async with self.turn:
            self._drop()
