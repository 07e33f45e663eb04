"""Every sensor model that ships: loads, has vectors, passes them and the published ones, survives any bytes."""

from __future__ import annotations

import ast
import json
import math
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartdorf.content import shipped
from smartdorf.decoding import Context, Frame, FrameError, derive, listed, manifest, manifest_mapping, vectors
from smartdorf.decoding.frame import CODEC_REASONS
from smartdorf.decoding.listed import listed_beside
from smartdorf.decoding.manifest import DeviceModel
from smartdorf.decoding.mapping import map_object
from smartdorf.decoding.published import read_published
from smartdorf.decoding.registry import decode_uplink, load_catalogue, vector_files
from smartdorf.decoding.vectors import RECEIVED_AT, make_uplink, own_cases, run_cases
from smartdorf.simulate import Village
from smartdorf.simulate.behaviour import Circumstances, transmissions
from smartdorf.simulate.faults import broken_frame
from smartdorf.vocabulary import load_vocabulary
from smartdorf.yaml_source import read_yaml
from tests.known_differences import KNOWN_CASES, NOT_COMPARED, PARTLY_PUBLISHED

DECODERS = shipped("decoders")
PUBLISHED = Path(__file__).parents[2] / "shared" / "vectors"
VOCABULARY = load_vocabulary()
CATALOGUE = load_catalogue([DECODERS], VOCABULARY)
MODELS = sorted(CATALOGUE.models)
# The first models: published vectors and simulated sensors of each are there. A further one needs its three files only.
SHIPPED = {
    "axioma/qalcosonic-w1",
    "bosch/tps110",
    "decentlab/dl-pr26",
    "dragino/lht65n",
    "milesight/em300-zld",
    "milesight/em400-mud",
}

SIMULATED = {device.model for device in Village.build(5, start=datetime(2026, 1, 12, 6, tzinfo=UTC)).devices}

model_names = pytest.mark.parametrize("name", MODELS)


# -- what ships -----------------------------------------------------------------------------------------


def test_every_manifest_loads_without_a_problem():
    assert CATALOGUE.problems == []
    assert set(MODELS) >= SHIPPED


def test_our_own_vectors_pass():
    cases, problems = own_cases([DECODERS], CATALOGUE, VOCABULARY)
    report = run_cases(cases, CATALOGUE)
    assert problems == []
    assert [(case.model, case.name, differences) for case, differences in report.failed] == []
    assert report.not_shipped == []


@model_names
def test_every_model_has_a_vector_that_measures_and_one_that_is_refused(name: str):
    files = [file for file in vector_files(DECODERS) if read_yaml(file)["decoder"].text() == name]
    vectors = [vector for file in files for vector in read_yaml(file)["vectors"].elements()]
    assert any(dict(vector["measurements"].items()) for vector in vectors)
    assert any("error" in vector for vector in vectors)


def test_a_file_stands_where_its_name_says():
    for name, model in CATALOGUE.models.items():
        path = Path(model.file)
        assert f"{path.parent.name}/{path.stem}" == name


def test_codecs_import_nothing_but_the_codec_interface_files_beside_them_and_the_standard_library():
    foreign = []
    for file in DECODERS.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                beside = node.level == 1 and (file.parent / f"{node.module}.py").is_file()
                names = [] if beside else [node.module or "."]
            else:
                continue
            for name in names:
                if name != "smartdorf.decoding" and name.partition(".")[0] not in sys.stdlib_module_names:
                    foreign.append((file.name, name))
    assert foreign == []


def test_the_template_is_a_working_model_once_it_is_copied(tmp_path: Path):
    shutil.copytree(DECODERS / "_template", tmp_path / "example")
    catalogue = load_catalogue([tmp_path], VOCABULARY)
    cases, problems = own_cases([tmp_path], catalogue, VOCABULARY)
    report = run_cases(cases, catalogue)
    assert catalogue.problems == problems == report.failed == []
    assert list(catalogue.models) == ["example/thermo-1"]
    assert len(report.passed) == 3


# -- published vectors ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published() -> Path:
    if not PUBLISHED.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"CI needs the published vectors in {PUBLISHED}")
        pytest.skip(f"the published vectors are not in {PUBLISHED}")
    return PUBLISHED


# a model of somebody's own has none
published_names = pytest.mark.parametrize(
    "name", [name for name in MODELS if name in SHIPPED or (PUBLISHED / f"{name}.json").is_file()]
)


