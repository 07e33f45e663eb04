"""Where a published vector is known to differ, field by field: ``published:`` in a model's ``*.vectors.yaml``.

A publisher may be wrong in one field and right in all others, or may call two things by one name. Whoever looked into
it says so beside our own vectors; the rest of the vector is compared all the same, and the report counts it apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smartdorf.decoding.manifest import DeviceModel
from smartdorf.decoding.registry import VECTORS_SUFFIX
from smartdorf.errors import Problem
from smartdorf.i18n import gettext as _
from smartdorf.yaml_source import Node, read_yaml

KEYS = ("data", "differs", "renamed", "why")


@dataclass(frozen=True, slots=True)
class Listed:
    """What is known of one published vector."""

    differs: tuple[str, ...]  # paths of the fields that are not compared
    renamed: Mapping[str, str]  # our name of a field → its path
    why: str

    def adjust(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """The published object without the fields that differ, renamed ones by our names.

        Raises LookupError with the path of a field that is not there.
        """
        adjusted = deepcopy(dict(said))
        for path in self.differs:
            _take(adjusted, path)
        for name, path in self.renamed.items():
            adjusted[name] = _take(adjusted, path)
        return adjusted


def _take(said: dict[str, Any], path: str) -> Any:
    """The field of that path (``list[0].value``), which is then no longer there."""
    *way, last = [
        int(step[1:-1]) if step[0] == "[" else step for step in re.findall(r"\[-?\d+\]|[^.\[\]]+", path)
    ]
    here: Any = said
    try:
        for step in way:
            here = here[step]
        return here.pop(last)
    except (LookupError, TypeError, AttributeError):
        raise LookupError(path) from None


def read_listed(root: Node) -> dict[bytes, Listed]:
    """The listed vectors of a file by their bytes; mistakes are noted at their nodes."""
    return {hex_bytes(node["data"]): _listed(node) for node in root["published"].elements()}


def _listed(node: Node) -> Listed:
    node.check_keys(KEYS, ["data", "why"])
    if isinstance(node.value, dict) and "differs" not in node and "renamed" not in node:
        node.problem(_("expected the fields that differ or that are renamed"))
    return Listed(
        differs=tuple(field.text() for field in node["differs"].elements()),
        renamed={name: path.text() for name, path in node["renamed"].items()},
        why=node["why"].text(),
    )


def listed_beside(model: DeviceModel) -> tuple[dict[bytes, Listed], list[Problem]]:
    """What the vector file beside the model's manifest lists."""
    path = Path(model.file)
    file = path.with_name(path.stem + VECTORS_SUFFIX)
    if not file.is_file():
        return {}, []
    root = read_yaml(file)
    found = {} if root.source.problems else read_listed(root)
    return found, root.source.problems


def hex_bytes(node: Node) -> bytes:
    text = node.text()
    try:
        return bytes.fromhex(text)
    except ValueError:
        node.problem(_("expected bytes in hex, in quotation marks"))
        return b""
