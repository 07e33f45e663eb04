"""What people have decided and the database keeps: tenants, places, devices, where each was installed. As a file.

Pure: text ↔ ``Inventory``, and the plan that brings one to the other. An entry says what it names; what it leaves out
stays as it is. Nothing is deleted, and history is never rewritten: an installation can be added, and one that goes on
can end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from smartdorf.i18n import gettext as _
from smartdorf.yaml_source import Node, dump_yaml, parse_yaml

FORMAT = 1
_HEAD = """\
# What was entered into smartdorf: for `smartdorf import`, for a copy in git, for whoever comes after.
# An entry says what it names; what it leaves out stays as it is, and nothing is deleted by an import.
"""
_EUI = re.compile(r"[0-9a-f]{16}")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")


class Installed(NamedTuple):
    """``channel`` None: all of the device; ``until`` None: still there."""

    place: str
    channel: int | None
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class PlaceEntry:
    name: str
    type: str
    tenant: str = "village"
    latitude: float | None = None
    longitude: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    model: str
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    installed: tuple[Installed, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    tenants: Mapping[str, str] = field(default_factory=dict)  # name by slug
    places: Mapping[str, PlaceEntry] = field(default_factory=dict)
    devices: Mapping[str, DeviceEntry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """``before`` None: it is new. ``fields``: what differs, as (name, before, after)."""

    kind: str  # tenant, place, device
    key: str
    before: Any
    after: Any
    fields: tuple[tuple[str, Any, Any], ...]


# -- to a file --------------------------------------------------------------------------------------------------


def dump_inventory(inventory: Inventory) -> str:
    """The same text for the same content, one entry a block, so that git shows what has changed."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "tenants": {slug: {"name": name} for slug, name in sorted(inventory.tenants.items())},
        "places": {slug: _place(entry) for slug, entry in sorted(inventory.places.items())},
        "devices": {eui: _device(entry) for eui, entry in sorted(inventory.devices.items())},
    }
    return _HEAD + dump_yaml({key: value for key, value in document.items() if value != {}})


def _place(entry: PlaceEntry) -> dict[str, Any]:
    written = {"name": entry.name, "type": entry.type, "tenant": entry.tenant}
    return {**written, **_given(entry, "latitude", "longitude", "tags", "parameters", "limits")}


def _device(entry: DeviceEntry) -> dict[str, Any]:
    written: dict[str, Any] = {"model": entry.model, **_given(entry, "name", "tags", "parameters", "limits")}
    if entry.installed:
        written["installed"] = [_installed(one) for one in entry.installed]
    return written


def _installed(one: Installed) -> dict[str, Any]:
    written: dict[str, Any] = {"place": one.place}
    if one.channel is not None:
        written["channel"] = one.channel
    written["from"] = _text(one.since)
    if one.until is not None:
        written["to"] = _text(one.until)
    return written


def _given(entry: Any, *names: str) -> dict[str, Any]:
    found = {}
    for name in names:
        value = getattr(entry, name)
        if isinstance(value, Mapping):
            value = dict(sorted(value.items()))
        if value not in (None, {}, ""):
            found[name] = value
    return found


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


# -- from a file ------------------------------------------------------------------------------------------------


class Read(NamedTuple):
    """Each entry's given fields by key, and its node for problems."""

    tenants: dict[str, tuple[dict[str, Any], Node]]
    places: dict[str, tuple[dict[str, Any], Node]]
    devices: dict[str, tuple[dict[str, Any], Node]]
    installed: dict[tuple[str, Installed], Node]
    root: Node


def read_inventory(text: str, name: str) -> Read:
    """What the file says. Mistakes are noted at ``root.source``; nothing is raised."""
    root = parse_yaml(text, name)
    root.check_keys(["format", "tenants", "places", "devices"], ["format"])
    if root["format"].integer(FORMAT) != FORMAT:
        root["format"].problem(_("this smartdorf reads format {format} only").format(format=FORMAT))
    read = Read({}, {}, {}, {}, root)
    for slug, node in root["tenants"].items():
        node.check_keys(["name"], ["name"])
        _check_slug(root["tenants"], slug)
        read.tenants[slug] = {"name": node["name"].text()}, node
    for slug, node in root["places"].items():
        _check_slug(root["places"], slug)
        read.places[slug] = _read_place(node), node
    for key, node in root["devices"].items():
        eui = re.sub(r"[\s:.-]", "", key).lower()
        if not _EUI.fullmatch(eui):
            root["devices"].problem_at(
                key, _('"{text}" is no DevEUI: expected 16 hex digits').format(text=key)
            )
            continue
        if eui in read.devices:
            root["devices"].problem_at(key, _("this device stands here twice"))
        read.devices[eui] = _read_device(eui, node, read.installed), node
    return read


def _check_slug(node: Node, slug: str) -> None:
    if not _SLUG.fullmatch(slug):
        message = _('"{slug}": a short name has lower-case letters, digits and dashes only: glas-kirchplatz')
        node.problem_at(slug, message.format(slug=slug))


