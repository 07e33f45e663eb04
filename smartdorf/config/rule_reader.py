"""One rule of a file: its YAML → a checked and compiled :class:`~smartdorf.config.rule.Rule`.

Every mistake is noted at its place, and reading goes on, so that all are told at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from string import Formatter
from typing import cast

import msgspec

from smartdorf.config.conditions import compile_condition
from smartdorf.config.dependencies import read_depends_on
from smartdorf.config.durations import parse_duration
from smartdorf.config.kleene import any_of
from smartdorf.config.limits import TagLimits, check_used, read_limits, read_limits_by_tag
from smartdorf.config.positions import problem_in
from smartdorf.config.rule import MODES, SEVERITIES, ForEach, Hold, Mode, Rule, Severity, Stage, Timing
from smartdorf.config.schedule import Schedule
from smartdorf.config.schedule_reader import read_schedule, read_send
from smartdorf.config.terms import (
    Condition,
    Scope,
    Slot,
    measured,
    zone_placeholders,
)
from smartdorf.errors import Problem, did_you_mean
from smartdorf.i18n import LANGUAGES
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import Vocabulary
from smartdorf.yaml_source import Node

_REQUIRED = (
    "alert",
    "for_each",
    "summary",
)
_OF_A_STAGE = ("when", "severity", "notify")  # a rule without stages has them itself
_KEYS = (
    *_REQUIRED,
    *_OF_A_STAGE,
    "title",
    "limits",
    "limits_by_tag",
    "stages",
    "clear",
    "for",
    "keep_firing_for",
    "close",
    "depends_on",
    "action",
    "active",
    "send",
    "mode",
    "labels",
)


_SUBJECTS = {  # whom a summary can name
    "place": ("place", "device"),
    "device": ("place", "device"),
    "gateway": ("gateway",),
}


class RuleReader:
    """Reads the rules of one path."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        receivers: Collection[str] | None,
        categories: Collection[str] | None,
        *,
        both_languages: bool,
    ) -> None:
        self._vocabulary = vocabulary
        self._receivers = receivers
        self._categories = categories
        self._both_languages = both_languages
        self.notes: list[Problem] = []
        self.tolerated = 0  # problems of the last rule that do not keep it from working

    def read(self, group: str, node: Node) -> Rule | None:
        """The rule; None, or a rule to be thrown away, where problems were noted."""
        self.tolerated = 0
        node.check_keys(_KEYS, _REQUIRED if "stages" in node else (*_REQUIRED, *_OF_A_STAGE))
        if not isinstance(node.value, dict):
            return None
        name = node["alert"].text()
        for_each = self._for_each(node["for_each"])
        scope = Scope(self._vocabulary, read_limits(node["limits"], self._vocabulary.quantities))
        by_tag = list(read_limits_by_tag(node["limits_by_tag"], scope.limits))
        stages = self._stages(node, scope)
        clear = _condition(node["clear"], scope) if "clear" in node else None
        all_compiled = bool(stages) and (clear is not None) == ("clear" in node)
        if all_compiled:
            check_used(node["limits"], scope.limits, scope.slots)
        when = _any_of(stages) if stages else None
        timing = self._timing(node, when, scope)
        subjects = _SUBJECTS[for_each.kind] if for_each is not None else ("place", "device", "gateway")
        known = _placeholders(scope, subjects, staged="stages" in node) if all_compiled else None
        title = self._texts(node, "title", ()) or dict.fromkeys(LANGUAGES, name)
        summary = self._texts(node, "summary", known)
        action = self._texts(node, "action", ())
        active = read_schedule(node["active"]) if "active" in node else None
        send = self._send(node, stages) if "send" in node else None
        if when is None or for_each is None:
            return None
        slots = tuple(scope.slots)
        if for_each.kind == "device" and any(slot.zone for slot in slots):
            node["for_each"].problem(_("zones are made of places: watch places, not devices"))
        if for_each.kind == "gateway":
            _check_silence_only(node, slots)
            if "limits_by_tag" in node:
                node.problem_at("limits_by_tag", _("gateways have no tags"))
        rule = Rule(
            name=name,
            group=group,
            file=node.source.name,
            line=node.line,
            title=title,
            for_each=for_each,
            limits=scope.limits,
            limits_by_tag=tuple(own for own, _node in by_tag),
            when=when,
            stages=stages,
            clear=clear,
            timing=timing,
            summary=summary,
            action=action,
            version=_version(node),
            slots=slots,
            thresholds=tuple(scope.thresholds),
            calculated=frozenset(scope.calculated),
            quantities={slot.name: self._vocabulary[slot.name] for slot in measured(slots)},
            active=active,
            send=send,
            mode=cast(Mode, node["mode"].one_of(MODES, "shadow")),
            labels=self._labels(node["labels"]),
            depends_on=read_depends_on(node),
        )
        if all_compiled:
            _check_limits(rule, node, scope, by_tag)
        return rule

    def _stages(self, node: Node, scope: Scope) -> tuple[Stage, ...]:
        """The lowest first; () where one of them could not be compiled."""
        if "stages" not in node:
            stage = self._stage(node, scope, "when")
            return (stage,) if stage is not None else ()
        for key in _OF_A_STAGE:
            if key in node:
                message = _('"{key}" stands in each of the stages, not beside them')
                node.problem_at(key, message.format(key=key))
        elements = list(node["stages"].elements())
        if isinstance(node["stages"].value, list) and len(elements) < 2:
            node["stages"].problem(
                _("expected at least two stages, the lowest first; a rule of one has none")
            )
        stages = []
        for number, element in enumerate(elements):
            element.check_keys(["name", *_OF_A_STAGE], ["name", *_OF_A_STAGE])
            if isinstance(element.value, dict):
                stages.append(self._stage(element, scope, f"stages.{number}"))
        found = tuple(stage for stage in stages if stage is not None)
        return found if len(found) == len(elements) else ()

    def _stage(self, node: Node, scope: Scope, key: str) -> Stage | None:
        when = _condition(node["when"], scope) if "when" in node else None
        severity = cast(Severity, node["severity"].one_of(SEVERITIES, "warning"))
        notify = self._notify(node["notify"])
        name = self._name(node)
        return Stage(when, severity, notify, name, key) if when is not None else None

    def _name(self, stage: Node) -> Mapping[str, str]:
        """``name: voll``, or by language; what is shown to people in English needs an English one."""
        if not isinstance(stage["name"].value, str):
            return self._texts(stage, "name", ())
        self._miss_english(stage, "name")
        return {"de": stage["name"].text()}

    def _timing(self, node: Node, when: Condition | None, scope: Scope) -> Timing:
        hold = self._hold(node["for"], when, scope) if "for" in node or when is not None else Hold()
        keep = parse_duration(str(node["keep_firing_for"].plain())) if "keep_firing_for" in node else 0
        if keep is None:
            node["keep_firing_for"].problem(_("expected a duration: 30m, 26h, 2d"))
        by_hand = node["close"].one_of(["by hand"]) != ""
        return Timing(hold, timedelta(microseconds=keep or 0), by_hand)

    def _for_each(self, node: Node) -> ForEach | None:
        if not isinstance(node.value, dict):
            if node.value is not None:
                node.problem(_("expected e.g. {place_type: container} or {device: any}"))
            return None
        node.check_keys(["place_type", "tags", "device", "gateway"])
        if "gateway" in node:
            for key in ("place_type", "tags", "device"):
                if key in node:
                    message = _('"{key}" and "gateway" exclude each other')
                    node.problem_at(key, message.format(key=key))
            return ForEach("gateway", is_own=node["gateway"].one_of(["any", "own"]) == "own")
        if "device" not in node:
            given = node["place_type"]
            several = isinstance(given.value, list)
            place_types = tuple(one.text() for one in (given.elements() if several else [given]))
            if not any(place_types) and "tags" not in node:
                node.problem(_("expected e.g. {place_type: container} or {device: any}"))
            return ForEach("place", tuple(filter(None, place_types)), tags=_tags(node["tags"]))
        for key in ("place_type", "tags"):
            if key in node:
                message = _(
                    '"{key}" and "device" exclude each other; a device\'s own: {{device: {{tags: …}}}}'
                )
                node.problem_at(key, message.format(key=key))
        device = node["device"]
        if not isinstance(device.value, dict):
            device.one_of(["any"])
            return ForEach("device")
        device.check_keys(["category", "model", "tags"])
        category = device["category"].text() or None
        if category is not None and self._categories is not None:
            device["category"].one_of(self._categories)
        return ForEach("device", (), category, device["model"].text() or None, _tags(device["tags"]))

    def _hold(self, node: Node, when: Condition | None, scope: Scope) -> Hold:
        slots = [scope.slots[index] for index in sorted(when.slots)] if when is not None else []
        own = [slot for slot in slots if slot.kind in ("value", "window")]
        values = [self._vocabulary[slot.name] for slot in own if slot.kind == "value"]
        if node.value is None and not own and any(map(self._wavers, slots)):
            node.problem(
                _("readings of several places are not counted: say how long it must hold, e.g. for: 30m")
            )
        if node.value is None or when is None:
            periodic = any(quantity.kind in ("gauge", "counter") for quantity in values)
            return Hold(2 if periodic and when is not None and not when.crossings else 0)
        hold = _parse_hold(node)
        if hold.readings and not own and any(slot.zone for slot in slots):
            message = _("counts readings, but the condition is about several places: give a duration, 30m")
            node.problem(message)
        elif hold.readings and not own:
            node.problem(
                _("counts readings, but the condition is one of time: give a duration or leave it out")
            )
        return hold

    def _send(self, rule: Node, stages: Sequence[Stage]) -> Schedule:
        send = read_send(rule["send"])
        if any(stage.severity == "critical" for stage in stages):
            message = _("critical alerts wait, too, outside of {send}").format(send=send)
            self.notes.append(Problem(rule.source.name, *rule.keys["send"], message))
        return send

    def _wavers(self, slot: Slot) -> bool:
        """One odd reading at one place could change what the zone says."""
        inner = [s.name for s in slot.zone.slots if s.kind == "value"] if slot.zone is not None else []
        return any(self._vocabulary[name].kind in ("gauge", "counter") for name in inner)

    def _labels(self, node: Node) -> dict[str, str]:
        """``{team: nord, route: A}``"""
        labels = _tags(node)
        for name in labels:
            if not name.strip() or "=" in name:
                node.problem_at(name, _('a label is written NAME=VALUE elsewhere: no "=" in its name'))
        return labels

    def _texts(self, rule: Node, key: str, known: Collection[str] | None) -> dict[str, str]:
        node = rule[key]
        if node.value is None:
            return {}
        if not isinstance(node.value, dict):
            node.problem(_("expected texts by language: {de: …, en: …}"))
            return {}
        node.check_keys(LANGUAGES, ["de"])
        texts = {language: text.text() for language, text in node.items() if language in LANGUAGES}
        if "en" not in texts:
            self._miss_english(rule, key)
        for language, text in texts.items():
            _check_placeholders(node[language], text, known)
        return texts

    def _miss_english(self, node: Node, key: str) -> None:
        message = _('"{key}" has no English text').format(key=key)
        if self._both_languages:
            node.problem_at(key, message)
        else:
            self.notes.append(Problem(node.source.name, *node.keys[key], message))

    def _notify(self, node: Node) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for element in node.elements():
            name = element.text()
            if name in names:
                element.problem(_('"{name}" stands twice').format(name=name))
                self.tolerated += 1
            names[name] = None
            if self._receivers is not None and name and name not in self._receivers:
                advice = _('unknown receiver "{name}"; add [receivers.{name}] to smartdorf.toml')
                element.problem(advice.format(name=name) + did_you_mean(name, self._receivers))
                self.tolerated += 1
        if isinstance(node.value, list) and not names:
            node.problem(_("expected at least one receiver"))
        return tuple(names)


