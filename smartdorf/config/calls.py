"""The functions of the language: silences and ages, windows, what is usual, and what the places of a zone say.

What stands between their brackets is compiled by :mod:`smartdorf.config.conditions`, as everything else.
"""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from smartdorf.config import kleene
from smartdorf.config.expressions import Report
from smartdorf.config.kleene import Number, Truth
from smartdorf.config.terms import FUNCTIONS, LOCAL_HOUR, Crossing, Scope, Slot, ZoneTerm, measured
from smartdorf.config.windows import DAY, LONGEST_WINDOW, WINDOWS
from smartdorf.config.zone_calls import read_zone_call, state_advice
from smartdorf.config.zones import DEFAULT_AGE, SHARE, ZONES
from smartdorf.errors import did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import Quantity


@dataclass(frozen=True, slots=True)
class Value:
    """A compiled number and what the checks need to know of it."""

    run: Number
    is_duration: bool = False
    unit: str | None = None  # None: fits any
    fixed: bool = False  # depends on literals and limits alone
    quantity: Quantity | None = None  # it is the plain value of one
    limit: str | None = None  # it is a plain limit
    clock: int | None = None  # it is silent_for() or age(): the slot, which grows as time passes
    literal: float | None = None  # what it is with the rule's own limits
    is_truth: bool = False  # a condition by itself: stuck()
    top: Number | None = None  # only bounds are known: `run` is the least, this the greatest that it may be


class ReportedError(Exception):
    """What was wrong has been reported; nothing that contains it can be compiled."""


