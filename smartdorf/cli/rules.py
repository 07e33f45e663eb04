"""smartdorf rules: check, test and list the alert rules; needs no database and no running service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from smartdorf.alerting.ruletest import RuleTestResult, find_rule_tests, run_rule_tests
from smartdorf.alerting.untested import untested
from smartdorf.cli.context import ConfigOption, JsonOption, console, print_json
from smartdorf.cli.rules_backtest import backtest
from smartdorf.cli.rules_readiness import readiness
from smartdorf.clock import Clock
from smartdorf.config.calendar import Calendar
from smartdorf.config.durations import SECOND, format_duration
from smartdorf.config.rule import Hold, Rule, Stage
from smartdorf.config.rule_schema import rule_schema
from smartdorf.config.rules import RuleSet, load_rules, school_notes
from smartdorf.config.schedule import Schedule
from smartdorf.config.settings import Settings, calendar_of, find_settings_file, load_settings
from smartdorf.config.terms import Limit
from smartdorf.content import shipped
from smartdorf.decoding.manifest import CATEGORIES
from smartdorf.errors import Problem, SettingsError, UsageError
from smartdorf.i18n import current_language, ngettext
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import load_vocabulary

app = typer.Typer(
    no_args_is_help=True, help="Alert rules: check, test and list them, and try them on the past."
)

app.command()(backtest)
app.command()(readiness)

PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Rule files or folders; else those that ship and those of the settings.", metavar="PATH"
    ),
]


@app.command()
def check(paths: PathsArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Read all rule files and report every mistake with file, line and column. Exit code 1 if there is one.

    Example: smartdorf rules check rules/waste.yaml
    """
    rules, calendar = _load(paths, config), _calendar(config)
    problems = [*rules.problems, *calendar.problems]
    notes = [*rules.notes, *school_notes(rules, calendar, Clock().now().date()), *untested(rules)]
    if as_json:
        print_json(
            {
                "rules": len(rules),
                "problems": [_problem_json(problem) for problem in problems],
                "notes": [_problem_json(note) for note in notes],
            }
        )
    else:
        _print_problems(problems, "[red]✘[/red]")
        _print_problems(notes, "[blue]·[/blue]")
        text = ngettext("{count} rule works", "{count} rules work", len(rules)).format(count=len(rules))
        if problems:
            count = len(problems)
            text += ", " + ngettext("{count} problem", "{count} problems", count).format(count=count)
        console.print(text, highlight=False)
    if problems:
        raise typer.Exit(1)


