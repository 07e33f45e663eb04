"""smartdorf alerts: what is open, why, and who was told. What people do with them is in ``alerts_act``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from babel.dates import format_timedelta
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from smartdorf.alerting.why_not import MISSED_UPLINKS, UNKNOWN_AFTER
from smartdorf.cli import alerts_act
from smartdorf.cli.alerts_why_not import why_not
from smartdorf.cli.context import (
    ConfigOption,
    JsonOption,
    console,
    key_values,
    print_json,
    run_async,
    settings_or_exit,
)
from smartdorf.clock import Clock
from smartdorf.db import alerts as db
from smartdorf.db.alerts import Act, AlertEvent, AlertRow, Muting, Told
from smartdorf.db.pool import connected
from smartdorf.errors import NotFoundError, UsageError
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.local_time import time_text
from smartdorf.notify.message import in_language, input_label, inputs_text, value_text

app = typer.Typer(no_args_is_help=True, help="Alerts: what is open, why, and who was told.")
app.command()(alerts_act.ack)
app.command()(alerts_act.comment)
app.command()(alerts_act.resolve)
app.command()(alerts_act.verdict)
app.command("why-not")(why_not)

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@app.command(name="list")
def list_alerts(
    pending: Annotated[
        bool, typer.Option("--pending", help="Also conditions whose time is not up yet.")
    ] = False,
    resolved: Annotated[bool, typer.Option("--all", help="Also alerts that are over.")] = False,
    since: Annotated[
        str, typer.Option(help="With --all: over for no longer than this: 90m, 12h, 7d, 4w.")
    ] = "7d",
    label: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE: only alerts that fired with this label; may be repeated."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the open alerts: since when, how bad, where, who was told, and how old the last value is.

    Example: smartdorf alerts list --all --since 30d
    """
    period, wanted = parse_period(since), key_values(label, "--label")
    dsn = settings_or_exit(config).database.full_dsn
    now = Clock().now()

    async def work() -> list[AlertRow]:
        async with connected(dsn) as connection:
            rows = await db.fetch_pending(connection) if pending else []
            if resolved:
                return rows + await db.fetch_since(connection, now - period)
            return rows + await db.fetch_open(connection)

    rows = [row for row in run_async(work()) if wanted.items() <= row.labels.items()]
    if as_json:
        print_json([alert_json(row, now) for row in rows])
    elif rows:
        console.print(alerts_table(rows, now))
    else:
        console.print(_("No open alerts."))


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="ID", help="The number in the first column of the list.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one alert: why it fired, with which values, and who was told when.

    Example: smartdorf alerts show 17
    """
    dsn = settings_or_exit(config).database.full_dsn

    async def work() -> tuple[AlertRow | None, list[AlertEvent]]:
        async with connected(dsn) as connection:
            return await db.find_alert(connection, number), await db.fetch_events(connection, number)

    row, events = run_async(work())
    if row is None:
        message = _("There is no alert {number}; `smartdorf alerts list --all` lists them.")
        raise NotFoundError(message.format(number=number))
    now = Clock().now()
    if as_json:
        history = [event._asdict() | {"inputs": _inputs_json(event.inputs)} for event in events]
        print_json(alert_json(row, now) | {"history": history})
        return
    console.print(Text(alert_page(row, now)))
    values = Table(_("value"), _("was"), _("measured"), box=SIMPLE_HEAD, pad_edge=False)
    for entry in row.inputs:
        measured = time_text(entry.time, current_language()) if entry.time else ""
        values.add_row(
            Text(input_label(entry.name, current_language())), value_text(entry, current_language()), measured
        )
    if row.inputs:
        console.print(values)
    history_table = Table(_("when"), _("what happened"), box=SIMPLE_HEAD, pad_edge=False)
    for time, text in timeline(events, row.told, now):
        history_table.add_row(time_text(time, current_language()), Text(text))
    console.print(history_table)


def parse_period(text: str) -> timedelta:
    """``90m``, ``12h``, ``7d``, ``4w``."""
    match = re.fullmatch(r"(\d{1,5})([mhdw])", text.strip())
    if match is None:
        message = _('"{text}" is no period; expected a number and a unit: 90m, 12h, 7d or 4w')
        raise UsageError(message.format(text=text))
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def alerts_table(
    rows: Iterable[AlertRow], now: datetime, intervals: Mapping[str, timedelta] | None = None
) -> Table:
    """The list as people read it. ``intervals``: how often a sensor model sends, where that is known."""
    language = current_language()
    table = Table(box=SIMPLE_HEAD, leading=1, padding=(0, 1, 0, 0), pad_edge=False)
    for title in (_("ID"), _("since"), _("severity"), _("alert"), _("place"), _("told"), _("last value")):
        table.add_column(title, overflow="fold")
    for row in rows:
        title = title_of(row)
        table.add_row(
            str(row.id or "–"),
            time_text(row.since, language),
            "\n".join(filter(None, [severity_text(row), *marks(row)])),
            Text("\n".join(filter(None, [title, in_language(row.summary, language)]))),
            Text(where(row)),
            Text(told_text(row, now)),
            value_state(row, now, intervals or {}),
        )
    return table


def title_of(row: AlertRow) -> str:
    """``Container voll (überfüllt)``."""
    title, stage = (in_language(texts, current_language()) for texts in (row.title, row.stage))
    return f"{title or row.rule} ({stage})" if stage else title or row.rule


def where(row: AlertRow) -> str:
    return row.place or row.device or row.gateway


def severity_text(row: AlertRow) -> str:
    if row.state == "pending":
        return _("pending")
    names = {"info": _("info"), "warning": _("warning"), "critical": _("critical")}
    name = names.get(row.severity, row.severity)
    return _("{severity}, over").format(severity=name) if row.state == "resolved" else name


def marks(row: AlertRow) -> Iterator[str]:
    """What people have said of it: acknowledged, a verdict. And whether it waits: for somebody to close it, or for
    the end of another alert; or is of a rule on trial."""
    for muting in row.muted_by:
        yield muting_text(muting)
    if row.shadow:
        yield _("on trial")
    if row.eased_at is not None and row.state == "firing":
        yield _("below the threshold")
    if row.acknowledged is not None and row.state == "firing":
        yield _("acknowledged")
    if row.verdict is not None:
        yield verdict_text(row.verdict.verdict)


def muting_text(muting: Muting) -> str:
    """``muted by alert 12 (GatewayDown, Gateway Rathaus)``."""
    gateway = _("gateway {name}").format(name=muting.gateway) if muting.gateway else ""
    subject = muting.place or muting.device or gateway
    if muting.alert is None:
        return _("muted by {rule} ({subject}), which is pending").format(rule=muting.rule, subject=subject)
    text = _("muted by alert {number} ({rule}, {subject})")
    return text.format(number=muting.alert, rule=muting.rule, subject=subject)


def verdict_text(verdict: str | None) -> str:
    texts = {"true": _("true alarm"), "false": _("false alarm"), "drill": _("drill")}
    return texts[verdict or "true"]


def told_text(row: AlertRow, now: datetime) -> str:
    """Who was told of the alert as it now stands, and when; what failed is said, too."""
    if row.state == "pending":
        return ""
    if row.shadow:
        return _("nobody: on trial")
    kinds = [told.kind for told in row.told]
    if row.state == "resolved":
        kind = "resolved"
    else:  # whatever happened last
        kind = next((kind for kind in reversed(kinds) if kind != "resolved"), "fired")
    entries = [_told_entry(told, now) for told in row.told if told.kind == kind]
    return "\n".join(entries) or _("nobody: no receiver")


def _has_to_wait(told: Told, now: datetime) -> bool:
    """Its rule tells at certain times only."""
    return told.state == "waiting" and not told.attempts and told.next_attempt_at > now


def _told_entry(told: Told, now: datetime) -> str:
    if _has_to_wait(told, now):
        text = _("{receiver}: not before {time}")
        return text.format(receiver=told.receiver, time=time_text(told.next_attempt_at, current_language()))
    if told.state == "sent" and told.finished_at is not None:
        text = _("{receiver}: {time}")
        return text.format(receiver=told.receiver, time=time_text(told.finished_at, current_language()))
    if told.state == "waiting" and told.attempts:
        text = _("{receiver}: NOT YET, failed {attempts}×")
        return text.format(receiver=told.receiver, attempts=told.attempts)
    not_told = _("silenced") if told.silence is not None else _("not told")
    words = {"waiting": _("not yet"), "skipped": not_told, "failed": _("FAILED")}
    return f"{told.receiver}: {words[told.state]}"


def unknown_after(models: Sequence[str], intervals: Mapping[str, timedelta]) -> timedelta:
    """The age at which a value says nothing any more: the slowest of the sensors decides."""
    known = [intervals[model] for model in models if model in intervals]
    return max(known) * MISSED_UPLINKS if known else UNKNOWN_AFTER


def is_unknown(row: AlertRow, now: datetime, intervals: Mapping[str, timedelta]) -> bool:
    """Whether the alert's state is no longer known, because its values stopped coming."""
    if row.state == "resolved" or row.gateway:  # nobody measures a gateway
        return False
    return row.last_value_at is None or now - row.last_value_at > unknown_after(row.models, intervals)


