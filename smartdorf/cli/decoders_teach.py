"""smartdorf decoders new, decoders run: a sensor that smartdorf does not know yet."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from smartdorf.cli.context import ConfigOption, console
from smartdorf.config.settings import find_settings_file, load_settings
from smartdorf.decoding.javascript import FUNCTIONS
from smartdorf.decoding.scaffold import scaffold
from smartdorf.decoding.trial import DECODE, has_errors, load_trial
from smartdorf.errors import SettingsError, UsageError, did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import load_vocabulary

OWN_FOLDER = Path("decoders")  # where the settings name none


def new(
    model: Annotated[str, typer.Argument(metavar="VENDOR/MODEL", help="The new model, e.g. acme/thermo-1")],
    codec: Annotated[
        Path | None,
        typer.Option(help="The vendor's codec file (.js), which is copied; else one in Python is begun."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where your models are; else the first folder of [content] decoders, else ./decoders."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Begin a sensor model: manifest, codec and vectors, which load and pass as they are. Nothing is overwritten.

    Example: smartdorf decoders new acme/thermo-1 --codec downloads/thermo-1.js
    """
    root = folder or _own_folder(config)
    made = scaffold(root, model, codec, load_vocabulary())
    for file in made:
        console.print(str(file), markup=False, highlight=False, soft_wrap=True)
    text = _("Now fill them in as docs/decoders.md says, and try: smartdorf decoders test {folder}")
    console.print(text.format(folder=made[0].parent), markup=False, highlight=False, soft_wrap=True)


def _own_folder(config: Path | None) -> Path:
    try:
        file = find_settings_file(config)
    except SettingsError:
        if config is not None:
            raise
        return OWN_FOLDER
    folders = load_settings(file).content.decoders
    return folders[0] if folders else OWN_FOLDER


def run(
    codec: Annotated[
        Path, typer.Argument(metavar="CODEC", help="The file: vendor.js, or a codec in Python.")
    ],
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Read and write JSON, one object a line.")],
    function: Annotated[
        str, typer.Option(help="decodeUplink, encodeDownlink, decodeDownlink or normalizeUplink.")
    ] = DECODE,
) -> None:
    """Try a codec before trusting it: frames on standard input, what it makes of them on standard output.

    A line {"f_port": 2, "bytes": "cbf6"} (and "recv_time", "variables") is answered with {"data"} or {"errors"}, and
    "warnings". Exit code 1 if there were errors. The codec can reach nothing of this machine if it is JavaScript.

    Example: smartdorf decoders run vendor.js --jsonl < frames.jsonl
    """
    if function not in FUNCTIONS:
        known = did_you_mean(function, FUNCTIONS) or _("; known are {keys}").format(keys=", ".join(FUNCTIONS))
        raise UsageError(_('unknown function "{name}"').format(name=function) + known)
    answer = load_trial(codec, function)
    wrong = False
    for line in sys.stdin.buffer:
        said = answer(line)
        wrong = wrong or has_errors(said)
        sys.stdout.buffer.write(said + b"\n")
        sys.stdout.buffer.flush()
    if wrong:
        raise typer.Exit(1)
