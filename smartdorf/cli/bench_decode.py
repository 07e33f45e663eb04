"""smartdorf bench decode: what decoding costs on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from smartdorf.bench.decode import Cost, Report, bench_decode
from smartdorf.cli.context import ConfigOption, JsonOption, console, print_json
from smartdorf.cli.decoders import content_roots
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import load_vocabulary

PROMISED = {"native": 15, "javascript": 100}  # µs for an uplink, the median of the models


def decode(
    models: Annotated[list[str] | None, typer.Argument(metavar="MODEL", help="Only these; else all.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure decoding: microseconds for an uplink, for each sensor model that has a codec and vectors.

    The codec alone, and all of it: finding the model, its codec, mapping to measurements.

    Example: smartdorf bench decode --json
    """
    report = bench_decode(content_roots(config), models or [], load_vocabulary())
    if as_json:
        print_json(as_dict(report))
    else:
        _show(report)


def as_dict(report: Report) -> dict[str, Any]:
    """The JSON document."""
    medians = {language: report.median(language) for language in PROMISED}
    return {
        "machine": asdict(report.machine),
        "median_us": {
            language: {"codec": round(cost.codec, 1), "uplink": round(cost.uplink, 1)} if cost else None
            for language, cost in medians.items()
        },
        "models": [
            {
                "model": cost.model,
                "codec": cost.language,
                "codec_us": round(cost.codec, 1),
                "uplink_us": round(cost.uplink, 1),
                "values": round(cost.values, 1),
            }
            for cost in report.costs
        ],
    }


def _show(report: Report) -> None:
    names = {"native": _("Python"), "javascript": _("JavaScript")}
    table = Table(
        _("model"), _("codec"), _("the codec alone"), _("all of it"), _("values in an uplink"),
        title=_("µs per uplink"),
    )  # fmt: skip

    def row(name: str, cost: Cost, promised: str = "") -> None:
        table.add_row(
            name,
            names[cost.language],
            f"{cost.codec:.1f}",
            f"{cost.uplink:.1f}{promised}",
            f"{cost.values:.1f}",
        )

    for cost in report.costs:
        row(cost.model, cost)
    table.add_section()
    for language, limit in PROMISED.items():
        if middle := report.median(language):
            row(_("median"), middle, " " + _("(promised: ≤ {limit})").format(limit=limit))
    console.print(table)
