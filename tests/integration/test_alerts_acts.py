"""What people do with alerts: acknowledge, comment, judge, close. Against a real database, by the real commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from smartdorf.cli.alerts import app
from smartdorf.cli.context import run_async
from smartdorf.db.directory import actor
from smartdorf.db.pool import connected
from smartdorf.errors import UsageError
from tests.support.alerts import add_container, change, outbox, record
from tests.support.content import write_settings
from tests.support.postgres import Database

Run = Callable[..., Result]
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def run(any_db: Database, tmp_path: Path) -> Run:
    settings = write_settings(tmp_path, any_db)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--config", str(settings)], catch_exceptions=False)

    return call


@pytest.fixture
def dsn(any_db: Database) -> str:
    """Alerts 1 and 2 are open, 3 is over."""

    async def write() -> None:
        one, two, over = [await add_container(any_db.dsn, name) for name in ("Glas A", "Glas B", "Glas C")]
        fired = [change("fired", place, NOW - timedelta(hours=2)) for place in (one, two, over)]
        await record(any_db.dsn, *fired, change("resolved", over, NOW - timedelta(hours=1)), now=NOW)
        async with connected(any_db.dsn) as connection:
            await connection.execute(
                "INSERT INTO rule_state (rule, subject_kind, subject_id, phase, since, readings, fired_at) "
                "SELECT rule, subject_kind, subject_id, 'firing', since, 2, fired_at FROM alert "
                "WHERE state = 'firing'"
            )

    run_async(write())
    return any_db.dsn


def fetch(dsn: str, query: str) -> list[tuple[object, ...]]:
    async def work() -> list[tuple[object, ...]]:
        async with connected(dsn) as connection:
            return [tuple(row) for row in await connection.fetch(query)]

    return run_async(work())


def shown(run: Run, number: int) -> str:
    return " ".join(run("show", str(number)).output.split())


def test_acknowledging_is_silent_and_seen_by_all(run: Run, dsn: str) -> None:
    done = run("ack", "1", "2", "--comment", "Miller is  on his way")
    assert (done.exit_code, done.output) == (0, "")
    assert run("list").output.count("acknowledged") == 2
    text = shown(run, 1)
    assert f"Acknowledged by {actor()}, " in text
    assert f"acknowledged by {actor()}: Miller is on his way" in text
    alerts = json.loads(run("list", "--json").output)
    assert {alert["acknowledged"]["actor"] for alert in alerts} == {actor()}


def test_what_cannot_be_acknowledged_is_said_and_the_rest_is_done(run: Run, dsn: str) -> None:
    run("ack", "1")
    done = run("ack", "1", "2", "3", "99")
    assert done.exit_code == 1
    assert f"alert 1 was acknowledged already, by {actor()}" in done.output
    assert "alert 3 is over since" in done.output
    assert "There is no alert 99; `smartdorf alerts list --all` lists them." in done.output
    assert fetch(dsn, "SELECT alert_id FROM alert_event WHERE kind = 'acknowledged' ORDER BY id") == [
        (1,),
        (2,),
    ]


def test_nothing_done_is_exit_code_2(run: Run, dsn: str) -> None:
    assert run("ack", "3", "99").exit_code == 2
    assert run("resolve", "99", "--reason", "gone").exit_code == 2


def test_programs_are_told_of_each(run: Run, dsn: str) -> None:
    done = run("ack", "1", "99", "1", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout) == [
        {"id": 1, "done": True, "waiting": False, "problem": None},
        {
            "id": 99,
            "done": False,
            "waiting": False,
            "problem": "There is no alert 99; `smartdorf alerts list --all` lists them.",
        },
    ]


def test_a_comment_is_kept_also_of_an_alert_that_is_over(run: Run, dsn: str) -> None:
    assert run("comment", "3", "the lid was open").exit_code == 0
    assert f"{actor()} says: the lid was open" in shown(run, 3)
    with pytest.raises(UsageError, match="a comment needs words"):
        run("comment", "3", "  ")


def test_the_last_verdict_counts_and_all_are_kept(run: Run, dsn: str) -> None:
    assert run("verdict", "3", "TRUE").exit_code == 0
    assert run("verdict", "3", "false", "--comment", "a spider").exit_code == 0
    text = shown(run, 3)
    assert f"Verdict: false alarm, by {actor()}" in text
    assert f"{actor()} judges: true alarm" in text
    assert f"{actor()} judges: false alarm: a spider" in text
    assert "false alarm" in run("list", "--all").output
    assert json.loads(run("show", "3", "--json").output)["verdict"]["verdict"] == "false"
    with pytest.raises(UsageError, match='"maybe" is no verdict: expected true, false or drill'):
        run("verdict", "3", "maybe")


def test_closing_by_hand_where_no_service_runs(run: Run, dsn: str) -> None:
    done = run("resolve", "1", "--reason", "sensor was lifted out")
    assert (done.exit_code, done.output) == (0, "")
    assert fetch(dsn, "SELECT id, state FROM alert ORDER BY id") == [
        (1, "resolved"),
        (2, "firing"),
        (3, "resolved"),
    ]
    text = shown(run, 1)
    assert f"closed by {actor()}: sensor was lifted out" in text
    # whoever was to hear of the beginning hears of the end
    assert [row["receiver"] for row in run_async(outbox(dsn))] == ["bauhof"] * 5
    # what is known already opens it no more, not even at the next start
    assert fetch(dsn, "SELECT subject_id, phase FROM rule_state ORDER BY subject_id") == [
        (1, "closed"),
        (2, "firing"),
    ]
    assert fetch(dsn, "SELECT count(*) FROM resolve_request") == [(0,)]


def test_closing_what_is_over_says_so(run: Run, dsn: str) -> None:
    done = run("resolve", "2", "3", "--reason", "gone")
    assert done.exit_code == 1
    assert "alert 3 is over since" in done.output
    with pytest.raises(UsageError, match="--reason needs words"):
        run("resolve", "2", "--reason", "")
