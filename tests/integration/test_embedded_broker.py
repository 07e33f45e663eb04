"""The MQTT broker of the demo, talked to by a bare MQTT 5 client."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import mqtt5
import pytest

from smartdorf.embedded.broker import EmbeddedBroker
from smartdorf.errors import SmartdorfError


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as started:
        yield started


class Client:
    """Just enough MQTT 5 to subscribe, publish with QoS 1 and acknowledge."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = b""

    @classmethod
    async def connect(cls, port: int, client_id: str) -> Client:
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        connect = mqtt5.ConnectPacket(
            client_id, clean_start=False, session_expiry_interval=3600, receive_max=500, keep_alive=60
        )
        client._writer.write(connect.write())
        connack = await client._read()
        assert isinstance(connack, mqtt5.ConnAckPacket)
        return client

    async def subscribe(self, topic: str) -> None:
        wanted = mqtt5.TopicFilter(topic, max_qos=mqtt5.QoS.AT_LEAST_ONCE)
        self._writer.write(mqtt5.SubscribePacket(1, [wanted]).write())
        assert isinstance(await self._read(), mqtt5.SubAckPacket)

    async def publish(self, topic: str, payloads: list[bytes]) -> None:
        for packet_id, payload in enumerate(payloads, start=1):
            packet = mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id)
            self._writer.write(packet.write())
            await self._writer.drain()
            assert isinstance(await self._read(), mqtt5.PubAckPacket)

    async def receive(self, count: int) -> list[bytes]:
        payloads: list[bytes] = []
        while len(payloads) < count:
            packet = await asyncio.wait_for(self._read(), 20)
            assert isinstance(packet, mqtt5.PublishPacket)
            assert packet.packet_id is not None
            payloads.append(bytes(packet.payload))
            self._writer.write(mqtt5.PubAckPacket(packet.packet_id).write())
        await self._writer.drain()
        return payloads

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def _read(self) -> mqtt5.Packet:
        while True:
            try:
                packet, size = mqtt5.read(memoryview(self._buffer))
            except IndexError:
                data = await self._reader.read(1 << 20)
                assert data, "the broker closed the connection"
                self._buffer += data
            else:
                self._buffer = self._buffer[size:]
                return packet


async def test_message_of_a_megabyte_arrives_unchanged(broker: EmbeddedBroker) -> None:
    message = bytes(range(256)) * 4096
    subscriber = await Client.connect(broker.port, "subscriber")
    await subscriber.subscribe("application/#")
    publisher = await Client.connect(broker.port, "publisher")

    await publisher.publish("application/1/device/0102030405060708/event/up", [message])

    assert await subscriber.receive(1) == [message]
    await publisher.close()
    await subscriber.close()


async def test_messages_wait_in_order_for_a_subscriber_who_is_away(broker: EmbeddedBroker) -> None:
    messages = [f"uplink {number}".encode() for number in range(2000)]
    subscriber = await Client.connect(broker.port, "smartdorf")
    await subscriber.subscribe("application/#")
    await subscriber.close()
    publisher = await Client.connect(broker.port, "chirpstack")
    await publisher.publish("application/1/device/0102030405060708/event/up", messages)

    again = await Client.connect(broker.port, "smartdorf")

    assert await again.receive(2000) == messages
    await publisher.close()
    await again.close()


async def test_broker_ends_with_the_process_that_started_it() -> None:
    script = (
        "import time; from smartdorf.embedded.broker import EmbeddedBroker; "
        "broker = EmbeddedBroker(); broker.start(); print(broker.port, flush=True); time.sleep(60)"
    )
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert owner.stdout is not None
    client = await Client.connect(int(await owner.stdout.readline()), "client")

    owner.kill()
    await owner.wait()

    with pytest.raises((AssertionError, ConnectionError)):  # nothing was sent, so only the end can arrive
        await client.receive(1)
    await client.close()


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with EmbeddedBroker():
        pass
    assert list(tmp_path.iterdir()) == []


def test_port_in_use_is_said_in_one_line(broker: EmbeddedBroker) -> None:
    with pytest.raises(SmartdorfError, match=f"Port {broker.port}"):
        EmbeddedBroker(broker.port).start()