def _any_of(stages: Sequence[Stage]) -> Condition:
    """What holds where any of them does."""
    conditions = [stage.when for stage in stages]
    if len(conditions) == 1:
        return conditions[0]
    return Condition(
        " or ".join(condition.text for condition in conditions),
        any_of([condition.holds for condition in conditions]),
        tuple(crossing for condition in conditions for crossing in condition.crossings),
        frozenset().union(*(condition.slots for condition in conditions)),
    )


def _check_limits(rule: Rule, node: Node, scope: Scope, by_tag: Sequence[tuple[TagLimits, Node]]) -> None:
    """None contradicts another, wherever the rule applies."""
    wrong = list(rule.contradictions(rule.limits))
    for key, message in wrong:
        _named(node, key, scope).problem(message)
    for own, at in by_tag if not wrong else ():
        for key, message in rule.contradictions({**rule.limits, **own.limits}):
            if key in own.limits:
                at[key].problem(message)
            else:
                at.problem(_("{key}: {advice}").format(key=key, advice=message))


def _named(rule: Node, key: str, scope: Scope) -> Node:
    """Where a contradiction stands: a limit, `when`, `clear`, or the condition of a stage."""
    if key in scope.limits:
        return rule["limits"][key]
    if key.startswith("stages."):
        return list(rule["stages"].elements())[int(key.removeprefix("stages."))]["when"]
    return rule[key]


