"""Every text that people read exists in German, with the same placeholders."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

PACKAGE = Path(__file__).parents[1] / "smartdorf"
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2)}


def source_texts() -> set[str | tuple[str, ...]]:
    """Texts in the code, and the docstrings of error classes, which are their messages."""
    found = {
        message
        for _file, _line, message, _comments, _context in extract_from_dir(
            PACKAGE, method_map=[("**.py", "python")], keywords=KEYWORDS
        )
    }
    for path in PACKAGE.rglob("*.py"):
        found |= set(re.findall(r'^class \w+Error\(\w+\):\n    """(.+?)"""$', path.read_text(), re.MULTILINE))
    return found


@pytest.fixture(scope="module")
def german() -> Catalog:
    with (PACKAGE / "locale" / "de.po").open("rb") as file:
        return read_po(file, locale="de")


def texts(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string)


def test_nothing_is_missing_in_german(german: Catalog):
    translated = {
        message.id for message in german if message.id and all(texts(message)) and not message.fuzzy
    }
    assert sorted(map(str, source_texts() - translated)) == []


def test_nothing_in_german_is_out_of_use(german: Catalog):
    assert (
        sorted(str(message.id) for message in german if message.id and message.id not in source_texts()) == []
    )


def test_translations_keep_the_placeholders(german: Catalog):
    def placeholders(text: str) -> set[str]:
        return set(re.findall(r"(?<!{)\{(\w*)", text))

    for message in german:
        if message.id:
            source = message.id if isinstance(message.id, str) else message.id[-1]
            for text in texts(message):
                assert placeholders(text) == placeholders(source), source
