"""Mistakes in a manifest: all at once, each with its place and advice, none with a traceback."""

from __future__ import annotations

import math
import re
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smartdorf.decoding.registry import load_catalogue
from smartdorf.vocabulary import load_vocabulary
from tests.unit.decoding.conftest import CODEC, HEAD, Loader

# body of the manifest (it begins in line 8), and what is said of it: line:column: message
BAD = {
    "unknown quantity": (
        "measurements: {water_levl_m: level}",
        '8:16: unknown quantity "water_levl_m"; did you mean "water_level_m"?',
    ),
    "unknown key": (
        "measurments: {battery_v: bat}",
        '1:1: "measurements" is missing',
        '8:1: unknown key "measurments"; did you mean "measurements"?',
    ),
    "missing key": ("codec: one.py", '1:1: "measurements" is missing'),
    "no measurement": ("measurements: {}", "8:15: there is no measurement"),
    "a text for a list": (
        "measurements: {battery_v: bat}\nrecognise: {profiles: X}",
        '9:23: expected a list, got "X"',
    ),
    "unknown unit": (
        "measurements: {water_level_m: {field: level, unit: mmm}}",
        '8:52: water_level_m: unknown unit "mmm"; did you mean "mm"?',
    ),
    "wrong unit": (
        "measurements: {water_level_m: {field: level, unit: bar}}",
        '8:52: water_level_m: "bar" cannot become "m": they measure different things',
    ),
    "key of a measurement": (
        "measurements: {water_level_m: {feild: level}}",
        '8:31: "field" is missing',
        '8:32: unknown key "feild"; did you mean "field"?',
    ),
    "no field": (
        "measurements:\n  water_level_m:",
        "9:3: expected the name of a field: {field: temperature}",
    ),
    "a field that is a list": (
        "measurements: {water_level_m: {field: [a]}}",
        "8:39: expected text, got a list",
    ),
    "a field that is no path": (
        "measurements: {water_level_m: {field: 'a[x]'}}",
        '8:39: "a[x]" is no field; write temperature, status.battery or volumes[0].volume',
    ),
    "the same field twice": (
        "measurements: {water_level_m: [level, level]}",
        '8:39: "level" is used twice for water_level_m',
    ),
    "unknown code": (
        "measurements: {water_leak: {field: leak, codes: {wet: 2}}}",
        "8:55: water_leak has no code \"2\"; it has 0 (dry), 1 (leak)",
    ),
    "unit beside codes": (
        "measurements: {water_leak: {field: leak, codes: {wet: 1}, unit: m}}",
        "8:59: unit makes no sense beside codes",
    ),
    "channel": (
        "measurements: {battery_v: {field: bat, channel: 900}}",
        "8:49: a channel is a number from 0 to 255",
    ),
    "scale": (
        "measurements: {battery_v: {field: bat, scale: 0}}",
        "8:47: a scale of 0 makes every value the same",
    ),
    "filler": (
        "measurements: {battery_v: {field: bat, fillers: [true]}}",
        "8:50: a filler is a number or a text: the raw value that means no value",
    ),
    "more than can be": (
        "measurements: {water_level_m: {field: level, range: [0, 99]}}",
        "8:53: water_level_m can only be from -5 to 50, in m",
    ),
    "jump": (
        "measurements: {water_level_m: {field: level, jump: 0}}",
        "8:52: expected the largest believable change within an hour, more than 0",
    ),
    "stuck": (
        "measurements: {water_level_m: {field: level, stuck: 3 days}}",
        '8:53: "3 days" is no duration; write 90s, 20m, 12h, 1d, or none',
    ),
    "roll-over of what is no counter": (
        "measurements: {water_level_m: {field: level, rollover: 256}}",
        "8:56: expected where a counter begins at 0 again: rollover: 65536",
    ),
    "unknown derivation": (
        "measurements: {fill_distance_m: d, fill_level_pct: {derive: fil_level, from: fill_distance_m}}",
        '8:61: unknown "fil_level"; did you mean "fill_level"?',
    ),
    "derived from nothing": (
        "parameters: {h: {unit: m, range: [0, 5], de: H, en: H}}\n"
        "measurements: {fill_distance_m: d, fill_level_pct: {derive: fill_level, from: fill_distanc_m, empty: h}}",
        "9:79: fill_level_pct cannot be derived from fill_distanc_m: it is not measured on channel 0; "
        'did you mean "fill_distance_m"?',
    ),
    "derived twice": (
        "parameters: {h: {unit: m, range: [0, 5], de: H, en: H}}\n"
        "measurements:\n  fill_distance_m: d\n  fill_level_pct:\n  - level\n"
        "  - {derive: fill_level, from: fill_distance_m, empty: h}",
        "13:5: fill_level_pct is measured already",
    ),
    "unknown parameter": (
        "parameters: {height_m: {unit: m, range: [0, 5], de: H, en: H}}\n"
        "measurements: {fill_distance_m: d, fill_level_pct: "
        "{derive: fill_level, from: fill_distance_m, empty: heigt_m}}",
        '9:103: unknown parameter "heigt_m"; did you mean "height_m"?',
    ),
    "parameter in another unit": (
        "parameters: {h: {unit: cm, range: [0, 5], de: H, en: H}}\n"
        "measurements: {fill_distance_m: d, fill_level_pct: {derive: fill_level, from: fill_distance_m, empty: h}}",
        "9:103: h is in cm, expected m",
    ),
    "derivation of something else": (
        "measurements: {battery_v: b, water_level_m: {derive: hydrostatic, from: battery_v}}",
        "8:54: hydrostatic makes m from bar; battery_v is in V",
    ),
    "parameter's unit": (
        "parameters: {h: {unit: metre_s, range: [0, 5], de: H, en: H}}\nmeasurements: {battery_v: b}",
        '8:24: unknown unit "metre_s"',
    ),
    "parameter's range": (
        "parameters: {h: {unit: m, range: [5, 0], de: H, en: H}}\nmeasurements: {battery_v: b}",
        "8:34: expected a range: [lowest, highest]",
    ),
    "parameter's default": (
        "parameters: {h: {unit: m, range: [0, 5], default: 9, de: H, en: H}}\nmeasurements: {battery_v: b}",
        "8:51: the default is outside the range",
    ),
    "record of a quantity that is not measured": (
        "measurements: {battery_v: b}\nrecords: [{each: log, time: t, measurements: [batery_v]}]",
        '9:47: "batery_v" is not among the measurements above; did you mean "battery_v"?',
    ),
    "record without its time": (
        "measurements: {battery_v: b}\nrecords: [{each: log, measurements: [battery_v]}]",
        '9:11: "time" is missing',
    ),
    "no such codec": (
        "codec: two.py\nmeasurements: {battery_v: b}",
        '8:8: there is no "two.py" beside one.yaml; did you mean "one.py"?',
    ),
    "neither Python nor JavaScript": (
        "codec: one.lua\nmeasurements: {battery_v: b}",
        '8:8: "one.lua" is no codec: expected a file.py or file.js',
    ),
    "OUI without quotation marks": (
        "recognise: {oui: [123456]}\nmeasurements: {battery_v: b}",
        "8:19: expected 6-16 lower-case hex digits in quotation marks",
    ),
    "name of a profile": (
        "recognise: {profiles: ['--']}\nmeasurements: {battery_v: b}",
        "8:24: a profile's name needs letters or digits",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_says_where_it_is_and_what_to_do(case: str, load: Loader):
    body, *messages = BAD[case]
    catalogue = load(body + "\n", CODEC)
    assert [re.sub(r"^.*one\.yaml:", "", str(problem)) for problem in catalogue.problems] == messages
    assert catalogue.models == {}


@pytest.mark.parametrize(
    ("line", "replacement", "message"),
    [
        (1, "vendor: Acme GmbH", "1:9: expected lower-case letters, digits, dots and dashes: dl-pr26"),
        (3, "name: {de: Eins}", '3:7: "en" is missing'),
        (4, "category: watr", '4:11: unknown "watr"; did you mean "water"?'),
        (5, "documentation: drawer", "5:16: expected a link: https://…"),
        (
            6,
            "device_profile: {region: EU868, mac_version: 1.0, class: A, uplink_interval: 20m}",
            '6:46: expected a LoRaWAN version in quotation marks: "1.0.3"',
        ),
        (
            6,
            'device_profile: {region: EU868, mac_version: "1.0.3", class: A, uplink_interval: hourly}',
            '6:82: "hourly" is no duration; write 90s, 20m, 12h, 1d, or none',
        ),
        (
            7,
            "proof: trust me",
            '7:8: unknown "trust me"; expected one of device, vendor vectors, datasheet',
        ),
    ],
)
def test_a_mistake_in_the_head_says_so(line: int, replacement: str, message: str, load: Loader):
    lines = HEAD.splitlines()
    lines[line - 1] = replacement
    catalogue = load("measurements: {battery_v: bat}\n", head="\n".join(lines) + "\n")
    assert [re.sub(r"^.*one\.yaml:", "", str(problem)) for problem in catalogue.problems] == [message]


def test_all_mistakes_are_told_at_once(load: Loader):
    catalogue = load("recognise: {oi: []}\nmeasurements: {batery_v: b, water_level_m: {field: l, unit: V}}\n")
    assert len(catalogue.problems) == 3
    assert [problem.line for problem in catalogue.problems] == [8, 9, 9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping, got nothing"),
        ("- a list\n", "expected a mapping, got a list"),
        ("just text\n", "expected a mapping"),
        ("a: [\n", "is not valid YAML"),
        ("vendor: {a: 1}\nmodel: [1]\nmeasurements: 3\nparameters: 7\nrecords: x\ntime: {}\n", "expected"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_manifest_is_a_problem(text: str, message: str, load: Loader):
    catalogue = load(text, head="")
    assert catalogue.models == {}
    assert any(message in problem.message for problem in catalogue.problems)


values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.sampled_from(["m", "fill_level", "d"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["field", "unit", "codes", "derive", "from", "empty", "fillers", "de", "en", "range", "each",
                 "time", "measurements", "battery_v", "fill_distance_m", "fill_level_pct", "profiles", "oui"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["measurements", "parameters", "records", "time", "recognise", "codec", "firmware"]),
        values,
    )
)
def test_no_manifest_ends_in_a_traceback(load: Loader, document: dict[str, object]):
    import json  # noqa: PLC0415 - JSON is YAML: the shortest way to write any document

    body = "".join(f"{key}: {json.dumps(value)}\n" for key, value in document.items())
    catalogue = load(body)
    assert catalogue.problems or "acme/one" in catalogue.models
    for problem in catalogue.problems:
        assert problem.message


def test_a_right_manifest_tells_everything_about_its_model(load: Loader):
    catalogue = load(
        "codec: one.py\n"
        "firmware: ['1.2']\n"
        "parameters:\n"
        "  h: {unit: m, range: [0, 5], de: Höhe, en: Height}\n"
        "  z: {unit: m, range: [0, 5], default: 1, de: 'Null', en: Zero}\n"
        "measurements: {battery_v: {field: bat, unit: mV}}\n",
        CODEC,
    )
    model = catalogue.models["acme/one"]
    assert (model.name, model.vendor, model.category, model.proof) == (
        "acme/one",
        "acme",
        "water",
        "datasheet",
    )
    assert model.label == {"de": "Eins", "en": "One"}
    assert model.uplink_interval == timedelta(minutes=20)
    assert model.firmware == ("1.2",)
    assert {name: parameter.required for name, parameter in model.parameters.items()} == {
        "h": True,
        "z": False,
    }
    assert model.file.endswith("acme/one.yaml")
    assert model.line == 2
    assert model.codec is not None


def test_what_is_believable_is_the_vocabularys_unless_the_manifest_says_more(load: Loader):
    catalogue = load(
        "parameters:\n"
        "  pulse: {unit: m3, range: [0, 1], de: Impuls, en: Pulse}\n"
        "measurements:\n"
        "  air_temperature_c: {field: t, range: [0, 40], stuck: none}\n"
        "  water_level_m: {field: l, unit: cm, jump: 0.5}\n"
        "  water_volume_m3: {field: v, unit: L, rollover: 65536}\n"
        "  pulse_count: {field: p, rollover: 256}\n"
        "  gas_volume_m3: {derive: pulse_volume, from: pulse_count, volume: pulse}\n"
        "  battery_v: bat\n"
    )
    model = catalogue.models["acme/one"]
    assert {key: limits[2:] for key, limits in model.watched.items()} == {
        ("air_temperature_c", 0): (15, None, False, 0),
        ("water_level_m", 0): (0.5, None, False, 0),
        ("water_level_nhn_m", 0): (3, None, False, 0),
        ("water_volume_m3", 0): (math.inf, None, True, 65.536),
        ("pulse_count", 0): (math.inf, None, True, 256),
    }
    assert model.rollovers({"pulse": 0.1}) == {
        ("water_volume_m3", 0): 65.536,
        ("pulse_count", 0): 256,
        ("gas_volume_m3", 0): pytest.approx(25.6),
    }
    assert model.rollovers({}).keys() == {("water_volume_m3", 0), ("pulse_count", 0)}  # no pulse, no volume


def test_a_device_that_only_reports_events_has_no_interval(load: Loader):
    catalogue = load(
        "measurements: {battery_v: bat}\n", head=HEAD.replace("uplink_interval: 20m", "uplink_interval: none")
    )
    assert catalogue.models["acme/one"].uplink_interval is None


def test_a_folder_that_is_not_there_is_a_problem(tmp_path):
    catalogue = load_catalogue([tmp_path / "nowhere"], load_vocabulary())
    assert [problem.message for problem in catalogue.problems] == ["there is no such folder"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "1:1: expected a mapping, got nothing"), ("- a\n", "1:1: expected a mapping, got a list")],
)
def test_what_is_no_manifest_at_all_has_one_problem(text: str, problem: str, load: Loader):
    (found,) = load(text, head="").problems
    assert str(found).endswith(problem)


@pytest.mark.parametrize("key", ["name", "device_profile"])
def test_a_key_that_is_missing_has_one_problem(key: str, load: Loader):
    head = "".join(line for line in HEAD.splitlines(keepends=True) if not line.startswith(key))
    (found,) = load("measurements: {battery_v: bat}\n", head=head).problems
    assert str(found).endswith(f'1:1: "{key}" is missing')


def test_a_model_is_called_as_it_is_written(load: Loader):
    catalogue = load("measurements: {battery_v: bat}\n", head=HEAD.replace("model: one", "model: 007"))
    assert list(catalogue.models) == ["acme/007"]
