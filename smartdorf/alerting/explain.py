"""Why an alert fired, in one sentence a person understands: from its rule, values, limits and timers. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

from smartdorf.alerting.state import Mark
from smartdorf.alerting.texts import Facts, duration_text, limit_text, window_text
from smartdorf.config.clauses import Clause, Side, clauses, reasons
from smartdorf.config.durations import SECOND
from smartdorf.config.kleene import Slots
from smartdorf.config.rule import Rule, Stage
from smartdorf.config.terms import Slot, ZoneTerm
from smartdorf.config.zones import SHARE
from smartdorf.i18n import LANGUAGES, translations
from smartdorf.local_time import time_text
from smartdorf.vocabulary import Quantity, number_text, quantity_text

CLOCKS = ("silent", "age")
_Text = Callable[[str], str]


def because(rule: Rule, stage: int, facts: Facts, slots: Slots, mark: Mark, at: datetime) -> dict[str, str]:
    """One sentence by language. ``mark``: since when the stage has held, and with how many fresh values."""
    when = next((one for one in rule.stages[stage:] if one.when(slots) is True), rule.stages[stage])
    return {language: _because(rule, when, stage, facts, slots, mark, at, language) for language in LANGUAGES}


def _because(
    rule: Rule,
    when: Stage,
    stage: int,
    facts: Facts,
    slots: Slots,
    mark: Mark,
    at: datetime,
    language: str,
) -> str:
    _ = translations(language).gettext
    words = Words(rule, slots, language)
    found = list(reasons(clauses(rule, when.when.text), slots))
    parts = list(dict.fromkeys(words.past(reason.clause) for reason in found))
    title = rule.title.get(language) or rule.title.get("de", rule.name)
    name = rule.stages[stage].name
    if name:
        title = f"{title} ({name.get(language) or name.get('de', '')})"
    where = facts.place or facts.device
    text = (
        _("{title} at {where} because {reasons}{hold}.") if where else _("{title} because {reasons}{hold}.")
    )
    only_clocks = all(reason.clause.left and _kind(reason.clause.left) in CLOCKS for reason in found)
    return text.format(
        title=title,
        where=where,
        reasons=_(" and ").join(parts),
        hold=_hold_text(rule, mark, at, language, with_time=not only_clocks),
    )


def _hold_text(rule: Rule, mark: Mark, at: datetime, language: str, *, with_time: bool) -> str:
    _ = translations(language).gettext
    readings, duration = rule.hold
    since = time_text(mark.since, language)
    length = duration_text(duration.total_seconds() * SECOND, language)
    if readings > 1 and duration:
        text = _(" in {count} readings and for {duration}, since {since}")
    elif readings > 1:
        text = _(" in {count} readings since {since}")
    elif duration:
        text = _(" for {duration}, since {since}")
    else:
        text, since = (", {since}" if with_time else ""), time_text(at, language)
    return text.format(count=max(mark.readings, readings), duration=length, since=since)


def limits_of(rule: Rule, slots: Slots) -> dict[str, float]:
    """The limits that counted, by name; durations in seconds, as a place has its own."""
    return {
        slot.name: value / SECOND if rule.limits[slot.name].is_duration else value
        for slot, value in zip(rule.slots, slots, strict=True)
        if slot.kind == "limit" and value is not None
    }


class Words:
    """The words for the parts of a rule's conditions, with the values of one moment, in one language."""

    def __init__(self, rule: Rule, slots: Slots, language: str) -> None:
        self._rule = rule
        self._slots = slots
        self.language = language
        self._: _Text = translations(language).gettext

    def past(self, clause: Clause) -> str:
        """``fill level was 85 % (limit full: 80 %)``, to stand behind "because"."""
        _, left, right = self._, clause.left, clause.right
        assert left is not None
        if left.value(self._slots) is None:
            return _("{what} had been so when it was last known").format(what=self.what(left))
        if left.slot is not None and left.slot.function == "stuck":
            text = _("{label} had not changed for {span}")
            return text.format(label=self._label(left.slot), span=self._span(left.slot))
        value = self.value(left)
        if right is None or self.is_state(left):
            return _("{what} was “{value}”").format(what=self.what(left), value=value)
        return self._was(left, value) + self._compared_with(left, right)

    def _was(self, left: Side, value: str) -> str:
        _, kind = self._, _kind(left)
        if kind == "silent":
            return _("no message had come for {value}").format(value=self.value(left, since=True))
        if kind == "age":
            assert left.slot is not None
            text = _("the last value of {label} was {value} old")
            return text.format(label=self._label(left.slot), value=value)
        if kind == "hour":
            return _("it was {value}").format(value=value)
        return _("{what} was {value}").format(what=self.what(left), value=value)

    def _compared_with(self, left: Side, right: Side) -> str:
        _ = self._
        if not right.fixed:
            value = self.value(right) if right.value(self._slots) is not None else _("unknown")
            return _(" ({what}: {value})").format(what=self.what(right), value=value)
        limit = self.value(right, beside=left)
        if _kind(right) == "limit":
            return _(" (limit {name}: {limit})").format(name=right.text, limit=limit)
        return _(" (limit: {limit})").format(limit=limit)

    def is_state(self, side: Side) -> bool:
        """Its value is a word."""
        return side.slot is not None and side.slot.kind == "value" and bool(self._quantity(side.slot).codes)

    def _quantity(self, slot: Slot) -> Quantity:
        return self._rule.quantities[slot.name]

    def _label(self, slot: Slot) -> str:
        return self._quantity(slot).label[self.language]

    def _span(self, slot: Slot) -> str:
        micros: float | None = slot.span
        if slot.limit:
            micros = self._slots[self._rule.slots.index(Slot("limit", slot.limit))]
        return duration_text(micros or 0, self.language)

    def what(self, side: Side) -> str:
        """What was measured or calculated."""
        _, slot = self._, side.slot
        if slot is None or slot.kind == "limit":
            return side.text
        if slot.zone is not None:
            return self._of_zone(slot, slot.zone)
        if slot.kind == "window":
            window = self._of_window(slot, side.text)
            return _("what {what} usually is").format(what=window) if slot.usual else window
        texts = {
            "silent": _("the time since the last message"),
            "hour": _("the time of day"),
            "age": _("the age of {label}"),
            "value": "{label}",
        }
        return texts[slot.kind].format(label=self._label(slot) if slot.name else "")

    def _of_zone(self, slot: Slot, zone: ZoneTerm) -> str:
        """What was asked of the places: a condition as the rule writes it, or a quantity."""
        _ = self._
        what = zone.text
        if zone.sole is not None:
            what = self._label(zone.sole) if zone.sole.kind == "value" else self._of_window(zone.sole, what)
        texts = {
            "zone_share": _("the share of places with “{what}”"),
            "zone_count": _("the number of places with “{what}”"),
            "zone_avg": _("the average of {what} over the places"),
            "zone_min": _("the lowest of all places, {what},"),
            "zone_max": _("the highest of all places, {what},"),
            "zone_sum": _("the sum of {what} over the places"),
        }
        return texts[slot.function].format(what=what)

    def _of_window(self, slot: Slot, text: str) -> str:
        _ = self._
        texts = {
            "avg": _("the average of {label} over {span}"),
            "median": _("the median of {label} over {span}"),
            "min": _("the lowest {label} in {span}"),
            "max": _("the highest {label} in {span}"),
            "sum": _("the sum of {label} over {span}"),
            "count": _("the number of readings of {label} in {span}"),
            "first": _("{label} {span} before"),
            "last": _("{label} at last"),
            "delta": _("the change of {label} in {span}"),
            "rate": _("the change of {label} per hour, over {span},"),
            "stuck": _("that {label} stood still for {span}"),
        }
        return texts.get(slot.function, text).format(label=self._label(slot), span=self._span(slot))

    def value(self, side: Side, *, beside: Side | None = None, since: bool = False) -> str:
        """The side's value, with the unit of what it is compared with where it has none of its own."""
        number, slot = side.value(self._slots), side.slot
        if number is None:
            return self._("unknown")
        if side.top is not None:
            return self._bounded(slot, number, side.top(self._slots))
        is_share = beside is not None and beside.slot is not None and beside.slot.function == "zone_share"
        if is_share:
            return quantity_text(SHARE, number, self.language)
        if slot is not None and slot.kind == "limit":
            return limit_text(self._rule, slot.name, number, self.language)
        if side.is_duration:
            return duration_text(number, self.language, since=since)
        if slot is None and beside is not None:
            slot = beside.slot
        return self._number(slot, number)

    def _bounded(self, slot: Slot | None, least: float, greatest: float | None) -> str:
        """What is certain of a zone some of whose places are unknown."""
        _ = self._
        if greatest is None or greatest == least:
            return self._number(slot, least)
        if math.isinf(least):
            return _("at most {greatest}").format(greatest=self._number(slot, greatest))
        if math.isinf(greatest):
            return _("at least {least}").format(least=self._number(slot, least))
        text = _("between {least} and {greatest}")
        return text.format(least=self._number(slot, least), greatest=self._number(slot, greatest))

    def _number(self, slot: Slot | None, number: float) -> str:
        if slot is not None and slot.kind == "hour":
            return f"{int(number):02}:{int(number % 1 * 60):02}"
        if slot is not None and slot.kind == "value":
            return quantity_text(self._quantity(slot), number, self.language)
        if slot is not None and slot.kind == "window":
            return window_text(self._rule, slot, number, self.language)
        if slot is not None and slot.function == "zone_share":
            return quantity_text(SHARE, number, self.language)
        if slot is not None and slot.zone is not None and slot.zone.sole is not None:
            return self._number(slot.zone.sole, number)
        return number_text(number, 2 if number % 1 else 0, self.language)


def _kind(side: Side) -> str:
    return side.slot.kind if side.slot is not None else ""