@published_names
def test_the_publishers_vectors_give_the_same_measurements(name: str, published: Path):
    cases, problems = read_published(published / f"{name}.json", CATALOGUE.models)
    report = run_cases(cases, CATALOGUE)
    assert problems == []
    assert report.not_shipped == []
    known = {
        f"{number}. "
        for number, vector in enumerate(_document(published, name), 1)
        if (name, vector["bytes"]) in KNOWN_CASES and "errors" not in vector
    }
    failed = [(case.name, differences) for case, differences in report.failed]
    assert [(case, differences) for case, differences in failed if not case.startswith(tuple(known))] == []
    assert len(failed) == len(known)  # what passes is no known case
    known_fields, _problems = listed_beside(CATALOGUE.models[name])
    assert len(report.listed) == len(known_fields)  # each is one of the published vectors


@published_names
def test_most_of_what_is_published_of_a_model_is_compared_at_all(name: str, published: Path):
    """A mapping that knew none of a publisher's field names would pass every comparison."""
    model = CATALOGUE.models[name]
    compared = [
        sum(
            len(map_object(model.plan, said, RECEIVED_AT, model.defaults).samples)
            for said in _as_list(vector["expected"])
        )
        for vector in _vectors(published, name)
        # frames of versions or settings measure nothing
        if "errors" not in vector
        # a list of names and values has no fields to map
        and all("variable" not in said for said in _as_list(vector["expected"]))
        and (name, vector["bytes"]) not in NOT_COMPARED
        # there the publisher's codec gave up
        and not any(text.startswith("Unknown") for text in vector.get("warnings", ()))
        and _measures(model, vector)
    ]
    assert compared or model.proof != "vendor vectors"
    assert any(compared) if name in PARTLY_PUBLISHED else all(compared)


@published_names
def test_fields_that_publishers_name_as_we_do_have_their_values(name: str, published: Path):
    model = CATALOGUE.models[name]
    differences = []
    for vector in _vectors(published, name):
        if "errors" in vector:
            continue
        found = _codec_object(model, vector)
        last = _as_list(vector["expected"])[-1:]  # of several states in one frame the last one stands
        for path, theirs in (leaf for said in last for leaf in _leaves(said)):
            ours = found.get(path)
            if ours is None or (name, path) in KNOWN_CASES or type(ours) is not type(theirs):
                continue
            equal = math.isclose(ours, theirs, rel_tol=1e-9) if isinstance(ours, float) else ours == theirs
            if not equal:
                differences.append((vector["bytes"], path, theirs, ours))
    assert differences == []


def _document(published: Path, name: str) -> list[dict[str, Any]]:
    return json.loads((published / f"{name}.json").read_text(encoding="utf-8"))["vectors"]


def _vectors(published: Path, name: str) -> list[dict[str, Any]]:
    return [vector for vector in _document(published, name) if (name, vector["bytes"]) not in KNOWN_CASES]


def _measures(model: DeviceModel, vector: Mapping[str, Any]) -> bool:
    found = decode_uplink(
        model, make_uplink(vector["f_port"] or 1, bytes.fromhex(vector["bytes"]), RECEIVED_AT), {}
    )
    return bool(found.samples)


def _codec_object(model: DeviceModel, vector: Mapping[str, Any]) -> dict[str, Any]:
    assert model.codec is not None
    context = Context(model.name, RECEIVED_AT, {}, model.defaults)
    return dict(_leaves(model.codec.decode(Frame(bytes.fromhex(vector["bytes"]), vector["f_port"]), context)))


def _as_list(expected: Any) -> list[Any]:
    return expected if isinstance(expected, list) else [expected]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


# -- any bytes ------------------------------------------------------------------------------------------

f_ports = st.one_of(st.sampled_from([1, 2, 3, 4, 5, 6, 85, 100, 101, 103]), st.integers(0, 255))
times = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
parameters = st.dictionaries(
    st.sampled_from(sorted({name for model in CATALOGUE.models.values() for name in model.parameters})),
    st.floats(allow_nan=True, allow_infinity=True),
)


@cache
def _frames(name: str) -> st.SearchStrategy[tuple[int, bytes]]:
    """Noise alone seldom gets past the first check: also our vectors with bytes changed, cut and added."""
    known = [
        (vector["f_port"].integer(), bytes.fromhex(vector["data"].text()))
        for file in vector_files(DECODERS)
        if read_yaml(file)["decoder"].text() == name
        for vector in read_yaml(file)["vectors"].elements()
    ]

    @st.composite
    def spoiled(draw: st.DrawFn) -> tuple[int, bytes]:
        f_port, data = draw(st.sampled_from(known))
        changed = bytearray(data)
        for at, value in draw(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4)):
            if at < len(changed):
                changed[at] = value
        end = draw(st.integers(0, len(changed)))
        return f_port, bytes(changed[:end] if draw(st.booleans()) else changed) + draw(st.binary(max_size=12))

    return st.one_of(spoiled(), st.tuples(f_ports, st.binary(max_size=60)))


