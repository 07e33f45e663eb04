"""The MQTT source: a session at the broker that outlives us, and a connection that is always put up again.

Owns connecting, subscribing, staying alive, coming back and the memory that messages may take. What is in a
message and when it is committed is the consumer's business. Only ``mqtt*.py`` know the MQTT package.

* ``clean_start=False`` on every connect, the first included: the broker's queue is our only backlog.
* SUBSCRIBE after every CONNACK, whatever it says of a session, and its answer is checked.
* A message that reached us is never thrown away, even when its connection dies before it was handed out:
  after a kill the broker may have forgotten it. Then it comes twice, and the database knows it.
* Receive-maximum is two batches, all that we ever hold: a broker that honours it never has more on its way,
  one that does not is stopped by our not reading.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import deque
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import mqtt5
import structlog

from smartdorf.clock import Clock
from smartdorf.i18n import gettext as _
from smartdorf.ingest.mqtt_connection import (
    BrokerError,
    MqttConnection,
    Trouble,
    explain_connack,
    explain_error,
    explain_fight,
    explain_loss,
    explain_suback,
)
from smartdorf.ingest.mqtt_packets import batch_end
from smartdorf.ingest.mqtt_protocol import Budget, Receipt, Wire
from smartdorf.ingest.mqtt_tls import EXPIRY_WARNING, CertificateError
from smartdorf.ingest.source import Batch, Message, SourceState

log = structlog.get_logger(__name__)

SETTLED = 2.0  # seconds after connecting before "caught up" may be said: the backlog needs a moment to begin
QUIET = 1.0  # seconds without a message, after which nothing more is queued
GOODBYE = 2.0  # seconds for the last bytes of a polite end
PINGS_PER_KEEP_ALIVE = 3
FIGHT = 3  # ends in a row without a reason: a broker that is upgraded may restart twice within a minute
FOREVER = 0xFFFF_FFFF  # a session expiry, as MQTT writes "never"
REFUSED = 0x80  # SUBACK codes from here on


async def open_wire(
    connection: MqttConnection, wire: Wire, connect: mqtt5.ConnectPacket
) -> mqtt5.ConnAckPacket:
    """Connect ``wire`` and return the broker's yes; raises ``BrokerError`` with advice."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(connection.connect_timeout.total_seconds()):
            context = connection.tls.context() if connection.tls else None
            transport, _protocol = await loop.create_connection(
                lambda: wire, connection.host, connection.port, ssl=context
            )
            _notice_dead_peers(transport, connection.keep_alive)
            wire.connect(connect)
            answers: set[asyncio.Future[Any]] = {wire.connack, wire.lost}
            await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        if not wire.connack.done():
            raise explain_loss(connection, wire.lost.result(), answered=False)
        connack = wire.connack.result()
        if connack.reason_code != mqtt5.ConnAckReasonCode.SUCCESS:
            raise explain_connack(connection, connack)
    except CertificateError as error:
        raise BrokerError(str(error), Trouble.REFUSED) from None
    except OSError as error:  # ssl.SSLError and TimeoutError among them
        wire.abort()
        raise explain_error(connection, error, opened=wire.opened) from None
    except BaseException:
        wire.abort()
        raise
    return connack


async def hang_up(wire: Wire) -> None:
    """End the connection politely, and if that does not help, at once."""
    wire.close()
    if wire.opened and not wire.lost.done():
        await asyncio.wait({wire.lost}, timeout=GOODBYE)
        wire.abort()


