"""The command line: parses arguments, calls, turns errors into exit codes. Nothing is decided here.

Exit codes: 0 done; 1 done, and something is wrong with what was looked at; 2 it could not be done.
"""

from __future__ import annotations

import importlib.metadata
import io
import sys
from typing import Annotated

import typer

from smartdorf.cli import alerts, bench, db, decoders, devices, places, quarantine, rules, silences
from smartdorf.cli.check import check
from smartdorf.cli.context import stderr
from smartdorf.cli.demo import demo
from smartdorf.cli.export import export
from smartdorf.cli.handover import handover
from smartdorf.cli.import_ import import_
from smartdorf.cli.init import init
from smartdorf.cli.replay import replay
from smartdorf.cli.run import run
from smartdorf.cli.simulate import simulate
from smartdorf.errors import SmartdorfError
from smartdorf.i18n import gettext as _
from smartdorf.i18n import language_of_environment, set_language
from smartdorf.logs import configure_logs

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="smartdorf: the LoRaWAN backend of the smart village.",
)
app.command()(demo)
app.command()(run)
app.command()(init)
app.command()(check)
app.command()(handover)
app.add_typer(db.app, name="db")
app.add_typer(devices.app, name="devices")
app.add_typer(places.app, name="places")
app.add_typer(decoders.app, name="decoders")
app.add_typer(rules.app, name="rules")
app.add_typer(alerts.app, name="alerts")
app.add_typer(silences.app, name="silences")
app.add_typer(quarantine.app, name="quarantine")
app.command()(replay)
app.command()(export)
app.command(name="import")(import_)
app.command()(simulate)
app.add_typer(bench.app, name="bench")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(importlib.metadata.version("smartdorf"))
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From a ChirpStack uplink to an alert that somebody trusts."""


def main() -> None:
    """The console script."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal with an old character set shows "…" as \u2026 instead of ending the command
        sys.stdout.reconfigure(errors="backslashreplace")
    set_language(language_of_environment())
    configure_logs(
        "text", "warning"
    )  # to stderr: stdout is for what a command prints; `run` has its own settings
    try:
        app()
    except SmartdorfError as error:
        stderr.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `smartdorf devices list | head`
        sys.exit(0)
    except Exception as error:  # the last net: a person gets one line and where to look, never a traceback
        stderr.print(
            _("smartdorf failed: {error}").format(error=f"{type(error).__name__}: {error}"), markup=False
        )
        sys.exit(2)
