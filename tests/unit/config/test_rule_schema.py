"""The JSON Schema for editors says of the shape of rule files what the loader says of it."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from smartdorf.config.rule_schema import rule_schema
from smartdorf.config.rules import load_rules, rule_files
from smartdorf.content import shipped
from smartdorf.decoding.manifest import CATEGORIES
from smartdorf.vocabulary import load_vocabulary
from smartdorf.yaml_source import dump_yaml, read_yaml

EVERYTHING = Path(__file__).parents[2] / "data" / "rules" / "everything.good.yaml"
SCHEMA = jsonschema.Draft202012Validator(rule_schema(CATEGORIES))


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(rule_schema(CATEGORIES))


@pytest.mark.parametrize("file", [*rule_files(shipped("rules")), EVERYTHING], ids=lambda file: file.name)
def test_what_the_loader_accepts_fits(file: Path):
    assert [error.message for error in SCHEMA.iter_errors(read_yaml(file).plain())] == []


Change = Callable[[dict[str, Any]], object]


def mistakes() -> Iterator[tuple[str, Change]]:
    """Of the first rule's shape."""
    for key in ("alert", "for_each", "when", "severity", "notify", "summary"):
        yield f"without {key}", lambda rule, key=key: rule.pop(key)
    for key in ("alert", "for_each", "when", "severity", "notify", "summary", "limits", "title"):
        yield f"{key} is a number", lambda rule, key=key: rule.update({key: 5})
    wrong = {
        "an unknown key": {"label": {}},
        "no such severity": {"severity": "urgent"},
        "nobody is told": {"notify": []},
        "neither type nor device": {"for_each": {}},
        "no such gateway": {"for_each": {"gateway": "all"}},
        "gateway and device": {"for_each": {"gateway": "any", "device": "any"}},
        "depends on nothing": {"depends_on": []},
        "depends on a text": {"depends_on": "Full"},
        "type and device": {"for_each": {"place_type": "container", "device": "any"}},
        "no such device": {"for_each": {"device": "all"}},
        "no such category": {"for_each": {"device": {"category": "rubbish"}}},
        "no German text": {"summary": {"en": "full"}},
        "a third language": {"summary": {"de": "voll", "fr": "plein"}},
        "no duration": {"limits": {"full": 80, "emptied": 60, "quiet": "26 Stunden"}},
        "no name of a limit": {"limits": {"full": 80, "emptied": 60, "quiet": "26h", "7d": 1}},
        "no hold": {"for": "2 times"},
        "no such day": {"active": {"days": "mo-fri"}},
        "no such day in a list": {"send": {"days": ["mo", "fri"]}},
        "no hours": {"active": {"hours": "8-12"}},
        "no yes or no": {"send": {"days": "mo", "on_holidays": "no"}},
        "told outside of its time": {"send": {"days": "mo", "outside": "drop"}},
        "a schedule that is a text": {"active": "mo-fr"},
        "no hold, three parts": {"for": "2 readings, 30m, 1h"},
    }
    for name, change in wrong.items():
        yield name, lambda rule, change=change: rule.update(change)


@pytest.mark.parametrize(
    ("name", "change"), list(mistakes()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_mistake_in_the_shape_is_refused_by_both(tmp_path: Path, name: str, change: Change):
    document = copy.deepcopy(read_yaml(EVERYTHING).plain())
    change(document["groups"][0]["rules"][0])
    file = tmp_path / "rules.yaml"
    file.write_text(dump_yaml(document), encoding="utf-8")
    rules = load_rules([file], load_vocabulary(), categories=CATEGORIES)
    assert rules.problems, name
    assert not SCHEMA.is_valid(document), name
