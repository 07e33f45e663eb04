"""One MQTT connection as a person set it up, and every way it can fail said as advice.

Pure: turns reason codes and errors into sentences and decides how patient to be. Connects to nothing.
"""

from __future__ import annotations

import enum
import errno
import random
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import mqtt5
from mqtt5 import ConnAckReasonCode, DisconnectReasonCode, SubAckReasonCode

from smartdorf.errors import SmartdorfError
from smartdorf.i18n import gettext as _
from smartdorf.ingest.mqtt_protocol import Loss
from smartdorf.ingest.mqtt_tls import TlsFiles


@dataclass(frozen=True, slots=True)
class Retry:
    """How long to wait before the next attempt, in seconds. Jitter keeps many villages from coming at once."""

    first: float = 0.25
    longest: float = 30.0
    refused: float = 10.0  # a person must change something; do not look like somebody guessing passwords
    taken_over: float = 30.0  # two clients that evict each other must not do so many times a minute
    stable_after: float = 30.0  # a connection that lived so long counts as good, and patience starts anew

    def delay(self, attempt: int, trouble: Trouble) -> float:
        """``attempt`` counts from 0."""
        delay = min(self.longest, self.first * 2.0 ** min(attempt, 20))
        if trouble is Trouble.REFUSED:
            delay = max(delay, self.refused)
        elif trouble is Trouble.TAKEN_OVER:
            delay = max(delay, self.taken_over)
        return delay * random.uniform(1.0, 1.5)  # noqa: S311 - jitter, no secret


@dataclass(frozen=True, slots=True)
class MqttConnection:
    """``max_batch`` and ``max_batch_bytes`` bound one batch; two of them is all that is ever held in memory."""

    name: str
    host: str
    port: int
    client_id: str
    topics: tuple[str, ...] = ("application/+/device/+/event/+",)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: TlsFiles | None = None
    session_expiry: timedelta = timedelta(days=7)
    keep_alive: timedelta = timedelta(seconds=30)
    connect_timeout: timedelta = timedelta(seconds=10)
    max_batch: int = 500
    max_batch_bytes: int = 4 * 1024 * 1024
    retry: Retry = Retry()

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class Trouble(enum.Enum):
    """What kind of failure, as far as the wait before the next attempt is concerned."""

    NETWORK = enum.auto()
    REFUSED = enum.auto()
    TAKEN_OVER = enum.auto()
    UNEXPLAINED = enum.auto()  # the broker closed the connection and did not say why


class BrokerError(SmartdorfError):
    """The connection to the broker failed."""

    def __init__(self, message: str, trouble: Trouble = Trouble.NETWORK) -> None:
        super().__init__(message)
        self.trouble = trouble


def explain_error(connection: MqttConnection, error: Exception, *, opened: bool) -> BrokerError:
    """A connection that could not be opened, or that the operating system or TLS broke afterwards."""
    if isinstance(error, ssl.SSLError):
        return BrokerError(_explain_tls(connection, error), Trouble.REFUSED)
    if isinstance(error, socket.gaierror):
        text = _('{address}: the name "{host}" cannot be resolved; check the spelling and the DNS')
    elif isinstance(error, TimeoutError):
        text = _("{address}: no answer in time; is a firewall in between, or the broker overloaded?")
    elif isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(error):
        # several addresses of one name come as one OSError without an errno, hence the text
        text = _("{address}: connection refused; the machine is there, but no broker listens on this port")
    elif isinstance(error, ConnectionError) and connection.tls is not None and not opened:
        text = _("{address}: closed during the TLS handshake; does this port speak TLS? Often it is 8883")
    elif isinstance(error, ConnectionError):
        text = _("{address}: the connection broke ({error})")
    else:
        text = "{address}: {error}"
    return BrokerError(text.format(address=connection.address, host=connection.host, error=error))


def explain_loss(connection: MqttConnection, loss: Loss, *, answered: bool) -> BrokerError:
    """A connection that ended; ``answered``: the broker had accepted us before."""
    at = {"address": connection.address, "client_id": connection.client_id}
    if loss.disconnect is not None:
        return _explain_disconnect(connection, loss.disconnect)
    if loss.violation is not None:
        if answered:
            text = _("{address}: the broker broke the protocol: {violation}")
        else:
            text = _(
                "{address}: this is no MQTT 5 broker ({violation}); check the port, and that the broker is new enough"
                " for MQTT 5 (mosquitto 1.6, EMQX 4, HiveMQ 4)"
            )
        return BrokerError(text.format(violation=loss.violation, **at), Trouble.REFUSED)
    if loss.error is not None and not (isinstance(loss.error, ConnectionError) and not answered):
        return explain_error(connection, loss.error, opened=True)
    if answered:
        text = _("{address}: the broker closed the connection and gave no reason; its log should say why")
        return BrokerError(text.format(**at), Trouble.UNEXPLAINED)
    if connection.tls is None:
        text = _("{address}: closed without an answer; does this port expect TLS? Then set tls = true")
    elif connection.tls.certificate_file is None:
        text = _("{address}: closed after TLS; does the broker want a client certificate? See also its log")
    else:
        text = _("{address}: closed after TLS; does the broker know our client certificate? See also its log")
    return BrokerError(text.format(**at), Trouble.REFUSED)


