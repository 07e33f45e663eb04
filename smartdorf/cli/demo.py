"""smartdorf demo: see the whole thing run."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from contextlib import suppress
from typing import Annotated

import structlog
import typer
from rich.live import Live

from smartdorf.cli.context import JsonOption, console, duration_of, print_json_line, run_async, stderr
from smartdorf.demo import Demo, open_demo
from smartdorf.demo_view import View
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _

REDRAW = 0.5  # seconds
LINE = 5.0  # seconds between two lines where the output is no terminal


def demo(
    run_for: Annotated[
        str | None, typer.Option("--for", help="How long, e.g. 60s or 5m; else until Ctrl-C.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the whole of smartdorf on this machine: a simulated village, a broker, a database and the real service.

    Needs no settings and leaves nothing behind. With --json the last line is a JSON object with the counts.

    Example: smartdorf demo --for 60s --json
    """
    seconds = duration_of(run_for).total_seconds() if run_for is not None else None
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

    async def work() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        stderr.print(_("starting a database, a broker and a village …"))
        async with open_demo(current_language()) as demo:
            await _show(demo, stop, seconds, as_json=as_json)
            await demo.settle()
            result = await demo.result()
        if as_json:
            print_json_line(result)
        else:
            text = _(
                "{stored} uplinks stored, {fired} alerts fired, {resolved} resolved; everything is stopped."
            )
            counts = {
                "stored": result["stored"],
                "fired": result["alerts_fired"],
                "resolved": result["alerts_resolved"],
            }
            console.print(text.format(**counts))

    run_async(work())


async def _show(demo: Demo, stop: asyncio.Event, seconds: float | None, *, as_json: bool) -> None:
    """Show what happens until it is enough."""
    view = View(demo)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            if as_json or console.is_dumb_terminal or not sys.stdout.isatty():
                while not await _set_within(stop, LINE):
                    stderr.print(await view.line(), markup=False, highlight=False)
            else:
                with Live(
                    await view.draw(console.height), console=console, screen=True, auto_refresh=False
                ) as live:
                    while not await _set_within(stop, REDRAW):
                        live.update(await view.draw(console.height), refresh=True)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
