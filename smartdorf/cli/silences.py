"""smartdorf silences: what is not to be told for a time, who wanted it so, and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from smartdorf.app import load_content
from smartdorf.cli.context import (
    ConfigOption,
    JsonOption,
    console,
    duration_of,
    key_values,
    print_json,
    run_async,
    settings_or_exit,
    stderr,
)
from smartdorf.cli.devices import normalised_eui
from smartdorf.clock import Clock
from smartdorf.config.rules import RuleSet
from smartdorf.db import silences as db
from smartdorf.db.directory import load_directory
from smartdorf.db.pool import connected
from smartdorf.db.silences import Matchers, Silence
from smartdorf.directory import Directory
from smartdorf.errors import NotFoundError, SmartdorfError, UsageError, did_you_mean
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.local_time import from_local, moment_text

app = typer.Typer(no_args_is_help=True, help="Silences: what is recorded, but not told for a time.")


@app.command()
def add(
    reason: Annotated[str, typer.Option(help="Why; whoever looks at the alert reads it.")],
    rule: Annotated[str, typer.Option(help="Alerts of this rule, see `rules list`.")] = "",
    place: Annotated[str, typer.Option(help="Alerts at this place, and of the devices there.")] = "",
    device: Annotated[str, typer.Option(help="Alerts of this device (DevEUI), and of what it watches.")] = "",
    gateway: Annotated[str, typer.Option(help="Alerts of this gateway: its id, or its name.")] = "",
    place_type: Annotated[str, typer.Option(help="Alerts at places of this type.")] = "",
    tag: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE of the place or device; may be repeated.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, a label of the rule; may be repeated.")
    ] = None,
    duration: Annotated[str | None, typer.Option("--for", help="How long from now: 30m, 4h, 7d.")] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            help="Until when, in local time: 2026-12-01T18:00.",
            formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"],
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Silence what fits all that is given. Alerts still open and are shown; they are told when the silence is over.

    What is over by then, or was acknowledged meanwhile, is not told. Who was told before that an alert fired is told
    when it is over, silence or not.

    Example: smartdorf silences add --place glas-kirchplatz --for 4h --reason "being washed"
    """
    settings, now = settings_or_exit(config), Clock().now()
    end = _end(duration, until, now)
    words = " ".join(reason.split())
    if not words:
        raise UsageError(_('--reason needs words, e.g. --reason "being washed"'))
    dev_eui = normalised_eui(device) if device else ""
    tags, labels = key_values(tag, "--tag"), key_values(label, "--label")
    given = Matchers(rule, place, dev_eui, place_type, tags, labels, gateway)
    if not any(given):
        raise UsageError(
            _(
                "say what is to be silenced: --rule, --place, --device, --gateway, --place-type, --tag or --label"
            )
        )
    rules = load_content(settings).rules

    async def work() -> Silence:
        async with connected(settings.database.full_dsn) as connection:
            directory = await load_directory(connection)
            wanted = given._replace(gateway=_gateway_id(given.gateway, directory))
            problems = [*_unknown(wanted, rules, directory)]
            if problems:
                raise UsageError("\n".join(problems))
            number = await db.add_silence(connection, wanted, words, end, now)
            [silence] = await db.fetch_silences(connection, now, number=number)
            return silence

    silence = run_async(work())
    if as_json:
        print_json(silence_json(silence, now))
        return
    message = _("Silence {number} until {time}: {what}. It fits {count} open alert(s).")
    time = moment_text(silence.until, current_language())
    text = message.format(
        number=silence.id, time=time, what=matchers_text(silence.matchers), count=silence.open_alerts
    )
    console.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command(name="list")
