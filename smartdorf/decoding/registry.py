"""All sensor models there are, and the one function that turns an uplink into measurements.

Owns: where models come from (folders, later ones win by name), that a broken one does not stop the others, and
that nothing a codec does gets out of ``decode_uplink``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from smartdorf.decoding.codec import Codec, CodecLoadError, Context, load_codec
from smartdorf.decoding.frame import CODEC_ERROR, ENCRYPTED, MISSING_OBJECT, Frame, FrameError
from smartdorf.decoding.javascript import load_javascript
from smartdorf.decoding.manifest import DeviceModel, read_manifest
from smartdorf.decoding.mapping import map_object
from smartdorf.decoding.time_limit import TimeLimit, TookTooLongError
from smartdorf.errors import NotFoundError, Problem, did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.model import Decoded, DeviceInfo, Fault, Sample, Uplink
from smartdorf.vocabulary import Vocabulary

VECTORS_SUFFIX = ".vectors.yaml"
_CODEC_SUFFIXES = (".py", ".js")

_NOTHING = Decoded()
_TIME_LIMIT = TimeLimit(2)  # 1 s

# No LoRaWAN frame holds more: it has at most 242 bytes. More comes from a mistake, and would stop the database.
_MOST_SAMPLES = 2000
_LONGEST_DETAIL = 500
_LARGEST_OBJECT = 64 * 1024  # bytes, as JSON


@dataclass(frozen=True)
class Catalogue:
    """The models by name, and what was wrong with the files of the others."""

    models: Mapping[str, DeviceModel] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def recognise(self, device: DeviceInfo) -> list[str]:
        """Names of the models that this device might be, the most likely first."""
        scored = [(model.recognition.score(name, device), name) for name, model in self.models.items()]
        best = sorted((-score, name) for score, name in scored if score > 0)
        return [name for _score, name in best]

    def get(self, name: str) -> DeviceModel:
        """The model of that name; raises NotFoundError with a did-you-mean."""
        try:
            return self.models[name]
        except KeyError:
            short = {known.partition("/")[2]: known for known in self.models}
            hint = did_you_mean(short.get(name, name), self.models) or _("; see `smartdorf decoders list`")
            raise NotFoundError(_('unknown model "{model}"').format(model=name) + hint) from None


def load_catalogue(paths: Sequence[Path], vocabulary: Vocabulary) -> Catalogue:
    """Every model below ``paths``. A model of a later path replaces one of the same name."""
    models: dict[str, DeviceModel] = {}
    problems: list[Problem] = []
    codecs = _Codecs(paths)
    for root in paths:
        if not root.is_dir():
            problems.append(Problem(str(root), 0, 0, _("there is no such folder")))
            continue
        here: dict[str, DeviceModel] = {}
        for file in manifests(root):
            model, found = read_manifest(file, vocabulary, codecs.find)
            problems += found
            if model is None:
                continue
            if (first := here.get(model.name)) is not None:
                message = _("{model} is defined twice; the other definition is {file}:{line}")
                text = message.format(model=model.name, file=first.file, line=first.line)
                problems.append(Problem(model.file, model.line, 1, text))
                continue
            here[model.name] = model
        models |= here
    return Catalogue(dict(sorted(models.items())), sorted(problems))


def manifests(root: Path) -> Iterator[Path]:
    """The manifests below a folder; names that begin with ``_`` or ``.`` are left alone."""
    return (file for file in _yaml_files(root) if not file.name.endswith(VECTORS_SUFFIX))


def vector_files(root: Path) -> Iterator[Path]:
    """Our own vector files below a folder."""
    return (file for file in _yaml_files(root) if file.name.endswith(VECTORS_SUFFIX))


def _yaml_files(root: Path) -> Iterator[Path]:
    for file in sorted(root.rglob("*.yaml")):
        if not any(part.startswith(("_", ".")) for part in file.relative_to(root).parts):
            yield file


class _Codecs:
    """Codec files by name, each loaded once: beside the manifest, else below any of the folders."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots = list(roots)
        self._loaded: dict[tuple[Path, bool], Codec | CodecLoadError] = {}

    def find(self, name: str, manifest: Path, *, normalize: bool) -> Codec:
        if not name.endswith(_CODEC_SUFFIXES):
            raise CodecLoadError(_('"{name}" is no codec: expected a file.py or file.js').format(name=name))
        for folder in (manifest.parent, *reversed(self._roots)):
            file = Path(os.path.abspath(folder / name))  # noqa: PTH100 - resolve() would follow a link away
            if file.is_file():
                return self._load(file, normalize and name.endswith(".js"))
        message = _('there is no "{name}" beside {manifest}')
        known = [file.name for file in manifest.parent.iterdir() if file.suffix in _CODEC_SUFFIXES]
        raise CodecLoadError(message.format(name=name, manifest=manifest.name) + did_you_mean(name, known))

    def _load(self, file: Path, normalize: bool) -> Codec:
        key = (file, normalize)
        if key not in self._loaded:
            try:
                self._loaded[key] = load_codec_file(file, normalize=normalize)
            except CodecLoadError as error:
                self._loaded[key] = error
        found = self._loaded[key]
        if isinstance(found, CodecLoadError):
            raise CodecLoadError(str(found))
        return found


