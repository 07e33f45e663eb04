"""Where in a file a character of a YAML text stands, so that a mistake inside a condition is pointed at."""

from __future__ import annotations

from smartdorf.yaml_source import Node


def position_in(node: Node, offset: int) -> tuple[int, int]:
    """Line and column of ``node``'s text at ``offset``; where it cannot be told (escapes), of its begin.

    The text is followed through the file character by character; any blanks stand for any others, since YAML
    folds lines.
    """
    lines = node.source.text.split("\n")
    line, column = node.line - 1, node.column - 1
    if line >= len(lines) or not isinstance(node.value, str):
        return node.line, node.column
    first = lines[line][column : column + 1]
    if first in ("'", '"'):
        column += 1
    elif first in ("|", ">"):
        line, column = line + 1, 0
    for character in node.value[:offset]:
        if character.isspace():
            continue
        line, column = _skip_blanks(lines, line, column)
        if line >= len(lines) or lines[line][column] != character:
            return node.line, node.column
        column += 1
    line, column = _skip_blanks(lines, line, column)
    return (line + 1, column + 1) if line < len(lines) else (node.line, node.column)


def _skip_blanks(lines: list[str], line: int, column: int) -> tuple[int, int]:
    while line < len(lines):
        while column < len(lines[line]) and lines[line][column].isspace():
            column += 1
        if column < len(lines[line]):
            break
        line, column = line + 1, 0
    return line, column


def problem_in(node: Node, offset: int, message: str) -> None:
    """Note a problem at one character of ``node``'s text."""
    node.source.problem(*position_in(node, offset), message)