@app.command("test")
def run_tests(paths: PathsArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Run the rule tests (*.test.yaml): series in, alerts out, at stated times. Exit code 1 if one fails.

    Example: smartdorf rules test rules/waste.test.yaml
    """
    files = [file for path in _paths(paths, _settings(config)) for file in find_rule_tests(path)]
    if not files:
        raise UsageError(_("no rule tests found; they stand beside the rules: waste.yaml, waste.test.yaml"))
    vocabulary = load_vocabulary()
    results: list[RuleTestResult] = []
    broken: list[Problem] = []
    for file in files:
        found, problems = run_rule_tests(file, vocabulary)
        results += found
        broken += problems
    failed = [result for result in results if result.problems]
    if as_json:
        print_json(
            {
                "tests": [_result_json(result) for result in results],
                "problems": [_problem_json(problem) for problem in broken],
            }
        )
    else:
        for result in results:
            console.print("[red]✘[/red] " if result.problems else "[green]✔[/green] ", end="")
            text = f"{Path(result.file).name}: {result.name}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
            _print_problems(result.problems, "   ")
        _print_problems(broken, "[red]✘[/red]")
        passed = _("{passed} of {count} tests passed")
        console.print(passed.format(passed=len(results) - len(failed), count=len(results)), highlight=False)
    if failed or broken:
        raise typer.Exit(1)


@app.command("list")
def list_rules(paths: PathsArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the rules that are in force, with what they watch and whom they tell.

    Example: smartdorf rules list --json
    """
    rules = _load(paths, config)
    if as_json:
        print_json([_rule_json(rule) for rule in rules])
        return
    table = Table(box=None, header_style="bold")
    table.add_column(_("Rule"), no_wrap=True)
    for heading in (_("Watches"), _("When"), _("Tells")):
        table.add_column(heading, overflow="fold")
    for rule in rules:
        title = rule.title.get(current_language()) or rule.title["de"]
        name = f"{rule.name}\n[dim]{escape(title)}[/dim]"
        table.add_row(name, str(rule.for_each), escape(_when(rule)), escape(_tells(rule)))
    console.print(table)
    if rules.problems:
        count = len(rules.problems)
        advice = ngettext(
            "{count} problem: see `smartdorf rules check`",
            "{count} problems: see `smartdorf rules check`",
            count,
        )
        console.print(advice.format(count=count), highlight=False)


def _hold_text(hold: Hold) -> str:
    """``for 2 readings, 30m``, as it stands in a rule file."""
    parts = [f"{hold.readings} readings"] if hold.readings else []
    if hold.duration:
        parts.append(_duration(hold.duration))
    return _("for {hold}").format(hold=", ".join(parts)) if parts else _("at once")


def _when(rule: Rule) -> str:
    limits = [*_limits(rule.limits)]
    for own in rule.limits_by_tag:
        limits.append(f"{own.tag}={own.value}: {', '.join(_limits(own.limits))}")
    conditions = [f"{_stage_name(stage)}{' '.join(stage.when.text.split())}" for stage in rule.stages]
    keep = rule.timing.keep
    ends = [_("until it is clear for {duration}").format(duration=_duration(keep))] if keep else []
    ends += [_("until somebody closes it")] if rule.timing.by_hand else []
    labels = [f"{name}={value}" for name, value in rule.labels.items()]
    waits = (
        [_("waits while {rules} is open").format(rules=", ".join(rule.depends_on))] if rule.depends_on else []
    )
    hours = _only("active", rule.active)
    return "\n".join([*conditions, *limits, _hold_text(rule.hold), *hours, *ends, *waits, *labels])


def _limits(limits: Mapping[str, Limit]) -> Iterator[str]:
    for name, limit in limits.items():
        yield f"{name} = {_limit_text(limit)}"


def _tells(rule: Rule) -> str:
    stages = [f"{_stage_name(s)}{', '.join([s.severity, *s.notify])}" for s in rule.stages]
    on_trial = [_("on trial: nobody is told")] if rule.mode == "shadow" else []
    return "\n".join([*stages, *_only("send", rule.send), *on_trial])


def _stage_name(stage: Stage) -> str:
    name = stage.name.get(current_language()) or stage.name.get("de")
    return f"{name}: " if name else ""


def _duration(duration: timedelta) -> str:
    return format_duration(duration.total_seconds() * SECOND)


def _only(key: str, schedule: Schedule | None) -> list[str]:
    """``active {days: mo-fr}``, as it stands in a rule file."""
    return [f"{key} {schedule}"] if schedule is not None else []


def _limit_text(limit: Limit) -> str:
    """As it stands in a rule file."""
    if limit.learned:
        return "learned"
    return format_duration(limit.value) if limit.is_duration else f"{limit.value:g}"


def _settings(config: Path | None) -> Settings | None:
    """The settings, where there are any: rules can be checked and tested without."""
    if config is None:
        try:
            find_settings_file(None)
        except SettingsError:
            return None
    return load_settings(config)


def _paths(given: Sequence[Path] | None, settings: Settings | None) -> list[Path]:
    own = settings.content.rules if settings is not None else ()
    paths = list(given) if given else [shipped("rules"), *own]
    for path in paths:
        if not path.exists():
            raise UsageError(_("{path}: there is no such file or folder").format(path=path))
    return paths


@app.command()
def schema() -> None:
    """Print a JSON Schema of rule files: an editor that knows it completes their keys and shows what they mean.

    Example: smartdorf rules schema > rules.schema.json
    """
    print_json(rule_schema(CATEGORIES))


def _load(given: Sequence[Path] | None, config: Path | None) -> RuleSet:
    settings = _settings(config)
    receivers = settings.receivers if settings is not None else None
    modes = settings.rules.modes if settings is not None else None
    return load_rules(_paths(given, settings), load_vocabulary(), receivers=receivers, modes=modes)


def _calendar(config: Path | None) -> Calendar:
    settings = _settings(config)
    return calendar_of(settings) if settings is not None else Calendar()


def _print_problems(problems: Iterable[Problem], mark: str) -> None:
    for problem in problems:
        console.print(f"{mark} ", end="")
        console.print(str(problem), markup=False, highlight=False, soft_wrap=True)


def _problem_json(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
    }


def _result_json(result: RuleTestResult) -> dict[str, Any]:
    return {
        "file": result.file,
        "line": result.line,
        "name": result.name,
        "passed": not result.problems,
        "problems": [_problem_json(problem) for problem in result.problems],
    }


def _limits_json(limits: Mapping[str, Limit]) -> dict[str, Any]:
    """Durations in seconds."""
    return {
        name: "learned" if limit.learned else limit.value / (SECOND if limit.is_duration else 1)
        for name, limit in limits.items()
    }


def _rule_json(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "group": rule.group,
        "title": rule.title,
        "watches": str(rule.for_each),
        "when": rule.when.text,
        "clear": rule.clear.text if rule.clear is not None else None,
        "limits": _limits_json(rule.limits),
        "limits_by_tag": [
            {"tag": own.tag, "value": own.value, "limits": _limits_json(own.limits)}
            for own in rule.limits_by_tag
        ],
        "readings": rule.hold.readings,
        "duration": rule.hold.duration.total_seconds(),
        "stages": [
            {
                "name": stage.name,
                "when": stage.when.text,
                "severity": stage.severity,
                "notify": stage.notify,
            }
            for stage in rule.stages
        ],
        "keep_firing_for": rule.timing.keep.total_seconds(),
        "close_by_hand": rule.timing.by_hand,
        "active": str(rule.active) if rule.active is not None else None,
        "send": str(rule.send) if rule.send is not None else None,
        "depends_on": rule.depends_on,
        "severity": rule.severities[-1],
        "notify": rule.notify,
        "mode": rule.mode,
        "labels": rule.labels,
        "version": rule.version,
        "file": rule.file,
        "line": rule.line,
    }
