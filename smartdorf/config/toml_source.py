"""Where a key stands in a TOML file. Python's parser gives no positions, so they are found with the parser itself.

Only used once something is wrong, on files of a hundred lines, so the number of tries does not matter.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import Any


def find_key(text: str, path: Sequence[str | int]) -> tuple[int, int]:
    """Line and column, from 1, of the key at ``path``; of the nearest table around it if it is not there.

    The key stands in the first line whose addition makes the path exist (lines within a multi-line value are
    no valid TOML and are passed over).
    """
    for length in range(len(path), 0, -1):
        found = _first_line(text.split("\n"), path[:length])
        if found is not None:
            return found
    return 1, 1


def _first_line(lines: Sequence[str], path: Sequence[str | int]) -> tuple[int, int] | None:
    start = 0  # the line after the last one that ended a complete document
    for number in range(1, len(lines) + 1):
        try:
            document = tomllib.loads("\n".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            continue
        if _exists(document, path):
            return start + 1, _column(lines[start], path[-1])
        start = number
    return None


def _exists(value: Any, path: Sequence[str | int]) -> bool:
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return False
        elif not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return True


def _column(line: str, key: str | int) -> int:
    found = re.search(rf"\b{re.escape(str(key))}\b", line)
    return found.start() + 1 if found else len(line) - len(line.lstrip()) + 1
