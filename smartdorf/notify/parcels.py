"""What goes out in which message: one alert each, until there are too many of one rule, or after an outage. Pure.

The storm brake: of the alerts of one rule that one receiver is to be told of within three minutes, the first five are
told one by one. The rest is gathered for a minute and told in one message; what is critical is not held back, it goes
out at once, together with what is there.

After an outage: what happened long before it was known (``stale``) and still holds is told in one message of all rules,
the critical first, once nothing more of it has come for a few seconds: the last of it comes from the timers, just after
the backlog is read. What is over by then is not told at all.

What belongs to one message is written down before it is handed over, so
that every attempt, also after a crash, tells the same under the same number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from smartdorf.db.outbox import Hush, OutboxRow
from smartdorf.i18n import current_language
from smartdorf.i18n import gettext as _
from smartdorf.local_time import time_text
from smartdorf.notify.message import in_language
from smartdorf.notify.receiver import Notification

ONE_BY_ONE = 5
WITHIN = timedelta(minutes=3)
GATHER = timedelta(minutes=1)  # well below the other: a storm that goes on is still one when this is over
MOST_TOGETHER = 100
CALM = timedelta(seconds=5)  # more than the service needs for its timers after it has caught up
BEGINS = frozenset({"fired", "raised", "returned"})
_WORST_FIRST = {"critical": 0, "warning": 1}

Parcel = tuple[OutboxRow, ...]  # told in one message


def parcels(
    rows: Sequence[OutboxRow], lately: Mapping[tuple[str, str, str], int], now: datetime, limit: int
) -> Iterator[Parcel]:
    """What to hand over now, in the order of ``rows``; what is gathered is left out.

    ``rows`` are those due, at most ``limit``, what was put together side by side. ``lately``: how many a receiver was
    told, by receiver, rule and kind.
    """
    cut = len(rows) == limit
    groups: dict[object, list[OutboxRow]] = {}
    room = dict(lately)
    for row in rows:
        groups.setdefault(_group(row, room), []).append(row)
    for key, group in groups.items():
        if key == rows[-1].summary_id and cut and len(groups) > 1:
            continue  # perhaps not all of it is here
        if isinstance(key, _Outage):
            group.sort(key=lambda row: _WORST_FIRST.get(row.severity, 2))
        if not isinstance(key, tuple) or cut or _is_time(key, group, now):
            yield from (tuple(group[at : at + MOST_TOGETHER]) for at in range(0, len(group), MOST_TOGETHER))


def _group(row: OutboxRow, lately: dict[tuple[str, str, str], int]) -> object:
    """What the row goes out with: its summary's number, itself, or (a tuple) the rest of its rule, or of the outage."""
    if row.summary_id is not None:
        return row.summary_id
    if row.attempts or reason_to_skip(row) is not None:
        return f"alone {row.id}"
    if row.stale and not row.held and row.kind in BEGINS:
        return _Outage(row.receiver)
    key = (row.receiver, row.rule, row.kind)
    lately[key] = lately.get(key, 0) + 1
    return f"alone {row.id}" if lately[key] <= ONE_BY_ONE else (*key, row.stale)


class _Outage(NamedTuple):
    """What one receiver is told after an outage."""

    receiver: str


def _is_time(key: tuple[object, ...], rest: Sequence[OutboxRow], now: datetime) -> bool:
    if isinstance(key, _Outage):  # a hundred do not wait for more, so nothing is put off for ever
        return len(rest) >= MOST_TOGETHER or now - max(row.recorded_at for row in rest) >= CALM
    return any(row.severity == "critical" or now - row.recorded_at >= GATHER for row in rest)


def reason_to_skip(row: OutboxRow) -> str | None:
    """Why this row is not told at all; None where it is."""
    if row.summary_id is not None:
        return None  # was looked at when it was put together
    if row.kind in BEGINS:
        if (row.stale or row.held) and row.resolved_at is not None:
            return _("over before it could be told")
        return _silenced(row.silence) if row.silence is not None else None
    # nobody wants to hear that something is over which they never heard of
    return None if row.told else _("its beginning was not told to this receiver")


def _silenced(silence: Hush) -> str:
    text = _("silenced by {who} until {time}: {reason}")
    time = time_text(silence.until, current_language())
    return text.format(who=silence.created_by, time=time, reason=silence.reason)


def notification(row: OutboxRow, language: str, base_url: str | None) -> Notification:
    """What the receiver is given of one alert."""
    return Notification(
        id=row.id,
        language=language,
        alert_id=row.alert_id,
        rule=row.rule,
        severity=row.severity,
        kind=row.kind,
        title=in_language(row.title, language) or row.rule,
        stage=in_language(row.stage, language),
        summary=in_language(row.summary, language),
        action=in_language(row.action, language),
        place=row.place,
        device=row.device,
        gateway=row.gateway,
        time=row.time,
        since=row.since,
        over_since=row.resolved_at if row.kind != "resolved" else None,
        inputs=row.inputs,
        reason=row.reason or "",
        stale=row.stale,
        labels=row.labels,
        link=f"{base_url.rstrip('/')}/alerts/{row.alert_id}" if base_url else "",
    )


def message_of(parcel: Parcel, number: int, language: str, base_url: str | None) -> Notification:
    """What the receiver is given of all of it. ``number``: of the message, where it tells of several."""
    each = tuple(notification(row, language, base_url) for row in parcel)
    if len(each) == 1:
        return each[0]
    critical = any(entry.severity == "critical" for entry in each)
    kinds = {entry.kind for entry in each}
    return replace(
        each[0],
        id=number,
        kind=each[0].kind if len(kinds) == 1 else "fired",
        severity="critical" if critical else each[0].severity,
        summary="",
        place=", ".join(dict.fromkeys(entry.where for entry in each if entry.where)),
        device="",
        gateway="",
        time=max(entry.time for entry in each),
        since=min(entry.since for entry in each),
        over_since=None,
        inputs=(),
        reason="",
        link="",
        together=each,
    )
