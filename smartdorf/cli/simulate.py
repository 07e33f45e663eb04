"""smartdorf simulate: a made-up village publishes to a broker, or says what it consists of."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.status import Status
from rich.table import Table

from smartdorf.cli.context import JsonOption, console, duration_of, print_json, run_async, stderr
from smartdorf.clock import Clock
from smartdorf.errors import UsageError
from smartdorf.i18n import gettext as _
from smartdorf.simulate import Encoding, Faults, Ledger, Village, stream
from smartdorf.simulate.publish import Published, publish

SAMPLE = 2000  # messages from which the village's rate is measured

_Share = typer.Option(min=0, max=1, rich_help_panel="Faults (shares of the uplinks)")


def _encoding(value: str) -> str:
    if value not in ("json", "protobuf", "mixed"):
        raise typer.BadParameter("expected json, protobuf or mixed")
    return value


def simulate(
    host: Annotated[str, typer.Option(help="The broker.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 1883,
    username: Annotated[str | None, typer.Option()] = None,
    password_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The password is its first line.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same village and the same days.")] = 1,
    devices: Annotated[int | None, typer.Option(min=1, max=60_000, help="Default: 60.")] = None,
    speed: Annotated[
        float,
        typer.Option(min=0, help="How fast the village's time runs; 0: as fast as the broker takes it."),
    ] = 1.0,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many messages.")] = None,
    lasting: Annotated[
        str | None, typer.Option("--for", help="Stop after so much of the village's time: 60s, 10m, 48h, 7d.")
    ] = None,
    encoding: Annotated[str, typer.Option(callback=_encoding, help="json, protobuf or mixed.")] = "json",
    duplicates: Annotated[float, _Share] = 0.0,
    retransmissions: Annotated[float, _Share] = 0.0,
    lost: Annotated[float, _Share] = 0.0,
    late: Annotated[float, _Share] = 0.0,
    reordered: Annotated[float, _Share] = 0.0,
    clock_errors: Annotated[float, _Share] = 0.0,
    counter_resets: Annotated[float, _Share] = 0.0,
    broken_frames: Annotated[float, _Share] = 0.0,
    garbage: Annotated[float, _Share] = 0.0,
    silent_devices: Annotated[int, typer.Option(min=0, help="So many devices fall silent.")] = 0,
    dead_gateway: Annotated[bool, typer.Option("--dead-gateway", help="One gateway stops hearing.")] = False,
    inventory: Annotated[
        bool, typer.Option("--inventory", help="Print the devices and their places as CSV; send nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Publish the uplinks of a made-up village, as ChirpStack would, and say exactly what was sent.

    What the village says with --speed other than 1 lies in the past, so that nothing comes from the future.

    Example: smartdorf simulate --speed 600 --for 48h --garbage 0.01 --duplicates 0.05
    """
    if inventory:
        _print_inventory(Village.build(seed, devices=devices, start=datetime.now(UTC)), as_json=as_json)
        return
    try:
        faults = Faults(
            lost=lost,
            late=late,
            reordered=reordered,
            clock_errors=clock_errors,
            counter_resets=counter_resets,
            broken_frames=broken_frames,
            duplicates=duplicates,
            retransmissions=retransmissions,
            garbage=garbage,
            silent_devices=silent_devices,
            dead_gateway=dead_gateway,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    plan = _plan(
        seed, devices, speed=speed, count=count, lasting=duration_of(lasting) if lasting is not None else None
    )
    ledger = Ledger()
    messages = stream.simulate(
        plan.village,
        faults,
        seed=seed,
        until=plan.until,
        count=count,
        encoding=_as_encoding(encoding),
        ledger=ledger,
    )
    password = password_file.read_text().partition("\n")[0] if password_file else None
    result: Published | None = None
    began = time.monotonic()
    try:
        with _progress(ledger, began) as on_progress:
            result = run_async(
                publish(
                    messages,
                    host=host,
                    port=port,
                    clock=Clock(start=plan.village.start, speed=speed) if speed else None,
                    username=username,
                    password=password,
                    on_progress=on_progress,
                )
            )
    except KeyboardInterrupt:
        stderr.print(_("stopped"))
    _print_result(ledger, result, time.monotonic() - began, as_json=as_json)
    if result is not None and result.refused:
        raise typer.Exit(1)


def _as_encoding(value: str) -> Encoding:
    return "protobuf" if value == "protobuf" else "mixed" if value == "mixed" else "json"


@dataclass(frozen=True)
class _Plan:
    village: Village
    until: datetime | None


def _plan(
    seed: int, devices: int | None, *, speed: float, count: int | None, lasting: timedelta | None
) -> _Plan:
    """The village with a start that lets its time arrive at the present no earlier than the last message."""
    now = datetime.now(UTC)
    if speed == 1:
        ahead = timedelta()
    elif lasting is None and count is None:
        raise UsageError(
            _("say how long, with --for or --count: at this speed the village would run into the future")
        )
    else:
        lasts = lasting or _time_of(Village.build(seed, devices=devices, start=now), count or 0)
        ahead = max(lasts * (1 - 1 / speed if speed else 1.0), timedelta())
    village = Village.build(seed, devices=devices, start=now - ahead)
    return _Plan(village, village.start + lasting if lasting else None)


def _time_of(village: Village, count: int) -> timedelta:
    """About how much of the village's time ``count`` messages take, rather too much than too little."""
    sample = min(count, SAMPLE)
    last = village.start
    for message in islice(stream.simulate(village), sample):
        last = message.at
    return (last - village.start) * (1.2 * count / sample)


@contextmanager
def _progress(ledger: Ledger, began: float) -> Iterator[Any]:
    """A line on a terminal's standard error that follows what was sent; elsewhere nothing."""
    if not stderr.is_terminal:
        yield None
        return
    with Status(_("connecting …"), console=stderr) as status:
        shown = began

        def show(sent: int) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown >= 0.5:
                shown = now
                text = _("{sent} messages, {uplinks} uplinks, {rate} per second")
                rate = round(sent / (now - began))
                status.update(text.format(sent=sent, uplinks=ledger.uplinks, rate=rate))

        yield show


def _print_result(ledger: Ledger, result: Published | None, seconds: float, *, as_json: bool) -> None:
    sent = ledger.as_dict() | {
        "acknowledged": result.acknowledged if result else None,
        "refused": result.refused if result else None,
        "seconds": round(seconds, 3),
    }
    if as_json:
        print_json(sent)
        return
    table = Table(_("what"), _("how many"))
    for name, value in sent.items():
        if isinstance(value, dict):
            for part, number in value.items():
                table.add_row(f"{name}: {part}", str(number))
        elif value not in (0, None, []):
            table.add_row(name, ", ".join(value) if isinstance(value, list) else str(value))
    console.print(table)


def _print_inventory(village: Village, *, as_json: bool) -> None:
    if as_json:
        stories = [asdict(story) for story in village.stories]
        print_json(village.inventory() | {"stories": stories})
        return
    rows = csv.writer(sys.stdout)
    rows.writerow(
        (
            "dev_eui", "model", "name", "application", "device_profile", "parameters",
            "place", "place_name", "place_type", "tags", "latitude", "longitude", "limits",
        )
    )  # fmt: skip
    for device in village.inventory()["devices"]:
        place = device["place"]
        rows.writerow(
            (
                device["dev_eui"], device["model"], device["name"], device["application"],
                device["device_profile"], _pairs(device["parameters"]), place["slug"], place["name"],
                place["place_type"], _pairs(place["tags"]), place["latitude"], place["longitude"],
                _pairs(place["parameters"]),
            )
        )  # fmt: skip


def _pairs(values: dict[str, Any]) -> str:
    return ";".join(f"{name}={value}" for name, value in values.items())
