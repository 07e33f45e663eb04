"""The MQTT source against a real mosquitto: sessions, acknowledgements, back-pressure, broken connections."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from smartdorf.clock import Clock
from smartdorf.ingest.mqtt import MqttSource
from smartdorf.ingest.mqtt_connection import MqttConnection, Retry
from smartdorf.ingest.source import Batch
from tests.support.mosquitto import Mosquitto, Publisher, publish
from tests.support.proxy import Proxy

TOPIC = "application/a/device/0123456789abcdef/event/up"
FAST = Retry(first=0.05, longest=0.2, refused=0.1, taken_over=2.0, stable_after=30)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as broker:
        yield broker


def connection_to(port: int, **changes: object) -> MqttConnection:
    return replace(
        MqttConnection("village", "127.0.0.1", port, "smartdorf-test", retry=FAST, max_batch=50),
        **changes,  # type: ignore[arg-type]  # fields of the dataclass, by name
    )


class Consumer:
    """Takes batches and notes what it saw."""

    def __init__(self, source: MqttSource) -> None:
        self.source = source
        self._stream = source.batches()
        self.seen: list[bytes] = []

    async def batch(self) -> Batch:
        async with asyncio.timeout(5):
            batch = await anext(self._stream)
        self.seen += [message.payload for message in batch.messages]
        return batch

    async def read(self, count: int) -> list[Batch]:
        """Batches with ``count`` messages in all, not acknowledged."""
        batches: list[Batch] = []
        while sum(len(batch.messages) for batch in batches) < count:
            batches.append(await self.batch())
        return batches

    async def commit(self, count: int) -> list[bytes]:
        """The next ``count`` messages, acknowledged."""
        start = len(self.seen)
        while len(self.seen) < start + count:
            (await self.batch()).acknowledge()
        return self.seen[start:]


@asynccontextmanager
async def running(connection: MqttConnection) -> AsyncIterator[Consumer]:
    source = MqttSource(connection, Clock())
    task = asyncio.create_task(source.run())
    try:
        yield Consumer(source)
    finally:
        await source.close()
        async with asyncio.timeout(5):
            await task


async def until(condition: Callable[[], bool], limit: float = 5.0) -> None:
    """Wait for something that another process brings about."""
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.01)


async def connected(consumer: Consumer) -> None:
    """Connected and subscribed: from now on, and not before, the broker keeps messages for us."""
    await until(lambda: consumer.source.state.connected and consumer.source.state.detail is None)


def payloads(count: int, start: int = 0) -> list[bytes]:
    return [f"{number}".encode() for number in range(start, start + count)]


async def test_a_single_uplink_does_not_wait_for_a_batch_to_fill(broker: Mosquitto) -> None:
    async with running(connection_to(broker.port)) as consumer:
        await connected(consumer)
        await publish(broker.port, TOPIC, [b"only one"])
        batch = await consumer.batch()
        batch.acknowledge()
        (message,) = batch.messages
        assert (message.topic, message.payload, message.qos, message.duplicate) == (
            TOPIC,
            b"only one",
            1,
            False,
        )
        state = consumer.source.state
        assert (state.messages, state.qos0, state.held, state.detail) == (1, 0, 0, None)
        assert state.last_message_at is not None


async def test_messages_published_while_we_are_away_are_waiting_for_us(broker: Mosquitto) -> None:
    async with running(connection_to(broker.port)) as consumer:
        await connected(consumer)
    await publish(broker.port, TOPIC, payloads(300))
    async with running(connection_to(broker.port)) as consumer:
        assert await consumer.commit(300) == payloads(300)


async def test_what_was_not_acknowledged_comes_again_after_a_restart_and_what_was_does_not(
    broker: Mosquitto,
) -> None:
    async with running(connection_to(broker.port)) as consumer:
        await connected(consumer)
        await publish(broker.port, TOPIC, payloads(60))
        first, second = (await consumer.read(60))[:2]
        first.acknowledge()
        kept = [message.payload for message in first.messages]
    async with running(connection_to(broker.port)) as consumer:
        again = await consumer.read(60 - len(kept))
        assert consumer.seen == payloads(60)[len(kept) :]
        assert all(message.duplicate for batch in again for message in batch.messages)
        assert second.messages[0].payload == consumer.seen[0]


async def test_an_acknowledgement_after_the_end_of_its_connection_does_nothing(broker: Mosquitto) -> None:
    async with Proxy(broker.port) as proxy, running(connection_to(proxy.port)) as consumer:
        await connected(consumer)
        await publish(broker.port, TOPIC, payloads(10))
        old = await consumer.read(10)
        proxy.cut()
        await until(lambda: consumer.source.state.reconnects == 1)
        again = await consumer.read(10)
        assert consumer.seen == payloads(10) * 2
        for batch in old:
            batch.acknowledge()
        assert consumer.source.state.held == 10
        assert all(message.duplicate for batch in again for message in batch.messages)
    async with running(connection_to(broker.port)) as consumer:
        # nothing had been acknowledged on the second connection
        assert await consumer.commit(10) == payloads(10)


async def test_a_batch_from_before_the_broker_lost_its_session_acknowledges_no_new_message(
    tmp_path: Path,
) -> None:
    with Mosquitto(tmp_path, persistence=False) as broker:
        async with running(connection_to(broker.port)) as consumer:
            await connected(consumer)
            await publish(broker.port, TOPIC, payloads(5))
            old = await consumer.read(5)
            broker.kill()
            broker.start()
            await until(lambda: consumer.source.state.sessions_lost == 1)
            await connected(consumer)
            # the new session counts packet ids from 1 again: these five have those of the old five
            await publish(broker.port, TOPIC, payloads(5, start=100))
            await consumer.read(5)
            for batch in old:
                batch.acknowledge()
        async with running(connection_to(broker.port)) as consumer:
            assert await consumer.commit(5) == payloads(5, start=100)


async def test_messages_that_were_not_handed_out_yet_survive_a_broker_that_forgets(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, persistence=False) as broker:
        async with running(connection_to(broker.port)) as consumer:
            await connected(consumer)
            await publish(broker.port, TOPIC, payloads(80))
            await until(lambda: consumer.source.state.held == 80)
            broker.kill()
            broker.start()
            await until(lambda: consumer.source.state.sessions_lost == 1)
            assert await consumer.commit(80) == payloads(80)
            assert consumer.source.state.held == 0


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_restarted_broker_goes_on_where_it_was(broker: Mosquitto, how: str) -> None:
    async with running(connection_to(broker.port)) as consumer:
        await connected(consumer)
        await publish(broker.port, TOPIC, [b"uplink %i" % number for number in range(20)])
        batches = await consumer.read(20)
        await until(lambda: how == "stop" or broker.has_saved(b"uplink 19"))
        getattr(broker, how)()
        await until(lambda: not consumer.source.state.connected)
        await until(lambda: "connection refused" in (consumer.source.state.detail or ""))
        broker.start()
        await connected(consumer)
        for batch in batches:
            batch.acknowledge()
        consumer.seen.clear()
        assert await consumer.commit(20) == [b"uplink %i" % number for number in range(20)]
        await publish(broker.port, TOPIC, [b"after"])
        assert await consumer.commit(1) == [b"after"]
        assert consumer.source.state.sessions_lost == 0


async def test_a_broker_that_is_down_at_the_start_is_waited_for(broker: Mosquitto) -> None:
    broker.stop()
    async with running(connection_to(broker.port)) as consumer:
        await until(lambda: "connection refused" in (consumer.source.state.detail or ""))
        assert not consumer.source.state.connected
        broker.start()
        await connected(consumer)
        assert consumer.source.state.reconnects == 0


async def test_with_a_full_memory_a_broker_that_came_back_counts_as_connected(broker: Mosquitto) -> None:
    """The answer to our subscription waits behind messages that there is no room for."""
    async with running(connection_to(broker.port)) as consumer:
        await connected(consumer)
        await publish(broker.port, TOPIC, payloads(500))
        await until(lambda: consumer.source.state.held == 100)
        broker.stop()
        await until(lambda: not consumer.source.state.connected)
        broker.start()
        await until(lambda: consumer.source.state.connected)
        assert not consumer.source.state.caught_up
        await consumer.commit(600)
        assert consumer.seen == payloads(100) + payloads(500)


async def test_60_000_queued_messages_and_a_slow_consumer_stay_within_two_batches(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, persistence=False) as broker:
        connection = connection_to(broker.port, max_batch=500)
        async with running(connection) as consumer:
            await connected(consumer)
        await publish(broker.port, TOPIC, (f"{number:06}".encode() + b"x" * 400 for number in range(60_000)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with running(connection) as consumer:
            held = 0
            expected = 0
            async with asyncio.timeout(30):
                async for batch in consumer.source.batches():
                    await asyncio.sleep(0.001)  # long enough for the broker to send thousands
                    held = max(held, consumer.source.state.held)
                    for message in batch.messages:
                        assert int(message.payload[:6]) == expected
                        expected += 1
                    batch.acknowledge()
                    if expected == 60_000:
                        break
            assert held <= 1000
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 20 * 1024  # KiB; the queue is 24 MB


async def test_a_consumer_that_stands_still_stops_the_reading_and_is_not_taken_for_a_dead_broker(
    broker: Mosquitto,
) -> None:
    connection = connection_to(broker.port, keep_alive=timedelta(seconds=1))
    async with running(connection) as consumer:
        await connected(consumer)
        await publish(broker.port, TOPIC, payloads(1000))
        first = await consumer.batch()
        # more than the 1.5 s after which the broker drops a silent client, and than our own patience
        await asyncio.sleep(2.5)
        state = consumer.source.state
        assert (state.held, state.reconnects, state.connected, state.caught_up) == (100, 0, True, False)
        first.acknowledge()
        await consumer.commit(1000 - len(first.messages))
        assert consumer.seen == payloads(1000)
        assert consumer.source.state.reconnects == 0


async def test_big_messages_count_by_their_bytes(broker: Mosquitto) -> None:
    megabyte = 1024 * 1024
    connection = connection_to(broker.port, max_batch_bytes=2 * megabyte)
    async with running(connection) as consumer:
        await connected(consumer)
        await publish(broker.port, TOPIC, (bytes([number]) * megabyte for number in range(12)))
        await until(lambda: consumer.source.state.held == 4)
        await asyncio.sleep(0.1)
        assert consumer.source.state.held == 4
        batch = await consumer.batch()
        assert len(batch.messages) == 2
        batch.acknowledge()
        await consumer.commit(10)
        assert [payload[0] for payload in consumer.seen] == list(range(12))


async def test_of_a_message_that_is_too_big_the_beginning_comes_and_the_rest_goes_on(
    broker: Mosquitto,
) -> None:
    async with running(connection_to(broker.port)) as consumer:
        await connected(consumer)
        await publish(broker.port, TOPIC, [b"before", b"{" + b"x" * 5_000_000, b"after"])
        (batch, *more) = await consumer.read(3)
        messages = [message for each in [batch, *more] for message in each.messages]
        assert [message.payload[:8] for message in messages] == [b"before", b"{xxxxxxx", b"after"]
        assert [message.original_size for message in messages] == [None, 5_000_001, None]
        assert len(messages[1].payload) < 128 * 1024
        assert messages[1].topic == TOPIC
        for each in [batch, *more]:
            each.acknowledge()
    async with running(connection_to(broker.port)) as consumer:
        await publish(broker.port, TOPIC, [b"next"])
        assert await consumer.commit(1) == [b"next"]  # the big one was acknowledged, too


async def test_a_half_open_connection_is_noticed_and_replaced(broker: Mosquitto) -> None:
    async with Proxy(broker.port) as proxy:
        connection = connection_to(proxy.port, keep_alive=timedelta(seconds=1))
        async with running(connection) as consumer:
            await connected(consumer)
            proxy.stall()
            await publish(broker.port, TOPIC, [b"into the void"])
            await until(lambda: "connection is dead" in (consumer.source.state.detail or ""))
            await connected(consumer)
            assert await consumer.commit(1) == [b"into the void"]
            assert consumer.source.state.reconnects == 1


async def test_a_connection_that_is_cut_while_reading_is_paused_is_replaced(broker: Mosquitto) -> None:
    async with Proxy(broker.port) as proxy:
        connection = connection_to(proxy.port, keep_alive=timedelta(seconds=1))
        async with running(connection) as consumer:
            await connected(consumer)
            await publish(broker.port, TOPIC, payloads(300))
            await until(lambda: consumer.source.state.held == 100)
            proxy.cut()
            await until(lambda: consumer.source.state.reconnects == 1)
            # the hundred in memory come first, and then again from the broker, which nobody told
            await consumer.commit(400)
            assert consumer.seen == payloads(100) + payloads(300)


async def test_a_slow_network_changes_nothing(broker: Mosquitto) -> None:
    async with Proxy(broker.port) as proxy:
        proxy.delay = 0.05
        async with running(connection_to(proxy.port)) as consumer:
            await connected(consumer)
            await publish(broker.port, TOPIC, payloads(200))
            assert await consumer.commit(200) == payloads(200)


async def test_two_clients_with_our_id_do_not_fight_and_the_state_names_the_cause(broker: Mosquitto) -> None:
    """mosquitto 2.0 just closes the socket; two clients that come back at once evict each other endlessly."""
    async with running(connection_to(broker.port)) as consumer:
        await connected(consumer)
        strangers = [await Publisher.connect(broker.port, "smartdorf-test")]
        # we come back at once, since it might have been a broker that restarts, or does so twice, ...
        await until(lambda: consumer.source.state.reconnects == 1)
        strangers.append(await Publisher.connect(broker.port, "smartdorf-test"))
        await until(lambda: consumer.source.state.reconnects == 2)
        # ... and evict the stranger, who does the same: now it is clear
        strangers.append(await Publisher.connect(broker.port, "smartdorf-test"))
        await until(
            lambda: 'another client uses our id "smartdorf-test"' in (consumer.source.state.detail or "")
        )
        await asyncio.sleep(1.0)
        assert consumer.source.state.reconnects == 2
        await until(lambda: consumer.source.state.reconnects == 3)  # two to three seconds later
        for stranger in strangers:
            await stranger.close()


async def test_several_connections_run_side_by_side(broker: Mosquitto) -> None:
    one = connection_to(broker.port, name="one", client_id="one", topics=("application/one/#",))
    two = connection_to(broker.port, name="two", client_id="two", topics=("application/two/#",))
    async with running(one) as first, running(two) as second:
        await connected(first)
        await connected(second)
        await publish(broker.port, "application/two/device/x/event/up", [b"2"])
        await publish(broker.port, "application/one/device/x/event/up", [b"1"])
        assert await first.commit(1) == [b"1"]
        assert await second.commit(1) == [b"2"]
        assert (await _closed_batch(first)).source == "one"


async def _closed_batch(consumer: Consumer) -> Batch:
    await publish(consumer.source._connection.port, "application/one/device/x/event/up", [b"more"])
    return await consumer.batch()


async def test_messages_with_qos_0_are_counted_since_their_publisher_may_lose_them(broker: Mosquitto) -> None:
    async with running(connection_to(broker.port)) as consumer:
        await connected(consumer)
        await publish(broker.port, TOPIC, payloads(3), qos=0)
        await publish(broker.port, TOPIC, payloads(2))
        await consumer.commit(5)
        assert (consumer.source.state.messages, consumer.source.state.qos0) == (5, 3)


async def test_a_gateway_s_stats_come_with_qos_0_and_the_next_ones_make_up_for_them(
    broker: Mosquitto,
) -> None:
    topics = ("application/#", "+/gateway/+/event/stats")
    async with running(connection_to(broker.port, topics=topics)) as consumer:
        await connected(consumer)
        await publish(broker.port, "eu868/gateway/0016c001ff10a235/event/stats", payloads(3), qos=0)
        await consumer.commit(3)
        assert (consumer.source.state.messages, consumer.source.state.qos0) == (3, 0)


async def test_caught_up_is_said_only_when_the_backlog_is_through(broker: Mosquitto) -> None:
    async with running(connection_to(broker.port)) as consumer:
        await connected(consumer)
    await publish(broker.port, TOPIC, payloads(2000))
    async with running(connection_to(broker.port)) as consumer:
        while len(consumer.seen) < 1900:
            await asyncio.sleep(0.08)  # a backlog of more than the two seconds that pass in any case
            (await consumer.batch()).acknowledge()
            assert not consumer.source.state.caught_up
        await consumer.commit(100)
        # steady traffic without a second of silence, and yet nothing older is queued
        publisher = await Publisher.connect(broker.port)
        async with asyncio.timeout(5):
            while not consumer.source.state.caught_up:
                await publisher.publish(TOPIC, [b"live"])
                await consumer.commit(1)
                await asyncio.sleep(0.05)
        await publisher.close()


async def test_a_backlog_that_takes_its_time_on_a_slow_line_is_no_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty messages at a time, and between our acknowledgement and the next twenty more than what counts as quiet."""
    monkeypatch.setattr("smartdorf.ingest.mqtt.QUIET", 0.1)  # a second
    monkeypatch.setattr("smartdorf.ingest.mqtt.SETTLED", 0.1)
    with Mosquitto(tmp_path, options=["max_inflight_messages 20"]) as broker:
        async with running(connection_to(broker.port)) as consumer:
            await connected(consumer)
        await publish(broker.port, TOPIC, payloads(160))
        async with Proxy(broker.port) as proxy, running(connection_to(proxy.port)) as consumer:
            await connected(consumer)
            proxy.delay = 0.15
            said = False
            while len(consumer.seen) < 160:
                batch = asyncio.create_task(consumer.batch())
                while not batch.done():
                    said = said or consumer.source.state.caught_up
                    await asyncio.sleep(0.01)
                (await batch).acknowledge()
            assert not said
            await until(lambda: consumer.source.state.caught_up)


async def test_while_the_broker_owes_an_answer_nothing_is_known_of_its_queue(broker: Mosquitto) -> None:
    async with Proxy(broker.port) as proxy:
        connection = connection_to(proxy.port, keep_alive=timedelta(seconds=3))
        async with running(connection) as consumer:
            await connected(consumer)
            await until(lambda: consumer.source.state.caught_up)
            proxy.stall()
            await until(lambda: not consumer.source.state.caught_up)  # with the next ping, a second later
            assert consumer.source.state.connected


async def test_caught_up_with_nothing_to_read(broker: Mosquitto) -> None:
    async with running(connection_to(broker.port)) as consumer:
        assert not consumer.source.state.caught_up
        await connected(consumer)
        assert not consumer.source.state.caught_up
        await until(lambda: consumer.source.state.caught_up)


async def test_close_ends_the_batches_and_the_task_at_once_even_while_the_broker_is_away() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with running(connection_to(nobody.getsockname()[1])) as consumer:
            waiting = asyncio.create_task(anext(consumer.source.batches(), None))
            await asyncio.sleep(0.05)
            await consumer.source.close()
            async with asyncio.timeout(1):
                assert await waiting is None
