"""What a receiver is, what it is given, and how it says that it could not tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from smartdorf.db.alerts import Input
from smartdorf.errors import SmartdorfError


@dataclass(frozen=True, slots=True)
class Notification:
    """One transition of one alert, or of several in one message, for one receiver, in its language."""

    id: int  # the same at every attempt: what a receiver needs to notice a repetition
    language: str
    alert_id: int
    rule: str
    severity: str
    kind: str  # fired | raised | eased | returned | resolved | listed (of a rule on trial)
    title: str
    summary: str
    action: str
    place: str
    device: str
    time: datetime  # event time of the transition
    since: datetime  # when the condition began to hold
    over_since: datetime | None = None  # it fired, and is over by the time this is told
    inputs: tuple[Input, ...] = ()
    reason: str = ""  # why it ended, where it was not the data
    stale: bool = False  # happened long before it was known here
    link: str = ""
    gateway: str = ""
    stage: str = ""  # its name, where the rule has stages
    labels: Mapping[str, str] = field(default_factory=dict)  # of the rule
    together: tuple[Notification, ...] = ()  # several alerts in one message: each of them

    @property
    def after_outage(self) -> bool:
        """It tells what happened while nobody could be told, of whatever rules."""
        return bool(self.together) and self.stale and self.kind not in ("eased", "resolved")

    @property
    def where(self) -> str:
        return self.place or self.device or self.gateway


class Receiver(Protocol):
    """Where notifications go."""

    @property
    def name(self) -> str:
        """As rules call it."""

    @property
    def language(self) -> str:
        """``de`` or ``en``."""

    async def send(self, message: Notification) -> str:
        """Tell; returns the receiver's answer in a few words.

        Raises DeliveryError where a later attempt may succeed, and RefusedError where none will.
        """


class DeliveryError(SmartdorfError):
    """The receiver could not be told now; it is tried again."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds that the receiver asked for


class RefusedError(SmartdorfError):
    """The receiver refused for good; trying again would not help."""


class PartlyToldError(DeliveryError):
    """Some of the receiver's addresses were told; the others are tried again, for about an hour."""
