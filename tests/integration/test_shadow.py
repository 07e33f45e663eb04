"""Rules on trial against a real database: kept and shown, told to nobody but in the daily list."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smartdorf.cli import alerts as alerts_cli
from smartdorf.cli import rules as rules_cli
from smartdorf.cli.context import run_async
from smartdorf.clock import Clock
from smartdorf.config.rule import Mode
from smartdorf.config.rules import RuleSet, load_rules
from smartdorf.content import shipped
from smartdorf.db import lifecycle
from smartdorf.db.alerts import find_alert
from smartdorf.db.pool import connected
from smartdorf.db.trials import fetch_trials, list_trials
from smartdorf.decoding.registry import load_catalogue
from smartdorf.errors import NotFoundError, UsageError
from smartdorf.ingest.memory import Content
from smartdorf.morning import list_what_was_on_trial
from smartdorf.notify.receiver import DeliveryError
from smartdorf.vocabulary import load_vocabulary
from tests.integration.ingest.test_alert_stages import RULES, level
from tests.integration.ingest.test_pipeline import LATER, NOON, Bench, onboard, opened
from tests.support.alerts import ManualClock, Recorder, add_container, change, measure, outbox, record, until
from tests.support.content import write_settings
from tests.support.notifier import running
from tests.support.postgres import Database

SHADOW = {"receivers": ["bauhof"], "shadow": True}


def content_of(folder: Path, mode: Mode) -> Content:
    (folder / "waste.yaml").write_text(RULES)
    vocabulary = load_vocabulary()
    rules = load_rules([folder], vocabulary, modes={"Filling": mode})
    assert rules.problems == ()
    return Content(vocabulary, load_catalogue([shipped("decoders")], vocabulary), rules)


@pytest.fixture
async def bench(plain_db: str, tmp_path: Path) -> AsyncIterator[Bench]:
    await onboard(plain_db)
    async with opened(plain_db, content_of(tmp_path, "shadow")) as made:
        await made.pipeline.rebind()
        yield made


# -- the path ----------------------------------------------------------------------------------------------------


async def test_an_alert_on_trial_is_kept_like_any_other_and_told_to_nobody(bench: Bench) -> None:
    await bench.receive(level(0, 82), level(1, 85), level(2, 97), level(3, 98))
    assert await bench.rows(
        "SELECT shadow, state, severity, limits::text, inputs ? 'fill_level_pct' FROM alert"
    ) == [(True, "firing", "critical", '{"full": 80.0, "emptied": 60.0, "overfull": 95.0}', True)]
    assert await bench.rows("SELECT kind FROM alert_event ORDER BY id") == [("fired",), ("raised",)]
    assert await bench.rows("SELECT * FROM outbox") == []
    async with connected(bench.dsn) as connection:
        alert = await find_alert(connection, 1)
    assert alert is not None
    assert (
        alert.because["en"]
        .replace("\xa0", " ")
        .startswith(
            "Container (overfull) at Kirchplatz because Fill level was 98 % (limit overfull: 95 %) in 2 readings since"
        )
    )


async def test_what_opened_on_trial_stays_so_when_the_rule_goes_live_and_the_next_is_told(
    bench: Bench, tmp_path: Path
) -> None:
    await bench.receive(level(0, 82), level(1, 85))
    async with opened(bench.dsn, content_of(tmp_path, "live")) as live:
        await bench.writer.close()
        await live.pipeline.rebind()
        await live.receive(level(2, 97), level(3, 98))  # raised: still the same alert
        assert await live.rows("SELECT kind FROM alert_event ORDER BY id") == [("fired",), ("raised",)]
        assert await live.rows("SELECT * FROM outbox") == []
        await live.receive(level(4, 20))
        async with connected(live.dsn) as connection:
            await lifecycle.request_close(connection, 1, "emptied", live.clock.now())
            async with connection.transaction():
                await lifecycle.close_requested(connection, live.clock.now(), {})
        assert await live.rows("SELECT * FROM outbox") == []
        assert await fetch_trials_of(live.dsn) == {}


async def fetch_trials_of(dsn: str) -> dict[str, datetime]:
    async with connected(dsn) as connection:
        return await fetch_trials(connection)


async def test_a_trial_counts_from_when_the_service_first_saw_it_on_trial(
    bench: Bench, tmp_path: Path
) -> None:
    [since] = (await fetch_trials_of(bench.dsn)).values()
    assert abs(since - LATER) < timedelta(minutes=1)
    await bench.pipeline.rebind()
    assert await fetch_trials_of(bench.dsn) == {"Filling": since}
    await bench.writer.close()
    broken = replace(content_of(tmp_path, "shadow"), rules=RuleSet(broken=frozenset({"Filling"})))
    async with opened(bench.dsn, broken) as other:  # its file has a mistake now
        await other.pipeline.rebind()
        assert await fetch_trials_of(bench.dsn) == {"Filling": since}
    async with opened(bench.dsn, content_of(tmp_path, "live")) as other:
        await other.pipeline.rebind()
        assert await fetch_trials_of(bench.dsn) == {}


def test_the_mode_is_no_part_of_the_rule_s_version(tmp_path: Path) -> None:
    def version(text: str) -> str:
        (tmp_path / "rules.yaml").write_text(text)
        (rule,) = load_rules([tmp_path], load_vocabulary())
        return rule.version

    assert version(RULES) == version(RULES.replace("mode: live", "mode: shadow"))
    assert version(RULES) != version(RULES.replace("80", "81"))


# -- the daily list ------------------------------------------------------------------------------------------------


async def list_now(dsn: str, now: datetime = NOON) -> None:
    async with connected(dsn) as connection:
        await list_trials(connection, {"ContainerFull": ["bauhof", "leitung"]}, now)


async def test_the_list_has_what_nobody_has_judged_once_and_for_each_receiver(plain_db: str) -> None:
    places = [await add_container(plain_db, f"Glas {name}") for name in ("A", "B", "C", "D")]
    await record(plain_db, *(change("fired", place, NOON, **SHADOW) for place in places[:3]), now=NOON)
    await record(plain_db, change("fired", places[3], NOON), now=NOON)  # told as ever
    async with connected(plain_db) as connection:
        await lifecycle.give_verdict(connection, 2, "true", None, NOON)
    bauhof, leitung = Recorder("bauhof"), Recorder("leitung")
    async with running(plain_db, bauhof, leitung) as bench:
        await bench.becomes("sent")
        await list_now(plain_db)
        await list_now(plain_db)  # a start in the same minute
        await until(lambda: len(bauhof.told) == 2 and bool(leitung.told), "both are told")
        await bench.looked_again()
    [message] = leitung.told
    assert (message.kind, [entry.alert_id for entry in message.together]) == ("listed", [1, 3])
    assert [entry.place for entry in bauhof.told[1].together] == ["Glas A", "Glas C"]
    assert len(bauhof.told) == 2
    async with connected(plain_db) as connection:
        await lifecycle.give_verdict(connection, 1, "false", None, NOON)
    await list_now(plain_db, NOON + timedelta(days=1))
    assert len(await outbox(plain_db)) == 5  # nothing new, so no list


async def test_a_list_that_could_not_be_told_is_told_the_same_after_a_restart(plain_db: str) -> None:
    places = [await add_container(plain_db, f"Glas {name}") for name in ("A", "B")]
    await record(plain_db, *(change("fired", place, NOON, **SHADOW) for place in places), now=NOON)
    await list_now(plain_db)
    bauhof = Recorder("bauhof")
    bauhof.failures = [DeliveryError("no route")]
    clock = ManualClock()
    async with running(plain_db, bauhof, clock=clock) as bench:
        await until(lambda: not bauhof.failures, "it was tried")
        await bench.looked_again()
    clock.advance(seconds=10)
    async with running(plain_db, bauhof, clock=clock):
        await until(lambda: bool(bauhof.told), "it is told")
    [message] = bauhof.told
    assert [entry.alert_id for entry in message.together] == [1, 2]
    assert message.id == (await outbox(plain_db))[0]["summary_id"]


async def test_what_happened_long_before_it_was_known_is_listed_and_the_old_past_is_not(
    plain_db: str,
) -> None:
    places = [await add_container(plain_db, f"Glas {name}") for name in ("A", "B")]
    await record(plain_db, change("fired", places[0], NOON - timedelta(days=30), **SHADOW), now=NOON)
    await record(plain_db, change("fired", places[1], NOON, **SHADOW), now=NOON - timedelta(days=8))
    await list_now(plain_db)
    assert [row["receiver"] for row in await outbox(plain_db)] == ["bauhof", "leitung"]


async def test_the_service_lists_at_seven_of_the_church_clock(plain_db: str, tmp_path: Path) -> None:
    place = await add_container(plain_db)
    await record(plain_db, change("fired", place, NOON, rule="Filling", **SHADOW), now=NOON)
    rules = content_of(tmp_path, "shadow").rules
    clock = Clock(start=NOON + timedelta(hours=17, minutes=59, seconds=0), speed=100)  # 06:59 in Berlin
    task = asyncio.create_task(list_what_was_on_trial(plain_db, lambda: rules, clock))
    try:
        for _ in range(500):
            rows = await outbox(plain_db)
            if rows or task.done():
                break
            await asyncio.sleep(0.02)
        assert not task.done(), task.result()
        assert {row["receiver"] for row in rows} == {"bauhof", "it"}
        assert clock.now() >= NOON + timedelta(hours=18)
    finally:
        task.cancel()


# -- commands --------------------------------------------------------------------------------------------------------

Run = Callable[..., str]


@pytest.fixture
def run(any_db: Database, tmp_path: Path) -> Run:
    """Run ``smartdorf …`` on the database and return what it printed."""
    settings = write_settings(tmp_path, any_db, '[rules]\nlive = ["BaySensorStuck"]\n')

    def call(command: str, *arguments: str) -> str:
        app = {"alerts": alerts_cli.app, "rules": rules_cli.app}[command]
        result = CliRunner().invoke(app, [*arguments, "--config", str(settings)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output.replace("\xa0", " ")

    return call


def readiness(run: Run, *arguments: str) -> dict[str, dict[str, object]]:
    return {entry["rule"]: entry for entry in json.loads(run("rules", "readiness", "--json", *arguments))}


def test_readiness_counts_what_was_judged(any_db: Database, run: Run) -> None:
    now = datetime.now(UTC)

    async def write() -> None:
        places = [await add_container(any_db.dsn, f"Glas {number}") for number in range(5)]
        days = (1, 2, 3, 4, 40)
        for place, day in zip(places, days, strict=True):
            await record(any_db.dsn, change("fired", place, now - timedelta(days=day), **SHADOW), now=now)
        async with connected(any_db.dsn) as connection:
            for number, verdict in ((1, "false"), (1, "true"), (2, "true"), (3, "drill")):
                await lifecycle.give_verdict(connection, number, verdict, None, now)  # type: ignore[arg-type]
            await connection.execute(
                "INSERT INTO rule_trial VALUES ('ContainerFull', $1)", now - timedelta(days=15)
            )
            await connection.execute('UPDATE place SET tags = \'{"fraction": "glass"}\'')

    run_async(write())
    entry = readiness(run, "--rule", "ContainerFull")["ContainerFull"]
    assert [
        entry[name] for name in ("alerts", "true", "false", "drill", "not_judged", "precision", "days")
    ] == [4, 2, 0, 1, 1, 1.0, 15]
    assert (entry["sensors"], entry["silent_sensors"]) == (5, 5)
    assert (entry["ready"], entry["missing"]) == (False, ["All its sensors are silent."])
    assert "ContainerFull is not ready: All its sensors are silent." in run("rules", "readiness")


def test_readiness_is_about_rules_on_trial_only(run: Run) -> None:
    found = readiness(run)
    assert "BaySensorStuck" not in found  # the settings let it tell
    assert "DeviceSilent" not in found  # its file does
    assert "WaterLeak" in found
    with pytest.raises(UsageError, match="tells people already"):
        run("rules", "readiness", "--rule", "DeviceSilent")
    with pytest.raises(UsageError, match='did you mean "WaterLeak"'):
        run("rules", "readiness", "--rule", "WaterLeck")


def test_an_alert_on_trial_says_so_and_begins_with_why(any_db: Database, run: Run) -> None:
    async def write() -> None:
        place = await add_container(any_db.dsn)
        because = {"de": "Weil so.", "en": "Because so."}
        await record(any_db.dsn, change("fired", place, because=because, limits={"full": 80}, **SHADOW))

    run_async(write())
    page = run("alerts", "show", "1")
    assert page.startswith("Because so.\n")
    assert "smartdorf alerts verdict 1 true|false|drill" in page
    [entry] = json.loads(run("alerts", "list", "--json"))
    assert (entry["shadow"], entry["limits"]) == (True, {"full": 80})
    assert "nobody: on trial" in run("alerts", "list")


@pytest.fixture
def glass(any_db: Database) -> datetime:
    """A glass container that is not full, measured just now; returns when."""
    now = datetime.now(UTC).replace(microsecond=0)

    async def write() -> None:
        place = await add_container(any_db.dsn)
        await measure(any_db.dsn, place, now, fill_level_pct=71.0)
        async with connected(any_db.dsn) as connection:
            await connection.execute('UPDATE place SET tags = \'{"fraction": "glass"}\'')

    run_async(write())
    return now


def why_not(run: Run, *arguments: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run("alerts", "why-not", *arguments, "--json"))
    return found


def test_why_not_compares_value_and_limit(run: Run, glass: datetime) -> None:
    text = run("alerts", "why-not", "Glas Kirchplatz", "ContainerFull")
    assert text.startswith("ContainerFull at Glas Kirchplatz: no alert is open.\n– Fill level is 71 % (")
    assert "; the rule wants at least 80 % (full).\n" in text
    assert "– The rule is on trial (mode: shadow)" in text
    [by_slug] = why_not(run, "glas-kirchplatz", "ContainerFull")
    [by_sensor] = why_not(run, str(by_device(run)), "ContainerFull")
    assert by_slug == by_sensor
    assert (by_slug["watched"], by_slug["alert_id"], by_slug["place"]) == (True, None, "glas-kirchplatz")


def by_device(run: Run) -> object:
    [entry] = why_not(run, "glas-kirchplatz", "DeviceSilent")  # a rule of devices: that of the place
    return entry["device"]


def test_why_not_says_what_differs_and_what_it_does_not_know(run: Run, glass: datetime) -> None:
    [entry] = why_not(run, "glas-kirchplatz", "WaterLeak")
    assert entry["watched"] is False
    assert entry["reasons"] == [
        "WaterLeak watches places of the type cellar, room; Glas Kirchplatz is a container."
    ]
    with pytest.raises(NotFoundError, match='did you mean "ContainerFull"'):
        run("alerts", "why-not", "glas-kirchplatz", "ContainerFul")
    with pytest.raises(NotFoundError, match='did you mean "glas-kirchplatz"'):
        run("alerts", "why-not", "glas-kirchplaz", "ContainerFull")


def test_why_not_knows_an_open_alert_and_a_silence(any_db: Database, run: Run, glass: datetime) -> None:
    async def write() -> None:
        async with connected(any_db.dsn) as connection:
            await connection.execute(
                "INSERT INTO silence (created_at, created_by, reason, until, place_id) "
                "SELECT $1, 'me', 'works', $2, id FROM place",
                glass - timedelta(hours=1),
                glass + timedelta(days=1),
            )
            place = await connection.fetchval("SELECT id FROM place")
        await record(any_db.dsn, change("fired", place, glass))

    [entry] = why_not(run, "glas-kirchplatz", "ContainerFull")
    assert entry["alert_id"] is None
    run_async(write())
    [entry] = why_not(run, "glas-kirchplatz", "ContainerFull")
    assert entry["alert_id"] == 1
    reasons = entry["reasons"]
    assert isinstance(reasons, list)
    assert reasons[-1].startswith("Silence 1 fits until ")
