"""What was published, message by message, and what a correct service makes of it: the judge of the acceptance tests.

Expectations come from the simulator's ledger and from the published bytes, never from smartdorf's own reading of them.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import isclose
from typing import Any
from uuid import UUID

import asyncpg
from chirpstack_api import integration
from google.protobuf import json_format

from smartdorf.db import directory
from smartdorf.db.pool import connected
from smartdorf.simulate import Faults, Ledger, Message, Village, simulate
from tests.support.postgres import Database
from tests.support.service import until


@dataclass(frozen=True)
class Sent:
    """One uplink as it must stand in the database."""

    dev_eui: str
    dev_addr: str
    f_cnt: int
    f_port: int
    data: bytes
    time: datetime
    reported_time: datetime | None
    status: str
    gateways: frozenset[str]


@dataclass
class Traffic:
    """Uplinks that were published, by deduplicationId; ``record`` and ``simulated`` note them on their way."""

    ledger: Ledger = field(default_factory=Ledger)
    uplinks: dict[UUID, Sent] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)

    def simulated(self, village: Village, faults: Faults, *, seed: int, count: int) -> Iterator[Message]:
        """Messages of the village until ``count`` uplinks have been published."""
        counts = _counts(self.ledger)
        for message in simulate(village, faults, seed=seed, encoding="mixed", ledger=self.ledger):
            before, counts = counts, _counts(self.ledger)
            happened = {name for name in counts if counts[name] != before[name]}
            if not happened & {"garbage", "duplicates"}:
                self._note(message, happened)
            yield message
            if self.ledger.uplinks >= count:
                return

    def record(self, messages: Iterable[Message], status: str = "decoded") -> Iterator[Message]:
        """Sound messages of another origin."""
        for message in messages:
            self._note(message, set(), status)
            yield message

    def _note(self, message: Message, happened: set[str], status: str = "decoded") -> None:
        kind = message.topic.rpartition("/")[2]
        self.events[kind] += 1
        if kind != "up":
            return
        event = _read(message.payload)
        if "retransmissions" in happened:
            status = "retransmission"
        elif "broken_frames" in happened:
            status = "fault"
        said = _time(event["time"])
        heard = min(_time(info["nsTime"]) for info in event["rxInfo"])
        wrong = "clock_errors" in happened
        self.uplinks[UUID(event["deduplicationId"])] = Sent(
            dev_eui=event["deviceInfo"]["devEui"],
            dev_addr=event["devAddr"],
            f_cnt=event.get("fCnt", 0),
            f_port=event["fPort"],
            data=base64.b64decode(event["data"]),
            time=heard if wrong else said,
            reported_time=said if wrong else None,
            status=status,
            gateways=frozenset(info["gatewayId"] for info in event["rxInfo"]),
        )

    async def until_stored(self, database: Database) -> None:
        """Wait until there are as many rows as uplinks were published."""
        await until_rows(database, len(self.uplinks))

    # -- what the database must say -------------------------------------------------------------------------

    async def check_uplinks(self, database: Database) -> None:
        """One row for every uplink that was published, with what was sent; and no other row."""
        rows = await fetch(
            database,
            "SELECT u.deduplication_id, d.dev_eui, u.dev_addr, u.f_cnt, u.f_port, u.data, u.time, u.reported_time, "
            "u.status FROM uplink u JOIN device d ON d.id = u.device_id",
        )
        receptions = await fetch(
            database,
            "SELECT u.deduplication_id, g.gateway_id FROM uplink u JOIN reception r "
            "ON r.time = u.time AND r.device_id = u.device_id AND r.f_cnt = u.f_cnt "
            "JOIN gateway g ON g.id = r.gateway_id",
        )
        twice = [key for key, count in Counter(row[0] for row in rows).items() if count > 1]
        assert not twice, f"{len(twice)} uplinks are stored twice, e.g. {twice[:3]}"
        heard = Counter((UUID(str(row[0])), row[1]) for row in receptions)
        assert max(heard.values(), default=1) == 1, "a reception is stored twice"
        gateways: dict[UUID, set[str]] = {}
        for key, gateway in heard:
            gateways.setdefault(key, set()).add(gateway)
        stored = {}
        for row in rows:
            fields = dict(row)
            key = UUID(str(fields.pop("deduplication_id")))
            fields["gateways"] = frozenset(gateways.get(key, ()))
            stored[key] = Sent(**fields)
        assert_same(stored, self.uplinks, "uplinks")

    async def check_sessions(self, database: Database) -> None:
        """Frames received and missing, session by session."""
        rows = await fetch(
            database,
            "SELECT d.dev_eui, f.dev_addr, min(f.first_f_cnt), max(f.last_f_cnt), sum(f.received)::bigint, "
            "sum(f.last_f_cnt - f.first_f_cnt + 1 - f.received)::bigint "
            "FROM frame_gap f JOIN device d ON d.id = f.device_id GROUP BY d.dev_eui, f.dev_addr",
        )
        stored = {(row[0], row[1]): tuple(row)[2:] for row in rows}
        sent = {
            key: (session.lowest, session.highest, session.received, session.missing)
            for key, session in self.ledger.sessions.items()
        }
        assert_same(stored, sent, "sessions")
        assert sum(row[5] for row in rows) == self.ledger.missing_frames

    async def check_latest(self, database: Database) -> None:
        """The newest value of each device and quantity is the one that the device measured last."""
        rows = await fetch(
            database,
            "SELECT d.dev_eui, m.name, l.time, l.value FROM measurement_latest l "
            "JOIN device d ON d.id = l.device_id JOIN metric m ON m.id = l.metric_id WHERE l.channel = 0",
        )
        stored = {(row[0], row[1]): (row[2], row[3]) for row in rows}
        measured = {
            (dev_eui, quantity): newest
            for dev_eui, quantities in self.ledger.newest.items()
            for quantity, newest in quantities.items()
        }
        wrong = [
            (key, stored.get(key), newest)
            for key, newest in measured.items()
            if key not in stored or not _agree(stored[key], newest)
        ]
        assert not wrong, f"{len(wrong)} newest values are not what was measured, e.g. {wrong[:5]}"

    async def check_all(self, database: Database) -> None:
        """Everything that the simulator can say about what must have been stored."""
        await self.check_uplinks(database)
        await self.check_sessions(database)
        await self.check_latest(database)
        ledger = self.ledger
        events = await fetch(database, "SELECT type, count(*) FROM device_event GROUP BY type")
        assert_same(dict(map(tuple, events)), {k: n for k, n in ledger.events.items() if k != "up"}, "events")
        refused = await fetch(database, "SELECT reason, count(*) FROM quarantine GROUP BY reason")
        assert_same(dict(map(tuple, refused)), dict(ledger.garbage), "quarantined messages")


def assert_same(stored: Mapping[Any, Any], sent: Mapping[Any, Any], what: str) -> None:
    """Fails with a few of the differences; a thousand of them in a diff would help nobody."""
    lost = [key for key in sent if key not in stored]
    strange = [key for key in stored if key not in sent]
    different = [(key, stored[key], sent[key]) for key in sent if key in stored and stored[key] != sent[key]]
    same = not (lost or strange or different)
    assert same, (
        f"{what}: {len(sent)} expected, {len(stored)} stored; "
        f"{len(lost)} lost, e.g. {lost[:3]}; {len(strange)} too many, e.g. {strange[:3]}; "
        f"{len(different)} different, e.g. (key, stored, sent) {different[:2]}"
    )


async def fetch(database: Database, query: str, *arguments: object) -> Sequence[asyncpg.Record]:
    async with connected(database.dsn) as connection:
        rows: Sequence[asyncpg.Record] = await connection.fetch(query, *arguments)
        return rows


async def value(database: Database, query: str, *arguments: object) -> Any:
    return (await fetch(database, query, *arguments))[0][0]


async def until_rows(database: Database, count: int) -> None:
    """Wait until so many uplinks are stored."""

    async def enough() -> bool:
        return bool(await value(database, "SELECT count(*) >= $1 FROM uplink", count))

    await until(enough, f"{count} uplinks are stored", 60)


async def onboard(database: Database, village: Village, *, devices: bool = True) -> None:
    """Places, devices and who watches what, as a real installation has them before the first uplink."""
    since = village.start - timedelta(days=1)
    async with connected(database.dsn) as connection, connection.transaction():
        for device in village.devices:
            place = device.place
            await directory.add_place(
                connection,
                slug=place.slug,
                name=place.name,
                place_type=place.place_type,
                tags=place.tags,
                limits=place.parameters,
            )
            if not devices:
                continue
            await directory.add_device(
                connection,
                dev_eui=device.dev_eui,
                model=device.model,
                name=device.name,
                parameters=device.parameters,
            )
            await directory.install(connection, dev_eui=device.dev_eui, place=place.slug, since=since)


def _agree(stored: tuple[datetime, float], measured: tuple[datetime, float]) -> bool:
    """The same value to the last bit that a frame can carry, of the same moment.

    A frame without a time of its own is dated when it was heard; one that waited for a join was made before it.
    """
    apart = abs(stored[0] - measured[0])
    return isclose(stored[1], measured[1], rel_tol=1e-6, abs_tol=1e-6) and apart < timedelta(seconds=10)


def _counts(ledger: Ledger) -> dict[str, int]:
    names = ("duplicates", "retransmissions", "clock_errors", "broken_frames")
    return {name: getattr(ledger, name) for name in names} | {"garbage": ledger.garbage.total()}


def _read(payload: bytes) -> dict[str, Any]:
    if payload.startswith(b"{"):
        return dict(json.loads(payload))
    as_dict: Callable[..., dict[str, Any]] = json_format.MessageToDict  # it has no annotations of its own
    event: Any = integration.UplinkEvent()
    event.ParseFromString(payload)
    return as_dict(event)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
