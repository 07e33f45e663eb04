"""The bytes of one connection, without a socket: what is read, acknowledged, refused and counted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartdorf.ingest.mqtt_packets import ProtocolViolation, packet_size, read_packet
from smartdorf.ingest.mqtt_protocol import KEPT, MAX_MESSAGE, Budget, Wire

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PLENTY = 100_000_000
TOPIC = "application/a/device/d/event/up"
PINGREQ = b"\xc0\x00"
PINGRESP = b"\xd0\x00"


class Pipe(asyncio.Transport):
    """A transport that writes into a list."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.reading = True
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


def wire(messages: int = 100, size: int = PLENTY) -> tuple[Wire, Pipe]:
    wire, pipe = Wire(Budget(messages, size), lambda: NOW, lambda: None), Pipe()
    wire.connection_made(pipe)
    return wire, pipe


def message(packet_id: int, payload: bytes = b"{}", qos: int = 1) -> bytes:
    return mqtt5.PublishPacket(
        TOPIC, payload, qos=mqtt5.QoS(qos), packet_id=packet_id if qos else None
    ).write()


def puback(packet_id: int) -> bytes:
    return bytes([0x40, 2, 0, packet_id])


@given(st.lists(st.binary(max_size=200), max_size=6), st.data())
def test_a_stream_may_be_cut_anywhere(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(message(number, payload) for number, payload in enumerate(payloads, start=1)) + PINGRESP
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))

    async def feed() -> Wire:
        receiver, _pipe = wire()
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            receiver.data_received(stream[start:end])
        return receiver

    receiver = asyncio.run(feed())
    assert [each.payload for each in receiver.messages] == payloads
    assert receiver.pongs == 1


async def test_the_acknowledgements_of_a_batch_are_one_write_in_order_of_receipt() -> None:
    receiver, pipe = wire()
    receiver.data_received(message(3) + message(1) + message(2))
    _messages, receipt = receiver.take(10, PLENTY)
    receiver.acknowledge(receipt)
    assert pipe.written == [puback(3) + puback(1) + puback(2) + PINGREQ]


async def test_a_batch_that_is_committed_early_waits_for_the_one_before() -> None:
    receiver, pipe = wire()
    receiver.data_received(message(1) + message(2))
    _messages, first = receiver.take(1, PLENTY)
    _messages, second = receiver.take(1, PLENTY)
    receiver.acknowledge(second)
    assert pipe.written == []
    receiver.acknowledge(first)
    assert pipe.written == [puback(1) + puback(2) + PINGREQ]


async def test_nothing_is_said_on_a_connection_that_is_gone() -> None:
    receiver, pipe = wire()
    receiver.data_received(message(1))
    _messages, receipt = receiver.take(1, PLENTY)
    pipe.closed = True
    receiver.connection_lost(None)
    receiver.acknowledge(receipt)
    assert pipe.written == []


async def test_after_the_goodbye_nothing_is_written_and_nothing_is_taken() -> None:
    receiver, pipe = wire()
    receiver.data_received(message(1))
    _messages, receipt = receiver.take(1, PLENTY)
    receiver.close()
    receiver.acknowledge(receipt)
    receiver.data_received(message(2))
    assert pipe.written == [b"\xe0\x00"]  # DISCONNECT
    assert not pipe.closed  # that is up to the broker, after it has read everything
    assert receiver.messages == []


async def test_qos_0_needs_no_acknowledgement_and_is_counted() -> None:
    receiver, pipe = wire()
    receiver.data_received(message(0, qos=0))
    messages, receipt = receiver.take(10, PLENTY)
    receiver.acknowledge(receipt)
    assert [each.qos for each in messages] == [0]
    assert receiver.qos0 == 1
    assert pipe.written == []


async def test_a_qos_2_message_of_an_old_session_is_acknowledged_in_its_two_steps() -> None:
    receiver, pipe = wire()
    receiver.data_received(message(7, qos=2))
    _messages, receipt = receiver.take(10, PLENTY)
    receiver.acknowledge(receipt)
    assert pipe.written == [b"\x50\x02\x00\x07" + PINGREQ]  # PUBREC
    receiver.data_received(b"\x62\x02\x00\x07")  # PUBREL
    assert pipe.written[1:] == [b"\x70\x02\x00\x07"]  # PUBCOMP