@model_names
@settings(max_examples=200, deadline=None)
@given(data=st.data(), time=times, known=parameters)
def test_no_bytes_make_a_decoder_fail_otherwise_than_with_a_reason(
    name: str, data: st.DataObject, time: datetime, known: dict[str, float]
):
    f_port, payload = data.draw(_frames(name))
    decoded = decode_uplink(CATALOGUE.models[name], make_uplink(f_port, payload, time), known)
    if decoded.fault is not None:
        assert decoded.fault.reason in CODEC_REASONS, decoded.fault.detail
        assert decoded.fault.detail
        assert decoded.samples == ()
        return
    identities = [(sample.metric, sample.channel, sample.time) for sample in decoded.samples]
    assert len(set(identities)) == len(identities)
    promised = {(row.metric, row.channel) for row in CATALOGUE.models[name].measurements}
    for sample in decoded.samples:
        assert (sample.metric, sample.channel) in promised
        assert math.isfinite(sample.value)
        assert time - timedelta(days=3653) <= sample.time <= time
        assert sample.time.tzinfo is UTC
    msgspec.json.encode(decoded.object)


@model_names
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_decoding_is_pure(name: str, data: st.DataObject):
    f_port, payload = data.draw(_frames(name))
    uplink = make_uplink(f_port, payload, RECEIVED_AT)
    model = CATALOGUE.models[name]
    assert decode_uplink(model, uplink, {}) == decode_uplink(model, uplink, {})


# -- against the simulator, which was written without looking at the decoders ------------------------------


simulated_names = pytest.mark.parametrize("name", sorted(SHIPPED | set(SIMULATED)))


@simulated_names
def test_decoders_find_what_the_simulated_sensors_measured(name: str):
    start = datetime(2026, 1, 12, 6, tzinfo=UTC)
    village = Village.build(5, start=start)
    device = next(device for device in village.devices if device.model == name)
    story = next((story for story in village.stories if story.dev_eui == device.dev_eui), None)
    given_ = Circumstances(Random(1), start, True, story)
    sent = list(takewhile(lambda item: item.at < start + timedelta(days=3), transmissions(device, given_)))
    assert sent
    for transmission in sent:
        uplink = make_uplink(transmission.payload.f_port, transmission.payload.data, transmission.at)
        decoded = decode_uplink(CATALOGUE.models[name], uplink, device.parameters)
        assert decoded.fault is None
        current = {
            sample.metric: sample.value
            for sample in decoded.samples
            if sample.channel == 0 and transmission.at - sample.time < timedelta(seconds=5)
        }
        for metric, value in transmission.truth.items():
            assert current[metric] == pytest.approx(float(value), rel=1e-9, abs=1e-9), metric


@simulated_names
def test_frames_that_the_simulator_breaks_are_refused(name: str):
    for seed in range(20):
        payload = broken_frame(name, Random(seed))
        decoded = decode_uplink(CATALOGUE.models[name], make_uplink(*payload, RECEIVED_AT), {})
        assert decoded.fault is not None
        assert decoded.fault.reason in CODEC_REASONS


def test_a_codec_can_only_refuse_for_a_reason_that_is_counted():
    """The reasons in the codecs' texts, since no vector may reach one of them."""
    used = set()
    for file in DECODERS.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "FrameError"
            ):
                assert isinstance(node.args[0], ast.Constant)
                used.add(node.args[0].value)
    assert used <= CODEC_REASONS
    assert issubclass(FrameError, Exception)


# -- docs/decoders.md -----------------------------------------------------------------------------------


def test_the_manual_explains_every_key_and_every_reason():
    manual = (DECODERS.parent / "docs" / "decoders.md").read_text(encoding="utf-8")
    words = {
        *manifest._KEYS,
        *manifest_mapping._FIELD_KEYS,
        *vectors._KEYS,
        *listed.KEYS,
        *derive.FORMULAS,
        *CODEC_REASONS,
    }
    assert [word for word in sorted(words) if f"`{word}`" not in manual] == []


def test_the_manuals_manifest_is_a_manifest(tmp_path: Path):
    manual = (DECODERS.parent / "docs" / "decoders.md").read_text(encoding="utf-8")
    example = manual.partition("## The manifest\n\n```yaml\n")[2].partition("```")[0]
    (tmp_path / "one.yaml").write_text(example, encoding="utf-8")
    catalogue = load_catalogue([tmp_path, DECODERS], VOCABULARY)
    # its codec is found in the shipped folder only by its full name
    assert [problem.message for problem in catalogue.problems] == ['there is no "family.py" beside one.yaml']
