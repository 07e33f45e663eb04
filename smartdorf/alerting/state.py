"""The life of one alert: inactive → pending → firing → inactive. Pure functions of their arguments.

While it fires it may be raised to a higher stage; it never steps down: what was reached is what people act on. One
that a person has to close eases when it is clear, and fires again (it returns) when its condition holds once more.
Closed by hand, it is as if inactive, but for newer data only: else a silence would begin again by itself.

Knows what was decided (the condition holds, does not hold, is unknown), not how, and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from msgspec import Struct

from smartdorf.config.rule import Timing

Phase = Literal["pending", "firing", "closed"]
Kind = Literal["pending", "fired", "raised", "eased", "returned", "resolved", "dropped"]
TOLD = frozenset({"fired", "raised", "eased", "returned", "resolved"})  # those that people hear of
BEGINS = frozenset({"fired", "raised", "returned"})  # those after which it is worse than before


class AlertKey(NamedTuple):
    """One rule at one place, device or gateway: what has one open alert at most."""

    rule: str
    kind: str  # place | device | gateway
    id: int


class Mark(Struct, frozen=True, array_like=True):
    """Since when a stage has held, and with how many fresh values."""

    since: datetime
    readings: int


Marks = tuple[Mark | None, ...]  # by stage; () where none has begun


class AlertState(Struct, frozen=True):
    """What is kept of an instance that is not inactive: exactly table rule_state."""

    phase: Phase
    since: datetime  # when the condition began to hold; of a closed one, when it was closed
    readings: int  # fresh values for which it held, while pending
    fired_at: datetime | None = None
    stage: int = 0  # while firing, the highest that was reached
    rising: Marks = ()  # the stages above that have begun to hold
    clearing: datetime | None = None  # since when it has been clear, while the rule keeps it firing
    eased: bool = False  # it is clear and waits for a person
    muted_by: tuple[
        AlertKey, ...
    ] = ()  # while pending: the open alerts that explain it, whose end it waits for

    @property
    def is_settled(self) -> bool:
        """It fires, and nothing has begun that would change that."""
        return self.phase == "firing" and not self.eased and self.clearing is None and not self.rising

    @property
    def looked_at(self) -> datetime:
        """The last moment that it knows of; nothing happens to it before."""
        marks = [mark.since for mark in self.rising if mark is not None]
        return max(filter(None, [self.since, self.fired_at, self.clearing, *marks]))


class Input(Struct, frozen=True):
    """A value that a decision was made on, and when it was measured."""

    value: float
    time: datetime


class Transition(Struct, frozen=True):
    """One step in the life of an alert. ``time`` is event time; texts stand where people hear of it."""

    key: AlertKey
    kind: Kind
    time: datetime
    since: datetime
    rule_version: str = ""
    inputs: Mapping[str, Input] = {}
    summary: Mapping[str, str] = {}  # by language
    reason: str | None = None  # where it was not the data: "rule removed" …
    stage: int = 0
    limits: Mapping[str, float] = {}  # those of its conditions, where it fires; durations in seconds
    because: Mapping[str, str] = {}  # why it holds, by language


class Verdict(NamedTuple):
    """What the conditions of a rule said. None: unknown.

    ``levels``: of each stage, whether it holds or one above it does. ``readings``: of each stage, whether a fresh
    value took part in it.
    """

    levels: tuple[bool | None, ...]
    clears: bool | None  # asked only while firing
    readings: tuple[bool, ...]
    fresh: bool  # it was asked because of fresh data, not because time has passed

    @property
    def holds(self) -> bool | None:
        return self.levels[0]


def advance_alert(
    state: AlertState | None, timing: Timing, verdict: Verdict, at: datetime
) -> tuple[AlertState | None, Kind | None]:
    """The next state and the step that leads to it (None: no step).

    Unknown keeps the state. Only fresh data clears: time alone does not, whatever the conditions say.
    """
    before = state
    if state is not None and state.phase == "closed":
        if not verdict.fresh or at <= state.since:
            return state, None
        state = None
    if state is None:
        if verdict.holds is not True:
            return None, None
        after, kind = _pend(AlertState("pending", at, 0), timing, verdict, at)
        kind = kind or "pending"
    elif state.phase == "pending":
        after, kind = _pend(state, timing, verdict, at)
    else:
        after, kind = _fire(state, timing, verdict, at)
    return (before if after == before else after), kind


def _pend(
    state: AlertState, timing: Timing, verdict: Verdict, at: datetime
) -> tuple[AlertState | None, Kind | None]:
    base = _marked(Mark(state.since, state.readings), verdict, 0, at)
    if base is None:
        return None, "dropped"
    rising = _rising(state.rising, 1, verdict, at)
    if verdict.holds is None or not _is_over(timing, base, at):
        return AlertState("pending", base.since, base.readings, rising=rising), None
    stage = max(_reached(rising, timing, verdict, at), default=0)
    rising = _above(rising, stage)
    return AlertState("firing", base.since, base.readings, at, stage, rising), "fired"


def _fire(
    state: AlertState, timing: Timing, verdict: Verdict, at: datetime
) -> tuple[AlertState | None, Kind | None]:
    last = len(verdict.levels) - 1  # the rule may have lost stages since
    rising = _rising(state.rising, 0 if state.eased else min(state.stage, last) + 1, verdict, at)
    reached = _reached(rising, timing, verdict, at)
    if reached:
        stage = max(reached)
        risen = AlertState(
            "firing", state.since, state.readings, state.fired_at, stage, _above(rising, stage)
        )
        return risen, "returned" if state.eased else "raised"
    clearing, is_clear = state.clearing, False
    if verdict.holds is True or verdict.clears is False:
        clearing = None
    elif verdict.clears is True and (verdict.fresh or clearing is not None):
        clearing = clearing or at
        is_clear = not state.eased and at - clearing >= timing.keep
    if is_clear and not timing.by_hand:
        return None, "resolved"
    after = AlertState(
        "firing",
        state.since,
        state.readings,
        state.fired_at,
        state.stage,
        rising,
        clearing if timing.keep and not is_clear and not state.eased else None,
        state.eased or is_clear,
    )
    return after, "eased" if is_clear else None


def _marked(mark: Mark | None, verdict: Verdict, stage: int, at: datetime) -> Mark | None:
    holds = verdict.levels[stage]
    if holds is not True:
        return mark if holds is None else None
    if mark is None:
        mark = Mark(at, 0)
    return Mark(mark.since, mark.readings + 1) if verdict.readings[stage] else mark


def _rising(marks: Marks, lowest: int, verdict: Verdict, at: datetime) -> Marks:
    if lowest >= len(verdict.levels):
        return ()
    known = dict(enumerate(marks))
    found = tuple(
        _marked(known.get(stage), verdict, stage, at) if stage >= lowest else None
        for stage in range(len(verdict.levels))
    )
    return found if any(found) else ()


def _reached(marks: Marks, timing: Timing, verdict: Verdict, at: datetime) -> list[int]:
    return [
        stage
        for stage, mark in enumerate(marks)
        if mark is not None and verdict.levels[stage] and _is_over(timing, mark, at)
    ]


def _above(marks: Marks, stage: int) -> Marks:
    found = tuple(mark if number > stage else None for number, mark in enumerate(marks))
    return found if any(found) else ()


def _is_over(timing: Timing, mark: Mark, at: datetime) -> bool:
    return mark.readings >= timing.hold.readings and at - mark.since >= timing.hold.duration


def due_of(state: AlertState | None, timing: Timing) -> datetime | None:
    """When an alert changes without further data; None where only data can change it."""
    if state is None:
        return None
    due = [state.clearing + timing.keep] if state.clearing is not None else []
    if timing.hold.duration:
        marks = [*state.rising, Mark(state.since, state.readings) if state.phase == "pending" else None]
        due += [
            mark.since + timing.hold.duration
            for mark in marks
            if mark is not None and mark.readings >= timing.hold.readings
        ]
    return min(due, default=None)
