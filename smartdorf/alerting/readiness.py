"""Whether a rule on trial is ready to tell people: what speaks for it, and what is missing. Pure.

The numbers are our start value, to be corrected by what villages see.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from smartdorf.db.trials import Judged
from smartdorf.i18n import gettext as _
from smartdorf.i18n import ngettext

TRIAL = timedelta(days=14)  # at least
JUDGED = 3  # alerts at least, unless there was none for as long as
QUIET = timedelta(days=28)
FALSE_OF_TEN = 1  # at most
JUDGED_WITHIN = timedelta(days=7)


class Evidence(NamedTuple):
    """What is known of one rule on trial. ``looked_back``: how far its alerts were counted."""

    since: datetime | None  # None: the service has not run with it yet
    found: Judged
    looked_back: timedelta
    watched: int  # sensors at its places, or its devices
    silent: int  # of these


def precision(found: Judged) -> float | None:
    """The part of the true ones; an exercise is neither true nor false."""
    told = found.true + found.false
    return found.true / told if told else None


def shortfalls(evidence: Evidence, now: datetime) -> list[str]:
    """Why it is not ready, in sentences; empty where it is."""
    since, found = evidence.since, evidence.found
    if since is None:
        return [_("The service has not run with it yet.")]
    missing = []
    if not evidence.watched:
        missing.append(_("It watches no sensor."))
    elif evidence.silent == evidence.watched:
        missing.append(_("All its sensors are silent."))
    days = (now - since).days
    if now - since < TRIAL:
        text = ngettext(
            "{days} day on trial, {wanted} are wanted.", "{days} days on trial, {wanted} are wanted.", days
        )
        missing.append(text.format(days=days, wanted=TRIAL.days))
    quiet = not found.alerts and min(evidence.looked_back, now - since) >= QUIET
    if found.judged < JUDGED and not quiet:
        text = ngettext(
            "{judged} alert judged; wanted are {wanted}, or none at all in {days} days.",
            "{judged} alerts judged; wanted are {wanted}, or none at all in {days} days.",
            found.judged,
        )
        missing.append(text.format(judged=found.judged, wanted=JUDGED, days=QUIET.days))
    if found.false * 10 > found.judged * FALSE_OF_TEN:
        text = _("{false} of {judged} judged alerts were false; at most one of ten may be.")
        missing.append(text.format(false=found.false, judged=found.judged))
    if found.oldest_unjudged is not None and now - found.oldest_unjudged > JUDGED_WITHIN:
        text = _(
            "An alert has waited for a verdict for {days} days: `smartdorf alerts list --all --since 4w`."
        )
        missing.append(text.format(days=(now - found.oldest_unjudged).days))
    return missing
