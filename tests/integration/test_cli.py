"""Commands as a person types them, on a real database: right, wrong and missing input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

EUI = "24e124136c012345"


def run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "smartdorf", *words]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


class Shell:
    """Runs ``smartdorf …`` with settings for one database; nothing of the tests' own process is used."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.folder = folder
        self.dsn = dsn
        (folder / "smartdorf.toml").write_text(
            f'[database]\ndsn = "{dsn}"\nprofile = "plain"\n'
            '[[mqtt]]\nname = "a"\nhost = "127.0.0.1"\nport = 1\nclient_id = "c"\n'
        )

    def __call__(self, *words: str, code: int = 0) -> str:
        done = run(self.folder, *words)
        output = done.stdout + done.stderr
        assert "Traceback" not in output
        assert done.returncode == code, output
        return output

    def json(self, *words: str, code: int = 0) -> object:
        return json.loads(self(*words, "--json", code=code))


@pytest.fixture
def smartdorf(tmp_path: Path, plain_db: str) -> Shell:
    return Shell(tmp_path, plain_db)


def test_a_sensor_is_onboarded_with_two_commands(smartdorf: Shell):
    assert "added glas" in smartdorf(
        "places", "add", "glas", "--type", "container", "--name", "Glas", "--parameter", "mounting_height_m=1,8",
        "--tag", "fraction=glass",
    )  # fmt: skip
    said = smartdorf(
        "devices", "add", "24:E1:24:13:6C:01:23:45", "--model", "milesight/em400-mud", "--place", "glas"
    )
    assert f"added {EUI}" in said
    (place,) = smartdorf.json("places", "list")
    assert (place["name"], place["parameters"], place["devices"]) == ("Glas", {"mounting_height_m": 1.8}, EUI)
    (device,) = smartdorf.json("devices", "list")
    assert (device["dev_eui"], device["model"], device["places"]) == (EUI, "milesight/em400-mud", "glas")
    assert EUI in smartdorf("devices", "list")
    assert "Glas" in smartdorf("places", "list")
    assert smartdorf.json("devices", "show", EUI)["latest"] == []
    assert EUI in smartdorf("devices", "show", EUI)


def test_what_a_model_needs_is_asked_for_until_it_is_known(smartdorf: Shell):
    needs = "milesight/em400-mud needs mounting_height_m: give them to its place or with --parameter"
    assert needs in smartdorf("devices", "add", EUI, "--model", "milesight/em400-mud")
    smartdorf("places", "add", "glas", "--type", "container")
    assert needs in smartdorf("devices", "add", EUI, "--place", "glas")  # the place does not know it either
    smartdorf("places", "add", "glas", "--type", "container", "--parameter", "mounting_height_m=1.8")
    assert "needs" not in smartdorf("devices", "add", EUI)


def test_a_gauge_may_say_how_high_above_the_sea_its_zero_is(smartdorf: Shell):
    bach = ("places", "add", "bach", "--type", "gauge", "--parameter")
    smartdorf(*bach, "sensor_height_m=4")
    # nobody is asked for it
    assert "needs" not in smartdorf(
        "devices", "add", EUI, "--model", "milesight/em500-udl", "--place", "bach"
    )
    smartdorf(*bach, "gauge_datum_m=123,4")
    (place,) = smartdorf.json("places", "list")
    assert place["parameters"] == {"sensor_height_m": 4, "gauge_datum_m": 123.4}
    assert "gauge_datum_m = 9000 cannot be: expected -20 to 3000 m" in smartdorf(
        *bach, "gauge_datum_m=9000", code=2
    )


def test_mistakes_in_the_words_are_answered_with_advice(smartdorf: Shell):
    smartdorf("places", "add", "glas", "--type", "container")
    add = ("devices", "add")
    assert 'did you mean "milesight/em400-mud"' in smartdorf(
        *add, EUI, "--model", "milesight/em40-mud", code=2
    )
    assert "expected 16 hex digits" in smartdorf(*add, "24e1", "--model", "milesight/em400-mud", code=2)
    assert 'did you mean "glas"' in smartdorf(
        *add, EUI, "--model", "milesight/em400-mud", "--place", "glass", code=2
    )
    assert smartdorf.json("devices", "list") == []  # nothing of it was done
    assert "lower-case letters, digits" in smartdorf("places", "add", "Glas 1", "--type", "container", code=2)
    assert "expected a number" in smartdorf(
        "places", "add", "x", "--type", "room", "--parameter", "a=b", code=2
    )
    assert "expected NAME=VALUE" in smartdorf(
        "places", "add", "x", "--type", "room", "--tag", "glass", code=2
    )
    assert "unknown device" in smartdorf("devices", "show", "ffffffffffffffff", code=2)
    assert "there is no quarantined message 7" in smartdorf("quarantine", "show", "7", code=2)
    assert "not in quarantine" in smartdorf("quarantine", "replay", "7", code=2)
    assert "say which" in smartdorf("quarantine", "replay", code=2)