def _notice_dead_peers(transport: asyncio.BaseTransport, limit: timedelta) -> None:
    """Let the kernel give up when what we send is not confirmed: it works while we do not read, as pings do not.

    There are always pings on their way, so SO_KEEPALIVE, which is for idle connections, would add nothing.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux
    if option is not None:
        handle = transport.get_extra_info("socket")
        handle.setsockopt(socket.IPPROTO_TCP, option, int(limit.total_seconds() * 1000))


class MqttSource:
    """One connection, one session, one consumer; see ``source.py`` for the contract."""

    def __init__(self, connection: MqttConnection, clock: Clock) -> None:
        self.name = connection.name
        self._connection = connection
        self._clock = clock
        self._wire: Wire | None = None  # from connecting to parting
        self._orphans: list[Message] = []  # arrived on a connection that has died; not handed out yet
        self._most = 2 * connection.max_batch
        self._budget = Budget(self._most, 2 * connection.max_batch_bytes)
        self._arrivals: deque[tuple[int, float]] = (
            deque()
        )  # messages so far, when; of those not committed yet
        self._committed_messages = 0
        self._something = asyncio.Event()
        self._closing = asyncio.Event()
        self._detail: str | None = _("not connected yet")
        self._connected_at: float | None = None  # monotonic time of the CONNACK, while connected
        self._subscribed = False
        self._connects = 0
        self._sessions_lost = 0
        self._messages = self._qos0 = 0
        self._last_message_at: datetime | None = None
        self._certificate_expires_at: datetime | None = None
        self._certificate_warned_at: datetime | None = None
        self._warned_of_qos0 = False

    # -- the contract ---------------------------------------------------------------------------------------

    @property
    def state(self) -> SourceState:
        wire = self._wire
        return SourceState(
            # with a full memory the answer to the subscription may wait behind messages that are not read yet
            connected=self._connected_at is not None,
            caught_up=self._caught_up(),
            detail=self._detail,
            messages=self._messages + (wire.received if wire else 0),
            qos0=self._qos0 + (wire.qos0 if wire else 0),
            reconnects=max(0, self._connects - 1),
            sessions_lost=self._sessions_lost,
            held=self._most - self._budget.messages,
            last_message_at=self._last_message_at,
            certificate_expires_at=self._certificate_expires_at,
        )

    async def batches(self) -> AsyncIterator[Batch]:
        while True:
            self._something.clear()
            batch = self._take()
            if batch is not None:
                yield batch
            elif self._closing.is_set():
                return
            else:
                await self._something.wait()

    async def run(self) -> None:
        keeping = asyncio.create_task(self._keep_connected(), name=f"mqtt {self.name}: connection")
        closing = asyncio.create_task(self._closing.wait(), name=f"mqtt {self.name}: closing")
        try:
            await asyncio.wait({keeping, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            keeping.cancel()
            closing.cancel()
            await asyncio.wait({keeping, closing})
            self._detail = _("closed")
        if not keeping.cancelled():
            keeping.result()  # it ends by itself only through a mistake of ours, which must be seen

    async def close(self) -> None:
        self._closing.set()
        self._something.set()

    # -- the consumer's side --------------------------------------------------------------------------------

    def _take(self) -> Batch | None:
        count, size = self._connection.max_batch, self._connection.max_batch_bytes
        wire, receipt = self._wire, None
        if self._orphans:
            wire = None
            end = batch_end(self._orphans, count, size)
            messages, self._orphans = self._orphans[:end], self._orphans[end:]
        elif wire is not None and wire.messages:
            messages, receipt = wire.take(count, size)
        else:
            return None
        return Batch(self.name, messages, lambda: self._committed(messages, wire, receipt))

    def _committed(self, messages: list[Message], wire: Wire | None, receipt: Receipt | None) -> None:
        if wire is not None and receipt is not None:
            wire.acknowledge(receipt)  # says nothing when that connection is gone
        self._budget.free(messages)
        self._committed_messages += len(messages)
        while self._arrivals and self._arrivals[0][0] <= self._committed_messages:
            self._arrivals.popleft()
        if self._wire is not None:
            self._wire.read_on()

    def _caught_up(self) -> bool:
        """Connected for ``SETTLED``, nothing in memory or being committed for ``QUIET``, and the broker's queue empty.

        Its queue is empty when nothing came for ``QUIET`` although we were reading, or, under steady traffic,
        when the broker did not refill what we had acknowledged (``Wire.acknowledge``). That stays true until
        back-pressure stops us from reading or the connection dies. While the broker owes us an answer, silence may be
        the line's: a slow one, or one that is dead without anybody knowing.
        """
        wire, since, now = self._wire, self._connected_at, time.monotonic()
        if wire is None or since is None or not self._subscribed or now - since < SETTLED:
            return False
        if self._orphans or wire.paused or wire.waits_for_answer:
            return False
        if self._arrivals and now - self._arrivals[0][1] >= QUIET:
            return False
        if wire.drained_at is not None:  # what came before that is the last of a backlog
            return self._committed_messages >= self._messages + wire.drained_at
        return now - max(since, wire.last_received) >= QUIET

    # -- one connection after the other ---------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        retry, attempt, told = self._connection.retry, -1, ""
        unexplained = 0  # ends in a row that the broker gave no reason for
        while True:
            began = time.monotonic()
            try:
                await self._live()
            except BrokerError as error:
                short = time.monotonic() - began < retry.stable_after
                attempt = attempt + 1 if short else 0
                unexplained = unexplained + 1 if short else 1
                if error.trouble is not Trouble.UNEXPLAINED:
                    unexplained = 0
                elif unexplained >= FIGHT:
                    error = explain_fight(self._connection)
                delay = retry.delay(attempt, error.trouble)
                self._detail = str(error)
                # a broker that is down for hours is worth one line, not one for each attempt
                tell = log.debug if self._detail == told and attempt else log.warning
                tell("not connected", source=self.name, detail=self._detail, retry_in=round(delay, 1))
                told = self._detail
                await asyncio.sleep(delay)

    async def _live(self) -> None:
        """Connect and stay; raises ``BrokerError`` when it ends."""
        connection = self._connection
        self._check_certificate()
        wire = Wire(self._budget, self._clock.now, self._arrived)
        connect = mqtt5.ConnectPacket(
            connection.client_id,
            username=connection.username,
            password=None if connection.password is None else connection.password.encode(),
            clean_start=False,
            keep_alive=max(1, int(connection.keep_alive.total_seconds())),
            session_expiry_interval=min(int(connection.session_expiry.total_seconds()), FOREVER),
            receive_max=min(self._most, 65_535),
        )
        self._wire = wire  # before the answer: the backlog may come in one piece with it
        try:
            connack = await open_wire(connection, wire, connect)
            self._welcome(connack)
            wire.subscribe([_topic_filter(topic) for topic in connection.topics])
            await self._stay(wire, connack.server_keep_alive or connection.keep_alive.total_seconds())
        finally:
            await self._part_with(wire)

    async def _stay(self, wire: Wire, keep_alive: float) -> None:
        tick = keep_alive / PINGS_PER_KEEP_ALIVE
        while True:
            events: set[asyncio.Future[Any]] = {wire.lost} if self._subscribed else {wire.lost, wire.suback}
            await asyncio.wait(events, timeout=tick, return_when=asyncio.FIRST_COMPLETED)
            if wire.lost.done():
                raise explain_loss(self._connection, wire.lost.result(), answered=True)
            if not self._subscribed and wire.suback.done():
                self._check_subscription(wire.suback.result())
                continue
            self._check_certificate()
            if not wire.ping():
                wire.abort()
                raise BrokerError(
                    _("{address}: the broker does not answer any more; the connection is dead").format(
                        address=self._connection.address
                    )
                )
            if not self._subscribed and wire.pongs > PINGS_PER_KEEP_ALIVE:
                raise BrokerError(
                    _("{address}: the broker answers, but not to our subscription").format(
                        address=self._connection.address
                    )
                )

    def _welcome(self, connack: mqtt5.ConnAckPacket) -> None:
        self._connects += 1
        self._connected_at = time.monotonic()
        self._detail = _("connected, waiting for the answer to the subscription")
        if not connack.session_present and self._connects > 1:
            self._sessions_lost += 1
            log.warning(
                "the broker had forgotten our session; what it kept for us is gone (is its persistence on?)",
                source=self.name,
            )
        wanted, granted = self._connection.session_expiry, connack.session_expiry_interval
        if granted is not None and granted < int(wanted.total_seconds()):
            log.warning(
                "the broker keeps our session for a shorter time than asked for",
                source=self.name, seconds=granted, wanted=int(wanted.total_seconds()),
            )  # fmt: skip

    def _check_subscription(self, suback: mqtt5.SubAckPacket) -> None:
        topics = self._connection.topics
        problems = explain_suback(topics, suback.reason_codes)
        if all(int(code) >= REFUSED for code in suback.reason_codes):
            raise BrokerError("\n".join(problems), Trouble.REFUSED)
        self._subscribed = True
        self._detail = "\n".join(problems) or None
        log.info("connected", source=self.name, broker=self._connection.address, topics=topics)
        if problems:
            log.error("subscriptions are not as they should be", source=self.name, detail=self._detail)

    async def _part_with(self, wire: Wire) -> None:
        """Forget the connection, keep what it brought."""
        self._wire = self._connected_at = None
        self._subscribed = False
        self._messages += wire.received
        self._qos0 += wire.qos0
        self._orphans += wire.abandon()
        await hang_up(wire)

    def _arrived(self) -> None:
        wire = self._wire
        assert wire is not None
        self._last_message_at = self._clock.now()
        self._arrivals.append((self._messages + wire.received, time.monotonic()))
        self._something.set()
        if wire.qos0 and not self._warned_of_qos0:
            self._warned_of_qos0 = True
            topic = next(message.topic for message in reversed(wire.messages) if message.is_careless)
            log.warning(
                "a publisher uses QoS 0, its messages get lost whenever something breaks; set qos = 1 there",
                source=self.name, topic=topic,
            )  # fmt: skip

    def _check_certificate(self) -> None:
        """Note when the client certificate expires, and warn once a day when that is soon."""
        tls, now = self._connection.tls, self._clock.now()
        if tls is None:
            return
        # what is wrong with the file is said when it is used
        with contextlib.suppress(CertificateError):
            self._certificate_expires_at = tls.expiry()
        expires_at = self._certificate_expires_at
        if expires_at is None or expires_at - now > EXPIRY_WARNING:
            return
        if self._certificate_warned_at is None or now - self._certificate_warned_at >= timedelta(days=1):
            self._certificate_warned_at = now
            expired = "the client certificate has expired; have it renewed"
            log.warning(
                "the client certificate expires soon; have it renewed" if expires_at > now else expired,
                source=self.name, file=str(tls.certificate_file), expires_at=expires_at.isoformat(),
            )  # fmt: skip


def _topic_filter(topic: str) -> mqtt5.TopicFilter:
    """QoS 1 is all we need. Retained messages (a gateway's state) come with a new subscription, not each time."""
    return mqtt5.TopicFilter(
        topic,
        max_qos=mqtt5.QoS.AT_LEAST_ONCE,
        retain_handling=mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
    )
