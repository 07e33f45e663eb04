"""smartdorf import: what `smartdorf export --config` has written, or somebody by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from smartdorf.app import load_content
from smartdorf.cli.context import JsonOption, console, print_json, run_async, settings_or_exit
from smartdorf.cli.export import SettingsOption
from smartdorf.db.inventory import apply_changes, load_inventory
from smartdorf.db.migrate import require_current
from smartdorf.db.pool import connected
from smartdorf.decoding.registry import Catalogue
from smartdorf.errors import UsageError, did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.ingest.memory import Content
from smartdorf.inventory import Change, Inventory, Read, plan_import, read_inventory
from smartdorf.vocabulary import Parameter


def import_(
    file: Annotated[Path, typer.Argument(help="A .yaml file of `smartdorf export --config`.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    settings_file: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring tenants, places, devices and installations of a file into the database, all or nothing.

    What an entry leaves out stays as it is, and what the file lacks is left alone. Installations are added or ended,
    never rewritten. A running service works with the changes at once. With --dry-run, exit code 1 means that there are
    some.

    Example: smartdorf import village.yaml --dry-run
    """
    settings = settings_or_exit(settings_file)
    require_current(settings.database.full_dsn, settings.database.profile)
    content = load_content(settings)
    read = read_inventory(_text(file), str(file))
    _check(read, content)
    changes, current = run_async(_import(settings.database.full_dsn, read, dry_run=dry_run))
    left = len(current.places.keys() - read.places.keys()) + len(current.devices.keys() - read.devices.keys())
    if as_json:
        print_json({"changes": [as_dict(change) for change in changes], "not_in_file": left})
    else:
        for change in changes:
            console.print(_line(change), markup=False, highlight=False)
        if not changes:
            console.print(_("nothing to change"))
        elif left:
            console.print(
                _("{count} places and devices are not in the file and stay as they are").format(count=left)
            )
    if dry_run and changes:
        raise typer.Exit(1)


async def _import(dsn: str, read: Read, *, dry_run: bool) -> tuple[list[Change], Inventory]:
    async with connected(dsn) as connection:
        current = await load_inventory(connection)
        changes = list(plan_import(current, read))
        read.root.source.raise_problems()
        if not dry_run:
            await apply_changes(connection, changes)
        return changes, current


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = _("it is not UTF-8") if isinstance(error, UnicodeDecodeError) else error.strerror
        raise UsageError(_("{path} cannot be read: {error}").format(path=file, error=reason)) from error


def _check(read: Read, content: Content) -> None:
    """What only the decoders and rules know."""
    catalogue = content.catalogue
    limits = {name for rule in content.rules for name in rule.limits}
    of_any = {name: p for model in catalogue.models.values() for name, p in model.parameters.items()}
    for _slug, (_given, node) in read.places.items():
        _check_parameters(node["parameters"], of_any)
        _check_names(node["limits"], limits)
    for _eui, (given, node) in read.devices.items():
        if "model" in given:
            _check_model(node["model"], given["model"], catalogue)
        _check_parameters(node["parameters"], of_any)
        _check_names(node["limits"], limits)


def _check_model(node: Any, model: str, catalogue: Catalogue) -> None:
    if model not in catalogue.models:
        node.problem(_('unknown model "{model}"').format(model=model) + did_you_mean(model, catalogue.models))


def _check_parameters(node: Any, known: Mapping[str, Parameter]) -> None:
    _check_names(node, known, _('unknown parameter "{name}"'))
    for name, value in node.items():
        parameter = known.get(name)
        if parameter is not None and not parameter.low <= value.number(parameter.low) <= parameter.high:
            message = _("{name} cannot be that: expected {low:g} to {high:g} {unit}")
            value.problem(
                message.format(name=name, low=parameter.low, high=parameter.high, unit=parameter.unit)
            )


def _check_names(node: Any, known: Iterable[str], message: str | None = None) -> None:
    known = set(known)
    for name, _value in node.items():
        if name not in known:
            text = message or _('no rule has a limit "{name}"')
            node.problem_at(name, text.format(name=name) + did_you_mean(name, known))


def _line(change: Change) -> str:
    if change.before is None:
        return f"+ {change.kind} {change.key}"
    fields = ", ".join(f"{name}: {_short(before)} → {_short(after)}" for name, before, after in change.fields)
    return f"~ {change.kind} {change.key}  {fields}"


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return _("{count} installations").format(count=len(value))
    return "–" if value in (None, "", {}) else str(value)


def as_dict(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "key": change.key,
        "new": change.before is None,
        "fields": {name: {"before": before, "after": after} for name, before, after in change.fields},
    }