def test_empty_lists_are_empty_and_no_error(smartdorf: Shell):
    for words in (("devices", "list"), ("places", "list"), ("alerts", "list")):
        assert smartdorf.json(*words) == []
        smartdorf(*words)
    assert smartdorf.json("quarantine", "list") == {"counts": {}, "messages": []}
    assert all(migration["applied"] for migration in smartdorf.json("db", "status")["migrations"])
    assert smartdorf("db", "migrate") == ""


def test_what_is_too_old_is_counted_before_it_is_deleted(smartdorf: Shell):
    with psycopg.connect(smartdorf.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO quarantine (hash, topic, payload, reason, detail, source, received_at) "
            "VALUES ('\\x01', 't', '\\x00', 'unreadable', '', 'village', now() - INTERVAL '61 days')"
        )
    counted = smartdorf.json("db", "retention", "--dry-run")
    assert (counted["quarantine"], counted["measurement"]) == (1, 0)
    assert smartdorf.json("db", "retention") == counted
    assert smartdorf.json("db", "retention")["quarantine"] == 0


def test_what_is_erased_is_counted_asked_for_and_logged(smartdorf: Shell):
    smartdorf("places", "add", "whg-3", "--type", "meter_point")
    with psycopg.connect(smartdorf.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO metric (name, unit, kind) VALUES ('water_volume_m3', 'm3', 'counter')"
        )
        connection.execute(
            "INSERT INTO measurement VALUES (now() - INTERVAL '1 day', 1, 0, 1, 5, 0, 1), (now(), 1, 0, 1, 6, 0, 1)"
        )
        what = ("db", "erase", "--reason", "moved out")
        said = smartdorf(*what, "--place", "wgh-3", "--quantity", "water_volume", "--type", "meter", code=2)
        assert 'unknown place "wgh-3"; did you mean "whg-3"' in said
        assert 'of the quantity "water_volume"; did you mean "water_volume_m3"' in said
        assert 'of the type "meter"; did you mean "meter_point"' in said
        assert "say what is to go" in smartdorf(*what, code=2)
        assert "--from is not before --to" in smartdorf(
            *what, "--place", "whg-3", "--from", "2026-02-01", "--to", "2026-01-01", code=2
        )
        assert "Missing option" in smartdorf("db", "erase", "--place", "whg-3", code=2)
        what = (*what, "--place", "whg-3")
        assert smartdorf.json(*what, "--dry-run")["measurement"] == 2
        assert "add --yes" in smartdorf(*what, code=2)  # there is nobody to be asked
        assert connection.execute("SELECT count(*) FROM measurement").fetchone() == (2,)
        assert smartdorf.json(*what, "--yes")["measurement"] == 2
        assert connection.execute("SELECT count(*) FROM measurement").fetchone() == (0,)
        [(reason, places, rows)] = connection.execute("SELECT reason, places, rows FROM erasure").fetchall()
        assert (reason, places, rows["measurement"]) == ("moved out", ["whg-3"], 2)
        assert smartdorf.json(*what, "--yes")["measurement"] == 0


def test_policies_are_timescaledbs(smartdorf: Shell):
    assert 'The profile "plain" has no policies.' in smartdorf("db", "policies", "plan", code=2)
    assert "aply" in smartdorf("db", "policies", "aply", code=2)