def value_state(row: AlertRow, now: datetime, intervals: Mapping[str, timedelta]) -> str:
    """How old the last value is; "unknown" where it is too old to say anything."""
    if row.state == "resolved" or row.gateway:
        return ""
    if row.last_value_at is None:
        return _("unknown, no value yet")
    ago = str(format_timedelta(row.last_value_at - now, add_direction=True, locale=current_language()))
    return _("unknown, last value {ago}").format(ago=ago) if is_unknown(row, now, intervals) else ago


def why(row: AlertRow) -> str:
    """One sentence: what fired, where, since when and on which values."""
    language = current_language()
    if row.because:
        return in_language(row.because, language)
    title = title_of(row)
    what = f"{title}, {where(row)}" if where(row) else title
    text = _("{what}: fired {time}, because the condition had held since {since} ({values}).")
    return text.format(
        what=what,
        time=time_text(row.fired_at or row.since, language),
        since=time_text(row.since, language),
        values=inputs_text(row.inputs, language) or _("no measured values"),
    )


def alert_page(row: AlertRow, now: datetime, intervals: Mapping[str, timedelta] | None = None) -> str:
    """The head of ``show``: why, and what to do."""
    language = current_language()
    lines = [why(row), in_language(row.summary, language)]
    if row.resolved_at is not None:
        lines.append(_("Over since {time}.").format(time=time_text(row.resolved_at, language)))
    else:
        lines.append(in_language(row.action, language))
        if row.eased_at is not None:
            text = _(
                "Below the threshold since {time}; `smartdorf alerts resolve {number} --reason …` closes it."
            )
            lines.append(text.format(time=time_text(row.eased_at, language), number=row.id))
        if state := value_state(row, now, intervals or {}):
            lines.append(_("Last value: {state}").format(state=state))
    if row.shadow:
        text = _(
            "The rule was on trial, so nobody is told; judge it: `smartdorf alerts verdict {number} true|false|drill`."
        )
        lines.append(text.format(number=row.id))
    if row.acknowledged is not None:
        text = _("Acknowledged by {who}, {time}.")
        lines.append(_signed(text, row.acknowledged))
    if row.verdict is not None:
        text = _("Verdict: {verdict}, by {who}, {time}.")
        lines.append(_signed(text, row.verdict, verdict=verdict_text(row.verdict.verdict)))
    facts = _("Rule {rule}, {severity}").format(rule=row.rule, severity=severity_text(row))
    labels = ", ".join(f"{name}={value}" for name, value in row.labels.items())
    if labels:
        lines.append(_("Labels: {labels}").format(labels=labels))
    return "\n".join(line for line in [*lines, facts] if line)


