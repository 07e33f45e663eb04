"""Vectors fail when they must: a test runner that passes everything is worth nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smartdorf.content import shipped
from smartdorf.decoding.published import read_published
from smartdorf.decoding.registry import load_catalogue
from smartdorf.decoding.vectors import own_cases, read_own, run_cases
from smartdorf.vocabulary import load_vocabulary
from tests.unit.decoding.conftest import HEAD, Loader

VOCABULARY = load_vocabulary()
CATALOGUE = load_catalogue([shipped("decoders")], VOCABULARY)


def differences(path: Path, vector: str, decoder: str = "milesight/em400-mud") -> list[str]:
    file = path / "x.vectors.yaml"
    file.write_text(f"decoder: {decoder}\nvectors:\n  - {vector}\n", encoding="utf-8")
    cases, problems = read_own(file, VOCABULARY, CATALOGUE.models)
    assert problems == []
    report = run_cases(cases, CATALOGUE)
    return [difference for _case, found in report.failed for difference in found]


FRAME = 'name: x, f_port: 85, data: "01755c 04824408"'


@pytest.mark.parametrize(
    ("vector", "difference"),
    [
        (
            f"{{{FRAME}, measurements: {{battery_pct: 91, fill_distance_m: 2.116}}, missing: [mounting_height_m]}}",
            "battery_pct (2024-01-01T12:00:00Z): expected 91.0, got 92.0",
        ),
        (
            f"{{{FRAME}, measurements: {{fill_distance_m: 2.116}}, missing: [mounting_height_m]}}",
            "battery_pct (2024-01-01T12:00:00Z) is 92.0, but is not expected",
        ),
        (
            f"{{{FRAME}, parameters: {{mounting_height_m: 2.116}}, "
            "measurements: {battery_pct: 92, fill_distance_m: 2.116, fill_level_pct: 0, battery_v: 3}}",
            "battery_v (2024-01-01T12:00:00Z) is missing, expected 3.0",
        ),
        (
            f"{{{FRAME}, measurements: {{battery_pct: 92, fill_distance_m: 2.116}}}}",
            "missing parameters: expected set(), got {'mounting_height_m'}",
        ),
        (f"{{{FRAME}, error: too_short}}", "had to be refused (too_short), but was decoded"),
        (
            '{name: x, f_port: 85, data: "0175", error: implausible}',
            "had to be refused as implausible, but was as too_short: "
            "expected at least 3 bytes on f_port 85, got 2",
        ),
        (
            '{name: x, f_port: 85, data: "0175", measurements: {}}',
            "was refused as too_short: expected at least 3 bytes on f_port 85, got 2",
        ),
        (
            '{name: x, f_port: 85, data: "0367b80b", measurements: {device_temperature_c: 300}}',
            "flagged as out of range: expected frozenset(), got {('device_temperature_c', 0)}",
        ),
        (
            '{name: x, f_port: 85, data: "ff0b01", measurements: {}, object: {device_status: "off"}}',
            "object: expected {'device_status': 'off'}, got {'device_status': 'on'}",
        ),
    ],
)
def test_each_kind_of_difference_is_found(vector: str, difference: str, tmp_path: Path):
    assert differences(tmp_path, vector) == [difference]


def test_a_measurement_at_another_time_is_another_measurement(tmp_path: Path):
    vector = '{name: x, f_port: 85, data: "01755c", measured_at: 2024-01-01T11:00:00Z, measurements: {battery_pct: 92}}'
    assert len(differences(tmp_path, vector)) == 2


@pytest.mark.parametrize(
    ("codec", "difference"),
    [
        # a frame of one byte, and any other port
        (
            "    return {'bat': frame.data[0] + frame.data[1]}",
            "the codec fails for 01 on f_port 7: IndexError",
        ),
        ("    return {7: {'bat': 3}}[frame.f_port]", "the codec fails for 0102 on f_port 1: KeyError: 1"),
    ],
)
def test_a_codec_that_fails_for_a_frame_cut_short_or_on_another_port_is_found(
    codec: str, difference: str, load: Loader, tmp_path: Path
):
    catalogue = load(
        "codec: one.py\nmeasurements: {battery_v: bat}\n", f"def decode(frame, context):\n{codec}\n"
    )
    file = tmp_path / "one.vectors.yaml"
    file.write_text(
        "decoder: acme/one\nvectors: [{name: x, f_port: 7, data: '0102', measurements: {battery_v: 3}}]\n",
        encoding="utf-8",
    )
    cases, problems = read_own(file, VOCABULARY, catalogue.models)
    assert problems == []
    ((_case, (found,)),) = run_cases(cases, catalogue).failed
    assert found.startswith(difference)
    assert "one.py:2)" in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("decoder: milesight/em400-mud\nvectors: []\n", "2:10: there is no vector"),
        ("vectors: []\n", '1:1: "decoder" is missing'),
        (
            "decoder: milesight/em40-mud\nvectors: [{name: x, f_port: 1, data: '', measurements: {}}]\n",
            '1:10: unknown model "milesight/em40-mud"; did you mean "milesight/em400-mud"?',
        ),
        (
            "decoder: milesight/em400-mud\nvectors:\n  - {name: x, f_port: 1, data: 'xy', measurements: {}}\n",
            "3:32: expected bytes in hex, in quotation marks",
        ),
        (
            "decoder: milesight/em400-mud\nvectors:\n  - {name: x, f_port: 1, data: '00'}\n",
            "3:5: expected either measurements or error",
        ),
        (
            "decoder: milesight/em400-mud\nvectors:\n"
            "  - {name: x, f_port: 1, data: '00', measurements: {batery_pct: 1}}\n",
            '3:53: unknown quantity "batery_pct"; did you mean "battery_pct"?',
        ),
        (
            "decoder: milesight/em400-mud\nvectors:\n  - {name: x, f_port: 1, data: '00', error: to_short}\n",
            '3:45: unknown "to_short"; did you mean "too_short"?',
        ),
        (
            "decoder: milesight/em400-mud\nvectors:\n"
            "  - {name: x, f_port: 1, data: '00', time: today, measurements: {}}\n",
            "3:44: expected a time: 2024-03-01T12:00:00Z",
        ),
        ("decoder: [\n", "is not valid YAML"),
    ],
)
def test_a_mistake_in_a_vector_file_says_where(text: str, message: str, tmp_path: Path):
    file = tmp_path / "x.vectors.yaml"
    file.write_text(text, encoding="utf-8")
    _cases, problems = read_own(file, VOCABULARY, CATALOGUE.models)
    assert any(message in str(problem) for problem in problems)


def test_a_model_without_vectors_is_a_problem(tmp_path: Path):
    (tmp_path / "one.yaml").write_text(HEAD + "measurements: {battery_v: bat}\n", encoding="utf-8")
    catalogue = load_catalogue([tmp_path], VOCABULARY)
    _cases, problems = own_cases([tmp_path], catalogue, VOCABULARY)
    assert [problem.message for problem in problems] == [
        "acme/one has no vectors: write one.vectors.yaml beside it"
    ]


# -- published ------------------------------------------------------------------------------------------


def published(path: Path, *vectors: dict[str, Any], model: str = "em400-mud") -> Path:
    file = path / "x.json"
    file.write_text(json.dumps({"vendor": "milesight", "model": model, "vectors": vectors}), encoding="utf-8")
    return file


def run_published(file: Path) -> list[list[str]]:
    cases, problems = read_published(file, CATALOGUE.models)
    assert problems == []
    return [found for _case, found in run_cases(cases, CATALOGUE).failed]


def test_a_published_object_is_compared_through_the_mapping(tmp_path: Path):
    vector = {"f_port": 85, "bytes": "048244080500 00", "expected": {"distance": 2116, "position": "normal"}}
    assert run_published(published(tmp_path, vector)) == []
    wrong = {"f_port": 85, "bytes": "04824408050000", "expected": {"distance": 2117, "position": "tilt"}}
    assert run_published(published(tmp_path, wrong)) == [
        [
            "fill_distance_m (2024-01-01T12:00:00Z): expected 2.117, got 2.116",
            "container_tilted (2024-01-01T12:00:00Z): expected 1.0, got 0.0",
        ]
    ]


def test_the_last_digit_that_a_publisher_prints_may_be_rounded_where_the_unit_changes(tmp_path: Path):
    vector = {"f_port": 85, "bytes": "04824408", "expected": {"distance": 2115.9}}
    assert run_published(published(tmp_path, vector)) == []
    vector = {"f_port": 85, "bytes": "04824408", "expected": {"distance": 2115.8}}
    assert len(run_published(published(tmp_path, vector))) == 1
    # the battery's unit stays, so it has to be exact
    vector = {"f_port": 85, "bytes": "01755c", "expected": {"battery": 92.1}}
    assert len(run_published(published(tmp_path, vector))) == 1


def test_what_a_publisher_refuses_must_be_refused(tmp_path: Path):
    for refused in ({"errors": ["no"]}, {"expected": {}, "errors": ["no"]}, {}):
        vector = {"f_port": 85, "bytes": "01755c", **refused}
        assert run_published(published(tmp_path, vector)) == [["had to be refused, but was decoded"]]
        vector = {"f_port": 85, "bytes": "0175", **refused}
        assert run_published(published(tmp_path, vector)) == []


LISTING = "measurements: {battery_pct: bat, air_temperature_c: temp, air_humidity_pct: hum}\ncodec: one.py\n"
LISTED_CODEC = (
    "def decode(frame, context):\n"
    "    bat, temp, hum = frame.unpack('BBB')\n"
    "    return {'bat': bat, 'temp': temp, 'hum': hum}\n"
)


@pytest.mark.parametrize(
    ("listing", "said", "failed"),
    [
        # a publisher that is wrong about the battery: all else is compared
        ("differs: [bat]", {"bat": 9, "temp": 20, "hum": 50}, []),
        ("differs: [bat]", {"bat": 9, "temp": 21, "hum": 50}, [["air_temperature_c"]]),
        # one that calls the humidity temperature: that it is the humidity is compared, too
        ("renamed: {hum: temp}", {"bat": 90, "temp": 50}, []),
        ("renamed: {hum: temp}", {"bat": 90, "temp": 51}, [["air_humidity_pct"]]),
        ("renamed: {hum: 'all[0].is'}", {"temp": 9, "all": [{"is": 50}]}, [["air_temperature_c"]]),
        ("renamed: {hum: 'all[1].is'}\n    differs: [temp]", {"temp": 9, "all": [{}, {"is": 50}]}, []),
        # a list that is not true any more, or never was
        ("differs: [bat]", {"bat": 90, "temp": 20}, [["is listed as different, and is not"]]),
        ("differs: [batt]", {"bat": 9, "temp": 20}, [['"batt" is listed, and not there']]),
        ("differs: ['bat[0]']", {"bat": 9, "temp": 20}, [['"bat[0]" is listed, and not there']]),
        ("differs: [bat]", {"bat": 9}, [["but for what is listed as different, nothing is left to compare"]]),
    ],
)
def test_of_a_vector_that_is_known_to_differ_in_a_field_all_others_are_compared(
    load: Loader, tmp_path: Path, listing: str, said: dict[str, Any], failed: list[list[str]]
):
    catalogue = load(LISTING, LISTED_CODEC)
    beside = tmp_path / "decoders" / "acme" / "one.vectors.yaml"
    beside.write_text(
        'decoder: acme/one\nvectors:\n  - {name: x, f_port: 1, data: "5a", error: too_short}\n'
        f'published:\n  - data: "5a1432"\n    {listing}\n    why: so it is\n',
        encoding="utf-8",
    )
    file = tmp_path / "x.json"
    vector = {"f_port": 1, "bytes": "5a1432", "expected": said}
    file.write_text(json.dumps({"vendor": "acme", "model": "one", "vectors": [vector]}), encoding="utf-8")
    cases, problems = read_published(file, catalogue.models)
    report = run_cases(cases, catalogue)
    assert problems == read_own(beside, VOCABULARY, catalogue.models)[1] == []
    assert [case.listed for case in report.listed] == ([] if failed else ["so it is"])
    assert [[text.split(" (")[0] for text in found] for _case, found in report.failed] == failed


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ('{data: "00", why: x}', "expected the fields that differ or that are renamed"),
        ('{data: "00", differs: [a]}', '"why" is missing'),
        ('{data: "0x", differs: [a], why: x}', "expected bytes in hex"),
        ('{data: "00", differs: [a], why: x, wy: x}', 'unknown key "wy"'),
    ],
)
def test_a_mistake_in_the_list_says_where(load: Loader, tmp_path: Path, listed: str, message: str):
    catalogue = load(LISTING, LISTED_CODEC)
    beside = tmp_path / "decoders" / "acme" / "one.vectors.yaml"
    beside.write_text(
        'decoder: acme/one\nvectors:\n  - {name: x, f_port: 1, data: "5a", error: too_short}\n'
        f"published:\n  - {listed}\n",
        encoding="utf-8",
    )
    (problem,) = read_own(beside, VOCABULARY, catalogue.models)[1]
    assert (problem.line, message in problem.message) == (5, True)
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"vendor": "acme", "model": "one", "vectors": []}), encoding="utf-8")
    assert read_published(file, catalogue.models)[1] == [problem]


def test_vectors_of_models_that_we_do_not_ship_are_counted(tmp_path: Path):
    vector = {"f_port": None, "bytes": "00", "expected": {}}
    cases, _problems = read_published(published(tmp_path, vector, vector, model="em999"), CATALOGUE.models)
    report = run_cases(cases, CATALOGUE)
    assert (len(report.not_shipped), report.models_not_shipped) == (2, {"milesight/em999": 2})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "x.json:1:2: is not valid JSON"),
        ("[]", 'x.json: expected {"vendor"'),
        ("[" * 100_000, "x.json"),
        ('{"vectors": [3]}', "vector 1 cannot be used: expected an object"),
        ('{"vectors": [{"bytes": "00"}]}', 'vector 1 cannot be used: "f_port" is missing'),
        ('{"vectors": [{"f_port": 1}]}', 'vector 1 cannot be used: "bytes" is missing'),
        ('{"vectors": [{"f_port": 1, "bytes": "0"}]}', 'vector 1 cannot be used: bytes "0" is no hex'),
        ('{"vectors": [{"f_port": 1, "bytes": [0]}]}', "vector 1 cannot be used: bytes [0] is no hex"),
        ('{"vectors": [{"f_port": "1", "bytes": "00"}]}', 'f_port "1" is no number from 0 to 255'),
        ('{"vectors": [{"f_port": 256, "bytes": "00"}]}', "f_port 256 is no number from 0 to 255"),
        ('{"vectors": [{"f_port": 1, "bytes": "00", "expected": 3}]}', "expected is neither an object nor"),
        ('{"vectors": [{"f_port": 1, "bytes": "00", "recv_time": "soon"}]}', 'recv_time "soon" is no time'),
    ],
)
def test_a_file_that_is_no_vector_file_says_why(text: str, message: str, tmp_path: Path):
    file = tmp_path / "x.json"
    file.write_text(text, encoding="utf-8")
    cases, problems = read_published(file, CATALOGUE.models)
    assert cases == []
    assert message in str(problems[0])


def test_a_file_that_is_not_there_or_not_utf_8_says_so(tmp_path: Path):
    assert "cannot be read" in str(read_published(tmp_path / "no.json", CATALOGUE.models)[1][0])
    (tmp_path / "x.json").write_bytes(b"\xff")
    assert "is not UTF-8" in str(read_published(tmp_path / "x.json", CATALOGUE.models)[1][0])
