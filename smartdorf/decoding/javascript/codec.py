"""A vendor's codec file as a codec of ours: the LoRa Alliance's payload codec API (TS013), and the two older forms.

    decodeUplink({bytes, fPort, recvTime, variables})  → {data} or {errors}, and warnings
    Decoder(bytes, port)                               → the object itself
    Decode(fPort, bytes, variables)                    → the object itself

What the codec reports as an error, and what it throws, refuses the frame: which of the two a vendor does for a frame
that he does not know is a matter of taste. Only a limit that is reached is a mistake of the codec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smartdorf.decoding.codec import Codec, CodecLoadError, Context
from smartdorf.decoding.frame import REFUSED, Frame, FrameError
from smartdorf.decoding.javascript.sandbox import SANDBOX, SandboxLimitError, ThrownError
from smartdorf.i18n import gettext as _

FUNCTIONS = ("decodeUplink", "encodeDownlink", "decodeDownlink", "normalizeUplink")  # of TS013
_DECODERS = ("decodeUplink", "Decode", "Decoder")


@dataclass(frozen=True, slots=True)
class Result:
    """What a function returned. With errors there is nothing else to go by."""

    value: Mapping[str, Any]
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Script:
    """One loaded file."""

    def __init__(self, file: Path, number: int, functions: list[str]) -> None:
        self.file = file
        self.functions = functions
        self._number = number

    @property
    def can_decode(self) -> bool:
        return any(name in self.functions for name in _DECODERS)

    def call(self, name: str, given: dict[str, Any]) -> Result:
        """Raises SandboxLimitError, and what msgspec raises for a result that is nested too deeply."""
        try:
            returned = SANDBOX.call(self._number, name, given)
        except ThrownError as thrown:
            place = f" ({self.file}:{thrown.line})" if thrown.line else ""
            return Result({}, (f"{thrown.message}{place}",))
        if not isinstance(returned, dict):
            return Result({}, (f"{name} returned {_kind(returned)}, no object",))
        return Result(returned, _texts(returned.get("errors")), _texts(returned.get("warnings")))

    def decode_uplink(self, given: dict[str, Any]) -> Result:
        """``decodeUplink`` or the older form there is; the value is what is in ``data``."""
        result = self.call("decodeUplink", given)
        if result.errors:
            return result
        data = result.value.get("data")
        if not isinstance(data, dict):
            what = "neither data nor errors" if data is None else f"{_kind(data)} as data, no object"
            return Result({}, (f"the codec returned {what}",))
        return Result(data, (), result.warnings)

    def run(self, name: str, given: dict[str, Any]) -> Result:
        """For trying a file: a limit that is reached is an error as any other."""
        try:
            return self.decode_uplink(given) if name == "decodeUplink" else self.call(name, given)
        except Exception as error:
            return Result({}, (f"{type(error).__name__}: {error}",))

    def normalize(self, data: Mapping[str, Any]) -> Result:
        return self.call("normalizeUplink", {"data": data})


def load_javascript(path: Path, *, normalize: bool = False) -> Codec:
    """A codec that can decode; with ``normalize`` its object has what ``normalizeUplink`` says as ``normalized``.

    Raises CodecLoadError.
    """
    script = load_script(path)
    if not script.can_decode:
        message = _(
            "{path} has no function decodeUplink(input), Decoder(bytes, port) or Decode(fPort, bytes)"
        )
        raise CodecLoadError(message.format(path=path))
    if normalize and "normalizeUplink" not in script.functions:
        raise CodecLoadError(_("{path} has no function normalizeUplink(input)").format(path=path))

    def decode(frame: Frame, context: Context) -> Mapping[str, Any]:
        variables = {**context.defaults, **context.parameters}
        result = script.decode_uplink(
            {
                "bytes": list(frame.data),
                "fPort": frame.f_port,
                "recvTime": context.received_at.timestamp() * 1000,
                # ChirpStack's variables are texts, and codecs are written for that
                "variables": {name: f"{value:.12g}" for name, value in variables.items()},
            }
        )
        if result.errors:
            raise FrameError(REFUSED, "; ".join(result.errors))
        found = dict(result.value)
        if result.warnings:
            found.setdefault("warnings", list(result.warnings))
        if normalize:
            normalized = script.normalize(result.value)
            if normalized.errors:
                raise FrameError(REFUSED, "; ".join(normalized.errors))
            found["normalized"] = normalized.value.get("data")
        return found

    return Codec(decode, path)


def load_script(path: Path) -> Script:
    """A file with any functions; raises CodecLoadError."""
    try:
        source = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        message = _("{path} cannot be read: {error}")
        raise CodecLoadError(message.format(path=path, error=error.strerror)) from error
    except UnicodeDecodeError as error:
        message = _("{path} is not UTF-8 (byte {position}); save it as UTF-8")
        raise CodecLoadError(message.format(path=path, position=error.start)) from error
    try:
        number, functions = SANDBOX.load(source)
    except ThrownError as thrown:
        place = f":{thrown.line}:{thrown.column}" if thrown.line else ""
        raise CodecLoadError(f"{path}{place}: {thrown.message}") from thrown
    except SandboxLimitError as error:
        raise CodecLoadError(f"{path}: {error}") from error
    except OSError as error:  # no process can be started
        raise CodecLoadError(_("{path} cannot be run: {error}").format(path=path, error=error)) from error
    return Script(path, number, functions)


def _texts(value: Any) -> tuple[str, ...]:
    """TS013 has lists of texts here; some codecs give a single one, or objects."""
    if value is None or value == "":
        return ()
    values = value if isinstance(value, list) else [value]
    return tuple(text if isinstance(text, str) else str(text) for text in values)


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"