def _signed(text: str, act: Act, **further: str) -> str:
    return text.format(who=act.actor, time=time_text(act.time, current_language()), **further)


def timeline(events: Iterable[AlertEvent], told: Iterable[Told], now: datetime) -> list[tuple[datetime, str]]:
    """What happened to the alert and to those who had to be told, in order of time."""
    entries = [(event.time, _event_text(event)) for event in events]
    entries += [(entry.finished_at or entry.next_attempt_at, _told_line(entry, now)) for entry in told]
    return sorted(entries, key=lambda entry: entry[0])


def _event_text(event: AlertEvent) -> str:
    language = current_language()
    parts = [_event_name(event)]
    if event.kind == "resolved" and event.actor:
        parts[0] += f": {event.reason}"
    elif event.summary:
        parts[0] += f": {in_language(event.summary, language)}"
    if event.comment:
        parts[0] += f": {event.comment}"
    if event.reason and not event.actor:
        parts.append(_("reason: {reason}").format(reason=event.reason))
    if event.recorded_at - event.time > timedelta(minutes=5):
        parts.append(_("known here only {time}").format(time=time_text(event.recorded_at, language)))
    return "; ".join(parts)


def _event_name(event: AlertEvent) -> str:
    names = {
        "fired": _("fired"),
        "raised": _("raised to {stage}"),
        "eased": _("below the threshold"),
        "returned": _("fired again"),
        "resolved": _("closed by {who}") if event.actor else _("over"),
        "acknowledged": _("acknowledged by {who}"),
        "commented": _("{who} says"),
        "verdict": _("{who} judges: {verdict}"),
        "listed": _("stood in the daily list of rules on trial"),
    }
    stage = in_language(event.stage, current_language())
    return names[event.kind].format(who=event.actor, verdict=verdict_text(event.verdict), stage=stage)


