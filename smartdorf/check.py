"""Is everything as it should be? Settings, content, what refers to what, and a look at every connection.

Changes nothing, tells nobody, and never disturbs the running service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from smartdorf.alerting.binding import bind, too_rare
from smartdorf.alerting.bound import BoundRules
from smartdorf.app import make_receiver, mqtt_connection
from smartdorf.clock import Clock
from smartdorf.config.rules import school_notes
from smartdorf.config.settings import Settings
from smartdorf.content import shipped
from smartdorf.db import migrate, policies, storage
from smartdorf.db.backup import backups
from smartdorf.db.directory import load_directory
from smartdorf.db.manifest import read_manifest
from smartdorf.db.pool import connected, writer_holder
from smartdorf.directory import Directory
from smartdorf.errors import SmartdorfError, did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.ingest.memory import Content
from smartdorf.ingest.mqtt_probe import probe

Level = Literal["ok", "note", "warning", "error"]
OLD_BACKUP = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``warning``: works, and will hurt one day; ``error``: does not work."""

    level: Level
    subject: str
    message: str


async def check(settings: Settings, content: Content) -> list[Finding]:
    """Look at everything; each part is looked at even where another one is broken."""
    findings = [*_content(content), *_modes(settings, content), *_receivers(settings, content)]
    database, directory = await _database(settings)
    findings += [*database, *_backups(settings, Clock().now())]
    if directory is not None:
        findings += _directory(content, directory)
    findings += await _brokers(settings)
    return findings


def _content(content: Content) -> Iterator[Finding]:
    for problem in content.problems:
        yield Finding("error", _("content"), str(problem))
    today = Clock().now().date()
    for note in (*content.rules.notes, *school_notes(content.rules, content.calendar, today)):
        yield Finding("note", _("content"), str(note))
    counts = _("{models} sensor models, {rules} rules").format(
        models=len(content.catalogue.models), rules=len(content.rules.rules)
    )
    yield Finding("ok", _("content"), counts)


def _modes(settings: Settings, content: Content) -> Iterator[Finding]:
    """Rules that the settings name and nobody has; and those that nobody hears of."""
    known = {rule.name for rule in content.rules} | content.rules.broken
    for name, mode in settings.rules.modes.items():
        if name not in known:
            message = _('[rules] {mode} names "{name}", and there is no such rule').format(
                mode=mode, name=name
            )
            yield Finding("error", _("content"), message + did_you_mean(name, known))
    on_trial = [rule.name for rule in content.rules if rule.mode == "shadow"]
    if on_trial:
        message = _(
            "on trial, nobody is told of their alerts: {rules}; see `smartdorf rules readiness` and [rules] live"
        )
        yield Finding("note", _("content"), message.format(rules=", ".join(on_trial)))


def _receivers(settings: Settings, content: Content) -> Iterator[Finding]:
    for name, receiver in settings.receivers.items():
        try:
            make_receiver(name, receiver)
        except SmartdorfError as error:
            yield Finding("error", _("receivers"), str(error))
    for rule in content.rules.rules:
        for name in rule.notify:
            if name not in settings.receivers:
                message = _(
                    'rule {rule} tells "{receiver}", whom the settings do not know: add [receivers.{receiver}]'
                )
                advice = message.format(rule=rule.name, receiver=name) + did_you_mean(
                    name, settings.receivers
                )
                yield Finding("error", _("receivers"), advice)


async def _database(settings: Settings) -> tuple[list[Finding], Directory | None]:
    subject, profile = _("database"), settings.database.profile
    try:
        dsn = settings.database.full_dsn
        await asyncio.to_thread(migrate.require_current, dsn, profile)
        async with connected(dsn) as connection:
            directory = await load_directory(connection)
            holder = await writer_holder(connection)
    except SmartdorfError as error:
        return [Finding("error", subject, str(error))], None
    findings = [Finding("ok", subject, _("schema is current ({profile})").format(profile=profile))]
    if profile == "plain":
        message = _(
            'profile "plain" is for trying out: no compression, no aggregates; use TimescaleDB in production'
        )
        findings.append(Finding("warning", subject, message))
    else:
        findings += await asyncio.to_thread(_background, settings)
    running = _("the service runs: {holder}").format(holder=holder) if holder else _("no service is running")
    findings.append(Finding("note", subject, running))
    return findings, directory