async def test_no_message_is_taken_beyond_the_budget_and_reading_stops() -> None:
    receiver, pipe = wire(messages=2)
    receiver.data_received(b"".join(message(number, bytes([number])) for number in range(1, 6)))
    assert [each.payload for each in receiver.messages] == [b"\x01", b"\x02"]
    assert receiver.paused
    assert not pipe.reading
    messages, receipt = receiver.take(2, PLENTY)
    receiver.acknowledge(receipt)
    receiver._budget.free(messages)
    receiver.read_on()
    assert [each.payload for each in receiver.messages] == [b"\x03", b"\x04"]
    assert not pipe.reading
    receiver._budget.free(messages)
    receiver.read_on()
    assert len(receiver.messages) == 3
    assert pipe.reading


async def test_with_a_full_memory_a_connection_can_still_be_put_up() -> None:
    receiver, pipe = wire(messages=0)
    receiver.data_received(b"\x20\x03\x01\x00\x00" + b"\x90\x04\x00\x01\x00\x01")  # CONNACK, SUBACK
    assert receiver.connack.result().session_present
    assert receiver.suback.result().packet_id == 1
    assert pipe.reading
    receiver.data_received(message(1))
    assert not pipe.reading


async def test_big_payloads_use_the_budget_up_by_their_bytes() -> None:
    receiver, pipe = wire(size=1000)
    receiver.data_received(message(1, b"x" * 600) + message(2, b"x" * 600) + message(3))
    assert len(receiver.messages) == 2
    assert not pipe.reading
    messages, _receipt = receiver.take(10, 600)  # a batch ends with the message that reaches its size
    assert len(messages) == 1


async def test_long_topics_use_the_budget_up_as_payloads_do() -> None:
    receiver, pipe = wire(size=100_000)
    long = mqtt5.PublishPacket("a/" + "x" * 60_000, b"{}", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=1).write()
    receiver.data_received(long * 3)
    assert len(receiver.messages) == 2
    assert not pipe.reading
    messages, _receipt = receiver.take(10, 60_000)
    assert len(messages) == 1
    receiver._budget.free(messages)
    assert receiver._budget.bytes == 100_000 - 60_004


async def test_two_unanswered_pings_are_the_end_and_any_sign_of_life_counts() -> None:
    receiver, _pipe = wire()
    assert receiver.ping()
    assert receiver.ping()
    receiver.data_received(message(1))  # alive, though no PINGRESP came
    assert receiver.ping()
    assert receiver.ping()
    assert not receiver.ping()


async def test_while_reading_is_paused_pings_go_out_and_their_silence_proves_nothing() -> None:
    receiver, pipe = wire(messages=1)
    receiver.data_received(message(1) + message(2))
    assert all(receiver.ping() for _ in range(10))
    assert pipe.written == [PINGREQ] * 10
    messages, _receipt = receiver.take(1, PLENTY)
    receiver._budget.free(messages * 5)
    receiver.read_on()
    assert receiver.ping()
    assert receiver.ping()
    assert not receiver.ping()


@pytest.mark.parametrize(("refilled", "drained"), [(0, True), (2, True), (3, False), (4, False)])
async def test_the_queue_is_empty_when_the_broker_does_not_refill_what_was_acknowledged(
    refilled: int, *, drained: bool
) -> None:
    receiver, _pipe = wire()
    receiver.data_received(message(1) + message(2) + message(3))
    _messages, receipt = receiver.take(10, PLENTY)
    receiver.acknowledge(receipt)  # three, and a PINGREQ behind them
    receiver.data_received(b"".join(message(number) for number in range(4, 4 + refilled)) + PINGRESP)
    assert (receiver.drained_at is not None) is drained


# -- what a broker should never send ------------------------------------------------------------------------


