"""Vendors' codecs in JavaScript: what runs unchanged, and what a hostile one cannot do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartdorf.decoding.codec import CodecLoadError
from smartdorf.decoding.javascript import load_javascript, load_script
from smartdorf.decoding.javascript.sandbox import SANDBOX
from smartdorf.decoding.manifest import DeviceModel
from smartdorf.decoding.registry import decode_uplink, load_catalogue
from smartdorf.decoding.vectors import make_uplink, read_own, run_cases
from smartdorf.model import Decoded
from smartdorf.vocabulary import load_vocabulary
from tests.unit.decoding.conftest import HEAD

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BODY = "codec: one.js\nmeasurements: {battery_v: bat}\n"

Load = Callable[..., DeviceModel]


@pytest.fixture
def js(tmp_path: Path) -> Load:
    """``js(codec)``: the model whose codec this is."""

    def load(codec: str, body: str = BODY) -> DeviceModel:
        (tmp_path / "one.yaml").write_text(HEAD + body, encoding="utf-8")
        (tmp_path / "one.js").write_text(codec, encoding="utf-8")
        catalogue = load_catalogue([tmp_path], load_vocabulary())
        assert catalogue.problems == []
        return catalogue.models["acme/one"]

    return load


def decode(model: DeviceModel, data: bytes = b"\x0b\xb8", f_port: int = 7, **parameters: float) -> Decoded:
    return decode_uplink(model, make_uplink(f_port, data, NOW), parameters)


def values(decoded: Decoded) -> dict[str, float]:
    assert decoded.fault is None, decoded.fault
    return {sample.metric: sample.value for sample in decoded.samples}


def returns(expression: str, before: str = "") -> str:
    return f"{before}\nfunction decodeUplink(input) {{ return {{data: {expression}}}; }}\n"


# -- what runs unchanged ---------------------------------------------------------------------------------

READ = "((b[0] << 8) | b[1]) / 1000"


@pytest.mark.parametrize(
    "codec",
    [
        f"function decodeUplink(input) {{ var b = input.bytes; return {{data: {{bat: {READ}}}}}; }}",
        f"const decodeUplink = ({{bytes: b}}) => ({{data: {{bat: {READ}}}, errors: [], warnings: []}});",
        f"function Decoder(b, port) {{ if (port === 7) return {{bat: {READ}}}; }}",
        f"function Decode(fPort, b, variables) {{ return fPort === 7 ? {{bat: {READ}}} : null; }}",
        f"exports.decodeUplink = function (i) {{ var b = i.bytes; return {{data: {{bat: {READ}}}}}; }};",
        f"module.exports = {{decodeUplink: ({{bytes: b}}) => ({{data: {{bat: {READ}}}}})}};",
        f"decodeUplink = function (i) {{ var b = i.bytes; return {{data: {{bat: {READ}}}}}; }}",
        'import { Buffer } from "buffer";\nfunction decodeUplink(i) {'
        " return {data: {bat: Buffer.from(i.bytes).readUInt16BE(0) / 1000}}; }",
        "const { Buffer } = require('buffer');\nfunction decodeUplink(i) {"
        " return {data: {bat: Buffer.from(i.bytes).readUIntBE(0, 2) / 1000}}; }",
        "'use strict';\nfunction Decoder(b, port) { return decodeUplink({bytes: b, fPort: port}).data; }\n"
        f"function decodeUplink(i) {{ console.log(i); let b = i.bytes; return {{data: {{bat: {READ}}}}}; }} // end",
        f"\ufefffunction Decoder(b) {{ return {{bat: {READ}}}; }}",
    ],
)
def test_the_published_forms_of_codecs_run_unchanged(codec: str, js: Load):
    model = js(codec)
    assert values(decode(model)) == {"battery_v": 3.0}
    assert values(decode(model, b"\x0c\x80")) == {"battery_v": 3.2}


def test_a_codec_gets_what_ts013_promises(js: Load):
    body = (
        "parameters:\n"
        "  height: {unit: m, range: [0, 9], de: H, en: H}\n"
        "  pulse: {unit: L, range: [0, 99], default: 10, de: P, en: P}\n" + BODY
    )
    what = (
        "{bytes: input.bytes, array: Array.isArray(input.bytes), port: input.fPort, "
        "time: input.recvTime instanceof Date && input.recvTime.toISOString(), variables: input.variables}"
    )
    assert decode(js(returns(what), body), b"\x00\xff", height=1.85).object == {
        "bytes": [0, 255],
        "array": True,
        "port": 7,
        "time": "2026-11-23T12:00:00.000Z",
        "variables": {"pulse": "10", "height": "1.85"},
    }


def test_warnings_are_kept_and_errors_refuse(js: Load):
    model = js(
        "function decodeUplink(i) { if (i.fPort !== 7) return {errors: ['unknown FPort', 'and more']};"
        " return {data: {bat: 3}, warnings: ['battery low']}; }"
    )
    decoded = decode(model)
    assert values(decoded) == {"battery_v": 3.0}
    assert decoded.object == {"warnings": ["battery low"]}
    refused = decode(model, f_port=8)
    assert refused.fault is not None
    assert (refused.fault.reason, refused.fault.detail) == ("refused", "unknown FPort; and more")


@pytest.mark.parametrize(
    ("codec", "detail"),
    [
        ("\nfunction decodeUplink(i) {\n  throw new Error('bad length');\n}", "Error: bad length ({file}:3)"),
        ("function decodeUplink(i) {\n  return i.nothing.more;\n}", "of undefined ({file}:2)"),
        ("function decodeUplink(i) { throw 'a text'; }", "a text"),
        ("function decodeUplink(i) { return {errors: 'one text'}; }", "one text"),
        ("function decodeUplink(i) { return {errors: [{code: 3}]}; }", "{'code': 3}"),
        ("function decodeUplink(i) { }", "decodeUplink returned nothing, no object"),
        ("function decodeUplink(i) { return [1]; }", "decodeUplink returned a list, no object"),
        ("function decodeUplink(i) { return {}; }", "the codec returned neither data nor errors"),
        ("function decodeUplink(i) { return {data: [1]}; }", "a list as data, no object"),
        ("function Decoder(b, p) { }", "the codec returned neither data nor errors"),
        ("async function decodeUplink(i) { return {data: {}}; }", "decodeUplink is async, and must not be"),
        ("function decodeUplink(i) { var a = {}; a.a = a; return {data: a}; }", "circular reference"),
        ("function decodeUplink(i) { return {data: {get x() { throw new Error('no'); }}}; }", "Error: no"),
        ("function decodeUplink(i) { throw new Error('\\ud800'); }", "Error: "),
        ("function decodeUplink(i) { require('fs'); }", 'Error: require("fs"): a codec has nothing but'),
    ],
)
def test_what_a_codec_reports_and_throws_refuses_the_frame(codec: str, detail: str, js: Load):
    model = js(codec)
    decoded = decode(model)
    assert decoded.fault is not None
    assert decoded.fault.reason == "refused"
    file = str(model.file).replace(".yaml", ".js")
    assert detail.replace("{file}", file) in decoded.fault.detail


def test_what_a_codec_says_is_cut_to_what_can_be_stored(js: Load):
    decoded = decode(js("function decodeUplink(i) { return {errors: ['a\\0b' + 'x'.repeat(9000)]}; }"))
    assert decoded.fault is not None
    assert decoded.fault.detail.startswith("a\\0bxxx")
    assert len(decoded.fault.detail) == 501


@pytest.mark.parametrize(
    ("expression", "left_over"),
    [
        ("{x: NaN, y: Infinity, z: undefined, f() {}}", {"x": None, "y": None}),
        ("{x: 12n, y: 2n ** 70n}", {"x": 12, "y": "1180591620717411303424"}),
        ("{x: new Date(1764000000000)}", {"x": "2025-11-24T16:00:00.000Z"}),
        ("{x: new Date(NaN), y: new Map([[1, 2]])}", {"x": None, "y": {}}),
        ("{x: Buffer.from([1, 2])}", {"x": {"type": "Buffer", "data": [1, 2]}}),
        ("{x: 'ä€𝄞\\n\"'}", {"x": 'ä€𝄞\n"'}),
        ("{x: 'ab'.repeat(9000)}", {"x": "ab" * 9000}),
        ("{__proto__: {y: 1}, x: -0, constructor: 2}", {"x": 0, "constructor": 2}),
    ],
)
def test_values_that_json_does_not_know_do_no_harm(expression: str, left_over: dict[str, Any], js: Load):
    assert decode(js(returns(expression))).object == left_over


def test_a_battery_that_is_no_number_is_no_measurement(js: Load):
    for expression in ("{bat: NaN}", "{bat: -1 / 0}", "{bat: undefined}", "{bat: 10n ** 400n}"):
        decoded = decode(js(returns(expression)))
        assert (decoded.samples, decoded.fault) == ((), None)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("Buffer.from('0aff', 'hex').toString('base64')", "Cv8="),
        ("Buffer.from('Cv8=', 'base64').readInt16BE()", 0x0AFF),
        ("Buffer.from([0xfe, 0xff]).readInt16LE(0)", -2),
        ("Buffer.from([0xff, 0xff, 0xfe]).readIntBE(0, 3)", -2),
        ("Buffer.from([1, 2, 3, 4, 5, 6]).readUIntLE(0, 6)", 0x060504030201),
        ("Buffer.from([0x41, 0xc8, 0, 0]).readFloatBE(0)", 25),
        ("Buffer.from([0, 0, 0, 0, 0, 0, 0x39, 0x40]).readDoubleLE(0)", 25),
        ("Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]).readBigUInt64LE(0)", 1),
        ("Buffer.from('äh').length", 3),
        ("Buffer.from([0xc3, 0xa4, 0x68, 0xff]).toString()", "äh\ufffd"),
        ("Buffer.from([1, 2, 3, 4]).slice(1, 3).toString('hex')", "0203"),
        ("Buffer.concat([Buffer.from([1]), Buffer.from([2, 3])]).toString('hex')", "010203"),
        (
            "(() => { const b = Buffer.alloc(4); b.writeInt16BE(-2, 1); return b.toString('hex'); })()",
            "00fffe00",
        ),
        (
            "(() => { const b = Buffer.alloc(3); b.writeIntLE(-2, 0, 3); return b.toString('hex'); })()",
            "feffff",
        ),
        (
            "(() => { const b = Buffer.alloc(3, 'ab'); b.write('z', 1); return b.toString('ascii'); })()",
            "aza",
        ),
        ("Buffer.isBuffer(Buffer.from([1])) && !Buffer.isBuffer([1])", True),
        ("Buffer.from([1, 2]).equals(Buffer.from([1, 2]))", True),
        ("Buffer.from([1, 2, 3]).map((byte) => byte + 1).toString('hex')", "020304"),
    ],
)
def test_buffer_is_as_chirpstack_and_node_have_it(expression: str, value: Any, js: Load):
    assert decode(js(returns(f"{{x: {expression}}}"))).object == {"x": value}


def test_reading_past_the_end_of_a_buffer_is_an_error_as_in_node(js: Load):
    decoded = decode(js(returns("{x: Buffer.from([1]).readUInt16BE(0)}")))
    assert decoded.fault is not None
    assert decoded.fault.detail.startswith('RangeError: The value of "offset" is out of range')


def test_what_normalize_uplink_says_can_be_mapped(js: Load):
    codec = (
        "function decodeUplink(i) { return {data: {t: i.bytes[0]}}; }\n"
        "function normalizeUplink(i) { return {data: {air: {temperature: i.data.t / 10}}}; }\n"
    )
    body = "codec: one.js\nmeasurements: {air_temperature_c: normalized.air.temperature}\n"
    decoded = decode(js(codec, body), b"\xd7")
    assert values(decoded) == {"air_temperature_c": 21.5}
    assert decoded.object == {"t": 215}
    assert decode(js(codec)).object == {"t": 11}  # not asked for, not there


# -- loading ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "message"),
    [
        ("function decodeUplink(i) {\n  return {data: };\n}\n", "one.js:2:17: SyntaxError: "),
        ("function decodeUplink(i) {\n", "one.js:2:1: SyntaxError: "),
        ("var a = 1;\nnothing();\n", "one.js:2:1: ReferenceError: nothing is not defined"),
        ("x = 1", "one.js has no function decodeUplink(input), Decoder(bytes, port) or Decode("),
        ("", "one.js has no function decodeUplink(input)"),
        ("const Decoder = 7;", "one.js has no function decodeUplink(input)"),
        ("}); (function () {", "one.js:1:1: SyntaxError: "),
        ("while (true) {}", "one.js: no result after 0.5 s of processor time (line 1)"),
        ("import fs from 'fs';\nfunction Decoder() {}", "one.js:1:"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_line(codec: str, message: str, tmp_path: Path):
    (tmp_path / "one.yaml").write_text(HEAD + BODY, encoding="utf-8")
    (tmp_path / "one.js").write_text(codec, encoding="utf-8")
    catalogue = load_catalogue([tmp_path], load_vocabulary())
    assert catalogue.models == {}
    (problem,) = catalogue.problems
    assert (Path(problem.file).name, problem.line) == ("one.yaml", 8)
    assert message in problem.message


def test_a_file_that_is_not_utf_8_or_lacks_normalize_uplink_says_so(tmp_path: Path):
    (tmp_path / "one.js").write_bytes(b"// gr\xfc\xdfe")
    with pytest.raises(CodecLoadError, match=r"one\.js is not UTF-8 \(byte 5\)"):
        load_javascript(tmp_path / "one.js")
    (tmp_path / "one.js").write_text("function Decoder() {}", encoding="utf-8")
    with pytest.raises(CodecLoadError, match="has no function normalizeUplink"):
        load_javascript(tmp_path / "one.js", normalize=True)


# -- hostile ---------------------------------------------------------------------------------------------

HOSTILE = {
    "endless loop": "while (true) {}",
    "loop that catches": "while (true) { try { while (true) {} } catch (e) {} }",
    "loop in finally": "(function f() { try { while (true) {} } finally { f(); } })()",
    "regex backtracking": "/^(a+)+$/.test('a'.repeat(40) + 'b')",
    "generator": "function* g() { while (true) yield 1; } for (var x of g());",
    "loop in a getter": "return {data: {get x() { while (true) {} }}}",
    "loop in toJSON": "return {data: {toJSON() { while (true) {} }}}",
    "loop in a comparison": "[3, 2, 1].sort(function () { while (true) {} })",
    "engine's own loop over a text": "var s = 'a'.repeat(2e6); s.indexOf('a'.repeat(1e6) + 'b')",
    "engine's own loop over a length": "Array.prototype.indexOf.call({length: 2 ** 53 - 1}, 5)",
    "allocation bomb": "var a = []; while (true) a.push(new Array(1000).fill(7))",
    "growing text": "var s = 'x'; while (true) s += s + Math.random()",
    "typed arrays": "var a = []; while (true) a.push(new Uint8Array(1e5))",
    "one huge array": "return {data: {x: new Uint8Array(1e9)}}; ",
    "large result": "return {data: {x: 'a'.repeat(3e5)}}",
    "many values": "var a = []; for (var i = 0; i < 1e6; i++) a.push([]); return {data: {a: a}}",
    "deep recursion": "(function f() { return f() + 1; })()",
    "deep result": "var a = []; for (var i = 0; i < 3000; i++) a = [a]; return {data: {a: a}}",
    "deeper result": "var a = []; for (var i = 0; i < 50000; i++) a = [a]; return {data: {a: a}}",
    "deep text": "return {data: JSON.parse('['.repeat(1e5) + ']'.repeat(1e5))}",
    "half a pair": "return {data: {x: '\\ud800'}}",
    "text with zero": "return {data: {x: 'a\\0'}}",
}


@pytest.mark.parametrize("what", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_codec_is_stopped_and_the_next_uplink_is_decoded(what: str, js: Load):
    model = js(f"function decodeUplink(i) {{ if (i.bytes[0]) {{ {what} }} return {{data: {{bat: 3}}}}; }}")
    began = time.process_time()
    for data in (b"\x00", b"\x01", b"\x00"):
        decoded = decode(model, data)
        if data == b"\x00":
            assert values(decoded) == {"battery_v": 3.0}
        else:
            assert decoded.samples == ()
            assert decoded.fault is not None
            assert decoded.fault.reason == "codec_error", decoded.fault.detail
            assert "one.js" in decoded.fault.detail
    assert time.process_time() - began < 2  # ours: not even waiting costs anything


@pytest.mark.parametrize(
    "what",
    [
        "function f() { Promise.resolve().then(f); } f();",
        "Promise.resolve().then(function () { while (true) {} });",
        "(async function () { while (true) await null; })();",
        "queueMicrotask(function () { while (true) {} });",
    ],
)
def test_promises_that_never_end_do_not_matter(what: str, js: Load):
    model = js(f"function decodeUplink(i) {{ {what} return {{data: {{bat: 3}}}}; }}")
    for _number in range(3):
        assert values(decode(model)) == {"battery_v": 3.0}


def test_there_is_nothing_to_reach_the_machine_with(js: Load):
    names = (
        "process Deno std os fs fetch XMLHttpRequest WebSocket setTimeout setInterval scriptArgs print Worker"
    )
    for name in names.split():
        assert decode(js(returns(f"{{x: typeof {name}}}"))).object == {"x": "undefined"}
    assert decode(js(returns("{x: typeof import('fs').then}"))).object == {"x": "function"}  # never settles


def test_the_process_has_no_environment_and_may_open_nothing(js: Load, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SMARTDORF_DATABASE__PASSWORD", "secret")
    SANDBOX.close()
    values(decode(js(returns("{bat: 3}"))))
    (worker,) = _children()
    assert b"secret" not in Path(f"/proc/{worker}/environ").read_bytes()
    limits = Path(f"/proc/{worker}/limits").read_text(encoding="utf-8")
    for name in ("Max open files", "Max processes", "Max core file size"):
        (limit,) = (line for line in limits.splitlines() if line.startswith(name))
        assert limit.removeprefix(name).split()[:2] == ["0", "0"]
    assert sorted(file.name for file in Path(f"/proc/{worker}/fd").iterdir()) == ["0", "1", "2"]


def _children() -> list[int]:
    """The processes that run JavaScript for us."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return [int(pid) for pid in text.split() if b"worker.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]


