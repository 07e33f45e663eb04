"""smartdorf rules readiness: which rules on trial can be let tell people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import asyncpg
import typer
from rich.table import Table

from smartdorf.alerting.bound import BoundRules
from smartdorf.alerting.readiness import Evidence, precision, shortfalls
from smartdorf.alerting.why_not import silent_after, watching
from smartdorf.app import load_content
from smartdorf.cli.context import (
    ConfigOption,
    JsonOption,
    console,
    duration_of,
    print_json,
    run_async,
    settings_or_exit,
)
from smartdorf.clock import Clock
from smartdorf.config.rule import Rule
from smartdorf.db import state as db_state
from smartdorf.db import trials as db
from smartdorf.db.directory import load_directory
from smartdorf.db.migrate import require_current
from smartdorf.db.pool import connected
from smartdorf.errors import UsageError, did_you_mean
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.ingest.memory import Content, bind_rules
from smartdorf.local_time import moment_text


def readiness(
    rule: Annotated[list[str] | None, typer.Option(help="Only this rule; may be repeated.")] = None,
    since: Annotated[str, typer.Option(help="Count its alerts from so long ago on: 14d, 28d, 8w.")] = "28d",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say of each rule on trial (mode: shadow) how its alerts were judged, and whether it is ready to tell people.

    Example: smartdorf rules readiness --rule ContainerFull
    """
    settings, period = settings_or_exit(config), duration_of(since)
    content = load_content(settings)
    chosen = _chosen(content, rule)
    require_current(settings.database.full_dsn, settings.database.profile)
    now = Clock().now()

    async def work() -> dict[str, Evidence]:
        async with connected(settings.database.full_dsn) as connection:
            return await _evidence(connection, content, chosen, period, now)

    found = run_async(work())
    if as_json:
        print_json([_json(name, evidence, now) for name, evidence in found.items()])
    elif found:
        _show(found, now)
    else:
        console.print(_("No rule is on trial: all tell people."))


def _chosen(content: Content, names: Sequence[str] | None) -> list[Rule]:
    """Those on trial; all, or the ones asked for."""
    known = {rule.name: rule for rule in content.rules}
    problems = []
    for name in names or ():
        if name not in known:
            message = _('unknown rule "{name}"').format(name=name)
            problems.append(message + did_you_mean(name, known))
        elif known[name].mode == "live":
            problems.append(_("{name} is not on trial: it tells people already").format(name=name))
    if problems:
        raise UsageError("\n".join(problems))
    wanted = names or list(known)
    return [rule for rule in content.rules if rule.mode == "shadow" and rule.name in wanted]


async def _evidence(
    connection: asyncpg.Connection,
    content: Content,
    rules: Iterable[Rule],
    period: timedelta,
    now: datetime,
) -> dict[str, Evidence]:
    bound = bind_rules(content, await load_directory(connection))
    heard = await db_state.fetch_last_heard(connection)
    trials, judged = await db.fetch_trials(connection), await db.fetch_judged(connection, now - period)
    return {
        rule.name: Evidence(
            trials.get(rule.name),
            judged.get(rule.name, db.Judged()),
            period,
            *_sensors(rule, bound, content, heard, now),
        )
        for rule in rules
    }


def _sensors(
    rule: Rule, bound: BoundRules, content: Content, heard: dict[int, datetime], now: datetime
) -> tuple[int, int]:
    """How many sensors it watches, and how many of them are silent."""
    devices = {
        device.id: device
        for key, instance in bound.instances.items()
        if key.rule == rule.name
        for device in watching(instance, bound.directory, now)
    }
    silent = [
        device
        for device in devices.values()
        if device.id not in heard or now - heard[device.id] > silent_after(device, content.intervals)
    ]
    return len(devices), len(silent)


def _show(found: dict[str, Evidence], now: datetime) -> None:
    table = Table(box=None, header_style="bold")
    table.add_column(_("Rule"), no_wrap=True)
    for heading in (
        _("on trial since"),
        _("alerts"),
        _("true / false / drill / not judged"),
        _("true ones"),
        _("silent sensors"),
    ):
        table.add_column(heading, overflow="fold")
    for name, evidence in found.items():
        judged, part = evidence.found, precision(evidence.found)
        table.add_row(
            name,
            moment_text(evidence.since, current_language()) if evidence.since is not None else "–",
            str(judged.alerts),
            f"{judged.true} / {judged.false} / {judged.drill} / {judged.unjudged}",
            f"{part:.0%}" if part is not None else "–",
            _("{silent} of {count}").format(silent=evidence.silent, count=evidence.watched),
        )
    console.print(table)
    for name, evidence in found.items():
        console.print(_sentence(name, evidence, now), markup=False, highlight=False, soft_wrap=True)


def _sentence(name: str, evidence: Evidence, now: datetime) -> str:
    missing = shortfalls(evidence, now)
    if missing:
        return _("{rule} is not ready: {reasons}").format(rule=name, reasons=" ".join(missing))
    text = _(
        '{rule} is ready to tell people: write it into smartdorf.toml, [rules] live = ["{rule}"], and restart the '
        "service."
    )
    return text.format(rule=name)


def _json(name: str, evidence: Evidence, now: datetime) -> dict[str, Any]:
    found, missing = evidence.found, shortfalls(evidence, now)
    return {
        "rule": name,
        "on_trial_since": evidence.since,
        "days": (now - evidence.since).days if evidence.since is not None else 0,
        "alerts": found.alerts,
        "true": found.true,
        "false": found.false,
        "drill": found.drill,
        "not_judged": found.unjudged,
        "oldest_not_judged": found.oldest_unjudged,
        "precision": precision(found),
        "sensors": evidence.watched,
        "silent_sensors": evidence.silent,
        "ready": not missing,
        "missing": missing,
    }
