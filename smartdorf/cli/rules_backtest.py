"""smartdorf rules backtest: what the rules would have told, over what is stored. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from smartdorf.alerting.backtest import Alert, Comparison, Result, compare
from smartdorf.app import load_content
from smartdorf.backtest import Outcome, backtest
from smartdorf.cli.context import (
    ConfigOption,
    JsonOption,
    console,
    duration_of,
    print_json,
    run_async,
    settings_or_exit,
    stderr,
)
from smartdorf.clock import Clock
from smartdorf.config.rule import Rule
from smartdorf.config.rules import RuleSet, load_rules
from smartdorf.db.pool import connected
from smartdorf.directory import Directory
from smartdorf.errors import ContentError, UsageError, did_you_mean
from smartdorf.i18n import current_language, ngettext
from smartdorf.i18n import gettext as _
from smartdorf.local_time import from_local, moment_text
from smartdorf.vocabulary import load_vocabulary

SHOWN = 5  # alerts of each rule

Report = Callable[[datetime], None]


def run_backtest(
    rule: Annotated[list[str] | None, typer.Option(help="Only this rule; may be repeated.")] = None,
    since: Annotated[str, typer.Option(help="How far back: 12h, 7d, 13w.")] = "90d",
    until: Annotated[
        datetime | None,
        typer.Option(
            help="Until when, in local time; else now.",
            formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"],
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="A rule file or folder: compare the rules in force with those in it."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the rules would have told about the past: the same engine, over what is stored.

    With --against, only the rules that stand there are looked at: what would become of their alerts. Places, devices
    and their limits are those of today. Nothing is changed, and the service may go on running.

    Example: smartdorf rules backtest --rule ContainerFull --since 90d --against draft.yaml
    """
    settings = settings_or_exit(config)
    content = load_content(settings)
    draft = _draft(against, {model.category for model in content.catalogue.models.values()})
    sets = _chosen(content.rules, draft, rule or [])
    end = from_local(until) if until is not None else Clock().now()
    begin = end - duration_of(since)

    async def work(progress: Report) -> Outcome:
        async with connected(settings.database.full_dsn) as connection:
            return await backtest(
                connection, sets, content.categories, since=begin, until=end, progress=progress
            )

    with _progress(begin, end) as progress:
        outcome = run_async(work(progress))
    if outcome.first is None:
        raise UsageError(_nothing(outcome))
    for problem in outcome.problems:
        stderr.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    named = _Names(outcome.directory)
    if draft is None:
        [results] = outcome.results
        if as_json:
            print_json(_json(begin, end, outcome, [_result_json(found, named, end) for found in results]))
        else:
            _print_results(results, named, begin, end)
        return
    comparisons = compare(outcome.results[0], outcome.results[1], end)
    if as_json:
        print_json(_json(begin, end, outcome, [_comparison_json(found, named, end) for found in comparisons]))
    else:
        _print_comparisons(comparisons, named)


def _draft(path: Path | None, categories: Collection[str]) -> RuleSet | None:
    if path is None:
        return None
    if not path.exists():
        raise UsageError(_("{path}: there is no such file or folder").format(path=path))
    draft = load_rules([path], load_vocabulary(), categories=categories)
    if draft.problems:
        raise ContentError(list(draft.problems))
    return draft


def _chosen(rules: RuleSet, draft: RuleSet | None, names: Sequence[str]) -> list[list[Rule]]:
    """The rules to try, and those to compare them with."""
    here = list(draft) if draft is not None else list(rules)
    known = {found.name for found in here}
    for name in names:
        if name not in known:
            raise UsageError(_('unknown rule "{name}"').format(name=name) + did_you_mean(name, known))
    wanted = set(names) or known
    chosen = [[found for found in rules if found.name in wanted]]
    if draft is not None:
        chosen.append([found for found in draft if found.name in wanted])
    return chosen


def _nothing(outcome: Outcome) -> str:
    if outcome.extent is None:
        return _("nothing is stored yet: there is no past to try the rules on")
    first, last = (moment_text(time, current_language()) for time in outcome.extent)
    return _("nothing is stored of that time; there is something from {first} to {last}").format(
        first=first, last=last
    )


@contextmanager
def _progress(begin: datetime, end: datetime) -> Iterator[Report]:
    """A bar, where somebody watches."""
    if not stderr.is_terminal:
        yield lambda _time: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=stderr, transient=True) as bar:
        task = bar.add_task(_("reading the past"), total=(end - begin).total_seconds())
        yield lambda time: bar.update(task, completed=max(0.0, (time - begin).total_seconds()))