# mqtt5 0.8 panics there, and Python reports the error that its Rust code left behind
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_topic_that_is_not_utf_8_does_not_stop_the_rest_and_is_acknowledged() -> None:
    bad = b"\x32\x08\x00\x02\xff\x41\x00\x02\x00!"  # PUBLISH, QoS 1, topic FF 41, packet id 2, payload "!"
    receiver, pipe = wire()
    receiver.data_received(message(1) + bad + message(3))
    messages, receipt = receiver.take(10, PLENTY)
    assert [(each.topic, each.payload) for each in messages[1:2]] == [("\ufffdA", b"!")]
    receiver.acknowledge(receipt)
    assert pipe.written == [puback(1) + puback(2) + puback(3) + PINGREQ]


async def test_a_property_nobody_knows_costs_only_itself() -> None:
    # PUBLISH, QoS 1, topic "a", packet id 9, two bytes of properties of which 7F is none, payload "!"
    receiver, _pipe = wire()
    receiver.data_received(b"\x32\x09\x00\x01a\x00\x09\x02\x7f\x00!" + message(10))
    assert [(each.topic, each.payload) for each in receiver.messages] == [("a", b"!"), (TOPIC, b"{}")]


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"\x32\x80\x80\x80\x80\x01", "a length of more than four bytes"),
        (b"\x00\x00", "malformed packet of type 0"),
        (b"\x20\x02\x00\x01", "malformed packet of type 2"),  # a CONNACK of MQTT 3.1.1
        (b"\x32\x02\x00\x09", "malformed PUBLISH"),
        (b"\x36\x06\x00\x01a\x00\x01\x00", "malformed PUBLISH"),  # QoS 3
        (b"\x20\xff\xff\xff\x7f" + b"." * 2 * KEPT, "a packet of type 2 with 268435460 bytes"),
        (b"HTTP/1.1 400 Bad Request\r\n" + b"." * 80, "malformed packet of type 4"),
        (b"\x82\x06\x00\x01\x00\x00\x01a\x01", "malformed packet of type 8"),  # SUBSCRIBE, from a broker
    ],
)
async def test_what_is_not_mqtt_5_ends_the_connection_with_its_reason(stream: bytes, why: str) -> None:
    receiver, pipe = wire()
    receiver.data_received(stream)
    assert pipe.closed
    receiver.connection_lost(None)
    assert receiver.lost.result().violation == why


async def test_a_message_that_is_too_big_arrives_as_its_beginning() -> None:
    big = message(2, b"x" * (MAX_MESSAGE + 1))
    stream = message(1, b"before") + big + message(3, b"after")
    for size in (1_000, 65_536, 262_144):
        receiver, pipe = wire()
        for start in range(0, len(stream), size):
            receiver.data_received(stream[start : start + size])
        assert [each.payload[:6] for each in receiver.messages] == [b"before", b"xxxxxx", b"after"]
        assert receiver.messages[1].original_size == MAX_MESSAGE + 1
        assert KEPT - 100 < len(receiver.messages[1].payload) < KEPT
        assert receiver.messages[1].topic == TOPIC
        _messages, receipt = receiver.take(10, PLENTY)
        receiver.acknowledge(receipt)
        assert pipe.written == [puback(1) + puback(2) + puback(3) + PINGREQ]


async def test_what_is_kept_while_a_big_message_arrives_is_bounded() -> None:
    receiver, _pipe = wire()
    big = message(1, b"x" * (20 * MAX_MESSAGE))
    for start in range(0, len(big) - 1, 65_536):
        receiver.data_received(big[start : start + 65_536])
        assert len(receiver._rest) <= KEPT + 65_536


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise_anything_but_a_violation(data: bytes) -> None:
    try:
        packet, size = read_packet(memoryview(data))
    except ProtocolViolation:
        return
    assert 0 <= size <= len(data)
    assert packet is None or size > 0


def test_the_size_of_a_packet_is_known_once_its_length_is_complete() -> None:
    assert packet_size(b"\x30") == 0
    assert packet_size(b"\x30\x80") == 0
    assert packet_size(b"\x30\x7f") == 129
    assert packet_size(b"\x30\x80\x01") == 131
    assert packet_size(b"\x30\xff\xff\xff\x7f") == 268_435_460
