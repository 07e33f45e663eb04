"""smartdorf bench: how fast it is on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from smartdorf.bench.ingest import Plan, Report, bench_ingest
from smartdorf.bench.latency import Milliseconds
from smartdorf.cli.bench_decode import decode
from smartdorf.cli.bench_rules import rules
from smartdorf.cli.bench_store import store
from smartdorf.cli.context import JsonOption, console, print_json, run_async, stderr
from smartdorf.i18n import gettext as _

DISTURBED = 0.2  # cores that other programs use, from which on we say so

app = typer.Typer(
    no_args_is_help=True, help="Measure how fast smartdorf is on this machine, with real processes."
)


@app.callback()
def bench() -> None:
    """Measure how fast smartdorf is on this machine, with real processes."""


app.command()(decode)
app.command()(store)
app.command()(rules)


@app.command()
def ingest(
    dsn: Annotated[
        str | None,
        typer.Option(
            help="A server with TimescaleDB, on which a scratch database is made and dropped; else an embedded "
            "PostgreSQL without TimescaleDB is used."
        ),
    ] = None,
    uplinks: Annotated[int, typer.Option(min=1000, help="So many wait in the broker's queue.")] = 60_000,
    devices: Annotated[int, typer.Option(min=2, max=60_000, help="So many devices sent them.")] = 1000,
    latency_seconds: Annotated[
        int, typer.Option(min=0, max=600, help="How long 50 uplinks a second fire alerts; 0: not at all.")
    ] = 20,
    as_json: JsonOption = False,
) -> None:
    """Measure the path of an uplink: from the broker to the committed rows, and to the alert.

    Broker, database and service run on this machine. Uplinks of three measurements each wait in the broker's queue
    while the service is away; then it is started and works them off. What the database holds afterwards is counted,
    and exit code 2 says that the counts are wrong.

    Example: smartdorf bench ingest --dsn postgresql://postgres@127.0.0.1/postgres --json
    """
    plan = Plan(dsn, uplinks, devices, latency_seconds)
    report = run_async(bench_ingest(plan, lambda text: stderr.print(text, highlight=False)))
    if as_json:
        print_json(as_dict(report))
    else:
        _show(report)


def as_dict(report: Report) -> dict[str, Any]:
    """The JSON document."""
    throughput, latency = report.throughput, report.latency
    return {
        "uplinks_per_second": round(throughput.uplinks_per_second),
        "latency_ms": asdict(latency.committed) if latency else None,
        "told_ms": asdict(latency.told) if latency else None,
        "peak_rss_mb": report.peak_rss_mb,
        "machine": asdict(report.machine),
        "database": {
            "name": report.database.name,
            "profile": report.database.profile,
            "embedded": report.database.embedded,
        },
        "broker": report.broker.name,
        "throughput": {
            "uplinks": throughput.uplinks,
            "devices": report.devices,
            "measurements": throughput.stored.measurements,
            "seconds": round(throughput.seconds, 2),
            "cpu_seconds": throughput.cpu_seconds,
            "peak_rss_mb": throughput.peak_rss_mb,
        },
        "alerts": latency.alerts if latency else 0,
        "stages_us_per_uplink": {stage.name: stage.microseconds for stage in report.stages},
        "stages_own_cpu_us_per_uplink": {
            stage.name: stage.own_cpu for stage in report.stages if stage.own_cpu is not None
        },
    }


def _show(report: Report) -> None:
    machine, throughput = report.machine, report.throughput
    about = Table.grid(padding=(0, 2))
    about.add_row(
        _("machine"),
        _("{processor}, {cores} cores, {memory} MB, {system}, Python {python}").format(
            processor=machine.processor,
            cores=machine.cores,
            memory=machine.memory_mb or "?",
            system=machine.system,
            python=machine.python,
        ),
    )
    kind = _("embedded, without TimescaleDB") if report.database.embedded else _("the server given")
    about.add_row(_("database"), f"{report.database.name} ({kind})")
    about.add_row(_("broker"), report.broker.name)
    console.print(about, highlight=False)
    console.print()
    console.print(
        _(
            "{rate} uplinks/s end to end ({uplinks} uplinks of {devices} devices, {measurements} measurements)"
        ).format(
            rate=f"{throughput.uplinks_per_second:.0f}",
            uplinks=throughput.uplinks,
            devices=report.devices,
            measurements=throughput.stored.measurements,
        )
    )
    console.print(_cores(report))
    others = throughput.cpu_seconds["others"]
    if others is not None and others > DISTURBED * throughput.seconds:
        console.print(_("Other programs were busy meanwhile: every number here is too bad. Repeat it later."))
    if report.latency is not None:
        console.print(_latency(report.latency.alerts, report.latency.committed, report.latency.told))
    console.print(_("at most {memory} MB in the service").format(memory=report.peak_rss_mb or "?"))
    console.print(_stages(report))


def _cores(report: Report) -> Table:
    """Where the time goes: a part that uses a whole core all the time is what bounds the rate."""
    table = Table(_("part"), _("cores used"), _("µs per uplink"), title=_("processor time while it drained"))
    seconds = report.throughput.seconds
    done = seconds * report.throughput.uplinks_per_second
    names = {
        "service": _("service"),
        "database": _("database server"),
        "broker": _("broker"),
        "benchmark": _("this benchmark"),
        "others": _("other programs"),
    }
    for part, used in report.throughput.cpu_seconds.items():
        if used is None:
            table.add_row(names[part], "?", "?")
        else:
            table.add_row(names[part], f"{used / seconds:.2f}", f"{used / done * 1e6:.0f}")
    return table


def _latency(alerts: int, committed: Milliseconds, told: Milliseconds) -> Table:
    title = _("from the uplink's publish, {alerts} alerts, ms").format(alerts=alerts)
    table = Table(_("to"), "p50", "p99", _("largest"), title=title)
    for name, times in ((_("the alert committed"), committed), (_("its receiver told"), told)):
        table.add_row(name, f"{times.p50:.1f}", f"{times.p99:.1f}", f"{times.max:.1f}")
    return table


def _stages(report: Report) -> Table:
    rate = report.throughput.uplinks_per_second
    table = Table(
        _("stage alone"),
        _("µs per uplink"),
        _("of it our processor"),
        _("times the rate above"),
        title=_("each stage with nothing else running"),
    )
    for stage in report.stages:
        own = f"{stage.own_cpu:.1f}" if stage.own_cpu is not None else f"{stage.microseconds:.1f}"
        ratio = 1e6 / stage.microseconds / rate
        table.add_row(stage.name, f"{stage.microseconds:.1f}", own, f"{ratio:.1f}")
    return table
