"""All models, and the one function that decodes: broken plug-ins stay out, and nothing they do gets out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from smartdorf.decoding.manifest import DeviceModel
from smartdorf.decoding.registry import decode_uplink, load_catalogue
from smartdorf.decoding.time_limit import TimeLimit
from smartdorf.decoding.vectors import make_uplink
from smartdorf.errors import NotFoundError
from smartdorf.vocabulary import load_vocabulary
from tests.unit.decoding.conftest import HEAD, Loader

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BATTERY = "measurements: {battery_v: bat}\n"
Model = Callable[..., DeviceModel]


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


# -- loading --------------------------------------------------------------------------------------------


def test_a_broken_model_does_not_stop_the_others(tmp_path: Path):
    write(tmp_path, "acme/one.yaml", HEAD + BATTERY)
    write(tmp_path, "acme/two.yaml", HEAD.replace("model: one", "model: two") + "measurements: {bat: bat}\n")
    catalogue = load_catalogue([tmp_path], load_vocabulary())
    assert list(catalogue.models) == ["acme/one"]
    (problem,) = catalogue.problems
    assert (Path(problem.file).name, problem.line) == ("two.yaml", 8)


def test_two_definitions_in_one_folder_are_a_problem_that_names_both(tmp_path: Path):
    write(tmp_path, "acme/one.yaml", HEAD + BATTERY)
    write(tmp_path, "other/one.yaml", HEAD + BATTERY)
    catalogue = load_catalogue([tmp_path], load_vocabulary())
    (problem,) = catalogue.problems
    assert problem.file.endswith("other/one.yaml")
    assert "acme/one is defined twice; the other definition is " in problem.message
    assert "acme/one.yaml:2" in problem.message
    assert list(catalogue.models) == ["acme/one"]


def test_a_later_folder_replaces_a_model(tmp_path: Path):
    write(tmp_path / "shipped", "acme/one.yaml", HEAD + BATTERY)
    write(tmp_path / "village", "mine/one.yaml", HEAD.replace("datasheet", "device") + BATTERY)
    catalogue = load_catalogue([tmp_path / "shipped", tmp_path / "village"], load_vocabulary())
    assert catalogue.problems == []
    assert catalogue.models["acme/one"].proof == "device"


def test_templates_hidden_files_and_vectors_are_no_manifests(tmp_path: Path):
    for name in ("_template/one.yaml", ".git/one.yaml", "acme/_draft.yaml", "acme/one.vectors.yaml"):
        write(tmp_path, name, "nonsense: [")
    catalogue = load_catalogue([tmp_path], load_vocabulary())
    assert (catalogue.models, catalogue.problems) == ({}, [])


def test_a_village_may_use_a_shipped_familys_codec(tmp_path: Path):
    write(tmp_path / "shipped", "acme/family.py", "def decode(frame, context):\n    return {'bat': 3.0}\n")
    write(tmp_path / "village", "mine/one.yaml", HEAD + "codec: acme/family.py\n" + BATTERY)
    catalogue = load_catalogue([tmp_path / "shipped", tmp_path / "village"], load_vocabulary())
    assert catalogue.problems == []
    decoded = decode_uplink(catalogue.models["acme/one"], make_uplink(1, b"x", NOW), {})
    assert [sample.value for sample in decoded.samples] == [3.0]


def test_two_folders_may_hold_a_codec_of_the_same_name(tmp_path: Path):
    for vendor, value in (("acme", 3.1), ("zeta", 3.2)):
        write(tmp_path, f"{vendor}/c.py", f"def decode(frame, context):\n    return {{'bat': {value}}}\n")
        head = HEAD.replace("vendor: acme", f"vendor: {vendor}")
        write(tmp_path, f"{vendor}/one.yaml", head + "codec: c.py\n" + BATTERY)
    catalogue = load_catalogue([tmp_path], load_vocabulary())
    values = [
        decode_uplink(catalogue.models[name], make_uplink(1, b"x", NOW), {}).samples[0].value
        for name in ("acme/one", "zeta/one")
    ]
    assert values == [3.1, 3.2]


def test_codecs_share_a_file_beside_them_and_see_its_changes(tmp_path: Path):
    write(tmp_path, "acme/one.yaml", HEAD + "codec: c.py\n" + BATTERY)
    write(
        tmp_path,
        "acme/c.py",
        "from .shared import V\n\n\ndef decode(frame, context):\n    return {'bat': V}\n",
    )
    for value in (3.25, 3.5):
        write(tmp_path, "acme/shared.py", f"V = {value}\n")
        catalogue = load_catalogue([tmp_path], load_vocabulary())
        decoded = decode_uplink(catalogue.models["acme/one"], make_uplink(1, b"x", NOW), {})
        assert [sample.value for sample in decoded.samples] == [value]


@pytest.mark.parametrize(
    ("codec", "message"),
    [
        ("from .shared import V\n", "one.py:1: ModuleNotFoundError: No module named 'smartdorf_decoders"),
        ("def decode(frame context):\n", "one.py:1:"),
        ("def decode(frame, context):\n    return {'a': 1\n", "one.py:2:12: '{' was never closed"),
        ("raise SystemExit(3)\n", "one.py:1: SystemExit: 3"),
        ("def decode(data):\n    return {}\n", "one.py:1: expected decode(frame, context)"),
        ("import struct\n\nraise ValueError('no')\n", "one.py:3: ValueError: no"),
        ("from smartdorf.decoding import Fram\n", "one.py:1: ImportError: cannot import name 'Fram'"),
        ("DECODE = 1\n", "one.py has no function decode(frame, context)"),
        ("decode = 7\n", "one.py has no function decode(frame, context)"),
        ("x = '\0'\n", "one.py"),
    ],
)
def test_a_codec_that_cannot_be_loaded_says_where(codec: str, message: str, load: Loader):
    catalogue = load("codec: one.py\n" + BATTERY, codec)
    assert catalogue.models == {}
    (problem,) = catalogue.problems
    assert (problem.line, problem.column) == (8, 8)
    assert message in problem.message


def test_a_codec_that_loops_while_it_is_loaded_is_stopped(load: Loader, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("smartdorf.decoding.codec._LOADING", TimeLimit(1))
    (problem,) = load("codec: one.py\n" + BATTERY, "\nwhile True:\n    pass\n").problems
    assert "TookTooLongError: no result after 0.5 s of processor time" in problem.message


def test_an_unknown_model_gets_a_suggestion(load: Loader):
    catalogue = load(BATTERY)
    assert catalogue.get("acme/one").name == "acme/one"
    for misspelt in ("acme/on", "one"):
        with pytest.raises(NotFoundError, match=r'did you mean "acme/one"\?'):
            catalogue.get(misspelt)


# -- decoding -------------------------------------------------------------------------------------------

CODEC = """\
from smartdorf.decoding import FrameError

