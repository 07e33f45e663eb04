"""What a Python codec is, and how its file is loaded.

A codec is a file with ``decode(frame, context)``: bytes in, the vendor's own field names out, as plain JSON
values. It is pure, and refuses a frame by raising FrameError. Files are loaded by path under names of our own,
so two folders may hold a file of the same name.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from smartdorf.decoding.frame import Frame
from smartdorf.decoding.time_limit import TimeLimit, TookTooLongError
from smartdorf.errors import SmartdorfError
from smartdorf.i18n import gettext as _


class Context:
    """What a codec may need beside the frame: its model, when the frame was received, the parameters."""

    __slots__ = ("defaults", "missing", "model", "parameters", "received_at")

    def __init__(
        self,
        model: str,
        received_at: datetime,
        parameters: Mapping[str, float],
        defaults: Mapping[str, float] | None = None,
    ) -> None:
        self.model = model
        self.received_at = received_at
        self.parameters = parameters
        self.defaults = defaults or {}
        self.missing: list[str] = []

    def parameter(self, name: str) -> float | None:
        """A parameter or its default; None where neither is known: leave out what depends on it."""
        value = self.parameters.get(name)
        if value is None:
            value = self.defaults.get(name)
            if value is None:
                self.missing.append(name)
        return value


Decode = Callable[[Frame, Context], Mapping[str, Any]]

_LOADING = TimeLimit(10)  # 5 s: it may import half of the standard library


class CodecLoadError(SmartdorfError):
    """A codec's file cannot be used."""


class Codec:
    """A loaded codec: its function and the file it came from."""

    __slots__ = ("decode", "file")

    def __init__(self, decode: Decode, file: Path) -> None:
        self.decode = decode
        self.file = file

    def place_of(self, error: BaseException) -> str:
        """``file:line`` of the codec's own line in which ``error`` arose."""
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == str(self.file)
        ]
        return f"{self.file}:{lines[-1]}" if lines else str(self.file)


def load_codec(path: Path) -> Codec:
    """Load one codec file; raises CodecLoadError, whatever is wrong with it."""
    name = _package(path)
    spec = importlib.util.spec_from_file_location(f"{name}.{path.stem.replace('.', '_')}", path)
    if spec is None or spec.loader is None:
        raise CodecLoadError(_("{path} is no Python file").format(path=path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses of the codec look themselves up there
    try:
        with _LOADING:
            spec.loader.exec_module(module)
    except SyntaxError as error:
        place = f"{error.filename or path}:{error.lineno or 1}:{error.offset or 1}"
        raise CodecLoadError(f"{place}: {error.msg}") from error
    except (Exception, SystemExit, TookTooLongError) as error:
        place = Codec(lambda frame, context: {}, path).place_of(error)
        problem = f"{type(error).__name__}: {error}"
        raise CodecLoadError(f"{place}: {problem}") from error
    decode = getattr(module, "decode", None)
    if not callable(decode):
        raise CodecLoadError(_("{path} has no function decode(frame, context)").format(path=path))
    if not _takes_two(decode):
        line = getattr(getattr(decode, "__code__", None), "co_firstlineno", 1)
        message = _("{path}:{line}: expected decode(frame, context), with these two arguments")
        raise CodecLoadError(message.format(path=path, line=line))
    return Codec(decode, path)


def _package(path: Path) -> str:
    """A package of the codec's own, made of the folder it lies in: ``from .family import …`` finds a file beside it."""
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    package = ModuleType(f"smartdorf_decoders_{digest}")
    package.__path__ = [str(path.parent)]
    for name in [name for name in sys.modules if name.partition(".")[0] == package.__name__]:
        del sys.modules[name]  # loaded again: files beside it may have changed as well
    sys.modules[package.__name__] = package
    return package.__name__


def _takes_two(decode: Callable[..., Any]) -> bool:
    try:
        inspect.signature(decode).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # a built-in one may not tell
        return True
    return True
