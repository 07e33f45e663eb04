"""smartdorf run: the service."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import structlog
import typer

from smartdorf.app import Service, load_content
from smartdorf.cli.context import ConfigOption, run_async, settings_or_exit, stderr
from smartdorf.errors import SmartdorfError
from smartdorf.garbage import collect_rarely
from smartdorf.logs import configure_logs

log = structlog.get_logger(__name__)

STOP_WITHIN = 9.5  # seconds; Docker kills after ten


def run(config: ConfigOption = None) -> None:
    """Run the service until SIGTERM or Ctrl-C. What is under way is finished first, within ten seconds.

    Exit code 2: the settings are wrong. 1: something broke it; starting it again is right.

    Example: smartdorf run --config /etc/smartdorf/smartdorf.toml
    """
    settings = settings_or_exit(config)
    configure_logs(settings.log.format, settings.log.level)
    content = load_content(settings)
    for problem in content.problems:
        log.error("left out, the rest works", problem=str(problem))

    service = Service(settings, content)

    def stop() -> None:
        service.stop()
        late = threading.Timer(STOP_WITHIN, _end_at_once)
        late.daemon = True
        late.start()

    async def serve() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        await service.run()

    collect_rarely()
    try:
        run_async(serve())
    except SmartdorfError as error:
        stderr.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except Exception as error:  # a mistake of ours; without the place nobody could mend it
        log.exception("the service failed unexpectedly")
        raise typer.Exit(1) from error


def _end_at_once() -> None:
    """A thread that waits for a name server or a database's lock cannot be told to stop, and Python waits for it."""
    log.warning(
        "something does not let go at shutdown; what was not committed comes again after the next start"
    )
    os._exit(0)