def decode(frame, context):
    if frame.f_port == 9:
        raise FrameError("checksum", "expected 1f, got 2e")
    {what}
"""


def one(model: Model, what: str) -> DeviceModel:
    return model("codec: one.py\n" + BATTERY, CODEC.format(what=what))


def test_a_refused_frame_has_its_reason(model: Model):
    decoded = decode_uplink(one(model, "return {}"), make_uplink(9, b"x", NOW), {})
    assert decoded.fault is not None
    assert (decoded.fault.reason, decoded.fault.detail) == ("checksum", "expected 1f, got 2e")


@pytest.mark.parametrize(
    "what",
    [
        "return {}['bat']",
        "return frame.data[99]",
        "return None",
        "return [1]",
        "return {'bat': object()}['nothing']",
        "return 1 / 0",
        "return decode(frame, context)",
        "import smartdorf.nonsense",
        "assert False",
        "raise SystemExit(3)",
        "raise FrameError(f'byte {frame.data[0]}')",  # would be counted as a reason of its own
        "raise FrameError(7)",
        "yield {'bat': 3}",
        "return {'bat': 3, 'x': object()}",
        "return {'bat': 3, (1, 2): 3}",
        "return {'bat': 3, 'x': 'half a pair \\ud800'}",
        "return {'bat': 3, 'serial number': 'ab\\0\\0'}",
        "return {'bat': 3, 'x': 'a' * 65536}",
        "return {'bat': 3, 'x': eval('[' * 50 + ']' * 50) * 10000}",
        "found = {'bat': 3}; found['x'] = found; return found",
        "raise ValueError('a' * 10**6)",
    ],
)
def test_whatever_a_codec_does_is_a_fault_with_its_line(what: str, model: Model):
    decoded = decode_uplink(one(model, what), make_uplink(1, b"x", NOW), {})
    assert decoded.samples == ()
    assert decoded.fault is not None
    assert decoded.fault.reason == "codec_error"
    assert "one.py" in decoded.fault.detail
    assert len(decoded.fault.detail) < 1000


@pytest.mark.parametrize(
    "what",
    [
        "while True: pass",
        "while True:\n        try:\n            frame.u16(7)\n        except Exception:\n            pass",
        "while True:\n        try:\n            frame.u16(7)\n        except:\n            pass",
        "return {'bat': max(number * number for number in range(10**12))}",
    ],
)
def test_a_codec_that_never_ends_is_stopped_and_the_next_uplink_is_decoded(what: str, model: Model):
    found = one(
        model, f"if frame.data == b'x':\n        {what.replace('    ', '        ')}\n    return {{'bat': 3}}"
    )
    decoded = decode_uplink(found, make_uplink(1, b"x", NOW), {})
    assert decoded.fault is not None
    assert decoded.fault.detail.startswith("TookTooLongError: no result after 1 s of processor time (")
    assert [s.value for s in decode_uplink(found, make_uplink(1, b"y", NOW), {}).samples] == [3.0]


def test_only_the_main_thread_can_be_interrupted_so_only_it_is(model: Model):
    """A tick raises in the main thread: it must not hit what runs there while another thread decodes."""
    found = one(model, "return {'bat': sum(1 for _ in range(3 * 10**7)) / 10**7}")
    with ThreadPoolExecutor(1) as pool:
        decoded = pool.submit(decode_uplink, found, make_uplink(1, b"x", NOW), {})
        while not decoded.done():
            sum(range(1000))
    assert [sample.value for sample in decoded.result().samples] == [3.0]


@pytest.mark.parametrize(
    "value",
    [
        "[[3.0]]",
        "{'a': 3.0}",
        "b'3'",
        "float('nan')",
        "float('-inf')",
        "10**400",
        "'3,0'",
        "None",
        "(3,)",
        "3+1j",
    ],
)
def test_what_is_no_number_is_no_measurement(value: str, model: Model):
    decoded = decode_uplink(one(model, f"return {{'bat': {value}}}"), make_uplink(1, b"x", NOW), {})
    assert decoded.samples == ()


def test_a_flood_of_values_is_a_fault(model: Model):
    body = BATTERY + "records: [{each: log, time: t, measurements: [battery_v]}]\n"
    codec = (
        "def decode(frame, context):\n"
        "    return {'log': [{'t': 1764000000 + n, 'bat': 3} for n in range(frame.f_port * 100)]}\n"
    )
    found = model("codec: one.py\n" + body, codec)
    assert len(decode_uplink(found, make_uplink(20, b"x", NOW), {}).samples) == 2000
    decoded = decode_uplink(found, make_uplink(21, b"x", NOW), {})
    assert decoded.samples == ()
    assert decoded.fault is not None
    assert "2100 values from one frame" in decoded.fault.detail


def test_a_fault_names_the_line_of_the_codec(model: Model):
    decoded = decode_uplink(one(model, "return 1 / 0"), make_uplink(1, b"x", NOW), {})
    assert decoded.fault is not None
    assert decoded.fault.detail.startswith("ZeroDivisionError: division by zero (")
    assert decoded.fault.detail.endswith("one.py:6)")


@pytest.mark.parametrize(("f_port", "data"), [(0, b"\x01"), (1, b"")])
def test_mac_commands_and_empty_frames_are_nothing_to_decode(f_port: int, data: bytes, model: Model):
    decoded = decode_uplink(one(model, "return 1 / 0"), make_uplink(f_port, data, NOW), {})
    assert (decoded.samples, decoded.object, decoded.fault) == ((), None, None)


def test_an_encrypted_frame_is_refused_unread(model: Model):
    uplink = msgspec.structs.replace(make_uplink(1, b"x", NOW), encrypted=True)
    decoded = decode_uplink(one(model, "return 1 / 0"), uplink, {})
    assert decoded.fault is not None
    assert decoded.fault.reason == "encrypted"


def test_a_codec_gets_parameters_with_their_defaults_and_says_what_it_missed(model: Model):
    body = (
        "parameters:\n"
        "  a: {unit: V, range: [0, 9], default: 2, de: A, en: A}\n"
        "  b: {unit: V, range: [0, 9], de: B, en: B}\n"
        "codec: one.py\n" + BATTERY
    )
    codec = (
        "def decode(frame, context):\n"
        "    a, b = context.parameter('a'), context.parameter('b')\n"
        "    return {'bat': a if b is None else a + b, 'model': context.model}\n"
    )
    found = model(body, codec)
    without = decode_uplink(found, make_uplink(1, b"x", NOW), {})
    assert ([s.value for s in without.samples], without.missing) == ([2.0], ("b",))
    given = decode_uplink(found, make_uplink(1, b"x", NOW), {"a": 1.0, "b": 2.5})
    assert ([s.value for s in given.samples], given.missing) == ([3.5], ())
    assert given.object == {"model": "acme/one"}


# -- without a codec of ours ----------------------------------------------------------------------------


def with_object(value: dict[str, Any] | None):
    return msgspec.structs.replace(make_uplink(1, b"x", NOW), object=value)


def test_without_a_codec_chirpstacks_object_goes_through_the_mapping_and_is_kept_whole(model: Model):
    decoded = decode_uplink(model(BATTERY), with_object({"bat": 3.6, "more": 1}), {})
    assert [sample.value for sample in decoded.samples] == [3.6]
    assert decoded.object == {"bat": 3.6, "more": 1}


def test_without_a_codec_and_without_an_object_there_is_nothing_to_go_by(model: Model):
    decoded = decode_uplink(model(BATTERY), with_object(None), {})
    assert decoded.fault is not None
    assert decoded.fault.reason == "missing_object"


def test_a_flood_of_values_in_chirpstacks_object_is_a_fault(model: Model):
    found = model(BATTERY + "records: [{each: log, time: t, measurements: [battery_v]}]\n")
    log = [{"t": 1764000000 + number, "bat": 3} for number in range(2001)]
    assert len(decode_uplink(found, with_object({"log": log[1:]}), {}).samples) == 2000
    decoded = decode_uplink(found, with_object({"log": log}), {})
    assert (decoded.samples, decoded.fault is not None) == ((), True)
