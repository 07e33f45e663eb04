"""Silences: what fires meanwhile is recorded and shown, and told once the silence is over, if it still holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from smartdorf.cli import alerts, silences
from smartdorf.cli.context import run_async
from smartdorf.db import lifecycle
from smartdorf.db.directory import actor
from smartdorf.db.pool import connected
from smartdorf.db.silences import Matchers, add_silence, expire_silence
from smartdorf.errors import UsageError
from smartdorf.notify.receiver import DeliveryError
from tests.support.alerts import NOON, ManualClock, Recorder, add_container, change, outbox, record
from tests.support.content import write_settings
from tests.support.notifier import running
from tests.support.postgres import Database

Run = Callable[..., Result]
FOUR = NOON + timedelta(hours=4)


async def silence(dsn: str, until_hours: float = 4.0, **matchers: object) -> int:
    async with connected(dsn) as connection:
        end = NOON + timedelta(hours=until_hours)
        return await add_silence(connection, Matchers(**matchers), "roadworks", end, NOON)  # type: ignore[arg-type]


async def test_what_fires_in_a_silence_is_not_told_and_told_once_it_is_over(any_db: Database) -> None:
    dsn = any_db.dsn
    place = await add_container(dsn)
    await silence(dsn, place="glas-kirchplatz")
    await record(dsn, change("fired", place))
    bauhof = Recorder()
    async with running(dsn, bauhof) as bench:
        await bench.becomes("skipped")
        [row] = await outbox(dsn)
        assert row["result"] == f"silenced by {actor()} until Mon 23 Nov, 16:00: roadworks"
        bench.clock.advance(hours=3.99)
        await bench.looked_again()
        assert bauhof.told == []
        bench.clock.advance(hours=0.01)
        await bench.becomes("sent")
        bench.clock.advance(hours=1)
        await bench.looked_again()
        await record(dsn, change("resolved", place, NOON + timedelta(hours=5)))
        await bench.becomes("sent", "sent")
    assert bauhof.kinds == ["fired", "resolved"]


@pytest.mark.parametrize(("wanted", "state"), [({"team": "nord"}, "skipped"), ({"team": "sued"}, "sent")])
async def test_a_silence_may_name_a_label_of_the_rule(
    plain_db: str, wanted: dict[str, str], state: str
) -> None:
    place = await add_container(plain_db)
    await silence(plain_db, labels=wanted)
    await record(plain_db, change("fired", place)._replace(labels={"team": "nord", "route": "A"}))
    async with running(plain_db, bauhof := Recorder()) as bench:
        await bench.becomes(state)
    assert [message.labels for message in bauhof.told] == (
        [{"team": "nord", "route": "A"}] if state == "sent" else []
    )


@pytest.mark.parametrize(
    ("gateway", "state"), [("0016c001ff10a235", "skipped"), ("0016c001ff10b346", "sent")]
)
async def test_a_silence_may_name_a_gateway_and_fits_its_alerts_only(
    any_db: Database, gateway: str, state: str
) -> None:
    async with connected(any_db.dsn) as connection:
        [number, _other] = await connection.fetch(
            "INSERT INTO gateway (gateway_id) VALUES ('0016c001ff10a235'), ('0016c001ff10b346') RETURNING id"
        )
    await silence(any_db.dsn, gateway=gateway)
    fired = change("fired", number["id"], rule="GatewayOffline", subject_kind="gateway")
    await record(any_db.dsn, fired)
    async with running(any_db.dsn, Recorder()) as bench:
        await bench.becomes(state)


async def test_what_is_over_when_the_silence_ends_is_told_to_nobody(plain_db: str) -> None:
    place = await add_container(plain_db)
    await silence(plain_db, rule="ContainerFull")
    await record(plain_db, change("fired", place))
    bauhof = Recorder()
    async with running(plain_db, bauhof) as bench:
        await bench.becomes("skipped")
        await record(plain_db, change("resolved", place, NOON + timedelta(hours=1)))
        await bench.becomes("skipped", "skipped")
        bench.clock.advance(hours=5)
        await bench.looked_again()
        assert await bench.states() == ["skipped", "skipped"]
    assert bauhof.told == []


async def test_the_end_of_what_was_told_before_the_silence_is_told_in_it(plain_db: str) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place))
    bauhof = Recorder()
    async with running(plain_db, bauhof) as bench:
        await bench.becomes("sent")
        await silence(plain_db, place="glas-kirchplatz")
        await record(plain_db, change("resolved", place, NOON + timedelta(hours=1)))
        await bench.becomes("sent", "sent")
    assert bauhof.kinds == ["fired", "resolved"]


async def test_a_silence_that_is_ended_by_hand_lets_go_at_once_unless_another_still_fits(
    plain_db: str,
) -> None:
    place = await add_container(plain_db)
    first = await silence(plain_db, place="glas-kirchplatz")
    second = await silence(plain_db, 2, place_type="container")
    await record(plain_db, change("fired", place))
    bauhof = Recorder()
    async with running(plain_db, bauhof) as bench:
        await bench.becomes("skipped")
        bench.clock.advance(minutes=1)
        async with connected(plain_db) as connection:
            await expire_silence(connection, first, bench.clock.now())
        for _ in range(500):
            [row] = await outbox(plain_db)
            if row["silence_id"] == second and row["state"] == "skipped":
                break
            await bench.looked_again()
        assert bauhof.told == []
        bench.clock.advance(hours=2)
        await bench.becomes("sent")
    assert bauhof.kinds == ["fired"]


async def test_what_was_acknowledged_in_a_silence_stays_quiet(plain_db: str) -> None:
    place = await add_container(plain_db)
    await silence(plain_db, place="glas-kirchplatz")
    await record(plain_db, change("fired", place))
    bauhof = Recorder()
    async with running(plain_db, bauhof) as bench:
        await bench.becomes("skipped")
        async with connected(plain_db) as connection:
            await lifecycle.acknowledge(connection, 1, None, NOON)
        bench.clock.advance(hours=5)
        await bench.looked_again()
        assert await bench.states() == ["skipped"]


async def test_what_is_told_after_a_silence_is_tried_again_like_everything_else(plain_db: str) -> None:
    place = await add_container(plain_db)
    await silence(plain_db, place="glas-kirchplatz")
    await record(plain_db, change("fired", place))
    bauhof, clock = Recorder(), ManualClock()
    async with running(plain_db, bauhof, clock=clock) as bench:
        await bench.becomes("skipped")
    clock.advance(hours=5)  # it ends while nothing runs
    bauhof.failures = [DeliveryError("no route")]
    async with running(plain_db, bauhof, clock=clock) as bench:
        await bench.becomes("waiting", attempts=1)
        clock.advance(seconds=10)
        await bench.becomes("sent")
    assert bauhof.kinds == ["fired"]


@pytest.mark.parametrize(
    ("matchers", "fits"),
    [
        ({"rule": "ContainerFull"}, True),
        ({"rule": "Another"}, False),
        ({"place": "glas-kirchplatz"}, True),
        ({"place": "glas-bad"}, False),
        ({"device": "{sensor}"}, True),
        ({"place_type": "container"}, True),
        ({"place_type": "room"}, False),
        ({"tags": {"fraction": "glass"}}, True),
        ({"tags": {"fraction": "glass", "owner": "county"}}, False),
        ({"tags": {"batch": "7"}}, True),
        ({"rule": "ContainerFull", "place": "glas-bad"}, False),
        ({"rule": "ContainerFull", "place": "glas-kirchplatz", "tags": {"fraction": "glass"}}, True),
    ],
)
@pytest.mark.parametrize("subject", ["place", "device"])
async def test_all_that_is_given_must_fit(
    plain_db: str, matchers: dict[str, object], fits: bool, subject: str
) -> None:
    place = await add_container(plain_db)
    await add_container(plain_db, "Glas Bad")
    async with connected(plain_db) as connection:
        await connection.execute('UPDATE place SET tags = \'{"fraction": "glass"}\' WHERE id = $1', place)
        device = await connection.fetchval("SELECT device_id FROM installation WHERE place_id = $1", place)
        await connection.execute('UPDATE device SET tags = \'{"batch": "7"}\' WHERE id = $1', device)
        eui = await connection.fetchval("SELECT dev_eui FROM device WHERE id = $1", device)
    if matchers.get("device"):
        matchers = {"device": eui}
    await silence(plain_db, **matchers)
    await record(plain_db, change("fired", place if subject == "place" else device, subject_kind=subject))
    async with running(plain_db, Recorder()) as bench:
        await bench.becomes("skipped" if fits else "sent")


# -- the commands ------------------------------------------------------------------------------------------------


@pytest.fixture
def run(plain_db: str, tmp_path: Path) -> Run:
    settings = write_settings(tmp_path, Database(plain_db, "plain"))
    run_async(add_container(plain_db))

    def call(*arguments: str) -> Result:
        app = alerts.app if arguments[0] == "alerts" else silences.app
        words = arguments[1:] if arguments[0] == "alerts" else arguments
        return CliRunner().invoke(app, [*words, "--config", str(settings)], catch_exceptions=False)

    return call


WHY = ("--reason", "being washed")


def test_a_silence_is_added_listed_and_ended(run: Run) -> None:
    done = run("add", "--place", "glas-kirchplatz", "--rule", "ContainerFull", "--for", "4h", *WHY)
    assert done.exit_code == 0
    assert done.output.startswith("Silence 1 until ")
    assert done.output.endswith(": rule ContainerFull, place glas-kirchplatz. It fits 0 open alert(s).\n")
    text = " ".join(run("list").output.split())
    assert "rule ContainerFull" in text
    assert "being washed" in text
    assert actor().split("@")[0] in text
    assert run("expire", "1").exit_code == 0
    assert run("list").output == "No silences.\n"
    [over] = json.loads(run("list", "--all", "--json").output)
    assert (over["id"], over["over"], over["expired_by"], over["reason"]) == (
        1,
        True,
        actor(),
        "being washed",
    )
    assert over["matchers"]["place"] == "glas-kirchplatz"
    assert "ended by" in " ".join(run("list", "--all").output.split())


def test_a_device_is_named_as_on_its_label(run: Run) -> None:
    added = json.loads(
        run("add", "--device", "00-00-00-00-00-00-00-01", "--for", "1h", *WHY, "--json").output
    )
    assert added["matchers"]["device"] == "0000000000000001"


def test_what_is_open_and_fits_is_counted(run: Run, plain_db: str) -> None:
    run_async(record(plain_db, change("fired", 1)))
    added = json.loads(run("add", "--place-type", "container", "--for", "30m", *WHY, "--json").output)
    assert added["open_alerts"] == 1


def test_all_wrong_names_are_told_at_once_with_what_was_meant(run: Run) -> None:
    with pytest.raises(UsageError) as raised:
        run("add", "--rule", "ContainerFul", "--place", "glas-kirchplaz", "--tag", "a=b", "--for", "4h", *WHY)
    assert str(raised.value).splitlines() == [
        'there is no rule "ContainerFul"; did you mean "ContainerFull"?',
        'unknown place "glas-kirchplaz"; did you mean "glas-kirchplatz"?',
        "no place and no device has the tag a=b",
    ]


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["--for", "4h"], "say what is to be silenced: --rule, --place"),
        (["--rule", "ContainerFull"], "say how long: either --for 4h or --until"),
        (
            ["--rule", "ContainerFull", "--until", "2020-01-01T10:00"],
            "--until 2020-01-01 10:00 is over already",
        ),
        (["--device", "24e1", "--for", "1h"], '"24e1" is no DevEUI: expected 16 hex digits'),
        (["--label", "team=nord", "--for", "4h"], "no rule has the label team=nord"),
        (["--rule", "ContainerFull", "--for", "1s"], "a silence lasts a minute at least"),
        (["--rule", "ContainerFull", "--for", "soon"], '"soon" is no duration'),
    ],
)
def test_what_is_missing_or_wrong_is_answered_with_advice(
    run: Run, arguments: list[str], advice: str
) -> None:
    with pytest.raises(UsageError, match=advice):
        run("add", *arguments, *WHY)


def test_ending_what_is_not_there_or_over_says_so(run: Run) -> None:
    run("add", "--rule", "ContainerFull", "--for", "4h", *WHY)
    run("add", "--rule", "ContainerFull", "--for", "4h", *WHY)
    run("expire", "1")
    done = run("expire", "1", "2", "99")
    assert done.exit_code == 1
    assert "silence 1 has been over since" in done.output
    assert "There is no silence 99; `smartdorf silences list --all` lists them." in done.output
    assert run("expire", "2").exit_code == 2


def test_the_alert_says_that_it_was_silenced(run: Run, plain_db: str) -> None:
    run("add", "--rule", "ContainerFull", "--for", "4h", *WHY)

    async def told() -> None:
        await record(plain_db, change("fired", 1))
        clock = ManualClock(silences.Clock().now())
        async with running(plain_db, Recorder(), clock=clock) as bench:
            await bench.becomes("skipped")

    run_async(told())
    assert "bauhof: silenced" in run("alerts", "list").output
    text = " ".join(run("alerts", "show", "1").output.split())
    assert f"bauhof not told that it fired: silenced by {actor()} until" in text
    assert "being washed" in text


def test_alerts_are_listed_by_label(run: Run, plain_db: str) -> None:
    async def fire() -> None:
        for name, team in (("Glas Nord", "nord"), ("Glas Sued", "sued")):
            place = await add_container(plain_db, name)
            await record(plain_db, change("fired", place)._replace(labels={"team": team}))

    run_async(fire())
    [alert] = json.loads(run("alerts", "list", "--label", "team=nord", "--json").stdout)
    assert (alert["place"], alert["labels"]) == ("Glas Nord", {"team": "nord"})
    assert "Labels: team=nord" in run("alerts", "show", str(alert["id"])).output
    assert "No open alerts." in run("alerts", "list", "--label", "team=west").output


def test_a_gateway_is_silenced_by_its_name_and_one_that_is_not_there_is_not(plain_db: str, run: Run) -> None:
    async def add() -> None:
        async with connected(plain_db) as connection:
            await connection.execute(
                "INSERT INTO gateway (gateway_id, name) VALUES ('0016c001ff10a235', 'Rathaus')"
            )

    run_async(add())
    done = run("add", "--gateway", "Rathaus", "--for", "4h", "--reason", "new mast")
    assert "gateway 0016c001ff10a235" in done.output
    with pytest.raises(UsageError, match='unknown gateway 0016c001ff10a236; did you mean "0016c001ff10a235"'):
        run("add", "--gateway", "0016c001ff10a236", "--for", "4h", "--reason", "new mast")
