"""Holding up the service inside its transaction, at a table of the test's choice."""

from __future__ import annotations

import asyncpg

from tests.support.postgres import Database
from tests.support.service import until
from tests.support.traffic import value


class Locks:
    """Locks tables as somebody's long transaction would: they can be read, and who writes there has to wait."""

    def __init__(self, database: Database, *tables: str) -> None:
        self._database = database
        self._tables = tables
        self._connections: dict[str, asyncpg.Connection] = {}

    async def __aenter__(self) -> Locks:
        for table in self._tables:
            connection = self._connections[table] = await asyncpg.connect(self._database.dsn)
            await connection.execute(f"BEGIN; LOCK TABLE {table} IN SHARE MODE")
        return self

    async def __aexit__(self, *_: object) -> None:
        for table in list(self._connections):
            await self.release(table)

    async def release(self, table: str) -> None:
        if (connection := self._connections.pop(table, None)) is not None:
            await connection.close()

    async def until_waiting(self, table: str) -> None:
        await self.until_somebody_waits(self._database, table)

    @staticmethod
    async def until_somebody_waits(database: Database, table: str) -> None:
        query = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = $1::regclass)"

        async def waiting() -> bool:
            return bool(await value(database, query, table))

        await until(waiting, f"somebody waits for table {table}")
