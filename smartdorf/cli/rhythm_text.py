"""How often a device reports and when it counts as silent, in a sentence that says why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from smartdorf.config.durations import SECOND
from smartdorf.config.limits import with_numbers
from smartdorf.config.rule import Rule
from smartdorf.i18n import current_language, ngettext
from smartdorf.i18n import gettext as _
from smartdorf.rhythm import DAY, HOUR, MINUTE, Reason, Rhythm
from smartdorf.vocabulary import number_text


def silence_of(
    limits: Mapping[str, float], tags: Mapping[str, str], rhythm: Rhythm, rules: Iterable[Rule]
) -> dict[str, Any]:
    """For programs: the limit, what is known of the device's rhythm, and where the limit comes from.

    ``limits``, ``tags``: the device's own.
    """
    own: dict[str, float] = {}
    for rule in rules:
        if rule.for_each.kind != "device":
            continue
        counts = with_numbers(rule.limits_at(tags), limits)
        own |= {
            name: counts[name].value / SECOND
            for name, limit in rule.limits.items()
            if limit.learned and not counts[name].learned
        }
    return {
        "limit_s": rhythm.limit,
        "because": rhythm.because,
        "kind": rhythm.kind,
        "interval_s": rhythm.interval,
        "longest_s": rhythm.longest,
        "loss": rhythm.loss,
        "gaps": rhythm.gaps,
        "days": rhythm.days,
        "own_limits_s": own,  # of rules, by name: they count instead
    }


def short_text(silence: Mapping[str, Any]) -> str:
    """For a table: when it counts as silent."""
    own = silence["own_limits_s"].values()
    return span_text(min(own)) if own else span_text(silence["limit_s"])


def sentences(silence: Mapping[str, Any]) -> list[str]:
    """For people: what it does, when it counts as silent and why, and its own limits where it has some."""
    said = [_habit(silence), _limit(silence)]
    for name, value in silence["own_limits_s"].items():
        own = _("Its own limit counts instead: {name} = {limit}.")
        said.append(own.format(name=name, limit=span_text(value)))
    return said


def _habit(silence: Mapping[str, Any]) -> str:
    if silence["interval_s"] is None:
        return _("How often it reports is not known yet.")
    habit = {
        "periodic": _("Reports every {interval}"),
        "pauses": _("Reports every {interval}, with pauses"),
        "events": _("Reports irregularly, half of the gaps longer than {interval}"),
    }[silence["kind"]]
    basis = ngettext(
        "median of {gaps} gaps on {days} day, the longest {longest}, {loss} of the frames lost",
        "median of {gaps} gaps on {days} days, the longest {longest}, {loss} of the frames lost",
        silence["days"],
    )
    filled = basis.format(
        gaps=number_text(silence["gaps"], 0, current_language()),
        days=silence["days"],
        longest=span_text(silence["longest_s"]),
        loss=number_text(100 * silence["loss"], 0, current_language()) + "\N{NO-BREAK SPACE}%",
    )
    return f"{habit.format(interval=span_text(silence['interval_s']))} ({filled})."


def _limit(silence: Mapping[str, Any]) -> str:
    text = _("Counts as silent after {limit}: {reason}.")
    return text.format(limit=span_text(silence["limit_s"]), reason=_reasons()[silence["because"]])


def _reasons() -> dict[Reason, str]:
    return {
        "interval": _("so many intervals are not lost by chance"),
        "longest": _("half as long again as the longest gap"),
        "days": _("twice the longest gap of a usual day"),
        "model": _("three times what its model says of itself"),
        "default": _("as long as little is known"),
        "shortest": _("never sooner"),
        "cap": _("never later"),
    }


def span_text(seconds: float) -> str:
    """``52 min``, ``1 h 45 min``, ``3 days 21 h``."""
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * DAY:
        hours, minutes = divmod(round(seconds / MINUTE), 60)
        return " ".join(filter(None, (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "")))
    days, hours = divmod(round(seconds / HOUR), 24)
    text = ngettext("{count} day", "{count} days", days).format(count=days)
    return f"{text} {hours} h" if hours else text
