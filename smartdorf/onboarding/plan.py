"""From a list of devices to the changes of the inventory. Pure. Nothing is taken away, nothing moves by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from smartdorf.decoding.registry import Catalogue
from smartdorf.errors import Problem, did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.inventory import Change, DeviceEntry, Installed, Inventory, PlaceEntry, change_of
from smartdorf.model import DeviceInfo
from smartdorf.onboarding.columns import plain
from smartdorf.onboarding.device_rows import DeviceRow
from smartdorf.onboarding.sheet import Cell, Table

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


class DevicePlan(NamedTuple):
    """``needs``: parameters that are still missing, and the rows, by model and parameter."""

    changes: Sequence[Change]
    problems: Sequence[Problem]
    needs: Mapping[tuple[str, str], Sequence[int]]


def plan_devices(
    table: Table,
    rows: Sequence[DeviceRow],
    current: Inventory,
    catalogue: Catalogue,
    started: Mapping[str, datetime],
    now: datetime,
) -> DevicePlan:
    """``started``: the first uplink of devices that are nowhere yet; they have been there since."""
    planner = _Planner(table, current, catalogue, started, now)
    for row in rows:
        planner.add(row)
    changes = [
        *(
            one
            for slug, entry in planner.places.items()
            for one in change_of("place", slug, current.places.get(slug), entry)
        ),
        *(
            one
            for eui, entry in planner.devices.items()
            for one in change_of("device", eui, current.devices.get(eui), entry)
        ),
    ]
    return DevicePlan(changes, planner.problems, planner.needs)


class _Planner:
    def __init__(
        self,
        table: Table,
        current: Inventory,
        catalogue: Catalogue,
        started: Mapping[str, datetime],
        now: datetime,
    ) -> None:
        self._table = table
        self._current = current
        self._catalogue = catalogue
        self._started = started
        self._now = now
        self._slugs = {plain(entry.name): slug for slug, entry in current.places.items()}
        self.places: dict[str, PlaceEntry] = {}
        self.devices: dict[str, DeviceEntry] = {}
        self.problems: list[Problem] = []
        self.needs: dict[tuple[str, str], list[int]] = {}

    def add(self, row: DeviceRow) -> None:
        before = len(self.problems)
        known = self._current.devices.get(row.dev_eui)
        model = row.model or (known.model if known is not None else "") or self._recognised(row)
        slug = self._place(row) if row.place else ""
        installed = known.installed if known is not None else ()
        if slug:
            installed = self._installed(row, slug, installed)
        if len(self.problems) > before:
            return
        given: dict[str, Any] = {"name": row.name} if row.name else {}
        entry = replace(known or DeviceEntry(model), model=model, installed=installed, **given)
        if not row.place:  # what is known of the place goes with the device until it has one
            entry = replace(
                entry, tags={**entry.tags, **row.tags}, parameters={**entry.parameters, **row.parameters}
            )
        self.devices[row.dev_eui] = entry
        self._ask(row, model, entry, slug)

    def _problem(self, cell: Cell, message: str) -> None:
        self.problems.append(self._table.problem(cell, message))

    def _recognised(self, row: DeviceRow) -> str:
        found = self._catalogue.recognise(DeviceInfo(row.dev_eui))
        if len(found) == 1:
            return found[0]
        message = _("which model is it? Write it into a column Modell")
        if found:
            message += _(" (by its DevEUI it could be {models})").format(models=_some(found))
        self._problem(row.cells["dev_eui"], message)
        return ""

    def _place(self, row: DeviceRow) -> str:
        """The slug; its entry stands in ``places`` if anything of it is new."""
        slug = self._slug(row)
        known = self.places.get(slug) or self._current.places.get(slug)
        if known is None and not row.place_type:
            message = _(
                'there is no place "{place}" yet: write what it is (container, parking_bay …) into a column Ortsart'
            )
            hint = did_you_mean(slug, self._current.places)
            self._problem(row.cells["place"], message.format(place=row.place) + hint)
            return ""
        if known is not None and row.place_type and row.place_type != known.type:
            message = _('"{place}" is a {known}, not a {type}')
            words = {"place": slug, "known": known.type, "type": row.place_type}
            self._problem(row.cells["place_type"], message.format(**words))
            return ""
        if row.village and row.village not in self._current.tenants:
            message = _('unknown tenant "{slug}"').format(slug=row.village)
            self._problem(row.cells["village"], message + did_you_mean(row.village, self._current.tenants))
            return ""
        base = known or PlaceEntry(name=row.place_name or row.place, type=row.place_type)
        given: dict[str, Any] = {}
        if row.place_name:
            given["name"] = row.place_name
        if row.village:
            given["tenant"] = row.village
        if row.latitude is not None and row.longitude is not None:
            given |= {"latitude": row.latitude, "longitude": row.longitude}
        self.places[slug] = replace(
            base, tags={**base.tags, **row.tags}, parameters={**base.parameters, **row.parameters}, **given
        )
        self._slugs.setdefault(plain(self.places[slug].name), slug)
        return slug

    def _slug(self, row: DeviceRow) -> str:
        if row.place in self._current.places or row.place in self.places:
            return row.place
        return self._slugs.get(plain(row.place)) or slug_of(row.place)

    def _installed(
        self, row: DeviceRow, slug: str, installed: tuple[Installed, ...]
    ) -> tuple[Installed, ...]:
        here = [one for one in installed if one.until is None]
        if any(one.place == slug for one in here):
            return installed
        if here:
            message = _(
                'it is at "{place}" since {time:%Y-%m-%d}; if it was moved: devices add {dev_eui} --place {slug}'
            )
            words = {"place": here[0].place, "time": here[0].since, "dev_eui": row.dev_eui, "slug": slug}
            self._problem(row.cells["place"], message.format(**words))
            return installed
        since = self._now if installed else self._started.get(row.dev_eui, self._now)
        return (*installed, Installed(slug, None, since, None))

    def _ask(self, row: DeviceRow, model: str, entry: DeviceEntry, slug: str) -> None:
        place = self.places.get(slug) or self._current.places.get(slug)
        given = entry.parameters.keys() | (place.parameters.keys() if place is not None else set())
        for parameter in self._catalogue.models[model].parameters.values():
            if parameter.required and parameter.name not in given:
                self.needs.setdefault((model, parameter.name), []).append(row.cells["dev_eui"].row)


def slug_of(text: str) -> str:
    """``Glas Kirchplatz (Süd)`` → ``glas-kirchplatz-sued``."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold().translate(_UMLAUTS)).strip("-")


def _some(names: Iterable[str], most: int = 5) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (", …" if len(listed) > most else "")
