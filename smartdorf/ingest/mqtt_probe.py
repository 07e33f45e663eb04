"""Try a connection without touching what the running service has there (for ``smartdorf check``).

A throw-away client id and a clean session that ends at once: the service is not evicted, its queue not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import mqtt5

from smartdorf.i18n import gettext as _
from smartdorf.ingest.mqtt import hang_up, open_wire
from smartdorf.ingest.mqtt_connection import BrokerError, MqttConnection, explain_loss, explain_suback
from smartdorf.ingest.mqtt_protocol import Budget, Wire
from smartdorf.ingest.mqtt_tls import EXPIRY_WARNING, CertificateError

# what may arrive while the probe looks; it goes with the probe
_MESSAGES, _BYTES = 10_000, 16 * 1024 * 1024
LISTEN = 2.0  # seconds for a first event: with which QoS it was published can be seen nowhere else


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """``problems`` keep the service from working, ``warnings`` will some day; each is one sentence of advice."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    certificate_expires_at: datetime | None = None  # ours
    broker_certificate_expires_at: datetime | None = None

    @property
    def ok(self) -> bool:
        return not self.problems


async def probe(connection: MqttConnection, now: datetime) -> ProbeResult:
    """Connect, subscribe to the topics, leave; never raises for what a person can put right."""
    problems: list[str] = []
    warnings: list[str] = []
    heard = asyncio.Event()
    wire = Wire(Budget(_MESSAGES, _BYTES), lambda: now, heard.set)
    try:
        await _connect(connection, wire)
        problems += await _subscribe(connection, wire)
        if not problems:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), LISTEN)
    except BrokerError as error:
        problems.append(str(error))
    theirs = _peer_certificate_expiry(wire)
    await hang_up(wire)
    ours = None
    # a file that cannot be read is already among the problems: connecting has read the same ones
    with contextlib.suppress(CertificateError):
        ours = connection.tls.expiry() if connection.tls else None
    if ours is not None and ours - now <= EXPIRY_WARNING:
        text = (
            _("the client certificate {file} expires on {date:%Y-%m-%d}; have it renewed")
            if ours > now
            else _("the client certificate {file} has expired on {date:%Y-%m-%d}; have it renewed")
        )
        warnings.append(text.format(file=connection.tls and connection.tls.certificate_file, date=ours))
    if theirs is not None and theirs - now <= EXPIRY_WARNING:
        warnings.append(
            _("the certificate of the broker {address} expires on {date:%Y-%m-%d}; tell its operator").format(
                address=connection.address, date=theirs
            )
        )
    if careless := next((message.topic for message in wire.messages if message.is_careless), None):
        warnings.append(
            _(
                "{topic} is published with QoS 0, such messages get lost whenever something breaks;"
                " set qos = 1 in ChirpStack's MQTT integration"
            ).format(topic=careless)
        )
    if any(topic.startswith("$share/") for topic in connection.topics):
        warnings.append(
            _(
                "a shared subscription ($share/…) may spread one device's messages over several readers, and keeps"
                " messages for a reader that is away; use the plain topic"
            )
        )
    return ProbeResult(tuple(problems), tuple(warnings), ours, theirs)


async def _connect(connection: MqttConnection, wire: Wire) -> None:
    connect = mqtt5.ConnectPacket(
        f"{connection.client_id}-check-{secrets.token_hex(4)}",
        username=connection.username,
        password=None if connection.password is None else connection.password.encode(),
        clean_start=True,
        keep_alive=60,
        session_expiry_interval=0,
    )
    await open_wire(connection, wire, connect)


async def _subscribe(connection: MqttConnection, wire: Wire) -> list[str]:
    # a member of a shared group would be given messages that are the service's
    plain = [topic.split("/", 2)[2] if topic.startswith("$share/") else topic for topic in connection.topics]
    wire.subscribe(
        [
            mqtt5.TopicFilter(
                topic, max_qos=mqtt5.QoS.AT_LEAST_ONCE, retain_handling=mqtt5.RetainHandling.SEND_NEVER
            )
            for topic in plain
        ]
    )
    answers: set[asyncio.Future[Any]] = {wire.suback, wire.lost}
    await asyncio.wait(
        answers, timeout=connection.connect_timeout.total_seconds(), return_when=asyncio.FIRST_COMPLETED
    )
    if wire.suback.done():
        return explain_suback(connection.topics, wire.suback.result().reason_codes)
    if wire.lost.done():
        raise explain_loss(connection, wire.lost.result(), answered=True)
    raise BrokerError(
        _("{address}: no answer to the subscription; are the topics right?").format(
            address=connection.address
        )
    )


def _peer_certificate_expiry(wire: Wire) -> datetime | None:
    tls = wire.tls_object()
    certificate = tls.getpeercert() if tls is not None else None
    if not certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
