"""The beginning of a sensor model: three files that load and pass, made from ``decoders/_template*``."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory

from smartdorf.content import shipped
from smartdorf.decoding.registry import VECTORS_SUFFIX, decode_uplink, load_catalogue, load_codec_file
from smartdorf.decoding.vectors import RECEIVED_AT, make_uplink
from smartdorf.errors import SmartdorfError, UsageError
from smartdorf.i18n import gettext as _
from smartdorf.model import Decoded, Quality
from smartdorf.vocabulary import Vocabulary

_TEMPLATE, _AROUND = "_template", "_template_js"  # with a codec of its own; around the vendor's
_SAMPLE = "thermo-1"
_WORDS = {"example/thermo-1": "{vendor}/{model}", "Example THERMO-1": "{Vendor} {MODEL}", "thermo-1": "{model}",
          "THERMO-1": "{MODEL}", "vendor: example": "vendor: {vendor}"}  # fmt: skip
_FIELD = re.compile(r"\b(?:data|decoded|result|output|out|obj|payload)\.([A-Za-z_]\w*)\s*=(?!=)")


def scaffold(root: Path, name: str, codec: Path | None, vocabulary: Vocabulary) -> list[Path]:
    """Write ``root/vendor/model.*``; the files that were made. Raises UsageError, CodecLoadError; then none was."""
    vendor, model = _names(name)
    suffix = codec.suffix if codec else ".py"
    if suffix not in (".py", ".js"):
        message = _("{path} is no codec: expected a file.js, or a file.py")
        raise UsageError(message.format(path=codec))
    folder = root / vendor
    manifest, code, vectors = (folder / f"{model}{end}" for end in (".yaml", suffix, VECTORS_SUFFIX))
    in_place = codec is not None and code.is_file() and code.samefile(codec)
    taken = [file for file in (manifest, code, vectors) if file.exists() and not (in_place and file == code)]
    if taken:
        message = _("there is already {files}; nothing was overwritten")
        raise UsageError(message.format(files=", ".join(map(str, taken))))
    words = _Words(vendor, model)
    with TemporaryDirectory() as draft:  # what fails, fails before there is anything
        made = _own(words, Path(draft)) if codec is None else _around(codec, words, Path(draft), vocabulary)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for file in made:
                if not (in_place and file.name == code.name):
                    (folder / file.name).write_bytes(file.read_bytes())
        except OSError as error:
            message = _("{path} cannot be written: {error}")
            raise SmartdorfError(message.format(path=error.filename, error=error.strerror)) from error
    return [manifest, code, vectors]


def _own(words: _Words, folder: Path) -> list[Path]:
    """The template as it is: a sensor of its own, with a codec in Python."""
    return [
        _write(folder / f"{words.model}{end}", words.fill(_template(_TEMPLATE, end)))
        for end in (".yaml", ".py", VECTORS_SUFFIX)
    ]


def _around(codec: Path, words: _Words, folder: Path, vocabulary: Vocabulary) -> list[Path]:
    """The vendor's file, a manifest that names its fields, and what it says to a frame that no sensor sends."""
    load_codec_file(codec)  # a mistake is told with the name of the file that was given
    code = folder / f"{words.model}{codec.suffix}"
    code.write_bytes(codec.read_bytes())
    fields = ", ".join(dict.fromkeys(_FIELD.findall(codec.read_text(encoding="utf-8-sig")))) or "?"
    fields = textwrap.fill(fields, 108, initial_indent="# ", subsequent_indent="# ")
    text = words.fill(_template(_AROUND, ".yaml")).replace("# {fields}", fields)
    manifest = _write(folder / f"{words.model}.yaml", text.replace(f"{words.model}.js", code.name))
    model = load_catalogue([folder], vocabulary).get(words.name)
    decoded = decode_uplink(model, make_uplink(1, b"\x00", RECEIVED_AT), {})
    outcome = f"error: {decoded.fault.reason}" if decoded.fault else _measurements(decoded)
    text = words.fill(_template(_AROUND, VECTORS_SUFFIX)).replace("error: refused", outcome)
    return [manifest, code, _write(folder / f"{words.model}{VECTORS_SUFFIX}", text)]


def _measurements(decoded: Decoded) -> str:
    values = ", ".join(f"{sample.metric}: {sample.value}" for sample in decoded.samples)
    flagged = ", ".join(s.metric for s in decoded.samples if s.quality & Quality.OUT_OF_RANGE)
    return f"measurements: {{{values}}}" + (f", flagged: [{flagged}]" if flagged else "")


def _write(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def _names(name: str) -> tuple[str, str]:
    match = re.fullmatch(r"([a-z0-9][a-z0-9.-]*)/([a-z0-9][a-z0-9.-]*)", name)
    if match is None:
        message = _(
            '"{name}" is no name of a model: expected vendor/model of lower-case letters, digits, dots, dashes'
        )
        raise UsageError(message.format(name=name))
    return match[1], match[2]


def _template(folder: str, end: str) -> str:
    return (shipped("decoders") / folder / f"{_SAMPLE}{end}").read_text(encoding="utf-8")


class _Words:
    """What the template says, and what a model says instead."""

    def __init__(self, vendor: str, model: str) -> None:
        self.name = f"{vendor}/{model}"
        self.model = model
        own = {"vendor": vendor, "model": model, "Vendor": vendor.capitalize(), "MODEL": model.upper()}
        self._own = {word: pattern.format(**own) for word, pattern in _WORDS.items()}
        self._any = re.compile("|".join(map(re.escape, _WORDS)))

    def fill(self, text: str) -> str:
        return self._any.sub(lambda match: self._own[match[0]], text)
