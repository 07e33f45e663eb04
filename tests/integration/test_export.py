"""Measurements and decisions leave the house and come back: files that can be read, complete or not there."""

import csv
import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pyarrow.parquet as parquet
import pytest

from tests.integration.test_cli import Shell
from tests.support.postgres import Database
from tests.support.series import insert, refresh

MIDNIGHT = datetime(2026, 5, 3, 22, tzinfo=UTC)  # of 4 May in Berlin
HOUR = timedelta(hours=1)
GLAS, BAY = 1, 2
FILL, TAKEN = 1, 2


@pytest.fixture(params=["plain", pytest.param("native", marks=pytest.mark.native_timescale)])
def smartdorf(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    database = Database(
        request.getfixturevalue(f"{request.param}_db"), "plain" if request.param == "plain" else "timescale"
    )
    shell = Shell(tmp_path, database.dsn)
    text = (tmp_path / "smartdorf.toml").read_text()
    (tmp_path / "smartdorf.toml").write_text(text.replace('"plain"', f'"{database.profile}"'))
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO metric (name, unit, kind) VALUES ('fill_level_pct', '%', 'gauge'), "
            "('parking_occupied', '1', 'state')"
        )
        connection.execute(
            "INSERT INTO place (tenant_id, slug, name, place_type) VALUES "
            "(1, 'glas', '=Glas \"Kirchplatz\"; Süd', 'container'), (1, 'bay', 'Bay', 'parking_bay')"
        )
        connection.execute("INSERT INTO device (dev_eui) VALUES ('00000000000000a1'), ('00000000000000a2')")
        insert(
            connection,
            [(MIDNIGHT + n * 6 * HOUR, 10.5 + n) for n in range(6)],
            metric=FILL,
            device=1,
            place=GLAS,
        )
        insert(connection, [(MIDNIGHT, 1.0)], metric=TAKEN, device=2, place=BAY, quality=2)
    refresh(database)
    return shell


def rows(text: str, **form: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), **form))


def test_raw_values_of_everything_go_to_standard_output(smartdorf: Shell):
    found = rows(smartdorf("export"))
    assert len(found) == 7
    assert found[0] == {
        "time": "2026-05-03T22:00:00Z", "place": "bay", "place_name": "Bay", "device": "00000000000000a2",
        "channel": "0", "quantity": "parking_occupied", "unit": "1", "value": "1.0", "quality": "2",
    }  # fmt: skip
    # what a spreadsheet would take for a formula is none
    assert found[1]["place_name"] == '\'=Glas "Kirchplatz"; Süd'


def test_a_selection_by_place_quantity_and_days(smartdorf: Shell):
    may = ("--from", "2026-05-04", "--to", "2026-05-04")  # one whole day of the church clock
    found = rows(smartdorf("export", "--type", "container", "--quantity", "fill_level_pct", *may))
    assert [row["value"] for row in found] == ["10.5", "11.5", "12.5", "13.5"]
    found = rows(
        smartdorf("export", "--place", "glas", "--from", "2026-05-04T06:00", "--to", "2026-05-04T12:00")
    )
    assert [row["time"] for row in found] == ["2026-05-04T04:00:00Z"]


def test_days_carry_their_local_date(smartdorf: Shell):
    found = rows(smartdorf("export", "--place", "glas", "--resolution", "daily"))
    assert [(row["day"], row["minimum"], row["maximum"], row["samples"]) for row in found] == [
        ("2026-05-04", "10.5", "13.5", "4"),
        ("2026-05-05", "14.5", "15.5", "2"),
    ]
    assert rows(smartdorf("export", "--place", "glas", "--resolution", "monthly"))[0]["month"] == "2026-05"


