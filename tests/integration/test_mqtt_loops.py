"""The service runs on uvloop, tests and tools on asyncio's own loop: pausing and TLS must work on both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import uvloop

from smartdorf.ingest.mqtt_tls import TlsFiles
from tests.integration.test_mqtt import TOPIC, connected, connection_to, payloads, running, until
from tests.support.mosquitto import Certificates, Mosquitto, Publisher

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("with_tls", [False, True], ids=["tcp", "tls"])
def test_reading_pauses_goes_on_and_survives_a_restart_of_the_broker(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop], *, with_tls: bool
) -> None:
    certificates = Certificates.make(tmp_path) if with_tls else None
    tls = TlsFiles(certificates.ca, certificates.client) if certificates else None

    async def scenario(broker: Mosquitto) -> None:
        connection = connection_to(broker.port, tls=tls, keep_alive=timedelta(seconds=1))
        async with running(connection) as consumer:
            await connected(consumer)
            context = tls.context() if tls else None
            publisher = await Publisher.connect(broker.port, tls=context)
            # more than the sockets' buffers hold, so that the broker really cannot send
            text = [payload + b"x" * 2000 for payload in payloads(5000)]
            await publisher.publish(TOPIC, text)
            await until(lambda: consumer.source.state.held == 100)
            await asyncio.sleep(1.2)  # longer than the patience with a broker that answers no ping
            assert consumer.source.state.held == 100
            assert consumer.source.state.reconnects == 0
            assert await consumer.commit(5000) == text
            await publisher.close()
            broker.stop()
            await until(lambda: not consumer.source.state.connected)
            broker.start()
            # what it had not read of our acknowledgements comes again
            await until(lambda: consumer.source.state.connected)
            publisher = await Publisher.connect(broker.port, tls=context)
            await publisher.publish(TOPIC, [b"after"])
            await publisher.close()
            while b"after" not in consumer.seen:
                (await consumer.batch()).acknowledge()

    with (
        Mosquitto(tmp_path, certificates=certificates, client_certificate_required=with_tls) as broker,
        asyncio.Runner(loop_factory=new_loop) as runner,
    ):
        runner.run(scenario(broker))
