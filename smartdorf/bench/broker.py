"""The broker of a benchmark: mosquitto where it is installed, on a free port of 127.0.0.1, else the embedded one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smartdorf.bench.machine import cpu_seconds, family
from smartdorf.embedded.broker import EmbeddedBroker
from smartdorf.errors import SmartdorfError
from smartdorf.i18n import gettext as _

START_TIMEOUT = 10.0  # seconds
_POLL = 0.02  # seconds
_SEARCHED = "/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/sbin"
_MIB = 1024 * 1024

# The queue holds the whole backlog of the benchmark, in memory only: what is measured is not mosquitto's disk.
_CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 0
max_inflight_messages 2000
log_dest none
"""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that runs. ``largest_backlog``: so many bytes it keeps for an absent client."""

    name: str
    port: int
    pids: tuple[int, ...]
    largest_backlog: int | None = None

    def cpu(self) -> float | None:
        return cpu_seconds(*self.pids) if self.pids else None


@contextmanager
def open_broker(folder: Path) -> Iterator[Broker]:
    """Start a broker; ``folder`` is for its settings."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:{_SEARCHED}")
    if program is None:
        before = set(family(os.getpid()))
        with EmbeddedBroker() as embedded:
            started = set(family(os.getpid())) - before
            # ten segments of 10 MiB, of which the oldest is dropped whole when a new one is needed
            yield Broker(_("embedded (rumqttd)"), embedded.port, tuple(started), 90 * _MIB)
        return
    port = free_port()
    config = folder / "mosquitto.conf"
    lines = _CONFIG.format(port=port) + ("user root\n" if os.geteuid() == 0 else "")
    config.write_text(lines)
    process = subprocess.Popen(  # noqa: S603 - the machine's own mosquitto, no shell
        [program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(process, port)
        yield Broker(_version(program), port, (process.pid,))
    finally:
        process.terminate()
        process.wait(START_TIMEOUT)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SmartdorfError(_("mosquitto is installed, but does not start.")) from None
            time.sleep(_POLL)
        else:
            return


def _version(program: str) -> str:
    """``mosquitto 2.0.11``; its help is where it says that."""
    shown = subprocess.run([program, "-h"], capture_output=True, text=True, check=False)  # noqa: S603 - as above
    return shown.stdout.partition("\n")[0].replace(" version", "") or "mosquitto"
