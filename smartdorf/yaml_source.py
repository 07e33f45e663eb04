"""YAML that people wrote → values that know where they stand, with every problem collected.

The only module that knows the YAML library. YAML 1.2, core schema: ``22:00``, ``no`` and ``1_000`` are text,
``017`` is seventeen. Tags (``!!str``) and merge keys (``<<``) are refused, anchors and aliases are fine.

A ``Node`` wraps one value; readers take what they need from it (``node["when"].text()``) and report what does
not fit (``node.problem(…)``). Nothing raises on the first mistake: a reader that got nonsense returns its
default, the problem is in ``source.problems``, and the caller decides at the end.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.tag import Tag

from smartdorf.errors import ContentError, Problem, did_you_mean
from smartdorf.i18n import gettext as _

MAX_DEPTH = 50  # levels; a file of people's needs ten

_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS: Final = {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}").fullmatch
_FLOAT: Final = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
).fullmatch
_DECIMAL_COMMA: Final = re.compile(r"[-+]?[0-9]+,[0-9]+").fullmatch
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])").fullmatch
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")  # neither UTF-8 nor the database can hold them


class Source:
    """One YAML file (or text) being read, and the problems found in it so far."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.problems: list[Problem] = []
        self._unreadable = False

    def problem(self, line: int, column: int, message: str) -> None:
        # what could not even be read has one problem; that everything is missing follows from it
        if not self._unreadable:
            self.problems.append(Problem(self.name, line, column, message))

    def unreadable(self, line: int, column: int, message: str) -> Node:
        """Note the one problem of a file that cannot be read; the empty node to go on with."""
        self.problem(line, column, message)
        self._unreadable = True
        return Node(self, None, 1, 1)

    def raise_problems(self) -> None:
        if self.problems:
            raise ContentError(self.problems)


def read_yaml(path: Path) -> Node:
    """Read a file. A file that cannot be read or is no YAML gives an empty node with the problem noted."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        message = _("cannot be read: {error}").format(error=error.strerror or error)
        return Source(str(path), "").unreadable(0, 0, message)
    except UnicodeDecodeError as error:
        message = _("is not UTF-8 (byte {position}); save it as UTF-8").format(position=error.start)
        return Source(str(path), "").unreadable(0, 0, message)
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> Node:
    """Parse YAML text; ``name`` stands for the file in messages."""
    source = Source(name, text)
    # not "rt", which leaves marks in folded text
    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = MAX_DEPTH
    yaml.Resolver = _Untagged
    yaml.composer.warn_double_anchors = False  # YAML allows it: the last one counts
    invalid = _("is not valid YAML: {problem}")
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        problem = str(error.problem or error.context)
        if problem.startswith("but "):  # the library splits a sentence
            problem = f"{error.context}, {problem}"
        if isinstance(error, MaxDepthExceededError):
            problem = _("nested more than {n} levels deep").format(n=MAX_DEPTH)
        if r"'\t'" in problem:
            problem += _("; indent with spaces")
        return source.unreadable(line, column, invalid.format(problem=problem))
    except ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        problem = _("the control character U+{code:04X} is not allowed").format(code=error.character)
        return source.unreadable(line, column, invalid.format(problem=problem))
    except (YAMLError, ValueError) as error:
        return source.unreadable(0, 0, invalid.format(problem=str(error).split("\n")[0]))
    return Node(source, None, 1, 1) if root is None else _Wrapping(source).wrap(root)


def dump_yaml(document: Any) -> str:
    """Plain values as text that ``parse_yaml`` reads the same: what looks like a number and is text gets quotes."""
    yaml, text = YAML(), io.StringIO()
    yaml.width = 10_000  # a long line stays one
    yaml.dump(document, text)
    return text.getvalue()


class _Untagged(VersionedResolver):
    """Leaves to us what a value without a tag means, so that a tag of the file's own can be told from it."""

    TAG: Final = Tag(suffix="untagged")

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Tag:
        return self.TAG


class _Wrapping:
    """The library's nodes → ours."""

    def __init__(self, source: Source) -> None:
        self.source = source
        # What an anchor names is wrapped once, however many aliases repeat it. None: still being wrapped.
        self.done: dict[int, Node | None] = {}

    def wrap(self, node: Any) -> Node:
        line, column = _place(node)
        if id(node) in self.done:
            known = self.done[id(node)]
            if known is None:
                self.source.problem(line, column, _("this contains itself"))
                return Node(self.source, None, line, column)
            return known
        self.done[id(node)] = None
        if node.ctag is not _Untagged.TAG:
            message = _("tags such as {tag} are not supported; text that looks like a number goes in quotes")
            self.source.problem(
                line, column, message.format(tag=str(node.tag).replace("tag:yaml.org,2002:", "!!"))
            )
        if isinstance(node, MappingNode):
            wrapped = self._mapping(node, line, column)
        elif isinstance(node, SequenceNode):
            wrapped = Node(self.source, [self.wrap(item) for item in node.value], line, column)
        else:
            wrapped = self._scalar(node, line, column)
        self.done[id(node)] = wrapped
        return wrapped

    def _mapping(self, node: MappingNode, line: int, column: int) -> Node:
        entries: dict[str, Node] = {}
        keys: dict[str, tuple[int, int]] = {}
        for key_node, value_node in node.value:
            at = _place(key_node)
            key = str(self.wrap(key_node).written)
            if not key:
                self.source.problem(*at, _("expected a plain key"))
            elif key == "<<":
                self.source.problem(*at, _('merging with "<<" is not supported; write the entries here'))
            elif key in entries:
                message = _('"{key}" stands twice (first in line {line})')
                self.source.problem(*at, message.format(key=key, line=keys[key][0]))
            else:
                entries[key], keys[key] = self.wrap(value_node), at
        return Node(self.source, entries, line, column, keys)

    def _scalar(self, node: ScalarNode, line: int, column: int) -> Node:
        text: str = node.value
        if found := _UNSTORABLE.search(text):
            message = _("the character U+{code:04X} cannot be stored")
            self.source.problem(line, column, message.format(code=ord(found.group())))
            text = _UNSTORABLE.sub("\ufffd", text)
        # what is quoted or a block is text, whatever it looks like
        value = _plain_value(text) if node.style is None else text
        return Node(self.source, value, line, column, written=text)