# -- state -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "codec",
    [
        "var n = 0; function Decoder() { return {bat: ++n}; }",
        "let n = [0]; function Decoder() { n.push(1); return {bat: n.length - 1}; }",
        "function Decoder() { n = typeof n === 'undefined' ? 1 : n + 1; return {bat: n}; }",
        "function Decoder() { globalThis.n = (globalThis.n || 0) + 1; return {bat: n}; }",
        "function Decoder() { exports.n = (exports.n || 0) + 1; return {bat: exports.n}; }",
        "function Decoder() { Object.defineProperty(globalThis, 'n', {value: 1, enumerable: true});"
        " return {bat: n}; }",
    ],
)
def test_a_frame_finds_nothing_of_the_one_before(codec: str, js: Load):
    model = js(codec)
    assert [values(decode(model)) for _number in range(3)] == [{"battery_v": 1.0}] * 3


def test_two_codecs_do_not_see_each_other(tmp_path: Path):
    first, second = tmp_path / "a.js", tmp_path / "b.js"
    first.write_text("function Decoder() { Array.prototype.x = 1; y = 2; return {ok: 1}; }", encoding="utf-8")
    second.write_text("function Decoder() { return {x: typeof [].x + typeof y}; }", encoding="utf-8")
    given_ = {"bytes": [1], "fPort": 1}
    assert load_script(first).run("decodeUplink", given_).value == {"ok": 1}
    assert load_script(second).run("decodeUplink", given_).value == {"x": "undefinedundefined"}


