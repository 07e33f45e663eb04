"""MQTT 5 packets as bytes: where one ends, what can be saved of a broken one, how messages are acknowledged.

Pure; the reading itself is done by the package ``mqtt5``, which ``mqtt_*.py`` alone know.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import mqtt5

from smartdorf.ingest.source import Message


class ProtocolViolation(Exception):  # noqa: N818 - not our error: what the other side did
    """The broker sent something that is not MQTT 5."""


def read_packet(view: memoryview) -> tuple[mqtt5.Packet | None, int]:
    """The packet at the beginning and its size. Size 0: more bytes are needed; no packet: it is malformed."""
    try:
        return mqtt5.read(view)
    except (IndexError, ValueError):  # not all of it is here, or its inside is wrong
        pass
    except BaseException as panic:
        # mqtt5 0.8 panics, with a BaseException that nobody can import, where a text is not UTF-8
        if type(panic).__name__ != "PanicException":
            raise
    size = packet_size(view[:5])
    return None, size if size <= len(view) else 0


def packet_size(head: bytes | memoryview) -> int:
    """The size that the first (at most five) bytes of a packet announce; 0 where they do not say it yet."""
    if len(head) < 2:
        return 0
    length, position = _variable_int(head, 1)
    return length + position if position else 0


def salvage_publish(
    packet: memoryview, received_at: datetime, full_size: int | None = None
) -> tuple[Message, int]:
    """A PUBLISH that mqtt5 refuses (bad UTF-8, bad properties) or of which only the beginning was kept.

    The broker would send it again for ever if it were not acknowledged, so topic, payload and packet id are
    taken from where they must be, and the message goes its way, into the quarantine.
    """
    flags = packet[0]
    if flags >> 4 != 3:
        raise ProtocolViolation(f"malformed packet of type {flags >> 4}")
    qos = flags >> 1 & 3
    _length, position = _variable_int(packet, 1)
    topic_end = position + 2 + int.from_bytes(packet[position : position + 2])
    topic = bytes(packet[position + 2 : topic_end]).decode(errors="replace")
    position = topic_end + (2 if qos else 0)
    packet_id = int.from_bytes(packet[topic_end:position])
    properties, position = _variable_int(packet, position)
    if position == 0 or qos == 3:
        raise ProtocolViolation("malformed PUBLISH")
    payload_start = position + properties
    payload = bytes(packet[payload_start:])
    original = None if full_size is None else full_size - payload_start
    return Message(topic, payload, qos, received_at, bool(flags & 8), original), packet_id


def batch_end(messages: Sequence[Message], count: int, size: int) -> int:
    """How many of the first ``count`` messages make a batch: it ends with the one that reaches ``size`` bytes."""
    for index, message in enumerate(messages[:count]):
        size -= message.size
        if size <= 0:
            return index + 1
    return min(count, len(messages))


def _variable_int(data: bytes | memoryview, start: int) -> tuple[int, int]:
    """MQTT's variable byte integer and where it ends; (0, 0) where it goes on behind the data."""
    value = 0
    for index in range(4):
        if start + index >= len(data):
            return 0, 0
        byte = data[start + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, start + index + 1
    raise ProtocolViolation("a length of more than four bytes")


def acknowledgement(packet_id: int) -> bytes:
    """PUBACK; for a QoS 2 message, marked by a negative id, the PUBREC that begins its acknowledgement."""
    if packet_id < 0:
        return mqtt5.PubRecPacket(-packet_id).write()
    return mqtt5.PubAckPacket(packet_id).write()