def explain_fight(connection: MqttConnection) -> BrokerError:
    """Closed again and again, each time soon after it stood: mosquitto 2.0 says no more of a takeover."""
    text = _(
        "{address}: the broker closes the connection again and again and gives no reason; probably another client uses"
        ' our id "{client_id}", and each needs an id of its own. Does a second smartdorf run?'
    )
    return BrokerError(
        text.format(address=connection.address, client_id=connection.client_id), Trouble.TAKEN_OVER
    )


def explain_connack(connection: MqttConnection, connack: mqtt5.ConnAckPacket) -> BrokerError:
    """A CONNACK that says no."""
    code, trouble = connack.reason_code, Trouble.REFUSED
    match code:
        case ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD:
            text = _("{address}: the broker refuses user name or password")
        case ConnAckReasonCode.NOT_AUTHORIZED if connection.username is not None:
            # mosquitto answers a wrong password with this code
            text = _(
                '{address}: not authorised; check user name "{username}" and password, and the broker\'s access list'
            )
        case ConnAckReasonCode.NOT_AUTHORIZED:
            text = _(
                "{address}: not authorised; the broker wants a user name and password or a client certificate"
            )
        case ConnAckReasonCode.CLIENT_ID_NOT_VALID:
            text = _(
                '{address}: the broker does not accept the client id "{client_id}"; ask its operator which are allowed'
            )
        case ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
            text = _(
                "{address}: the broker does not speak MQTT 5; it needs a newer version or another setting"
            )
        case ConnAckReasonCode.SERVER_UNAVAILABLE | ConnAckReasonCode.SERVER_BUSY:
            text, trouble = _("{address}: the broker is not ready for connections ({code})"), Trouble.NETWORK
        case _:
            text = _("{address}: the broker refuses the connection ({code})")
    message = text.format(
        address=connection.address,
        client_id=connection.client_id,
        username=connection.username,
        code=_readable(code, connack.reason_str),
    )
    return BrokerError(message, trouble)


def explain_suback(topics: Sequence[str], codes: Sequence[SubAckReasonCode]) -> list[str]:
    """What is wrong with the subscriptions, one sentence each; empty when all were granted with QoS 1."""
    problems = []
    for topic, code in zip(topics, codes, strict=False):
        match code:
            case SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE | SubAckReasonCode.GRANTED_QOS_EXACTLY_ONCE:
                continue
            case SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE:
                text = _(
                    '"{topic}": only QoS 0 is granted, so messages get lost whenever something breaks; allow QoS 1'
                )
            case SubAckReasonCode.NOT_AUTHORIZED:
                text = _(
                    '"{topic}": subscription refused; let this user or certificate read the topic'
                    " in the broker's access list"
                )
            case SubAckReasonCode.TOPIC_FILTER_INVALID:
                text = _(
                    '"{topic}": the broker finds this topic filter invalid; "+" stands for one level,'
                    ' "#" only at the end'
                )
            case _:
                text = _('"{topic}": subscription refused ({code})')
        problems.append(text.format(topic=topic, code=_readable(code, None)))
    if len(codes) != len(topics):
        problems.append(
            _("the broker answered {count} of {all} subscriptions").format(count=len(codes), all=len(topics))
        )
    return problems


def _explain_disconnect(connection: MqttConnection, packet: mqtt5.DisconnectPacket) -> BrokerError:
    code, trouble = packet.reason_code, Trouble.NETWORK
    match code:
        case DisconnectReasonCode.SESSION_TAKEN_OVER:
            trouble = Trouble.TAKEN_OVER
            text = _(
                '{address}: another client connected with our id "{client_id}" and took the session over; each client'
                " needs an id of its own. Does a second smartdorf run?"
            )
        case DisconnectReasonCode.SERVER_SHUTTING_DOWN:
            text = _("{address}: the broker is shutting down")
        case DisconnectReasonCode.NOT_AUTHORIZED | DisconnectReasonCode.ADMINISTRATIVE_ACTION:
            trouble = Trouble.REFUSED
            text = _("{address}: the broker's administration ended the connection ({code})")
        case _:
            text = _("{address}: the broker ended the connection ({code})")
    message = text.format(
        address=connection.address, client_id=connection.client_id, code=_readable(code, packet.reason_str)
    )
    return BrokerError(message, trouble)


def _explain_tls(connection: MqttConnection, error: ssl.SSLError) -> str:
    reason = (getattr(error, "reason", None) or str(error)).replace("_", " ").lower()
    if isinstance(error, ssl.SSLCertVerificationError):
        text = _(
            "{address}: the broker's certificate is not accepted: {reason}. Is ca_file right, and the host name?"
        )
        reason = error.verify_message
    elif "wrong version number" in reason or "record layer failure" in reason:
        text = _(
            "{address}: this port does not speak TLS; use the broker's TLS port (often 8883) or set tls = false"
        )
    elif "certificate required" in reason or "handshake failure" in reason:
        text = _("{address}: the broker wants a client certificate ({reason}); set cert_file and key_file")
    elif "alert" in reason and ("certificate" in reason or "unknown ca" in reason):
        text = _(
            "{address}: the broker does not accept our client certificate ({reason}); expired, or of another CA?"
        )
    else:
        text = _("{address}: TLS failed: {reason}")
    return text.format(address=connection.address, reason=reason)


def _readable(code: enum.IntEnum, reason: str | None) -> str:
    name = code.name.lower().replace("_", " ")
    return f"{name}: {reason}" if reason else name
