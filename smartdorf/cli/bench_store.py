"""smartdorf bench store: how fast and how small the store is on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from smartdorf.bench.store import DEVICES, Report, bench_store
from smartdorf.cli.context import JsonOption, console, print_json, run_async, stderr
from smartdorf.i18n import gettext as _

# ms in the server, by the name of the question
PROMISED = {"year of one place by hours": 15, "24 hours of one place": 5, "map of all places": 10}
PROMISED_BYTES, PROMISED_LATE_SECONDS = 10, 10


def store(
    dsn: Annotated[
        str, typer.Option(help="A server with TimescaleDB, on which a scratch database is made and dropped.")
    ],
    scale: Annotated[
        float, typer.Option(min=0.002, max=10, help="1: 500 devices, 88 million measurements, half an hour.")
    ] = 0.1,
    as_json: JsonOption = False,
) -> None:
    """Measure the store: a year of devices that report five quantities each quarter of an hour.

    Loads it week by week with compression and aggregates, then asks what panels and maps ask, and lets a day arrive
    late. The numbers promised are for a scale of 1.

    Example: smartdorf bench store --dsn postgresql://postgres@127.0.0.1/postgres --scale 0.1
    """
    devices = round(DEVICES * scale)
    report = run_async(bench_store(dsn, devices, lambda text: stderr.print(text, highlight=False)))
    if as_json:
        print_json(as_dict(report))
    else:
        _show(report)


def as_dict(report: Report) -> dict[str, Any]:
    """The JSON document."""
    return {
        "machine": asdict(report.machine),
        "database": report.database.name,
        "devices": report.devices,
        "rows_per_second": round(report.rows_per_second),
        **asdict(report.sizes),
        "answers": [asdict(answer) for answer in report.answers],
        "late_day": asdict(report.late_day),
    }


def _show(report: Report) -> None:
    sizes, late = report.sizes, report.late_day
    console.print(report.database.name, highlight=False)
    facts = Table(_("the store"), _("measured"), _("promised"))
    facts.add_row(_("values stored"), f"{sizes.measurements:,}", "")
    facts.add_row(_("stored a second, by the database alone"), f"{report.rows_per_second:,.0f}", "")
    facts.add_row(_("bytes a measurement, with its index"), f"{sizes.bytes_before:.0f}", "")
    facts.add_row(_("bytes a measurement, compressed"), f"{sizes.bytes_after:.1f}", f"≤ {PROMISED_BYTES}")
    facts.add_row(_("largest chunk before compression, MB"), f"{sizes.largest_chunk / 1e6:.0f}", "")
    facts.add_row(_("aggregates, MB"), f"{sizes.aggregates / 1e6:.0f}", "")
    facts.add_row(_("late day: stored, s"), f"{late.stored_seconds:.1f}", "")
    facts.add_row(_("late day: refreshed, s"), f"{late.refreshed_seconds:.1f}", f"≤ {PROMISED_LATE_SECONDS}")
    console.print(facts)
    answers = Table(
        _("question"), _("rows"), "p50", "p99", _("promised"), _("with the rows fetched, p50"), title="ms"
    )
    names = {
        "year of one place by hours": _("year of one place by hours"),
        "year of one place by days": _("year of one place by days"),
        "24 hours of one place": _("24 hours of one place"),
        "map of all places": _("map of all places"),
    }
    for answer in report.answers:
        promised = f"≤ {PROMISED[answer.question]}" if answer.question in PROMISED else ""
        server, client = answer.server, answer.client
        answers.add_row(
            names[answer.question],
            str(answer.rows),
            f"{server.p50:.1f}",
            f"{server.p99:.1f}",
            promised,
            f"{client.p50:.1f}",
        )
    console.print(answers)
