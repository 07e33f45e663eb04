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
from typing import TypeVar

from smartdorf.config import kleene
from smartdorf.config.calls import Calls, ReportedError, Value
from smartdorf.config.durations import parse_duration
from smartdorf.config.expressions import Report, parse_expression
from smartdorf.config.kleene import Truth
from smartdorf.config.terms import (
    FUNCTIONS,
    LOCAL_HOUR,
    Condition,
    Crossing,
    Scope,
    Slot,
    Threshold,
    code_names,
    implausible,
    is_yes_no,
)
from smartdorf.config.zones import SHARE
from smartdorf.errors import did_you_mean
from smartdorf.i18n import gettext as _

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
    except ReportedError:
        return None
    if all(scope.slots[index].kind in ("limit", "hour") for index in compiler.used):
        report_at(0, _("this depends on nothing that is measured: it always holds, or never"))
        return None
    return Condition(text, truth, tuple(compiler.crossings), frozenset(compiler.used))


class Compiler(Calls):
    """Compiles one tree. A method returns what it made or raises ReportedError after having reported why not."""

    def within(self, zone_name: str, scope: Scope) -> Compiler:
        return Compiler(self._text, scope, self._report, zone_name)

    def each(self, nodes: Sequence[ast.expr], compile_one: Callable[[ast.expr], _T]) -> list[_T]:
        """Compile all, so that the mistakes of all are reported."""
        made, refused = [], False
        for node in nodes:
            try:
                made.append(compile_one(node))
            except ReportedError:
                refused = True
        if refused:
            raise ReportedError
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
        self, left_node: ast.expr, left: Value, operation: ast.cmpop, right_node: ast.expr, right: Value
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
        return kleene.compare_bounded(relation, left.run, right.run, left.top, right.top)

    def _crossing(self, node: ast.expr, clock: int, sign: str, other: Value) -> None:
        if not other.fixed:
            raise self.refuse(
                node, _("silent_for() and age() can be compared with a duration or a limit only")
            )
        if sign in ("==", "!="):
            raise self.refuse(node, _("a time that passes is compared with <, <=, > or >="))
        self.crossings.append(Crossing(clock, other.run, strict=sign in (">", "<=")))

    def _threshold(self, value: Value, node: ast.expr, other: Value) -> None:
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

    def _fit(self, node: ast.expr, left: Value, right: Value) -> None:
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

    def value(self, node: ast.expr, codes: Mapping[str, int] | None = None) -> Value:
        if isinstance(node, ast.Constant):
            return self._literal(node)
        if isinstance(node, ast.Name):
            return self._name(node, codes or {})
        if isinstance(node, ast.Call):
            return self.call(node)
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
        raise self.foreign(node)

    def _literal(self, node: ast.Constant) -> Value:
        if isinstance(node.value, str):
            duration = parse_duration(node.value)
            if duration is None:
                message = _('"{text}" is no duration; expected e.g. "30m", "26h" or "2d"')
                raise self.refuse(node, message.format(text=node.value))
            return Value(kleene.constant(duration), is_duration=True, fixed=True, literal=duration)
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            try:
                number = float(node.value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return Value(kleene.constant(number), fixed=True, literal=number)
        raise self.refuse(node, _("expected a number or a duration"))

    def _name(self, node: ast.Name, codes: Mapping[str, int]) -> Value:
        name, scope = node.id, self._scope
        if name in scope.limits:
            limit = scope.limits[name]
            run = self._slot(Slot("limit", name))[1]
            return Value(run, limit.is_duration, fixed=True, limit=name, literal=limit.value)
        if name in scope.vocabulary:
            quantity = scope.vocabulary[name]
            run = self._slot(Slot("value", name))[1]
            return Value(run, unit=quantity.unit, quantity=quantity)
        if name in codes:
            return Value(kleene.constant(codes[name]), fixed=True, literal=codes[name])
        if name in FUNCTIONS:
            raise self.refuse(node, _("write {name}() with brackets").format(name=name))
        message = _('unknown name "{name}"').format(name=name)
        hint = did_you_mean(name, [*codes, *scope.names])
        if codes and not hint:
            hint = _("; the states here are {words}").format(words=", ".join(codes))
        raise self.refuse(node, message + hint)

    def _signed(self, node: ast.UnaryOp) -> Value:
        value = self._plain_number(node.operand)
        negative = None if value.literal is None else -value.literal
        run = kleene.minus(value.run)
        signed = Value(run, value.is_duration, value.unit, fixed=value.fixed, literal=negative)
        return signed if isinstance(node.op, ast.USub) else value

    def _arithmetic(self, node: ast.BinOp) -> Value:
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
            return Value(run, left.is_duration, left.unit or right.unit, fixed=fixed, literal=literal)
        if right.is_duration and (left.is_duration or isinstance(node.op, ast.Div)):
            if not (left.is_duration and isinstance(node.op, ast.Div)):
                raise self.refuse(node, _("a duration can be multiplied with or divided by a number"))
            return Value(run, fixed=fixed, literal=literal)
        unit = left.unit if right.unit is None else None
        return Value(run, left.is_duration or right.is_duration, unit, fixed=fixed, literal=literal)

    def _plain_number(self, node: ast.expr) -> Value:
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
