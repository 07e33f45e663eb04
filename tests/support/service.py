"""The service as a process of its own: ``smartdorf run`` with a settings file, started, watched, killed, started again.

Knows nothing of what is in the messages. Every run is held to what no fault excuses: no traceback in the log, no more
memory than promised, and an end in good order within the ten seconds that systemd and Docker give.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.support.postgres import Database

PROJECT = Path(__file__).parents[2]
MOST_MEMORY = 200  # MiB, whatever happens
STOP_WITHIN = 10.0  # seconds
START_WITHIN = 30.0  # seconds; about two are usual
SECRET = "a secret of the acceptance tests"
# whom the rules that ship tell; a receiver that a test gives stands in their place
RECEIVERS = ("bauhof", "it", "ordnungsamt", "wasserwerk")

# `smartdorf run`, with constants of it made shorter so that a test need not wait for minutes
_SHORTENED = """
import importlib, json, sys
for name, value in json.loads(sys.argv.pop(1)).items():
    module, _, constant = name.rpartition(".")
    module = importlib.import_module(module)
    assert hasattr(module, constant), name
    setattr(module, constant, value)
from smartdorf.cli.main import main
main()
"""


def through(proxy_port: int, database: Database) -> Database:
    """The same database, reached over a port of this machine."""
    parts = urlsplit(database.dsn)
    address = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{proxy_port}"
    return Database(urlunsplit(parts._replace(netloc=address)), database.profile)


class ServiceProcess:
    """``async with ServiceProcess(…) as service``: runs and is ready. ``folder`` holds its settings and its log.

    ``receivers``: webhook URLs by name. ``rules``: text of a rule file of the village. ``shortened``: constants of
    smartdorf by dotted name, e.g. a timeout of a minute that would else make the test last one.
    """

    def __init__(
        self,
        folder: Path,
        database: Database,
        broker_port: int,
        *,
        receivers: Mapping[str, str] | None = None,
        rules: str = "",
        shortened: Mapping[str, float] | None = None,
    ) -> None:
        self.folder = folder
        self.config = folder / "smartdorf.toml"
        self.peak_memory = 0.0  # MiB, over all runs
        self._log = folder / "smartdorf.log"
        self._log_start = 0  # of the present run
        self._shortened = shortened
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rules").mkdir(exist_ok=True)
        if rules:
            (folder / "rules" / "village.yaml").write_text(rules, encoding="utf-8")
        (folder / "secret").write_text(SECRET, encoding="utf-8")
        self.config.write_text(_settings(database, broker_port, receivers or {}), encoding="utf-8")

    # -- life -----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._process is not None:
                await self.stop()
            if error is None:
                self.check_conduct()
        except BaseException as failed:
            error = failed
            raise
        finally:
            self.kill()
            if error is not None:
                error.add_note(f"last lines of the service's log:\n{self.tail()}")

    async def start(self, *, ready: bool = True) -> None:
        """Start, again with the same settings; returns when it is ready, or as soon as it serves its pages."""
        assert self._process is None, "it runs already"
        self._log.touch()
        self._log_start = self._log.stat().st_size
        self._process = self._launch()
        await until(lambda: self.logged("service starts"), "the service starts", START_WITHIN, self._alive)
        if ready:
            await self.until_ready()

    def kill(self) -> None:
        """End it at once, as a power cut does (SIGKILL)."""
        if self._process is not None:
            self._end(signal.SIGKILL)

    async def stop(self) -> float:
        """Ask it to end (SIGTERM); returns the seconds that it took, at most ten, with exit code 0."""
        started = time.monotonic()
        process = self._running
        self._note_memory()
        process.terminate()
        code = await asyncio.to_thread(_wait, process)
        took = time.monotonic() - started
        assert code is not None, f"still running {STOP_WITHIN} s after SIGTERM"
        assert code == 0, f"ended with exit code {code}"
        self._process = None
        return took

    async def exit_code(self, seconds: float = START_WITHIN) -> int:
        """Wait until it ends by itself."""
        process = self._running
        await until(lambda: process.poll() is not None, "the service ends by itself", seconds)
        self._process = None
        return process.returncode

    @property
    def pid(self) -> int:
        return self._running.pid

    # -- what it says ---------------------------------------------------------------------------------------

    @property
    def log(self) -> list[dict[str, Any]]:
        """What the present (or last) run has logged; a line that is no JSON stands under ``stray``."""
        return _entries(self._log.read_bytes()[self._log_start :])

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [entry for entry in self.log if entry.get("event") == event]

    def tail(self, lines: int = 25) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    @property
    def url(self) -> str:
        return str(self.logged("service starts")[-1]["web"])

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return response.status, await response.text()

    async def until_ready(self, seconds: float = START_WITHIN) -> None:
        async def ready() -> bool:
            status, _text = await self.get("/readyz")
            return status == 200

        await until(ready, "/readyz says ready", seconds, self._alive)

    async def metrics(self) -> dict[str, float]:
        """Values by name; labels are added as ``name{label="value"}``, sorted by label."""
        _status, page = await self.get("/metrics")
        values = {}
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
                values[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return values

    async def metric(self, name: str) -> float:
        return (await self.metrics()).get(name, 0.0)

    def check_conduct(self) -> None:
        """What no fault excuses."""
        everything = _entries(self._log.read_bytes())
        strange = [entry for entry in everything if "stray" in entry or "exception" in entry]
        assert not strange, f"the log holds what is no structured line: {strange[:3]}"
        print(f"memory of the service at its peak: {self.peak_memory:.0f} MiB")
        assert self.peak_memory <= MOST_MEMORY, f"{self.peak_memory:.0f} MiB at the peak"

    # -- commands beside it ---------------------------------------------------------------------------------

    async def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``smartdorf ARGUMENTS --config …`` beside the service; output as text, any exit code."""
        return await asyncio.to_thread(
            subprocess.run,
            self._command(*arguments),
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    # -- inside ---------------------------------------------------------------------------------------------

    def _command(self, *arguments: str) -> Sequence[str]:
        options = [*arguments, "--config", str(self.config)]
        if self._shortened is None:
            return [sys.executable, "-m", "smartdorf", *options]
        return [sys.executable, "-c", _SHORTENED, json.dumps(dict(self._shortened)), *options]

    def _launch(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command("run"), cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the service does not run"
        return self._process

    def _alive(self) -> None:
        if self._process is not None and (code := self._process.poll()) is not None:
            raise AssertionError(f"the service ended with exit code {code}:\n{self.tail()}")

    def _end(self, how: signal.Signals) -> None:
        process = self._running
        self._note_memory()
        process.send_signal(how)
        process.wait(timeout=10)
        self._process = None

    def _note_memory(self) -> None:
        try:
            status = Path(f"/proc/{self._running.pid}/status").read_text()
        except OSError:  # gone already, or not Linux
            return
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                self.peak_memory = max(self.peak_memory, int(line.split()[1]) / 1024)


async def until(
    condition: Callable[[], Any],
    what: str,
    seconds: float = 60.0,
    check: Callable[[], None] = lambda: None,
) -> Any:
    """Wait until ``condition``, which may be asynchronous, gives something true, and return that.

    Fails saying what did not happen. ``check`` may raise where waiting has become pointless.
    """
    deadline = time.monotonic() + seconds
    while True:
        check()
        found = condition()
        value = await found if isinstance(found, Awaitable) else found
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds:g} s: {what} (last seen: {value!r})")
        await asyncio.sleep(0.03)


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(timeout=STOP_WITHIN)
    except subprocess.TimeoutExpired:
        return None


def _entries(log: bytes) -> list[dict[str, Any]]:
    entries = []
    for line in log.decode(errors="replace").splitlines(keepends=True):
        if not line.endswith("\n"):  # being written at this moment, or cut off by a kill
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            entry = line
        entries.append(entry if isinstance(entry, dict) else {"stray": line})
    return entries


def _settings(database: Database, broker_port: int, webhooks: Mapping[str, str]) -> str:
    lines = [
        "[database]",
        f'dsn = "{database.dsn}"',
        f'profile = "{database.profile}"',
        "[[mqtt]]",
        'name = "village"',
        'host = "127.0.0.1"',
        f"port = {broker_port}",
        'client_id = "smartdorf-acceptance"',
        "keep_alive_seconds = 5",
        "[web]",
        "port = 0",
        "[content]",
        'rules = ["rules"]',
    ]
    for name in sorted({*RECEIVERS, *webhooks}):
        lines.append(f"[receivers.{name}]")
        if name in webhooks:
            lines += ['type = "webhook"', f'url = "{webhooks[name]}"', 'secret_file = "secret"']
        else:
            lines.append('type = "log"')
    return "\n".join([*lines, ""])