def list_silences(
    over: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the silences in force: what they fit, until when, who wanted them and why.

    Example: smartdorf silences list --all
    """
    dsn, now = settings_or_exit(config).database.full_dsn, Clock().now()

    async def work() -> list[Silence]:
        async with connected(dsn) as connection:
            return await db.fetch_silences(connection, now, over=over)

    silences = run_async(work())
    if as_json:
        print_json([silence_json(silence, now) for silence in silences])
    elif silences:
        console.print(_table(silences, now))
    else:
        console.print(_("No silences."))


@app.command()
def expire(
    ids: Annotated[list[int], typer.Argument(metavar="ID", help="As `silences list` shows them.")],
    config: ConfigOption = None,
) -> None:
    """End silences now. What they held back and still holds is told within seconds.

    Example: smartdorf silences expire 3
    """
    dsn = settings_or_exit(config).database.full_dsn
    problems = run_async(_expire(dsn, ids))
    for problem in problems:
        stderr.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(2 if len(problems) == len(set(ids)) else 1)


async def _expire(dsn: str, ids: list[int]) -> list[SmartdorfError]:
    problems: list[SmartdorfError] = []
    async with connected(dsn) as connection:
        for number in dict.fromkeys(ids):
            try:
                await db.expire_silence(connection, number, Clock().now())
            except (NotFoundError, UsageError) as error:
                problems.append(error)
    return problems


def _end(duration: str | None, until: datetime | None, now: datetime) -> datetime:
    if (duration is None) == (until is None):
        raise UsageError(_("say how long: either --for 4h or --until 2026-12-01T18:00"))
    end = now + duration_of(duration) if duration is not None else from_local(until or now)
    if end <= now:
        message = _("--until {time} is over already")
        raise UsageError(message.format(time=moment_text(end, current_language())))
    if end - now < timedelta(minutes=1):
        raise UsageError(_("a silence lasts a minute at least"))
    return end


def _gateway_id(text: str, directory: Directory) -> str:
    """By its name where that is one's only; what nobody has is left as it is."""
    named = [one.gateway_id for one in directory.gateways.values() if text and one.name == text]
    return named[0] if len(named) == 1 else text.lower()


def _unknown(given: Matchers, rules: RuleSet, directory: Directory) -> Iterator[str]:
    """Everything that is given and does not exist: a silence that fits nothing would only look like one."""
    places, devices = directory.places.values(), directory.devices.values()
    names = {
        _('there is no rule "{name}"'): (given.rule, {r.name for r in rules} | rules.broken),
        _('unknown place "{name}"'): (given.place, {p.slug for p in places}),
        _("unknown device {name}"): (given.device, set(directory.by_dev_eui)),
        _("unknown gateway {name}"): (given.gateway, {g.gateway_id for g in directory.gateways.values()}),
        _('there is no place of the type "{name}"'): (given.place_type, {p.place_type for p in places}),
    }
    for message, (name, known) in names.items():
        if name and name not in known:
            yield message.format(name=name) + did_you_mean(name, known)
    known_tags = {
        f"{k}={v}"
        for tags in (*(p.tags for p in places), *(d.tags for d in devices))
        for k, v in tags.items()
    }
    for key, value in given.tags.items():
        if (tag := f"{key}={value}") not in known_tags:
            yield _("no place and no device has the tag {tag}").format(tag=tag) + did_you_mean(
                tag, known_tags
            )
    known_labels = {f"{name}={value}" for rule in rules for name, value in rule.labels.items()}
    for name, value in given.labels.items():
        if (label := f"{name}={value}") not in known_labels:
            message = _("no rule has the label {label}").format(label=label)
            yield message + did_you_mean(label, known_labels)


def matchers_text(matchers: Matchers) -> str:
    """``Regel DeviceSilent, Ort glas-kirchplatz``."""
    words = {
        _("rule {name}"): matchers.rule,
        _("place {name}"): matchers.place,
        _("device {name}"): matchers.device,
        _("gateway {name}"): matchers.gateway,
        _("places of the type {name}"): matchers.place_type,
    }
    found = [text.format(name=name) for text, name in words.items() if name]
    pairs = (*matchers.tags.items(), *matchers.labels.items())
    return ", ".join([*found, *(f"{key}={value}" for key, value in pairs)])


def _table(silences: list[Silence], now: datetime) -> Table:
    table = Table(box=SIMPLE_HEAD, leading=1, padding=(0, 1, 0, 0), pad_edge=False)
    for title in (_("ID"), _("what"), _("until"), _("reason"), _("by"), _("open alerts")):
        table.add_column(title, overflow="fold")
    for silence in silences:
        count = "" if silence.is_over(now) else str(silence.open_alerts)
        end, reason = _end_text(silence, now), Text(silence.reason)
        who = Text(silence.created_by)
        table.add_row(str(silence.id), Text(matchers_text(silence.matchers)), end, reason, who, count)
    return table


def _end_text(silence: Silence, now: datetime) -> Text:
    until = moment_text(silence.until, current_language())
    if silence.expired_at is not None:
        text = _("ended by {who}, {time}")
        time = moment_text(silence.expired_at, current_language())
        return Text(text.format(who=silence.expired_by, time=time))
    return Text(_("{time}, over").format(time=until) if silence.is_over(now) else until)


def silence_json(silence: Silence, now: datetime) -> dict[str, Any]:
    """The silence for programs; times are UTC."""
    return silence._asdict() | {"matchers": silence.matchers._asdict(), "over": silence.is_over(now)}
