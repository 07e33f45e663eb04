"""The receivers that write into the service's log: one on purpose, and one for names that nobody has set up."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import structlog

from smartdorf.errors import did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.notify.message import body, subject
from smartdorf.notify.receiver import DeliveryError, Notification

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LogReceiver:
    """Writes the message into the log: for trying out, and for a village that reads its logs anyway."""

    name: str
    language: str = "de"

    async def send(self, message: Notification) -> str:
        log.warning("alert told", receiver=self.name, subject=subject(message), text=body(message))
        return _("written to the log")


@dataclass(frozen=True)
class MissingReceiver:
    """Stands for a receiver that a rule names and the settings do not have.

    Each attempt says so in the log, with the message; the notification stays waiting, so that it goes out
    once the receiver has been added.
    """

    name: str
    known: Collection[str]
    language: str = "de"

    async def send(self, message: Notification) -> str:
        log.error("alert for a receiver that the settings lack", receiver=self.name, subject=subject(message))
        advice = _("smartdorf.toml has no [receivers.{name}]: add it, or correct the rule")
        raise DeliveryError(advice.format(name=self.name) + did_you_mean(self.name, self.known))
