"""What can go wrong, said as advice. A class's docstring is its message where none is given."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from smartdorf.i18n import gettext as _


class SmartdorfError(Exception):
    """Something in smartdorf failed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or _(self.__doc__ or ""))


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a file that a person wrote: where it is, what is wrong, what to do.

    ``line`` and ``column`` count from 1; 0 means that the whole file is meant.
    """

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        if self.line == 0:
            return f"{self.file}: {self.message}"
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ContentError(SmartdorfError):
    """Files that people wrote have mistakes; all of them at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SettingsError(ContentError):
    """smartdorf.toml has mistakes."""


class NotFoundError(SmartdorfError):
    """There is no such thing."""


class UsageError(SmartdorfError):
    """The command was asked for something that cannot be done."""


class DatabaseUnavailableError(SmartdorfError):
    """The database cannot be reached; nothing was acknowledged, and the work is tried again."""


class DataRejectedError(SmartdorfError):
    """The database refused a value (SQLSTATE class 22 or 23)."""


class SchemaError(SmartdorfError):
    """The database's schema does not fit this version: run `smartdorf db migrate`."""


class AlreadyRunningError(SmartdorfError):
    """Another instance is the writer of this database."""


def lacking_rights(error: Exception) -> str:
    """What to do where the database user may not do what smartdorf has to do."""
    message = _(
        "The database user lacks rights ({error}): let it own the database, ALTER DATABASE … OWNER TO …."
    )
    return message.format(error=str(error).strip().split("\n")[0])


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean "x"?`` where something close is known, else nothing: made to end a sentence."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return _('; did you mean "{word}"?').format(word=close[0]) if close else ""
