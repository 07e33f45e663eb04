"""The sentence of an alert: a rule's summary with its placeholders filled in, in both languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from smartdorf.config.durations import SECOND
from smartdorf.config.rule import Rule
from smartdorf.config.terms import Slot
from smartdorf.config.windows import WINDOWS
from smartdorf.config.zones import SHARE
from smartdorf.i18n import LANGUAGES
from smartdorf.vocabulary import number_text, quantity_text

_UNKNOWN = {"de": "unbekannt", "en": "unknown"}
_NO_PLACE = {"de": "noch ohne Ort", "en": "no place yet"}
_NO_DEVICE = {"de": "kein Sensor", "en": "no sensor"}
_SPANS = (  # microseconds from which on a unit is used, its length, and its names: one, several, "since several"
    (72 * 3600 * SECOND, 86_400 * SECOND, {"de": ("Tag", "Tage", "Tagen"), "en": ("day", "days", "days")}),
    (
        2 * 3600 * SECOND,
        3600 * SECOND,
        {"de": ("Stunde", "Stunden", "Stunden"), "en": ("hour", "hours", "hours")},
    ),
    (0, 60 * SECOND, {"de": ("Minute", "Minuten", "Minuten"), "en": ("minute", "minutes", "minutes")}),
)


class Facts(NamedTuple):
    """What the placeholders of one subject stand for. Durations in microseconds; None is unknown."""

    place: str
    device: str
    values: Mapping[str, float | None]
    windows: Mapping[str, tuple[Slot, float | None]]
    limits: Mapping[str, float | None]
    silence: float | None
    stage: Mapping[str, str]  # its name by language
    zones: Sequence[tuple[Slot, float | None, Sequence[float | None]]] = ()  # what it says, and each place
    gateway: str = ""


def summaries(rule: Rule, facts: Facts) -> dict[str, str]:
    """The rule's summary by language; where one is missing, in the other."""
    return {
        language: _fill(rule, rule.summary.get(language) or rule.summary.get("de", ""), facts, language)
        for language in LANGUAGES
    }


def _fill(rule: Rule, template: str, facts: Facts, language: str) -> str:
    words = {
        "place": facts.place or _NO_PLACE[language],
        "device": facts.device or _NO_DEVICE[language],
        "gateway": facts.gateway,
    }
    for name, value in facts.values.items():
        words[name] = (
            _UNKNOWN[language] if value is None else quantity_text(rule.quantities[name], value, language)
        )
    for name, (slot, value) in facts.windows.items():
        words[name] = _UNKNOWN[language] if value is None else window_text(rule, slot, value, language)
    for slot, value, places in reversed(facts.zones):  # of two alike the first in the rule is told
        words |= _zone_words(rule, slot, value, places, language)
    for name, limit in facts.limits.items():
        if limit is not None:
            words[name] = limit_text(rule, name, limit, language)
    words["stage"] = facts.stage.get(language) or facts.stage.get("de", "")
    silence = facts.silence
    words["silent_for"] = (
        _UNKNOWN[language] if silence is None else duration_text(silence, language, since=True)
    )
    return template.format_map(words)


def _zone_words(
    rule: Rule, slot: Slot, value: float | None, places: Sequence[float | None], language: str
) -> dict[str, str]:
    """What a zone says: a share with the number of places behind it, or a quantity."""
    assert slot.zone is not None
    known = [said for said in places if said is not None]
    if slot.zone.is_condition:
        words = {
            "zone_count": number_text(sum(said != 0 for said in known), 0, language),
            "zone_known": number_text(len(known), 0, language),
        }
        if slot.function == "zone_share":
            words["zone_share"] = (
                _UNKNOWN[language] if value is None else quantity_text(SHARE, value, language)
            )
        return words
    inner = slot.zone.sole
    if inner is None:
        return {}
    if value is None:
        return {slot.placeholder: _UNKNOWN[language]}
    if inner.kind == "window":
        return {slot.placeholder: window_text(rule, inner, value, language)}
    return {slot.placeholder: quantity_text(rule.quantities[inner.name], value, language)}


def window_text(rule: Rule, slot: Slot, value: float, language: str) -> str:
    """What a window function said, in its unit."""
    quantity, window = rule.quantities[slot.name], WINDOWS[slot.function]
    if window.unit == "none":
        return number_text(value, 0, language)
    if window.unit == "same" and (window.same_range or not quantity.codes):
        return quantity_text(quantity, value, language)
    # a rate of centimetres an hour would round to nothing with the decimals of a level
    number = number_text(round(value, quantity.decimals + 1), quantity.decimals + 1, language)
    return f"{number}\N{NO-BREAK SPACE}{quantity.unit_label}/h"


def limit_text(rule: Rule, name: str, value: float, language: str) -> str:
    """A limit, in the unit of the quantity that it is compared with."""
    if rule.limits[name].is_duration:
        return duration_text(value, language)
    quantity = next((t.quantity for t in rule.thresholds if t.limit == name), None)
    if quantity is not None:
        return quantity_text(rule.quantities[quantity], value, language)
    return number_text(value, 2 if value % 1 else 0, language)


def duration_text(microseconds: float, language: str, *, since: bool = False) -> str:
    """``26 Stunden``, ``4 Tage``; with ``since`` as it stands behind "seit" and "vor": ``4 Tagen``."""
    for least, length, names in _SPANS:
        if microseconds >= least:
            count = int(microseconds // length)
            one, several, dative = names[language]
            return f"{count}\N{NO-BREAK SPACE}{one if count == 1 else dative if since else several}"
    return duration_text(0, language, since=since)
