"""The only place where the parts meet: open, start named tasks, stop, drain, close."""

from __future__ import annotations

import asyncio
import importlib.metadata
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

import structlog

from smartdorf.clock import Clock
from smartdorf.config.rules import RuleSet, load_rules
from smartdorf.config.settings import (
    LogReceiverSettings,
    MqttSettings,
    ReceiverSettings,
    Settings,
    WebhookReceiverSettings,
    calendar_of,
    read_secret,
)
from smartdorf.content import shipped
from smartdorf.db.migrate import require_current
from smartdorf.db.pool import already_running, connected, hush_lost_connections, open_pool, writer_holder
from smartdorf.db.retention import Retention
from smartdorf.decoding.registry import Catalogue, load_catalogue
from smartdorf.errors import DatabaseUnavailableError, SmartdorfError, UsageError
from smartdorf.ingest.memory import Content
from smartdorf.ingest.mqtt import MqttSource
from smartdorf.ingest.mqtt_connection import MqttConnection
from smartdorf.ingest.mqtt_tls import TlsFiles
from smartdorf.ingest.pipeline import Pipeline
from smartdorf.ingest.requests import work_off_requests
from smartdorf.ingest.source import Source
from smartdorf.ingest.writer import Writer
from smartdorf.metrics import Metrics
from smartdorf.morning import list_what_was_on_trial
from smartdorf.nightly import clear_out, keep_learning
from smartdorf.notify.log import LogReceiver
from smartdorf.notify.mail import MailReceiver
from smartdorf.notify.pipeline import Notifier
from smartdorf.notify.receiver import Receiver
from smartdorf.notify.webhook import WebhookReceiver
from smartdorf.rule_watch import RuleWatch, take_over
from smartdorf.vocabulary import Vocabulary, load_vocabulary
from smartdorf.web.server import Readiness, open_web

log = structlog.get_logger(__name__)

MAX_BATCH = 1000  # messages; measured: what a commit costs beside its rows is then a twentieth
MAX_BATCH_BYTES = 4 * 1024 * 1024
MAX_BYTES = 32 * 1024 * 1024  # of messages in memory, two batches of each connection
SHOW = 1.0  # seconds between two looks at the sources for the metrics
WATCH = 2.0  # seconds between two looks at the rule files
BREAK = 60.0  # seconds without having caught up; after that, what our gateways say is waited for anew
TICK = 1.0  # seconds between two looks at the timers of the rules
DRAIN = (
    7.0  # seconds for what is under way when we are asked to stop; with the broker's goodbye that makes ten
)


def load_content(settings: Settings) -> Content:
    """The village's files. What is broken stays out and stands in the parts' ``problems``; the rest works."""
    vocabulary = load_vocabulary()
    catalogue = load_catalogue([shipped("decoders"), *settings.content.decoders], vocabulary)
    rules = _read_rules(settings, vocabulary, catalogue)
    return Content(vocabulary, catalogue, rules, calendar_of(settings))


def _read_rules(settings: Settings, vocabulary: Vocabulary, catalogue: Catalogue) -> RuleSet:
    categories = {model.category for model in catalogue.models.values()}
    return load_rules(_rule_folders(settings), vocabulary, categories=categories, modes=settings.rules.modes)


def _rule_folders(settings: Settings) -> list[Path]:
    return [shipped("rules"), *settings.content.rules]


def retention_of(settings: Settings, vocabulary: Vocabulary) -> Retention:
    """How long what is kept: the settings say it by class, the vocabulary the class of each quantity."""
    quantities = vocabulary.quantities.values()
    return Retention(settings.retention.by_class, {q.name: q.retention for q in quantities})


def make_receiver(name: str, settings: ReceiverSettings) -> Receiver:
    """Who can be told, as the settings say; raises SettingsError or UsageError for what cannot work."""
    if isinstance(settings, LogReceiverSettings):
        return LogReceiver(name, settings.language)
    if isinstance(settings, WebhookReceiverSettings):
        return WebhookReceiver(name, settings.url, read_secret(settings.secret_file), settings.language)
    return MailReceiver(name, tuple(read_secret(settings.url_file).split()), settings.language)


