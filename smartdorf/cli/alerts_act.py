"""smartdorf alerts ack, comment, resolve, verdict: what people do with alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import asyncpg
import typer

from smartdorf.cli.context import ConfigOption, JsonOption, print_json, run_async, settings_or_exit, stderr
from smartdorf.clock import Clock
from smartdorf.db import lifecycle
from smartdorf.db.pool import connect_writer, connected, mapped_errors, writer_holder
from smartdorf.errors import AlreadyRunningError, NotFoundError, SmartdorfError, UsageError
from smartdorf.i18n import gettext as _

WAIT, POLL = 10.0, 0.1  # seconds that the running service is given to close alerts
VERDICTS = ("true", "false", "drill")

IdsArgument = Annotated[list[int], typer.Argument(metavar="ID", help="As `alerts list` shows them.")]
CommentOption = Annotated[str | None, typer.Option(help="What others should know.")]

Act = Callable[[asyncpg.Connection, int, datetime], Awaitable[None]]


def ack(
    ids: IdsArgument,
    comment: CommentOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Acknowledge alerts: somebody has taken them up. Kept with who and when, until the alert is over.

    Exit code 1 where some of them could not be acknowledged: they are over, or were acknowledged before.

    Example: smartdorf alerts ack 17 18 --comment "Miller is on his way"
    """

    async def act(connection: asyncpg.Connection, number: int, now: datetime) -> None:
        await lifecycle.acknowledge(connection, number, _words(comment), now)

    dsn = settings_or_exit(config).database.full_dsn
    _report(run_async(_each(dsn, ids, act)), as_json=as_json)


def comment(
    number: Annotated[int, typer.Argument(metavar="ID", help="As `alerts list` shows it.")],
    text: Annotated[str, typer.Argument(help="What others should know.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add words to the history of an alert, also of one that is over.

    Example: smartdorf alerts comment 17 "the lid was open"
    """
    words = _required(text, _("a comment needs words, e.g. `smartdorf alerts comment 17 'the lid was open'`"))

    async def act(connection: asyncpg.Connection, number: int, now: datetime) -> None:
        await lifecycle.add_comment(connection, number, words, now)

    _report(run_async(_each(settings_or_exit(config).database.full_dsn, [number], act)), as_json=as_json)


def verdict(
    number: Annotated[int, typer.Argument(metavar="ID", help="As `alerts list` shows it.")],
    judgement: Annotated[
        str, typer.Argument(metavar="true|false|drill", help="A true alarm, a false one, or an exercise.")
    ],
    comment: CommentOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what an alert was in truth, also after it is over. The last verdict counts; all are kept.

    Example: smartdorf alerts verdict 17 false --comment "a spider in front of the sensor"
    """
    chosen = judgement.strip().lower()
    if chosen not in VERDICTS:
        message = _('"{text}" is no verdict: expected true, false or drill')
        raise UsageError(message.format(text=judgement))
    known: dict[str, Literal["true", "false", "drill"]] = {"true": "true", "false": "false", "drill": "drill"}

    async def act(connection: asyncpg.Connection, number: int, now: datetime) -> None:
        await lifecycle.give_verdict(connection, number, known[chosen], _words(comment), now)

    _report(run_async(_each(settings_or_exit(config).database.full_dsn, [number], act)), as_json=as_json)


def resolve(
    ids: IdsArgument,
    reason: Annotated[str, typer.Option(help="Why they are over.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close alerts by hand. An alert opens again if newer data say so; what is known already does not open it.

    A running service does it; where none runs, this command does it itself. Whoever was told that the alert fired is
    told that it is over.

    Example: smartdorf alerts resolve 17 --reason "sensor was lifted out for cleaning"
    """
    words = _required(reason, _('--reason needs words, e.g. --reason "sensor was lifted out for cleaning"'))

    async def act(connection: asyncpg.Connection, number: int, now: datetime) -> None:
        await lifecycle.request_close(connection, number, words, now)

    dsn = settings_or_exit(config).database.full_dsn

    async def work() -> tuple[dict[int, SmartdorfError | None], set[int]]:
        outcome = await _each(dsn, ids, act)
        asked = [number for number, error in outcome.items() if error is None]
        return outcome, await _closed(dsn, asked) if asked else set()

    outcome, waiting = run_async(work())
    _report(outcome, waiting, as_json=as_json)


def _words(text: str | None) -> str | None:
    """What was typed, on one line; None where that is nothing."""
    return " ".join((text or "").split()) or None


def _required(text: str, advice: str) -> str:
    words = _words(text)
    if words is None:
        raise UsageError(advice)
    return words


async def _each(dsn: str, ids: Sequence[int], act: Act) -> dict[int, SmartdorfError | None]:
    """Do it to each of the alerts; returns what was wrong with those that it could not be done to."""
    outcome: dict[int, SmartdorfError | None] = {}
    async with connected(dsn) as connection:
        for number in ids:
            if number in outcome:
                continue
            try:
                await act(connection, number, Clock().now())
                outcome[number] = None
            except (NotFoundError, UsageError) as error:
                outcome[number] = error
    return outcome


async def _closed(dsn: str, ids: Sequence[int]) -> set[int]:
    """Wait until what was asked for is done, or do it where no service runs; returns what still waits."""
    async with connected(dsn) as connection:
        if await writer_holder(connection) is None:
            await _close_here(dsn)
        for _attempt in range(int(WAIT / POLL)):
            waiting = await lifecycle.waiting_to_close(connection, ids)
            if not waiting:
                break
            await asyncio.sleep(POLL)
        return waiting


async def _close_here(dsn: str) -> None:
    """As the writer, for one transaction: a service that starts meanwhile waits for it, or does it itself."""
    try:
        connection = await connect_writer(dsn)
    except AlreadyRunningError:
        return
    try:
        with mapped_errors():
            async with connection.transaction():
                await lifecycle.close_requested(connection, Clock().now(), {})
    finally:
        connection.terminate()


def _report(
    outcome: dict[int, SmartdorfError | None], waiting: set[int] | None = None, *, as_json: bool
) -> None:
    """Silent where all went well; exit code 1 where some did not, 2 where none did."""
    waiting = waiting or set()
    problems = {number: error for number, error in outcome.items() if error is not None}
    if as_json:
        print_json([_entry(number, error, number in waiting) for number, error in outcome.items()])
    for error in problems.values():
        stderr.print(str(error), markup=False, highlight=False, soft_wrap=True)
    if waiting:
        numbers = ", ".join(map(str, sorted(waiting)))
        message = _(
            "The service that writes to this database has not answered; it will close {numbers} once it can."
        )
        stderr.print(message.format(numbers=numbers), markup=False, highlight=False, soft_wrap=True)
    if len(problems) == len(outcome):
        raise typer.Exit(2)
    if problems or waiting:
        raise typer.Exit(1)


def _entry(number: int, error: SmartdorfError | None, waits: bool) -> dict[str, Any]:
    return {
        "id": number,
        "done": error is None and not waits,
        "waiting": waits,
        "problem": str(error) if error is not None else None,
    }