def _read_place(node: Node) -> dict[str, Any]:
    node.check_keys(["name", "type", "tenant", "latitude", "longitude", "tags", "parameters", "limits"])
    found: dict[str, Any] = {key: node[key].text() for key in ("name", "type", "tenant") if key in node}
    for key, limit in (("latitude", 90.0), ("longitude", 180.0)):
        if key in node:
            found[key] = node[key].number(0.0)
            if abs(found[key]) > limit:
                node[key].problem(_("expected -{limit:g} to {limit:g}").format(limit=limit))
    return found | _read_mappings(node)


def _read_device(eui: str, node: Node, installed: dict[tuple[str, Installed], Node]) -> dict[str, Any]:
    node.check_keys(["model", "name", "tags", "parameters", "limits", "installed"])
    found: dict[str, Any] = {key: node[key].text() for key in ("model", "name") if key in node}
    if "installed" in node:
        read = [_read_installed(eui, one, installed) for one in node["installed"].elements()]
        found["installed"] = tuple(one for one in read if one is not None)
    return found | _read_mappings(node)


def _read_mappings(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "tags" in node:
        found["tags"] = {key: value.text() for key, value in node["tags"].items()}
    for name in ("parameters", "limits"):
        if name in node:
            found[name] = {key: value.number(0.0) for key, value in node[name].items()}
    return found


def _read_installed(eui: str, node: Node, installed: dict[tuple[str, Installed], Node]) -> Installed | None:
    node.check_keys(["place", "channel", "from", "to"], ["place", "from"])
    since = _read_time(node["from"])
    until = _read_time(node["to"]) if "to" in node else None
    channel = node["channel"].integer() if "channel" in node else None
    if since is None or ("to" in node and until is None):
        return None
    if until is not None and until <= since:
        node["to"].problem(_('"to" is not after "from"'))
    one = Installed(node["place"].text(), channel, since, until)
    installed[eui, one] = node
    return one


def _read_time(node: Node) -> datetime | None:
    text = node.text()
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        if text:
            node.problem(
                _('"{text}" is no time in UTC: expected e.g. 2026-05-01T08:30:00Z').format(text=text)
            )
        return None
    return time.astimezone(UTC)


# -- from the one to the other ------------------------------------------------------------------------------------


def plan_import(current: Inventory, read: Read) -> Iterator[Change]:
    """What has to change so that the database says what the file says. Problems are noted at the file's nodes."""
    tenants = {**current.tenants, **{slug: entry["name"] for slug, (entry, _node) in read.tenants.items()}}
    for slug, name in tenants.items():
        if current.tenants.get(slug) != name:
            yield Change("tenant", slug, current.tenants.get(slug), name, ())
    for slug, (given, node) in read.places.items():
        if (tenant := given.get("tenant", "village")) not in tenants:
            node["tenant"].problem(_('unknown tenant "{slug}"').format(slug=tenant))
        if slug not in current.places and not given.get("type"):
            node.problem(_('"{key}" is missing').format(key="type"))
        before = current.places.get(slug)
        base = before or PlaceEntry(name=slug, type="")
        yield from change_of("place", slug, before, replace(base, **given))
    places = current.places.keys() | read.places.keys()
    for eui, (given, node) in read.devices.items():
        if eui not in current.devices and not given.get("model"):
            node.problem(_('"{key}" is missing').format(key="model"))
        entry = current.devices.get(eui)
        kept = entry.installed if entry else ()
        given["installed"] = _merged(eui, kept, given.get("installed", ()), places, read)
        yield from change_of("device", eui, entry, replace(entry or DeviceEntry(model=""), **given))


def change_of(kind: str, key: str, before: Any, after: Any) -> Iterator[Change]:
    """The change that makes the one the other; nothing where they are the same. ``before`` None: it is new."""
    if before == after:
        return
    fields = tuple(
        (name, getattr(before, name), getattr(after, name))
        for name in after.__slots__
        if before is not None and getattr(before, name) != getattr(after, name)
    )
    yield Change(kind, key, before, after, fields)


def _merged(
    eui: str, kept: tuple[Installed, ...], given: tuple[Installed, ...], places: Any, read: Read
) -> tuple[Installed, ...]:
    known = {one[:3]: one for one in kept}
    for one in given:
        node = read.installed[eui, one]
        if one.place not in places:
            node["place"].problem(_('unknown place "{slug}"').format(slug=one.place))
        before = known.get(one[:3])
        if before is not None and before.until is not None and before.until != one.until:
            message = _("it ended there on {time}; an import does not rewrite what has been")
            node.problem(message.format(time=_text(before.until)))
            continue
        known[one[:3]] = one
    found = tuple(sorted(known.values(), key=lambda one: (one.since, one.channel or -1, one.place)))
    for number, one in enumerate(found):
        for other in found[number + 1 :]:
            if one.channel == other.channel and (one.until is None or one.until > other.since):
                told = read.installed.get((eui, other)) or read.installed.get((eui, one))
                message = _(
                    'it would be at "{place}" and "{other}" at the same time: one needs an end ("to")'
                )
                (told or read.root).problem(message.format(place=one.place, other=other.place))
    return found
