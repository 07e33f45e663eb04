"""An MQTT 5 broker of our own for the demo, from the `iotcore` wheel (rumqttd, written in Rust).

Owns: the broker's configuration and its process. Knows nothing of topics or messages. It is for trying out:
what it keeps for an absent client lives in memory only, so a village runs mosquitto.

The broker cannot be stopped from within, so it has a process of its own, which ends when its standard input
is closed: by us, or by the system when we are gone.
"""

from __future__ import annotations

import atexit
import importlib.util
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from types import TracebackType
from typing import Self

from smartdorf.errors import SmartdorfError
from smartdorf.i18n import gettext as _

START_TIMEOUT = 20.0  # seconds; about 0.3 are usual
_POLL = 0.02  # seconds

# rumqttd keeps the messages of a topic filter in segments and forgets the oldest one when it has too many:
# 10 segments of 10 MiB are the longest backlog of an absent client. A segment has to hold the largest message.
_CONFIG = """\
id = 0

[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 1000
max_segment_size = 10485760
max_segment_count = 10

[v5.1]
name = "v5"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 0

[v5.1.connections]
connection_timeout_ms = 5000
max_payload_size = 4194304
max_inflight_count = 1000
dynamic_filters = true
"""


class EmbeddedBroker:
    """One broker on 127.0.0.1; a context manager, started on entry and stopped on exit."""

    def __init__(self, port: int | None = None) -> None:
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        assert self._port is not None, "known once started"
        return self._port

    def start(self) -> str:
        """Start the broker and wait until it takes connections; its URL. Raises SmartdorfError."""
        if self._process is not None:
            return self.url
        if importlib.util.find_spec("iotcore") is None:
            raise SmartdorfError(
                _(
                    "There is no embedded MQTT broker for this machine: `pip install iotcore` brings it on Linux, "
                    "macOS and Windows; elsewhere install mosquitto and name it under [[mqtt]]."
                )
            )
        self._port = self._port or _free_port()
        if _listens(self._port):
            raise SmartdorfError(_("Port {port} is in use by another program.").format(port=self._port))
        self._process = subprocess.Popen(  # noqa: S603 - this very module
            [sys.executable, "-m", __name__, _CONFIG.format(port=self._port)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is for us; we stop the broker when we are done
        )
        atexit.register(self.stop)
        deadline = time.monotonic() + START_TIMEOUT
        while not _listens(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise SmartdorfError(
                    _("The embedded MQTT broker does not start; is port {port} in use?").format(
                        port=self._port
                    )
                )
            time.sleep(_POLL)
        return self.url

    def stop(self) -> None:
        """Stop the broker; what it had queued is gone. Safe to call twice."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _serve(config: str) -> None:
    """The child process: run the broker until our parent closes our standard input."""
    from iotcore import IotCoreBroker  # noqa: PLC0415 - the parent only needs to know that it exists

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(0)  # the broker has no way to stop

    threading.Thread(target=end_with_parent, daemon=True).start()
    # rumqttd reports every packet as an error span
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(config)
        file.flush()
        broker = IotCoreBroker(config_path=file.name)  # has read it; nobody would delete it at our end
    broker.run_forever()


if __name__ == "__main__":
    _serve(sys.argv[1])
