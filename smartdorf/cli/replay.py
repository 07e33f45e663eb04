"""smartdorf replay: decode anew what gave a fault."""

from __future__ import annotations

from typing import Annotated

import typer

from smartdorf.app import load_content, replay_once
from smartdorf.cli.context import ConfigOption, console, run_async, settings_or_exit
from smartdorf.db.pool import connected, writer_holder
from smartdorf.db.quarantine import request_redecode_of_faults
from smartdorf.errors import UsageError, did_you_mean
from smartdorf.i18n import gettext as _


def replay(
    model: Annotated[
        str | None, typer.Option(help="Only devices of this model, e.g. dragino/lht65n.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Decode stored uplinks anew that gave a fault, after their decoder was mended.

    A running service does it; where none runs, this command does it itself. Values decoded from the past are
    stored; they raise no alerts.

    Example: smartdorf replay --model dragino/lht65n
    """
    settings = settings_or_exit(config)
    content = load_content(settings)
    if model is not None and model not in content.catalogue.models:
        message = _('unknown model "{model}"').format(model=model)
        raise UsageError(message + did_you_mean(model, content.catalogue.models))

    async def work() -> tuple[int, bool]:
        async with connected(settings.database.full_dsn) as connection:
            devices = await request_redecode_of_faults(connection, model)
            running = await writer_holder(connection) is not None
        if devices and not running:
            await replay_once(settings, content)
        return devices, running

    devices, running = run_async(work())
    text = (
        _("{count} device(s): the running service decodes them now")
        if running
        else _("{count} device(s) decoded anew")
    )
    console.print(text.format(count=devices))