def test_without_settings_it_says_where_it_looked(tmp_path: Path):
    for command in (("run",), ("check",), ("devices", "list"), ("db", "migrate")):
        done = run(tmp_path, *command)
        assert done.returncode == 2
        assert "no settings found (looked for" in done.stderr
        assert "smartdorf demo" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_service_whose_schema_is_missing_ends_with_one_line(smartdorf: Shell):
    with psycopg.connect(smartdorf.dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    with (smartdorf.folder / "smartdorf.toml").open("a") as file:
        file.write("[web]\nport = 0\n")
    done = run(smartdorf.folder, "run")
    assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (1, False), done.stderr
    assert done.stderr.splitlines()[-1].startswith("The database lacks ")


def test_check_says_everything_at_once_and_is_brief_about_what_ships(smartdorf: Shell):
    file, secret = smartdorf.folder / "smartdorf.toml", smartdorf.folder / "latin"
    secret.write_bytes("schlüssel".encode("latin-1"))
    (smartdorf.folder / "short").write_text("short")
    receivers = "".join(
        f'[receivers.{name}]\ntype = "webhook"\nurl = "https://a.example"\nsecret_file = "{path}"\n'
        for name, path in {"bauhof": "nowhere", "it": "latin", "wasserwerk": "short"}.items()
    )
    rules = '[rules]\nlive = ["ContainerFul"]\n'
    file.write_text(
        "\ufeff" + file.read_text() + receivers + rules, encoding="utf-8"
    )  # as Windows' editor saves it
    found = smartdorf.json("check", code=1)
    said = [finding["message"] for finding in found if finding["level"] == "error"]
    assert "nowhere: secret cannot be read: No such file or directory" in said
    assert "latin: secret cannot be read: it is not UTF-8" in said
    assert 'Receiver "wasserwerk": the secret is too short; make one with `openssl rand -base64 32`' in said
    unknown = '[rules] live names "ContainerFul", and there is no such rule; did you mean "ContainerFull"?'
    assert unknown in said
    [idle] = [finding["message"] for finding in found if "nothing to watch" in finding["message"]]
    assert "ContainerFull, " in idle
    assert not [finding for finding in found if "watches nothing" in finding["message"]]


def test_a_terminal_with_an_old_character_set_ends_no_command(smartdorf: Shell):
    smartdorf("places", "add", "see", "--type", "gauge", "--name", "Seebrücke")
    ascii_only = {"PYTHONIOENCODING": "ascii", "LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8"}
    listed = run(smartdorf.folder, "places", "list", **ascii_only)
    assert (listed.returncode, r"Seebr\xfccke" in listed.stdout) == (0, True), listed.stderr
    [place] = json.loads(run(smartdorf.folder, "places", "list", "--json", **ascii_only).stdout)
    assert place["name"] == "Seebrücke"


def test_a_password_that_is_missing_does_not_keep_the_rest_from_being_checked(smartdorf: Shell):
    file = smartdorf.folder / "smartdorf.toml"
    file.write_text(file.read_text().replace("[database]", '[database]\npassword_file = "nowhere"'))
    said = smartdorf("check", code=1)
    assert "nowhere: secret cannot be read" in said
    assert "✘ mqtt a" in said


def test_a_database_that_is_away_is_one_line(smartdorf: Shell, tmp_path: Path):
    Shell(tmp_path, "postgresql://nobody@127.0.0.1:1/nowhere")
    for command in (("devices", "list"), ("db", "status")):
        assert len(smartdorf(*command, code=2).strip().splitlines()) <= 2
    said = smartdorf("check", code=1)
    assert "✘ database" in said
    assert "✘ mqtt a" in said


def test_a_device_is_shown_with_when_it_counts_as_silent_and_why(smartdorf: Shell):
    smartdorf("devices", "add", EUI, "--model", "milesight/em400-mud", "--limit", "quiet=93600")
    with psycopg.connect(smartdorf.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO device_rhythm (device_id, kind, limit_s, because, interval_s, longest_s, loss, gaps, days) "
            "SELECT id, 'periodic', 6600, 'interval', 900, 3600, 0.104, 2580, 30 FROM device"
        )
    assert smartdorf.json("devices", "show", EUI)["silence"] == {
        "limit_s": 6600, "because": "interval", "kind": "periodic", "interval_s": 900, "longest_s": 3600, "loss": 0.104,
        "gaps": 2580, "days": 30, "own_limits_s": {"quiet": 93600},
    }  # fmt: skip
    said = run(smartdorf.folder, "devices", "show", EUI, LC_ALL="de_DE.UTF-8").stdout
    assert said.splitlines()[2:5] == [
        "Meldet sich alle 15 min (Median aus 2.580 Abständen an 30 Tagen, der längste 1 h, "
        "10\N{NO-BREAK SPACE}% der Nachrichten verloren).",
        "Gilt als stumm, wenn 1 h 50 min lang nichts kommt: so viele Nachrichten gehen nicht zufällig verloren.",
        "Stattdessen gilt sein eigener Grenzwert: quiet = 26 h.",
    ]
    (device,) = smartdorf.json("devices", "list")
    assert (device["silence"]["limit_s"], device["limits"]) == (6600, {"quiet": 93600})