class _Names:
    """Whose alert it is, as people call it."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def of(self, alert: Alert) -> str:
        if alert.key.kind == "place":
            return self._directory.places[alert.key.id].name
        device = self._directory.devices[alert.key.id]
        return device.name or device.dev_eui


# -- one set of rules -------------------------------------------------------------------------------------------


def _print_results(results: Sequence[Result], named: _Names, begin: datetime, end: datetime) -> None:
    language = current_language()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(_("rule"), no_wrap=True)
    for title in (_("watches"), _("alerts"), _("places"), _("together"), _("longest")):
        table.add_column(title, justify="right")
    for result in results:
        lasted = [alert.lasted(end) for alert in result.alerts]
        places = {alert.key for alert in result.alerts}
        together, longest = (_span(sum(lasted, timedelta())), _span(max(lasted))) if lasted else ("", "")
        row = (result.rule.name, result.watched, len(result.alerts), len(places), together, longest)
        table.add_row(*(str(cell) for cell in row))
    console.print(
        _("{begin} to {end}").format(begin=moment_text(begin, language), end=moment_text(end, language))
    )
    console.print(table)
    for result in results:
        if result.alerts or result.already_open:
            console.print(f"[bold]{result.rule.name}[/bold]")
            _print_already_open(result)
            _print_alerts(result.alerts, named, end)


def _print_already_open(result: Result) -> None:
    if count := len(result.already_open):
        text = ngettext("{count} was open before", "{count} were open before", count)
        console.print("  " + text.format(count=count), highlight=False)


def _print_alerts(alerts: Sequence[Alert], named: _Names, end: datetime) -> None:
    language = current_language()
    for alert in alerts[:SHOWN]:
        time = moment_text(alert.fired_at, language)
        words = alert.summary.get(language, "") or named.of(alert)
        lasted = _span(alert.lasted(end)) + ("" if alert.resolved_at else ", " + _("still open"))
        console.print(f"  {time}  {words} ({lasted})", markup=False, highlight=False, soft_wrap=True)
    if (rest := len(alerts) - SHOWN) > 0:
        text = ngettext("and {count} more: --json has it", "and {count} more: --json has them", rest)
        console.print("  " + text.format(count=rest), highlight=False)


def _span(duration: timedelta) -> str:
    """``26 min``, ``5.2 h``, ``3.4 d``: of many alerts, at a glance."""
    hours = duration / timedelta(hours=1)
    if hours < 1:
        return f"{duration / timedelta(minutes=1):.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"


# -- two sets ---------------------------------------------------------------------------------------------------


def _print_comparisons(comparisons: Sequence[Comparison], named: _Names) -> None:
    for found in comparisons:
        before, after = (len(r.alerts) if r is not None else None for r in (found.before, found.after))
        text = _("{before} alerts → {after}").format(
            before=_("no rule") if before is None else before, after=_("no rule") if after is None else after
        )
        console.print(f"[bold]{_rule_of(found)}[/bold]: {text}", highlight=False)
        told = (
            (_("as before: {count}"), found.same),
            (_("parts of one that now is one: {count}"), found.joined),
            (_("parts of one that was one: {count}"), found.split),
        )
        for words, count in told:
            if count:
                console.print("  " + words.format(count=count), highlight=False)
        _print_some(_("lost"), found.lost, named)
        _print_some(_("new"), found.new, named)
        for shift in found.shifted[:SHOWN]:
            words = _("earlier by {span}") if shift.by < timedelta() else _("later by {span}")
            time = moment_text(shift.before.fired_at, current_language())
            text = f"  {time}  {named.of(shift.before)}: {words.format(span=_span(abs(shift.by)))}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)


def _rule_of(found: Comparison) -> str:
    result = found.after or found.before
    assert result is not None
    return result.rule.name


def _print_some(title: str, alerts: Sequence[Alert], named: _Names) -> None:
    language = current_language()
    if not alerts:
        return
    console.print(f"  {title}: {len(alerts)}", highlight=False)
    for alert in alerts[:SHOWN]:
        time = moment_text(alert.fired_at, language)
        words = alert.summary.get(language, "") or named.of(alert)
        console.print(f"    {time}  {words}", markup=False, highlight=False, soft_wrap=True)


# -- for programs -----------------------------------------------------------------------------------------------


def _json(begin: datetime, end: datetime, outcome: Outcome, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"since": begin, "until": end, "moments": outcome.moments, "rules": rules}


def _result_json(result: Result, named: _Names, end: datetime) -> dict[str, Any]:
    return {
        "rule": result.rule.name,
        "watched": result.watched,
        "already_open": len(result.already_open),
        "alerts": [_alert_json(alert, named, end) for alert in result.alerts],
    }


def _alert_json(alert: Alert, named: _Names, end: datetime) -> dict[str, Any]:
    return {
        "kind": alert.key.kind,
        "name": named.of(alert),
        "fired_at": alert.fired_at,
        "resolved_at": alert.resolved_at,
        "seconds": alert.lasted(end).total_seconds(),
        "summary": alert.summary,
    }


def _comparison_json(found: Comparison, named: _Names, end: datetime) -> dict[str, Any]:
    return {
        "rule": _rule_of(found),
        "before": len(found.before.alerts) if found.before is not None else None,
        "after": len(found.after.alerts) if found.after is not None else None,
        "same": found.same,
        "joined": found.joined,
        "split": found.split,
        "lost": [_alert_json(alert, named, end) for alert in found.lost],
        "new": [_alert_json(alert, named, end) for alert in found.new],
        "shifted": [
            {**_alert_json(shift.before, named, end), "by_seconds": shift.by.total_seconds()}
            for shift in found.shifted
        ],
    }