def _plain_value(text: str) -> bool | int | float | str | None:
    """What YAML's core schema makes of an unquoted scalar."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER(text):
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    if _FLOAT(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _place(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


class Node:
    """A value with its place in the file. ``value`` is None, bool, int, float, str, list or dict of nodes.

    ``written`` is a scalar as it stands in the file: ``0004310012345670`` where ``value`` is 4310012345670.
    """

    __slots__ = ("column", "keys", "line", "source", "value", "written")

    def __init__(
        self,
        source: Source,
        value: Any,
        line: int,
        column: int,
        keys: dict[str, tuple[int, int]] | None = None,
        written: str = "",
    ) -> None:
        self.source = source
        self.value = value
        self.line = line
        self.column = column
        self.keys = keys or {}
        self.written = written

    # -- problems ---------------------------------------------------------------------------------------

    def problem(self, message: str) -> None:
        """Note a problem at this value."""
        self.source.problem(self.line, self.column, message)

    def problem_at(self, key: str, message: str) -> None:
        """Note a problem at one of this mapping's keys."""
        self.source.problem(*self.keys.get(key, (self.line, self.column)), message)

    def _expected(self, what: str, hint: str = "") -> None:
        self.problem(_("expected {what}, got {got}").format(what=what, got=self.describe()) + hint)

    def describe(self) -> str:
        if isinstance(self.value, dict):
            return _("a mapping")
        if isinstance(self.value, list):
            return _("a list")
        if self.value is None:
            return _("nothing")
        written = self.written or str(self.value)
        return f'"{written}"' if len(written) <= 60 else f'"{written[:59]}…"'

    # -- reading ----------------------------------------------------------------------------------------

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    def __getitem__(self, key: str) -> Node:
        """The value under ``key``; a missing one is an empty node at this mapping's place."""
        if isinstance(self.value, dict) and key in self.value:
            node: Node = self.value[key]
            return node
        return Node(self.source, None, self.line, self.column)

    def check_keys(self, known: Iterable[str], required: Iterable[str] = ()) -> None:
        """Note each unknown key (with a did-you-mean), and each that is required and is missing or has nothing."""
        known = list(known)
        if not isinstance(self.value, dict):
            self._expected(_("a mapping"))
            return
        for key in self.value:
            if key not in known:
                hint = did_you_mean(key, known) or _("; known are {keys}").format(
                    keys=", ".join(sorted(known))
                )
                self.problem_at(key, _('unknown key "{key}"').format(key=key) + hint)
        for key in required:
            if key not in self.value:
                self.problem(_('"{key}" is missing').format(key=key))
            elif self.value[key].value is None:
                word = self.value[key].written  # in German, zero is "Null"
                hint = _("; {word} means nothing here, put it in quotes").format(word=word) if word else ""
                self.problem_at(key, _('"{key}" has no value').format(key=key) + hint)

    def items(self) -> Iterator[tuple[str, Node]]:
        """The entries of a mapping; anything else but nothing is a problem."""
        if isinstance(self.value, dict):
            yield from self.value.items()
        elif self.value is not None:
            self._expected(_("a mapping"))

    def elements(self) -> Iterator[Node]:
        """The elements of a list; anything else but nothing is a problem."""
        if isinstance(self.value, list):
            yield from self.value
        elif self.value is not None:
            self._expected(_("a list"))

    def text(self, default: str = "") -> str:
        if isinstance(self.value, str):
            return self.value
        if self.value is None:
            return default
        hint = "" if isinstance(self.value, (dict, list)) else _("; put it in quotes")
        self._expected(_("text"), hint)
        return default

    def number(self, default: float = math.nan) -> float:
        if isinstance(self.value, (int, float)) and not isinstance(self.value, bool):
            if math.isfinite(self.value):
                return float(self.value)
        elif self.value is None:
            return default
        comma = isinstance(self.value, str) and _DECIMAL_COMMA(self.value)
        self._expected(_("a number"), _("; decimals follow a point") if comma else "")
        return default

    def integer(self, default: int = 0) -> int:
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return self.value
        if self.value is not None:
            self._expected(_("a whole number"))
        return default

    def duration(self) -> timedelta | None:
        """``90s``, ``20m``, ``12h`` or ``1d``; ``none`` is none."""
        text = self.text()
        match = _DURATION(text)
        if match is not None:
            return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
        if text not in ("", "none"):
            self.problem(_('"{text}" is no duration; write 90s, 20m, 12h, 1d, or none').format(text=text))
        return None

    def boolean(self, default: bool = False) -> bool:
        if isinstance(self.value, bool):
            return self.value
        if self.value is not None:
            self._expected(_("true or false"))
        return default

    def one_of(self, known: Iterable[str], default: str = "") -> str:
        """Text that is one of ``known``."""
        known = list(known)
        word = self.text(default)
        if self.value is not None and isinstance(self.value, str) and word not in known:
            hint = did_you_mean(word, known) or _("; expected one of {known}").format(known=", ".join(known))
            self.problem(_('unknown "{word}"').format(word=word) + hint)
            return default
        return word

    def plain(self) -> Any:
        """The value without places: None, bool, int, float, str, list, dict."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value
