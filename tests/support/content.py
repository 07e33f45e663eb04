"""The shipped decoders with the rules that a test writes, and settings for commands on its database."""

from __future__ import annotations

from pathlib import Path

from smartdorf.config.rules import load_rules
from smartdorf.content import shipped
from smartdorf.decoding.registry import load_catalogue
from smartdorf.ingest.memory import Content
from smartdorf.vocabulary import load_vocabulary
from tests.support.postgres import Database


def content_of(rules: str, folder: Path) -> Content:
    """``rules`` is a rule file's text; it is written into ``folder``."""
    (folder / "rules.yaml").write_text(rules, encoding="utf-8")
    vocabulary = load_vocabulary()
    catalogue = load_catalogue([shipped("decoders")], vocabulary)
    loaded = load_rules([folder], vocabulary)
    assert (catalogue.problems, loaded.problems) == ([], ())
    return Content(vocabulary, catalogue, loaded)


def write_settings(folder: Path, database: Database, more: str = "") -> Path:
    """A smartdorf.toml for ``--config``; ``more`` stands at its end."""
    file = folder / "smartdorf.toml"
    file.write_text(
        f'[database]\ndsn = "{database.dsn}"\nprofile = "{database.profile}"\n'
        f'[[mqtt]]\nname = "own"\nhost = "127.0.0.1"\nclient_id = "test"\n{more}',
        encoding="utf-8",
    )
    return file
