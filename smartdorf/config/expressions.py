"""The syntax of a condition: Python's expressions, and advice for what is none. Knows no names and no meaning."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable

from smartdorf.i18n import gettext as _

LONGEST = 1000  # characters; a condition that long is no longer read by anybody
Report = Callable[[int, str], None]  # offset in the expression, message


def parse_expression(text: str, report: Report) -> ast.expr | None:
    if not text:
        report(0, _("expected a condition, e.g. fill_level_pct >= 80"))
        return None
    if len(text) > LONGEST:
        report(0, _("this is longer than {count} characters; split the rule").format(count=LONGEST))
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice on style is meant for programmers
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        report(min(max((error.offset or 1) - 1, 0), len(text)), _syntax_advice(text))
    except (ValueError, RecursionError, MemoryError):
        report(0, _("this cannot be understood"))
    return None


_HABITS = (  # what people write who know other languages
    (re.compile(r"&&|\bAND\b"), "and"),
    (re.compile(r"\|\||\bOR\b"), "or"),
    (re.compile(r"\bNOT\b|!(?!=)"), "not"),
    (re.compile(r"=<|≤"), "<="),
    (re.compile(r"=>|≥"), ">="),
    (re.compile(r"<>|≠"), "!="),
    (re.compile(r"(?<![<>=!])=(?!=)"), "=="),
)


def _syntax_advice(text: str) -> str:
    for pattern, better in _HABITS:
        if match := pattern.search(text):
            advice = _('this cannot be understood: write "{better}" instead of "{found}"')
            return advice.format(better=better, found=match[0])
    if re.search(r"\d\s*(%|°|[a-zA-Z])", text):
        return _(
            'this cannot be understood: a number stands without its unit (80, not 80 %), a duration in quotes ("30m")'
        )
    return _("this cannot be understood; expected e.g. fill_level_pct >= 80 and battery_v < 3.2")
