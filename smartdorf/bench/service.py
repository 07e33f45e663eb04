"""The service under test: `smartdorf run` as a process of its own, with settings made for it.

Its memory and its processor time are therefore its own. What it does is asked of its own web server.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from smartdorf.app import load_content
from smartdorf.bench.broker import free_port
from smartdorf.bench.machine import cpu_seconds, peak_memory_mb
from smartdorf.bench.village import write_content
from smartdorf.config.settings import ENVIRONMENT_PREFIX, Settings, load_settings
from smartdorf.db.migrate import Profile
from smartdorf.errors import SmartdorfError
from smartdorf.i18n import gettext as _

READY_TIMEOUT = 60.0  # seconds; a start takes about two
STOP_TIMEOUT = 15.0  # seconds; the service itself gives up after ten
SOURCE = "bench"
_POLL = 0.05  # seconds
_CAUGHT_UP = f'smartdorf_source_caught_up{{source="{SOURCE}"}}'

_SETTINGS = """\
[database]
dsn = {dsn}
profile = {profile}
[[mqtt]]
name = "bench"
host = "127.0.0.1"
port = {broker_port}
client_id = "smartdorf-bench"
[web]
port = {web_port}
[content]
decoders = ["decoders"]
rules = ["rules"]
[log]
level = "error"
"""


def write_settings(folder: Path, *, dsn: str, profile: Profile, broker_port: int) -> Settings:
    """Write smartdorf.toml and the benchmark's content; every receiver that a rule names is the log."""
    text = _SETTINGS.format(
        dsn=json.dumps(dsn), profile=json.dumps(profile), broker_port=broker_port, web_port=free_port()
    )
    write_content(folder)
    file = folder / "smartdorf.toml"
    file.write_text(text, encoding="utf-8")
    rules = load_content(load_settings(file)).rules.rules
    file.write_text(text + _receivers({name for rule in rules for name in rule.notify}), encoding="utf-8")
    return load_settings(file)


def _receivers(names: Iterable[str]) -> str:
    return "".join(f'[receivers.{json.dumps(name)}]\ntype = "log"\n' for name in sorted(names))


class RunningService:
    """A process that runs. Made by ``run_service``."""

    def __init__(self, process: subprocess.Popen[bytes], session: aiohttp.ClientSession) -> None:
        self._process = process
        self._session = session

    def cpu(self) -> float | None:
        return cpu_seconds(self._process.pid)

    def peak_memory_mb(self) -> int | None:
        return peak_memory_mb(self._process.pid)

    async def committed(self) -> int:
        """Messages that were committed, one way or another, since its start; 0 while it starts."""
        return int(await self._metric("smartdorf_batch_messages_sum"))

    async def caught_up(self) -> None:
        """Return when everything is open and the broker has nothing more for it."""

        async def caught_up() -> bool:
            return await self._metric(_CAUGHT_UP) == 1

        await self.until(caught_up)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + READY_TIMEOUT
        while not await condition():
            if time.monotonic() > deadline:
                raise SmartdorfError(_("The service under test is not ready after a minute."))
            await asyncio.sleep(_POLL)

    async def _metric(self, name: str) -> float:
        if self._process.poll() is not None:
            raise SmartdorfError(_("The service under test has stopped by itself."))
        try:
            async with self._session.get("/metrics") as response:
                text = await response.text()
        except aiohttp.ClientConnectionError:  # it does not listen yet
            return 0.0
        values = (line for line in text.splitlines() if line.startswith(f"{name} "))
        return float(next(values, "0").rpartition(" ")[2])


@asynccontextmanager
async def run_service(settings: Settings, folder: Path) -> AsyncIterator[RunningService]:
    """Start `smartdorf run` with the settings in ``folder``; on exit it is stopped as systemd would do it."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)
    }
    command = [sys.executable, "-m", "smartdorf", "run", "--config", str(folder / "smartdorf.toml")]
    log = folder / "service.log"
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603, ASYNC220 - ourselves; starting it takes a millisecond
            command, stdout=output, stderr=output, env=environment, cwd=folder
        )
    web = f"http://{settings.web.host}:{settings.web.port}"
    try:
        async with aiohttp.ClientSession(web) as session:
            yield RunningService(process, session)
    except SmartdorfError as error:
        lines = log.read_text(errors="replace").splitlines()[-5:]
        raise SmartdorfError("\n".join([str(error), *lines])) from error
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