def _told_line(told: Told, now: datetime) -> str:
    subjects = {
        "fired": _("that it fired"),
        "raised": _("of the higher stage"),
        "eased": _("that it is below the threshold"),
        "returned": _("that it fired again"),
        "resolved": _("that it is over"),
        "listed": _("in the daily list of rules on trial"),
    }
    subject = subjects[told.kind]
    if _has_to_wait(told, now) and told.kind not in ("eased", "resolved"):
        text = _("{receiver} will be told {subject}, if it still holds then")
        return text.format(receiver=told.receiver, subject=subject)
    if _has_to_wait(told, now):
        text = _("{receiver} will be told {subject}, if the beginning was told")
        return text.format(receiver=told.receiver, subject=subject)
    texts = {
        "sent": _("{receiver} told {subject}: {result}"),
        "skipped": _("{receiver} not told {subject}: {result}"),
        "failed": _("{receiver} could not be told {subject}, given up after {attempts} attempt(s): {result}"),
        "waiting": _("{receiver} to be told {subject}, {attempts} attempt(s) so far: {result}"),
    }
    line = texts[told.state].format(
        receiver=told.receiver, subject=subject, attempts=told.attempts, result=told.result or "–"
    )
    if told.silence is not None and told.state != "skipped":
        line += _("; held back before by silence {number}").format(number=told.silence)
    return line


def alert_json(
    row: AlertRow, now: datetime, intervals: Mapping[str, timedelta] | None = None
) -> dict[str, Any]:
    """The alert for programs; times are UTC."""
    return row._asdict() | {
        "inputs": _inputs_json(row.inputs),
        "told": [told._asdict() for told in row.told],
        "muted_by": [muting._asdict() for muting in row.muted_by],
        "acknowledged": _act_json(row.acknowledged),
        "verdict": _act_json(row.verdict),
        "value_unknown": is_unknown(row, now, intervals or {}),
    }


def _act_json(act: Act | None) -> dict[str, Any] | None:
    return act._asdict() if act is not None else None


def _inputs_json(inputs: Iterable[db.Input]) -> list[dict[str, Any]]:
    return [entry._asdict() for entry in inputs]
