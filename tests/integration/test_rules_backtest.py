"""smartdorf rules backtest against a real database: what would have been told, and that nothing is changed by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from smartdorf.cli.context import run_async
from smartdorf.cli.rules import app
from smartdorf.errors import ContentError, UsageError
from tests.support.alerts import add_container
from tests.support.postgres import Database

Run = Callable[..., Result]

RULE = """\
groups:
  - name: test
    rules:
      - alert: {name}
        for_each: {{place_type: container}}
        limits: {{full: {full}, emptied: 40}}
        when: fill_level_pct >= full
        clear: fill_level_pct < emptied
        for: 2 readings
        severity: warning
        notify: [bauhof]
        mode: live
        summary: {{de: "{{place}}: {{fill_level_pct}} voll", en: "{{place}}: {{fill_level_pct}} full"}}
"""
BEGIN = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=10)


def at(hours: float) -> datetime:
    return BEGIN + timedelta(hours=hours)


def fill(dsn: str, place_id: int, levels: dict[float, float], records: dict[float, float]) -> None:
    """Levels by hour; ``records`` were measured then, and sent with the next level."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO metric (name, unit, kind) VALUES ('fill_level_pct', '%', 'gauge') ON CONFLICT DO NOTHING"
        )
        [device_id] = connection.execute(
            "SELECT device_id FROM installation WHERE place_id = %s", (place_id,)
        ).fetchone() or (0,)
        for hours, level in {**levels, **records}.items():
            if hours in levels:
                connection.execute(
                    "INSERT INTO uplink (time, deduplication_id, device_id, dev_addr, f_cnt, f_port, dr, adr, "
                    "confirmed, encrypted, data, gateway_count, received_at, status) "
                    "VALUES (%s, %s, %s, '00000001', 1, 1, 5, true, false, false, '', 1, now(), 'decoded')",
                    (at(hours), uuid4(), device_id),
                )
            connection.execute(
                "INSERT INTO measurement (time, device_id, channel, metric_id, value, quality, place_id) "
                "SELECT %s, %s, 0, id, %s, %s, %s FROM metric WHERE name = 'fill_level_pct'",
                (at(hours), device_id, level, 4 if hours in records else 0, place_id),
            )


def everything(dsn: str) -> list[object]:
    with psycopg.connect(dsn) as connection:
        return [
            connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
            for table in ("rule_state", "alert", "alert_event", "outbox", "audit_log", "metric")
        ]


@pytest.fixture
def run(any_db: Database, tmp_path: Path) -> Run:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.yaml").write_text(RULE.format(name="Level", full=80))
    settings = tmp_path / "smartdorf.toml"
    settings.write_text(
        f'[database]\ndsn = "{any_db.dsn}"\nprofile = "{any_db.profile}"\n[content]\nrules = ["rules"]\n'
        '[[mqtt]]\nname = "own"\nhost = "127.0.0.1"\nclient_id = "test"\n'
    )

    def call(*arguments: str, rule: str = "Level") -> Result:
        options = ["backtest", "--rule", rule, "--config", str(settings), *arguments]
        return CliRunner().invoke(app, options, catch_exceptions=False)

    return call


@pytest.fixture
def story(any_db: Database) -> None:
    """Two containers since ten days: one full twice, one once and still."""

    async def places() -> tuple[int, int]:
        return await add_container(any_db.dsn, "Glas Kirchplatz"), await add_container(any_db.dsn, "Glas Bad")

    church, bath = run_async(places())
    # 85 and 90: full from hour 2 to 5; the records of hours 11 and 12 are full, which was told at hour 13
    fill(any_db.dsn, church, {1: 85, 2: 90, 3: 60, 5: 20, 10: 30, 13: 35}, {11: 86, 12: 87})
    fill(any_db.dsn, bath, {20: 82, 21: 84, 22: 96, 23: 97}, {})


