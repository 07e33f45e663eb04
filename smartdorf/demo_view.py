"""The demo on a terminal: uplinks per second, places with their latest values and age, alerts, who was told.

Only reads and draws; ``demo.py`` makes it happen.
"""

from __future__ import annotations

import time
from collections import deque
from datetime import datetime
from itertools import zip_longest
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from smartdorf.db.overview import (
    AlertLine,
    LatestOfPlace,
    fetch_counts,
    fetch_latest_of_places,
    fetch_newest_alerts,
)
from smartdorf.demo import SPEED, Demo
from smartdorf.i18n import current_language, ngettext
from smartdorf.i18n import gettext as _
from smartdorf.local_time import ZONE
from smartdorf.vocabulary import Vocabulary, load_vocabulary, quantity_text

RATE_WINDOW = 5.0  # seconds
# What a place is about: shown where it has it, in this order, two at most.
SHOWN = (
    "parking_occupied",
    "fill_level_pct",
    "water_level_m",
    "water_leak",
    "water_volume_m3",
    "air_temperature_c",
    "air_humidity_pct",
    "battery_pct",
    "battery_v",
)
FRAME = 15  # lines of the screen that are neither alerts nor messages nor places
STYLES = {"info": "blue", "warning": "yellow", "critical": "bold red"}


class View:
    """Draws one picture after another of a running demo."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self._vocabulary: Vocabulary = load_vocabulary()
        self._handled = deque([(time.monotonic(), demo.handled)])

    async def draw(self, height: int) -> RenderableType:
        """A picture of at most ``height`` lines, of which each part has its share."""
        demo, now = self._demo, self._demo.clock.now()
        share = _share(height - FRAME)
        counts = await fetch_counts(demo.pool)
        alerts = await fetch_newest_alerts(demo.pool, share.alerts)
        places = _chosen(await fetch_latest_of_places(demo.pool), share.places)
        return Group(
            self._head(now, counts),
            self._alerts(alerts),
            self._told(share.messages),
            self._places(places, now),
        )

    async def line(self) -> str:
        """One line instead of a picture, where the output is no terminal."""
        counts = await fetch_counts(self._demo.pool)
        text = _("{time}  {stored} uplinks stored, {rate:.0f}/s, {fired} alerts fired, {resolved} resolved")
        return text.format(
            time=_clock(self._demo.clock.now()),
            stored=counts["stored"],
            rate=self._rate(),
            fired=counts["alerts_fired"],
            resolved=counts["alerts_resolved"],
        )

    def _rate(self) -> float:
        now = time.monotonic()
        self._handled.append((now, self._demo.handled))
        while len(self._handled) > 2 and now - self._handled[0][0] > RATE_WINDOW:
            self._handled.popleft()
        (begin, first), (end, last) = self._handled[0], self._handled[-1]
        return (last - first) / (end - begin) if end > begin else 0.0

    def _head(self, now: datetime, counts: dict[str, object]) -> RenderableType:
        title = _("smartdorf demo · {time} · {speed} times as fast as life")
        rejected = counts["quarantined"]
        assert isinstance(rejected, dict)
        text = _("{rate:.0f} uplinks/s · {stored} stored · {rejected} in quarantine · {gaps} frames missing")
        line = text.format(
            rate=self._rate(),
            stored=counts["stored"],
            rejected=sum(rejected.values()),
            gaps=counts["frame_gaps"],
        )
        return Panel(
            Text(line),
            title=title.format(time=_clock(now), speed=SPEED),
            subtitle=_("Ctrl-C ends"),
            box=box.ROUNDED,
        )

    def _places(self, places: dict[str, list[LatestOfPlace]], now: datetime) -> RenderableType:
        columns = (
            Column(_("place"), no_wrap=True),
            Column(_("latest values"), ratio=1, no_wrap=True, overflow="ellipsis"),
            Column(_("age"), no_wrap=True),
        )
        table = Table(*columns, box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
        for values in places.values():
            shown = sorted(values, key=lambda value: SHOWN.index(value.metric))[:2]
            words = ", ".join(self._reading(value) for value in shown)
            table.add_row(values[0].name, words, _age((now - max(v.time for v in values)).total_seconds()))
        return table

    def _reading(self, value: LatestOfPlace) -> str:
        quantity = self._vocabulary[value.metric]
        return (
            f"{quantity.label[current_language()]} {quantity_text(quantity, value.value, current_language())}"
        )

    def _alerts(self, alerts: list[AlertLine]) -> RenderableType:
        table = _table(_("alerts"))
        for alert in alerts:
            over = alert.resolved_at is not None
            text = Text(alert.summary[current_language()], style="dim" if over else STYLES[alert.severity])
            state = (
                _("over since {time}").format(time=_clock(alert.resolved_at))
                if alert.resolved_at
                else _("open")
            )
            table.add_row(_clock(alert.fired_at), text, state)
        if not alerts:
            table.add_row("", _("none yet"), "")
        return table

    def _told(self, count: int) -> RenderableType:
        table = _table(_("told"))
        for message in list(self._demo.told)[:count]:
            title = f"{message.title} ({message.stage})" if message.stage else message.title
            words = _("over: {title}").format(title=title) if message.kind == "resolved" else title
            table.add_row(_clock(message.time), words, message.where)
        return table


class Share(NamedTuple):
    """How many lines each part of the picture has."""

    alerts: int
    messages: int
    places: int


def _share(lines: int) -> Share:
    """A third for alerts, a fifth for messages, as many as are of use; places have the rest, and two at least."""
    alerts, messages = min(6, max(2, lines // 3)), min(4, max(1, lines // 5))
    return Share(alerts, messages, max(2, lines - alerts - messages))


def _table(title: str) -> Table:
    """A time, what happened (cut where the terminal is narrow), and a word more."""
    columns = (
        Column(title, no_wrap=True, min_width=12),
        Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        Column(no_wrap=True, max_width=28, overflow="ellipsis"),
    )
    return Table(*columns, box=box.SIMPLE_HEAD, expand=True, pad_edge=False)


def _chosen(latest: list[LatestOfPlace], count: int) -> dict[str, list[LatestOfPlace]]:
    """Some places of each type, always the same ones, with what they are about."""
    places: dict[str, list[LatestOfPlace]] = {}
    for value in latest:
        if value.metric in SHOWN:
            places.setdefault(value.slug, []).append(value)
    by_type: dict[str, list[str]] = {}
    for slug, values in places.items():
        by_type.setdefault(values[0].place_type, []).append(slug)
    in_turns = [slug for turn in zip_longest(*by_type.values()) for slug in turn if slug is not None]
    return {
        slug: places[slug] for slug in sorted(in_turns[:count], key=lambda s: (places[s][0].place_type, s))
    }


def _clock(at: datetime) -> str:
    return f"{at.astimezone(ZoneInfo(ZONE)):%d.%m. %H:%M}"


def _age(seconds: float) -> str:
    minutes = max(0, round(seconds / 60))
    if minutes < 120:
        return ngettext("{n} minute", "{n} minutes", minutes).format(n=minutes)
    hours = round(minutes / 60)
    return ngettext("{n} hour", "{n} hours", hours).format(n=hours)