class Calls(ABC):
    """The part of the compiler that reads calls. ``used`` are the slots that the condition reads."""

    def __init__(self, text: str, scope: Scope, report: Report, zone_name: str = "") -> None:
        """``zone_name``: the zone function whose argument is compiled."""
        self._text = text
        self._zone_name = zone_name
        self._bytes = text.encode()
        self._scope = scope
        self._report = report
        self.used: set[int] = set()
        self.crossings: list[Crossing] = []

    def refuse(self, node: ast.AST, message: str) -> ReportedError:
        offset = len(self._bytes[: getattr(node, "col_offset", 0)].decode())  # ast counts bytes
        self._report(offset, message)
        return ReportedError()

    @abstractmethod
    def truth(self, node: ast.expr) -> Truth:
        """A condition."""

    @abstractmethod
    def value(self, node: ast.expr, codes: Mapping[str, int] | None = None) -> Value:
        """A number. ``codes``: the words of the enumeration that it is compared with."""

    @abstractmethod
    def within(self, zone_name: str, scope: Scope) -> Calls:
        """A compiler for what stands between the brackets of a zone function."""

    def foreign(self, node: ast.AST) -> ReportedError:
        message = _(
            "this is not part of the language: known are comparisons, and, or, not, + - * / and {functions}"
        )
        functions = ", ".join(f"{name}()" for name in FUNCTIONS)
        return self.refuse(node, message.format(functions=functions))

    def _slot(self, wanted: Slot) -> tuple[int, Number]:
        index = self._scope.slot(wanted)
        self.used.add(index)
        return index, kleene.slot(index)

    def call(self, node: ast.Call) -> Value:
        if not isinstance(node.func, ast.Name):
            raise self.foreign(node)
        name = node.func.id
        if name not in FUNCTIONS:
            known = ", ".join(f"{known}()" for known in FUNCTIONS)
            hint = did_you_mean(name, FUNCTIONS) or _("; known are {keys}").format(keys=known)
            raise self.refuse(node, _("unknown function {name}()").format(name=name) + hint)
        if name in WINDOWS:
            return self._window(node, name)
        if name in ZONES:
            return self._zone(node, name)
        if self._zone_name:
            raise self.refuse(
                node, _("{name}() looks at values and windows only").format(name=self._zone_name)
            )
        if name == "usual":
            return self._usual(node)
        arguments = [argument.id if isinstance(argument, ast.Name) else "" for argument in node.args]
        if name in ("silent_for", "local_hour"):
            if node.args or node.keywords:
                raise self.refuse(node, _("{name}() takes nothing between its brackets").format(name=name))
            if name == "local_hour":
                return Value(self._slot(Slot("hour"))[1], unit=LOCAL_HOUR.unit, quantity=LOCAL_HOUR)
            wanted = Slot("silent")
        else:
            if len(arguments) != 1 or node.keywords or not arguments[0]:
                raise self.refuse(node, _("age() takes the name of one quantity: age(water_level_m)"))
            if arguments[0] not in self._scope.vocabulary:
                raise self.refuse(node.args[0], self._scope.vocabulary.unknown(arguments[0]))
            wanted = Slot("age", arguments[0])
        index, run = self._slot(wanted)
        return Value(run, is_duration=True, clock=index)

    def _usual(self, node: ast.Call) -> Value:
        """``usual(delta(water_volume_m3, "3h"))``: what it was at this time on the days before."""
        inner = node.args[0] if len(node.args) == 1 and not node.keywords else None
        name = inner.func.id if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) else ""
        if not isinstance(inner, ast.Call) or name not in WINDOWS or WINDOWS[name].is_truth:
            raise self.refuse(node, _('usual() takes a window: usual(delta(water_volume_m3, "3h"))'))
        return self._window(inner, name, usual=True)

    def _window(self, node: ast.Call, name: str, *, usual: bool = False) -> Value:
        """``avg(co2_ppm, "1h")``; the span is a duration, or a limit that is one."""
        if len(node.args) != 2 or node.keywords or not isinstance(node.args[0], ast.Name):
            message = _('{name}() takes a quantity and a duration: {name}(water_level_m, "1h")')
            raise self.refuse(node, message.format(name=name))
        metric = node.args[0].id
        if metric not in self._scope.vocabulary:
            raise self.refuse(node.args[0], self._scope.vocabulary.unknown(metric))
        span = self.value(node.args[1])
        if not span.is_duration or span.literal is None:
            message = _('how far back? write a duration: {name}({metric}, "1h"), or a limit that is one')
            raise self.refuse(node.args[1], message.format(name=name, metric=metric))
        if not 0 < span.literal <= LONGEST_WINDOW:
            raise self.refuse(node.args[1], _("a window is at most 14 days long, and longer than nothing"))
        if usual and span.literal > DAY:
            raise self.refuse(node.args[1], _("usual() compares days: its window is at most a day long"))
        quantity, window = self._scope.vocabulary[metric], WINDOWS[name]
        fixed = 0 if span.limit else int(span.literal)
        run = self._slot(Slot("window", metric, name, fixed, span.limit or "", usual))[1]
        return Value(
            run,
            unit=window.unit_of(quantity.unit),
            quantity=quantity if window.same_range else None,
            is_truth=window.is_truth,
        )

    def _zone(self, node: ast.Call, name: str) -> Value:
        """What the places of the zone say. Their part has slots of its own, which are filled for each place."""
        if self._zone_name:
            raise self.refuse(node, _("a zone function cannot stand within another"))
        call, function = read_zone_call(node, name, self.refuse), ZONES[name]
        scope = Scope(self._scope.vocabulary, self._scope.limits)
        inner = self.within(name, scope)
        truth = inner.truth(call.of) if function.of == "conditions" else None
        number = inner.zone_number(call.of) if truth is None else Value(kleene.constant(0))
        read = [*measured(scope.slots)]
        if not read:
            raise self.refuse(call.of, _("{name}() looks at a quantity of the places").format(name=name))
        for slot in scope.slots:
            if slot.kind == "limit":  # it is used, and is to be filled in
                self._slot(slot)
        age, age_limit = self._age(call.age)
        text = " ".join((ast.get_source_segment(self._text, call.of) or "").split())
        zone = ZoneTerm(
            text,
            call.place_type,
            tuple(scope.slots),
            truth or number.run,
            is_condition=truth is not None,
            is_positive=number.quantity is not None and number.quantity.low >= 0,
            sole=read[0] if truth is None and isinstance(call.of, ast.Name | ast.Call) else None,
        )
        run = self._slot(Slot("zone", text, name, age, age_limit, zone=zone))[1]
        top = (
            self._slot(Slot("zone_top", text, name, age, age_limit, zone=zone))[1]
            if function.bounded
            else None
        )
        if truth is not None:
            share = name == "zone_share"
            return Value(run, unit=SHARE.unit if share else None, quantity=SHARE if share else None, top=top)
        return Value(run, unit=number.unit, quantity=None if name == "zone_sum" else number.quantity, top=top)

    def zone_number(self, node: ast.expr) -> Value:
        """What a zone function reckons with."""
        value = self.value(node)
        if value.is_truth or (value.quantity is not None and value.quantity.kind in ("state", "event")):
            raise self.refuse(node, state_advice(node, value.quantity))
        if value.is_duration:
            raise self.refuse(node, _("a duration stands here where a quantity is needed"))
        return value

    def _age(self, node: ast.expr | None) -> tuple[int, str]:
        """How old a value may be, in microseconds; or the limit that says so."""
        if node is None:
            return DEFAULT_AGE, ""
        age = self.value(node)
        if age.is_duration and age.limit:
            return 0, age.limit
        if age.is_duration and age.literal and age.literal > 0:
            return int(age.literal), ""
        raise self.refuse(
            node, _('how old may a value be? write a duration: age="6h", or a limit that is one')
        )