def test_the_alerts_that_there_would_have_been(run: Run, story: None, any_db: Database) -> None:
    before = everything(any_db.dsn)
    result = run("--since", "30d", "--json")
    assert result.exit_code == 0, result.output
    [rule] = json.loads(result.stdout)["rules"]
    assert (rule["rule"], rule["watched"], rule["already_open"]) == ("Level", 2, 0)
    found = [
        (alert["place"], datetime.fromisoformat(alert["fired_at"]), alert["resolved_at"])
        for alert in rule["alerts"]
    ]
    assert [entry[:2] for entry in found] == [
        ("glas-kirchplatz", at(2)),
        ("glas-kirchplatz", at(12)),
        ("glas-bad", at(21)),
    ]
    ends = [datetime.fromisoformat(entry[2]) if entry[2] else None for entry in found]
    assert ends == [at(5), at(13), None]
    assert rule["alerts"][0]["seconds"] == 3 * 3600
    assert everything(any_db.dsn) == before


def test_the_table_says_where_how_long_and_what(run: Run, story: None) -> None:
    output = run("--since", "30d").output.replace("\N{NO-BREAK SPACE}", " ")
    assert "Glas Kirchplatz 2×, Glas Bad 1×" in output
    assert "(3h) Glas Kirchplatz: 90 % full" in output
    assert "still open at the end" in output
    assert "Nothing is stored from before" in output


def test_what_began_before_the_time_is_not_counted(run: Run, story: None) -> None:
    result = run("--since", at(3).isoformat(), "--until", at(18).isoformat(), "--json")
    [rule] = json.loads(result.stdout)["rules"]
    assert [alert["place"] for alert in rule["alerts"]] == ["glas-kirchplatz"]
    assert rule["already_open"] == 1


def test_two_sets_of_rules_are_compared(run: Run, story: None, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(RULE.format(name="Level", full=95))
    result = run("--since", "30d", "--against", str(other), "--json")
    [rule] = json.loads(result.stdout)["rules"]
    assert (rule["before"], rule["after"], rule["same"], rule["new"]) == (3, 1, 0, [])
    assert [alert["place"] for alert in rule["lost"]] == ["glas-kirchplatz", "glas-kirchplatz"]
    assert [(shift["place"], shift["later_seconds"]) for shift in rule["shifted"]] == [("glas-bad", 7200)]
    output = run("--since", "30d", "--against", str(other)).output
    assert "Level: 3 alerts → 1" in output
    assert "lost: 2 (Glas Kirchplatz 2×)" in output
    assert "(2h later)" in output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "soon"], "expected how long ago (90d, 48h), a day or a time (2026-05-01)"),
        (["--since", "1d", "--until", "2d"], "--since is not before --until"),
        (["--against", "nowhere.yaml"], "nowhere.yaml: there is no such file or folder"),
    ],
)
def test_wrong_input_is_told_with_advice(run: Run, arguments: list[str], said: str) -> None:
    with pytest.raises(UsageError) as error:
        run(*arguments)
    assert said in str(error.value)


def test_an_unknown_rule_is_guessed(run: Run) -> None:
    with pytest.raises(UsageError, match='unknown rule "ContainerFul"; did you mean "ContainerFull"'):
        run(rule="ContainerFul")


def test_a_broken_rule_file_is_told_with_its_place(run: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(RULE.format(name="Level", full=80).replace("fill_level_pct >=", "fil_level_pct >="))
    with pytest.raises(ContentError, match=r"broken.yaml:7:15: .*fill_level_pct"):
        run("--against", str(broken))


def test_where_nothing_is_stored_it_says_since_when_there_is_something(run: Run, story: None) -> None:
    with pytest.raises(UsageError, match=r"There is data from .* to .*"):
        run("--since", "2020-01-01", "--until", "2020-02-01")


def test_without_any_data_it_says_so(run: Run, any_db: Database) -> None:
    with pytest.raises(UsageError, match="These rules watch no place and no device"):
        run()
    run_async(add_container(any_db.dsn))
    with pytest.raises(UsageError, match="Nothing is stored at all"):
        run()
