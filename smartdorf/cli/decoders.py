"""smartdorf decoders: which sensors we understand, and whether we understand them right. Needs no database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from smartdorf.cli.context import (
    ConfigOption,
    JsonOption,
    check_parameters,
    console,
    numbers,
    print_json,
    stderr,
)
from smartdorf.cli.decoders_teach import OWN_FOLDER, new, run
from smartdorf.config.durations import format_duration
from smartdorf.config.settings import find_settings_file, load_settings
from smartdorf.content import shipped
from smartdorf.decoding.manifest import DeviceModel, describe
from smartdorf.decoding.mapping import parse_time
from smartdorf.decoding.published import read_published
from smartdorf.decoding.registry import VECTORS_SUFFIX, Catalogue, decode_uplink, load_catalogue, vector_files
from smartdorf.decoding.vectors import Case, Report, make_uplink, own_cases, read_own, run_cases
from smartdorf.errors import Problem, SettingsError, UsageError
from smartdorf.i18n import current_language, ngettext
from smartdorf.i18n import gettext as _
from smartdorf.model import Decoded, Quality
from smartdorf.vocabulary import Vocabulary, load_vocabulary

app = typer.Typer(no_args_is_help=True, help="Sensor models: list, show, try and test their decoders.")

app.command()(new)
app.command()(run)

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="vendor/model, e.g. dragino/lht65n")]


@app.command(name="list")
def list_decoders(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the models that can be decoded, and how far each has been shown right.

    Example: smartdorf decoders list
    """
    catalogue = load_catalogue(content_roots(config), load_vocabulary())
    language = current_language()
    if as_json:
        models = [describe(model, language) for model in catalogue.models.values()]
        print_json({"models": models, "problems": [str(problem) for problem in catalogue.problems]})
    else:
        table = Table()
        table.add_column(_("model"), no_wrap=True)
        for heading in (_("name"), _("category"), _("measurements"), _("proof")):
            table.add_column(heading)
        for name, model in catalogue.models.items():
            metrics = "\n".join(dict.fromkeys(measurement.metric for measurement in model.measurements))
            table.add_row(name, model.label[language], model.category, metrics, model.proof)
        console.print(table)
        _print_problems(catalogue.problems)
    if catalogue.problems:
        raise typer.Exit(1)


