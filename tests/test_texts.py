"""Every text that people read exists in German, with the same placeholders.

``python -m tests.test_texts`` brings ``de.po`` up to date with the code: new texts stand there untranslated, changed
ones as ``fuzzy`` with a guess, and those that the code no longer has are gone.
"""

import ast
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

PACKAGE = Path(__file__).parents[1] / "smartdorf"
GERMAN = PACKAGE / "locale" / "de.po"
LOOKUPS = {"_": 1, "gettext": 1, "ngettext": 2}  # how many texts each is given
ROOT = "SmartdorfError"  # it and its descendants say their docstring where they are given no message
ADVICE = "run `python -m tests.test_texts`, then translate what is empty or fuzzy in de.po"

Text = str | tuple[str, ...]  # several: singular and plural


def source_texts() -> Catalog:
    """All texts of the code, and where they are.

    Read from the syntax tree: Babel's own extraction knows nothing of the docstrings of errors, nor, before
    Python 3.12, of a text inside an f-string.
    """
    catalog = Catalog(charset="utf-8")
    for path, node in nodes():
        if isinstance(node, ast.Call) and (text := text_of(node)):
            catalog.add(text, locations=[(str(path), node.lineno)])
    for path, error in error_classes():
        if docstring := ast.get_docstring(error, clean=False):
            catalog.add(docstring, locations=[(str(path), error.lineno)])
    return catalog


@cache
def nodes() -> list[tuple[Path, ast.AST]]:
    """The syntax of the whole package, each node with its file's path as seen from the project."""
    return [
        (path.relative_to(PACKAGE.parent), node)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
    ]


def text_of(call: ast.Call) -> Text | None:
    """The text that this call looks up in the catalogue; None where it is another call, or has no literal."""
    count = LOOKUPS.get(ast.unparse(call.func).rpartition(".")[2], 0)
    literals = [argument.value for argument in call.args[:count] if isinstance(argument, ast.Constant)]
    if not literals:
        return None
    return literals[0] if count == 1 else tuple(literals)


def error_classes() -> list[tuple[Path, ast.ClassDef]]:
    """The root of all errors and its descendants, however many levels below it and in whichever module."""
    classes = [(path, node) for path, node in nodes() if isinstance(node, ast.ClassDef)]
    family = {ROOT}
    while (
        more := {node.name for _path, node in classes if family & set(map(ast.unparse, node.bases))} - family
    ):
        family |= more
    return [(path, node) for path, node in classes if node.name in family]


def read_german() -> Catalog:
    with GERMAN.open("rb") as file:
        return read_po(file, locale="de")


def refresh() -> None:
    german = read_german()
    german.update(source_texts(), update_creation_date=False)
    with GERMAN.open("wb") as file:
        write_po(file, german, width=0, sort_by_file=True, ignore_obsolete=True, include_lineno=False)


@pytest.fixture(scope="module")
def texts() -> dict[Text, Message]:
    return {message.id: message for message in source_texts() if message.id}


@pytest.fixture(scope="module")
def german() -> dict[Text, Message]:
    return {message.id: message for message in read_german() if message.id}


def forms(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def placeholders(text: str) -> set[tuple[str, str, str]]:
    """Name, conversion and format; how a date is written is up to the language."""
    try:
        fields = list(Formatter().parse(text))
    except ValueError:  # prose about braces, which nobody formats
        return set()
    return {
        (name, conversion or "", "a date" if (spec or "").startswith("%") else spec or "")
        for _literal, name, spec, conversion in fields
        if name is not None and name.isidentifier()  # not what stands in braces of YAML
    }


def test_nothing_is_missing_in_german(texts: dict[Text, Message], german: dict[Text, Message]):
    translated = {
        text for text, message in german.items() if all(forms(message.string)) and not message.fuzzy
    }
    assert sorted(map(str, texts.keys() - translated)) == [], ADVICE


def test_nothing_in_german_is_out_of_use(texts: dict[Text, Message], german: dict[Text, Message]):
    assert sorted(map(str, german.keys() - texts.keys())) == [], ADVICE


def test_translations_keep_the_placeholders(german: dict[Text, Message]):
    for text, message in german.items():
        for form in forms(message.string):
            assert placeholders(form) == placeholders(forms(text)[-1]), text


def test_german_has_german_quotation_marks(german: dict[Text, Message]):
    """Each „ has its “; an English ” or a ‚ without ‘ is a slip."""
    for text, message in german.items():
        for form in forms(message.string):
            assert form.count("„") == form.count("“"), text
            assert "”" not in form, text


def test_no_text_is_an_f_string():
    """It is filled in before it is looked up, and so never found."""
    for path, node in nodes():
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in LOOKUPS:
            assert not isinstance(node.args[0], ast.JoinedStr), f"{path}:{node.lineno}"


def test_messages_of_errors_are_one_sentence_of_one_line():
    """A docstring that goes on would be shown with its indentation."""
    for path, node in error_classes():
        assert "\n" not in (ast.get_docstring(node, clean=False) or ""), f"{path}:{node.lineno}"


if __name__ == "__main__":
    refresh()