def test_a_codec_that_hoards_is_given_a_new_context_and_no_uplink_is_lost(js: Load):
    hoard = "Array.prototype.hoard = (Array.prototype.hoard || []).concat(new Uint8Array(1e6));"
    model = js(f"function Decoder() {{ {hoard} return {{bat: 3}}; }}")
    for _number in range(30):
        assert values(decode(model)) == {"battery_v": 3.0}


def test_the_process_may_be_killed_at_any_time(js: Load):
    model = js(returns("{bat: 3}"))
    for _number in range(3):
        values(decode(model))
        (worker,) = _children()
        os.kill(worker, signal.SIGKILL)
        os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
    assert values(decode(model)) == {"battery_v": 3.0}


def test_a_process_that_is_stopped_or_crashes_costs_one_uplink(js: Load, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("smartdorf.decoding.javascript.sandbox.PATIENCE", 0.2)
    model = js(returns("{bat: 3}"))
    values(decode(model))
    (worker,) = _children()
    os.kill(worker, signal.SIGSTOP)
    decoded = decode(model)
    assert decoded.fault is not None
    assert decoded.fault.detail.startswith("SandboxLimitError: no result after 0.2 s")
    assert values(decode(model)) == {"battery_v": 3.0}
    (worker,) = _children()
    os.kill(worker, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr("smartdorf.decoding.javascript.sandbox.PATIENCE", 20)
        waiting = pool.submit(decode, model)
        os.kill(worker, signal.SIGSEGV)
        os.kill(worker, signal.SIGCONT)
        decoded = waiting.result()
    if decoded.fault is not None:  # the question was asked before the process was gone
        assert "the process that runs JavaScript has ended (SIGSEGV)" in decoded.fault.detail
    assert values(decode(model)) == {"battery_v": 3.0}


def test_where_no_process_can_be_started_the_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "one.js").write_text("function Decoder() { return {}; }", encoding="utf-8")
    SANDBOX.close()
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    with pytest.raises(CodecLoadError, match=r"one\.js cannot be run: .*no-python"):
        load_javascript(tmp_path / "one.js")
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    with pytest.raises(CodecLoadError, match=r"(has ended \(exit code 1\)|cannot be run: .*Broken pipe)"):
        load_javascript(tmp_path / "one.js")


def test_several_threads_take_turns(js: Load):
    model = js("function Decoder(b) { return {bat: b[0]}; }")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: values(decode(model, bytes([n])))["battery_v"], list(range(200))))
    assert found == [float(n) for n in range(200)]


