"""The outbox against a real database; only the receivers are ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import pytest

from smartdorf.db.pool import connected
from smartdorf.notify.receiver import DeliveryError, PartlyToldError, RefusedError
from tests.support.alerts import NOON, ManualClock, Recorder, add_container, change, outbox, record, until
from tests.support.notifier import running
from tests.support.postgres import Database


async def test_an_alert_is_told_once_and_the_answer_is_kept(any_db: Database) -> None:
    dsn = any_db.dsn
    place = await add_container(dsn)
    await record(dsn, change("fired", place))
    bauhof = Recorder()
    async with running(dsn, bauhof) as bench:
        await bench.becomes("sent")
        await bench.looked_again()
    [message] = bauhof.told
    assert (message.title, message.summary, message.place) == (
        "Container full",
        "83 % full",
        "Glas Kirchplatz",
    )
    assert (message.device, message.link) == (f"sensor {place}", "https://village.example/alerts/1")
    [row] = await outbox(dsn)
    assert (row["attempts"], row["result"], row["finished_at"]) == (1, "thank you", NOON)


async def test_a_wake_tells_at_once_and_not_at_the_next_poll(plain_db: str) -> None:
    place = await add_container(plain_db)
    bauhof = Recorder()
    async with running(plain_db, bauhof, poll=600) as bench:
        await until(lambda: bench.looks == 2, "bauhof's task and that of unknown receivers have looked")
        await record(plain_db, change("fired", place))
        bench.notifier.wake()
        await until(lambda: bauhof.told != [], "the alert is told", seconds=2)


async def test_a_failed_attempt_is_repeated_after_ten_seconds_then_twenty(plain_db: str) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place))
    bauhof = Recorder()
    bauhof.failures = [DeliveryError("no route"), DeliveryError("no route")]
    async with running(plain_db, bauhof) as bench:
        await bench.becomes("waiting", attempts=1)
        [row] = await outbox(plain_db)
        assert (row["next_attempt_at"], row["result"]) == (NOON + timedelta(seconds=10), "no route")
        bench.clock.advance(seconds=9.9)
        await bench.looked_again()
        assert bauhof.failures != []
        bench.clock.advance(seconds=0.1)
        await bench.becomes("waiting", attempts=2)
        bench.clock.advance(seconds=20)
        await bench.becomes("sent")
    assert bauhof.kinds == ["fired"]


async def test_a_receiver_that_hangs_holds_up_no_other(plain_db: str) -> None:
    place = await add_container(plain_db)
    mail, bauhof = Recorder("mail"), Recorder("bauhof")
    mail.hold = asyncio.Event()
    await record(plain_db, change("fired", place, receivers=["mail", "bauhof"]))
    async with running(plain_db, mail, bauhof) as bench:
        await bench.becomes("waiting", "sent")
        mail.hold.set()
        await bench.becomes("sent", "sent")


async def test_a_receiver_with_a_bug_holds_up_no_other_and_is_tried_again(plain_db: str) -> None:
    place = await add_container(plain_db)
    broken, bauhof = Recorder("broken"), Recorder("bauhof")
    broken.failures = [ZeroDivisionError("oops")]
    await record(plain_db, change("fired", place, receivers=["broken", "bauhof"]))
    async with running(plain_db, broken, bauhof) as bench:
        await bench.becomes("waiting", "sent")
        [row, _] = await outbox(plain_db)
        assert row["result"] == "ZeroDivisionError: oops"
        bench.clock.advance(seconds=10)
        await bench.becomes("sent", "sent")


async def test_the_end_is_never_told_before_the_beginning(plain_db: str) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place), change("resolved", place, NOON + timedelta(hours=1)))
    bauhof = Recorder()
    bauhof.failures = [DeliveryError("no route")]
    async with running(plain_db, bauhof) as bench:
        for _ in range(200):
            if (await outbox(plain_db))[0]["attempts"] == 1:
                break
            await asyncio.sleep(0.02)
        await bench.looked_again()
        assert bauhof.told == []
        bench.clock.advance(seconds=10)
        await bench.becomes("sent", "sent")
    assert bauhof.kinds == ["fired", "resolved"]
    # it is late, and says so
    assert bauhof.told[0].over_since == NOON + timedelta(hours=1)


async def test_a_stale_alert_waits_until_the_backlog_is_read_and_is_told_while_it_holds(
    plain_db: str,
) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place, stale=True))
    bauhof = Recorder()
    async with running(plain_db, bauhof, caught_up=False) as bench:
        await bench.looked_again()
        assert bauhof.told == []
        bench.caught_up = True
        await bench.looked_again()
        assert bauhof.told == []  # there may be more from the same outage
        bench.clock.advance(seconds=5)
        await bench.becomes("sent")
    assert [message.stale for message in bauhof.told] == [True]


async def test_what_holds_after_an_outage_is_told_each_receiver_in_one_message(plain_db: str) -> None:
    full, wet, over = [await add_container(plain_db, name) for name in ("Glas Bad", "Keller", "Glas Schule")]
    hours_ago = NOON - timedelta(hours=3)
    wet_cellar = {
        "rule": "WaterLeak",
        "severity": "critical",
        "title": {"en": "Water in the building"},
        "summary": {"en": "Keller: water"},
        "action": {"en": "Go there."},
        "receivers": ["bauhof", "leitung"],
    }
    bauhof, leitung = Recorder("bauhof"), Recorder("leitung")
    async with running(plain_db, bauhof, leitung) as bench:
        await record(
            plain_db,
            change("fired", full, hours_ago, stale=True),
            change("fired", over, hours_ago, stale=True),
            change("resolved", over, NOON - timedelta(hours=2), stale=True),
        )
        bench.clock.advance(seconds=3)
        await record(
            plain_db, change("fired", wet, hours_ago, stale=True, **wet_cellar), now=bench.clock.now()
        )
        bench.clock.advance(seconds=5)
        await until(lambda: bool(bauhof.told and leitung.told), "both are told")
        await bench.looked_again()
    [summary] = bauhof.told
    assert [(entry.rule, entry.place) for entry in summary.together] == [
        ("WaterLeak", "Keller"),
        ("ContainerFull", "Glas Bad"),
    ]
    assert (summary.kind, summary.severity) == ("fired", "critical")
    [alone] = leitung.told
    assert (alone.place, alone.together) == ("Keller", ())
    states = {(row["receiver"], row["state"]) for row in await outbox(plain_db)}
    assert states == {("bauhof", "sent"), ("bauhof", "skipped"), ("leitung", "sent")}


async def test_an_alert_that_came_and_went_during_an_outage_is_told_to_nobody(plain_db: str) -> None:
    place = await add_container(plain_db)
    await record(
        plain_db,
        change("fired", place, NOON - timedelta(hours=5), stale=True),
        change("resolved", place, NOON - timedelta(hours=2), stale=True),
    )
    bauhof = Recorder()
    async with running(plain_db, bauhof, caught_up=False) as bench:
        await bench.looked_again()
        assert await bench.states() == ["waiting", "waiting"]
        bench.caught_up = True
        await bench.becomes("skipped", "skipped")
    assert bauhof.told == []
    assert [row["result"] for row in await outbox(plain_db)] == [
        "over before it could be told",
        "its beginning was not told to this receiver",
    ]


async def test_the_end_of_an_alert_that_was_told_before_the_outage_is_told_after_it(plain_db: str) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place))
    bauhof = Recorder()
    async with running(plain_db, bauhof) as bench:
        await bench.becomes("sent")
        bench.caught_up = False
        await record(plain_db, change("resolved", place, NOON + timedelta(hours=1), stale=True))
        await bench.looked_again()
        assert bauhof.kinds == ["fired"]
        bench.caught_up = True
        await bench.becomes("sent", "sent")
    assert bauhof.kinds == ["fired", "resolved"]


async def test_a_refusal_is_final_and_the_end_is_not_told_either(plain_db: str) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place))
    bauhof = Recorder()
    bauhof.failures = [RefusedError("HTTP 404")]
    async with running(plain_db, bauhof) as bench:
        await bench.becomes("failed")
        await record(plain_db, change("resolved", place, NOON + timedelta(hours=1)))
        await bench.becomes("failed", "skipped")
        assert 'smartdorf_notifications_total{receiver="bauhof",result="failed"} 1.0' in (
            bench.metrics.render().decode()
        )
    assert bauhof.told == []


async def test_a_receiver_that_never_answers_is_given_up_after_two_hundred_attempts(plain_db: str) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place))
    async with connected(plain_db) as connection:
        await connection.execute("UPDATE outbox SET attempts = 198")
    bauhof = Recorder()
    bauhof.failures = [DeliveryError("no route")] * 9
    async with running(plain_db, bauhof) as bench:
        await bench.becomes("waiting", attempts=199)
        bench.clock.advance(minutes=15)
        await bench.becomes("failed")
    [row] = await outbox(plain_db)
    assert (row["attempts"], row["result"], len(bauhof.failures)) == (200, "no route", 7)


async def test_a_receiver_that_is_partly_told_counts_as_told_after_an_hour(plain_db: str) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place), change("resolved", place, NOON + timedelta(hours=1)))
    async with connected(plain_db) as connection:
        await connection.execute("UPDATE outbox SET attempts = 9 WHERE id = 1")
    bauhof = Recorder()
    bauhof.failures = [PartlyToldError("1 of 2 addresses told; no such user")]
    async with running(plain_db, bauhof) as bench:
        await bench.becomes("sent", "sent")
    assert (await outbox(plain_db))[0]["result"] == "1 of 2 addresses told; no such user"


async def test_an_alert_for_a_receiver_that_is_not_set_up_waits_with_advice_until_it_is(
    plain_db: str,
) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place, receivers=["bauhoff"]))
    clock = ManualClock()
    async with running(plain_db, Recorder("bauhof"), clock=clock) as bench:
        await bench.becomes("waiting", attempts=1)
    [row] = await outbox(plain_db)
    assert row["result"] == (
        'smartdorf.toml has no [receivers.bauhoff]: add it, or correct the rule; did you mean "bauhof"?'
    )
    clock.advance(seconds=10)
    added = Recorder("bauhoff")
    async with running(plain_db, added, clock=clock) as bench:
        await bench.becomes("sent")
    assert added.kinds == ["fired"]


async def test_shutdown_lets_a_slow_receiver_finish(plain_db: str) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place))
    bauhof = Recorder()
    bauhof.hold = asyncio.Event()
    async with running(plain_db, bauhof) as bench:
        await until(lambda: bauhof.busy == 1, "the receiver is called")
        bench.notifier.stop()
        await asyncio.sleep(0)
        bauhof.hold.set()
    assert [row["state"] for row in await outbox(plain_db)] == ["sent"]


async def test_what_hung_at_shutdown_is_told_after_the_start_under_the_same_id(plain_db: str) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place))
    hanging, well = Recorder(), Recorder()
    hanging.hold = asyncio.Event()
    async with running(plain_db, hanging, grace=0.05):
        await until(lambda: hanging.busy == 1, "the receiver is called")
    [row] = await outbox(plain_db)
    assert (row["state"], row["attempts"]) == ("waiting", 0)
    async with running(plain_db, well) as bench:
        await bench.becomes("sent")
    assert [message.id for message in well.told] == [row["id"]]


async def test_many_alerts_are_told_completely_four_at_a_time(plain_db: str) -> None:
    places = [await add_container(plain_db, f"Container {number}") for number in range(40)]
    await record(plain_db, *(change("fired", place, rule=f"Rule{place % 10}") for place in places))
    bauhof = Recorder()
    async with running(plain_db, bauhof) as bench:
        await bench.becomes(*["sent"] * 40)
    assert len(bauhof.told) == len({message.place for message in bauhof.told}) == 40
    assert bauhof.busiest == 4


async def test_a_new_alert_does_not_queue_behind_old_failures(plain_db: str) -> None:
    places = [await add_container(plain_db, f"Container {number}") for number in range(12)]
    old, new = places[:-1], places[-1]
    await record(plain_db, *(change("fired", place) for place in old), change("fired", new, rule="Fire"))
    async with connected(plain_db) as connection:
        await connection.execute("UPDATE outbox SET attempts = 3 WHERE id < 12")
    bauhof = Recorder()
    async with running(plain_db, bauhof) as bench:
        await bench.becomes(*["sent"] * 12)
    assert "Container 11" in {message.place for message in bauhof.told[:4]}


async def test_an_answer_that_the_database_cannot_hold_is_cleaned(plain_db: str) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place))
    bauhof = Recorder()
    bauhof.failures = [RefusedError("HTTP 400 \x00 bad\n\trequest " + "x" * 1000)]
    async with running(plain_db, bauhof) as bench:
        await bench.becomes("failed")
    [row] = await outbox(plain_db)
    assert row["result"].startswith("HTTP 400 bad request xxx")
    assert len(row["result"]) == 300


async def test_the_gauges_follow_the_database(plain_db: str) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place, severity="critical"))
    await record(plain_db, change("fired", place, rule="OnTrial", shadow=True))
    bauhof = Recorder()
    bauhof.failures = [DeliveryError("no route")]
    async with running(plain_db, bauhof) as bench:
        await bench.becomes("waiting", attempts=1)
        page = bench.metrics.render
        await until(lambda: b'smartdorf_outbox_waiting{receiver="bauhof"} 1.0' in page(), "one waits")
        await until(lambda: b'smartdorf_alerts_firing{severity="critical"} 1.0' in page(), "one is open")
        assert b'severity="warning"' not in page()  # nobody has to do anything about what is on trial
        bench.clock.advance(seconds=10)
        await until(lambda: b'smartdorf_outbox_waiting{receiver="bauhof"} 0.0' in page(), "none waits")


class Wire:
    """A TCP connection to the database that can be cut."""

    def __init__(self, dsn: str) -> None:
        self._dsn = urlsplit(dsn)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._port = 0

    @property
    def dsn(self) -> str:
        login = self._dsn.netloc.rpartition("@")[0]
        return urlunsplit(self._dsn._replace(netloc=f"{login}@127.0.0.1:{self._port}"))

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._dsn.hostname, self._dsn.port)
        self._writers |= {writer, far_writer}
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def wire(plain_db: str) -> AsyncIterator[Wire]:
    found = Wire(plain_db)
    await found.mend()
    yield found
    found.cut()


async def test_the_notifier_survives_a_database_that_goes_and_comes(plain_db: str, wire: Wire) -> None:
    place = await add_container(plain_db)
    bauhof = Recorder()
    async with running(plain_db, bauhof, through=wire.dsn) as bench:
        wire.cut()
        await record(plain_db, change("fired", place))
        await bench.looked_again()
        assert bauhof.told == []
        await wire.mend()
        await bench.becomes("sent")
    assert bauhof.kinds == ["fired"]


async def test_what_was_told_while_the_database_was_lost_is_not_told_twice(plain_db: str, wire: Wire) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place))
    bauhof = Recorder()
    bauhof.hold = asyncio.Event()
    async with running(plain_db, bauhof, through=wire.dsn) as bench:
        await until(lambda: bauhof.busy == 1, "the receiver is called")
        wire.cut()
        bauhof.hold.set()
        await until(lambda: bauhof.told != [], "the receiver is told")
        await bench.looked_again()
        assert await bench.states() == ["waiting"]
        await wire.mend()
        await bench.becomes("sent")
    assert bauhof.kinds == ["fired"]
