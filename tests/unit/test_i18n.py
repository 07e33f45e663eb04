"""Which language people are spoken to, and where its texts come from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smartdorf import i18n

CATALOGUE = """
msgid ""
msgstr ""
"Language: de\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "unknown key \\"{key}\\""
msgstr "unbekannter Schlüssel „{key}“"

msgid "not yet translated"
msgstr ""

msgid "{n} container"
msgid_plural "{n} containers"
msgstr[0] "{n} Behälter (einer)"
msgstr[1] "{n} Behälter (mehrere)"
"""


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A German catalogue of our own, and the language as it was afterwards."""
    (tmp_path / "de.po").write_text(CATALOGUE, encoding="utf-8")
    monkeypatch.setattr(i18n, "_LOCALE", tmp_path)
    monkeypatch.setattr(i18n, "_current", "en")
    i18n.translations.cache_clear()
    yield
    i18n.translations.cache_clear()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.usefixtures("catalogue")
def test_english_is_the_text_of_the_source() -> None:
    assert i18n.current_language() == "en"
    assert i18n.gettext('unknown key "{key}"') == 'unknown key "{key}"'
    assert i18n.ngettext("{n} container", "{n} containers", 1) == "{n} container"
    assert i18n.ngettext("{n} container", "{n} containers", 2) == "{n} containers"


@pytest.mark.usefixtures("catalogue")
def test_german_comes_from_the_readable_catalogue() -> None:
    i18n.set_language("de")

    assert i18n.current_language() == "de"
    assert i18n.gettext('unknown key "{key}"').format(key="x") == "unbekannter Schlüssel „x“"
    assert i18n.ngettext("{n} container", "{n} containers", 1) == "{n} Behälter (einer)"
    assert i18n.ngettext("{n} container", "{n} containers", 0) == "{n} Behälter (mehrere)"


@pytest.mark.usefixtures("catalogue")
def test_a_text_without_a_translation_stays_english() -> None:
    i18n.set_language("de")

    assert i18n.gettext("not yet translated") == "not yet translated"
    assert i18n.gettext("not even listed") == "not even listed"


@pytest.mark.usefixtures("catalogue")
def test_a_missing_catalogue_leaves_everything_english(tmp_path: Path) -> None:
    (tmp_path / "de.po").unlink()
    i18n.set_language("de")

    assert i18n.gettext('unknown key "{key}"') == 'unknown key "{key}"'


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize("language", ["fr", "", "DE", "de_DE"])
def test_another_language_is_refused_and_changes_nothing(language: str) -> None:
    with pytest.raises(ValueError, match="expected one of de, en"):
        i18n.set_language(language)

    assert i18n.current_language() == "en"


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "de"),
        ({"LANG": "de"}, "de"),
        ({"LANG": "DE_AT"}, "de"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LC_MESSAGES": "de_DE.UTF-8", "LANG": "en_US.UTF-8"}, "de"),
        ({"LC_ALL": "C", "LC_MESSAGES": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_ALL": "", "LANG": "de_DE.UTF-8"}, "de"),  # set but empty counts as unset
    ],
)
def test_the_environment_names_the_language_in_the_usual_order(
    environment: pytest.MonkeyPatch, variables: dict[str, str], language: str
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)

    assert i18n.language_of_environment() == language