@app.command()
def show(model: ModelArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show one model: what it measures, what it must be told, how it is recognised, what its profile must say.

    Example: smartdorf decoders show milesight/em400-mud
    """
    found = _model(model, load_catalogue(content_roots(config), load_vocabulary()))
    described = describe(found, current_language())
    if as_json:
        print_json(described)
        return
    console.print(f"[bold]{found.name}[/bold]  {described['label']}")
    profile = described["device_profile"]
    interval = found.uplink_interval
    often = format_duration(interval / timedelta(microseconds=1)) if interval else ""
    facts = {
        _("category"): found.category,
        _("proof"): found.proof,
        _("documentation"): found.documentation,
        _("firmware"): ", ".join(found.firmware) or _("any"),
        _("device profile"): f"{profile['region']}, LoRaWAN {profile['mac_version']}, "
        + _("class {name}").format(name=profile["class"]),
        _("reports"): _("every {interval}").format(interval=often) if often else _("only events"),
        _("recognised by"): _evidence(described["recognise"]) or _("nothing: say it with --model"),
        _("codec"): described["codec"] or _("ChirpStack's own"),
        _("defined in"): f"{found.file}:{found.line}",
    }
    for name, value in facts.items():
        console.print(f"  {name}: {value}", markup=False, highlight=False, soft_wrap=True)
    _print_parameters(described["parameters"])
    table = Table(_("measurement"), _("channel"), _("from"), _("unit there"), _("history"))
    for row in described["measurements"]:
        history = "✓" if row["history"] else ""
        table.add_row(row["metric"], str(row["channel"]), row["source"], row["unit"], history)
    console.print(table)


def _evidence(recognise: dict[str, Any]) -> str:
    words = {
        _("profile"): recognise["profiles"],
        _("tag"): [f"{name}={'|'.join(values)}" for name, values in recognise["tags"].items()],
        _("profile id"): recognise["profile_ids"],
        _("DevEUI"): [f"{oui}…" for oui in recognise["oui"]],
    }
    return "; ".join(f"{word} {', '.join(values)}" for word, values in words.items() if values)


def _print_parameters(parameters: dict[str, Any]) -> None:
    if not parameters:
        return
    table = Table(_("parameter"), _("unit"), _("range"), _("default"), _("meaning"))
    for name, row in parameters.items():
        low, high = row["range"]
        default = f"{row['default']:g}" if row["default"] is not None else "–"
        if row["required"]:
            default = _("must be given")
        table.add_row(name, row["unit"], f"{low:g} … {high:g}", default, row["label"])
    console.print(table)


@app.command()
def decode(
    model: ModelArgument,
    hexadecimal: Annotated[str, typer.Option("--hex", help="The payload: cbf60b0d0376010add7fff")],
    f_port: Annotated[int, typer.Option(help="The port it was sent on.", min=0, max=255)],
    recv_time: Annotated[
        str | None, typer.Option(help="When it was received, ISO 8601; else now. Some meters date from it.")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER, e.g. mounting_height_m=1.8; may be repeated.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decode one payload. Exit code 1 if it is refused.

    Example: smartdorf decoders decode dragino/lht65n --f-port 2 --hex cbf60b0d0376010add7fff
    """
    found = _model(model, load_catalogue(content_roots(config), load_vocabulary()))
    parameters = numbers(param, "--param")
    check_parameters(parameters, found.parameters)
    decoded = decode_uplink(found, make_uplink(f_port, _bytes(hexadecimal), _time(recv_time)), parameters)
    if as_json:
        print_json(_decoded_json(decoded))
    else:
        _print_decoded(decoded)
    if decoded.fault is not None:
        raise typer.Exit(1)


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x").replace(":", " "))
    except ValueError:
        raise UsageError(
            _('--hex "{text}": expected two hex digits for each byte').format(text=text)
        ) from None


def _time(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    time = parse_time(text)
    if time is None:
        message = _('--recv-time "{text}": expected a time like 2024-03-01T12:00:00Z')
        raise UsageError(message.format(text=text))
    return time


def _decoded_json(decoded: Decoded) -> dict[str, Any]:
    fault = decoded.fault
    return {
        "measurements": [
            {
                "metric": sample.metric,
                "value": sample.value,
                "time": sample.time.isoformat(),
                "channel": sample.channel,
                "quality": Quality(sample.quality).words,
            }
            for sample in decoded.samples
        ],
        "object": decoded.object,
        "missing": list(decoded.missing),
        "fault": {"reason": fault.reason, "detail": fault.detail} if fault else None,
    }


def _print_decoded(decoded: Decoded) -> None:
    if decoded.fault is not None:
        text = _("refused: {reason}: {detail}")
        text = text.format(reason=decoded.fault.reason, detail=decoded.fault.detail)
        stderr.print(text, markup=False, highlight=False, soft_wrap=True)
        return
    vocabulary = load_vocabulary()
    table = Table(_("measurement"), _("value"), _("time"), _("remarks"))
    for sample in decoded.samples:
        quantity = vocabulary[sample.metric]
        channel = f"/{sample.channel}" if sample.channel else ""
        label = quantity.codes.get(int(sample.value), {}).get(current_language(), quantity.unit_label)
        time = f"{sample.time:%Y-%m-%d %H:%M:%S} UTC"
        remarks = ", ".join(Quality(sample.quality).words)
        table.add_row(f"{sample.metric}{channel}", f"{sample.value:.10g} {label}".strip(), time, remarks)
    if decoded.samples:
        console.print(table)
    else:
        console.print(_("no measurement in this frame"))
    if decoded.object:
        text = _("beside that: {object}").format(object=dict(decoded.object))
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    if decoded.missing:
        text = _("left out for want of: {names}; give it with --param")
        stderr.print(text.format(names=", ".join(decoded.missing)), markup=False, soft_wrap=True)


@app.command(name="test")
def run_vectors(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help="Vector files (.vectors.yaml, .json) or folders; else those beside our models.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decode golden vectors and compare. Exit code 1 if anything differs, 2 if a file cannot be read.

    Vectors of models that we do not ship are counted, not tested. Published ones that are listed as
    different in a field are compared in all others, and counted apart.

    Example: smartdorf decoders test decoders/dragino
    """
    vocabulary = load_vocabulary()
    roots = content_roots(config)
    catalogue = load_catalogue([*roots, *_further_roots(paths or [], roots)], vocabulary)
    if paths:
        cases, problems = _read_cases(paths, catalogue, vocabulary)
    else:
        cases, problems = own_cases(roots, catalogue, vocabulary)
    problems = [*catalogue.problems, *problems]
    report = run_cases(cases, catalogue)
    if as_json:
        print_json(_report_json(report, problems))
    else:
        _print_report(report, problems)
    if problems:
        raise typer.Exit(2)
    if report.failed:
        raise typer.Exit(1)


def _read_cases(
    paths: Sequence[Path], catalogue: Catalogue, vocabulary: Vocabulary
) -> tuple[list[Case], list[Problem]]:
    cases: list[Case] = []
    problems: list[Problem] = []
    for path in paths:
        files = [*vector_files(path), *sorted(path.rglob("*.json"))] if path.is_dir() else [path]
        if not files:
            problems.append(Problem(str(path), 0, 0, _("there are no vectors in this folder")))
        for file in files:
            if file.suffix == ".json":
                read, found = read_published(file, catalogue.models)
            elif path.is_dir() or file.name.endswith(VECTORS_SUFFIX) or not file.is_file():
                read, found = read_own(file, vocabulary, catalogue.models)
            else:
                message = _("expected a file named *{suffix} or *.json").format(suffix=VECTORS_SUFFIX)
                read, found = [], [Problem(str(file), 0, 0, message)]
            cases += read
            problems += found
    return cases, problems


def _report_json(report: Report, problems: Sequence[Problem]) -> dict[str, Any]:
    return {
        "passed": len(report.passed),
        "passed_but_for_listed_fields": len(report.listed),
        "failed": len(report.failed),
        "not_shipped": len(report.not_shipped),
        "differences": [
            {
                "model": case.model,
                "vector": case.name,
                "file": case.file,
                "line": case.line,
                "differences": differences,
            }
            for case, differences in report.failed
        ],
        "listed": [
            {"model": case.model, "vector": case.name, "file": case.file, "why": case.listed}
            for case in report.listed
        ],
        "models_not_shipped": report.models_not_shipped,
        "problems": [str(problem) for problem in problems],
    }


def _print_report(report: Report, problems: Sequence[Problem]) -> None:
    for case, differences in report.failed:
        place = f"{case.file}:{case.line}" if case.line else case.file
        console.print(f"{place}: {case.model}: {case.name}", markup=False, highlight=False, soft_wrap=True)
        for difference in differences:
            console.print(f"    {difference}", markup=False, highlight=False, soft_wrap=True)
    for case in report.listed:
        text = _("{file}: {model}: {vector}: passed but for a listed field: {why}")
        said = text.format(file=case.file, model=case.model, vector=case.name, why=case.listed)
        console.print(said, markup=False, highlight=False, soft_wrap=True)
    _print_problems(problems)
    passed, failed, not_shipped = len(report.passed), len(report.failed), len(report.not_shipped)
    text = ngettext("{count} vector passed", "{count} vectors passed", passed).format(count=passed)
    if listed := len(report.listed):
        text += ngettext(
            " ({count} of them but for a listed field)", " ({count} of them but for listed fields)", listed
        ).format(count=listed)
    if failed:
        text += ", " + ngettext("{count} failed", "{count} failed", failed).format(count=failed)
    if not_shipped:
        models = len(report.models_not_shipped)
        text += ", " + ngettext(
            "{count} of {models} models that we do not ship", "{count} of {models} models that we do not ship",
            models,
        ).format(count=not_shipped, models=models)  # fmt: skip
    console.print(text, highlight=False)


# -- shared ---------------------------------------------------------------------------------------------


def content_roots(config: Path | None) -> list[Path]:
    """The shipped models, and those of the settings; where these name none, what ``decoders new`` has begun here."""
    roots = [shipped("decoders")]
    try:
        roots += load_settings(find_settings_file(config)).content.decoders
    except SettingsError:
        if config is not None:
            raise
    begun = OWN_FOLDER.resolve()
    if len(roots) == 1 and begun.is_dir() and begun != roots[0].resolve():
        roots.append(OWN_FOLDER)
    return roots


def _further_roots(paths: Sequence[Path], roots: Sequence[Path]) -> list[Path]:
    """Where vectors of ours stand that no settings name: the models stand beside them."""
    files = [file for path in paths for file in (vector_files(path) if path.is_dir() else [path])]
    folders = {
        file.resolve().parent for file in files if file.name.endswith(VECTORS_SUFFIX) and file.is_file()
    }
    known = [root.resolve() for root in roots]
    return sorted(folder for folder in folders if not any(folder.is_relative_to(root) for root in known))


def _model(name: str, catalogue: Catalogue) -> DeviceModel:
    """The model of that name; what is wrong with the files of others is no reason to stop."""
    if name not in catalogue.models:
        _print_problems(catalogue.problems)  # it may be one of them
    return catalogue.get(name)


def _print_problems(problems: Sequence[Problem]) -> None:
    for problem in problems:
        stderr.print(str(problem), markup=False, highlight=False, soft_wrap=True)
