"""The exact account of what a simulation sent, so that a test can compare it with what arrived.

Owns: counting, at the moment a message is handed out; a message that was never handed out is in no count.
Must not know how faults are chosen or messages are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message and when, in simulated time, it is published."""

    topic: str
    payload: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class UplinkNote:
    """What the ledger must know of an ``up`` event."""

    dev_eui: str
    dev_addr: str
    f_cnt: int
    time: datetime  # when the device sent it
    truth: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Note:
    """What a message is. Exactly one of ``event``, ``garbage`` and the word "duplicates" in ``faults``."""

    event: str = ""  # the type of a new, valid event
    faults: tuple[str, ...] = ()  # counters of the ledger to raise
    garbage: tuple[str, str] | None = None  # the reason why nobody can use it, and the finer kind
    uplink: UplinkNote | None = None


@dataclass
class Session:
    lowest: int
    highest: int
    received: int = 1  # frame counters that were published at least once

    @property
    def missing(self) -> int:
        return self.highest - self.lowest + 1 - self.received


@dataclass
class Ledger:
    """Counts of what was handed out so far.

    ``published`` = sum of ``events`` + ``duplicates`` + sum of ``garbage``. ``events["up"]`` counts distinct
    uplinks that a correct service stores: retransmissions, late and broken frames included.
    """

    published: int = 0
    events: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0  # an uplink delivered once more, byte for byte
    retransmissions: int = 0  # an uplink with a new deduplicationId and the frame counter of an earlier one
    lost: int = 0  # frames that were sent and never published
    unheard: int = 0  # frames that only the dead gateway could have heard
    late: int = 0
    reordered: int = 0
    clock_errors: int = 0
    broken_frames: int = 0  # valid events whose payload no correct decoder accepts
    counter_resets: int = 0
    garbage: Counter[str] = field(default_factory=Counter)  # by the reason with which it must be refused
    garbage_kinds: Counter[str] = field(default_factory=Counter)
    silent_devices: list[str] = field(default_factory=list)
    dead_gateway: str | None = None
    sessions: dict[tuple[str, str], Session] = field(default_factory=dict)
    # dev_eui -> quantity -> (time, value): the newest that an undisturbed frame said
    newest: dict[str, dict[str, tuple[datetime, float]]] = field(default_factory=dict)

    @property
    def uplinks(self) -> int:
        return self.events["up"]

    @property
    def missing_frames(self) -> int:
        """Frame counters missing between the lowest and highest that were published, over all sessions."""
        return sum(session.missing for session in self.sessions.values())

    def add(self, note: Note) -> None:
        """Account for one message that is handed out now."""
        self.published += 1
        for fault in note.faults:
            self.count(fault)
        if note.garbage is not None:
            reason, kind = note.garbage
            self.garbage[reason] += 1
            self.garbage_kinds[kind] += 1
        if note.event:
            self.events[note.event] += 1
        if note.uplink is not None:
            self._add_uplink(note.uplink)

    def count(self, fault: str) -> None:
        setattr(self, fault, getattr(self, fault) + 1)

    def _add_uplink(self, uplink: UplinkNote) -> None:
        key = uplink.dev_eui, uplink.dev_addr
        session = self.sessions.get(key)
        if session is None:
            self.sessions[key] = Session(uplink.f_cnt, uplink.f_cnt)
        else:
            session.lowest = min(session.lowest, uplink.f_cnt)
            session.highest = max(session.highest, uplink.f_cnt)
            session.received += 1
        newest = self.newest.setdefault(uplink.dev_eui, {})
        for quantity, value in uplink.truth.items():
            if quantity not in newest or newest[quantity][0] < uplink.time:
                newest[quantity] = uplink.time, float(value)

    def as_dict(self) -> dict[str, Any]:
        """The counts as plain data, for people and for JSON."""
        return {
            "published": self.published,
            "uplinks": self.uplinks,
            "events": dict(sorted(self.events.items())),
            "duplicates": self.duplicates,
            "retransmissions": self.retransmissions,
            "lost": self.lost,
            "unheard": self.unheard,
            "missing_frames": self.missing_frames,
            "late": self.late,
            "reordered": self.reordered,
            "clock_errors": self.clock_errors,
            "broken_frames": self.broken_frames,
            "counter_resets": self.counter_resets,
            "garbage": dict(sorted(self.garbage.items())),
            "garbage_kinds": dict(sorted(self.garbage_kinds.items())),
            "silent_devices": sorted(self.silent_devices),
            "dead_gateway": self.dead_gateway,
        }
