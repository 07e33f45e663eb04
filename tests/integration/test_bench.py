"""`smartdorf bench`, small: real processes, rows that are counted, one document."""

import json
import subprocess
import sys

import psycopg
import pytest

from smartdorf.bench import rules
from smartdorf.bench.latency import Milliseconds
from smartdorf.cli.context import run_async
from smartdorf.embedded.postgres import EmbeddedPostgres


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "smartdorf", "bench", "ingest", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)


def test_a_small_benchmark_gives_one_document_and_leaves_no_database(
    postgres_server: EmbeddedPostgres,
) -> None:
    done = _bench(
        "--dsn",
        postgres_server.dsn,
        "--uplinks",
        "3000",
        "--devices",
        "50",
        "--latency-seconds",
        "1",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["uplinks_per_second"] > 0
    assert report["throughput"]["uplinks"] == 3000
    assert report["throughput"]["measurements"] == 9000
    assert report["alerts"] == 50
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p99"] <= report["latency_ms"]["max"]
    assert report["database"]["profile"] == "plain"
    assert report["database"]["embedded"] is False
    stages = {"parse JSON", "decode", "rules", "rows", "write 1 at a time", "write 1000 at a time"}
    assert stages <= set(report["stages_us_per_uplink"])
    assert _scratch_databases(postgres_server.dsn) == set()


def test_a_server_that_is_not_there_is_said_in_one_sentence() -> None:
    done = _bench("--dsn", "postgresql://nobody@127.0.0.1:1/nothing")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "127.0.0.1:1" in done.stderr


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([0.004], Milliseconds(4, 4, 4)),
        # of a hundred values the 99th in order is p99, whatever order they come in
        ([n / 1000 for n in range(100, 0, -1)], Milliseconds(50, 99, 100)),
    ],
)
def test_percentiles_are_times_that_were_measured(seconds: list[float], expected: Milliseconds) -> None:
    assert Milliseconds.of(seconds) == expected


@pytest.mark.native_timescale
def test_a_small_store_is_loaded_compressed_asked_and_dropped(native_db: str) -> None:
    command = [
        sys.executable,
        "-m",
        "smartdorf",
        "bench",
        "store",
        "--scale",
        "0.004",
        "--json",
        "--dsn",
        native_db,
    ]
    before = _scratch_databases(native_db)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["measurements"] == 2 * 5 * 4 * 24 * 365
    assert report["bytes_after"] < report["bytes_before"] / 4
    assert report["late_day"]["measurements"] == 2 * 5 * 4 * 24
    rows = {answer["question"]: answer["rows"] for answer in report["answers"]}
    assert rows == {
        "year of one place by hours": 8760,
        "year of one place by days": 365,
        "24 hours of one place": 96,
        "map of all places": 2,
    }
    assert _scratch_databases(native_db) <= before  # somebody else may be measuring there


def _scratch_databases(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'smartdorf_bench%'")
        return {name for (name,) in found.fetchall()}


def test_a_store_without_timescaledb_is_said_in_one_sentence(postgres_server: EmbeddedPostgres) -> None:
    command = [sys.executable, "-m", "smartdorf", "bench", "store", "--dsn", postgres_server.dsn]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("This server has no TimescaleDB")


def test_decoding_is_measured_for_python_and_javascript() -> None:
    command = [sys.executable, "-m", "smartdorf", "bench", "decode", "--json"]
    models = ["bosch/tps110", "bench/javascript"]
    done = subprocess.run([*command, *models], capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [(row["model"], row["codec"], row["values"]) for row in report["models"]] == [
        ("bench/javascript", "javascript", 4.0),  # the dearest first
        ("bosch/tps110", "native", 1.0),
    ]
    for row in report["models"]:
        # which of both is larger is for a quiet machine to say: they are measured one after the other
        assert row["codec_us"] > 0
        assert row["uplink_us"] > 0
    assert report["median_us"]["native"]["uplink"] == report["models"][1]["uplink_us"]
    done = subprocess.run([*command, "bosch/tps11"], capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 2
    assert 'did you mean "bosch/tps110"?' in done.stderr


def test_the_rules_are_measured_without_a_database() -> None:
    command = [sys.executable, "-m", "smartdorf", "bench", "rules", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["load"]["instances"] >= 5000
    assert 0 < report["load"]["share_of_core"] < 0.1
    assert [cost["days"] for cost in report["history"]] == [1, 10, 100, 365]
    first, *_between, last = (cost["microseconds"] for cost in report["history"])
    assert min(first, last) > 0  # that it does not grow is for a quiet machine to say
    assert (report["start"], report["backtest"], report["database"]) == (None, None, None)


@pytest.mark.native_timescale
def test_a_start_and_a_backtest_are_measured_small(native_db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "DEVICES_AT_START", 100)
    monkeypatch.setattr(rules, "PAST_DEVICES", 6)
    monkeypatch.setattr(rules, "PAST_DAYS", 10)
    monkeypatch.setattr(rules, "HISTORY_DAYS", (1,))
    before = _scratch_databases(native_db)
    report = run_async(rules.bench_rules(native_db, lambda _text: None))
    assert report.start is not None
    assert (report.start.devices, report.start.instances) == (100, 700)
    assert report.trial is not None
    assert 0 < report.trial.uplinks <= 6 * 10 * 24
    assert report.trial.alerts > 0
    assert _scratch_databases(native_db) == before