def mqtt_connection(settings: MqttSettings, connections: int = 1) -> MqttConnection:
    """What the MQTT source needs to know; reads the password's file. ``connections``: how many share the memory."""
    password = read_secret(settings.password_file) if settings.password_file is not None else None
    return MqttConnection(
        name=settings.name,
        host=settings.host,
        port=settings.port,
        client_id=settings.client_id,
        topics=settings.topics,
        username=settings.username,
        password=password,
        tls=TlsFiles(settings.ca_file, settings.cert_file, settings.key_file) if settings.tls else None,
        session_expiry=timedelta(days=settings.session_expiry_days),
        keep_alive=timedelta(seconds=settings.keep_alive_seconds),
        max_batch=MAX_BATCH,
        max_batch_bytes=min(MAX_BATCH_BYTES, MAX_BYTES // (2 * connections)),
    )


class Service:
    """One running smartdorf. ``run`` returns after ``stop``; whatever breaks it is raised."""

    def __init__(
        self,
        settings: Settings,
        content: Content,
        *,
        clock: Clock | None = None,
        receivers: Sequence[Receiver] | None = None,
    ) -> None:
        """``clock`` and ``receivers`` are given by the demo; else wall time, and the receivers of the settings."""
        self._settings = settings
        self._content = content
        self._clock = clock or Clock()
        self._stop = asyncio.Event()
        self._opened = asyncio.Event()  # we are the writer of a database with our schema
        self._asked = asyncio.Event()  # somebody wants a replay, or changed the directory
        self._changed = False  # the directory was changed
        # what was right once goes on when its file is broken later, so it stays true
        self._rules_read = content.rules.complete
        self._storing: set[asyncio.Task[None]] = set()  # batches that are being committed
        self.metrics = Metrics(importlib.metadata.version("smartdorf"))
        self.sources: list[Source] = [
            MqttSource(mqtt_connection(connection, len(settings.mqtt)), self._clock)
            for connection in settings.mqtt
        ]
        if receivers is None:
            receivers = [make_receiver(*receiver) for receiver in settings.receivers.items()]
        self._receivers = receivers
        self.writer = Writer(settings.database.full_dsn, content, self.metrics, self._on_notify)

    # -- from outside ---------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Finish what is under way and return from ``run``."""
        self._stop.set()

    def caught_up(self) -> bool:
        """Nothing older is waiting in front of what comes next."""
        return all(source.state.connected and source.state.caught_up for source in self.sources)

    def _waiting(self, now: datetime) -> Mapping[str, datetime] | None:
        """The rules of which nothing may be told now, and from when on; None: not known at the moment."""
        memory = self.writer.memory
        return memory.rules.waiting(now) if memory is not None else None

    def readiness(self) -> Readiness:
        return Readiness(
            database=self.writer.is_writer,
            writer=self.writer.is_writer,
            rules=self._rules_read,
            disconnected={
                source.name: source.state.detail or "connecting"
                for source in self.sources
                if not source.state.connected
            },
        )

    async def run(self, on_ready: Callable[[str], None] | None = None) -> None:
        """Serve until ``stop``. ``on_ready`` is called with the web address once everything is open."""
        hush_lost_connections(asyncio.get_running_loop())
        async with AsyncExitStack() as stack:
            web = self._settings.web
            try:
                server = await stack.enter_async_context(open_web(self, self.metrics, web.host, web.port))
            except UsageError:  # somebody has our port: most likely another one of us
                await self._exit_if_second()
                raise
            pool = await stack.enter_async_context(open_pool(self._settings.database.full_dsn))
            stack.push_async_callback(self.writer.close)
            notifier = Notifier(
                pool,
                self._receivers,
                clock=self._clock,
                caught_up=self.caught_up,
                waiting=self._waiting,
                metrics=self.metrics,
                base_url=web.base_url,
            )
            pipeline = Pipeline(
                self.writer,
                self._content,
                clock=self._clock,
                metrics=self.metrics,
                late=self._settings.retention.late,
                wake_notifier=notifier.wake,
            )
            log.info("service starts", web=server.url, sources=[source.name for source in self.sources])
            if on_ready is not None:
                on_ready(server.url)
            try:
                await self._serve(pipeline, notifier)
            except ExceptionGroup as group:  # what `except*` raises is a group again
                ours, others = group.split(SmartdorfError)
                if ours is None or others is not None:
                    raise
                raise _first(ours) from None
        log.info("service has stopped")

    async def _exit_if_second(self) -> None:
        with suppress(DatabaseUnavailableError):
            async with connected(self._settings.database.full_dsn) as connection:
                if holder := await writer_holder(connection):
                    raise already_running(holder)

    # -- tasks ----------------------------------------------------------------------------------------------

    async def _serve(self, pipeline: Pipeline, notifier: Notifier) -> None:
        async with asyncio.TaskGroup() as group:
            start = group.create_task
            keepers = [start(self._keep(source), name=f"keep {source.name}") for source in self.sources]
            telling = start(self._tell(notifier), name="notify")
            opening = start(self._open(pipeline), name="open the writer")
            readers = [
                start(self._consume(pipeline, source, group), name=f"read {source.name}")
                for source in self.sources
            ]
            workers = [
                start(self._show_sources(), name="metrics of the sources"),
                start(self._tick(pipeline), name="tick"),
                start(self._work_off(pipeline), name="requests"),
                start(self._watch_rules(pipeline), name="rule files"),
                start(self._clear_out(), name="nightly"),
                start(self._keep_learning(), name="rhythms"),
                start(self._list_trials(), name="list of rules on trial"),
            ]
            await self._stop.wait()
            log.info("service stops")
            notifier.stop()
            for reader in readers:
                reader.cancel()
            if self._opened.is_set():
                await self._drain(
                    [telling, *self._storing, start(self._end(workers), name="ticks and requests")]
                )
            for source in self.sources:
                await source.close()
            for task in (opening, telling, *keepers, *workers, *self._storing):
                task.cancel()

    async def _end(self, workers: Sequence[asyncio.Task[None]]) -> None:
        """Between two transactions: one that is broken off would keep the server busy after we are gone."""
        async with self.writer.turn:
            for worker in workers:
                worker.cancel()

    async def _drain(self, under_way: Sequence[asyncio.Task[None]]) -> None:
        """Commit and acknowledge what was begun, tell what is being told; the broker keeps everything else."""
        _done, late = await asyncio.wait(under_way, timeout=DRAIN)
        for task in late:
            log.warning("still busy at shutdown; goes on after the next start", task=task.get_name())

    async def _open(self, pipeline: Pipeline) -> None:
        """The first time; later the writer opens itself whenever it has to."""
        database = self._settings.database
        async with self.writer.turn:
            await self.writer.patiently(
                lambda: asyncio.to_thread(require_current, database.full_dsn, database.profile)
            )
            await self.writer.patiently(self.writer.open)
        await pipeline.rebind()
        self._opened.set()

    async def _tell(self, notifier: Notifier) -> None:
        await self._opened.wait()
        await notifier.run()

    async def _keep(self, source: Source) -> None:
        """Only the writer goes to the broker: a second instance would evict the first one there, and then exit."""
        await self._opened.wait()
        await source.run()

    async def _consume(self, pipeline: Pipeline, source: Source, group: asyncio.TaskGroup) -> None:
        """Prepare each batch while the one before is being committed; never hold more than these two."""
        storing: asyncio.Task[None] | None = None
        async for batch in source.batches():
            prepared = await pipeline.prepare(source.name, batch.messages)
            if storing is not None:
                await asyncio.wait([storing])  # a stop that cancels us here must not cancel the commit
            storing = group.create_task(pipeline.handle_batch(prepared, batch), name=f"store {source.name}")
            self._storing.add(storing)
            storing.add_done_callback(self._storing.discard)

    async def _show_sources(self) -> None:
        """Beside the ticks, which wait while the database is away: that is when people look at the metrics."""
        gauges = [(source, self.metrics.source(source.name)) for source in self.sources]
        while True:
            for source, gauge in gauges:
                gauge.show(source.state)
            await asyncio.sleep(SHOW)

    async def _tick(self, pipeline: Pipeline) -> None:
        since, last = None, -math.inf
        while True:
            if self.caught_up():
                now, before, last = self._clock.now(), last, monotonic()
                if last - before > BREAK:
                    since = now
                await pipeline.tick(now, since)
            await asyncio.sleep(TICK / min(self._clock.speed, 10))

    async def _work_off(self, pipeline: Pipeline) -> None:
        await self._opened.wait()
        while True:
            await self._asked.wait()
            self._asked.clear()
            if self._changed:
                self._changed = False
                await pipeline.rebind()
            await work_off_requests(pipeline, self._clock)

    async def _watch_rules(self, pipeline: Pipeline) -> None:
        """Rules that somebody edits are in force within seconds; their timers and open alerts stay."""
        watch = RuleWatch(_rule_folders(self._settings))
        self.metrics.rule_file_problems.set(len(self._content.rules.problems))
        await self._opened.wait()
        while True:
            await asyncio.sleep(WATCH)
            if await asyncio.to_thread(watch.has_changed):
                await self._take_over_rules(pipeline)

    async def _take_over_rules(self, pipeline: Pipeline) -> None:
        content = self._content
        new = await asyncio.to_thread(_read_rules, self._settings, content.vocabulary, content.catalogue)
        rules, changes = take_over(content.rules, new)
        if not any(changes) and new.problems == content.rules.problems:
            return
        for problem in new.problems:
            log.error("rule file", problem=str(problem))
        self.metrics.rule_file_problems.set(len(new.problems))
        self._rules_read = self._rules_read or new.complete
        self._content = replace(content, rules=rules)
        self.writer.use(self._content)
        await pipeline.rebind()
        log.info("rules read anew", rules=len(rules), **changes._asdict())

    async def _clear_out(self) -> None:
        await self._opened.wait()
        database = self._settings.database
        retention = retention_of(self._settings, self._content.vocabulary)
        await clear_out(database.full_dsn, database.profile, retention, self._clock)

    async def _keep_learning(self) -> None:
        await self._opened.wait()
        await keep_learning(self._settings.database.full_dsn, self._content.intervals, self._clock)

    async def _list_trials(self) -> None:
        await self._opened.wait()
        await list_what_was_on_trial(
            self._settings.database.full_dsn, lambda: self._content.rules, self._clock
        )

    def _on_notify(self, payload: str) -> None:
        """The directory was changed, work was asked for, or the connection came or went."""
        # while we were cut off nobody told us of changes
        self._changed = self._changed or payload in ("directory", "disconnected")
        self._asked.set()


def _first(group: BaseExceptionGroup[SmartdorfError]) -> SmartdorfError:
    """One error to show: what made the tasks end is the first of them."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, SmartdorfError)
    return error


async def replay_once(settings: Settings, content: Content) -> None:
    """Do what people asked of the writer, where no service runs that could."""
    metrics, clock = Metrics(importlib.metadata.version("smartdorf")), Clock()
    writer = Writer(settings.database.full_dsn, content, metrics, lambda _payload: None)
    pipeline = Pipeline(
        writer,
        content,
        clock=clock,
        metrics=metrics,
        late=settings.retention.late,
        wake_notifier=lambda: None,
    )
    try:
        await writer.open()
        await work_off_requests(pipeline, clock)
    finally:
        await writer.close()
