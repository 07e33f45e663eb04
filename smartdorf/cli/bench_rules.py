"""smartdorf bench rules: what the rules cost on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from smartdorf.bench.rules import UPLINKS_PER_SECOND, Report, bench_rules
from smartdorf.cli.context import JsonOption, console, print_json, run_async, stderr
from smartdorf.i18n import gettext as _

PROMISED_SHARE, PROMISED_START, PROMISED_BACKTEST = 0.10, 5, 60  # of a core; seconds; seconds


def rules(
    dsn: Annotated[
        str | None,
        typer.Option(
            help="A server on which scratch databases are made and dropped, for the start and the backtest; "
            "else they are left out."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the rules: their share of a core, an uplink's cost against the length of history, start and backtest.

    The shipped rules at containers, 5,000 instances at 30 uplinks a second. With --dsn also a start with 10,000
    devices, and a backtest of 90 days with 500 devices that report each hour.

    Example: smartdorf bench rules --dsn postgresql://postgres@127.0.0.1/postgres --json
    """
    report = run_async(bench_rules(dsn, lambda text: stderr.print(text, highlight=False)))
    if as_json:
        print_json(as_dict(report))
    else:
        _show(report)


def as_dict(report: Report) -> dict[str, Any]:
    """The JSON document."""
    return {
        "machine": asdict(report.machine),
        "load": asdict(report.load),
        "history": [asdict(cost) for cost in report.history],
        "database": report.database.name if report.database is not None else None,
        "start": asdict(report.start) if report.start is not None else None,
        "backtest": asdict(report.trial) if report.trial is not None else None,
    }


def _show(report: Report) -> None:
    table = Table(_("the rules"), _("measured"), _("promised"))
    load, start, trial = report.load, report.start, report.trial
    table.add_row(
        _("{instances} instances at {rate} uplinks/s, share of a core").format(
            instances=load.instances, rate=UPLINKS_PER_SECOND
        ),
        f"{load.share_of_core * 100:.2f} %",
        f"≤ {PROMISED_SHARE * 100:.0f} %",
    )
    for cost in report.history:
        text = _("an uplink after {days} days of history, µs").format(days=cost.days)
        table.add_row(text, f"{cost.microseconds:.1f}", _("does not grow"))
    if start is not None:
        text = _("a start with {devices} devices, s").format(devices=start.devices)
        table.add_row(text, f"{start.seconds:.1f}", f"≤ {PROMISED_START}")
        text = _("of it binding {instances} instances, s").format(instances=start.instances)
        table.add_row(text, f"{start.bind_seconds:.1f}", "")
    if trial is not None:
        text = _("backtest of {uplinks} uplinks, s").format(uplinks=trial.uplinks)
        table.add_row(text, f"{trial.seconds:.1f}", f"≤ {PROMISED_BACKTEST}")
        table.add_row(_("of it our processor, s"), f"{trial.cpu_seconds:.1f}", "")
    if report.database is not None:
        console.print(report.database.name, highlight=False)
    console.print(table)