def _condition(node: Node, scope: Scope) -> Condition | None:
    text = node.text()
    if not isinstance(node.value, str):
        return None
    return compile_condition(text, scope, lambda offset, message: problem_in(node, offset, message))


def _tags(node: Node) -> dict[str, str]:
    return {
        name: str(value.value) if type(value.value) is int else value.text() for name, value in node.items()
    }


def _parse_hold(node: Node) -> Hold:
    """``2 readings``, ``30m``, or ``2 readings, 30m``."""
    readings, duration = 0, 0
    for part in str(node.plain()).split(","):
        words = part.split()
        micros = parse_duration(part)
        if len(words) == 2 and words[0].isdecimal() and words[1] in ("reading", "readings") and not readings:
            readings = int(words[0])
        elif micros and not duration:
            duration = micros
        else:
            node.problem(_('expected e.g. "2 readings", "30m" or "2 readings, 30m"'))
            break
    return Hold(readings, timedelta(microseconds=duration))


def _placeholders(scope: Scope, subjects: Sequence[str], *, staged: bool) -> list[str]:
    values = [slot.name for slot in scope.slots if slot.kind in ("value", "limit", "window")]
    values += [slot.placeholder for slot in scope.slots if slot.kind == "window"]
    values += zone_placeholders(scope.slots)
    silence = ["silent_for" for slot in scope.slots if slot.kind == "silent"]
    stage = ["stage"] if staged else []
    return [*subjects, *stage, *dict.fromkeys(values), *silence]


