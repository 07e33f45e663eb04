"""What a source of events is: the contract between a transport (MQTT today) and the pipeline.

Owns the words ``Message``, ``Batch`` and ``Source``. Knows no transport and nothing of what a message contains.

The rules, for both sides:

* The consumer acknowledges a batch after its commit, exactly once, in the order in which it was given them.
  Until then the broker still has the messages, and their memory counts as used.
* A source holds at most a fixed number of messages: those handed out and not acknowledged plus those waiting.
  When that is used up it reads no further. So a consumer that keeps a batch keeps the source waiting, and
  nothing else needs to be told about back-pressure.
* An acknowledgement belongs to the connection that brought the messages. When that has died, ``acknowledge``
  tells the broker nothing (the packet ids may mean other messages by now); it only frees the memory. The
  messages come again, and the database knows them already.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Protocol

from msgspec import Struct


class Message(Struct, frozen=True, gc=False):
    """One message as it arrived; nobody has looked into it yet."""

    topic: str
    payload: bytes
    qos: int
    received_at: datetime
    duplicate: bool  # the broker says that it may have sent this one before
    original_size: int | None = None  # bytes, where the payload was too big and only its beginning was kept

    @property
    def is_careless(self) -> bool:
        """With QoS 0 it could have got lost. A gateway's stats may: the next ones come in half a minute."""
        return self.qos == 0 and not self.topic.endswith("/event/stats")

    @property
    def size(self) -> int:
        """What it takes of the memory; a topic may have 64 KiB, too."""
        return len(self.topic) + len(self.payload)


class Batch:
    """Messages and the right to acknowledge them, once."""

    __slots__ = ("_acknowledge", "messages", "source")

    def __init__(self, source: str, messages: list[Message], acknowledge: Callable[[], None]) -> None:
        self.source = source
        self.messages = messages
        self._acknowledge: Callable[[], None] | None = acknowledge

    def acknowledge(self) -> None:
        """The messages are committed: the broker may forget them. Calling it again does nothing."""
        acknowledge, self._acknowledge = self._acknowledge, None
        if acknowledge is not None:
            acknowledge()


class SourceState(Struct, frozen=True):
    """How a source is doing at this moment: for the status page, the metrics and the clock of the rules."""

    connected: bool
    caught_up: bool  # nothing older is waiting before what comes next, as far as this source can know
    detail: str | None  # why it is not connected, or what is wrong with the connection: advice for a person
    messages: int  # since the start of the process, as are the next four
    qos0: int  # of these, published with QoS 0: such messages are lost whenever something breaks
    reconnects: int
    sessions_lost: int  # reconnects to a broker that had forgotten us: what it had kept for us is gone
    held: int  # messages in memory now: waiting, or handed out and not acknowledged
    last_message_at: datetime | None
    certificate_expires_at: datetime | None  # the client certificate's


class Source(Protocol):
    """A connection that yields batches. Several sources run side by side, each with its own ``name``."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> SourceState: ...

    def batches(self) -> AsyncIterator[Batch]:
        """Batches for one consumer, as soon as there is anything; ends when the source was closed."""
        ...

    async def run(self) -> None:
        """Keep the connection up until ``close``; a named task. A broker that is away is no error."""
        ...

    async def close(self) -> None:
        """Leave politely and let ``run`` and ``batches`` end. Acknowledge what is committed before.

        ``batches`` still yields what is in memory. Who does not want it stops asking: the broker has it, too,
        except for messages with QoS 0 and those of a broker that has forgotten us.
        """
        ...
