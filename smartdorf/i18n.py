"""German and English texts through gettext catalogues.

Owns: which language this process speaks and the loading of ``locale/<language>.po``. The readable ``.po``
file is the only artefact: it is compiled in memory at start, so no binary catalogue can go stale.

Use ``_("…{name}…").format(name=…)``; never an f-string inside ``_()``, its text could not be looked up.
"""

import gettext as _gettext
import io
import os
from functools import cache
from pathlib import Path

LANGUAGES = ("de", "en")
_LOCALE = Path(__file__).parent / "locale"
_current = "en"


@cache
def translations(language: str) -> _gettext.NullTranslations:
    """The catalogue of one language; the source texts are English, so ``en`` needs none."""
    po = _LOCALE / f"{language}.po"
    if language == "en" or not po.exists():
        return _gettext.NullTranslations()
    # imported here: a process that speaks English never pays for it
    from babel.messages.mofile import write_mo  # noqa: PLC0415
    from babel.messages.pofile import read_po  # noqa: PLC0415

    compiled = io.BytesIO()
    with po.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return _gettext.GNUTranslations(compiled)


def set_language(language: str) -> None:
    """Make ``language`` (``de`` or ``en``) the language of this process."""
    global _current  # noqa: PLW0603 - one process speaks one language; set once at start
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}; expected one of {', '.join(LANGUAGES)}")
    _current = language


def language_of_environment() -> str:
    """``de`` where the environment (LC_ALL, LC_MESSAGES, LANG) asks for German, else ``en``."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "de" if value.lower().startswith("de") else "en"
    return "en"


def current_language() -> str:
    return _current


def gettext(message: str) -> str:
    # the empty message is the catalogue's header
    return translations(_current).gettext(message) if message else ""


def ngettext(singular: str, plural: str, n: int) -> str:
    return translations(_current).ngettext(singular, plural, n)