def _check_silence_only(node: Node, slots: Sequence[Slot]) -> None:
    measured = dict.fromkeys(slot.name for slot in slots if slot.kind in ("value", "age", "window"))
    for name in measured:
        message = _('a gateway tells no "{name}"; what is known of it is silent_for()')
        node["for_each"].problem(message.format(name=name))


def _check_placeholders(node: Node, text: str, known: Collection[str] | None) -> None:
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        node.problem(_("has a { or } too many; a placeholder is {place}, a plain brace is written twice"))
        return
    for _literal, name, spec, conversion in parts:
        if name is None:
            continue
        offset = max(text.find("{" + name), 0)
        if spec or conversion:
            problem_in(
                node, offset, _("write {{{name}}} only: unit and decimals are known").format(name=name)
            )
        elif known is not None and name not in known:
            message = _('unknown placeholder "{name}"').format(name=name)
            hint = did_you_mean(name, known) or (
                _("; known are {names}").format(names=", ".join(known))
                if known
                else _("; only a summary has placeholders")
            )
            problem_in(node, offset, message + hint)


def _version(node: Node) -> str:
    """The same for the same definition, whatever its layout; whether people are told of it is no part of it."""
    definition = {key: value.plain() for key, value in node.items() if key != "mode"}
    return hashlib.blake2b(msgspec.json.encode(definition, order="deterministic"), digest_size=6).hexdigest()
