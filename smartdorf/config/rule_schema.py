"""The shape of rule files as a JSON Schema, for completion and help in editors. What a condition means it cannot say.

The loader (rules.py) decides; whatever it accepts fits this schema.
"""

from __future__ import annotations

from typing import Any

from smartdorf.config.rule import MODES, SEVERITIES
from smartdorf.config.schedule_reader import NUMBERS
from smartdorf.config.terms import FUNCTIONS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_PART = r"\d+(\.\d+)?\s*(min|[smhdw])\s*"
_DURATION = rf"^\s*({_PART})+$"
_READINGS = r"\d+\s+readings?"
_HOLD = rf"^\s*({_READINGS}|({_PART})+)(\s*,\s*({_READINGS}|({_PART})+))?\s*$"
_NAME = r"^[^\W\d]\w*$"
_DAY = "(" + "|".join("".join(f"[{c}{c.upper()}]" for c in name) for name in NUMBERS) + ")"
_DAYS = rf"^\s*{_DAY}(\s*-\s*{_DAY})?\s*(,\s*{_DAY}(\s*-\s*{_DAY})?\s*)*$"
_SPAN = r"\s*\d{1,2}:\d\d\s*[-–]\s*\d{1,2}:\d\d\s*"
_HOURS = rf"^{_SPAN}(,{_SPAN})*$"


def rule_schema(categories: tuple[str, ...]) -> dict[str, Any]:
    """``categories``: of sensor models, as a rule may name them."""
    return {
        "$schema": DIALECT,
        "title": "smartdorf alert rules",
        "type": ["object", "null"],
        "properties": {
            "groups": {
                "type": "array",
                "items": _object(
                    {
                        "name": {
                            "type": "string",
                            "description": "What the rules are about: waste, streams …",
                        },
                        "rules": {"type": "array", "items": _rule(categories)},
                    },
                    ["name", "rules"],
                ),
            }
        },
        "required": ["groups"],
        "additionalProperties": False,
    }


def _rule(categories: tuple[str, ...]) -> dict[str, Any]:
    functions = ", ".join(f"{name}()" for name in FUNCTIONS)
    stage = {
        "when": _condition(
            "The condition: quantities of the vocabulary, limits, comparisons, and, or, not, + - * / and "
            f"{functions}."
        ),
        "severity": {"enum": list(SEVERITIES), "description": "How bad it is."},
        "notify": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "minItems": 1,
            "description": "Names of receivers in smartdorf.toml.",
        },
    }
    name = {"anyOf": [_texts("What the stage is called."), {"type": "string", "minLength": 1}]}
    return _object(
        {
            "alert": {
                "type": "string",
                "minLength": 1,
                "description": "Its name, unique. Alerts go by it: a renamed rule is a new one.",
            },
            "title": _texts("A few words."),
            "for_each": {"anyOf": [_places(), _devices(categories), _gateways()]},
            "limits": _limits("Numbers and durations with a name; a place or device may have its own."),
            "limits_by_tag": {
                "type": "object",
                "description": "Other limits where a place or device has a tag, e.g. {fraction: {bio: {full: 60}}}.",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": _limits("Those that differ."),
                },
            },
            **stage,
            "stages": {
                "type": "array",
                "items": _object({"name": name, **stage}, ["name", *stage]),
                "minItems": 2,
                "description": "Instead of when, severity and notify: several of them, the lowest first.",
            },
            "clear": _condition("When the alert ends; else when `when` no longer holds."),
            "for": _text(_HOLD, "How long it must hold: 2 readings, 30m, or both: 2 readings, 30m."),
            "keep_firing_for": _text(_DURATION, "How long it must have been clear before it ends."),
            "close": {
                "const": "by hand",
                "description": "A person ends it; until then it says that it has eased.",
            },
            "depends_on": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "minItems": 1,
                "uniqueItems": True,
                "description": "Rules whose open alert explains this one: while it is open, this one waits.",
            },
            "summary": _texts(
                "The sentence of the alert; {place}, {device} or {gateway}, quantities and limits are filled in."
            ),
            "action": _texts("What to do about it."),
            "active": {
                **_object(_schedule()),
                "description": "When the condition counts. Outside of it nothing begins.",
            },
            "send": {
                **_object(_schedule() | {"outside": {"const": "wait"}}),
                "description": "When it may be told. What fires outside of it waits.",
            },
            "mode": {
                "enum": list(MODES),
                "description": "shadow (the default): alerts are kept and shown, and nobody is told; live: told.",
            },
            "labels": {**_tags(), "description": "Words of your own: {team: north}; silences may name them."},
        },
        ["alert", "for_each", "summary"],
    ) | {"oneOf": [{"required": list(stage)}, {"required": ["stages"]}]}


def _schedule() -> dict[str, Any]:
    day = _text(_DAYS, "mo-fr, sa or: mo, we")
    return {
        "days": {
            "anyOf": [day, {"type": "array", "items": day, "minItems": 1}],
            "description": "mo-fr, sa, [mo, we]; German names (di, mi, do, so) too. Else every day.",
        },
        "hours": _text(_HOURS, "06:00-20:00, 22:00-06:00, or several with commas between. Else all day."),
        "on_holidays": {"type": "boolean", "description": "false: not on public holidays of the Land."},
        "on_school_holidays": {"type": "boolean", "description": "false: not while schools are closed."},
    }


def _places() -> dict[str, Any]:
    one = {"type": "string", "minLength": 1}
    place_type = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}
    return _object(
        {"place_type": {**place_type, "description": "Of the places that it watches."}, "tags": _tags()}
    ) | {"anyOf": [{"required": ["place_type"]}, {"required": ["tags"]}]}


def _devices(categories: tuple[str, ...]) -> dict[str, Any]:
    chosen = _object(
        {
            "category": {"enum": list(categories), "description": "Of the device's model."},
            "model": {"type": "string", "description": "vendor/model"},
            "tags": _tags(),
        }
    )
    return _object({"device": {"anyOf": [{"const": "any"}, chosen]}}, ["device"])


def _gateways() -> dict[str, Any]:
    choices = {
        "enum": ["any", "own"],
        "description": "Whatever hears our devices, by what it hears; or what tells of itself, by that.",
    }
    return _object({"gateway": choices}, ["gateway"])


def _tags() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": {"type": ["string", "integer"]}}


def _limits(description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "propertyNames": {"pattern": _NAME},
        "additionalProperties": {
            "anyOf": [
                {"type": "number"},
                _text(_DURATION, "26h, 30m, 2d"),
                {"const": "learned", "description": "How long a silence is normal for the device."},
            ]
        },
    }


def _texts(description: str) -> dict[str, Any]:
    texts = _object({"de": {"type": "string"}, "en": {"type": "string"}}, ["de"])
    return {**texts, "description": description}


def _condition(description: str) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": description}


def _text(pattern: str, description: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern, "description": description}


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    made = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": required} if required else made
