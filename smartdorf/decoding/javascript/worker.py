"""The process in which vendors' JavaScript runs: one line in, one line out, until standard input ends.

    load NUMBER "source"     the names of the codec's functions
    call NUMBER {"name": …, "input": …}     what the function returned

The answer is ``=`` and JSON, or ``!`` and why there is none. The engine has no files, no network and no processes to
give; this process has none either, as far as the kernel can take them away. The engine's own limits come first, since
it knows the line; but its built-in functions (an ``indexOf`` in megabytes) never look at the clock, so a timer of the
kernel ends the whole process behind them.

Started by sandbox.py as a script, with nothing of smartdorf around: it imports the standard library and the engine.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import quickjs

MEMORY = 8 * 1024 * 1024  # bytes, per codec
SECONDS = 0.5  # of processor time, per call
KERNEL_SECONDS = 1.0
LARGEST_ANSWER = 256 * 1024  # bytes

_FUNCTIONS = ("decodeUplink", "encodeDownlink", "decodeDownlink", "normalizeUplink", "Decoder", "Decode")
_RUNTIME = Path(__file__).with_name("runtime.js").read_text(encoding="utf-8").rstrip().removesuffix(";")
_LAST = ", ".join(f'{name}: typeof {name} === "undefined" ? null : {name}' for name in _FUNCTIONS)
_OPEN, _CLOSE = "(function () {", f"\n;return {{{_LAST}}}}})"  # on the codec's own lines: places stay right
# ChirpStack's codecs are modules; here Buffer is there without being imported
_IMPORT = re.compile(r"""^[ \t]*import\b[^;\n]*\bfrom\s*["'](?:node:)?buffer["'][ \t]*;?""", re.MULTILINE)
_PLACE = re.compile(r"<input>:(\d+):(\d+)")


class FailedError(Exception):
    """Why there is no result: ``time``, ``memory``, ``stack`` or ``thrown``, in words, and the codec's line."""

    def __init__(self, kind: str, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.said = {"kind": kind, "message": message, "line": line, "column": column}


def failure(error: quickjs.JSException) -> FailedError:
    """The engine's exception: its first line is what was thrown, the rest says where."""
    text = str(error)
    message, _newline, stack = text.partition("\n")
    place = _PLACE.search(stack)
    line, column = (int(place[1]), int(place[2])) if place else (0, 0)
    if isinstance(error, quickjs.StackOverflow):
        return FailedError("stack", "the codec calls itself too deeply", line, column)
    if message == "InternalError: interrupted":
        return FailedError("time", f"no result after {SECONDS:g} s of processor time", line, column)
    # "out of memory", "string too long"; where nothing is left to make an error of, null is thrown
    if message.startswith("InternalError: ") or text == "null\n":
        return FailedError("memory", f"the codec needs more than {MEMORY // 2**20} MB", line, column)
    return FailedError("thrown", message[:500], line, column)


class Codec:
    """One codec's source, and the context in which it runs as long as nothing goes wrong there."""

    def __init__(self, source: str) -> None:
        self._source = _IMPORT.sub("", source)
        self._context: quickjs.Context | None = None
        self._run: Any = None

    def names(self) -> str:
        """The functions it has; raises FailedError where the file cannot be run."""
        try:
            context = _context()
            context.eval(_RUNTIME + ".begin()")
            context.eval(self._source)  # as it stands: a mistake has its own line and column
            context = _context()
            runtime, make = self._evaluate(context)
            return str(context.eval("(runtime, make) => runtime.names(make)")(runtime, make))
        except quickjs.JSException as error:
            raise failure(error) from None

    def call(self, request: str) -> str:
        """Raises FailedError; then, as after all that is odd, the next call gets a new context."""
        was_used = self._context is not None
        try:
            return self._call(request)
        except quickjs.JSException as error:
            self._context = self._run = None
            found = failure(error)
        if found.kind == "memory" and was_used:  # others have filled it before
            return self.call(request)
        raise found

    def _call(self, request: str) -> str:
        if self._context is None:
            context = _context()
            runtime, make = self._evaluate(context)
            self._run = context.eval("(runtime, make) => runtime.prepare(make)")(runtime, make)
            self._context = context
        context = self._context
        answer: str = self._run(request)
        again = answer[0] == "+"
        with contextlib.suppress(quickjs.JSException):
            again = not context.execute_pending_job() and again
        if not again:
            self._context = self._run = None
        return answer[1:]

    def _evaluate(self, context: quickjs.Context) -> tuple[Any, Any]:
        return context.eval(_RUNTIME), context.eval(_OPEN + self._source + _CLOSE)


def _context() -> quickjs.Context:
    context = quickjs.Context()
    context.set_memory_limit(MEMORY)
    context.set_time_limit(SECONDS)
    return context


def answer_to(line: bytes, codecs: dict[bytes, Codec]) -> bytes:
    """The answer to one line."""
    verb, number, text = line.split(b" ", 2)
    try:
        if verb == b"load":
            codecs[number] = Codec(json.loads(text))
            answer = codecs[number].names()
        else:
            answer = codecs[number].call(text.decode())
        encoded = answer.encode()
        if len(encoded) > LARGEST_ANSWER:
            raise FailedError("memory", f"a result of {len(encoded)} bytes, at most {LARGEST_ANSWER} can be")
    except FailedError as found:
        return b"!" + json.dumps(found.said).encode() + b"\n"
    return b"=" + encoded + b"\n"


def lock_down() -> None:
    """No new file, socket or process, no memory without end; only the two pipes stay."""
    import resource  # noqa: PLC0415 - not on Windows

    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE):
        resource.setrlimit(limit, (0, 0))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C and the end of the service come as the end of input
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lock_down()
    codecs: dict[bytes, Codec] = {}
    for line in iter(sys.stdin.buffer.readline, b""):
        signal.setitimer(signal.ITIMER_PROF, KERNEL_SECONDS)  # its signal, SIGPROF, ends the process
        answer = answer_to(line, codecs)
        signal.setitimer(signal.ITIMER_PROF, 0)
        while answer:
            answer = answer[os.write(1, answer) :]


if __name__ == "__main__":
    main()
