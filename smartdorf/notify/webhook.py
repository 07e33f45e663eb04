"""Notifications as signed HTTP requests, after the Standard Webhooks specification, for which there are libraries
to check the signature in every common language."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from smartdorf.clock import Clock
from smartdorf.errors import UsageError
from smartdorf.i18n import gettext as _
from smartdorf.notify.message import body, subject
from smartdorf.notify.receiver import DeliveryError, Notification, RefusedError

TIMEOUT = 10.0  # seconds, for everything from the name lookup to the answer
_PREFIX = "whsec_"
_ANSWER = 200  # bytes of the answer that are worth keeping


def signing_key(secret: str) -> bytes:
    """The key in ``whsec_<base64>``; any other text is its own key. Raises UsageError."""
    if not secret.startswith(_PREFIX):
        key = secret.encode()
    else:
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise UsageError(_("what follows whsec_ in the secret is not base64")) from None
    if len(key) < 16:
        advice = _("the secret is too short; make one with `openssl rand -base64 32`")
        raise UsageError(advice)
    return key


def sign(key: bytes, message_id: str, timestamp: int, content: bytes) -> str:
    """The header ``webhook-signature``."""
    signed = f"{message_id}.{timestamp}.".encode() + content
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


@dataclass(frozen=True)
class WebhookReceiver:
    """POSTs each notification as JSON. ``webhook-id`` stays the same at every attempt."""

    name: str
    url: str
    secret: str = field(repr=False)
    language: str = "de"
    # the far end compares it with its own clock: wall time, even where ours runs fast
    wall: Clock = field(default_factory=Clock, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises UsageError for a URL or a secret that cannot work; neither is shown."""
        if not _is_url(self.url):
            advice = _('Receiver "{name}": its url is none; expected https://host/path')
            raise UsageError(advice.format(name=self.name))
        try:
            signing_key(self.secret)
        except UsageError as error:
            message = _('Receiver "{name}": {problem}')
            raise UsageError(message.format(name=self.name, problem=error)) from None

    async def send(self, message: Notification) -> str:
        content = payload(message)
        message_id, timestamp = str(message.id), int(self.wall.now().timestamp())
        headers = {
            "content-type": "application/json",
            "user-agent": "smartdorf",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(signing_key(self.secret), message_id, timestamp, content),
        }
        try:
            # alerts are rare: a connection that waits for the next one would only be a dead one by then
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session,
                session.post(self.url, data=content, headers=headers, allow_redirects=False) as response,
            ):
                if response.status in range(200, 300):
                    return (
                        f"HTTP {response.status}"  # it has it: what else it says may take as long as it likes
                    )
                answer = await response.content.read(_ANSWER)
                raise self._error(response, answer.decode(errors="replace"))
        except TimeoutError as error:
            raise DeliveryError(_("no answer within {seconds:.0f} s").format(seconds=TIMEOUT)) from error
        except aiohttp.ClientError as error:
            raise DeliveryError(str(error) or type(error).__name__) from error

    def _error(self, response: aiohttp.ClientResponse, answer: str) -> DeliveryError | RefusedError:
        result = f"HTTP {response.status} {answer}".strip()
        if 300 <= response.status < 400:
            target = response.headers.get("Location", "?")
            moved = _("HTTP {status}: moved to {target}; write that URL into smartdorf.toml")
            return RefusedError(moved.format(status=response.status, target=target))
        if response.status < 500 and response.status not in (408, 425, 429):
            return RefusedError(result)
        return DeliveryError(result, _retry_after(response.headers.get("Retry-After", ""), self.wall.now()))


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return bool(url.hostname) and url.port != 0 and not any(character.isspace() for character in text)
    except ValueError:  # a port that is none
        return False


def _retry_after(header: str, now: datetime) -> float:
    """Seconds; the header holds seconds or an HTTP date."""
    if header.strip().isdecimal():
        return float(header)
    try:
        time = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    # a date without a zone is UTC (RFC 9110)
    return max(0.0, ((time if time.tzinfo else time.replace(tzinfo=UTC)) - now).total_seconds())


def payload(message: Notification) -> bytes:
    """The request's body. Fields are only ever added."""
    texts = {"subject": subject(message), "text": body(message)}
    alerts = [_fields(entry) for entry in message.together]
    return msgspec.json.encode(
        {
            "type": f"alert.{message.kind}",
            "timestamp": message.time,
            "data": {**_fields(message), **texts, "alerts": alerts},
        }
    )


def _fields(message: Notification) -> dict[str, Any]:
    return {
        "alert_id": message.alert_id,
        "rule": message.rule,
        "severity": message.severity,
        "stage": message.stage,
        "kind": message.kind,
        "title": message.title,
        "summary": message.summary,
        "action": message.action,
        "place": message.place,
        "device": message.device,
        "gateway": message.gateway,
        "since": message.since,
        "over_since": message.over_since,
        "inputs": {entry.name: entry.value for entry in message.inputs},
        "reason": message.reason,
        "stale": message.stale,
        "link": message.link,
        "language": message.language,
        "labels": message.labels,
    }
