"""The life of one alert: inactive → pending → firing → inactive. Pure functions of their arguments.

Closed by hand, it is as if inactive, but for newer data only: else a silence would begin again by itself.

Knows what was decided (the condition holds, does not hold, is unknown), not how, and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from msgspec import Struct

from smartdorf.config.rule import Hold

Phase = Literal["pending", "firing", "closed"]
Kind = Literal["pending", "fired", "resolved", "dropped"]


class AlertKey(NamedTuple):
    """One rule at one place or device: what has one open alert at most."""

    rule: str
    kind: str  # place | device
    id: int


class AlertState(Struct, frozen=True):
    """What is kept of an instance that is not inactive: exactly table rule_state."""

    phase: Phase
    since: datetime  # when the condition began to hold; of a closed one, when it was closed
    readings: int  # fresh values for which it held, while pending
    fired_at: datetime | None = None


class Input(Struct, frozen=True):
    """A value that a decision was made on, and when it was measured."""

    value: float
    time: datetime


class Transition(Struct, frozen=True):
    """One step in the life of an alert. ``time`` is event time; texts stand where an alert opens or closes."""

    key: AlertKey
    kind: Kind
    time: datetime
    since: datetime
    rule_version: str = ""
    inputs: Mapping[str, Input] = {}
    summary: Mapping[str, str] = {}  # by language
    reason: str | None = None  # where it was not the data: "rule removed" …


class Verdict(NamedTuple):
    """What the conditions of a rule said. None: unknown."""

    holds: bool | None
    clears: bool | None  # asked only while firing
    reading: bool  # a fresh value took part in it
    fresh: bool  # it was asked because of fresh data, not because time has passed


def advance_alert(
    state: AlertState | None, hold: Hold, verdict: Verdict, at: datetime
) -> tuple[AlertState | None, Kind | None]:
    """The next state and the step that leads to it (None: no step).

    Unknown keeps the state. Only fresh data resolves: time alone does not, whatever the conditions say.
    """
    if state is not None and state.phase == "closed":
        return _advance(None, hold, verdict, at) if verdict.fresh and at > state.since else (state, None)
    return _advance(state, hold, verdict, at)


def _advance(
    state: AlertState | None, hold: Hold, verdict: Verdict, at: datetime
) -> tuple[AlertState | None, Kind | None]:
    if state is None:
        if verdict.holds is not True:
            return None, None
        begun = AlertState("pending", at, int(verdict.reading))
        return _fired(begun, at) if _is_over(hold, begun, at) else (begun, "pending")
    if state.phase == "firing":
        if verdict.fresh and verdict.clears is True and verdict.holds is not True:
            return None, "resolved"
        return state, None
    if verdict.holds is not True:
        return (state, None) if verdict.holds is None else (None, "dropped")
    if verdict.reading:
        state = AlertState("pending", state.since, state.readings + 1)
    return _fired(state, at) if _is_over(hold, state, at) else (state, None)


def _is_over(hold: Hold, state: AlertState, at: datetime) -> bool:
    return state.readings >= hold.readings and at - state.since >= hold.duration


def _fired(state: AlertState, at: datetime) -> tuple[AlertState, Kind]:
    return AlertState("firing", state.since, state.readings, at), "fired"


def due_of(state: AlertState | None, hold: Hold) -> datetime | None:
    """When a pending alert fires without further data; None where only data can make it fire."""
    if state is None or state.phase != "pending" or not hold.duration or state.readings < hold.readings:
        return None
    return state.since + hold.duration
