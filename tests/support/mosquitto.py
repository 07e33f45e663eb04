"""Debian's mosquitto as a private process: started on a free port of 127.0.0.1, stopped, killed, started again.

Also a plain publisher, so that tests need no second MQTT library, and throw-away certificates.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import mqtt5
import pytest
import trustme

# Debian's defaults lose messages (a queue of 1,000, 20 in flight); a broker for smartdorf is set up like this
_CONFIG = """\
listener {port} 127.0.0.1
max_queued_messages 0
max_inflight_messages 2000
log_dest file {folder}/mosquitto.log
"""


@dataclass(frozen=True)
class Certificates:
    """A certificate authority of our own, a broker's and a client's certificate from it."""

    ca: Path
    server: Path
    client: Path  # with its key in the same file
    client_key: Path

    @classmethod
    def make(cls, folder: Path, host: str = "127.0.0.1") -> Certificates:
        authority = trustme.CA()
        paths = cls(*(folder / name for name in ("ca.pem", "server.pem", "client.pem", "client.key")))
        authority.cert_pem.write_to_path(str(paths.ca))
        authority.issue_cert(host).private_key_and_cert_chain_pem.write_to_path(str(paths.server))
        client = authority.issue_cert("application@musterdorf.example", common_name="musterdorf")
        client.private_key_and_cert_chain_pem.write_to_path(str(paths.client))
        client.private_key_pem.write_to_path(str(paths.client_key))
        return paths


class Mosquitto:
    """One broker; ``options`` are lines for its configuration file."""

    def __init__(
        self,
        folder: Path,
        *,
        options: Sequence[str] = (),
        persistence: bool = True,
        users: dict[str, str] | None = None,
        certificates: Certificates | None = None,
        client_certificate_required: bool = False,
    ) -> None:
        self.folder = folder
        self.port = _free_port()
        lines = [_CONFIG.format(port=self.port, folder=folder)]
        if os.geteuid() == 0:
            lines.append("user root")  # else it changes to a user who may not read this folder
        if persistence:
            lines += ["persistence true", f"persistence_location {folder}/", "autosave_interval 1"]
        if users is None:
            lines.append("allow_anonymous true")
        else:
            passwords = folder / "passwords"
            passwords.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
            subprocess.run([_program("mosquitto_passwd"), "-U", passwords], check=True)
            lines += ["allow_anonymous false", f"password_file {passwords}"]
        if certificates is not None:
            lines += [
                f"cafile {certificates.ca}",
                f"certfile {certificates.server}",
                f"keyfile {certificates.server}",
            ]
            lines.append(f"require_certificate {str(client_certificate_required).lower()}")
        (folder / "mosquitto.conf").write_text("\n".join([*lines, *options, ""]))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start, again on the same port and folder, and wait until it listens."""
        self._process = subprocess.Popen(
            [_program("mosquitto"), "-c", self.folder / "mosquitto.conf"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = self.folder / "mosquitto.log"
                    raise RuntimeError(
                        f"mosquitto did not start: {log.read_text() if log.exists() else ''}"
                    ) from None
                time.sleep(0.01)
            else:
                return

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a power cut does."""
        self._end(signal.SIGKILL)

    def has_saved(self, text: bytes) -> bool:
        """Whether its file contains ``text``: it acknowledges a message before it has written it."""
        file = self.folder / "mosquitto.db"
        return file.exists() and text in file.read_bytes()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(timeout=10)


class Publisher:
    """A client that publishes and nothing else; also used as the stranger who takes a client id over."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = b""
        self._packet_ids = itertools.cycle(range(1, 65_536))
        self.window = 0

    @classmethod
    async def connect(cls, port: int, client_id: str = "", tls: ssl.SSLContext | None = None) -> Publisher:
        publisher = cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls))
        publisher._writer.write(
            mqtt5.ConnectPacket(client_id, clean_start=False, session_expiry_interval=600).write()
        )
        connack = await publisher._read()
        assert isinstance(connack, mqtt5.ConnAckPacket)
        assert connack.reason_code == mqtt5.ConnAckReasonCode.SUCCESS
        publisher.window = min(connack.receive_max, 1000)
        return publisher

    async def publish(self, topic: str, payloads: Iterable[bytes], qos: int = 1) -> None:
        """Return when the broker has acknowledged all of them."""
        remaining = iter(payloads)
        while chunk := list(itertools.islice(remaining, self.window)):
            self._writer.write(
                b"".join(
                    mqtt5.PublishPacket(
                        topic, payload, qos=mqtt5.QoS(qos), packet_id=next(self._packet_ids) if qos else None
                    ).write()
                    for payload in chunk
                )
            )
            await self._writer.drain()
            for _payload in chunk if qos else ():
                assert isinstance(await self._read(), mqtt5.PubAckPacket)

    async def close(self) -> None:
        self._writer.write(mqtt5.DisconnectPacket().write())
        self._writer.close()
        await self._writer.wait_closed()

    async def _read(self) -> mqtt5.Packet:
        while True:
            try:
                packet, size = mqtt5.read(memoryview(self._buffer))
            except IndexError:
                data = await self._reader.read(65_536)
                if not data:
                    raise ConnectionError("the broker closed the connection") from None
                self._buffer += data
            else:
                self._buffer = self._buffer[size:]
                return packet


async def publish(port: int, topic: str, payloads: Iterable[bytes], qos: int = 1) -> None:
    """Publish from a connection of its own."""
    publisher = await Publisher.connect(port)
    await publisher.publish(topic, payloads, qos)
    await publisher.close()


def _program(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    if path is None:
        pytest.fail(
            f"{name} is missing, and these tests need a real broker: apt-get install mosquitto", pytrace=False
        )
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
