"""smartdorf alerts against a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smartdorf.cli.alerts import app
from smartdorf.cli.context import run_async
from smartdorf.db.pool import connected
from smartdorf.errors import NotFoundError, UsageError
from tests.support.alerts import add_container, change, measure, record
from tests.support.content import write_settings
from tests.support.postgres import Database

Run = Callable[..., str]


@pytest.fixture
def run(any_db: Database, tmp_path: Path) -> Run:
    """Run ``smartdorf alerts …`` on the database and return what it printed."""
    settings = write_settings(tmp_path, any_db)

    def call(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--config", str(settings)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return call


@pytest.fixture
def story(any_db: Database) -> datetime:
    """A full container since an hour, one that was full three weeks ago, one that is about to be; returns now."""
    now = datetime.now(UTC).replace(microsecond=0)

    dsn = any_db.dsn

    async def write() -> None:
        full, was_full, filling = [
            await add_container(dsn, name) for name in ("Glas Kirchplatz", "Glas Schule", "Glas Bad")
        ]
        await measure(dsn, full, now - timedelta(hours=30), fill_level_pct=83.0)
        await measure(dsn, full, now - timedelta(minutes=5), battery_v=3.6)
        three_weeks_ago = now - timedelta(weeks=3)
        await record(
            dsn,
            change("fired", full, now - timedelta(hours=31), receivers=["bauhof", "leitung"]),
            change("fired", was_full, three_weeks_ago - timedelta(hours=1), receivers=[]),
            change("resolved", was_full, three_weeks_ago, receivers=[]),
            now=now,
        )
        async with connected(dsn) as connection:
            await connection.execute(
                "UPDATE outbox SET state = 'sent', attempts = 1, finished_at = $1, result = 'HTTP 204' "
                "WHERE receiver = 'bauhof'",
                now,
            )
            await connection.execute(
                "UPDATE outbox SET attempts = 3, next_attempt_at = $1, result = 'no route' "
                "WHERE receiver = 'leitung'",
                now + timedelta(minutes=2),
            )
            await connection.execute(
                "INSERT INTO rule_state (rule, subject_kind, subject_id, phase, since, readings) "
                "VALUES ('ContainerFull', 'place', $1, 'pending', $2, 1)",
                filling,
                now - timedelta(minutes=10),
            )

    run_async(write())
    return now


def test_without_alerts_the_list_says_so(run: Run) -> None:
    assert run("list") == "No open alerts.\n"
    assert json.loads(run("list", "--json")) == []


def test_the_list_shows_open_alerts_only(run: Run, story: datetime) -> None:
    [alert] = json.loads(run("list", "--json"))
    assert (alert["place"], alert["state"], alert["severity"]) == ("Glas Kirchplatz", "firing", "warning")
    assert alert["inputs"] == [{"name": "fill_level_pct", "value": 83.0, "time": None}]


def test_the_value_that_counts_is_that_of_the_rule_and_not_of_the_battery(run: Run, story: datetime) -> None:
    [alert] = json.loads(run("list", "--json"))
    assert datetime.fromisoformat(alert["last_value_at"]) == story - timedelta(hours=30)
    assert alert["value_unknown"] is True


def test_who_was_told_and_who_was_not_is_there(run: Run, story: datetime) -> None:
    [alert] = json.loads(run("list", "--json"))
    told = {
        entry["receiver"]: (entry["state"], entry["attempts"], entry["result"]) for entry in alert["told"]
    }
    assert told == {"bauhof": ("sent", 1, "HTTP 204"), "leitung": ("waiting", 3, "no route")}


def test_all_shows_what_is_over_for_as_long_as_was_asked(run: Run, story: datetime) -> None:
    def places(*arguments: str) -> list[str]:
        return [alert["place"] for alert in json.loads(run("list", "--json", *arguments))]

    assert places("--all") == ["Glas Kirchplatz"]
    assert places("--all", "--since", "4w") == ["Glas Kirchplatz", "Glas Schule"]
    assert places("--pending") == ["Glas Bad", "Glas Kirchplatz"]


def test_the_table_is_for_people(run: Run, story: datetime) -> None:
    text = run("list", "--pending", "--all", "--since", "30d")
    for word in ("Kirchplatz", "Schule", "pending", "unknown"):
        assert word in text


def test_show_says_why_with_values_and_history(run: Run, story: datetime) -> None:
    text = " ".join(run("show", "1").split())
    assert "Container full, Glas Kirchplatz: fired" in text
    assert "(Fill level 83 %)." in text
    assert "unknown, last value 1 day ago" in text
    assert "bauhof told that it fired: HTTP 204" in text
    assert "leitung to be told that it fired, 3 attempt(s) so far:" in text
    assert "known here only" in text


def test_show_as_json_has_the_history(run: Run, story: datetime) -> None:
    alert = json.loads(run("show", "2", "--json"))
    assert alert["place"] == "Glas Schule"
    assert [event["kind"] for event in alert["history"]] == ["fired", "resolved"]


def test_an_unknown_number_is_answered_with_advice(run: Run) -> None:
    with pytest.raises(NotFoundError, match="There is no alert 99; `smartdorf alerts list --all` lists them"):
        run("show", "99")


def test_a_period_without_a_unit_is_answered_with_examples(run: Run) -> None:
    with pytest.raises(
        UsageError, match='"7" is no period; expected a number and a unit: 90m, 12h, 7d or 4w'
    ):
        run("list", "--all", "--since", "7")