def test_the_memory_stays_flat(js: Load):
    """By hand over 1,000,000 calls; here enough to see a leak of ten bytes a call."""
    junk = "var cycle = {}; cycle.self = cycle; leaked = 'x'.repeat(100);"
    model = js(f"function decodeUplink(i) {{ {junk} return {{data: {{bat: 3, x: 'y'.repeat(200)}}}}; }}")
    frame = make_uplink(7, b"\x01\x02\x03", NOW)

    def run(calls: int) -> int:
        for _call in range(calls):
            decode_uplink(model, frame, {})
        (worker,) = _children()
        return int(Path(f"/proc/{worker}/statm").read_text(encoding="ascii").split()[1]) * 4096

    run(3000)
    before = run(1)
    assert run(20_000) - before < 200_000


# -- as a Python codec -----------------------------------------------------------------------------------


def test_vectors_work_as_with_a_python_codec(js: Load, tmp_path: Path):
    js(
        "function decodeUplink(i) {\n"
        "  if (i.bytes.length !== 2) throw new Error('length');\n"
        "  return {data: {bat: Buffer.from(i.bytes).readUInt16BE() / 1000}};\n}\n"
    )
    file = tmp_path / "one.vectors.yaml"
    file.write_text(
        "decoder: acme/one\nvectors:\n"
        "  - {name: good, f_port: 7, data: '0bb8', measurements: {battery_v: 3}}\n"
        "  - {name: wrong, f_port: 7, data: '0bb8', measurements: {battery_v: 4}}\n"
        "  - {name: cut, f_port: 7, data: '0b', error: refused}\n",
        encoding="utf-8",
    )
    catalogue = load_catalogue([tmp_path], load_vocabulary())
    cases, problems = read_own(file, load_vocabulary(), catalogue.models)
    assert problems == []
    report = run_cases(cases, catalogue)
    assert [case.name for case in report.passed] == ["good", "cut"]
    assert [case.name for case, _found in report.failed] == ["wrong"]


