"""Which column of a list means what: headers of vendors' delivery lists and of German spreadsheets."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from smartdorf.errors import Problem, UsageError, did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.onboarding.sheet import SEARCHED, Cell, Table

# What people call it, without case, umlauts, spaces and punctuation. Vendors' words are those of their delivery lists.
_WORDS: Mapping[str, Sequence[str]] = {
    "dev_eui": ("deveui", "deviceeui", "eui", "lorawandeveui", "geraeteeui", "eui64", "deviceid"),
    "model": (
        "model",
        "modell",
        "typ",
        "type",
        "product",
        "produkt",
        "article",
        "artikel",
        "geraetetyp",
        "sensortyp",
    ),
    "name": ("name", "devicename", "geraetename", "bezeichnung", "sensorname"),
    "serial": ("serial", "serialnumber", "sn", "seriennummer", "serialno", "snr", "fabriknummer"),
    "place": ("place", "ort", "standort", "messstelle", "ortkurzname", "kurzname"),
    "place_name": ("placename", "ortsname", "standortname"),
    "place_type": ("placetype", "ortstyp", "ortsart", "standorttyp", "artdesortes"),
    "latitude": ("latitude", "lat", "breite", "breitengrad", "geographischebreite"),
    "longitude": ("longitude", "lon", "lng", "long", "laenge", "laengengrad", "geographischelaenge"),
    "village": ("village", "tenant", "gemeinde", "ortsteil", "mandant"),
}
# They belong to ChirpStack, and nowhere else.
_SECRETS = frozenset(
    {
        "appkey",
        "nwkkey",
        "applicationkey",
        "networkkey",
        "genappkey",
        "appskey",
        "nwkskey",
        "schluessel",
        "key",
        "otaakey",
    }
)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
TAG = "tag:"


class Columns(NamedTuple):
    """``fields``: by our word (``dev_eui`` …, ``parameter:…``, ``tag:…``), which column. The others: headers."""

    header: Sequence[Cell]
    fields: Mapping[str, int]
    secret: Sequence[str]
    other: Sequence[str]


def plain(text: str) -> str:
    """``Geräte-EUI `` → ``geraeteeui``."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_UMLAUTS)
    return re.sub(r"[\W_]+", "", folded)


def read_mapping(pairs: str) -> dict[str, str]:
    """``dev_eui=Seriennummer 2,model=Artikel`` → by header, the field. Raises UsageError."""
    found = {}
    for pair in pairs.split(","):
        field, equals, header = pair.partition("=")
        field = field.strip()
        if not equals or not header.strip():
            raise UsageError(
                _("--map {pair}: expected e.g. --map dev_eui=EUI,model=Artikel").format(pair=pair)
            )
        if field not in _WORDS and not field.startswith(TAG):
            message = _('--map: there is no field "{field}"').format(field=field)
            known = _("; known are {keys}").format(keys=", ".join([*_WORDS, TAG + "…"]))
            raise UsageError(message + (did_you_mean(field, _WORDS) or known))
        found[plain(header)] = field
    return found


def find_columns(
    table: Table, parameters: Collection[str], mapping: Mapping[str, str]
) -> tuple[Columns | None, list[Problem]]:
    """The row that names a DevEUI column is the header; None where there is none."""
    for row in table.rows[:SEARCHED]:
        fields = [(_field(cell.text, parameters, mapping), cell) for cell in row if cell.text]
        if any(field == "dev_eui" for field, _cell in fields):
            return _columns(table, row, fields, mapping)
    return None, []


def _field(text: str, parameters: Collection[str], mapping: Mapping[str, str]) -> str:
    word = plain(text)
    if word in mapping:
        return mapping[word]
    if text.strip() in parameters:
        return f"parameter:{text.strip()}"
    if text.strip().lower().startswith(TAG):
        return TAG + text.strip()[len(TAG) :].strip()
    if word in _SECRETS:
        return "secret"
    return next((field for field, words in _WORDS.items() if word in words), "")


def _columns(
    table: Table, row: Sequence[Cell], fields: Sequence[tuple[str, Cell]], mapping: Mapping[str, str]
) -> tuple[Columns, list[Problem]]:
    problems: list[Problem] = []
    found: dict[str, int] = {}
    for field, cell in fields:
        if field in ("", "secret"):
            continue
        if field in found:
            message = _('a second column that means "{field}"; say which counts: --map {field}=…')
            problems.append(table.problem(cell, message.format(field=field)))
        found.setdefault(field, cell.column)
    problems += _unused(table, row, mapping)
    secret = [cell.text for field, cell in fields if field == "secret"]
    other = [cell.text for field, cell in fields if not field]
    return Columns(row, found, secret, other), problems


def _unused(table: Table, row: Sequence[Cell], mapping: Mapping[str, str]) -> Iterator[Problem]:
    there = {plain(cell.text): cell.text for cell in row}
    for word, field in mapping.items():
        if word not in there:
            message = _("--map {field}=…: there is no such column").format(field=field)
            yield table.problem(row[0], message + did_you_mean(word, there))
