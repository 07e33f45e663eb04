"""The simulator's publisher against a real mosquitto, and against a broker that breaks off."""

import asyncio
import contextlib
import getpass
import json
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mqtt5
import pytest
import typer
from typer.testing import CliRunner

from smartdorf.cli import simulate as command_module
from smartdorf.clock import Clock
from smartdorf.simulate import Faults, Ledger, Message, Village, simulate
from smartdorf.simulate.publish import BrokerError, Published, publish

START = datetime(2026, 5, 4, tzinfo=UTC)
MOSQUITTO = shutil.which(
    "mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/sbin"
)

needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def _mosquitto(folder: Path, *settings: str) -> Iterator[int]:
    assert MOSQUITTO is not None
    port = _free_port()
    config = folder / "mosquitto.conf"
    # started by root it would become another user, who may not read the test's folder
    own = [f"user {getpass.getuser()}", f"listener {port} 127.0.0.1", "max_queued_messages 0"]
    config.write_text("\n".join([*own, *settings, ""]))
    process = subprocess.Popen([MOSQUITTO, "-c", config], stderr=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, "mosquitto did not start"
        yield port
    finally:
        process.terminate()
        process.wait()


@contextlib.asynccontextmanager
async def _subscriber(port: int) -> AsyncIterator[asyncio.Queue[mqtt5.PublishPacket]]:
    """Everything that the broker delivers, acknowledged at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(mqtt5.ConnectPacket("listener", clean_start=True).write())
    everything = mqtt5.TopicFilter("#", max_qos=mqtt5.QoS.AT_LEAST_ONCE)
    writer.write(mqtt5.SubscribePacket(1, [everything]).write())
    received: asyncio.Queue[mqtt5.PublishPacket] = asyncio.Queue()
    subscribed = asyncio.Event()

    async def listen() -> None:
        async for packet in _packets(reader):
            if isinstance(packet, mqtt5.SubAckPacket):
                subscribed.set()
            elif isinstance(packet, mqtt5.PublishPacket):
                received.put_nowait(packet)
                assert packet.packet_id is not None
                writer.write(mqtt5.PubAckPacket(packet.packet_id).write())

    listening = asyncio.create_task(listen())
    await subscribed.wait()
    yield received
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    writer.close()
    await writer.wait_closed()


async def _packets(reader: asyncio.StreamReader) -> AsyncIterator[mqtt5.Packet]:
    buffer = b""
    while more := await reader.read(65_536):
        buffer += more
        with contextlib.suppress(IndexError):
            while buffer:
                packet, size = mqtt5.read(memoryview(buffer))
                buffer = buffer[size:]
                yield packet


def _messages(count: int = 1500, ledger: Ledger | None = None, **faults: float) -> list[Message]:
    village = Village.build(1, start=START)
    return list(simulate(village, Faults(**faults), seed=4, count=count, encoding="mixed", ledger=ledger))


@needs_mosquitto
async def test_broker_delivers_exactly_what_the_ledger_says(tmp_path):
    ledger = Ledger()
    messages = _messages(ledger=ledger, duplicates=0.1, garbage=0.3, lost=0.1)
    assert ledger.garbage["too_large"] > 0
    with _mosquitto(tmp_path, "allow_anonymous true") as port:
        async with _subscriber(port) as received:
            result = await publish(messages, host="127.0.0.1", port=port)
            packets = [await received.get() for _ in messages]
            assert received.empty()
    assert result == Published(acknowledged=ledger.published, refused=0)
    # mosquitto keeps the order of one publisher
    assert [(packet.topic, packet.payload) for packet in packets] == [(m.topic, m.payload) for m in messages]
    assert all(packet.qos == mqtt5.QoS.AT_LEAST_ONCE for packet in packets)
    assert not any(packet.retain for packet in packets)


@needs_mosquitto
async def test_message_too_large_for_the_broker_is_counted_and_the_others_arrive(tmp_path):
    ledger = Ledger()
    messages = _messages(ledger=ledger, garbage=0.5)
    huge = ledger.garbage["too_large"]
    assert huge > 0
    with _mosquitto(tmp_path, "allow_anonymous true", "max_packet_size 500000") as port:
        result = await publish(messages, host="127.0.0.1", port=port)
    assert result == Published(acknowledged=len(messages) - huge, refused=huge)


@pytest.fixture
def passwords(tmp_path) -> Path:
    path = tmp_path / "passwords"
    path.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", path, "village", "geheim"], check=True)
    return path


@needs_mosquitto
async def test_broker_that_wants_a_password_gets_it(tmp_path, passwords):
    with _mosquitto(tmp_path, "allow_anonymous false", f"password_file {passwords}") as port:
        at = {"host": "127.0.0.1", "port": port, "username": "village"}
        result = await publish(_messages(20), password="geheim", **at)
        assert result.acknowledged == 20
        with pytest.raises(BrokerError, match="refuses the connection: NOT_AUTHORIZED"):
            await publish(_messages(20), password="falsch", **at)


async def test_missing_broker_is_said_in_one_sentence():
    port = _free_port()
    with pytest.raises(BrokerError, match=f"no MQTT 5 broker answers at 127.0.0.1:{port}"):
        await publish(_messages(1), host="127.0.0.1", port=port)


async def test_nothing_is_lost_when_the_broker_breaks_off_again_and_again():
    messages = _messages(600)
    arrived: Counter[bytes] = Counter()
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Accepts 150 messages of a connection, acknowledges every second one, then hangs up."""
        nonlocal connections
        connections += 1
        taken = 0
        async for packet in _packets(reader):
            if isinstance(packet, mqtt5.ConnectPacket):
                writer.write(mqtt5.ConnAckPacket(receive_max=100).write())
            elif isinstance(packet, mqtt5.PublishPacket):
                taken += 1
                arrived[packet.payload] += 1
                if taken % 2 == 0 or connections > 4:
                    writer.write(mqtt5.PubAckPacket(packet.packet_id).write())
                if taken == 150 and connections <= 4:
                    break
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        result = await publish(messages, host="127.0.0.1", port=port)
    assert connections == 5
    assert result == Published(acknowledged=600, refused=0)
    assert set(arrived) == {message.payload for message in messages}


@needs_mosquitto
async def test_messages_wait_for_their_time_on_the_clock(tmp_path):
    village = Village.build(1, start=START)
    messages = list(simulate(village, until=START + timedelta(minutes=20)))
    clock = Clock(start=START, speed=2400)  # twenty minutes in half a second
    early = []

    def see(sent: int) -> None:
        if clock.now() < messages[sent - 1].at:
            early.append(messages[sent - 1])

    with _mosquitto(tmp_path, "allow_anonymous true") as port:
        await publish(messages, host="127.0.0.1", port=port, clock=clock, on_progress=see)
    assert not early
    assert messages[-1].at <= clock.now() < START + timedelta(hours=2)


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(command_module.simulate)
    return app


@needs_mosquitto
def test_command_says_what_it_sent(tmp_path, command):
    with _mosquitto(tmp_path, "allow_anonymous true") as port:
        arguments = ["--port", str(port), "--speed", "0", "--count", "400", "--duplicates", "0.1", "--json"]
        result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    sent = json.loads(result.stdout)
    assert sent["published"] == sent["acknowledged"] == 400
    assert sent["duplicates"] > 10


@needs_mosquitto
def test_interrupted_command_says_what_it_sent_so_far(tmp_path):
    with _mosquitto(tmp_path, "allow_anonymous true") as port:
        code = (
            "import typer; from smartdorf.cli.simulate import simulate;"
            "app = typer.Typer(); app.command()(simulate); app()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, "--port", str(port), "--devices", "1500", "--json"],
            stdout=subprocess.PIPE,
        )
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(mqtt5.ConnectPacket("watcher", clean_start=True).write())
            connection.sendall(mqtt5.SubscribePacket(1, [mqtt5.TopicFilter("application/#")]).write())
            buffer = b""
            while b"application/" not in buffer:  # the first message of the village
                buffer += connection.recv(65_536)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(output)["published"] >= 1