def test_a_vendors_file_that_loops_on_a_frame_cut_short_fails_its_vectors(js: Load, tmp_path: Path):
    js("function Decoder(b) { for (var i = 0; i < b.length; i += b[1]); return {bat: 3}; }")
    file = tmp_path / "one.vectors.yaml"
    vector = "{name: x, f_port: 7, data: '0102 00', measurements: {battery_v: 3}}"
    file.write_text(f"decoder: acme/one\nvectors: [{vector}]\n", encoding="utf-8")
    catalogue = load_catalogue([tmp_path], load_vocabulary())
    cases, _problems = read_own(file, load_vocabulary(), catalogue.models)
    assert run_cases(cases, catalogue).failed == []  # i becomes NaN, which ends it
    js("function Decoder(b) { for (var i = 0; i < b.length; i += b[1] | 0); return {bat: 3}; }")
    catalogue = load_catalogue([tmp_path], load_vocabulary())
    ((_case, (difference,)),) = run_cases(cases, catalogue).failed
    assert difference.startswith(
        "the codec fails for 01 on f_port 7: SandboxLimitError: no result after 0.5 s"
    )


CODEC_OF_ANY_BYTES = """\
function decodeUplink(input) {
  var out = {}, buffer = Buffer.from(input.bytes);
  for (var at = 0; at < input.bytes.length; ) {
    switch (input.bytes[at++]) {
      case 1: out.bat = buffer.readUInt16LE(at) / 1000; at += 2; break;
      case 2: out.text = buffer.toString("utf8", at); return {data: out};
      case 3: out.float = buffer.readFloatBE(at); at += 4; break;
      default: return {data: out, warnings: ["channel " + input.bytes[at - 1]]};
    }
  }
  return {data: out};
}
"""


