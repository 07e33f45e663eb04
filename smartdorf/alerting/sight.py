"""Which values a place or device is seen by: the newest of each sensor that is, or was last, mounted there."""

from __future__ import annotations

from datetime import datetime

from smartdorf.alerting.bound import Instance
from smartdorf.alerting.memory import Series, View
from smartdorf.alerting.windows import Reading
from smartdorf.alerting.zone_binding import Member

Choice = tuple[Series, Reading]


def is_of(view: View, instance: Instance | Member, series: Series, time: datetime) -> bool:
    """The series told of the instance's place (or device) at that time."""
    if instance.place is None:
        return True
    place = view.rules.directory.place_at(series[0], series[1], time)
    return place is not None and place.id == instance.place.id


def current(view: View, instance: Instance | Member, metric: str, at: datetime) -> list[Choice]:
    """The newest value of each sensor that tells ``metric``; else those of the last that was taken down."""
    if instance.device is not None:
        return list(view.readings(instance.device.id, metric))
    if instance.sole is not None:  # it is there for good, since its only installation
        since = instance.installations[0].valid_from
        return [choice for choice in view.readings(instance.sole, metric) if choice[1][1] >= since]
    found: list[Choice] = []
    former: dict[datetime, list[Choice]] = {}  # by when they were taken down
    for installation in instance.installations:
        for series, reading in view.readings(installation.device_id, metric):
            if not installation.covers(series[1], reading[1]) or not is_of(
                view, instance, series, reading[1]
            ):
                continue
            if installation.valid_to is None or at < installation.valid_to:
                found.append((series, reading))
            else:
                former.setdefault(installation.valid_to, []).append((series, reading))
    return found or (former[max(former)] if former else [])
