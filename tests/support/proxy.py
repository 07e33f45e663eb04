"""A TCP proxy on loopback that behaves like a bad network: it stalls, cuts and delays connections."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Proxy:
    """``async with Proxy(port) as proxy``: connect to ``proxy.port`` instead."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.accepted = 0
        self.delay = 0.0  # seconds that each piece of data takes, in both directions
        self._target = target
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._stalled: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        if self._relays:
            await asyncio.wait(self._relays)

    def stall(self) -> None:
        """From now on swallow what the present connections send, in both directions, and close nothing."""
        self._stalled |= self._writers

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        for source, target in ((reader, far_writer), (far_reader, writer)):
            relay = asyncio.create_task(self._relay(source, target))
            self._relays.add(relay)
            relay.add_done_callback(self._relays.discard)

    async def _relay(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if target not in self._stalled:
                    target.write(data)
                    await target.drain()
        except ConnectionError:
            pass
        finally:
            if target not in self._stalled:
                target.close()
                self._writers.discard(target)