def load_codec_file(file: Path, *, normalize: bool = False) -> Codec:
    """A codec in either language; raises CodecLoadError, whatever is wrong with it."""
    return load_javascript(file, normalize=normalize) if file.suffix == ".js" else load_codec(file)


def decode_uplink(model: DeviceModel, uplink: Uplink, parameters: Mapping[str, float]) -> Decoded:
    """Measurements, or a fault with its reason. Pure; nothing that a frame or a codec does gets out."""
    if uplink.encrypted:
        return Decoded(fault=Fault(ENCRYPTED, "only the join server's application server has the key"))
    if uplink.f_port == 0 or not uplink.data:
        return _NOTHING
    codec = model.codec
    if codec is None:
        return _decode_object(model, uplink, parameters)
    try:
        context = Context(model.name, uplink.time, parameters, model.defaults)
        with _TIME_LIMIT:
            found = codec.decode(Frame(uplink.data, uplink.f_port), context)
            samples, left_over, missing = map_object(model.plan, found, uplink.time, parameters)
        _check_number(samples)
        if left_over is not None:
            _check_storable(left_over)
    except FrameError as refused:
        return Decoded(fault=Fault(refused.reason, _storable(str(refused.detail))))
    except (Exception, SystemExit, TookTooLongError) as error:
        # whatever a plug-in does: this uplink has a fault, and the others go on
        detail = f"{_storable(f'{type(error).__name__}: {error}')} ({codec.place_of(error)})"
        return Decoded(fault=Fault(CODEC_ERROR, detail))
    if context.missing:
        missing = (*context.missing, *missing)
    return Decoded(samples, left_over, None, missing)


def _storable(detail: str) -> str:
    """What a codec says may be anything: a whole frame, a text with U+0000."""
    return detail[:_LONGEST_DETAIL].replace("\0", "\\0")


def _check_number(samples: Sequence[Sample]) -> None:
    if len(samples) > _MOST_SAMPLES:
        raise ValueError(f"{len(samples)} values from one frame, at most {_MOST_SAMPLES} can be")


def _check_storable(left_over: Mapping[str, Any]) -> None:
    """Raises ValueError, or what the encoder raises."""
    encoded = msgspec.json.encode(left_over)
    if len(encoded) > _LARGEST_OBJECT:
        raise ValueError(
            f"an object of {len(encoded)} bytes from one frame, at most {_LARGEST_OBJECT} can be"
        )
    if b"\\u0000" in encoded:
        raise ValueError("a text with the character U+0000, which cannot be stored: strip it")


def _decode_object(model: DeviceModel, uplink: Uplink, parameters: Mapping[str, float]) -> Decoded:
    """What ChirpStack's codec found, through the same mapping. The whole object is kept: see Decoded."""
    if uplink.object is None:
        detail = f"{model.name} has no codec here, and ChirpStack's device profile decoded nothing"
        return Decoded(fault=Fault(MISSING_OBJECT, detail))
    try:
        mapped = map_object(model.plan, uplink.object, uplink.time, parameters)
        _check_number(mapped.samples)
    except Exception as error:  # an object is as foreign as a frame
        return Decoded(fault=Fault(CODEC_ERROR, f"{type(error).__name__}: {error} (ChirpStack's object)"))
    return Decoded(mapped.samples, uplink.object, None, mapped.missing)
