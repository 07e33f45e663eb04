"""Alerts on a real database against a plain second model, through everything that happens to a service.

Uplinks that are fresh, repeated or late, gaps, restarts, other rule files, clocks that are set, nights in which the
hour changes, people who acknowledge, silence and close, and a notifier that dies between telling and noting it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from smartdorf.config.rules import load_rules
from smartdorf.content import shipped
from smartdorf.db import lifecycle, silences
from smartdorf.db.pool import connected
from smartdorf.db.silences import Matchers
from smartdorf.decoding.registry import load_catalogue
from smartdorf.embedded.postgres import EmbeddedPostgres
from smartdorf.ingest.memory import Content
from smartdorf.ingest.pipeline import Pipeline
from smartdorf.ingest.requests import work_off_requests
from smartdorf.ingest.source import Batch, Message
from smartdorf.ingest.writer import Writer
from smartdorf.metrics import Metrics
from smartdorf.vocabulary import load_vocabulary
from tests.integration.alert_container import NAMES, NIGHTS, VERSIONS, hours_from, meaning, payload
from tests.integration.alert_reference import Reference
from tests.integration.ingest.test_pipeline import message, onboard, uplink
from tests.support import postgres
from tests.support.alerts import ManualClock, Recorder
from tests.support.notifier import running

T = TypeVar("T")

GAPS = st.sampled_from([1, 5, 10, 20, 30, 60, 130])
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "fill": st.sampled_from([10, 59, 75, 85, 96, 96]),
        "tilt": st.sampled_from([0, 1, 1]),
        "heat": st.sampled_from([20, 50, 65]),
    },
).filter(bool)


class Dying(Recorder):
    """Tells, and hangs before it could say so."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.dies = False

    async def send(self, message: Any) -> str:
        answer = await super().send(message)
        if self.dies:
            await asyncio.Event().wait()
        return answer


