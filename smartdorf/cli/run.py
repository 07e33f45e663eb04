"""smartdorf run: the service."""

from __future__ import annotations

import asyncio
import signal

import structlog
import typer

from smartdorf.app import Service, collect_rarely, load_content
from smartdorf.cli.context import ConfigOption, run_async, settings_or_exit, stderr
from smartdorf.errors import SmartdorfError
from smartdorf.logs import configure_logs

log = structlog.get_logger(__name__)


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

    async def serve() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, service.stop)
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