@pytest.fixture(scope="module")
def reads_anything(tmp_path_factory: pytest.TempPathFactory) -> DeviceModel:
    folder = tmp_path_factory.mktemp("any")
    (folder / "one.yaml").write_text(HEAD + BODY, encoding="utf-8")
    (folder / "one.js").write_text(CODEC_OF_ANY_BYTES, encoding="utf-8")
    return load_catalogue([folder], load_vocabulary()).models["acme/one"]


@settings(max_examples=300, deadline=None)
@given(payload=st.one_of(st.binary(max_size=60), st.lists(st.integers(0, 4), max_size=20).map(bytes)))
def test_no_bytes_make_decoding_fail_otherwise_than_with_a_reason(
    reads_anything: DeviceModel, payload: bytes
):
    decoded = decode(reads_anything, payload)
    if decoded.fault is not None:
        unstorable = decoded.fault.reason == "codec_error" and "U+0000" in decoded.fault.detail
        assert decoded.fault.reason == "refused" or unstorable
    assert {sample.metric for sample in decoded.samples} <= {"battery_v"}


def test_the_worker_ends_with_its_parent(tmp_path: Path):
    (tmp_path / "one.js").write_text("function Decoder() { return {}; }", encoding="utf-8")
    script = (
        "import os, pathlib, sys\n"
        "from smartdorf.decoding.javascript import load_javascript\n"
        "load_javascript(pathlib.Path(sys.argv[1]))\n"
        "print(open(f'/proc/self/task/{os.getpid()}/children').read(), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "one.js")], capture_output=True, text=True, check=False
    )
    worker = Path(f"/proc/{int(done.stdout)}")
    until = time.monotonic() + 10
    while worker.exists() and "State:\tZ" not in (worker / "status").read_text() and time.monotonic() < until:
        time.sleep(0.02)
    assert not worker.exists() or "State:\tZ" in (worker / "status").read_text()
