"""The language of ``when:`` and ``clear:``: what it allows, what its words mean, and its compilation.

A small, total, typed language in Python's expression syntax. Nothing of Python runs: ``ast`` parses, and each node
that is allowed becomes a function of :mod:`smartdorf.config.kleene`. Knows quantities and limits, but nothing of
devices, places or time: a compiled condition is given numbers.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from smartdorf.config import kleene
from smartdorf.config.durations import parse_duration
from smartdorf.config.expressions import Report, parse_expression
from smartdorf.config.kleene import Number, Truth
from smartdorf.config.terms import (
    FUNCTIONS,
    LOCAL_HOUR,
    Condition,
    Crossing,
    Scope,
    Slot,
    Threshold,
    ZoneTerm,
    code_names,
    implausible,
    is_yes_no,
    measured,
)
from smartdorf.config.windows import DAY, LONGEST_WINDOW, WINDOWS
from smartdorf.config.zone_calls import read_zone_call, state_advice
from smartdorf.config.zones import DEFAULT_AGE, SHARE, ZONES
from smartdorf.errors import did_you_mean
from smartdorf.i18n import gettext as _
from smartdorf.vocabulary import Quantity

_T = TypeVar("_T")
_BLANKS = {ord(blank): " " for blank in "\n\r\t"}

RELATIONS: dict[type[ast.cmpop], tuple[str, Callable[[float, float], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@dataclass(frozen=True, slots=True)
class _Value:
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


class _RefusedError(Exception):
    """What was wrong has been reported; nothing that contains it can be compiled."""


def compile_condition(text: str, scope: Scope, report: Report) -> Condition | None:
    """Compile ``text``; every mistake goes to ``report``, and then there is no condition."""
    flat = text.translate(_BLANKS).rstrip()
    lead = len(flat) - len(flat.lstrip())
    flat = flat[lead:]

    def report_at(offset: int, message: str) -> None:
        report(lead + offset, message)

    tree = parse_expression(flat, report_at)
    if tree is None:
        return None
    compiler = Compiler(flat, scope, report_at)
    try:
        truth = compiler.truth(tree)
    except _RefusedError:
        return None
    if all(scope.slots[index].kind in ("limit", "hour") for index in compiler.used):
        report_at(0, _("this depends on nothing that is measured: it always holds, or never"))
        return None
    return Condition(text, truth, tuple(compiler.crossings), frozenset(compiler.used))


class Compiler:
    """Compiles one tree. A method returns what it made or raises _RefusedError after having reported why not."""

    def __init__(self, text: str, scope: Scope, report: Report, zone_name: str = "") -> None:
        """``zone_name``: the zone function whose argument is compiled."""
        self._text = text
        self._zone_name = zone_name
        self._bytes = text.encode()
        self._scope = scope
        self._report = report
        self.used: set[int] = set()
        self.crossings: list[Crossing] = []

    def refuse(self, node: ast.AST, message: str) -> _RefusedError:
        offset = len(self._bytes[: getattr(node, "col_offset", 0)].decode())  # ast counts bytes
        self._report(offset, message)
        return _RefusedError()

    def each(self, nodes: Sequence[ast.expr], compile_one: Callable[[ast.expr], _T]) -> list[_T]:
        """Compile all, so that the mistakes of all are reported."""
        made, refused = [], False
        for node in nodes:
            try:
                made.append(compile_one(node))
            except _RefusedError:
                refused = True
        if refused:
            raise _RefusedError
        return made

    # -- conditions ---------------------------------------------------------------------------------------

    def truth(self, node: ast.expr) -> Truth:
        if isinstance(node, ast.BoolOp):
            parts = self.each(node.values, self.truth)
            return kleene.all_of(parts) if isinstance(node.op, ast.And) else kleene.any_of(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return kleene.negate(self.truth(node.operand))
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        value = self.value(node)
        if value.is_truth or (value.quantity is not None and is_yes_no(value.quantity)):
            return kleene.holds(value.run)
        raise self.refuse(node, _("this is a value, not a condition: compare it with something (>=, <, ==)"))

    def _comparison(self, node: ast.Compare) -> Truth:
        nodes = [node.left, *node.comparators]
        codes = self._codes_among(nodes)
        operands = self.each(nodes, lambda operand: self.value(operand, codes))
        sides = list(zip(nodes, operands, strict=True))
        pairs = [(*sides[i], operation, *sides[i + 1]) for i, operation in enumerate(node.ops)]
        parts = [self._pair(*pair) for pair in pairs]
        return parts[0] if len(parts) == 1 else kleene.all_of(parts)

    def _codes_among(self, nodes: Sequence[ast.expr]) -> Mapping[str, int]:
        """The code words of the enumeration that is compared, if one is."""
        for node in nodes:
            quantity = node.id if isinstance(node, ast.Name) else ""
            if quantity in self._scope.vocabulary and self._scope.vocabulary[quantity].codes:
                return code_names(self._scope.vocabulary[quantity])
        return {}

    def _pair(
        self, left_node: ast.expr, left: _Value, operation: ast.cmpop, right_node: ast.expr, right: _Value
    ) -> Truth:
        if type(operation) not in RELATIONS:
            raise self.refuse(left_node, _("compare with <, <=, >, >=, == or !="))
        sign, relation = RELATIONS[type(operation)]
        self._fit(right_node, left, right)
        if left.fixed and right.fixed:
            raise self.refuse(left_node, _("these are two constants: it always holds, or never"))
        if left.clock is not None:
            self._crossing(left_node, left.clock, sign, right)
        elif right.clock is not None:
            self._crossing(right_node, right.clock, _MIRRORED[sign], left)
        for side in (left, right):
            if sign in ("==", "!=") and side.quantity is not None and side.quantity.kind == "gauge":
                advice = _("{name} is measured and hardly ever exactly equal to anything: use >= or <=")
                raise self.refuse(left_node, advice.format(name=side.quantity.name))
        self._threshold(left, right_node, right)
        self._threshold(right, left_node, left)
        if left.top is not None and right.top is not None:
            raise self.refuse(left_node, _("compare a zone with a number, a limit or a quantity"))
        if left.top is not None:
            return kleene.compare_between(relation, left.run, left.top, right.run)
        if right.top is not None:
            return kleene.compare_between(lambda a, b: relation(b, a), right.run, right.top, left.run)
        return kleene.compare(relation, left.run, right.run)

    def _crossing(self, node: ast.expr, clock: int, sign: str, other: _Value) -> None:
        if not other.fixed:
            raise self.refuse(
                node, _("silent_for() and age() can be compared with a duration or a limit only")
            )
        if sign in ("==", "!="):
            raise self.refuse(node, _("a time that passes is compared with <, <=, > or >="))
        self.crossings.append(Crossing(clock, other.run, strict=sign in (">", "<=")))

    def _threshold(self, value: _Value, node: ast.expr, other: _Value) -> None:
        """Note what a quantity is compared with; refuse what is outside its range."""
        quantity = value.quantity
        if quantity is None:
            return
        if not other.fixed:
            self._scope.calculated.add(quantity.name)
            return
        if quantity is not LOCAL_HOUR and quantity is not SHARE:
            self._scope.thresholds.append(Threshold(quantity.name, other.run, other.limit))
        if other.literal is not None and (advice := implausible(quantity, other.literal)):
            raise self.refuse(node, advice)

    def _fit(self, node: ast.expr, left: _Value, right: _Value) -> None:
        """Only what is of one kind can be compared or added."""
        if left.is_duration != right.is_duration:
            message = _(
                'a duration and a number do not fit together; durations are written "30m", "26h", "2d"'
            )
            raise self.refuse(node, message)
        if left.unit is not None and right.unit is not None and left.unit != right.unit:
            message = _("{left} and {right} do not fit together")
            raise self.refuse(node, message.format(left=left.unit, right=right.unit))

    # -- numbers ------------------------------------------------------------------------------------------

    def value(self, node: ast.expr, codes: Mapping[str, int] | None = None) -> _Value:
        if isinstance(node, ast.Constant):
            return self._literal(node)
        if isinstance(node, ast.Name):
            return self._name(node, codes or {})
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            return self._signed(node)
        if isinstance(node, ast.BinOp):
            return self._arithmetic(node)
        if isinstance(node, ast.BoolOp | ast.Compare) or (
            isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        ):
            raise self.refuse(node, _("a condition stands here where a number is needed"))
        if isinstance(node, ast.Tuple):
            raise self.refuse(node, _("a comma cannot be used here; decimals have a point: 2.5"))
        raise self._foreign(node)

    def _foreign(self, node: ast.AST) -> _RefusedError:
        message = _(
            "this is not part of the language: known are comparisons, and, or, not, + - * / and {functions}"
        )
        functions = ", ".join(f"{name}()" for name in FUNCTIONS)
        return self.refuse(node, message.format(functions=functions))

    def _literal(self, node: ast.Constant) -> _Value:
        if isinstance(node.value, str):
            duration = parse_duration(node.value)
            if duration is None:
                message = _('"{text}" is no duration; expected e.g. "30m", "26h" or "2d"')
                raise self.refuse(node, message.format(text=node.value))
            return _Value(kleene.constant(duration), is_duration=True, fixed=True, literal=duration)
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            try:
                number = float(node.value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return _Value(kleene.constant(number), fixed=True, literal=number)
        raise self.refuse(node, _("expected a number or a duration"))

    def _name(self, node: ast.Name, codes: Mapping[str, int]) -> _Value:
        name, scope = node.id, self._scope
        if name in scope.limits:
            limit = scope.limits[name]
            run = self._slot(Slot("limit", name))[1]
            return _Value(run, limit.is_duration, fixed=True, limit=name, literal=limit.value)
        if name in scope.vocabulary:
            quantity = scope.vocabulary[name]
            run = self._slot(Slot("value", name))[1]
            return _Value(run, unit=quantity.unit, quantity=quantity)
        if name in codes:
            return _Value(kleene.constant(codes[name]), fixed=True, literal=codes[name])
        if name in FUNCTIONS:
            raise self.refuse(node, _("write {name}() with brackets").format(name=name))
        message = _('unknown name "{name}"').format(name=name)
        hint = did_you_mean(name, [*codes, *scope.names])
        if codes and not hint:
            hint = _("; the states here are {words}").format(words=", ".join(codes))
        raise self.refuse(node, message + hint)

    def _slot(self, wanted: Slot) -> tuple[int, Number]:
        index = self._scope.slot(wanted)
        self.used.add(index)
        return index, kleene.slot(index)

    def _call(self, node: ast.Call) -> _Value:
        if not isinstance(node.func, ast.Name):
            raise self._foreign(node)
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
                return _Value(self._slot(Slot("hour"))[1], unit=LOCAL_HOUR.unit, quantity=LOCAL_HOUR)
            wanted = Slot("silent")
        else:
            if len(arguments) != 1 or node.keywords or not arguments[0]:
                raise self.refuse(node, _("age() takes the name of one quantity: age(water_level_m)"))
            if arguments[0] not in self._scope.vocabulary:
                raise self.refuse(node.args[0], self._scope.vocabulary.unknown(arguments[0]))
            wanted = Slot("age", arguments[0])
        index, run = self._slot(wanted)
        return _Value(run, is_duration=True, clock=index)

    def _usual(self, node: ast.Call) -> _Value:
        """``usual(delta(water_volume_m3, "3h"))``: what it was at this time on the days before."""
        inner = node.args[0] if len(node.args) == 1 and not node.keywords else None
        name = inner.func.id if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) else ""
        if not isinstance(inner, ast.Call) or name not in WINDOWS or WINDOWS[name].is_truth:
            raise self.refuse(node, _('usual() takes a window: usual(delta(water_volume_m3, "3h"))'))
        return self._window(inner, name, usual=True)

    def _window(self, node: ast.Call, name: str, *, usual: bool = False) -> _Value:
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
        return _Value(
            run,
            unit=window.unit_of(quantity.unit),
            quantity=quantity if window.same_range else None,
            is_truth=window.is_truth,
        )

    def _zone(self, node: ast.Call, name: str) -> _Value:
        """What the places of the zone say. Their part has slots of its own, which are filled for each place."""
        if self._zone_name:
            raise self.refuse(node, _("a zone function cannot stand within another"))
        call, function = read_zone_call(node, name, self.refuse), ZONES[name]
        scope = Scope(self._scope.vocabulary, self._scope.limits)
        inner = Compiler(self._text, scope, self._report, name)
        truth = inner.truth(call.of) if function.of == "conditions" else None
        number = inner.zone_number(call.of) if truth is None else _Value(kleene.constant(0))
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
            return _Value(run, unit=SHARE.unit if share else None, quantity=SHARE if share else None, top=top)
        return _Value(
            run, unit=number.unit, quantity=None if name == "zone_sum" else number.quantity, top=top
        )

    def zone_number(self, node: ast.expr) -> _Value:
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

    def _signed(self, node: ast.UnaryOp) -> _Value:
        value = self._plain_number(node.operand)
        negative = None if value.literal is None else -value.literal
        run = kleene.minus(value.run)
        signed = _Value(run, value.is_duration, value.unit, fixed=value.fixed, literal=negative)
        return signed if isinstance(node.op, ast.USub) else value

    def _arithmetic(self, node: ast.BinOp) -> _Value:
        operation = _OPERATIONS.get(type(node.op))
        if operation is None:
            raise self.refuse(node, _("calculate with + - * /"))
        left, right = self.each([node.left, node.right], self._plain_number)
        run = kleene.calculate(operation, left.run, right.run)
        fixed, literal = left.fixed and right.fixed, None
        if left.literal is not None and right.literal is not None:
            constants = kleene.constant(left.literal), kleene.constant(right.literal)
            literal = kleene.calculate(operation, *constants)(())
        if isinstance(node.op, ast.Add | ast.Sub):
            self._fit(node.right, left, right)
            return _Value(run, left.is_duration, left.unit or right.unit, fixed=fixed, literal=literal)
        if right.is_duration and (left.is_duration or isinstance(node.op, ast.Div)):
            if not (left.is_duration and isinstance(node.op, ast.Div)):
                raise self.refuse(node, _("a duration can be multiplied with or divided by a number"))
            return _Value(run, fixed=fixed, literal=literal)
        unit = left.unit if right.unit is None else None
        return _Value(run, left.is_duration or right.is_duration, unit, fixed=fixed, literal=literal)

    def _plain_number(self, node: ast.expr) -> _Value:
        """A number to calculate with."""
        value = self.value(node)
        if value.clock is not None:
            raise self.refuse(node, _("silent_for() and age() stand alone on their side of a comparison"))
        if value.top is not None:
            message = _(
                "of the zone functions only zone_avg() can be reckoned with; the others stand alone on their side"
            )
            raise self.refuse(node, message)
        if value.quantity is not None:
            self._scope.calculated.add(value.quantity.name)
        return value
