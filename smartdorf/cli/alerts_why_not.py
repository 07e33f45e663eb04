"""smartdorf alerts why-not: why a rule has no alert at a place, device or gateway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple

import asyncpg
import typer

from smartdorf.alerting.bound import BoundRules
from smartdorf.alerting.engine import AlertKey, EngineState
from smartdorf.alerting.memory import View
from smartdorf.alerting.why_not import Look, why_unwatched
from smartdorf.app import load_content
from smartdorf.cli.context import ConfigOption, JsonOption, console, print_json, run_async, settings_or_exit
from smartdorf.clock import Clock
from smartdorf.config.rule import Rule
from smartdorf.db import state as db_state
from smartdorf.db.alerts import find_open
from smartdorf.db.directory import load_directory
from smartdorf.db.migrate import require_current
from smartdorf.db.pool import connected
from smartdorf.db.silences import covering_subject
from smartdorf.directory import Device, Directory, Gateway, Place
from smartdorf.errors import NotFoundError, UsageError, did_you_mean
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.ingest.memory import Content, bind_rules, load_state
from smartdorf.local_time import time_text

Subject = Place | Device | Gateway


class Answer(NamedTuple):
    """What there is to say of one rule at one place, device or gateway; the two others are None."""

    rule: str
    place: str | None  # slug
    device: str | None  # dev_eui
    gateway: str | None  # gateway_id
    name: str
    watched: bool
    alert_id: int | None  # the one that is open
    reasons: Sequence[str]


def why_not(
    place: Annotated[str, typer.Argument(help="A place, device or gateway: its name, slug, DevEUI or id.")],
    rule: Annotated[str, typer.Argument(help="The name of the rule, as `rules list` shows it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain why a rule has no alert somewhere: what it sees there now, and what it waits for. Changes nothing.

    Example: smartdorf alerts why-not glas-kirchplatz ContainerFull
    """
    settings = settings_or_exit(config)
    content = load_content(settings)
    wanted = _find_rule(content, rule)
    require_current(settings.database.full_dsn, settings.database.profile)

    async def work() -> list[Answer]:
        async with (
            connected(settings.database.full_dsn) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await _answers(connection, content, wanted, place, Clock().now())

    answers = run_async(work())
    if as_json:
        print_json([answer._asdict() for answer in answers])
        return
    for answer in answers:
        console.print(_headline(answer), markup=False, highlight=False, soft_wrap=True)
        for reason in answer.reasons:
            console.print(f"– {reason}", markup=False, highlight=False, soft_wrap=True)


def _headline(answer: Answer) -> str:
    if answer.alert_id is not None:
        text = _("{rule} at {name}: alert {number} is open; see `smartdorf alerts show {number}`.")
    elif answer.watched:
        text = _("{rule} at {name}: no alert is open.")
    else:
        text = _("{rule} does not watch {name}.")
    return text.format(rule=answer.rule, name=answer.name, number=answer.alert_id)


async def _answers(
    connection: asyncpg.Connection, content: Content, rule: Rule, text: str, now: datetime
) -> list[Answer]:
    directory = await load_directory(connection)
    subjects = list(_concerned(rule, _find_subject(directory, text), directory, now))
    bound = bind_rules(content, directory)
    state = await load_state(connection, await db_state.fetch_latest(connection), bound)
    found = []
    for subject in subjects:
        key = AlertKey(rule.name, _kind(subject), subject.id)
        reasons = _reasons(key, subject, content, bound, state, now)
        alert_id, shadow = await find_open(connection, *key) or (None, rule.mode == "shadow")
        if key in bound.instances and shadow:
            reasons.append(
                _("The rule is on trial (mode: shadow): an alert is kept and shown, and nobody is told.")
            )
        silence = await covering_subject(connection, *key, rule.labels, now)
        if silence is not None:
            text = _("Silence {number} fits until {time}: an alert is kept and shown, and told after that.")
            time = time_text(silence[1], current_language())
            reasons.append(text.format(number=silence[0], time=time))
        found.append(
            Answer(
                rule.name,
                subject.slug if isinstance(subject, Place) else None,
                subject.dev_eui if isinstance(subject, Device) else None,
                subject.gateway_id if isinstance(subject, Gateway) else None,
                _name(subject),
                key in bound.instances,
                alert_id,
                reasons,
            )
        )
    return found


def _reasons(
    key: AlertKey,
    subject: Subject,
    content: Content,
    bound: BoundRules,
    state: EngineState,
    now: datetime,
) -> list[str]:
    language = current_language()
    instance = bound.instances.get(key)
    if instance is None:
        of_device = [i for i in bound.directory.installations if i.device_id == key.id]
        rule = bound.rules[key.rule]
        return why_unwatched(rule, subject, of_device, content.categories, language)
    view = View(bound, state)
    return Look(instance, bound.directory, state, view, now, content.intervals, language).sentences()


def _find_rule(content: Content, name: str) -> Rule:
    known = {rule.name: rule for rule in content.rules}
    if name in known:
        return known[name]
    if name in content.rules.broken:
        message = _('the rule "{name}" has mistakes and does not work: see `smartdorf rules check`')
        raise UsageError(message.format(name=name))
    raise NotFoundError(_('unknown rule "{name}"').format(name=name) + did_you_mean(name, known))


def _find_subject(directory: Directory, text: str) -> Subject:
    """By slug, DevEUI or gateway id, else by name."""
    subjects: list[Subject] = [
        *directory.places.values(),
        *directory.devices.values(),
        *directory.gateways.values(),
    ]
    exact = [one for one in subjects if _word(one) in (text, text.lower())]
    found = exact or [one for one in subjects if one.name == text]
    if len(found) == 1:
        return found[0]
    if found:
        message = _('"{name}" is the name of several: {keys}')
        keys = ", ".join(map(_word, found))
        raise UsageError(message.format(name=text, keys=keys))
    known = [word for one in subjects for word in (_word(one), one.name)]
    message = _('there is no place, device or gateway "{name}"')
    raise NotFoundError(message.format(name=text) + did_you_mean(text, known))


def _concerned(rule: Rule, subject: Subject, directory: Directory, now: datetime) -> Iterator[Subject]:
    """What the rule can watch: of a place its devices, of a device its places, where those are meant."""
    kind = _kind(subject)
    if rule.for_each.kind == kind:
        yield subject
        return
    if "gateway" in (kind, rule.for_each.kind):
        message = _("{rule} watches {watched}, and not {name}")
        raise UsageError(message.format(rule=rule.name, watched=rule.for_each, name=_name(subject)))
    found: dict[int, Subject] = {}
    for installation in directory.installations:
        if installation.in_force(now) and subject.id == getattr(installation, f"{kind}_id"):
            if kind == "place":
                found[installation.device_id] = directory.devices[installation.device_id]
            else:
                found[installation.place_id] = directory.places[installation.place_id]
    if not found:
        message = (
            _("{rule} watches devices, and none is mounted at {name}")
            if kind == "place"
            else _("{rule} watches places, and {name} is mounted at none")
        )
        raise UsageError(message.format(rule=rule.name, name=subject.name))
    yield from found.values()


def _kind(subject: Subject) -> str:
    return type(subject).__name__.lower()


def _word(subject: Subject) -> str:
    """What tells it from all others."""
    if isinstance(subject, Place):
        return subject.slug
    return subject.dev_eui if isinstance(subject, Device) else subject.gateway_id


def _name(subject: Subject) -> str:
    return subject.name or _word(subject)
