"""Public and school holidays of the village's Land.

Both come from the `holidays` package, school holidays as the KMK (the ministers of education) has published them. A
village adds further years by a file of its own, so that it need not wait for anybody.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from smartdorf.errors import Problem, did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.yaml_source import Node, read_yaml

LANDS = {
    "BB": "Brandenburg",
    "BE": "Berlin",
    "BW": "Baden-Württemberg",
    "BY": "Bayern",
    "HB": "Bremen",
    "HE": "Hessen",
    "HH": "Hamburg",
    "MV": "Mecklenburg-Vorpommern",
    "NI": "Niedersachsen",
    "NW": "Nordrhein-Westfalen",
    "RP": "Rheinland-Pfalz",
    "SH": "Schleswig-Holstein",
    "SL": "Saarland",
    "SN": "Sachsen",
    "ST": "Sachsen-Anhalt",
    "TH": "Thüringen",
}
_SINCE = 2026  # school holidays before that nobody asks for
_LOOK_AHEAD = 20  # years in which the package may know them
_SHORTEST = timedelta(days=365)  # school holidays known for less than this are worth a note
_DAY = re.compile(r"(\d{4}-)?\d\d-\d\d", re.ASCII).fullmatch


class Period(NamedTuple):
    """School holidays, the last day included."""

    first: date
    last: date


@dataclass(frozen=True)
class Calendar:
    """Which days are holidays. Without a Land: those of all of Germany, and no school holidays.

    ``own``: school holidays that the village's files name. From the first to the last day of them nothing else
    counts, so that they also correct.
    """

    land: str | None = None
    catholic: bool = False
    local: frozenset[str] = frozenset()  # "08-08" every year, "2027-06-14" once
    own: tuple[Period, ...] = ()
    problems: tuple[Problem, ...] = ()

    def is_holiday(self, day: date) -> bool:
        return day in self._public or day.isoformat() in self.local or f"{day:%m-%d}" in self.local

    def is_school_holiday(self, day: date) -> bool:
        if self.own and self.own[0].first <= day <= max(period.last for period in self.own):
            return any(period.first <= day <= period.last for period in self.own)
        return day in self._school

    def school_known_until(self, today: date) -> date | None:
        """The last day of the last school holidays that are known; None: none are."""
        known = [period.last for period in self.own]
        if self.land is not None:
            known.extend(_germany(self.land, ["school"], range(_SINCE, today.year + _LOOK_AHEAD)))
        return max(known, default=None)

    @cached_property
    def _public(self) -> Container[date]:
        return _germany(self.land, ["public", "catholic"] if self.catholic else ["public"])

    @cached_property
    def _school(self) -> Container[date]:
        return _germany(self.land, ["school"]) if self.land is not None else ()


def _germany(land: str | None, categories: list[str], years: Iterable[int] = ()) -> dict[date, str]:
    """Knows each year as soon as it is asked for a day of it."""
    from holidays.countries.germany import Germany  # noqa: PLC0415  # takes a third of a second, and few need it

    return Germany(subdiv=land, categories=categories, years=years)


def unknown_land(word: str) -> str | None:
    """What is wrong with the name of a Land; None: nothing."""
    if word in LANDS:
        return None
    message = _('unknown Land "{word}"').format(word=word)
    codes = {name.lower(): code for code, name in LANDS.items()}
    code = codes.get(word.lower()) or (word.upper() if word.upper() in LANDS else None)
    if code is not None:
        return message + _('; did you mean "{word}"?').format(word=code)
    return message + (
        did_you_mean(word.upper(), LANDS) or _("; known are {keys}").format(keys=", ".join(LANDS))
    )


def wrong_date(text: str) -> str | None:
    """What is wrong with a local holiday; None: nothing."""
    match = _DAY(text)
    try:
        date.fromisoformat("" if match is None else text if match[1] else f"2000-{text}")
    except ValueError:
        return _('"{text}" is no day: write "08-08" for every year, "2027-06-14" for one').format(text=text)
    return None


def load_calendar(
    land: str | None, *, catholic: bool, local: Iterable[str], files: Iterable[Path]
) -> Calendar:
    """The calendar of the settings. A broken file is left out and reported."""
    own: list[Period] = []
    problems: list[Problem] = []
    for file in files:
        root = read_yaml(file)
        found = list(_read_periods(root, land))
        problems += root.source.problems
        own += found if not root.source.problems else []
    return Calendar(land, catholic, frozenset(local), tuple(sorted(own)), tuple(problems))


def _read_periods(root: Node, land: str | None) -> Iterator[Period]:
    root.check_keys(["land", "source", "school_holidays"], ["land", "source", "school_holidays"])
    root["source"].text()
    written = root["land"].text()
    if written and (message := unknown_land(written)):
        root["land"].problem(message)
    elif written and written != land:
        message = _("these are holidays of {written}; the settings say [village] land = {land}")
        root["land"].problem(message.format(written=written, land=land or "–"))
    for node in root["school_holidays"].elements():
        node.check_keys(["name", "from", "to"], ["from"])
        node["name"].text()
        first = _day(node["from"])
        last = _day(node["to"]) if "to" in node else first
        if first is None or last is None:
            continue
        if last < first:
            node["to"].problem(_("ends before it begins"))
        yield Period(first, last)


def _day(node: Node) -> date | None:
    text = node.text()
    try:
        return date.fromisoformat(text)
    except ValueError:
        if text:
            node.problem(_("expected a day: 2030-07-29"))
        return None


def school_note(calendar: Calendar, today: date) -> str | None:
    """What whoever asks for school holidays has to know: they are not known, or not for much longer."""
    until = calendar.school_known_until(today)
    if until is not None and until - today > _SHORTEST:
        return None
    if until is not None:
        text = _(
            "no school holiday data for {land} after {day}: from then on no day counts as one; see docs/rules.md"
        )
        return text.format(land=calendar.land or "–", day=until.isoformat())
    return _("no school holidays are known: set [village] land in smartdorf.toml; no day counts as one")
