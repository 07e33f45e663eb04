"""smartdorf devices: the simplest onboarding, and how each device is doing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
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
from smartdorf.cli.devices_import import import_devices
from smartdorf.cli.rhythm_text import sentences, short_text, silence_of
from smartdorf.config.rules import load_rules
from smartdorf.config.settings import Settings
from smartdorf.content import shipped
from smartdorf.db import directory as db
from smartdorf.db.pool import connected
from smartdorf.db.rhythm import fetch_rhythms
from smartdorf.decoding.manifest import DeviceModel
from smartdorf.decoding.registry import Catalogue
from smartdorf.errors import UsageError, did_you_mean
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.local_time import from_local, moment_text
from smartdorf.model import DeviceInfo, Quality
from smartdorf.rhythm import Rhythm, start_limit
from smartdorf.vocabulary import load_vocabulary, quantity_text

app = typer.Typer(no_args_is_help=True, help="Devices: add them, list them, see what they send.")
app.command(name="import")(import_devices)


def normalised_eui(text: str) -> str:
    """16 lower-case hex digits from what stands on labels: spaces, dashes, colons, 0x, capitals."""
    eui = re.sub(r"^0x|[\s:.-]", "", text.strip().lower())
    if not re.fullmatch(r"[0-9a-f]{16}", eui):
        message = _('"{text}" is no DevEUI: expected 16 hex digits such as 24e124136c012345')
        raise UsageError(message.format(text=text))
    return eui


@app.command()
def add(
    dev_eui: Annotated[str, typer.Argument(help="The DevEUI as it stands on the label.")],
    model: Annotated[
        str | None,
        typer.Option(help="vendor/model, see `smartdorf decoders list`; may be left out if recognised."),
    ] = None,
    place: Annotated[str | None, typer.Option(help="The place that it watches from now on.")] = None,
    channel: Annotated[
        int | None, typer.Option(help="Only this channel of the device watches the place.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="Since when; default: its first uplink, or now where it was elsewhere before."),
    ] = None,
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    parameter: Annotated[list[str] | None, typer.Option(help="NAME=NUMBER, e.g. full_distance_m=0.3")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="NAME=VALUE")] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="A rule's limit for this device only, durations in seconds: quiet=7200"),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Say what a device is and where it is; what it has sent so far is decoded by the running service.

    Example: smartdorf devices add 24e124136c012345 --model milesight/em400-mud --place glas-kirchplatz
    """
    settings = settings_or_exit(config)
    eui = normalised_eui(dev_eui)
    content = load_content(settings)
    catalogue = content.catalogue
    parameters, tags = numbers(parameter, "--parameter"), key_values(tag, "--tag")
    limits = numbers(limit, "--limit")
    check_limits(limits, content.rules)

    async def work() -> tuple[bool, DeviceModel, Mapping[str, float]]:
        async with connected(settings.database.full_dsn) as connection:
            known = await db.fetch_devices(connection, dev_eui=eui)
            chosen = _chosen_model(catalogue, model, eui, known[0] if known else None)
            check_parameters(parameters, catalogue.models[chosen].parameters)
            async with connection.transaction():  # all of it or nothing
                new = await db.add_device(
                    connection,
                    dev_eui=eui,
                    model=chosen,
                    name=name,
                    parameters=parameters,
                    tags=tags,
                    limits=limits,
                )
                if place is not None:
                    start = from_local(since) if since is not None else await _first_uplink(connection, eui)
                    await db.install(connection, dev_eui=eui, place=place, channel=channel, since=start)
            directory = await db.load_directory(connection)
        device = directory.by_dev_eui[eui]
        return new, catalogue.models[chosen], directory.parameters_at(device, datetime.now(UTC))

    new, added, given = run_async(work())
    text = _("added {dev_eui} as {model}") if new else _("changed {dev_eui} ({model})")
    console.print(text.format(dev_eui=eui, model=added.name))
    missing = [
        parameter.name
        for parameter in added.parameters.values()
        if parameter.required and parameter.name not in given
    ]
    if missing:
        advice = _("{model} needs {names}: give them to its place or with --parameter")
        stderr.print(advice.format(model=added.name, names=", ".join(missing)), soft_wrap=True)


async def _first_uplink(connection: Any, dev_eui: str) -> datetime:
    first: datetime | None = await connection.fetchval(
        "SELECT min(f.started_at) FROM frame_gap f JOIN device d ON d.id = f.device_id WHERE d.dev_eui = $1 "
        "AND NOT EXISTS (SELECT FROM installation i WHERE i.device_id = d.id)",
        dev_eui,
    )
    return first or datetime.now(UTC)


def _chosen_model(catalogue: Catalogue, given: str | None, dev_eui: str, known: dict[str, Any] | None) -> str:
    if given is not None:
        if given not in catalogue.models:
            message = _('unknown model "{model}"').format(model=given) + did_you_mean(given, catalogue.models)
            raise UsageError(message + _("; see `smartdorf decoders list`"))
        return given
    if known is not None and known["model"] is not None:
        return str(known["model"])
    candidates = catalogue.recognise(_info(dev_eui, known))
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        message = _("{dev_eui} could be {candidates}: say which with --model")
        raise UsageError(message.format(dev_eui=dev_eui, candidates=", ".join(candidates)))
    raise UsageError(
        _("nothing is known of {dev_eui} that tells its model: say it with --model").format(dev_eui=dev_eui)
    )


