"""The parts of a condition: which of them made it hold, or kept it from holding.

Made from the condition's text when somebody asks for a reason; what the engine runs only says yes, no or unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from smartdorf.config import kleene
from smartdorf.config.conditions import RELATIONS, Compiler
from smartdorf.config.expressions import parse_expression
from smartdorf.config.kleene import Number, Slots, Truth
from smartdorf.config.rule import Rule
from smartdorf.config.terms import Scope, Slot
from smartdorf.vocabulary import Vocabulary

NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


class Side(NamedTuple):
    """One side of a comparison. ``slot``: the only one it is made of, unless it is calculated or written out."""

    text: str
    value: Number
    slot: Slot | None
    is_duration: bool
    fixed: bool  # a limit, a number, or made of these
    top: Number | None = None  # of a zone: ``value`` is the least that it may be, this the greatest


class Clause(NamedTuple):
    """A condition or a part of it. One that is not made of parts compares two sides, or is a state by itself."""

    kind: Literal["all", "any", "not", "compared", "state"]
    holds: Truth
    parts: tuple[Clause, ...] = ()
    left: Side | None = None
    sign: str = ""
    right: Side | None = None


class Reason(NamedTuple):
    """A part that decides. ``wanted``: as what the whole condition needs it to be."""

    clause: Clause
    holds: bool | None
    wanted: bool


@lru_cache(maxsize=256)
def clauses(rule: Rule, text: str) -> Clause:
    """The parts of one of the rule's conditions; they take the rule's slots."""
    flat = " ".join(text.split())
    tree = parse_expression(flat, _surely_not)
    assert tree is not None  # it was compiled before
    scope = Scope(Vocabulary(rule.quantities), rule.limits, list(rule.slots))
    return _Reader(flat, scope, _surely_not).clause(tree)


def reasons(clause: Clause, slots: Slots, *, wanted: bool = True) -> Iterator[Reason]:
    """The parts that made it what it is: true, false or unknown."""
    holds = clause.holds(slots)
    if clause.kind == "not":
        yield from reasons(clause.parts[0], slots, wanted=not wanted)
    elif clause.kind in ("all", "any"):
        decisive = clause.kind == "any"  # one such part is enough
        for part in clause.parts:
            if holds is (not decisive) or part.holds(slots) is holds:
                yield from reasons(part, slots, wanted=wanted)
    else:
        yield Reason(clause, holds, wanted)


def _surely_not(_offset: int, message: str) -> None:
    raise AssertionError(message)


class _Reader(Compiler):
    """Keeps the parts that the compiler melts together."""

    def clause(self, node: ast.expr) -> Clause:
        if isinstance(node, ast.BoolOp):
            parts = tuple(self.clause(value) for value in node.values)
            if isinstance(node.op, ast.And):
                return Clause("all", kleene.all_of([part.holds for part in parts]), parts)
            return Clause("any", kleene.any_of([part.holds for part in parts]), parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            part = self.clause(node.operand)
            return Clause("not", kleene.negate(part.holds), (part,))
        if isinstance(node, ast.Compare):
            return self._compared(node)
        side = self._side(node, {})
        return Clause("state", kleene.holds(side.value), left=side)

    def _compared(self, node: ast.Compare) -> Clause:
        nodes = [node.left, *node.comparators]
        codes = self._codes_among(nodes)
        sides = [self._side(one, codes) for one in nodes]
        found = []
        for at, operation in enumerate(node.ops):
            sign, relation = RELATIONS[type(operation)]
            left, right = sides[at], sides[at + 1]
            holds = kleene.compare_bounded(relation, left.value, right.value, left.top, right.top)
            if left.fixed:  # what was measured stands in front
                left, sign, right = right, MIRRORED[sign], left
            found.append(Clause("compared", holds, left=left, sign=sign, right=right))
        if len(found) == 1:
            return found[0]
        return Clause("all", kleene.all_of([part.holds for part in found]), tuple(found))

    def _side(self, node: ast.expr, codes: Mapping[str, int]) -> Side:
        before, self.used = self.used, set()
        value = self.value(node, codes)
        used = [self._scope.slots[index] for index in sorted(self.used)]
        self.used |= before
        slot = None
        if isinstance(node, ast.Name) and used:
            slot = used[0]
        elif isinstance(node, ast.Call):  # a window may use a limit, too: how far it looks back
            slot = next(one for one in used if one.kind != "limit")
        return Side(ast.unparse(node), value.run, slot, value.is_duration, value.fixed, value.top)