def _background(settings: Settings) -> list[Finding]:
    """What TimescaleDB should do by itself, and whether it does."""
    database, messages = settings.database, []
    compress_after = timedelta(days=database.compress_after_days)
    wanted = policies.wanted(compress_after=compress_after, late=settings.retention.late)
    if policies.plan(database.full_dsn, wanted):
        message = _(
            "compression and aggregates are not set up as the settings say: run `smartdorf db policies apply`"
        )
        messages.append(message)
    found = storage.look(database.full_dsn, database.profile)
    for job in storage.failed(found):
        message = _('TimescaleDB\'s job "{kind} {relation}" has failed: {error}')
        messages.append(message.format(kind=job.kind, relation=job.relation, error=job.error or "?"))
    if found.workers < storage.ENOUGH_WORKERS:
        message = _(
            "max_worker_processes is {workers}, too few for TimescaleDB's jobs: set it to 32 in postgresql.conf and "
            "restart the database"
        )
        messages.append(message.format(workers=found.workers))
    return [Finding("warning", _("database"), message) for message in messages]


def _backups(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Nobody misses a backup before it is needed."""
    folder, subject = settings.backup.folder, _("backup")
    if folder is None:
        yield Finding("warning", subject, _("no backups are made: set [backup] folder; see docs/backup.md"))
        return
    found = backups(folder)
    if not found:
        yield Finding("warning", subject, _("there is no backup in {folder}").format(folder=folder))
        return
    try:
        age = now - read_manifest(found[0]).taken_at
    except SmartdorfError as error:
        yield Finding("error", subject, str(error))
        return
    level: Level = "ok" if age < OLD_BACKUP else "warning"
    message = _("the newest of {count} backups is {hours} hours old")
    yield Finding(level, subject, message.format(count=len(found), hours=age // timedelta(hours=1)))


def _directory(content: Content, directory: Directory) -> Iterator[Finding]:
    subject = _("devices and places")
    for device in directory.devices.values():
        if device.model is not None and device.model not in content.catalogue.models:
            message = _('{dev_eui} is a "{model}", for which there is no decoder')
            hint = did_you_mean(device.model, content.catalogue.models)
            yield Finding("error", subject, message.format(dev_eui=device.dev_eui, model=device.model) + hint)
    bound = bind(
        content.rules,
        directory,
        content.categories,
        calendar=content.calendar,
        intervals=content.intervals,
    )
    for problem in bound.problems:
        yield Finding("error", subject, str(problem))
    yield from _unwatched(bound)
    for note in too_rare(bound, content.intervals):
        yield Finding("warning", subject, str(note))
    unknown = sum(device.model is None for device in directory.devices.values())
    if unknown:
        message = _("{count} device(s) are heard and not onboarded: see `smartdorf devices list --unknown`")
        yield Finding("warning", subject, message.format(count=unknown))
    counts = _("{devices} devices, {places} places")
    yield Finding("ok", subject, counts.format(devices=len(directory.devices), places=len(directory.places)))


def _unwatched(bound: BoundRules) -> Iterator[Finding]:
    """What watches nothing. Of the shipped rules that is expected: no village has everything."""
    subject, ours = _("devices and places"), str(shipped("rules"))
    for note in bound.notes:
        if not note.file.startswith(ours):
            yield Finding("note", subject, str(note))
    watching = {key.rule for key in bound.instances}
    idle = [name for name, rule in bound.rules.items() if name not in watching and rule.file.startswith(ours)]
    if idle:
        message = _("shipped rules that have nothing to watch here: {rules}")
        yield Finding("note", subject, message.format(rules=", ".join(idle)))


async def _brokers(settings: Settings) -> Iterable[Finding]:
    findings: list[Finding] = []
    for connection in settings.mqtt:
        subject = f"mqtt {connection.name}"
        try:
            result = await probe(mqtt_connection(connection), Clock().now())
        except SmartdorfError as error:  # a secret that cannot be read
            findings.append(Finding("error", subject, str(error)))
            continue
        findings += [Finding("error", subject, problem) for problem in result.problems]
        findings += [Finding("warning", subject, warning) for warning in result.warnings]
        if result.ok:
            connected_to = _("connected to {host}:{port}").format(host=connection.host, port=connection.port)
            findings.append(Finding("ok", subject, connected_to))
    return findings
