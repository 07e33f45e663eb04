"""What the settings library found wrong, said as advice with its place.

Owns: the words for each kind of mistake. Knows the sections only by their pydantic models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from smartdorf.config.toml_source import find_key
from smartdorf.errors import Problem, did_you_mean
from smartdorf.i18n import gettext as _

Path = tuple[str | int, ...]


class MisplacedError(ValueError):
    """A mistake of a whole section, and which of its keys it is best shown at."""

    def __init__(self, message: str, *where: str | int) -> None:
        super().__init__(message)
        self.where = where


def problem_of(
    details: ErrorDetails, model: type[BaseModel], name: str, text: str, variables: Mapping[Path, str]
) -> Problem:
    """One mistake with its place: in the file ``name``, or the environment variable that gave the value."""
    path = details["loc"]
    error = details.get("ctx", {}).get("error")
    if isinstance(error, MisplacedError):
        path += error.where
    message = _advice(details, model, path)
    path = _as_written(path)
    for length in range(len(path), 0, -1):
        if variable := variables.get(path[:length]):
            return Problem(variable, 0, 0, message)
    line, column = find_key(text, path)
    return Problem(name, line, column, f"{dotted(path)}: {message}" if path else message)


def dotted(path: Sequence[str | int]) -> str:
    """``mqtt.1.port``: the first of several counts as 1, for people and in the environment."""
    return ".".join(str(step + 1) if isinstance(step, int) else step for step in path)


def syntax_problem(name: str, text: str, message: str) -> Problem:
    """What Python's TOML parser says, with advice for what people do most."""
    words, _at, place = message.rpartition(" (at ")
    numbers = [int(word) for word in re.findall(r"\d+", place)]
    if len(numbers) == 2:
        line, column = numbers
    else:  # "at end of document"
        line, column = len(text.rstrip().split("\n")), 1
        words = _('it ends in the middle; is a closing ] or """ missing?')
    advice = {
        "Invalid value": _("; texts stand in quotes, true and false are written small"),
        "Illegal character '\\n'": _("; is the closing quote missing?"),
        "Unescaped '\\' in a string": _("; write \\\\, or the text in single quotes: 'C:\\…'"),
        "Cannot overwrite a value": _("; this key is given twice"),
    }
    twice = _("; this table is given twice")
    hint = twice if words.startswith("Cannot declare") else advice.get(words, "")
    return Problem(
        name, line, column, _("is not valid TOML: {problem}").format(problem=words or message) + hint
    )


def _as_written(path: Path) -> Path:
    """The kind of receiver stands in pydantic's path, but not in the file."""
    return path[:2] + path[3:] if path[:1] == ("receivers",) else path


def _advice(details: ErrorDetails, model: type[BaseModel], path: Path) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing":
        return _("is missing")
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return _("unknown key") + _or_listed(str(path[-1]), section_at(model, path).model_fields)
    if kind == "union_tag_not_found":
        return _("type is missing") + _or_listed("", _receivers(model))
    if kind == "union_tag_invalid":
        tag = str(context["tag"])
        return _('unknown type "{word}"').format(word=tag) + _or_listed(tag, _receivers(model))
    return _expected(details, field_at(model, path)) + _got(details["input"])


def _or_listed(word: str, known: Iterable[str]) -> str:
    return did_you_mean(word, known) or _("; known are {keys}").format(keys=", ".join(sorted(known)))


def _expected(details: ErrorDetails, field: FieldInfo | None) -> str:
    kind, path = details["type"], details["loc"]
    if field is not None and kind == "literal_error":
        choices = [str(choice) for choice in get_args(field.annotation)]
        hint = did_you_mean(str(details["input"]), choices)
        return _("expected {choices}").format(choices=" | ".join(choices)) + hint
    if field is not None and kind == "string_pattern_mismatch" and field.examples:
        return _('expected something like "{example}"').format(example=field.examples[0])
    if kind == "tuple_type" and path == ("mqtt",):
        return _("expected a block [[mqtt]], in two brackets")
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return _("expected a table of its own: [{name}]").format(name=dotted(path))
    kinds = {
        "greater_than_equal": _("expected at least {ge}"),
        "greater_than": _("expected more than {gt:g}"),
        "less_than_equal": _("expected at most {le}"),
        "string_too_short": _("must not be empty"),
        "too_short": _("must not be empty"),
        "string_too_long": _("expected at most {max_length} characters"),
        "tuple_type": _('expected a list: ["…", "…"]'),
    }
    types = {
        "int": _("expected a whole number"),
        "float": _("expected a number"),
        "bool": _("expected true or false"),
        "string": _("expected a text in quotes"),
        "path": _("expected a text in quotes"),
    }
    text = kinds.get(kind) or types.get(kind.partition("_")[0]) or "{message}"
    return text.format(**details.get("ctx", {}), message=details["msg"])


def _got(value: Any) -> str:
    if isinstance(value, dict | list | tuple):
        return ""
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return _(" (got {value})").format(value=re.sub(r"(://[^:/@]*:)[^@]*@", r"\1…@", shown))  # no password


def section_at(model: type[BaseModel], path: Path) -> type[BaseModel]:
    """The section that has, or should have, the key at pydantic's ``path``."""
    if len(path) < 2 or path[0] not in model.model_fields:
        return model
    if path[0] == "receivers":
        return _receivers(model).get(str(path[2]) if len(path) > 2 else "", model)
    annotation = model.model_fields[str(path[0])].annotation
    section = get_args(annotation)[0] if get_origin(annotation) is tuple else annotation
    assert isinstance(section, type)
    return section


def field_at(model: type[BaseModel], path: Path) -> FieldInfo | None:
    """The field at pydantic's ``path``, or the one that an element of a list belongs to."""
    names = [step for step in path if isinstance(step, str)]
    return section_at(model, path).model_fields.get(names[-1]) if names else None


def _receivers(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The kinds of receiver by their ``type``."""
    union = get_args(get_args(model.model_fields["receivers"].annotation)[1])[0]
    return {get_args(kind.model_fields["type"].annotation)[0]: kind for kind in get_args(union)}
