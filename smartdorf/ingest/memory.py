"""What the writer keeps in memory between batches, and how it is read back from the database.

It is replaced as a whole: after a broken connection nobody knows whether the last commit happened, so the
memory is thrown away and loaded anew before the batch is tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from smartdorf.alerting.engine import AlertKey, AlertState, BoundRules, EngineState, bind
from smartdorf.config.rules import RuleSet
from smartdorf.db import directory as db_directory
from smartdorf.db import state as db_state
from smartdorf.decoding.registry import Catalogue
from smartdorf.directory import Directory
from smartdorf.errors import Problem
from smartdorf.ingest.frames import RETRANSMISSION_WINDOW, SESSION_KEPT, FrameLedger, Session
from smartdorf.vocabulary import Vocabulary


@dataclass(slots=True)
class Memory:
    """Facts and state that every batch needs; changed only after a commit."""

    directory: Directory
    gateways: dict[str, int]  # ids by gateway_id
    metrics: dict[str, int]  # ids by quantity
    ledger: FrameLedger
    rules: BoundRules
    state: EngineState


@dataclass(frozen=True, slots=True)
class Content:
    """What the village's files say: loaded once, before the database is needed."""

    vocabulary: Vocabulary
    catalogue: Catalogue
    rules: RuleSet

    @property
    def problems(self) -> list[Problem]:
        """What is broken and was left out."""
        return [*self.catalogue.problems, *self.rules.problems]

    @property
    def categories(self) -> Mapping[str, str]:
        """Category by model."""
        return {name: model.category for name, model in self.catalogue.models.items()}


async def load_memory(connection: asyncpg.Connection, content: Content) -> Memory:
    """Read everything back. The caller maps the driver's errors."""
    directory = await db_directory.load_directory(connection)
    return Memory(
        directory=directory,
        gateways=await db_directory.load_gateways(connection),
        metrics=await db_directory.sync_metrics(connection, content.vocabulary),
        ledger=await _load_ledger(connection),
        rules=bind_rules(content, directory),
        state=await _load_state(connection),
    )


def bind_rules(content: Content, directory: Directory) -> BoundRules:
    """The rules, with the devices and places that they watch."""
    return bind(content.rules, directory, content.categories)


async def _load_ledger(connection: asyncpg.Connection) -> FrameLedger:
    ledger = FrameLedger()
    for row in await db_state.fetch_sessions(connection, SESSION_KEPT):
        ledger.keep((row.device_id, row.dev_addr), Session(*row[1:-1]))
    for frame in await db_state.fetch_recent_frames(
        connection, 2 * RETRANSMISSION_WINDOW + timedelta(minutes=1)
    ):
        known = (frame.time, bytes(frame.data), frame.deduplication_id)
        ledger.remember(frame.device_id, frame.dev_addr, frame.f_cnt, known)
    return ledger


async def _load_state(connection: asyncpg.Connection) -> EngineState:
    instances = {
        AlertKey(row.rule, row.subject_kind, row.subject_id): AlertState(
            phase=row.phase, since=row.since, readings=row.readings, fired_at=row.fired_at
        )
        for row in await db_state.fetch_rule_state(connection)
    }
    latest = {
        (row.device_id, row.channel, row.metric): (row.value, row.time)
        for row in await db_state.fetch_latest(connection)
    }
    return EngineState(instances, latest, await db_state.fetch_last_heard(connection))
