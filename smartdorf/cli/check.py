"""smartdorf check: is everything as it should be?"""

from __future__ import annotations

import typer

from smartdorf.app import load_content
from smartdorf.check import Finding
from smartdorf.check import check as look
from smartdorf.cli.context import ConfigOption, JsonOption, console, print_json, run_async, settings_or_exit

_MARKS = {
    "ok": "[green]✔[/green]",
    "note": "[blue]·[/blue]",
    "warning": "[yellow]![/yellow]",
    "error": "[red]✘[/red]",
}


def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check settings, content and every connection, and say what to do. Exit code 1 if something is wrong.

    Nothing is changed and nobody is told; a running service is not disturbed.

    Example: smartdorf check --config /etc/smartdorf/smartdorf.toml
    """
    settings = settings_or_exit(config)
    findings = run_async(look(settings, load_content(settings)))
    if as_json:
        print_json([{"level": f.level, "subject": f.subject, "message": f.message} for f in findings])
    else:
        _show(findings)
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


def _show(findings: list[Finding]) -> None:
    for finding in findings:
        console.print(f" {_MARKS[finding.level]} [bold]{finding.subject}[/bold]: ", end="")
        console.print(finding.message, markup=False, highlight=False, soft_wrap=True)
