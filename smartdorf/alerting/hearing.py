"""Which gateways hear what: when each was last heard of, how long its pauses usually are, and who hears which device.

**How long a gateway may be silent without anybody missing it** is learned from its own pauses. A plain multiple of
the usual (median) pause would not do: by day a gateway hears a parking sensor every few seconds, at night none for
hours, and it would be missed every night. So of each day the longest pause is kept, and the second longest of the last
two weeks counts, twice: nights and weekends are in it, one outage is not. A gateway that was heard on fewer than four
days is not judged (the first and the last are not whole): often it is a foreign one that heard us once, by chance.

Our own gateways say every half minute that they work (ChirpStack's ``stats``); that is kept apart from what they hear.
While we did not listen we could not hear it, so their silence counts from when we listen again.

An uplink costs next to nothing, and a restart finds the same: the last reception of a gateway is noted to the minute,
who hears a device every three hours, in memory as in the database (tables gateway, hearing, gateway_pause).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

REMEMBERED = timedelta(days=7)  # before a device's last message: who has heard it since then
NOTED_EVERY = timedelta(hours=3)
EXACT_TO = timedelta(minutes=1)
OUT_OF_SERVICE = timedelta(days=30)  # a gateway that is silent for longer was taken away
LEARNED_FROM = 14  # days
LEAST_DAYS = 4
TIMES_USUAL = 2
_SHORT = timedelta(minutes=10)  # a shorter pause tells nothing


class Hearing:
    """What is known: ``last`` reception by gateway; ``pairs``: of each device, the gateways and when that was noted;
    ``pauses``: of each gateway, by day (ordinal) the longest that ended on it; ``told``: when one of our own last said
    that it works; ``since``: when we began to listen after a break."""

    __slots__ = ("last", "pairs", "pauses", "since", "told")

    def __init__(
        self,
        last: Mapping[int, datetime] | None = None,
        pairs: Mapping[tuple[int, int], datetime] | None = None,
        pauses: Mapping[tuple[int, int], timedelta] | None = None,
        told: Mapping[int, datetime] | None = None,
        since: datetime | None = None,
    ) -> None:
        self.last = dict(last or {})
        self.told = dict(told or {})
        self.since = since
        self.pairs: dict[int, dict[int, datetime]] = {}
        self.pauses: dict[int, dict[int, timedelta]] = {}
        for (device_id, gateway_id), time in (pairs or {}).items():
            self.pairs.setdefault(device_id, {})[gateway_id] = time
        for (gateway_id, day), pause in (pauses or {}).items():
            self.pauses.setdefault(gateway_id, {})[day] = pause

    def apply(self, changes: Listening) -> None:
        self.last.update(changes.last)
        self.told.update(changes.told)
        for (device_id, gateway_id), time in changes.pairs.items():
            pairs = self.pairs.setdefault(device_id, {})
            pairs[gateway_id] = time
            if len(pairs) > 1:
                for other in [o for o, noted in pairs.items() if time - noted > REMEMBERED + NOTED_EVERY]:
                    del pairs[other]
        for (gateway_id, day), pause in changes.pauses.items():
            pauses = self.pauses.setdefault(gateway_id, {})
            pauses[day] = pause
            for old in [other for other in pauses if other <= day - LEARNED_FROM]:
                del pauses[old]


class Listening:
    """What one evaluation adds to it. Most receptions add nothing."""

    __slots__ = ("known", "last", "pairs", "pauses", "told")

    def __init__(self, known: Hearing) -> None:
        self.known = known
        self.last: dict[int, datetime] = {}
        self.pairs: dict[tuple[int, int], datetime] = {}  # device, gateway
        self.pauses: dict[tuple[int, int], timedelta] = {}  # gateway, day
        self.told: dict[int, datetime] = {}

    def hear(self, device_id: int, gateways: Iterable[int], time: datetime) -> list[int]:
        """These gateways have heard the device; returns those of which that is news."""
        known, pairs = self.known.last, self.known.pairs.get(device_id, {})
        newer: list[int] = []
        for gateway_id in gateways:
            noted = pairs.get(gateway_id)
            if noted is None or time - noted >= NOTED_EVERY:
                self._note(device_id, gateway_id, time)
            last = self.last.get(gateway_id) or known.get(gateway_id)
            if last is None or time - last >= EXACT_TO:
                self.last[gateway_id] = time
                self._pause(gateway_id, time - (last or time), time.toordinal())
                newer.append(gateway_id)
        return newer

    def _note(self, device_id: int, gateway_id: int, time: datetime) -> None:
        noted = self.pairs.get((device_id, gateway_id))
        if noted is None or time - noted >= NOTED_EVERY:
            self.pairs[device_id, gateway_id] = time

    def _pause(self, gateway_id: int, pause: timedelta, day: int) -> None:
        longest = self.pauses.get((gateway_id, day)) or self.known.pauses.get(gateway_id, {}).get(day)
        if longest is None or pause > max(longest, _SHORT):
            self.pauses[gateway_id, day] = pause

    def tell(self, gateway_id: int, time: datetime) -> bool:
        """The gateway says that it works; returns whether that is news."""
        last = self.told.get(gateway_id) or self.known.told.get(gateway_id)
        is_news = last is None or time - last >= EXACT_TO
        if is_news:
            self.told[gateway_id] = time
        return is_news

    def told_by(self, gateway_id: int) -> datetime | None:
        """When it last said that it works, or could first have been heard saying so."""
        told, since = self.told.get(gateway_id) or self.known.told.get(gateway_id), self.known.since
        if told is None or since is None or since - told > OUT_OF_SERVICE:
            return told
        return max(told, since)

    def last_of(self, gateway_id: int) -> datetime | None:
        """When it last heard anything."""
        return self.last.get(gateway_id) or self.known.last.get(gateway_id)

    def usual(self, gateway_id: int) -> timedelta | None:
        """How long a silence of it is nothing unusual; None: too little is known of it."""
        last = self.last_of(gateway_id)
        if last is None:
            return None
        pauses = dict(self.known.pauses.get(gateway_id, {}))
        pauses.update((day, pause) for (other, day), pause in self.pauses.items() if other == gateway_id)
        lately = sorted(pause for day, pause in pauses.items() if day > last.toordinal() - LEARNED_FROM)
        return TIMES_USUAL * lately[-2] if len(lately) >= LEAST_DAYS else None

    def of_device(self, device_id: int, heard: datetime | None) -> list[int]:
        """The gateways that have heard it lately. ``heard``: its last message."""
        pairs = self.known.pairs.get(device_id, {})
        found = {gateway_id: time for (other, gateway_id), time in self.pairs.items() if other == device_id}
        since = heard - REMEMBERED if heard is not None else None
        return [g for g, time in {**pairs, **found}.items() if since is None or time > since]
