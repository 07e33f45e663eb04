"""A receiver of notifications at the far end of a webhook, which can be away, in trouble, or slow to answer."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from aiohttp import web


class WebhookServer:
    """``async with WebhookServer() as server``: keeps what it was told at ``server.url``."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []  # webhook-id and content, also of refused attempts
        self.status = 204
        self.answers = asyncio.Event()  # until it is set, nobody gets an answer
        self.answers.set()
        self.url = ""
        self._port = 0
        self._runner: web.AppRunner | None = None

    @property
    def ids(self) -> list[str]:
        return [number for number, _content in self.told]

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.answers.set()
        await self.close()

    async def open(self) -> None:
        """Listen, again on the same port."""
        app = web.Application()
        app.router.add_post("/told", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}/told"

    async def close(self) -> None:
        """From now on connections are refused."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.Response:
        self.told.append((request.headers["webhook-id"], json.loads(await request.read())))
        await self.answers.wait()
        return web.Response(status=self.status)
