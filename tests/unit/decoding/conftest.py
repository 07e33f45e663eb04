"""A manifest in a folder of its own, from text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smartdorf.decoding.manifest import DeviceModel
from smartdorf.decoding.registry import Catalogue, load_catalogue
from smartdorf.vocabulary import load_vocabulary

HEAD = """\
vendor: acme
model: one
name: {de: Eins, en: One}
category: water
documentation: https://example.org/one.pdf
device_profile: {region: EU868, mac_version: "1.0.3", class: A, uplink_interval: 20m}
proof: datasheet
"""
CODEC = "def decode(frame, context):\n    return {}\n"

Loader = Callable[..., Catalogue]


@pytest.fixture
def load(tmp_path: Path) -> Loader:
    """``load(body, codec)``: the catalogue of one manifest; ``head=""`` where the body has all."""

    def load_text(body: str, codec: str | None = None, *, head: str = HEAD) -> Catalogue:
        folder = tmp_path / "decoders" / "acme"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "one.yaml").write_text(head + body, encoding="utf-8")
        if codec is not None:
            (folder / "one.py").write_text(codec, encoding="utf-8")
        return load_catalogue([tmp_path / "decoders"], load_vocabulary())

    return load_text


@pytest.fixture
def model(load: Loader) -> Callable[..., DeviceModel]:
    """The same, where the manifest is right."""

    def load_model(body: str, codec: str | None = None) -> DeviceModel:
        catalogue = load(body, codec)
        assert catalogue.problems == []
        return catalogue.models["acme/one"]

    return load_model
