"""`smartdorf decoders`: what people see, and the exit codes that scripts rely on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from smartdorf.cli.decoders import app
from smartdorf.content import shipped
from smartdorf.errors import NotFoundError, UsageError
from tests.unit.decoding.conftest import HEAD

FRAME = [
    "--f-port",
    "85",
    "--hex",
    "01755c 0367 0101 0482 4408 0500 01",
    "--recv-time",
    "2024-03-01T12:00:00Z",
]


@pytest.fixture(autouse=True)
def _somewhere_without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=True)


def test_list_names_every_model_and_its_proof():
    result = run("list", "--json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert said["problems"] == []
    tps110 = next(model for model in said["models"] if model["model"] == "bosch/tps110")
    assert (tps110["category"], tps110["proof"]) == ("parking", "vendor vectors")
    assert [row["metric"] for row in tps110["measurements"]] == ["parking_occupied", "device_temperature_c"]
    assert "milesight/em400-mud" in run("list").stdout


def test_show_tells_what_a_model_needs_and_how_it_is_recognised():
    said = run("show", "milesight/em400-mud").stdout
    assert "mounting_height_m" in said
    assert "must be given" in said
    assert "24e124" in said
    assert "every 1h" in said
    assert json.loads(run("show", "milesight/em400-mud", "--json").stdout)["parameters"][
        "mounting_height_m"
    ] == {
        "label": "Distance from the sensor to the bottom of the empty container",
        "unit": "m",
        "range": [0.1, 4.5],
        "default": None,
        "required": True,
    }


def test_show_tells_what_a_gauge_may_be_told_besides():
    said = run("show", "milesight/em500-udl")
    line = next(line for line in said.stdout.splitlines() if "gauge_datum_m" in line)
    assert "must be given" not in line
    assert "water_level_nhn_m" in said.stdout


def test_decode_prints_measurements_and_what_could_not_be_told():
    result = run("decode", "milesight/em400-mud", *FRAME)
    assert result.exit_code == 0
    assert "2.116 m" in result.stdout
    assert "1 tilted" in result.stdout
    assert "mounting_height_m" in result.stderr


def test_decode_understands_parameters_with_a_decimal_comma():
    said = json.loads(
        run("decode", "milesight/em400-mud", *FRAME, "--param", "mounting_height_m=4,232", "--json").stdout
    )
    assert {row["metric"]: row["value"] for row in said["measurements"]} == {
        "fill_distance_m": 2.116,
        "fill_level_pct": 50.0,
        "container_tilted": 1.0,
        "device_temperature_c": 25.7,
        "battery_pct": 92.0,
    }
    assert said["measurements"][0]["time"] == "2024-03-01T12:00:00+00:00"
    assert (said["missing"], said["fault"], said["object"]) == ([], None, None)


def test_a_refused_frame_is_exit_code_1():
    result = run("decode", "dragino/lht65n", "--f-port", "77", "--hex", "00")
    assert result.exit_code == 1
    assert "refused: unknown_f_port" in result.stderr
    result = run("decode", "dragino/lht65n", "--f-port", "2", "--hex", "00", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["fault"]["reason"] == "too_short"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["dragino/lht6n", "--f-port", "2", "--hex", "00"], NotFoundError, 'did you mean "dragino/lht65n"?'),
        (
            ["dragino/lht65n", "--f-port", "2", "--hex", "0g"],
            UsageError,
            '--hex "0g": expected two hex digits',
        ),
        (
            ["milesight/em400-mud", *FRAME, "--param", "mounting_heigt_m=1"],
            UsageError,
            'did you mean "mounting_height_m"?',
        ),
        (
            ["dragino/lht65n", "--f-port", "2", "--hex", "00", "--recv-time", "soon"],
            UsageError,
            '--recv-time "soon": expected a time',
        ),
        (
            ["milesight/em400-mud", *FRAME, "--param", "mounting_height_m=-3"],
            UsageError,
            "mounting_height_m = -3 cannot be: expected 0.1 to 4.5 m",
        ),
        (["nothing/like-it", "--f-port", "2", "--hex", "00"], NotFoundError, "see `smartdorf decoders list`"),
    ],
)
def test_misuse_is_an_error_with_advice(arguments: list[str], error: type[Exception], message: str):
    result = run("decode", *arguments)
    assert isinstance(result.exception, error)  # the console script turns it into exit code 2
    assert message in str(result.exception)


def test_a_frame_without_measurements_is_no_empty_table():
    said = run("decode", "axioma/qalcosonic-w1", "--f-port", "101", "--hex", "0413 31fd17 20 62 01").stdout
    assert said.startswith("no measurement in this frame\nbeside that: ")
    assert "Configuration parameters" in said


def test_test_without_paths_runs_our_own_vectors():
    result = run("test", "--json")
    said = json.loads(result.stdout)
    assert result.exit_code == 0
    assert said["passed"] > 40
    assert (said["failed"], said["not_shipped"], said["problems"]) == (0, 0, [])


def test_test_reads_published_folders_and_tells_every_difference(tmp_path: Path):
    vectors = [
        {"f_port": 85, "bytes": "01755c", "expected": {"battery": 92}},
        {"f_port": 85, "bytes": "01755c", "description": "wrong", "expected": {"battery": 91}},
    ]
    folder = tmp_path / "vectors" / "milesight"
    folder.mkdir(parents=True)
    for model in ("em400-mud", "em999"):
        document = {"vendor": "milesight", "model": model, "vectors": vectors}
        (folder / f"{model}.json").write_text(json.dumps(document), encoding="utf-8")
    result = run("test", str(tmp_path / "vectors"), "--json")
    said = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (said["passed"], said["failed"], said["not_shipped"]) == (1, 1, 2)
    assert said["models_not_shipped"] == {"milesight/em999": 2}
    (difference,) = said["differences"]
    assert (difference["model"], difference["vector"]) == ("milesight/em400-mud", "2. wrong")
    assert difference["differences"] == ["battery_pct (2024-01-01T12:00:00Z): expected 91.0, got 92.0"]
    assert "expected 91.0, got 92.0" in run("test", str(tmp_path / "vectors")).stdout


def test_test_counts_apart_what_passes_but_for_a_listed_field(tmp_path: Path):
    vector = {
        "f_port": 129,
        "bytes": "6f0f0000ffff00010002000300040005000600070008",
        "expected": {"index": 65535},
    }
    file = tmp_path / "x.json"
    file.write_text(
        json.dumps({"vendor": "fludia", "model": "fm432ir", "vectors": [vector]}), encoding="utf-8"
    )
    result = run("test", str(file))
    assert result.exit_code == 0
    assert "passed but for a listed field: turns of a disc" in result.stdout
    assert "1 vector passed (1 of them but for a listed field)" in result.stdout
    said = json.loads(run("test", str(file), "--json").stdout)
    assert (said["passed"], said["passed_but_for_listed_fields"], said["failed"]) == (1, 1, 0)
    assert [(listed["model"], listed["vector"]) for listed in said["listed"]] == [("fludia/fm432ir", "1.")]


@pytest.mark.parametrize("path", ["mine", "mine/example", "mine/example/thermo-1.vectors.yaml"])
def test_test_finds_the_models_beside_the_vectors_before_any_settings_name_them(path: str, tmp_path: Path):
    shutil.copytree(shipped("decoders") / "_template", tmp_path / "mine" / "example")
    (tmp_path / "mine" / "compose.yaml").write_text("services: {}\n", encoding="utf-8")  # is no manifest
    result = run("test", path, "--json")
    assert json.loads(result.stdout)["problems"] == []
    assert json.loads(result.stdout)["passed"] == 3
    assert result.exit_code == 0


@pytest.mark.parametrize("name", ["nowhere", "nowhere.json", "empty", "notes.txt"])
def test_what_cannot_be_read_is_exit_code_2(name: str, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("", encoding="utf-8")
    result = run("test", str(tmp_path / name))
    assert result.exit_code == 2
    assert name in result.stderr


def test_the_settings_add_folders_and_their_mistakes_are_told(tmp_path: Path):
    (tmp_path / "mine" / "acme").mkdir(parents=True)
    (tmp_path / "mine" / "acme" / "one.yaml").write_text(HEAD + "measurements: {bat: b}\n", encoding="utf-8")
    settings = tmp_path / "smartdorf.toml"
    settings.write_text(
        '[database]\ndsn = "postgresql://localhost/x"\n\n[[mqtt]]\nname = "x"\nhost = "localhost"\nclient_id = "x"\n\n'
        '[content]\ndecoders = ["mine"]\n',
        encoding="utf-8",
    )
    result = run("list", "--config", str(settings))
    assert result.exit_code == 1
    assert 'one.yaml:8:16: unknown quantity "bat"' in result.stderr
    assert "dragino/lht65n" in result.stdout
