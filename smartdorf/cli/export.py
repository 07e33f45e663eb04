"""smartdorf export: measurements as CSV or Parquet, or what people have decided as YAML."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.progress import track

from smartdorf.cli.context import run_async, settings_or_exit, stderr
from smartdorf.cli.moments import moment_of
from smartdorf.config.settings import Settings
from smartdorf.db import export as db_export
from smartdorf.db.export import Selection
from smartdorf.db.inventory import load_inventory
from smartdorf.db.migrate import require_current
from smartdorf.db.pool import connected
from smartdorf.errors import UsageError, did_you_mean
from smartdorf.export_files import CsvWriter, ParquetWriter, Writer
from smartdorf.i18n import gettext as _
from smartdorf.inventory import dump_inventory

SettingsOption = Annotated[
    Path | None,
    typer.Option("--settings", "-c", help="The settings file; else $SMARTDORF_CONFIG or ./smartdorf.toml."),
]


class Format(StrEnum):
    csv = "csv"
    parquet = "parquet"


class Resolution(StrEnum):
    raw = "raw"
    hourly = "hourly"
    daily = "daily"
    monthly = "monthly"


def export(
    output: Annotated[
        Path | None, typer.Argument(help="The file to write: .csv, .parquet or .yaml; else standard output.")
    ] = None,
    config: Annotated[
        bool,
        typer.Option("--config", help="Tenants, places, devices and installations instead of measurements."),
    ] = False,
    place: Annotated[list[str] | None, typer.Option(help="Only this place; may be repeated.")] = None,
    place_type: Annotated[str | None, typer.Option("--type", help="Only places of this type.")] = None,
    quantity: Annotated[list[str] | None, typer.Option(help="Only this quantity; may be repeated.")] = None,
    begin: Annotated[
        str | None, typer.Option("--from", help="First day, or local time: 2026-05-01, 2026-05-01T06:00.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="Last day (all of it), or a local time (not included).")
    ] = None,
    resolution: Annotated[Resolution, typer.Option(help="Raw values, or aggregates.")] = Resolution.raw,
    format_: Annotated[
        Format | None, typer.Option("--format", help="Else by the file's ending; csv.")
    ] = None,
    excel: Annotated[bool, typer.Option("--excel", help="CSV as a German Excel opens it.")] = False,
    settings_file: SettingsOption = None,
) -> None:
    """Write measurements to a file, or with --config what people have entered, for `smartdorf import`.

    Exit code 1 if nothing was found. The file gets its name when it is complete.

    Example: smartdorf export may.csv --type container --quantity fill_level_pct --from 2026-05-01 --to 2026-05-31
    """
    settings = settings_or_exit(settings_file)
    require_current(settings.database.full_dsn, settings.database.profile)
    if config:
        if output is not None and str(output) != "-" and output.suffix not in (".yaml", ".yml"):
            # elsewhere --config names the settings: they must not be overwritten by a habit
            raise UsageError(
                _("what was entered goes into a .yaml file; the settings file is named with --settings")
            )
        with _text_file(output) as file:
            file.write(run_async(_inventory(settings)))
        return
    chosen = format_ or (Format.parquet if output is not None and output.suffix == ".parquet" else Format.csv)
    if chosen is Format.parquet and (output is None or excel):
        raise UsageError(_("Parquet goes into a file, and without --excel: smartdorf export data.parquet"))
    selection = Selection(
        resolution=resolution.value,
        quantities=quantity,
        begin=moment_of(begin, "--from", last=False) if begin else None,
        until=moment_of(until, "--to", last=True) if until else None,
    )
    if selection.begin and selection.until and selection.begin >= selection.until:
        raise UsageError(_("--from is not before --to"))
    count = run_async(_export(settings, selection, place, place_type, output, chosen, excel=excel))
    if not count:
        stderr.print(_("nothing was found"))
        raise typer.Exit(1)
    if output is not None and stderr.is_terminal:
        stderr.print(
            _("{count} rows in {file}").format(count=count, file=output), markup=False, highlight=False
        )


async def _inventory(settings: Settings) -> str:
    async with connected(settings.database.full_dsn) as connection:
        return dump_inventory(await load_inventory(connection))


async def _export(
    settings: Settings,
    selection: Selection,
    places: Sequence[str] | None,
    place_type: str | None,
    output: Path | None,
    chosen: Format,
    *,
    excel: bool,
) -> int:
    count = 0
    async with connected(settings.database.full_dsn) as connection:
        types = {row[0]: row[1] for row in await connection.fetch("SELECT slug, place_type FROM place")}
        metrics = {row[0] for row in await connection.fetch("SELECT name FROM metric")}
        selection = _checked(selection, places, place_type, types, metrics)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            series = await db_export.fetch_series(connection, selection)
            with _writer(output, selection, chosen, excel=excel) as writer:
                for one in track(series, _("exporting"), console=stderr, disable=not stderr.is_terminal):
                    async for rows in db_export.rows_of(connection, one, selection):
                        writer.write(one, rows)
                        count += len(rows)
    return count


def _checked(
    selection: Selection,
    places: Sequence[str] | None,
    place_type: str | None,
    types: dict[str, str],
    metrics: set[str],
) -> Selection:
    """The selection with its places; every unknown name is told at once."""
    problems = [
        _('unknown place "{name}"').format(name=name) + did_you_mean(name, types)
        for name in places or ()
        if name not in types
    ]
    problems += [
        _('nothing is stored of the quantity "{name}"').format(name=name) + did_you_mean(name, metrics)
        for name in selection.quantities or ()
        if name not in metrics
    ]
    if place_type is not None and place_type not in types.values():
        message = _('there is no place of the type "{name}"').format(name=place_type)
        problems.append(message + did_you_mean(place_type, set(types.values())))
    if problems:
        raise UsageError("\n".join(problems))
    if places is None and place_type is None:
        return selection
    found = [slug for slug in (places or types) if place_type is None or types[slug] == place_type]
    return Selection(selection.resolution, found, selection.quantities, selection.begin, selection.until)


@contextmanager
def _writer(output: Path | None, selection: Selection, chosen: Format, *, excel: bool) -> Iterator[Writer]:
    if chosen is Format.csv:
        with _text_file(output) as file, CsvWriter(file, selection.resolution, excel=excel) as writer:
            yield writer
        return
    assert output is not None
    about: dict[str, str] = {"resolution": selection.resolution}
    about |= {"from": selection.begin.isoformat()} if selection.begin else {}
    about |= {"to": selection.until.isoformat()} if selection.until else {}
    with _complete(output) as partial, ParquetWriter(partial, selection.resolution, about) as parquet:
        yield parquet


@contextmanager
def _text_file(output: Path | None) -> Iterator[IO[str]]:
    if output is None or str(output) == "-":
        sys.stdout.flush()
        with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="") as file:
            yield file
        return
    with _complete(output) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def _complete(output: Path) -> Iterator[Path]:
    """A file that has its name only once it is whole."""
    partial = output.with_name(f"{output.name}.partial")
    try:
        yield partial
        partial.replace(output)
    except OSError as error:
        message = _("{file} cannot be written: {error}")
        raise UsageError(message.format(file=output, error=error.strerror or error)) from error
    finally:
        partial.unlink(missing_ok=True)