def _info(dev_eui: str, known: dict[str, Any] | None) -> DeviceInfo:
    if known is None:
        return DeviceInfo(dev_eui)
    return DeviceInfo(
        dev_eui,
        device_name=known["name"],
        device_profile_name=known["profile_name"],
        application_name=known["application_name"],
        tags=known["tags"],
    )


@app.command(name="list")
def list_devices(
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Only those that nobody has onboarded yet.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the devices, when they were last heard, when they count as silent, and how many frames are missing.

    Example: smartdorf devices list --unknown
    """
    settings = settings_or_exit(config)
    found, rhythms = run_async(_fetch(settings, unknown=unknown))
    content = load_content(settings)
    for row in found:
        known = row["model"] is not None
        row["candidates"] = content.catalogue.recognise(_info(row["dev_eui"], row)) if not known else []
        rhythm = rhythms.get(row.pop("id")) or start_limit(content.intervals.get(row["model"]))
        row["silence"] = (
            silence_of(row["limits"], row["tags"], rhythm, content.rules) if known else None
        )  # not watched
    if as_json:
        print_json(found)
        return
    table = Table(
        Column("DevEUI", no_wrap=True),
        _("name"),
        _("model"),
        _("place"),
        _("last heard"),
        _("silent after"),
        _("received"),
        _("missing"),
    )
    for row in found:
        could_be = _("unknown; could be {models}").format(
            models=", ".join(row["candidates"]) or _("anything")
        )
        heard = moment_text(row["last_heard"], current_language()) if row["last_heard"] else _("never")
        table.add_row(
            row["dev_eui"],
            row["name"],
            row["model"] or could_be,
            row["places"] or "–",
            heard,
            short_text(row["silence"]) if row["silence"] else "–",
            str(row["received"]),
            str(row["missing"]),
        )
    console.print(table)


async def _fetch(settings: Settings, *, unknown: bool) -> tuple[list[dict[str, Any]], dict[int, Rhythm]]:
    async with connected(settings.database.full_dsn) as connection:
        return await db.fetch_devices(connection, unknown=unknown), await fetch_rhythms(connection)


@app.command()
def show(
    dev_eui: Annotated[str, typer.Argument(help="The DevEUI.")],
    uplinks: Annotated[int, typer.Option(help="How many of its last uplinks to show.", min=0, max=1000)] = 10,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one device: what it is, when it counts as silent, its latest values, its last uplinks.

    Example: smartdorf devices show 24e124136c012345
    """
    settings = settings_or_exit(config)
    eui = normalised_eui(dev_eui)

    async def work() -> tuple[dict[str, Any], dict[int, Rhythm]]:
        async with connected(settings.database.full_dsn) as connection:
            details = await db.fetch_device_details(connection, eui, uplinks)
            return details, await fetch_rhythms(connection, [details["id"]])

    found, rhythms = run_async(work())
    found["silence"] = _silence_of_one(settings, found, rhythms.get(found.pop("id")))
    if as_json:
        print_json(found)
        return
    console.print(f"[bold]{found['dev_eui']}[/bold] {found['name']}")
    counts = _("{received} received, {missing} missing, {retransmissions} retransmissions").format(**found)
    model = found["model"] or _("model unknown")
    if found["firmware"]:
        model += " (" + _("firmware {version}").format(version=found["firmware"]) + ")"
    console.print(f"{model} · {found['places'] or _('at no place')} · {counts}")
    for sentence in sentences(found["silence"]) if found["silence"] else ():
        console.print(sentence, highlight=False, soft_wrap=True)
    language, vocabulary = current_language(), load_vocabulary()
    values = Table(_("quantity"), _("channel"), _("value"), _("time"), _("remarks"))
    for row in found["latest"]:
        value = (
            quantity_text(vocabulary[row["metric"]], row["value"], language)
            if row["metric"] in vocabulary
            else f"{row['value']:g}"
        )
        time = moment_text(row["time"], language, seconds=True)
        remarks = ", ".join(Quality(row["quality"]).words)
        values.add_row(row["metric"], str(row["channel"]), value, time, remarks)
    console.print(values)
    frames = Table(_("time"), "f_cnt", "f_port", _("data"), "RSSI", _("state"))
    for row in found["uplinks"]:
        state = ": ".join(filter(None, (row["fault"] or row["status"], row["fault_detail"])))
        cells = (
            moment_text(row["time"], language, seconds=True),
            row["f_cnt"],
            row["f_port"],
            row["data"],
            row["best_rssi"],
            state,
        )
        frames.add_row(*(str(cell) for cell in cells))
    console.print(frames)


def _silence_of_one(settings: Settings, row: dict[str, Any], learned: Rhythm | None) -> dict[str, Any] | None:
    """All sensor models are read only where nothing was learned: that takes seconds."""
    if row["model"] is None:
        return None  # nobody watches it
    rhythm = learned or start_limit(load_content(settings).intervals.get(row["model"]))
    rules = load_rules([shipped("rules"), *settings.content.rules], load_vocabulary())
    return silence_of(row["limits"], row["tags"], rhythm, rules)
