"""What deploy/ configures, in the programs themselves: the broker, the proxy, systemd; and `smartdorf init`."""

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest
import trustme

from smartdorf import setup
from smartdorf.simulate.ledger import Message
from smartdorf.simulate.publish import publish
from tests.integration.test_cli import run
from tests.integration.test_mqtt import connected, connection_to, payloads, running
from tests.integration.test_notify_receivers import closed_port
from tests.support.mosquitto import Mosquitto

DEPLOY = Path(__file__).parents[2] / "deploy"
TOPIC = "application/7f2c1a/device/24e124136c012345/event/up"


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    assert found is not None, f"apt-get install {name}"
    return found


# -- the broker -----------------------------------------------------------------------------------------------


class DeployedBroker(Mosquitto):
    """With deploy/mosquitto, on a free port and folders of the test; ``secrets``: the users' passwords."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, persistence=False)
        setup.write(setup.container_files(folder, setup.Answers("mosquitto", 1883, False)), None)
        self.secrets = {
            user: (folder / "secrets" / name).read_text().strip()
            for user, name in (
                ("smartdorf", "mqtt"),
                ("chirpstack", "mqtt_chirpstack"),
                ("gateway", "mqtt_gateway"),
            )
        }
        text = (DEPLOY / "mosquitto" / "mosquitto.conf").read_text()
        for theirs, ours in (
            ("listener 1883", f"listener {self.port} 127.0.0.1"),
            ("/run/secrets/mosquitto_passwd", f"{folder}/secrets/mosquitto_passwd"),
            ("/mosquitto/config/acl", f"{DEPLOY}/mosquitto/acl"),
            ("/mosquitto/data/", f"{folder}/"),
            ("log_dest stdout", f"log_dest file {folder}/mosquitto.log"),
        ):
            assert theirs in text
            text = text.replace(theirs, ours)
        (folder / "mosquitto.conf").write_text(text + ("user root\n" if os.geteuid() == 0 else ""))

    async def send(self, user: str, topic: str, contents: list[bytes]) -> None:
        now = datetime.now(UTC)
        messages = [Message(topic, content, now) for content in contents]
        await publish(
            messages,
            host="127.0.0.1",
            port=self.port,
            username=user,
            password=self.secrets[user],
            client_id=user,
        )


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[DeployedBroker]:
    with DeployedBroker(tmp_path) as broker:
        yield broker


async def test_what_comes_while_smartdorf_is_away_is_all_there_also_after_a_power_cut(broker: DeployedBroker):
    connection = connection_to(broker.port, username="smartdorf", password=broker.secrets["smartdorf"])
    async with running(connection) as consumer:
        await connected(consumer)
    sent = payloads(5000)  # five times what a broker keeps by default
    await broker.send("chirpstack", TOPIC, sent)
    async with asyncio.timeout(30):  # it saves every five seconds
        while not broker.has_saved(sent[-1]):
            await asyncio.sleep(0.1)
    broker.kill()
    broker.start()
    async with running(connection) as consumer:
        assert sorted(await consumer.commit(5000)) == sorted(sent)


async def test_who_has_no_password_stays_outside_and_who_has_one_keeps_to_his_topics(broker: DeployedBroker):
    for password in (None, "guess"):
        async with running(connection_to(broker.port, username="smartdorf", password=password)) as stranger:
            async with asyncio.timeout(10):
                while stranger.source.state.detail is None:
                    await asyncio.sleep(0.01)
            assert not stranger.source.state.connected
    topics = tuple(tomllib.loads((DEPLOY / "smartdorf.example.toml").read_text())["mqtt"][0]["topics"])
    connection = connection_to(
        broker.port, username="smartdorf", password=broker.secrets["smartdorf"], topics=topics
    )
    async with running(connection) as consumer:
        await connected(consumer)
        await broker.send("gateway", TOPIC, [b"from a gateway"])
        await broker.send("gateway", "eu868/gateway/0016c001ff10a235/event/up", [b"a frame"])
        await broker.send("chirpstack", TOPIC, [b"from chirpstack"])
        await broker.send("gateway", "eu868/gateway/0016c001ff10a235/event/stats", [b"stats"])
        assert sorted(await consumer.commit(2)) == [b"from chirpstack", b"stats"]


# -- the proxy ------------------------------------------------------------------------------------------------


class Grafana(BaseHTTPRequestHandler):
    """Stands for Grafana: says what reached it."""

    seen: ClassVar[list[tuple[str, str, str]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path, self.headers.get("Cookie", "")))
        self.send_response(200)
        self.send_header("Set-Cookie", "session=1")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(f"{self.command} {self.path}".encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Door:
    port: int
    context: ssl.SSLContext

    def __call__(self, path: str, data: bytes | None = None, **headers: str) -> tuple[int, str, str | None]:
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", data, headers)
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=10) as answer:
                return answer.status, answer.read().decode(), answer.headers["Set-Cookie"]
        except urllib.error.HTTPError as error:
            return error.code, "", None


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """The real nginx with deploy/nginx, before a stand-in for Grafana."""
    Grafana.seen.clear()
    grafana = HTTPServer(("127.0.0.1", 0), Grafana)
    Thread(target=grafana.serve_forever, daemon=True).start()
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "fullchain.pem").write_bytes(b"".join(p.bytes() for p in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(tmp_path / "tls" / "privkey.pem")
    port = closed_port()
    text = (DEPLOY / "nginx" / "nginx.conf").read_text()
    for theirs, ours in (
        ("/tmp/", f"{tmp_path}/"),
        ("listen 8443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("127.0.0.1:8081", f"127.0.0.1:{closed_port()}"),
        ("http://grafana:3000", f"http://127.0.0.1:{grafana.server_port}"),
        ("/etc/nginx/tls", f"{tmp_path}/tls"),
    ):
        assert theirs in text
        text = text.replace(theirs, ours)
    (tmp_path / "nginx.conf").write_text(("user root;\n" if os.geteuid() == 0 else "") + text)
    process = subprocess.Popen(
        [program("nginx"), "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path), "-g", "daemon off;"]
    )
    context = ssl.create_default_context()
    authority.configure_trust(context)
    opened = Door(port, context)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                opened("/")
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield opened
    finally:
        process.terminate()
        process.wait(10)
        grafana.shutdown()
        grafana.server_close()


def test_public_dashboards_pass_and_nothing_else(door: Door):
    assert door("/public-dashboards/abc")[:2] == (200, "GET /public-dashboards/abc")
    assert door("/public/build/app.js")[0] == 200
    assert door("/api/public/dashboards/abc/panels/2/query", b"{}")[0] == 200
    for path in (
        "/", "/login", "/api/dashboards/home", "/api/admin/settings", "/metrics", "/d/abc", "/apis/x", "/readyz",
        "/public-dashboards/../login", "/public-dashboards/%2e%2e/api/admin/settings", "/public/build/../../login",
    ):  # fmt: skip
        assert door(path)[0] in (400, 404), path
    assert door("/public-dashboards/abc", b"x")[0] == 403
    assert {path for _method, path, _cookie in Grafana.seen} == {
        "/public-dashboards/abc", "/public/build/app.js", "/api/public/dashboards/abc/panels/2/query",
    }  # fmt: skip


def test_a_thousand_readers_are_one_for_the_database_and_bring_no_session(door: Door):
    answers = {door("/public-dashboards/abc", Cookie="grafana_session=admin") for _reader in range(20)}
    assert answers == {(200, "GET /public-dashboards/abc", None)}
    assert Grafana.seen == [("GET", "/public-dashboards/abc", "")]
    query = "/api/public/dashboards/abc/panels/2/query"
    for body in (b'{"from": 1}', b'{"from": 1}', b'{"from": 2}'):
        assert door(query, body)[0] == 200
    assert len(Grafana.seen) == 3  # two different questions


# -- systemd --------------------------------------------------------------------------------------------------


def test_systemd_takes_the_units(tmp_path: Path):
    units = []
    for file in (DEPLOY / "systemd").glob("*.[st][ei][rm]*"):
        if file.suffix not in (".service", ".timer"):
            continue
        text = file.read_text().replace("/opt/smartdorf/bin/smartdorf", "/bin/true")
        (tmp_path / file.name).write_text(text)
        units.append(str(tmp_path / file.name))
    assert len(units) == 5
    done = subprocess.run(
        [program("systemd-analyze"), "verify", "--recursive-errors=no", *units],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "smartdorf" in line]
    assert complaints == []
    assert done.returncode == 0, done.stderr
    (tmp_path / "bad.service").write_text(
        "[Service]\nExecStart=/bin/true\nRestrt=always\n"
    )  # the check can fail
    done = subprocess.run(
        [program("systemd-analyze"), "verify", str(tmp_path / "bad.service")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "Restrt" in done.stderr


# -- init -----------------------------------------------------------------------------------------------------


def test_init_writes_what_check_understands_and_says_what_comes_next(tmp_path: Path):
    done = run(tmp_path, "init", "--folder", ".", "--mqtt-host", "127.0.0.1")
    assert done.returncode == 0, done.stderr
    secret = (tmp_path / "secrets" / "database").read_text().strip()
    assert secret not in done.stdout + done.stderr
    for words in ("createdb --owner smartdorf", "mosquitto_passwd", "smartdorf db migrate"):
        assert words in done.stdout
    checked = run(tmp_path, "check")
    assert "Traceback" not in checked.stdout + checked.stderr
    assert "database: The database cannot be reached" in checked.stdout  # the settings themselves are fine
    again = run(tmp_path, "init", "--folder", ".", "--mqtt-host", "elsewhere")
    assert again.stdout.count("kept ") == 3
    assert "made " not in again.stdout
    assert "elsewhere" not in (tmp_path / "smartdorf.toml").read_text()


def test_init_asks_nobody_where_nobody_is_and_says_where_it_may_not_write(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "smartdorf", "init", "--folder", "x"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert (done.returncode, "add --mqtt-host or --yes" in done.stderr) == (2, True), done.stderr
    (tmp_path / "file").write_text("")
    done = run(tmp_path, "init", "--folder", "file", "--yes")
    assert (done.returncode, "cannot be written" in done.stderr) == (2, True), done.stderr
