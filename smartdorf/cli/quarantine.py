"""smartdorf quarantine: messages that could not be used, why, and trying them again."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import asyncpg
import typer
from rich.table import Table

from smartdorf.app import load_content, replay_once
from smartdorf.cli.context import (
    ConfigOption,
    JsonOption,
    console,
    print_json,
    run_async,
    settings_or_exit,
    stderr,
)
from smartdorf.config.settings import Settings
from smartdorf.db import quarantine as db
from smartdorf.db.pool import connected, writer_holder
from smartdorf.errors import UsageError
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.local_time import moment_text

app = typer.Typer(no_args_is_help=True, help="Messages that could not be used: list, look at, try again.")

WAIT = 30.0  # seconds for the running service to do what it was asked
POLL = 0.2  # seconds


@app.command(name="list")
def list_quarantine(
    reason: Annotated[str | None, typer.Option(help="Only this reason, e.g. unreadable.")] = None,
    replayed: Annotated[bool, typer.Option("--replayed", help="Also those that a replay could use.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.", min=1)] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List quarantined messages with the reason, and how many there are of each.

    Example: smartdorf quarantine list --reason unreadable
    """
    dsn = settings_or_exit(config).database.full_dsn

    async def work() -> tuple[list[dict[str, Any]], dict[str, int]]:
        async with connected(dsn) as connection:
            found = await db.fetch_quarantine(connection, reason=reason, replayed=replayed, limit=limit)
            return found, await db.count_quarantine(connection)

    found, counts = run_async(work())
    if as_json:
        print_json({"counts": counts, "messages": found})
        return
    table = Table("id", _("received"), _("reason"), _("detail"), _("topic"), _("bytes"))
    for row in found:
        received = moment_text(row["received_at"], current_language(), seconds=True)
        table.add_row(str(row["id"]), received, row["reason"], row["detail"], row["topic"], str(row["bytes"]))
    console.print(table)
    for name, count in counts.items():
        console.print(f"{name}: {count}")


@app.command()
def show(
    quarantine_id: Annotated[int, typer.Argument(metavar="ID", help="As `quarantine list` shows it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one message with its payload: as text where it is text, else as hex.

    Example: smartdorf quarantine show 17
    """
    dsn = settings_or_exit(config).database.full_dsn

    async def work() -> dict[str, Any]:
        async with connected(dsn) as connection:
            return await db.fetch_quarantined(connection, quarantine_id)

    found = run_async(work())
    payload: bytes = found.pop("payload")
    found["hash"] = found["hash"].hex()
    try:
        found["payload_text"] = payload.decode()
    except UnicodeDecodeError:
        found["payload_hex"] = payload.hex()
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        if value is not None:
            console.print(f"[bold]{name}[/bold]: ", end="")
            console.print(str(value), markup=False, highlight=False)


@app.command()
def replay(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]…", help="Which messages.")] = None,
    reason: Annotated[str | None, typer.Option(help="All of this reason.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are in quarantine.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try messages again after what stopped them has been mended. Exit code 1 while some are refused again.

    A running service does it; where none runs, this command does it itself.

    Example: smartdorf quarantine replay --reason unreadable
    """
    if not ids and reason is None and not every:
        raise UsageError(_("say which: message ids, --reason REASON, or --all"))
    settings = settings_or_exit(config)
    outcome = run_async(_replay(settings, ids or None, reason))
    if as_json:
        print_json(outcome)
    else:
        text = _("{used} used, {refused} refused again, {waiting} waiting")
        console.print(text.format(**outcome))
    if outcome["waiting"]:
        stderr.print(
            _("The service that writes to this database has not answered; it will do it once it can.")
        )
    if outcome["refused"] or outcome["waiting"]:
        raise typer.Exit(1)


async def _replay(settings: Settings, ids: list[int] | None, reason: str | None) -> dict[str, int]:
    async with connected(settings.database.full_dsn) as connection:
        asked = await db.request_replay(connection, ids, reason)
        if asked and await writer_holder(connection) is None:
            await replay_once(settings, load_content(settings))
        return await _outcome(connection, asked)


async def _outcome(connection: asyncpg.Connection, asked: list[int]) -> dict[str, int]:
    for _attempt in range(int(WAIT / POLL)):
        outcome = await db.fetch_replay_outcome(connection, asked)
        if not outcome["waiting"]:
            break
        await asyncio.sleep(POLL)
    return outcome
