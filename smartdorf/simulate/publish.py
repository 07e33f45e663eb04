"""Publishes messages over MQTT 5 with QoS 1, as ChirpStack's integration does.

Owns: one connection to a broker, a window of unacknowledged publishes, sending again after the connection
broke. Must not know what the messages say. The broker gets each message at least once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import mqtt5
import structlog

from smartdorf.clock import Clock
from smartdorf.errors import SmartdorfError
from smartdorf.i18n import gettext as _
from smartdorf.simulate.ledger import Message

_log = structlog.get_logger(__name__)

KEEP_ALIVE = 60  # seconds; a ping goes out after half of them
ANSWER_TIMEOUT = 30.0  # seconds without an acknowledgement that is due: the connection is dead
RETRY_AFTER = 1.0  # seconds
WINDOW = 200
MAX_PACKET_ID = 65_535
CHUNK = 65_536
WELCOME = (mqtt5.ConnAckReasonCode.SUCCESS,)
ACCEPTED = (mqtt5.PubAckReasonCode.SUCCESS, mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS)


class BrokerError(SmartdorfError):
    """The broker cannot be used."""


@dataclass(frozen=True, slots=True)
class Published:
    """What became of the messages: ``refused`` ones the broker would not take (size, access rights)."""

    acknowledged: int
    refused: int


async def publish(
    messages: Iterable[Message],
    *,
    host: str,
    port: int = 1883,
    clock: Clock | None = None,
    username: str | None = None,
    password: str | None = None,
    client_id: str = "smartdorf-simulate",
    window: int = WINDOW,
    on_progress: Callable[[int], None] | None = None,
) -> Published:
    """Publish each message when ``clock`` reaches its time; without a clock as fast as the broker takes them.

    ``on_progress`` is told the number of messages sent so far. Raises ``BrokerError`` when the first
    connection fails; a later loss is repaired, and what was not acknowledged is sent again, in order.
    """
    connect = mqtt5.ConnectPacket(
        client_id,
        username=username,
        password=None if password is None else password.encode(),
        clean_start=True,
        keep_alive=KEEP_ALIVE,
    )
    publisher = _Publisher(host, port, connect, window)
    await publisher.connect()
    try:
        for sent, message in enumerate(messages, start=1):
            if clock is not None and (early := (message.at - clock.now()).total_seconds()) > 0:
                await clock.sleep(early)
            await publisher.send(message)
            if on_progress is not None:
                on_progress(sent)
        await publisher.settle()
    finally:
        await publisher.close()
    return Published(publisher.acknowledged, publisher.refused)


class _Publisher:
    def __init__(self, host: str, port: int, connect: mqtt5.ConnectPacket, window: int) -> None:
        self._host = host
        self._port = port
        self._connect = connect
        self._wanted_window = window
        self._window = window
        self._largest: int | None = None  # bytes of a packet that the broker takes
        self._in_flight: dict[int, Message] = {}  # in the order of sending
        self._packet_id = 0
        self._moved = asyncio.Event()  # an acknowledgement came, or the connection broke
        self._broken = True
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.acknowledged = 0
        self.refused = 0

    async def connect(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                reader, self._writer = await asyncio.open_connection(self._host, self._port)
                self._writer.write(self._connect.write())
                packets = _Packets(reader)
                connack = await packets.next()
        except (OSError, EOFError, ValueError) as error:
            await self.close()
            text = _("no MQTT 5 broker answers at {host}:{port} ({error})")
            raise BrokerError(
                text.format(host=self._host, port=self._port, error=error or type(error).__name__)
            ) from None
        # compared as the enumeration it is: mqtt5's codes are no integers to Python
        if not isinstance(connack, mqtt5.ConnAckPacket) or connack.reason_code not in WELCOME:
            await self.close()
            reason = getattr(connack, "reason_code", None)
            text = _("the broker at {host}:{port} refuses the connection: {reason}")
            raise BrokerError(
                text.format(host=self._host, port=self._port, reason=getattr(reason, "name", "?"))
            )
        self._window = min(self._wanted_window, connack.receive_max)
        self._largest = connack.max_packet_size
        self._broken = False
        self._tasks = [asyncio.create_task(self._read(packets)), asyncio.create_task(self._ping())]

    async def send(self, message: Message) -> None:
        if self._broken:
            await self._reconnect()
        await self._until_in_flight(self._window - 1)
        packet_id = self._free_packet_id()
        packet = _packet(message, packet_id)
        if self._largest is not None and len(packet) > self._largest:
            self.refused += 1
            _log.warning("message is larger than the broker takes", topic=message.topic, size=len(packet))
            return
        self._in_flight[packet_id] = message
        await self._write(packet)

    async def settle(self) -> None:
        """Wait until everything is acknowledged."""
        await self._until_in_flight(0)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._writer is not None:
            with contextlib.suppress(OSError):
                if not self._broken:
                    self._writer.write(mqtt5.DisconnectPacket().write())
                self._writer.close()
                await self._writer.wait_closed()
            self._writer = None
        self._broken = True

    async def _until_in_flight(self, most: int) -> None:
        while len(self._in_flight) > most:
            if self._broken:
                await self._reconnect()
                continue
            self._moved.clear()
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    await self._moved.wait()
            except TimeoutError:
                _log.warning("the broker acknowledges nothing", unacknowledged=len(self._in_flight))
                self._broken = True

    async def _reconnect(self) -> None:
        _log.warning("connection to the broker lost", host=self._host, port=self._port)
        while True:
            await self.close()
            try:
                await self.connect()
                break
            except BrokerError:
                await asyncio.sleep(RETRY_AFTER)
        # all of them new to the session at the broker; a window smaller than before is kept to by waiting
        waiting, self._in_flight = list(self._in_flight.values()), {}
        for message in waiting:
            await self.send(message)
        _log.info("connected to the broker again", sent_again=len(waiting))

    async def _write(self, packet: bytes) -> None:
        if self._broken or self._writer is None:
            return  # it stays in flight, and goes out after the reconnect
        try:
            self._writer.write(packet)
            await self._writer.drain()
        except OSError:
            self._break()

    async def _read(self, packets: _Packets) -> None:
        try:
            while True:
                packet = await packets.next()
                if isinstance(packet, mqtt5.PubAckPacket):
                    self._acknowledge(packet)
                elif isinstance(packet, mqtt5.DisconnectPacket):
                    _log.warning("the broker ends the connection", reason=packet.reason_code.name)
                    return
        except (OSError, EOFError, ValueError) as error:
            _log.debug("reading from the broker ended", error=str(error))
        finally:
            self._break()

    def _acknowledge(self, packet: mqtt5.PubAckPacket) -> None:
        message = self._in_flight.pop(packet.packet_id, None)
        if message is None:
            return
        if packet.reason_code not in ACCEPTED:
            self.refused += 1
            _log.warning("the broker refuses a message", topic=message.topic, reason=packet.reason_code.name)
        else:
            self.acknowledged += 1
        self._moved.set()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE / 2)
            if self._writer is not None:
                self._writer.write(mqtt5.PingReqPacket().write())

    def _break(self) -> None:
        self._broken = True
        self._moved.set()

    def _free_packet_id(self) -> int:
        while True:
            self._packet_id = self._packet_id % MAX_PACKET_ID + 1
            if self._packet_id not in self._in_flight:
                return self._packet_id


class _Packets:
    """The packets of a byte stream."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._buffer = b""

    async def next(self) -> mqtt5.Packet:
        """Raises EOFError at the end of the stream, ValueError for what is no MQTT."""
        while True:
            try:
                packet, size = mqtt5.read(memoryview(self._buffer))
            except IndexError:  # not complete yet
                more = await self._reader.read(CHUNK)
                if not more:
                    raise EOFError("connection closed") from None
                self._buffer += more
                continue
            self._buffer = self._buffer[size:]
            return packet


def _packet(message: Message, packet_id: int) -> bytes:
    return mqtt5.PublishPacket(
        message.topic, message.payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id
    ).write()
