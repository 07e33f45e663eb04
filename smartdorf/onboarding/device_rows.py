"""A list of devices, row by row: which device, which model, where it goes. All mistakes of all rows at once."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple

from smartdorf.decoding.registry import Catalogue
from smartdorf.errors import Problem, did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.model import DeviceInfo
from smartdorf.onboarding.columns import TAG, Columns, plain
from smartdorf.onboarding.identifiers import OUI_DIGITS, WrongIdentifierError, read_dev_eui
from smartdorf.onboarding.sample import EXAMPLES
from smartdorf.onboarding.sheet import Cell, Table
from smartdorf.vocabulary import Parameter

NAMED = 60  # the least score that a model has by its name, and not by the first digits of a DevEUI
# Germany with some room around it: whoever swaps latitude and longitude ends up in the Arabian Sea.
_LATITUDES, _LONGITUDES = (46.0, 56.0), (5.0, 16.0)
_PARAMETER = "parameter:"


class DeviceRow(NamedTuple):
    """``place`` as it is written, a slug or a name; "": not mounted yet. ``cells``: where each field stands."""

    dev_eui: str
    model: str  # vendor/model; "": not said
    name: str
    place: str
    place_name: str
    place_type: str
    village: str
    latitude: float | None
    longitude: float | None
    tags: Mapping[str, str]
    parameters: Mapping[str, float]
    cells: Mapping[str, Cell]


def read_rows(
    table: Table, columns: Columns, catalogue: Catalogue, parameters: Mapping[str, Parameter]
) -> tuple[list[DeviceRow], list[Problem]]:
    """The rows below the header; one with mistakes is left out. ``parameters``: those of all models."""
    reader = _Reader(table, columns, catalogue, parameters)
    below = [row for row in table.rows if row[0].row > columns.header[0].row]
    rows = [found for row in below if (found := reader.read({cell.column: cell for cell in row})) is not None]
    if not below:
        reader.problems.append(table.problem(columns.header[0], _("no row stands below this header")))
    return rows, reader.problems


class _Reader:
    def __init__(
        self,
        table: Table,
        columns: Columns,
        catalogue: Catalogue,
        parameters: Mapping[str, Parameter],
    ) -> None:
        self._table = table
        self._columns = columns
        self._catalogue = catalogue
        self._parameters = parameters
        self._ouis: Collection[str] = {
            oui[:OUI_DIGITS] for model in catalogue.models.values() for oui in model.recognition.oui
        }
        self._seen: dict[str, Cell] = {}
        self.problems: list[Problem] = []

    def read(self, row: Mapping[int, Cell]) -> DeviceRow | None:
        before = len(self.problems)
        cells = {field: row[column] for field, column in self._columns.fields.items() if column in row}
        dev_eui = self._dev_eui(cells.get("dev_eui") or Cell("", min(row.values()).row, 1))

        def text(field: str) -> str:
            return cells[field].text if field in cells else ""

        latitude, longitude = self._coordinates(cells)
        found = DeviceRow(
            dev_eui,
            self._model(cells["model"], dev_eui) if text("model") else "",
            text("name"),
            text("place"),
            text("place_name"),
            text("place_type"),
            text("village"),
            latitude,
            longitude,
            {
                field[len(TAG) :]: cell.text
                for field, cell in cells.items()
                if field.startswith(TAG) and cell.text
            },
            {
                field[len(_PARAMETER) :]: self._parameter(field[len(_PARAMETER) :], cell)
                for field, cell in cells.items()
                if field.startswith(_PARAMETER) and cell.text
            },
            cells,
        )
        return found if len(self.problems) == before else None

    def _note(self, cell: Cell, message: str) -> None:
        self.problems.append(self._table.problem(cell, message))

    def _dev_eui(self, cell: Cell) -> str:
        if not cell.text:
            self._note(cell, _("the DevEUI is missing"))
            return ""
        try:
            dev_eui = read_dev_eui(cell.text, self._ouis)
        except WrongIdentifierError as error:
            self._note(cell, str(error))
            return ""
        if dev_eui in EXAMPLES:
            self._note(cell, _("this is an example of `--sample`: write your own devices instead"))
        first = self._seen.setdefault(dev_eui, cell)
        if first is not cell:
            message = _("{dev_eui} stands in row {row} already")
            self._note(cell, message.format(dev_eui=dev_eui, row=first.row))
        return dev_eui

    def _model(self, cell: Cell, dev_eui: str) -> str:
        """By its name in the catalogue, its label, or what its vendor calls it."""
        models, word = self._catalogue.models, plain(cell.text)
        exact = [
            name
            for name, model in models.items()
            if word
            in map(plain, (name, name.partition("/")[2], *model.label.values(), *model.recognition.profiles))
        ]
        found = exact or self._similar(cell.text, dev_eui)
        if len(found) == 1:
            return found[0]
        if found:
            message = _('"{text}" could be {models}: write one of these')
            self._note(cell, message.format(text=cell.text, models=", ".join(found)))
        else:
            hint = did_you_mean(cell.text.lower(), [*models, *(name.partition("/")[2] for name in models)])
            message = _('unknown model "{model}"').format(model=cell.text)
            self._note(cell, message + (hint or _("; see `smartdorf decoders list`")))
        return ""

    def _similar(self, text: str, dev_eui: str) -> list[str]:
        said = DeviceInfo(dev_eui, device_profile_name=text)
        scores = {name: model.recognition.score(name, said) for name, model in self._catalogue.models.items()}
        best = max(scores.values(), default=0)
        return sorted(name for name, score in scores.items() if score == best >= NAMED)

    def _coordinates(self, cells: Mapping[str, Cell]) -> tuple[float | None, float | None]:
        latitude = self._degrees(cells.get("latitude"), 90.0)
        longitude = self._degrees(cells.get("longitude"), 180.0)
        given = [field for field in ("latitude", "longitude") if field in cells and cells[field].text]
        if len(given) == 1:
            self._note(cells[given[0]], _("latitude and longitude belong together: one of them is missing"))
        if latitude is not None and longitude is not None and _swapped(latitude, longitude):
            message = _(
                "latitude and longitude are swapped: that is not in Germany, {latitude}, {longitude} is"
            )
            self._note(cells["latitude"], message.format(latitude=longitude, longitude=latitude))
        return latitude, longitude

    def _degrees(self, cell: Cell | None, limit: float) -> float | None:
        if cell is None or not cell.text:
            return None
        value = _number(cell.text.strip("° NEO"))
        if value is None or abs(value) > limit:
            message = _('"{text}": expected degrees such as 49.1234')
            self._note(cell, message.format(text=cell.text))
            return None
        return value

    def _parameter(self, name: str, cell: Cell) -> float:
        value, known = _number(cell.text), self._parameters[name]
        if value is None or not known.low <= value <= known.high:
            message = _('{name}: "{text}" cannot be, expected {low:g} to {high:g} {unit}')
            words = {"low": known.low, "high": known.high, "unit": known.unit}
            self._note(cell, message.format(name=name, text=cell.text, **words))
            return 0.0
        return value


def _number(text: str) -> float | None:
    """With a decimal point or comma."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _swapped(latitude: float, longitude: float) -> bool:
    def inside(lat: float, lon: float) -> bool:
        return _LATITUDES[0] <= lat <= _LATITUDES[1] and _LONGITUDES[0] <= lon <= _LONGITUDES[1]

    return inside(longitude, latitude) and not inside(latitude, longitude)
