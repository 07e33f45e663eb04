"""`smartdorf decoders new` and `decoders run`: a sensor that nobody has taught yet."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

import smartdorf.bench.decode as bench_decode
from smartdorf.cli.decoders import app
from smartdorf.content import shipped
from smartdorf.decoding.codec import CodecLoadError
from smartdorf.decoding.registry import load_catalogue
from smartdorf.errors import SettingsError, SmartdorfError, UsageError
from smartdorf.vocabulary import load_vocabulary

VENDORS = """\
// Vendor's codec, v1.2
function decodeUplink(input) {
  var data = {};
  if (input.fPort !== 3) throw new Error("wrong port");
  data.battery = input.bytes[0];
  data.temperature = input.bytes[1] / 10;
  if (input.variables.offset) data.temperature += Number(input.variables.offset);
  return {data: data, warnings: data.battery < 10 ? ["battery low"] : []};
}
function encodeDownlink(input) {
  return {fPort: 4, bytes: [input.data.minutes >> 8, input.data.minutes & 255]};
}
function decodeDownlink(input) { return {data: {minutes: input.bytes[0] * 256 + input.bytes[1]}}; }
function normalizeUplink(input) { return {data: {battery: input.data.battery / 50}}; }
"""
MANUAL = (shipped("decoders").parent / "docs" / "decoders.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _somewhere_without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vendor.js").write_text(VENDORS, encoding="utf-8")


def invoke(*arguments: str, lines: list[Any] | None = None) -> Result:
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines or [])
    return CliRunner().invoke(app, arguments, input=text, catch_exceptions=True)


def answers(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


# -- run -------------------------------------------------------------------------------------------------


def test_run_answers_each_line_in_order():
    result = invoke(
        "run", "vendor.js", "--jsonl",
        lines=[
            {"f_port": 3, "bytes": "5c d7"},
            {"f_port": 3, "bytes": [9, 215], "recv_time": "2024-03-01T12:00:00Z", "variables": {"offset": "1"}},
        ],
    )  # fmt: skip
    assert result.exit_code == 0
    assert answers(result) == [
        {"data": {"battery": 92, "temperature": 21.5}},
        {"data": {"battery": 9, "temperature": 22.5}, "warnings": ["battery low"]},
    ]


def test_run_answers_wrong_lines_too_and_says_so_with_its_exit_code():
    good = {"f_port": 3, "bytes": "5cd7"}
    lines = [
        "no json",
        "",
        "[1]",
        {"f_port": "3", "bytes": "5", "recv_time": "soon", "variables": [1], "port": 3},
        {"bytes": [256]},
        {"f_port": 9, "bytes": ""},
        good,
    ]
    result = invoke("run", "vendor.js", "--jsonl", lines=lines)
    assert result.exit_code == 1
    said = answers(result)
    assert said[-1] == {"data": {"battery": 92, "temperature": 21.5}}
    errors = [answer["errors"] for answer in said[:-1]]
    assert errors[0][0].startswith("no JSON: ")
    assert errors[1][0].startswith("no JSON: ")
    assert errors[2] == ['expected an object: {"f_port": 2, "bytes": "cbf6"}']
    assert errors[3] == [
        'unknown "port"; known are f_port, bytes, recv_time, variables',
        "f_port: expected a number from 0 to 255",
        "bytes: expected hex digits, or a list of numbers from 0 to 255",
        "recv_time: expected a time like 2024-03-01T12:00:00Z",
        'variables: expected names and texts: {"height": "1.8"}',
    ]
    assert errors[4] == [
        "f_port: expected a number from 0 to 255",
        "bytes: expected hex digits, or a list of numbers from 0 to 255",
    ]
    assert errors[5] == ["Error: wrong port (vendor.js:4)"]


def test_run_calls_the_other_functions_of_the_file():
    def one(function: str, line: dict[str, Any]) -> dict[str, Any]:
        (answer,) = answers(invoke("run", "vendor.js", "--jsonl", "--function", function, lines=[line]))
        return answer

    assert one("encodeDownlink", {"data": {"minutes": 300}}) == {"data": {"fPort": 4, "bytes": [1, 44]}}
    assert one("decodeDownlink", {"f_port": 4, "bytes": "012c"}) == {"data": {"data": {"minutes": 300}}}
    assert one("normalizeUplink", {"data": {"battery": 100}}) == {"data": {"data": {"battery": 2}}}
    assert one("encodeDownlink", {"f_port": 4}) == {
        "errors": ['unknown "f_port"; known are data, variables', "data: expected an object"]
    }


def test_run_survives_what_the_codec_does(tmp_path: Path):
    (tmp_path / "bad.js").write_text(
        "function Decoder(b) { while (b[0]) {} return {ok: 1}; }", encoding="utf-8"
    )
    frames = [{"f_port": 1, "bytes": "01"}, {"f_port": 1, "bytes": "00"}]
    result = invoke("run", "bad.js", "--jsonl", lines=frames)
    assert result.exit_code == 1
    hung, fine = answers(result)
    assert hung["errors"][0].startswith("SandboxLimitError: no result after 0.5 s of processor time")
    assert fine == {"data": {"ok": 1}}


def test_run_tries_python_codecs_as_well(tmp_path: Path):
    shutil.copy(shipped("decoders") / "_template" / "thermo-1.py", tmp_path)
    frames = [{"f_port": 1, "bytes": "09c4 0c80 0320 00 05"}, {"f_port": 1, "bytes": "09"}]
    good, short = answers(invoke("run", "thermo-1.py", "--jsonl", lines=frames))
    assert good == {"data": {"temperature": 25.0, "battery": 3200, "distance": 800, "position": "upright"}}
    assert short == {"errors": ["too_short: expected 8 bytes on f_port 1, got 1"]}
    (tmp_path / "odd.py").write_text(
        "def decode(frame, context):\n    return {'x': object()}\n", encoding="utf-8"
    )
    (odd,) = answers(invoke("run", "odd.py", "--jsonl", lines=[{"f_port": 1, "bytes": "09"}]))
    assert odd["errors"][0].startswith("TypeError: ")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["nothing.js", "--jsonl"], UsageError, "there is no file nothing.js; a model that is here already"),
        (["broken.js", "--jsonl"], CodecLoadError, "broken.js:1:25: SyntaxError"),
        (["empty.js", "--jsonl"], CodecLoadError, "has no function decodeUplink; it has: none that is known"),
        (
            ["vendor.js", "--jsonl", "--function", "encodeDownlin"],
            UsageError,
            'did you mean "encodeDownlink"?',
        ),
        (["odd.py", "--jsonl", "--function", "encodeDownlink"], UsageError, "a Python codec has no function"),
    ],
)
def test_run_says_why_a_file_cannot_be_tried(
    arguments: list[str], error: type[Exception], message: str, tmp_path: Path
):
    (tmp_path / "broken.js").write_text("function decodeUplink( {", encoding="utf-8")
    (tmp_path / "empty.js").write_text("", encoding="utf-8")
    (tmp_path / "odd.py").write_text("", encoding="utf-8")
    result = invoke("run", *arguments)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)


def test_run_wants_to_be_told_the_format():
    assert invoke("run", "vendor.js").exit_code == 2


# -- new -------------------------------------------------------------------------------------------------


def test_new_makes_a_model_that_loads_and_passes_at_once(tmp_path: Path):
    result = invoke("new", "acme/level-2.x")
    assert result.exit_code == 0
    folder = tmp_path / "decoders" / "acme"
    assert sorted(file.name for file in folder.iterdir()) == [
        "level-2.x.py",
        "level-2.x.vectors.yaml",
        "level-2.x.yaml",
    ]
    assert "decoders/acme/level-2.x.yaml" in result.stdout
    assert "smartdorf decoders test decoders/acme" in result.stdout
    assert "example/" not in (folder / "level-2.x.vectors.yaml").read_text(encoding="utf-8")
    tested = invoke("test", "decoders/acme", "--json")
    assert (tested.exit_code, json.loads(tested.stdout)["passed"]) == (0, 3)


@pytest.mark.parametrize(
    ("codec", "outcome"),
    [
        (VENDORS, "error: refused"),
        ("function Decoder(b) { return {battery: b[0]}; }", "measurements: {battery_pct: 0.0}"),
        (
            "function Decoder(b) { return {battery: -3}; }",
            "measurements: {battery_pct: -3.0}, flagged: [battery_pct]",
        ),
        ("\ufefffunction Decoder(b) { return {other: 1}; }", "measurements: {}"),
        ("function Decoder(b) { return {x: b.nothing.more}; }", "error: refused"),
    ],
)
def test_new_around_a_vendors_file_passes_at_once(codec: str, outcome: str, tmp_path: Path):
    (tmp_path / "vendor.js").write_text(codec, encoding="utf-8")
    assert invoke("new", "acme/one", "--codec", "vendor.js", "--folder", "mine").exit_code == 0
    folder = tmp_path / "mine" / "acme"
    assert (folder / "one.js").read_bytes() == (tmp_path / "vendor.js").read_bytes()
    assert outcome in (folder / "one.vectors.yaml").read_text(encoding="utf-8")
    tested = invoke("test", "mine", "--json")
    assert (tested.exit_code, json.loads(tested.stdout)["passed"]) == (0, 1)


def test_new_lists_the_fields_that_the_vendors_file_has(tmp_path: Path):
    invoke("new", "acme/one", "--codec", "vendor.js")
    manifest = (tmp_path / "decoders" / "acme" / "one.yaml").read_text(encoding="utf-8")
    assert "# battery, temperature\n" in manifest


def test_new_overwrites_nothing_and_names_what_is_there(tmp_path: Path):
    folder = tmp_path / "decoders" / "acme"
    folder.mkdir(parents=True)
    (folder / "one.py").write_text("mine", encoding="utf-8")
    result = invoke("new", "acme/one")
    assert isinstance(result.exception, UsageError)
    assert (
        str(result.exception) == f"there is already {Path('decoders/acme/one.py')}; nothing was overwritten"
    )
    assert [file.name for file in folder.iterdir()] == ["one.py"]
    assert (folder / "one.py").read_text(encoding="utf-8") == "mine"


def test_new_takes_a_vendors_file_that_lies_where_it_belongs(tmp_path: Path):
    folder = tmp_path / "decoders" / "acme"
    folder.mkdir(parents=True)
    (folder / "one.js").write_text(VENDORS, encoding="utf-8")
    assert invoke("new", "acme/one", "--codec", "decoders/acme/one.js").exit_code == 0
    assert (folder / "one.js").read_text(encoding="utf-8") == VENDORS
    assert invoke("test", "decoders/acme").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["Acme/One"], UsageError, '"Acme/One" is no name of a model: expected vendor/model of lower-case'),
        (["one"], UsageError, '"one" is no name of a model'),
        (["a/../b"], UsageError, "is no name of a model"),
        (["a/b", "--codec", "x.txt"], UsageError, "x.txt is no codec: expected a file.js, or a file.py"),
        (["a/b", "--codec", "x.js"], CodecLoadError, "x.js cannot be read"),
        (["a/b", "--codec", "bad.js"], CodecLoadError, "bad.js:1:"),
        (["a/b", "--folder", "vendor.js"], SmartdorfError, "cannot be written"),
        (["a/b", "--config", "none.toml"], SettingsError, "none.toml"),
    ],
)
def test_new_says_what_is_wrong_and_makes_nothing(
    arguments: list[str], error: type[Exception], message: str, tmp_path: Path
):
    (tmp_path / "bad.js").write_text("function", encoding="utf-8")
    result = invoke("new", *arguments)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bad.js", "vendor.js"]


def test_new_uses_the_first_folder_that_the_settings_name(tmp_path: Path):
    (tmp_path / "village").mkdir()
    (tmp_path / "smartdorf.toml").write_text(
        '[database]\ndsn = "postgresql://localhost/x"\n\n[[mqtt]]\nname = "x"\nhost = "localhost"\n'
        'client_id = "x"\n\n[content]\ndecoders = ["village"]\n',
        encoding="utf-8",
    )
    assert invoke("new", "acme/one").exit_code == 0
    assert (tmp_path / "village" / "acme" / "one.yaml").is_file()
    assert json.loads(invoke("list", "--json").stdout)["problems"] == []


# -- docs/decoders.md ------------------------------------------------------------------------------------


def test_the_ten_minutes_of_the_manual_work_word_for_word(tmp_path: Path):
    chapter = MANUAL.partition("## In ten minutes\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```\n(.*?)```", chapter, re.DOTALL)
    commands = [line for line in block.splitlines() if line.startswith("smartdorf decoders ")]
    assert len(commands) == 5
    shutil.copy("vendor.js", "thermo-1.js")
    for command in commands:
        result = invoke(*shlex.split(command, comments=True)[2:])
        assert result.exit_code == 0, (command, result.output, result.exception)


def test_the_manuals_example_of_run_says_what_comes_out(tmp_path: Path):
    line, _pipe, answer = (
        MANUAL.partition("$ echo '")[2].partition("```")[0].partition("' | smartdorf decoders run ")
    )
    source = "function Decoder(b) { return {BatV: (((b[0] << 8) | b[1]) & 0x3fff) / 1000}; }"
    (tmp_path / "vendor.js").write_text(source, encoding="utf-8")
    arguments, _newline, said = answer.partition("\n")
    result = invoke("run", *shlex.split(arguments), lines=[line])
    assert answers(result) == [json.loads(said)]


def test_the_template_for_vendors_files_is_no_model():
    assert not [
        name for name in load_catalogue([shipped("decoders")], load_vocabulary()).models if "example" in name
    ]


def test_the_codec_of_the_benchmark_is_right():
    folder = str(bench_decode.SAMPLES)
    result = invoke("test", folder, "--json")
    assert (result.exit_code, json.loads(result.stdout)["passed"]) == (0, 3)


def test_what_was_begun_here_can_be_tried_at_once() -> None:
    assert invoke("new", "acme/level-1").exit_code == 0
    frame = ("--f-port", "1", "--hex", "09c40c8003200005")
    found = json.loads(invoke("decode", "acme/level-1", *frame, "--json").stdout)
    assert {entry["metric"]: entry["value"] for entry in found["measurements"]}["air_temperature_c"] == 25.0
    assert "acme/level-1" in json.dumps(json.loads(invoke("list", "--json").stdout))


def test_settings_that_are_not_there_are_no_reason_to_go_on_without_them() -> None:
    result = invoke("list", "--config", "nowhere.toml")
    assert isinstance(result.exception, SettingsError)
