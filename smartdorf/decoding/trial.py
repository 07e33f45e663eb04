"""Trying a codec's file without a manifest: a line of JSON in, a line of JSON out.

Owns the lines of ``smartdorf decoders run``: whatever stands in one, and whatever the codec does, there is an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from smartdorf.decoding.codec import Codec, CodecLoadError, Context, load_codec
from smartdorf.decoding.frame import Frame, FrameError
from smartdorf.decoding.javascript import Result, load_script
from smartdorf.decoding.mapping import parse_time
from smartdorf.errors import UsageError
from smartdorf.i18n import gettext as _

DECODE = "decodeUplink"

Run = Callable[[dict[str, Any]], Result]


def load_trial(path: Path, function: str) -> Callable[[bytes], bytes]:
    """What answers a line with a line. Raises CodecLoadError, UsageError where the file cannot be tried."""
    if not path.is_file():
        message = _("there is no file {path}; a model that is here already: `smartdorf decoders decode`")
        raise UsageError(message.format(path=path))
    run = _python(path, function) if path.suffix == ".py" else _javascript(path, function)

    def answer(line: bytes) -> bytes:
        given, mistakes = _read(line, function)
        result = Result({}, tuple(mistakes)) if mistakes else run(given)
        try:
            return _written(result)
        except Exception as error:  # a Python codec may return what JSON does not know
            return _written(Result({}, (f"{type(error).__name__}: {error}",)))

    return answer


def has_errors(answer: bytes) -> bool:
    return answer.startswith(b'{"errors"')


def _written(result: Result) -> bytes:
    said: dict[str, Any] = {"errors": result.errors} if result.errors else {"data": result.value}
    if result.warnings:
        said["warnings"] = result.warnings
    return msgspec.json.encode(said)


def _javascript(path: Path, function: str) -> Run:
    script = load_script(path)
    if not (script.can_decode if function == DECODE else function in script.functions):
        known = ", ".join(script.functions) or _("none that is known")
        message = _("{path} has no function {name}; it has: {known}")
        raise CodecLoadError(message.format(path=path, name=function, known=known))
    return lambda given: script.run(function, given)


def _python(path: Path, function: str) -> Run:
    if function != DECODE:
        raise UsageError(_("a Python codec has no function {name}").format(name=function))
    codec = load_codec(path)
    return lambda given: _decode(codec, given)


def _decode(codec: Codec, given: dict[str, Any]) -> Result:
    received_at = datetime.fromtimestamp(given["recvTime"] / 1000, UTC)
    variables = {name: float(value) for name, value in given["variables"].items()}
    try:
        found = codec.decode(
            Frame(bytes(given["bytes"]), given["fPort"]), Context(codec.file.stem, received_at, variables)
        )
    except FrameError as refused:
        return Result({}, (f"{refused.reason}: {refused.detail}",))
    except Exception as error:
        return Result({}, (f"{type(error).__name__}: {error} ({codec.place_of(error)})",))
    return Result(found)


# -- lines ----------------------------------------------------------------------------------------------


def _read(line: bytes, function: str) -> tuple[dict[str, Any], list[str]]:
    """What the function is given, and everything that is wrong with the line."""
    try:
        said = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return {}, [_("no JSON: {problem}").format(problem=error)]
    if not isinstance(said, dict):
        return {}, [_('expected an object: {"f_port": 2, "bytes": "cbf6"}')]
    given: dict[str, Any] = {}
    mistakes: list[str] = []
    expected: dict[str, Callable[[Any], tuple[str, Any]]]
    if function in ("encodeDownlink", "normalizeUplink"):
        expected = {"data": _data, "variables": _variables}
    else:
        expected = {"f_port": _f_port, "bytes": _bytes, "recv_time": _time, "variables": _variables}
    for name in said:
        if name not in expected:
            message = _('unknown "{key}"; known are {known}')
            mistakes.append(message.format(key=name, known=", ".join(expected)))
    for name, read in expected.items():
        try:
            key, value = read(said.get(name))
            given[key] = value
        except ValueError as error:
            mistakes.append(f"{name}: {error}")
    return given, mistakes


def _f_port(value: Any) -> tuple[str, int]:
    if type(value) is not int or not 0 <= value <= 255:
        raise ValueError(_("expected a number from 0 to 255"))
    return "fPort", value


def _bytes(value: Any) -> tuple[str, list[int]]:
    try:
        if isinstance(value, str):
            return "bytes", list(bytes.fromhex(value))
        if isinstance(value, list):
            return "bytes", list(bytes(value))
    except (TypeError, ValueError):
        pass
    raise ValueError(_("expected hex digits, or a list of numbers from 0 to 255"))


def _time(value: Any) -> tuple[str, float]:
    time = datetime.now(UTC) if value is None else parse_time(value)
    if time is None:
        raise ValueError(_("expected a time like 2024-03-01T12:00:00Z"))
    return "recvTime", time.timestamp() * 1000


def _variables(value: Any) -> tuple[str, dict[str, Any]]:
    if value is None:
        return "variables", {}
    if not isinstance(value, dict) or not all(isinstance(text, (str, int, float)) for text in value.values()):
        raise ValueError(_('expected names and texts: {"height": "1.8"}'))
    return "variables", value


def _data(value: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(value, dict):
        return "data", value
    raise ValueError(_("expected an object"))
