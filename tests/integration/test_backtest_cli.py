"""`smartdorf rules backtest`: what the rules would have told about what is stored. Nothing is changed by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from tests.integration.test_cli import Shell

EUI = "24e124136c012345"
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
# hours ago → level: full twice, emptied once
LEVELS = {60: 50, 50: 81, 49: 85, 40: 30, 20: 83, 19: 84, 10: 85}
RULE = """\
groups:
  - name: waste
    rules:
      - alert: ContainerFull
        for_each: {{place_type: container}}
        when: fill_level_pct >= {full}
        clear: fill_level_pct < 60
        for: 2 readings
        severity: warning
        notify: [it]
        summary: {{de: "{{place}}: {{fill_level_pct}} voll", en: "{{place}}: {{fill_level_pct}} full"}}
"""


@pytest.fixture
def smartdorf(tmp_path: Path, any_db: object) -> Shell:
    dsn = any_db.dsn  # type: ignore[attr-defined]
    shell = Shell(tmp_path, dsn)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "waste.yaml").write_text(RULE.format(full=80))
    with (tmp_path / "smartdorf.toml").open("a") as file:
        file.write('[content]\nrules = ["rules"]\n')
    return shell


def fill(shell: Shell, dsn: str) -> None:
    shell("places", "add", "kirchplatz", "--type", "container", "--name", "Glas Kirchplatz")
    shell(
        "devices",
        "add",
        EUI,
        "--model",
        "milesight/em400-mud",
        "--place",
        "kirchplatz",
        "--since",
        "2026-01-01T00:00",
    )
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO metric (name, unit, kind) VALUES ('fill_level_pct', '%', 'gauge') ON CONFLICT DO NOTHING"
        )
        for number, (hours, level) in enumerate(LEVELS.items()):
            time = NOW - timedelta(hours=hours)
            connection.execute(
                "INSERT INTO uplink (time, deduplication_id, device_id, dev_addr, f_cnt, f_port, dr, adr, confirmed, "
                "encrypted, data, gateway_count, received_at, status) "
                "VALUES (%s, %s, 1, '01', %s, 85, 3, true, false, false, '', 1, %s, 'decoded')",
                (time, UUID(int=number), number, time),
            )
            connection.execute(
                "INSERT INTO measurement (time, device_id, channel, metric_id, value, quality) "
                "SELECT %s, 1, 0, id, %s, 0 FROM metric WHERE name = 'fill_level_pct'",
                (time, level),
            )


def test_it_tells_what_would_have_been_told_and_changes_nothing(smartdorf: Shell, any_db):
    fill(smartdorf, any_db.dsn)
    found = smartdorf.json("rules", "backtest", "--rule", "ContainerFull", "--since", "7d")
    [rule] = found["rules"]
    assert (rule["rule"], rule["watched"], rule["already_open"]) == ("ContainerFull", 1, 0)
    assert (rule["alerts"][0]["name"], rule["alerts"][0]["seconds"]) == ("Glas Kirchplatz", 9 * 3600)
    assert [a["resolved_at"] is None for a in rule["alerts"]] == [False, True]
    assert rule["alerts"][1]["summary"]["en"].replace("\xa0", " ") == "Glas Kirchplatz: 84 % full"
    text = smartdorf("rules", "backtest", "--rule", "ContainerFull", "--since", "7d")
    assert "Glas Kirchplatz: 85" in text
    assert "9.0 h" in text
    assert "still open" in text
    with psycopg.connect(any_db.dsn) as connection:
        for table in ("alert", "rule_state", "outbox"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_a_draft_is_compared_with_the_rule_in_force(smartdorf: Shell, any_db, tmp_path: Path):
    fill(smartdorf, any_db.dsn)
    draft = tmp_path / "draft.yaml"
    draft.write_text(RULE.format(full=84))
    found = smartdorf.json("rules", "backtest", "--since", "7d", "--against", str(draft))
    [rule] = found["rules"]
    # 81 and 85, 83 and 84 are two readings from 80 on; from 84 on only 84 and 85 are
    assert (rule["before"], rule["after"], len(rule["lost"]), len(rule["new"])) == (2, 1, 1, 0)
    assert [shift["by_seconds"] / 3600 for shift in rule["shifted"]] == [9.0]
    text = smartdorf("rules", "backtest", "--since", "7d", "--against", str(draft))
    assert "ContainerFull: 2 alerts → 1" in text
    assert "lost: 1" in text
    assert "later by 9.0 h" in text


def test_wrong_input_gets_advice(smartdorf: Shell, any_db, tmp_path: Path):
    assert "nothing is stored yet" in smartdorf("rules", "backtest", code=2)
    fill(smartdorf, any_db.dsn)
    assert 'did you mean "ContainerFull"?' in smartdorf("rules", "backtest", "--rule", "ContainrFull", code=2)
    assert "there is something from" in smartdorf(
        "rules", "backtest", "--since", "1d", "--until", "2026-02-01", code=2
    )
    assert "is no duration" in smartdorf("rules", "backtest", "--since", "ages", code=2)
    assert "there is no such file" in smartdorf("rules", "backtest", "--against", "nowhere.yaml", code=2)
    draft = tmp_path / "draft.yaml"
    draft.write_text(RULE.format(full="ful"))
    assert "draft.yaml:6:33" in smartdorf("rules", "backtest", "--against", str(draft), code=2)
