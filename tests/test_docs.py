"""Documents that would go stale by themselves: the README's commands and the help of each."""

import re
from pathlib import Path

import pytest
import typer.main

from smartdorf.cli.main import app
from smartdorf.metrics import Metrics
from smartdorf.web.server import Readiness, reasons

ROOT = Path(__file__).parents[1]
CLI = typer.main.get_command(app)


def commands() -> dict[str, str]:
    """The help of every command by its words, e.g. ``devices add``."""
    found: dict[str, str] = {}
    for name, command in CLI.commands.items():
        for inner, sub in getattr(command, "commands", {"": command}).items():
            found[f"{name} {inner}".strip()] = sub.help or ""
    return found


def test_the_readme_lists_exactly_the_commands_there_are():
    table = re.findall(r"^\| `smartdorf ([a-z-]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(table) == sorted(CLI.commands)


@pytest.mark.parametrize("name", sorted(commands()))
def test_the_help_of_every_command_has_an_example(name: str):
    assert f"Example: smartdorf {name}" in commands()[name]


def test_every_command_in_the_documents_exists():
    known = commands()
    for path in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        for words in re.findall(r"`?smartdorf ([a-z]+(?: [a-z][a-z-]*)?)", path.read_text()):
            first = words.split()[0]
            if first in {name.split()[0] for name in known}:
                group = [name for name in known if name.split()[0] == first and " " in name]
                assert not group or " " not in words or words in known, f"{path.name}: smartdorf {words}"


def test_what_the_documents_link_to_is_there():
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_metrics_files_and_reasons_that_the_operations_manual_names_exist():
    manual = (ROOT / "docs" / "operations.md").read_text()
    exposed = Metrics("1").render().decode()
    for name in set(re.findall(r"`(smartdorf_[a-z0-9_]+)`", manual)):
        assert f"# TYPE {name.removesuffix('_total')}" in exposed or f"# TYPE {name}" in exposed, name
    for path in set(re.findall(r"(?<![\w/])((?:deploy|rules)/[\w./-]*\w)", manual)):
        assert path == "deploy/.env" or (ROOT / path).exists(), path  # that one is made from env.example
    state = Readiness(database=False, writer=False, rules=False, disconnected={"x": "y"})
    second = Readiness(database=True, writer=False, rules=True)
    for reason in (*reasons(state), *reasons(second)):
        assert re.sub("source x.*", "source … is not connected", reason) in manual, reason
    rules = (ROOT / "rules" / "device_health.yaml").read_text()
    assert set(re.findall(r"alert: (\w+)", rules)) == set(re.findall(r"\*\*(\w+)\*\*", manual))
