"""How `smartdorf rules backtest` shows what it found: for people, and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.table import Table

from smartdorf.alerting.backtest import Alert, Comparison, Result, Shift
from smartdorf.cli.context import console
from smartdorf.directory import Directory
from smartdorf.i18n import current_language, ngettext
from smartdorf.i18n import gettext as _
from smartdorf.local_time import moment_text

SHOWN = 5  # alerts of a rule; --json has them all
_MINUTE = timedelta(minutes=1)


# -- for people -------------------------------------------------------------------------------------------------------


def show(results: Sequence[Result], directory: Directory, end: datetime) -> None:
    table = Table(_("Rule"), _("watches"), _("alerts"), _("places or devices"), _("in all"), _("longest"))
    for result in results:
        lengths = [alert.lasted(end) for alert in result.alerts]
        table.add_row(
            result.rule.name,
            str(result.watched),
            str(len(lengths)),
            str(len({alert.key for alert in result.alerts})),
            _length(sum(lengths, timedelta())) if lengths else "",
            _length(max(lengths)) if lengths else "",
        )
    console.print(table)
    for result in results:
        if not result.alerts and not result.already_open:
            continue
        console.print()
        console.print(result.rule.name, style="bold", highlight=False)
        if count := len(result.already_open):
            text = ngettext(
                "{count} more was there already when the time began",
                "{count} more were there already when the time began",
                count,
            )
            _line("·", text.format(count=count))
        if result.alerts:
            longest = max(result.alerts, key=lambda alert: alert.lasted(end))
            _line("·", _("longest:"), _alert_text(longest, end))
            _line("·", _("at:"), _places(result.alerts, directory))
        _alerts("·", result.alerts, end)


def show_compared(compared: Sequence[Comparison], directory: Directory, end: datetime) -> None:
    for number, comparison in enumerate(compared):
        if number:
            console.print()
        console.print(_headline(comparison), markup=False, highlight=False, style="bold")
        for mark, text, alerts in (("-", _("lost"), comparison.lost), ("+", _("new"), comparison.new)):
            if alerts:
                _line(mark, f"{text}: {len(alerts)}", f"({_places(alerts, directory)})")
                _alerts(mark, alerts, end)
        for text, moved in (
            (_("earlier"), [shift for shift in comparison.shifted if shift.by < timedelta(0)]),
            (_("later"), [shift for shift in comparison.shifted if shift.by > timedelta(0)]),
        ):
            if moved:
                _line("~", f"{text}: {len(moved)}")
                _shifts(moved, text)
        if comparison.joined:
            _line("·", _("joined with another: {count}").format(count=comparison.joined))
        if comparison.split:
            _line("·", _("split from another: {count}").format(count=comparison.split))


def _headline(comparison: Comparison) -> str:
    name, before, after = comparison.name, comparison.before, comparison.after
    count = len(after.alerts) if after is not None else 0
    if before is None:
        text = ngettext("{name}: a new rule, {count} alert", "{name}: a new rule, {count} alerts", count)
        return text.format(name=name, count=count)
    text = ngettext(
        "{name}: {before} alert → {count}", "{name}: {before} alerts → {count}", len(before.alerts)
    )
    said = text.format(name=name, before=len(before.alerts), count=count)
    if after is not None and before.rule.version == after.rule.version:
        said += " " + _("(the rule is the same)")
    return said


def _alerts(mark: str, alerts: Sequence[Alert], end: datetime) -> None:
    for alert in alerts[:SHOWN]:
        _line(f"  {mark}", _alert_text(alert, end))
    _and_more(len(alerts))


def _shifts(moved: Sequence[Shift], word: str) -> None:
    for shift in moved[:SHOWN]:
        text = f"{_moment(shift.before.fired_at)} → {_moment(shift.after.fired_at)}"
        _line("  ~", text, f"({_length(abs(shift.by))} {word})", _said(shift.after))
    _and_more(len(moved))


def _and_more(count: int) -> None:
    if count > SHOWN:
        _line("   ", _("… and {count} more: see --json").format(count=count - SHOWN))


def _line(*parts: str) -> None:
    console.print(" ", *parts, markup=False, highlight=False, soft_wrap=True)


def _alert_text(alert: Alert, end: datetime) -> str:
    length = _length(alert.lasted(end))
    if alert.resolved_at is None:
        length = _("{length}, still open at the end").format(length=length)
    text = f"{_moment(alert.fired_at)} ({length}) {_said(alert)}"
    if alert.tell_at is None:
        return text
    if not alert.is_told:
        return text + "; " + _("over before it could be told")
    return text + "; " + _("told {time}").format(time=_moment(alert.tell_at))


def _said(alert: Alert) -> str:
    return alert.summary[current_language()]


def _moment(time: datetime) -> str:
    return moment_text(time, current_language())


def _length(length: timedelta) -> str:
    """``45m``, ``26h5m``, ``4d2h``: as durations are written in rules."""
    minutes = length // _MINUTE
    if minutes < 1:
        return f"{length.total_seconds():.0f}s"
    days, hours, minutes = minutes // 1440, minutes % 1440 // 60, minutes % 60
    parts = [(days, "d"), (hours, "h")] if days else [(hours, "h"), (minutes, "m")]
    return "".join(f"{number}{unit}" for number, unit in parts if number)


def _places(alerts: Sequence[Alert], directory: Directory) -> str:
    """The most frequent first."""
    counts: dict[str, int] = {}
    for alert in alerts:
        name = _subject(alert, directory)
        counts[name] = counts.get(name, 0) + 1
    names = sorted(counts, key=lambda name: -counts[name])
    said = ", ".join(f"{name} {counts[name]}×" for name in names[:SHOWN])
    return (
        said if len(names) <= SHOWN else said + " " + _("and {count} more").format(count=len(names) - SHOWN)
    )


def _subject(alert: Alert, directory: Directory) -> str:
    if alert.key.kind == "place":
        return directory.places[alert.key.id].name
    device = directory.devices[alert.key.id]
    return device.name or device.dev_eui


# -- for programs -----------------------------------------------------------------------------------------------------


def result_json(result: Result, directory: Directory, end: datetime) -> dict[str, Any]:
    return {
        "rule": result.rule.name,
        "version": result.rule.version,
        "watched": result.watched,
        "already_open": len(result.already_open),
        "alerts": [_alert_json(alert, directory, end) for alert in result.alerts],
    }


def _alert_json(alert: Alert, directory: Directory, end: datetime) -> dict[str, Any]:
    is_place = alert.key.kind == "place"
    return {
        "place": directory.places[alert.key.id].slug if is_place else None,
        "device": None if is_place else directory.devices[alert.key.id].dev_eui,
        "fired_at": alert.fired_at,
        "resolved_at": alert.resolved_at,
        "told_at": (alert.tell_at or alert.fired_at) if alert.is_told else None,
        "seconds": alert.lasted(end).total_seconds(),
        "summary": dict(alert.summary),
    }


def comparison_json(comparison: Comparison, directory: Directory, end: datetime) -> dict[str, Any]:
    def alerts(found: Sequence[Alert]) -> list[Mapping[str, Any]]:
        return [_alert_json(alert, directory, end) for alert in found]

    before, after = comparison.before, comparison.after
    return {
        "rule": comparison.name,
        "before": len(before.alerts) if before is not None else None,
        "after": len(after.alerts) if after is not None else None,
        "same": comparison.same,
        "shifted": [
            {"later_seconds": shift.by.total_seconds(), **_alert_json(shift.after, directory, end)}
            for shift in comparison.shifted
        ],
        "lost": alerts(comparison.lost),
        "new": alerts(comparison.new),
        "joined": comparison.joined,
        "split": comparison.split,
    }
