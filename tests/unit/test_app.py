"""What the parts are given when they are put together."""

from __future__ import annotations

import pytest

from smartdorf.app import mqtt_connection
from smartdorf.config.settings import MqttSettings

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("connections", "batch_bytes"), [(1, 4 * MIB), (4, 4 * MIB), (8, 2 * MIB), (32, MIB // 2)]
)
def test_many_connections_share_the_memory_that_messages_may_take(connections: int, batch_bytes: int) -> None:
    settings = MqttSettings(name="village", host="127.0.0.1", client_id="smartdorf")
    assert mqtt_connection(settings, connections).max_batch_bytes == batch_bytes
