"""smartdorf simulate, as far as it needs no broker."""

import csv
import io
import json

import pytest
import typer
from typer.testing import CliRunner

from smartdorf.cli.simulate import simulate
from smartdorf.errors import UsageError


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(simulate)
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_inventory_is_a_table_of_devices_with_their_places(run):
    rows = list(csv.DictReader(io.StringIO(run("--inventory", "--devices", "12").stdout)))
    assert len(rows) == 12
    container = next(row for row in rows if row["model"] == "milesight/em400-mud")
    assert container["parameters"] == "mounting_height_m=1.6"
    assert container["place"] == "container-schulstrasse-01"
    assert container["place_name"] == "Container Schulstraße 01"
    assert container["tags"] == "fraction=glass"


def test_inventory_as_json_has_gateways_and_stories_too(run):
    inventory = json.loads(run("--inventory", "--json").stdout)
    assert len(inventory["devices"]) == 60
    assert len(inventory["gateways"]) == 4
    assert "container_full" in {story["what"] for story in inventory["stories"]}


@pytest.mark.parametrize(
    "arguments",
    [["--encoding", "xml"], ["--garbage", "2"], ["--devices", "0"]],
)
def test_misuse_ends_with_exit_code_2(run, arguments):
    assert run(*arguments).exit_code == 2


def test_a_fast_village_must_be_told_when_to_stop(run):
    result = run("--speed", "60")
    assert isinstance(result.exception, UsageError)
    assert "--for or --count" in str(result.exception)


def test_faults_that_exclude_each_other_are_refused(run):
    result = run("--lost", "0.7", "--late", "0.7", "--count", "5")
    assert isinstance(result.exception, UsageError)


def test_a_duration_that_is_none_is_answered_with_advice(run):
    error = run("--for", "soon").exception
    assert isinstance(error, UsageError)  # the console script ends with exit code 2 on it
    assert str(error) == '"soon" is no duration: expected 60s, 10m, 48h or 7d'
