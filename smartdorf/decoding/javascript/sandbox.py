"""The other end of worker.py: starts the process, talks with it, and starts another one when it had to die.

One process for all codecs, started with the first one. It inherits no environment (there are passwords in ours), no
files and no memory of ours; it can be killed at any time, and nothing but the frame under way is lost.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

_WORKER = Path(__file__).with_name("worker.py")
PATIENCE = 20.0  # seconds by the clock: the worker's own limits count processor time, and are much shorter
_INHERITED = ("LD_LIBRARY_PATH",)  # some Pythons do not start without

_encode = msgspec.json.encode


class SandboxLimitError(Exception):
    """A codec took too much of something, and was stopped."""


class ThrownError(Exception):
    """The codec threw: what, and in which line and column of it (0 where that is not known)."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class Sandbox:
    """Codecs by number, and the process that runs them. May be used by several threads; they take turns."""

    def __init__(self) -> None:
        self._sources: list[str] = []
        self._loaded: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._readable: Any = None  # a poll, while there is a process
        self._lock = threading.Lock()

    def load(self, source: str) -> tuple[int, list[str]]:
        """Its number, and the names of its functions. Raises ThrownError, SandboxLimitError."""
        with self._lock:
            if source not in self._sources:
                self._sources.append(source)
            number = self._sources.index(source)
            try:
                names = self._load(number)
            except BrokenPipeError:  # it died before, and not of this codec
                names = self._load(number)
            return number, msgspec.json.decode(names)

    def call(self, number: int, name: str, given: dict[str, Any]) -> Any:
        """What the function returned, as plain JSON values. Raises ThrownError, SandboxLimitError."""
        with self._lock:
            question = b"call %d %b\n" % (number, _encode({"name": name, "input": given}))
            try:
                if number not in self._loaded:
                    self._load(number)
                answer = self._ask(question)
            except BrokenPipeError:  # it died before, and not of this question
                self._load(number)
                answer = self._ask(question)
        return msgspec.json.decode(answer)

    def close(self) -> None:
        """End the process; it is started again when it is needed."""
        process, self._process = self._process, None
        self._loaded.clear()
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _load(self, number: int) -> bytes:
        if self._process is None:
            self._start()
        answer = self._ask(b"load %d %b\n" % (number, _encode(self._sources[number])))
        self._loaded.add(number)
        return answer

    def _start(self) -> None:
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603 - our own Python with our own file
            [sys.executable, "-I", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd=_WORKER.anchor,
            env=environment,
        )
        self._readable = select.poll()
        self._readable.register(self._process.stdout, select.POLLIN)

    def _ask(self, line: bytes) -> bytes:
        try:
            answer = self._exchange(line)
        except BaseException:
            self.close()  # question and answer would no longer belong together
            raise
        if answer.startswith(b"="):
            return answer[1:]
        failed = msgspec.json.decode(answer[1:])
        if failed["kind"] == "thrown":
            raise ThrownError(failed["message"], failed["line"], failed["column"])
        place = f" (line {failed['line']})" if failed["line"] else ""
        raise SandboxLimitError(failed["message"] + place)

    def _exchange(self, line: bytes) -> bytes:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        to, back = process.stdin.fileno(), process.stdout.fileno()
        while line:
            line = line[os.write(to, line) :]
        answer = b""
        while not answer.endswith(b"\n"):
            if not self._readable.poll(PATIENCE * 1000):
                raise SandboxLimitError(f"no result after {PATIENCE:g} s")
            part = os.read(back, 65536)
            if not part:
                raise SandboxLimitError(_end(process))
            answer += part
        return answer


def _end(process: subprocess.Popen[bytes]) -> str:
    """Why the process is no more."""
    code = process.wait(PATIENCE)
    if hasattr(signal, "SIGPROF") and code == -signal.SIGPROF:
        return "no result after 1 s of processor time"
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"the process that runs JavaScript has ended ({how})"


SANDBOX = Sandbox()
atexit.register(SANDBOX.close)
