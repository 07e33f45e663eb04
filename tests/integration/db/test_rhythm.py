"""How often devices report is learned from what is stored: which gaps count, how far back, and again and again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from smartdorf.db.directory import load_directory
from smartdorf.db.pool import connected
from smartdorf.db.rhythm import Learned, fetch_rhythms, is_due, learn
from tests.support.postgres import Database

NIGHT = datetime(2026, 3, 31, 1, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
MODELS = {"acme/box": timedelta(minutes=10)}


@pytest.fixture
async def connection(any_db: Database) -> AsyncIterator[asyncpg.Connection]:
    async with connected(any_db.dsn) as opened:
        yield opened


async def add_device(connection: asyncpg.Connection, number: int = 1) -> int:
    id_: int = await connection.fetchval(
        "INSERT INTO device (dev_eui, model, onboarded_at) VALUES (lpad(to_hex($1::int), 16, '0'), 'acme/box', now()) "
        "RETURNING id",
        number,
    )
    return id_


async def hear(
    connection: asyncpg.Connection,
    device: int,
    *times: datetime,
    f_cnt: int | None = None,
    status: str = "decoded",
    dev_addr: str = "00000001",
) -> None:
    """Uplinks, counted from ``f_cnt`` on; without it by their hour, so that what is missing was lost."""
    await connection.executemany(
        "INSERT INTO uplink (time, deduplication_id, device_id, dev_addr, f_cnt, f_port, dr, adr, confirmed, "
        "encrypted, data, gateway_count, received_at, status) "
        "VALUES ($1, $2, $3, $4, $5, 1, 5, true, false, false, '', 1, $1, $6)",
        [
            (
                time,
                uuid4(),
                device,
                dev_addr,
                (time - NIGHT) // HOUR + 10_000 if f_cnt is None else f_cnt + index,
                status,
            )
            for index, time in enumerate(times)
        ],
    )


def hours(*, since: float, until: float = 0, step: float = 1) -> list[datetime]:
    """Every ``step`` hours, from so many hours before the night on."""
    count = int((since - until) / step)
    return [NIGHT - since * HOUR + index * step * HOUR for index in range(count)]


async def limit(connection: asyncpg.Connection, device: int) -> float:
    """In hours, as the rules are given it."""
    silence = (await load_directory(connection)).devices[device].silence
    assert silence is not None
    return silence / 3600


async def test_an_hourly_device_is_known_after_its_first_night(connection: asyncpg.Connection) -> None:
    device = await add_device(connection)
    assert await is_due(connection, NIGHT)
    await hear(connection, device, *hours(since=30 * 24))
    assert await learn(connection, MODELS, NIGHT) == Learned(devices=1, changed=1)
    found = (await fetch_rhythms(connection))[device]
    # 719 gaps in all; those of the evening before the thirtieth day are no longer looked at
    assert (found.kind, found.interval, found.longest, found.loss) == ("periodic", 3600.0, 3600.0, 0.0)
    assert (found.gaps, found.days) == (697, 30)
    assert await limit(connection, device) == 3.25
    assert not await is_due(connection, NIGHT)
    assert await is_due(connection, NIGHT + 24 * HOUR)


async def test_lost_frames_are_no_longer_interval(connection: asyncpg.Connection) -> None:
    """Every second one is lost: from message to message two hours, but the counter tells."""
    device = await add_device(connection)
    await hear(connection, device, *hours(since=10 * 24, step=2))
    await learn(connection, MODELS, NIGHT)
    found = (await fetch_rhythms(connection))[device]
    assert (found.interval, found.longest, found.loss) == (3600.0, 7200.0, 0.5)
    assert found.limit == 21 * 3600  # 0.5 ** 20 is what 8,760 frames a year see once in 120 years


async def test_retransmissions_and_new_sessions_are_neither_gaps_nor_losses(
    connection: asyncpg.Connection,
) -> None:
    device = await add_device(connection)
    times = hours(since=48)
    await hear(connection, device, *times[:24], f_cnt=500)
    await hear(connection, device, *times[24:], f_cnt=900, dev_addr="00000002")
    again = [time + timedelta(seconds=4) for time in times]
    await hear(connection, device, *again, f_cnt=500, status="retransmission")
    await learn(connection, MODELS, NIGHT)
    found = (await fetch_rhythms(connection))[device]
    assert (found.gaps, found.interval, found.longest, found.loss) == (47, 3600.0, 3600.0, 0.0)


async def test_each_night_goes_on_where_the_last_one_was(connection: asyncpg.Connection) -> None:
    device = await add_device(connection)
    await hear(connection, device, *hours(since=5 * 24))
    await learn(connection, MODELS, NIGHT)
    rows = "SELECT day, gaps, longest FROM device_gap ORDER BY day"
    before = await connection.fetch(rows)
    assert await learn(connection, MODELS, NIGHT) == Learned(1, 0)
    assert await connection.fetch(rows) == before
    # the next day brings a gap of twelve hours, which begins on the day before, and what came late
    await hear(connection, device, NIGHT + 11 * HOUR, NIGHT - timedelta(minutes=30), f_cnt=20_000)
    assert await learn(connection, MODELS, NIGHT + 24 * HOUR) == Learned(1, 1)
    assert await limit(connection, device) == 18  # from 1:00 to 12:30 are 11.5 hours; in whole hours
    # thirty days later nothing is left but what the model says
    await learn(connection, MODELS, NIGHT + 40 * 24 * HOUR)
    assert await connection.fetchval("SELECT count(*) FROM device_gap") == 0


async def test_a_silence_that_somebody_called_true_is_no_habit(connection: asyncpg.Connection) -> None:
    """The battery was empty for two days: a new one must not be missed for three."""
    device, other = await add_device(connection), await add_device(connection, 2)
    for known in (device, other):
        await hear(connection, known, *hours(since=200, until=100), f_cnt=1)
        await hear(connection, known, *hours(since=52), f_cnt=101)
        alert = await connection.fetchval(
            "INSERT INTO alert (rule, rule_version, subject_kind, subject_id, severity, state, since, fired_at, "
            "resolved_at, title, summary, action, inputs) VALUES ('DeviceSilent', '', 'device', $1, 'warning', "
            "'resolved', $2, $2, $3, '{}', '{}', '{}', '{}') RETURNING id",
            known,
            NIGHT - 90 * HOUR,
            NIGHT - 52 * HOUR,
        )
        for verdict in ("false", "true") if known == device else ("true", "false"):
            await connection.execute(
                "INSERT INTO alert_event (alert_id, kind, time, recorded_at, summary, inputs, actor, verdict) "
                "VALUES ($1, 'verdict', now(), now(), '{}', '{}', 'somebody', $2)",
                alert,
                verdict,
            )
    await learn(connection, MODELS, NIGHT)
    assert await limit(connection, device) == 3.25
    assert await limit(connection, other) == 74  # 49 hours and half of it, in whole hours


async def test_the_time_in_the_box_is_no_habit(connection: asyncpg.Connection) -> None:
    device = await add_device(connection)
    await hear(connection, device, *hours(since=200, until=190), f_cnt=1)  # in the office, then mounted
    await hear(connection, device, *hours(since=100), f_cnt=11)
    place = await connection.fetchval(
        "INSERT INTO place (tenant_id, slug, name, place_type) SELECT id, 'a', 'A', 'room' FROM tenant RETURNING id"
    )
    await connection.execute(
        "INSERT INTO installation (device_id, place_id, valid_from) VALUES ($1, $2, $3)",
        device,
        place,
        NIGHT - 101 * HOUR,
    )
    await learn(connection, MODELS, NIGHT)
    assert await limit(connection, device) == 3.25


async def test_who_never_sent_has_no_rhythm_and_ten_days_of_silence_are_no_gap(
    connection: asyncpg.Connection,
) -> None:
    never, back = await add_device(connection), await add_device(connection, 2)
    await hear(connection, back, *hours(since=15 * 24 + 30, until=15 * 24), f_cnt=1)
    await hear(connection, back, *hours(since=4 * 24), f_cnt=31)
    await learn(connection, MODELS, NIGHT)
    assert (await load_directory(connection)).devices[never].silence is None
    assert await limit(connection, back) == 3.25
