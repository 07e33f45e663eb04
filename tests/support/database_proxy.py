"""A bad network between the service and its database: the proxy of ``proxy.py``, which also knows a COMMIT.

Knows of PostgreSQL's protocol what the simple query ``COMMIT;`` of asyncpg and its answer look like.
"""

from __future__ import annotations

import asyncio
from typing import Literal, Self
from urllib.parse import urlsplit

from tests.support.postgres import Database
from tests.support.proxy import Proxy
from tests.support.service import through

COMMIT = b"Q\x00\x00\x00\x0cCOMMIT;\x00"
COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"


class DatabaseProxy(Proxy):
    """``async with DatabaseProxy(database) as proxy``: the service uses ``proxy.database``."""

    def __init__(self, database: Database) -> None:
        super().__init__(urlsplit(database.dsn).port or 5432)
        self._real = database
        self._to_cut: list[Literal["answer", "commit"]] = []
        self.cuts = 0

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        return self

    @property
    def database(self) -> Database:
        return through(self.port, self._real)

    def cut_at_commits(self, *what: Literal["answer", "commit"]) -> None:
        """Cut all connections at each of the next commits: when its answer comes, or before it is sent on.

        Whoever asked for the commit sees the same in both cases, and only the database knows better.
        """
        self._to_cut += what

    @property
    def armed(self) -> bool:
        return bool(self._to_cut)

    def passes(self, data: bytes) -> bool:
        """Whether these bytes go on; else all connections are cut."""
        if self._to_cut and (COMMITTED if self._to_cut[0] == "answer" else COMMIT) in data:
            del self._to_cut[0]
            self.cuts += 1
            self.cut()
            return False
        return True

    async def _relay(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        await super()._relay(_Watched(source, self), target)


class _Watched(asyncio.StreamReader):
    """A stream that ends where the proxy says so."""

    def __init__(self, source: asyncio.StreamReader, proxy: DatabaseProxy) -> None:
        super().__init__()
        self._source = source
        self._proxy = proxy

    async def read(self, n: int = -1) -> bytes:
        data = await self._source.read(n)
        return data if self._proxy.passes(data) else b""
