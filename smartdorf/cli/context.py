"""What every command needs: settings, a console, JSON, and an event loop."""

from __future__ import annotations

import math
import sys
from collections.abc import Coroutine, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console

from smartdorf.config.durations import parse_duration
from smartdorf.config.rule import Rule
from smartdorf.config.settings import Settings, load_settings
from smartdorf.errors import UsageError, did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import Parameter

T = TypeVar("T")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The settings file; else $SMARTDORF_CONFIG or ./smartdorf.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]

# A table that goes into a file or a pipe keeps its lines whole; only a terminal's are as wide as it is.
console = Console(width=None if sys.stdout.isatty() else 240)
stderr = Console(stderr=True)


def settings_or_exit(config: Path | None = None) -> Settings:
    """The settings; what is wrong with them ends the command with exit code 2."""
    return load_settings(config)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; on Linux and macOS with the faster loop that the service uses."""
    if sys.platform == "win32":
        import asyncio  # noqa: PLC0415 - the loop of the other branch brings its own runner

        return asyncio.run(work)
    import uvloop  # noqa: PLC0415 - not installed on Windows

    return uvloop.run(work)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    _write(msgspec.json.format(msgspec.json.encode(value)))


def print_json_line(value: Any) -> None:
    """One JSON document on one line of standard output, so that it can be the last of several."""
    _write(msgspec.json.encode(value))


def _write(document: bytes) -> None:
    """JSON is UTF-8, whatever the terminal's character set is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(document + b"\n")
    sys.stdout.buffer.flush()


def duration_of(text: str) -> timedelta:
    """``60s``, ``5m``, ``48h`` or ``7d``; a plain number is seconds."""
    microseconds = parse_duration(f"{text}s" if text.strip().isdecimal() else text)
    if not microseconds:
        raise UsageError(_('"{text}" is no duration: expected 60s, 10m, 48h or 7d').format(text=text))
    return timedelta(microseconds=microseconds)


def key_values(pairs: list[str] | None, option: str) -> dict[str, str]:
    """``["a=1", "b=x"]`` → ``{"a": "1", "b": "x"}``."""
    result = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            message = _("{option} {pair}: expected NAME=VALUE, e.g. {option} fraction=glass")
            raise UsageError(message.format(option=option, pair=pair))
        result[key.strip()] = value.strip()
    return result


def numbers(pairs: list[str] | None, option: str) -> dict[str, float]:
    """``["mounting_height_m=1.8"]`` → ``{"mounting_height_m": 1.8}``; a decimal comma is understood."""
    result = {}
    for key, value in key_values(pairs, option).items():
        try:
            result[key] = float(value.replace(",", "."))
            if not math.isfinite(result[key]):
                raise ValueError(value)
        except ValueError:
            message = _("{option} {key}={value}: expected a number, e.g. {option} mounting_height_m=1.8")
            raise UsageError(message.format(option=option, key=key, value=value)) from None
    return result


def check_limits(given: Mapping[str, float], rules: Iterable[Rule]) -> None:
    """Refuse limits that no rule has."""
    known = {name for rule in rules for name in rule.limits}
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or _("; known are {keys}").format(keys=", ".join(sorted(known)))
            raise UsageError(_('no rule has a limit "{name}"').format(name=name) + hint)


def check_parameters(given: Mapping[str, float], known: Mapping[str, Parameter]) -> None:
    """Refuse what no decoder asks for, and values that cannot be."""
    for name, value in given.items():
        parameter = known.get(name)
        if parameter is None:
            hint = did_you_mean(name, known) or _("; known are {keys}").format(
                keys=", ".join(sorted(known)) or "–"
            )
            raise UsageError(_('unknown parameter "{name}"').format(name=name) + hint)
        if not parameter.low <= value <= parameter.high:
            message = _("{name} = {value:g} cannot be: expected {low:g} to {high:g} {unit}")
            raise UsageError(
                message.format(
                    name=name, value=value, low=parameter.low, high=parameter.high, unit=parameter.unit
                )
            )