def test_a_german_excel_can_open_it(smartdorf: Shell):
    assert smartdorf("export", "mai.csv", "--place", "glas", "--excel") == ""
    content = (smartdorf.folder / "mai.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    first = rows(content.decode("utf-8-sig"), delimiter=";")[0]
    assert (first["time"], first["value"]) == ("04.05.2026 00:00:00", "10,5")


def test_parquet_has_types_and_says_what_it_is(smartdorf: Shell):
    smartdorf("export", "all.parquet", "--from", "2026-05-01")
    table = parquet.read_table(smartdorf.folder / "all.parquet")
    assert table.num_rows == 7
    assert table.column("time")[0].as_py() == MIDNIGHT
    assert table.column("value").to_pylist() == [1.0, 10.5, 11.5, 12.5, 13.5, 14.5, 15.5]
    assert table.column("place").to_pylist()[:2] == ["bay", "glas"]
    assert table.schema.metadata[b"smartdorf.from"] == b"2026-04-30T22:00:00+00:00"
    assert {path.name for path in smartdorf.folder.iterdir()} == {"smartdorf.toml", "all.parquet"}


def test_wrong_input_is_told_all_at_once(smartdorf: Shell):
    said = smartdorf("export", "--place", "gals", "--quantity", "fill_level", "--type", "container_", code=2)
    assert 'unknown place "gals"; did you mean "glas"' in said
    assert '"fill_level"; did you mean "fill_level_pct"' in said
    assert '"container_"; did you mean "container"' in said
    assert "expected a day or a time" in smartdorf("export", "--from", "May", code=2)
    assert "--from is not before --to" in smartdorf(
        "export", "--from", "2026-05-02", "--to", "2026-05-01", code=2
    )
    assert "Parquet goes into a file" in smartdorf("export", "--format", "parquet", code=2)
    assert "cannot be written" in smartdorf("export", "nowhere/x.csv", code=2)
    assert "nothing was found" in smartdorf("export", "x.csv", "--from", "2027-01-01", code=1)


def test_ten_million_rows_would_fit(plain_db: str, tmp_path: Path):
    """Memory does not grow with the rows: 400,000 take no more than half as many."""
    Shell(tmp_path, plain_db)
    with psycopg.connect(plain_db, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO metric (name, unit, kind) VALUES ('air_temperature_c', 'Cel', 'gauge')"
        )
        connection.execute("INSERT INTO device (dev_eui) VALUES ('00000000000000a1')")
        connection.execute(
            "INSERT INTO measurement SELECT %s::timestamptz + n * INTERVAL '1 s', 1, 0, 1, n, 0, NULL "
            "FROM generate_series(1, 400000) n",
            (MIDNIGHT,),
        )
    peaks = []
    for until in ("2026-05-06T06:00", "2026-05-10"):
        program = (
            "import resource, sys; sys.argv[0] = 'smartdorf'; from smartdorf.cli.main import main\n"
            "try: main()\nexcept SystemExit: pass\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, "export", "out.csv", "--to", until],
            cwd=tmp_path, capture_output=True, text=True, check=True, timeout=100,
        )  # fmt: skip
        peaks.append(int(done.stderr.split()[-1]) / 1024)
    assert (tmp_path / "out.csv").read_text().count("\n") == 400_001
    assert peaks[1] < peaks[0] + 20  # MB


# -- decisions ------------------------------------------------------------------------------------------------

VILLAGE = """\
format: 1
places:
  glas-süd: {name: Glas, type: container}
  glas-nord:
    name: Glascontainer Nord
    type: container
    latitude: 48.5
    longitude: 9.05
    tags: {fraction: glass}
    parameters: {mounting_height_m: 1.8}
    limits: {full: 70}
devices:
  "24:E1:24:13:6C:01:23:45":
    model: milesight/em400-mud
    name: Nr. 7
    installed:
      - {place: glas-nord, from: "2026-05-01T08:00:00Z", to: "2026-06-01T08:00:00Z"}
      - {place: glas-nord, channel: 2, from: "2026-05-01T08:00:00Z"}
"""


@pytest.fixture
def empty(tmp_path: Path, plain_db: str) -> Shell:
    return Shell(tmp_path, plain_db)


def write(shell: Shell, text: str) -> None:
    (shell.folder / "village.yaml").write_text(text, encoding="utf-8")


def test_what_was_decided_goes_out_and_comes_back_the_same(empty: Shell, postgres_server):
    write(empty, VILLAGE.replace("glas-süd", "glas-sued"))
    assert "+ place glas-nord" in empty("import", "village.yaml", "--dry-run", code=1)
    assert empty.json("devices", "list") == []
    empty("import", "village.yaml")
    (device,) = empty.json("devices", "list")
    assert (device["dev_eui"], device["model"], device["places"]) == (
        "24e124136c012345",
        "milesight/em400-mud",
        "glas-nord",
    )
    empty("export", "--config", "out.yaml")
    exported = (empty.folder / "out.yaml").read_text()
    assert "nothing to change" in empty("import", "out.yaml", "--dry-run")
    with psycopg.connect(empty.dsn, autocommit=True) as connection:
        actions = connection.execute("SELECT action, subject FROM audit_log ORDER BY id").fetchall()
        assert ("place.add", "glas-nord") in actions
        assert ("device.add", "24e124136c012345") in actions
        connection.execute("DELETE FROM installation; DELETE FROM redecode_request; DELETE FROM device")
        connection.execute("DELETE FROM place")
    empty("import", "out.yaml")
    assert empty("export", "--config") == exported


def test_a_habit_does_not_overwrite_the_settings(empty: Shell):
    before = (empty.folder / "smartdorf.toml").read_text()
    assert "named with --settings" in empty("export", "--config", "smartdorf.toml", code=2)
    assert (empty.folder / "smartdorf.toml").read_text() == before


def test_an_entry_changes_what_it_names_and_nothing_else(empty: Shell):
    write(empty, VILLAGE.replace("glas-süd", "glas-sued"))
    empty("import", "village.yaml")
    write(empty, "format: 1\nplaces:\n  glas-nord: {name: Neuer Name, limits: {full: 80}}\n")
    report = empty.json("import", "village.yaml")
    assert report["not_in_file"] == 2
    [change] = report["changes"]
    assert change["fields"] == {
        "name": {"before": "Glascontainer Nord", "after": "Neuer Name"},
        "limits": {"before": {"full": 70}, "after": {"full": 80.0}},
    }
    (place,) = [place for place in empty.json("places", "list") if place["slug"] == "glas-nord"]
    assert (place["parameters"], place["limits"]) == ({"mounting_height_m": 1.8}, {"full": 80})


def test_an_installation_can_end_and_another_begin(empty: Shell):
    write(empty, VILLAGE.replace("glas-süd", "glas-sued"))
    empty("import", "village.yaml")
    moved = """\
format: 1
devices:
  24e124136c012345:
    installed:
      - {place: glas-nord, channel: 2, from: "2026-05-01T08:00:00Z", to: "2026-07-01T08:00:00Z"}
      - {place: glas-sued, channel: 2, from: "2026-07-01T08:00:00Z"}
"""
    write(empty, moved)
    empty("import", "village.yaml")
    assert empty.json("devices", "list")[0]["places"] == "glas-sued"
    write(empty, moved.replace("2026-07-01", "2026-08-01"))  # what has been is not rewritten
    assert "village.yaml:5:9: it ended there on 2026-07-01T08:00:00Z" in empty(
        "import", "village.yaml", code=2
    )


def test_every_mistake_is_told_at_its_place_and_nothing_is_written(empty: Shell):
    write(
        empty,
        VILLAGE.replace("full: 70", "ful: 70")
        .replace("em400-mud", "em400-mut")
        .replace("mounting_height_m: 1.8", "mounting_height_m: 180")
        .replace("latitude: 48.5", "latitude: 485")
        .replace("    name: Nr. 7", "    nmae: Nr. 7")
        .replace('from: "2026-05-01T08:00:00Z", to', 'from: "1 May", to')
        .replace("channel: 2", "chanel: 2"),
    )
    said = empty("import", "village.yaml", code=2)
    for line in (
        'village.yaml:3:3: "glas-süd": a short name has lower-case letters, digits and dashes only',
        "village.yaml:7:15: expected -90 to 90",
        "village.yaml:10:37: mounting_height_m cannot be that: expected 0.1 to",
        'village.yaml:11:14: no rule has a limit "ful"; did you mean "full"',
        'village.yaml:14:12: unknown model "milesight/em400-mut"; did you mean "milesight/em400-mud"',
        'village.yaml:15:5: unknown key "nmae"; did you mean "name"',
        'village.yaml:17:34: "1 May" is no time in UTC',
        'village.yaml:18:28: unknown key "chanel"; did you mean "channel"',
    ):
        assert line in said
    assert empty.json("places", "list") == []


def test_two_places_at_once(empty: Shell):
    text = (
        VILLAGE.replace("glas-süd", "glas-sued")
        .replace('", to: "2026-06-01T08:00:00Z"', '"')
        .replace("channel: 2, ", "")
    )
    write(empty, text.replace("- {place: glas-nord, from", "- {place: glas-sued, from", 1))
    assert "at the same time" in empty("import", "village.yaml", code=2)


def test_a_file_that_is_not_there_or_no_yaml(empty: Shell):
    assert "village.yaml cannot be read" in empty("import", "village.yaml", code=2)
    write(empty, "places: [")
    assert "is not valid YAML" in empty("import", "village.yaml", code=2)
    write(empty, "format: 2\n")
    assert "reads format 1 only" in empty("import", "village.yaml", code=2)
