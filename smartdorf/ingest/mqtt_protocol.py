"""One connection to a broker as bytes: MQTT 5 packets in and out under a transport that can be paused.

Owns reading (never more than the budget allows), acknowledging in order of receipt, and pings. Lives exactly
as long as its TCP connection; who reconnects and why is ``mqtt.py``'s business. Opens nothing, knows no clock
but the one it is given, and looks into no payload.

**Back-pressure** is not reading: when a message comes and the budget is used up, the transport is paused and
the rest of the chunk stays as bytes. Receive-maximum alone does not help: mosquitto 2.0.11 forgets it with
the first PUBACK. Everything but messages is read even then: a connection can be put up with a full memory.

**Big messages.** We announce no maximum packet size: a broker would silently drop what is bigger. Instead a
message of more than ``MAX_MESSAGE`` is read to its end, but only its first ``KEPT`` bytes are kept, so it can
be quarantined, acknowledged and looked at, and the memory stays bounded.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import mqtt5

from smartdorf.ingest.mqtt_packets import (
    ProtocolViolation,
    acknowledgement,
    batch_end,
    packet_size,
    read_packet,
    salvage_publish,
)
from smartdorf.ingest.source import Message

MAX_MESSAGE = 2 * 1024 * 1024  # bytes of a packet kept whole; an uplink event has 1 to 10 KB
KEPT = 128 * 1024  # bytes kept of a bigger one; the longest topic has 64 KiB
UNANSWERED_PINGS = 2  # so many in a row while we were reading: nobody is there
NO_BARRIER = -1
PUBLISH = 3  # the packet type in the upper half of the first byte

_SUBSCRIBE_ID = 1  # the only packet id that we ever choose; those of messages are the broker's


@dataclass(slots=True)
class Budget:
    """What may still be taken into memory; one for a source, whatever connection it has."""

    messages: int
    bytes: int

    def left(self) -> bool:
        return self.messages > 0 and self.bytes > 0

    def free(self, messages: Sequence[Message]) -> None:
        self.messages += len(messages)
        self.bytes += sum(message.size for message in messages)


@dataclass(slots=True)
class Receipt:
    """The packet ids of messages that were handed out; negative for QoS 2, none for QoS 0."""

    packet_ids: list[int]
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Loss:
    """How a connection ended: the broker's DISCONNECT, a packet that is not MQTT 5, or the network's error."""

    disconnect: mqtt5.DisconnectPacket | None = None
    violation: str | None = None
    error: Exception | None = None


class Wire(asyncio.Protocol):
    """``woke`` is called after something was put into ``messages``; they are fetched with ``take``."""

    def __init__(self, budget: Budget, now: Callable[[], datetime], woke: Callable[[], None]) -> None:
        self._budget = budget
        self._now = now
        self._woke = woke
        loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._rest = b""  # read and not parsed: part of a packet, or everything behind a full budget
        self._swallow = 0  # bytes of an oversized packet still to come
        self._oversized: tuple[bytes, int] | None = None  # its beginning and its full size
        self._packet_ids: list[int] = []  # one for each of `messages`
        self._receipts: deque[Receipt] = deque()
        self._leaving = False
        self._unanswered = 0
        self._barriers: deque[int] = deque()  # one for each PINGREQ on its way, see `acknowledge`
        self._disconnect: mqtt5.DisconnectPacket | None = None
        self._violation: str | None = None
        self.messages: list[Message] = []
        self.received = 0
        self.qos0 = 0
        self.pongs = 0
        self.last_received = 0.0  # monotonic time
        self.paused = False
        self.drained_at: int | None = None  # how many had been received when the broker had no more for us
        self.connack: asyncio.Future[mqtt5.ConnAckPacket] = loop.create_future()
        self.suback: asyncio.Future[mqtt5.SubAckPacket] = loop.create_future()
        self.lost: asyncio.Future[Loss] = loop.create_future()

    @property
    def opened(self) -> bool:
        return self._transport is not None

    @property
    def waits_for_answer(self) -> bool:
        return bool(self._barriers)

    def tls_object(self) -> ssl.SSLObject | None:
        return None if self._transport is None else self._transport.get_extra_info("ssl_object")

    # -- what the owner does --------------------------------------------------------------------------------

    def connect(self, packet: mqtt5.ConnectPacket) -> None:
        self._write(packet.write())

    def subscribe(self, filters: list[mqtt5.TopicFilter]) -> None:
        self._write(mqtt5.SubscribePacket(_SUBSCRIBE_ID, filters).write())

    def take(self, count: int, size: int) -> tuple[list[Message], Receipt]:
        """At most ``count`` of the waiting messages, oldest first, and no more once they have ``size`` bytes."""
        end = batch_end(self.messages, count, size)
        messages, self.messages = self.messages[:end], self.messages[end:]
        receipt = Receipt(self._packet_ids[:end])
        del self._packet_ids[:end]
        self._receipts.append(receipt)
        return messages, receipt

    def abandon(self) -> list[Message]:
        """What arrived and was not taken: nobody will be able to acknowledge it."""
        messages, self.messages = self.messages, []
        self._packet_ids.clear()
        return messages

    def acknowledge(self, receipt: Receipt) -> None:
        """Tell the broker, unless the connection is gone; in order of receipt (MQTT-4.6.0-2).

        Then ask for a sign that nothing is queued: the broker handles our acknowledgements of k messages and
        the PINGREQ behind them in order, and refills its window with each acknowledgement. If fewer than k
        messages come before the PINGRESP, it had none left to refill with.
        """
        receipt.acknowledged = True
        packet_ids: list[int] = []
        while self._receipts and self._receipts[0].acknowledged:
            packet_ids += self._receipts.popleft().packet_ids
        written = [acknowledgement(packet_id) for packet_id in packet_ids if packet_id]
        if written and self.drained_at is None and not any(limit != NO_BARRIER for limit in self._barriers):
            self._barriers.append(self.received + len(written))
            written.append(mqtt5.PingReqPacket().write())
        if written:
            self._write(b"".join(written))

    def read_on(self) -> None:
        """The budget has grown: go on with what was left, and with reading."""
        if self._transport is None or self._leaving or not self.paused or not self._budget.left():
            return
        self.paused = False
        rest, self._rest = self._rest, b""
        self._parse(rest)
        if not self.paused and not self._transport.is_closing():  # both may have changed by what was left
            self._unanswered = 0  # while we did not read, silence proved nothing
            self._transport.resume_reading()

    def ping(self) -> bool:
        """Send a PINGREQ; False when the last ones were not answered although we were reading.

        Counted, not timed: a process that was held up for minutes must not blame the broker. While reading is
        paused PINGREQ is still sent, since the broker drops those who are silent, and nothing is concluded.
        """
        if not self.paused:
            if self._unanswered >= UNANSWERED_PINGS:
                return False
            self._unanswered += 1
        self._barriers.append(NO_BARRIER)
        self._write(mqtt5.PingReqPacket().write())
        return True

    def close(self) -> None:
        """Say goodbye; the broker keeps the session.

        It is the broker that then closes the connection, after it has read everything before the goodbye. If we
        closed, its answers would meet a closed socket, and the reset would wipe out our last acknowledgements.
        """
        if self._transport is not None and not self._transport.is_closing() and not self._leaving:
            self._write(mqtt5.DisconnectPacket().write())
            self._leaving = True
            self._rest = b""
            self._transport.resume_reading()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # -- what the event loop calls --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by behaviour only

    def data_received(self, data: bytes) -> None:
        self._unanswered = 0
        if self._leaving or self._transport is None or self._transport.is_closing():
            return  # nobody would acknowledge it; a TLS layer may deliver something even now
        if self.paused:  # a TLS layer may deliver what it had decrypted before
            self._rest += data
            return
        if self._swallow:
            data = self._swallow_from(data)
        self._parse(self._rest + data if self._rest else data)

    def eof_received(self) -> None:
        return None  # the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(Loss(self._disconnect, self._violation, exc))

    # -- parsing --------------------------------------------------------------------------------------------

    def _parse(self, data: bytes) -> None:
        """Everything in ``data`` up to a message that the budget has no room for; the rest goes to ``_rest``."""
        before, received_at = self.received, self._now()
        view, position, end, budget = memoryview(data), 0, len(data), self._budget
        full = False
        try:
            while position < end:
                if data[position] >> 4 == PUBLISH and not (budget.messages > 0 and budget.bytes > 0):
                    full = True
                    break
                packet, size = read_packet(view[position:])
                if size == 0:
                    break
                if isinstance(packet, mqtt5.PublishPacket):
                    self._keep(
                        Message(packet.topic, packet.payload, int(packet.qos), received_at, packet.duplicate),
                        packet.packet_id or 0,
                    )
                elif packet is not None:
                    self._control(packet)
                else:
                    self._keep(*salvage_publish(view[position : position + size], received_at))
                position += size
            self._rest = data[position:]
            if not full:
                self._begin_swallowing()
        except ProtocolViolation as violation:
            self._violation = str(violation)
            self._rest = b""
            self.abort()
        if self.received > before:
            self._arrived()
        if full and self._transport is not None and not self._transport.is_closing():
            self.paused = True
            self.drained_at = None
            self._transport.pause_reading()

    def _keep(self, message: Message, packet_id: int) -> None:
        if message.is_careless:
            self.qos0 += 1
        self.messages.append(message)
        self._packet_ids.append(-packet_id if message.qos == 2 else packet_id)
        self._budget.messages -= 1
        self._budget.bytes -= message.size
        self.received += 1

    def _arrived(self) -> None:
        self.last_received = time.monotonic()
        self._woke()

    def _control(self, packet: mqtt5.Packet) -> None:
        match packet:
            case mqtt5.PingRespPacket():
                self.pongs += 1
                if self._barriers and self.received < self._barriers.popleft():
                    self.drained_at = self.received
            case mqtt5.ConnAckPacket() if not self.connack.done():
                self.connack.set_result(packet)
            case mqtt5.SubAckPacket() if not self.suback.done():
                self.suback.set_result(packet)
            case mqtt5.PubRelPacket():  # the second half of QoS 2: the message is committed already
                self._write(mqtt5.PubCompPacket(packet.packet_id).write())
            case mqtt5.DisconnectPacket():
                self._disconnect = packet
                if self._transport is not None:
                    self._transport.close()
            case _:
                raise ProtocolViolation(f"unexpected {type(packet).__name__}")

    def _begin_swallowing(self) -> None:
        """If what is left begins a message that is too big: keep its beginning, let the rest go by."""
        if len(self._rest) < KEPT:
            return
        size = packet_size(self._rest[:5])
        if size > MAX_MESSAGE:
            if self._rest[0] >> 4 != PUBLISH:
                raise ProtocolViolation(f"a packet of type {self._rest[0] >> 4} with {size} bytes")
            self._oversized = (self._rest[:KEPT], size)
            self._swallow = size - len(self._rest)
            self._rest = b""

    def _swallow_from(self, data: bytes) -> bytes:
        taken = min(self._swallow, len(data))
        self._swallow -= taken
        if self._swallow == 0 and self._oversized is not None:
            (head, size), self._oversized = self._oversized, None
            try:
                message, packet_id = salvage_publish(memoryview(head), self._now(), size)
            except ProtocolViolation as violation:
                self._violation = str(violation)
                self.abort()
                return b""
            self._keep(message, packet_id)
            self._arrived()
        return data[taken:]

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing() and not self._leaving:
            self._transport.write(data)
