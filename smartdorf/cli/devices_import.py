"""smartdorf devices import: a vendor's delivery list, or an Excel sheet of one's own."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer

from smartdorf.app import load_content
from smartdorf.cli.context import (
    ConfigOption,
    JsonOption,
    console,
    print_json,
    run_async,
    settings_or_exit,
    stderr,
)
from smartdorf.cli.import_ import as_dict
from smartdorf.clock import Clock
from smartdorf.db.directory import first_uplinks
from smartdorf.db.inventory import apply_changes, load_inventory
from smartdorf.db.migrate import require_current
from smartdorf.db.pool import connected
from smartdorf.decoding.registry import Catalogue
from smartdorf.errors import ContentError, UsageError
from smartdorf.i18n import current_language, ngettext
from smartdorf.i18n import gettext as _
from smartdorf.inventory import Change, DeviceEntry, Inventory
from smartdorf.onboarding.columns import Columns, find_columns, read_mapping
from smartdorf.onboarding.device_rows import DeviceRow, read_rows
from smartdorf.onboarding.plan import DevicePlan, plan_devices
from smartdorf.onboarding.sample import sample_sheet
from smartdorf.onboarding.sheet import Table, read_tables
from smartdorf.vocabulary import Parameter


def import_devices(
    file: Annotated[
        Path | None, typer.Argument(help="A .csv or .xlsx file with a column DevEUI.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    mapping: Annotated[
        str, typer.Option("--map", help="Which column means what: 'dev_eui=EUI 2,model=Artikel'.")
    ] = "",
    sample: Annotated[bool, typer.Option("--sample", help="Write a sample file to standard output.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Onboard the devices of a list: what they are, and where they are mounted if that is known yet.

    Headers of German spreadsheets and of vendors' delivery lists are understood; what Excel does to DevEUIs is put
    right or refused. All mistakes of all rows are told at once, and then nothing is changed. A list can be imported
    again: only what is new is done. Keys are not read: they belong into ChirpStack. With --dry-run, exit code 1 means
    that something would change.

    Example: smartdorf devices import lieferung.xlsx --dry-run
    """
    if sample:
        sys.stdout.buffer.write(sample_sheet(current_language()).encode())
        return
    if file is None:
        raise UsageError(_("name a .csv or .xlsx file; `--sample` writes one to begin with"))
    settings = settings_or_exit(config)
    content = load_content(settings)
    of_any = {name: p for model in content.catalogue.models.values() for name, p in model.parameters.items()}
    table, columns = _table(file, of_any, read_mapping(mapping) if mapping else {})
    rows, problems = read_rows(table, columns, content.catalogue, of_any)
    require_current(settings.database.full_dsn, settings.database.profile)
    plan = run_async(
        _import(settings.database.full_dsn, table, rows, problems, content.catalogue, dry_run=dry_run)
    )
    same = len(rows) - sum(change.kind == "device" for change in plan.changes)
    notes = _notes(columns, plan)
    if as_json:
        changes = [as_dict(change) for change in plan.changes]
        print_json({"changes": changes, "unchanged": same, "notes": notes})
    else:
        _show(plan.changes, same, dry_run=dry_run)
        for note in notes:
            stderr.print(note, markup=False, highlight=False, soft_wrap=True)
    if dry_run and plan.changes:
        raise typer.Exit(1)


def _table(
    file: Path, parameters: Mapping[str, Parameter], mapping: Mapping[str, str]
) -> tuple[Table, Columns]:
    """The first table of the file with a header that we understand."""
    for table in read_tables(file):
        columns, problems = find_columns(table, parameters, mapping)
        if problems:
            raise ContentError(problems)
        if columns is not None:
            return table, columns
    message = _("{path} has no column DevEUI; say which it is: --map dev_eui=… (or see `--sample`)")
    raise UsageError(message.format(path=file))


async def _import(
    dsn: str,
    table: Table,
    rows: Sequence[DeviceRow],
    problems: Collection[Any],
    catalogue: Catalogue,
    *,
    dry_run: bool,
) -> DevicePlan:
    async with connected(dsn) as connection:
        current = await load_inventory(connection)
        started = await _started(connection, rows, current)
        plan = plan_devices(table, rows, current, catalogue, started, Clock().now())
        if problems or plan.problems:
            raise ContentError([*problems, *plan.problems])
        if not dry_run and plan.changes:
            await apply_changes(connection, plan.changes)
        return plan


async def _started(
    connection: asyncpg.Connection, rows: Sequence[DeviceRow], current: Inventory
) -> dict[str, datetime]:
    mounted = {eui for eui, entry in current.devices.items() if entry.installed}
    return await first_uplinks(connection, [row.dev_eui for row in rows if row.dev_eui not in mounted])


def _show(changes: Sequence[Change], same: int, *, dry_run: bool) -> None:
    for change in changes:
        console.print(_line(change), markup=False, highlight=False)
    devices = Counter(change.before is None for change in changes if change.kind == "device")
    text = (
        _("devices: {new} would be new, {changed} changed, {same} as they are")
        if dry_run
        else _("devices: {new} new, {changed} changed, {same} as they were")
    )
    console.print(text.format(new=devices[True], changed=devices[False], same=same), highlight=False)


def _line(change: Change) -> str:
    sign = "+" if change.before is None else "~"
    if isinstance(change.after, DeviceEntry):
        places = [one.place for one in change.after.installed if one.until is None]
        return " ".join([sign, change.key, change.after.model, "→", ", ".join(places) or _("at no place")])
    return " ".join([sign, _("place"), change.key, f"({change.after.type})"])


def _notes(columns: Columns, plan: DevicePlan) -> list[str]:
    notes = []
    if columns.secret:
        text = _("{columns}: not read. Keys belong into ChirpStack; smartdorf needs none and stores none.")
        notes.append(text.format(columns=", ".join(columns.secret)))
    if columns.other:
        text = _("{columns}: not understood and left out; --map says what a column means.")
        notes.append(text.format(columns=", ".join(columns.other)))
    for (model, parameter), numbers in plan.needs.items():
        text = ngettext(
            "{model} needs {parameter}; it is missing in row {rows}",
            "{model} needs {parameter}; it is missing in rows {rows}",
            len(numbers),
        )
        notes.append(text.format(model=model, parameter=parameter, rows=_some(numbers)))
    return notes


def _some(numbers: Sequence[int], most: int = 8) -> str:
    return ", ".join(map(str, numbers[:most])) + (", …" if len(numbers) > most else "")
