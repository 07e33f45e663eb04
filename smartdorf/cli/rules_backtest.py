"""smartdorf rules backtest: what rules would have told, tried on what is stored."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from smartdorf.alerting.backtest import compare
from smartdorf.backtest import Outcome
from smartdorf.backtest import backtest as run_backtest
from smartdorf.cli.context import (
    ConfigOption,
    JsonOption,
    print_json,
    run_async,
    settings_or_exit,
    stderr,
)
from smartdorf.cli.moments import moment_of
from smartdorf.cli.rules_backtest_show import comparison_json, result_json, show, show_compared
from smartdorf.clock import Clock
from smartdorf.config.durations import parse_duration
from smartdorf.config.rule import Rule
from smartdorf.config.rules import RuleSet, load_rules, rule_files
from smartdorf.config.settings import Settings, calendar_of
from smartdorf.content import shipped
from smartdorf.db.migrate import require_current
from smartdorf.db.pool import connected
from smartdorf.decoding.registry import load_catalogue
from smartdorf.errors import ContentError, UsageError, did_you_mean
from smartdorf.garbage import collect_rarely
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.local_time import moment_text
from smartdorf.vocabulary import load_vocabulary


def backtest(
    rule: Annotated[list[str] | None, typer.Option(help="Only this rule; may be repeated.")] = None,
    since: Annotated[
        str, typer.Option(help="From when on: so long ago (90d), a day or a local time (2026-05-01T06:00).")
    ] = "90d",
    until: Annotated[
        str | None, typer.Option(help="Until when, written alike; a day counts to its end. Else now.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="A rule file or folder: what would change if its rules were in force?")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try the rules on what is stored: which alerts there would have been, how long, and where. Changes nothing.

    Example: smartdorf rules backtest --rule ContainerFull --since 90d --against stricter.yaml
    """
    settings = settings_or_exit(config)
    now = Clock().now()
    begin = _time(since, "--since", now, last=False)
    end = min(_time(until, "--until", now, last=True), now) if until is not None else now
    if begin >= end:
        raise UsageError(_("--since is not before --until"))
    sets = _sets(settings, rule, against)
    _say_left_out(sets)
    require_current(settings.database.full_dsn, settings.database.profile)
    outcome = run_async(_run(settings, sets, begin, end))
    if outcome.first is None:
        raise UsageError(_nothing(outcome, begin, end))
    for problem in outcome.problems:
        stderr.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    if outcome.first > begin + timedelta(days=1):
        text = _("Nothing is stored from before {time}.").format(time=_moment(outcome.first))
        stderr.print(text, markup=False, highlight=False)
    if any(limit.learned for chosen in sets for one in chosen for limit in one.limits.values()):
        text = _("How long a silence is normal counts as it is known today, not as it was then.")
        stderr.print(text, markup=False, highlight=False)
    if against is None:
        [results] = outcome.results
        if as_json:
            print_json(
                _period(begin, end) | {"rules": [result_json(r, outcome.directory, end) for r in results]}
            )
        else:
            show(results, outcome.directory, end)
        return
    before, after = outcome.results
    compared = compare(before, after, end)
    if as_json:
        rules = [comparison_json(c, outcome.directory, end) for c in compared]
        print_json(_period(begin, end) | {"rules": rules})
    else:
        show_compared(compared, outcome.directory, end)


async def _run(
    settings: Settings, sets: Sequence[Collection[Rule]], begin: datetime, end: datetime
) -> Outcome:
    roots = [shipped("decoders"), *settings.content.decoders]
    models = load_catalogue(roots, load_vocabulary()).models
    categories = {name: model.category for name, model in models.items()}
    intervals = {name: model.uplink_interval for name, model in models.items() if model.uplink_interval}
    collect_rarely()
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task(_("trying the rules"), total=(end - begin).total_seconds())

        def progress(time: datetime) -> None:
            bar.update(task, completed=max(0.0, (time - begin).total_seconds()))

        async with connected(settings.database.full_dsn) as connection:
            return await run_backtest(
                connection,
                sets,
                categories,
                intervals,
                since=begin,
                until=end,
                progress=progress,
                calendar=calendar_of(settings),
            )


# -- what was asked for -----------------------------------------------------------------------------------------------


def _time(text: str, option: str, now: datetime, *, last: bool) -> datetime:
    """``90d`` ago, or a day or a time."""
    duration = parse_duration(text)
    if duration is not None:
        return now - timedelta(microseconds=duration)
    if not text[:1].isdecimal() or "-" not in text:
        message = _('{option} "{text}": expected how long ago (90d, 48h), a day or a time (2026-05-01)')
        raise UsageError(message.format(option=option, text=text))
    return moment_of(text, option, last=last)


def _sets(settings: Settings, names: Sequence[str] | None, against: Path | None) -> list[list[Rule]]:
    """The rules in force; with ``against`` those that it replaces, and its own."""
    in_force = _load([shipped("rules"), *settings.content.rules], settings)
    if against is None:
        return [_chosen(in_force, names)]
    if not against.exists():
        raise UsageError(_("{path}: there is no such file or folder").format(path=against))
    if not rule_files(against):
        raise UsageError(_("{path}: there are no rule files (*.yaml) in it").format(path=against))
    other = _chosen(_load([against], settings), names)
    theirs = {rule.name for rule in other}
    return [[rule for rule in in_force if rule.name in theirs], other]


def _say_left_out(sets: Sequence[Collection[Rule]]) -> None:
    """Raises UsageError where nothing is left."""
    left_out = {rule.name for rules in sets for rule in rules if rule.for_each.kind == "gateway"}
    if not left_out:
        return
    text = _("Rules about gateways are not tried, and nothing waits for them: {rules}.")
    message = text.format(rules=", ".join(sorted(left_out)))
    if all(rule.name in left_out for rules in sets for rule in rules):
        raise UsageError(message)
    stderr.print(message, markup=False, highlight=False)


def _load(paths: Sequence[Path], settings: Settings) -> RuleSet:
    """Half a set of rules would say that there were no alerts where there would have been some."""
    for path in paths:
        if not path.exists():
            raise UsageError(_("{path}: there is no such file or folder").format(path=path))
    rules = load_rules(paths, load_vocabulary(), receivers=None)
    if rules.problems:
        raise ContentError(rules.problems)
    return rules


def _chosen(rules: RuleSet, names: Sequence[str] | None) -> list[Rule]:
    known = {rule.name: rule for rule in rules}
    unknown = [
        _('unknown rule "{name}"').format(name=name)
        + (
            did_you_mean(name, known)
            or _("; known are {names}").format(names=", ".join(sorted(known)) or "–")
        )
        for name in dict.fromkeys(names or ())
        if name not in known
    ]
    if unknown:
        raise UsageError("\n".join(unknown))
    return [known[name] for name in dict.fromkeys(names)] if names else list(rules)


def _moment(time: datetime) -> str:
    return moment_text(time, current_language())


def _nothing(outcome: Outcome, begin: datetime, end: datetime) -> str:
    if not any(result.watched for results in outcome.results for result in results):
        return _(
            "These rules watch no place and no device: see `smartdorf places list`, `smartdorf devices list`."
        )
    text = _("Nothing is stored between {begin} and {end} of what these rules watch.").format(
        begin=_moment(begin), end=_moment(end)
    )
    if outcome.extent is None:
        return text + " " + _("Nothing is stored at all.")
    first, last = outcome.extent
    known = _("There is data from {first} to {last}.").format(first=_moment(first), last=_moment(last))
    return f"{text} {known}"


def _period(begin: datetime, end: datetime) -> dict[str, Any]:
    return {"since": begin, "until": end}