class AlertMachine(RuleBasedStateMachine):
    """What each step does to the service it does to the reference; after each both must agree."""

    server: ClassVar[EmbeddedPostgres]
    contents: ClassVar[list[Content]]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.database = postgres.cloned_database(self.server)
        self.dsn = self.database.__enter__().dsn
        self.version = 0
        self.f_cnt = 0
        self.minute = 0  # true time since the start
        self.skew = 0  # of the machine's clock, in minutes
        self.last: list[Message] = []
        self.withheld: list[tuple[int, Message, dict[str, float]]] = []
        self.receivers = [Dying("bauhof"), Dying("it")]
        self.may_repeat: set[tuple[str, int]] = set()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize(start=st.sampled_from(NIGHTS))
    def begin(self, start: datetime) -> None:
        self.start = start
        self.clock = ManualClock(start)
        self.is_open = hours_from(start)
        self.reference = Reference(meaning(VERSIONS[0], self.is_open))
        self.do(onboard(self.dsn, self.start))
        self._open()
        self.fresh(0, {"fill": 10.0})

    def _open(self) -> None:
        metrics = Metrics("test")
        self.writer = Writer(self.dsn, self.contents[self.version], metrics, lambda _payload: None)
        self.pipeline = Pipeline(
            self.writer,
            self.contents[self.version],
            clock=self.clock,
            metrics=metrics,
            late=timedelta(days=53),
            wake_notifier=lambda: None,
        )
        self.do(self.pipeline.rebind())

    @property
    def wall(self) -> int:
        return self.minute + self.skew

    def _set_clock(self) -> None:
        self.clock.time = self.start + timedelta(minutes=self.wall)

    async def _receive(self, messages: list[Message]) -> None:
        prepared = await self.pipeline.prepare("test", messages)
        await self.pipeline.handle_batch(prepared, Batch("test", messages, lambda: None))

    def _message(self, values: dict[str, float]) -> Message:
        time = self.start + timedelta(minutes=self.minute)
        made = message(uplink(self.f_cnt, data=payload(values), at=time))
        self.f_cnt += 1
        return Message(made.topic, made.payload, 1, time, duplicate=False)

    # -- data -------------------------------------------------------------------------------------------------------

    @rule(messages=st.lists(st.tuples(GAPS, VALUES), min_size=1, max_size=6), ticks=st.booleans())
    def messages(self, messages: list[tuple[int, dict[str, float]]], *, ticks: bool) -> None:
        for gap, values in messages:
            self.fresh(gap, values)
            if ticks:
                self._tick()

    def fresh(self, gap: int, values: dict[str, float]) -> None:
        self.minute += gap
        self._set_clock()
        self.last = [self._message(values)]
        self.do(self._receive(self.last))
        self.reference.see(self.minute, values)

    @precondition(lambda self: self.last)
    @rule()
    def duplicate(self) -> None:
        self.do(self._receive(self.last))

    @rule(values=VALUES)
    def withhold(self, values: dict[str, float]) -> None:
        """A gateway without a network keeps it for later."""
        self.minute += 1
        self._set_clock()
        self.withheld.append((self.minute, self._message(values), values))

    @precondition(lambda self: self.withheld)
    @rule()
    def late(self) -> None:
        minute, made, values = self.withheld.pop(0)
        self.do(self._receive([made]))
        self.reference.see(minute, values)

    # -- time -------------------------------------------------------------------------------------------------------

    @rule(minutes=st.sampled_from([1, 10, 20, 29, 30, 50, 121]))
    def time_passes(self, minutes: int) -> None:
        self.minute += minutes
        self._tick()

    @rule(skew=st.sampled_from([-90, -10, 0, 0, 15, 90]))
    def the_clock_is_set(self, skew: int) -> None:
        self.skew = skew
        self._tick()

    def _tick(self) -> None:
        self._set_clock()
        for _ in range(2):  # every second; what waited for another alert is looked at after that has ended
            self.do(self.pipeline.tick(self.clock.now()))
        self.reference.tick(self.wall)

    # -- the service ------------------------------------------------------------------------------------------------

    @rule()
    def restart(self) -> None:
        before = self.do(self._rows("SELECT * FROM rule_state ORDER BY 1, 2, 3"))
        self.do(self.writer.close())
        self._open()
        self.reference.is_new = True
        assert self.do(self._rows("SELECT * FROM rule_state ORDER BY 1, 2, 3")) == before

    @rule(version=st.integers(0, len(VERSIONS) - 1))
    def reload(self, version: int) -> None:
        self.version = version
        self.writer.use(self.contents[version])
        self.do(self.pipeline.rebind())
        self.reference.use(meaning(VERSIONS[version], self.is_open), self.wall)

    # -- people -----------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES))
    def acknowledge(self, name: str) -> None:
        query = """
            SELECT a.id FROM alert a WHERE state = 'firing' AND rule = $1 AND NOT EXISTS (
                SELECT FROM alert_event e WHERE alert_id = a.id AND kind = 'acknowledged' AND NOT EXISTS (
                    SELECT FROM alert_event WHERE alert_id = a.id AND id > e.id AND kind IN ('raised', 'returned')))
        """
        for (number,) in self.do(self._rows(query, name)):
            self.do(self._with(lifecycle.acknowledge, number, None, self.clock.now()))

    @rule(name=st.sampled_from(NAMES))
    def close(self, name: str) -> None:
        open_alerts = "SELECT id FROM alert WHERE state = 'firing' AND rule = $1"
        for (number,) in self.do(self._rows(open_alerts, name)):
            self.do(self._with(lifecycle.request_close, number, "seen to", self.clock.now()))
            self.do(work_off_requests(self.pipeline, self.clock))
            self.reference.close(name, self.wall)

    @rule(name=st.sampled_from(["Filling", "Silent"]), minutes=st.sampled_from([15, 60]))
    def silence(self, name: str, minutes: int) -> None:
        now = self.clock.now()
        until = now + timedelta(minutes=minutes)
        self.do(self._with(silences.add_silence, Matchers(rule=name), "works", until, now))

    # -- telling ----------------------------------------------------------------------------------------------------

    @rule()
    def tell(self) -> None:
        self.do(self._tell())

    async def _tell(self) -> None:
        """Everything that can be told now; what is silenced or stale is decided, too."""
        calm = ManualClock(self.clock.now() + timedelta(seconds=5))  # what is stale waits for so long
        async with running(self.dsn, *self.receivers, clock=calm) as bench:
            for _ in range(250):
                await bench.looked_again()
                due = "SELECT count(*) FROM outbox WHERE state = 'waiting' AND next_attempt_at <= $1"
                if (await self._rows(due, calm.now()))[0][0] == 0:
                    return
        raise AssertionError("something waits in the outbox for ever")

    @rule()
    def the_notifier_dies_after_telling(self) -> None:
        self.do(self._tell_and_die())

    async def _tell_and_die(self) -> None:
        for receiver in self.receivers:
            receiver.dies = True
        before = {receiver.name: len(receiver.told) for receiver in self.receivers}
        try:
            async with running(self.dsn, *self.receivers, clock=self.clock, grace=0.01) as bench:
                await bench.looked_again()
        finally:
            for receiver in self.receivers:
                receiver.dies = False
        for receiver in self.receivers:
            self.may_repeat |= {(receiver.name, m.id) for m in receiver.told[before[receiver.name] :]}

    # -- what must be true ------------------------------------------------------------------------------------------

    @invariant()
    def both_agree(self) -> None:
        if not hasattr(self, "reference"):
            return
        events = self.do(
            self._rows(
                "SELECT a.rule, e.kind, e.time, e.stage->>'en' FROM alert_event e JOIN alert a ON a.id = e.alert_id "
                "WHERE e.kind IN ('fired', 'raised', 'eased', 'returned', 'resolved')"
            )
        )
        got = sorted((name, kind, self._minute(time)) for name, kind, time, _stage in events)
        assert got == sorted((name, kind, minute) for name, kind, minute, _stage in self.reference.log)
        stages = Counter((stage or "") for name, kind, _t, stage in events if _begins(name, kind))
        assert stages == Counter(
            ("full", "over")[stage] for name, kind, _m, stage in self.reference.log if _begins(name, kind)
        )
        states = self.do(self._rows("SELECT rule, phase, stage, eased FROM rule_state"))
        assert {name: (phase, stage, eased) for name, phase, stage, eased in states} == {
            name: (alert.phase, alert.stage, alert.eased) for name, alert in self.reference.alerts.items()
        }
        doubles = "SELECT rule FROM alert WHERE state = 'firing' GROUP BY rule HAVING count(*) > 1"
        assert self.do(self._rows(doubles)) == []

    def teardown(self) -> None:
        try:
            if hasattr(self, "reference"):
                self._all_is_told_once()
                self.do(self.writer.close())
        finally:
            self.do(self.loop.shutdown_asyncgens())
            self.loop.close()
            self.database.__exit__(None, None, None)

    def _all_is_told_once(self) -> None:
        self.minute, self.skew = self.minute + 500, 0  # every silence is over
        self._set_clock()
        self.do(self._tell())
        rows = self.do(
            self._rows(
                "SELECT o.id, o.receiver, o.state, e.kind, e.alert_id, o.result FROM outbox o "
                "JOIN alert_event e ON e.id = o.alert_event_id"
            )
        )
        told = Counter(
            (receiver.name, entry.id)
            for receiver in self.receivers
            for m in receiver.told
            for entry in (m.together or [m])
        )
        heard_of = {
            (alert, receiver)
            for _id, receiver, state, kind, alert, _result in rows
            if state == "sent" and kind in ("fired", "raised", "returned")
        }
        for number, receiver, state, kind, alert, result in rows:
            count = told[receiver, number]
            if state == "sent":
                most = 99 if (receiver, number) in self.may_repeat else 1
                assert 1 <= count <= most, (kind, receiver, count)
            else:
                assert state == "skipped", (state, kind, result)
                assert count == 0 or (receiver, number) in self.may_repeat
            if kind in ("eased", "resolved"):  # nobody hears of the end who did not hear of the beginning
                assert (state == "sent") == ((alert, receiver) in heard_of), (kind, result)

    def _minute(self, time: datetime) -> int:
        return int((time - self.start).total_seconds() // 60)

    async def _rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        async with connected(self.dsn) as connection:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]

    async def _with(self, act: Any, *arguments: object) -> None:
        async with connected(self.dsn) as connection:
            await act(connection, *arguments)


def _begins(name: str, kind: str) -> bool:
    return name == "Filling" and kind in ("fired", "raised", "returned")


def test_the_service_does_what_the_reference_says(plain_template: EmbeddedPostgres, tmp_path: Path) -> None:
    vocabulary = load_vocabulary()
    catalogue = load_catalogue([shipped("decoders")], vocabulary)
    contents = []
    for number, version in enumerate(VERSIONS):
        file = tmp_path / f"{number}" / "rules.yaml"
        file.parent.mkdir()
        file.write_text(version.text)
        rules = load_rules([file], vocabulary)
        assert rules.problems == ()
        contents.append(Content(vocabulary, catalogue, rules))
    AlertMachine.server, AlertMachine.contents = plain_template, contents
    run_machine(
        AlertMachine,
        settings=settings(
            max_examples=12, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
