"""smartdorf places: what people talk about."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from smartdorf.app import load_content
from smartdorf.cli.context import (
    ConfigOption,
    JsonOption,
    check_limits,
    check_parameters,
    console,
    key_values,
    numbers,
    print_json,
    run_async,
    settings_or_exit,
    stderr,
)
from smartdorf.db import directory as db
from smartdorf.db.pool import connected
from smartdorf.errors import UsageError, did_you_mean
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.local_time import moment_text

app = typer.Typer(no_args_is_help=True, help="Places: parking bays, containers, gauges, meters, rooms.")


@app.command()
def add(
    slug: Annotated[str, typer.Argument(help="A short unique name for typing: glas-kirchplatz")],
    place_type: Annotated[str, typer.Option("--type", help="parking_bay, container, gauge, meter, room …")],
    name: Annotated[str, typer.Option(help="What people call it: 'Glascontainer Kirchplatz'")] = "",
    tenant: Annotated[str, typer.Option(help="The village it belongs to.")] = "village",
    latitude: Annotated[float | None, typer.Option(min=-90, max=90)] = None,
    longitude: Annotated[float | None, typer.Option(min=-180, max=180)] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, e.g. fraction=glass; may be repeated.")
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER, e.g. mounting_height_m=1.8; may be repeated.")
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="A rule's limit for this place only: full=70; may be repeated.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Add a place, or change the one of that name.

    Example: smartdorf places add glas-kirchplatz --type container --parameter mounting_height_m=1.8
    """
    if (
        not slug
        or slug != slug.lower()
        or not slug.replace("-", "").isalnum()
        or not slug.isascii()
        or slug[0] == "-"
    ):
        message = _(
            '"{slug}": a place\'s short name has lower-case letters, digits and dashes only: glas-kirchplatz'
        )
        raise UsageError(message.format(slug=slug))
    settings = settings_or_exit(config)
    tags, limits = key_values(tag, "--tag"), numbers(limit, "--limit")
    parameters = numbers(parameter, "--parameter")
    content = load_content(settings)
    # which sensor will hang there is not known yet, so any model's parameter will do
    models = content.catalogue.models.values()
    check_parameters(parameters, {name: p for model in models for name, p in model.parameters.items()})
    check_limits(limits, content.rules)
    watched = {kind for rule in content.rules for kind in rule.for_each.place_types}
    if place_type not in watched:
        note = _('no rule watches places of the type "{place_type}"').format(place_type=place_type)
        stderr.print(note + did_you_mean(place_type, watched), markup=False)

    async def work() -> bool:
        async with connected(settings.database.full_dsn) as connection:
            return await db.add_place(
                connection,
                slug=slug,
                name=name,
                place_type=place_type,
                tenant=tenant,
                latitude=latitude,
                longitude=longitude,
                tags=tags,
                parameters=parameters,
                limits=limits,
            )

    new = run_async(work())
    console.print((_("added {slug}") if new else _("changed {slug}")).format(slug=slug))


@app.command(name="list")
def list_places(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List all places with what watches them and the latest values.

    Example: smartdorf places list --json
    """
    dsn = settings_or_exit(config).database.full_dsn

    async def work() -> list[dict[str, Any]]:
        async with connected(dsn) as connection:
            return await db.fetch_places(connection)

    found = run_async(work())
    if as_json:
        print_json(found)
        return
    table = Table(
        Column(_("place"), no_wrap=True), _("name"), _("type"), _("village"), _("watched by"), _("last heard")
    )
    for row in found:
        heard = moment_text(row["last_heard"], current_language()) if row["last_heard"] else _("never")
        table.add_row(
            row["slug"], row["name"], row["place_type"], row["tenant"], row["devices"] or "–", heard
        )
    console.print(table)
