"""smartdorf replay: decode stored uplinks anew, or say first what would change."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table

from smartdorf.app import load_content, replay_once
from smartdorf.cli.context import (
    ConfigOption,
    JsonOption,
    console,
    duration_of,
    print_json,
    run_async,
    settings_or_exit,
)
from smartdorf.clock import Clock
from smartdorf.config.settings import Settings
from smartdorf.db.pool import connected, writer_holder
from smartdorf.db.quarantine import request_redecode_of_faults, request_redecode_since
from smartdorf.errors import UsageError
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.ingest.compare import find_drift
from smartdorf.ingest.drift import Difference, Drift, Switch
from smartdorf.ingest.memory import Content
from smartdorf.local_time import moment_text


def replay(
    model: Annotated[
        str | None, typer.Option(help="Only devices of this model, e.g. dragino/lht65n.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Also what was decoded before, for so long back: 30d. Needs --model.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Rewrite what has changed.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decode stored uplinks anew that gave a fault, after their decoder was mended.

    With --since and --dry-run: compare what is stored with what the decoder says now, by quantity, and name devices
    whose frames or versions have changed; exit code 1 if there is a difference. With --apply instead, what differs is
    rewritten, and the aggregates follow; what the decoder can no longer read stays as it was.

    A running service does the work; where none runs, this command does it itself. Values decoded from the past are
    stored; they raise no alerts.

    Example: smartdorf replay --model dragino/lht65n --since 30d --dry-run
    """
    settings = settings_or_exit(config)
    content = load_content(settings)
    if model is not None:
        content.catalogue.get(model)  # or a did-you-mean
    back = duration_of(since) if since is not None else None
    _check(settings, model, back, dry_run=dry_run, apply=apply)
    now = Clock().now()
    if dry_run and model is not None and back is not None:
        drift = run_async(_drift(settings, content, model, now - back))
        if as_json:
            print_json(_as_dict(drift))
        else:
            _show(drift)
        if drift.differs:
            raise typer.Exit(1)
        return
    devices, running = run_async(_replay(settings, content, model, now - back if back is not None else None))
    if as_json:
        print_json({"devices": devices, "running": running})
        return
    text = (
        _("{count} device(s): the running service decodes them now")
        if running
        else _("{count} device(s) decoded anew")
    )
    console.print(text.format(count=devices))


def _check(
    settings: Settings, model: str | None, back: timedelta | None, *, dry_run: bool, apply: bool
) -> None:
    if back is None:
        if dry_run or apply:
            raise UsageError(_("--dry-run and --apply go with --since, e.g. --since 30d"))
        return
    if model is None:
        raise UsageError(_("--since goes with --model: one decoder at a time"))
    if dry_run == apply:
        raise UsageError(_("--since goes with --dry-run (first) or --apply (then)"))
    if apply and back > settings.retention.late:
        message = _("--apply goes back {days} days at most: older values no longer change the aggregates")
        raise UsageError(message.format(days=settings.retention.late.days))


async def _drift(settings: Settings, content: Content, model: str, since: datetime) -> Drift:
    async with connected(settings.database.full_dsn) as connection:
        return await find_drift(connection, content.catalogue.models[model], since)


async def _replay(
    settings: Settings, content: Content, model: str | None, since: datetime | None
) -> tuple[int, bool]:
    async with connected(settings.database.full_dsn) as connection:
        if model is not None and since is not None:
            devices = await request_redecode_since(connection, model, since)
        else:
            devices = await request_redecode_of_faults(connection, model)
        running = await writer_holder(connection) is not None
    if devices and not running:
        await replay_once(settings, content)
    return devices, running


def _show(drift: Drift) -> None:
    console.print(_("{count} uplinks decoded anew and compared").format(count=drift.uplinks))
    if drift.quantities:
        table = Table(
            _("quantity"), _("same"), _("changed"), _("new"), _("gone"), _("for example"), show_lines=True
        )
        for name, quantity in sorted(drift.quantities.items()):
            counts = (quantity.same, quantity.changed, quantity.new, quantity.gone)
            table.add_row(name, *map(str, counts), "\n".join(map(_example, quantity.examples)))
        console.print(table)
    for reason, count in drift.faults.most_common():
        message = _("{count} uplinks that gave values would be a fault: {reason}")
        console.print(message.format(count=count, reason=reason), markup=False)
    for switch in drift.switches():
        message = _("{dev_eui} has changed: {what} {after} since {time}, before {before}")
        console.print(
            message.format(
                dev_eui=switch.dev_eui,
                what=switch.what,
                after=", ".join(switch.after),
                before=", ".join(switch.before),
                time=moment_text(switch.time, current_language()),
            ),
            markup=False,
        )


def _example(difference: Difference) -> str:
    before, after = (
        "–" if value is None else f"{value:g}" for value in (difference.before, difference.after)
    )
    return f"{difference.dev_eui} {moment_text(difference.time, current_language())}: {before} → {after}"


def _as_dict(drift: Drift) -> dict[str, Any]:
    return {
        "uplinks": drift.uplinks,
        "quantities": {
            name: {
                "same": quantity.same,
                "changed": quantity.changed,
                "new": quantity.new,
                "gone": quantity.gone,
                "examples": [example._asdict() for example in quantity.examples],
            }
            for name, quantity in sorted(drift.quantities.items())
        },
        "faults": dict(drift.faults),
        "devices": _switches(drift.switches()),
    }


def _switches(switches: Iterable[Switch]) -> list[dict[str, Any]]:
    return [switch._asdict() for switch in switches]
