"""Vectors that vendors and device repositories publish, as JSON: bytes and the object that their codec makes.

Publishers' field names and units differ, so both sides go through the manifest's mapping: what it makes of the
published object must be among what our decoder makes of the bytes. Ours may find more, never something else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from smartdorf.decoding.listed import Listed, listed_beside
from smartdorf.decoding.manifest import DeviceModel
from smartdorf.decoding.mapping import map_object, parse_time
from smartdorf.decoding.registry import decode_uplink
from smartdorf.decoding.vectors import RECEIVED_AT, Case, Key, compare_values, make_uplink, refusal, values_of
from smartdorf.errors import Problem, SmartdorfError
from smartdorf.i18n import gettext as _
from smartdorf.model import Decoded, Quality, Sample

_TOLERANCE = 1e-9  # relative
_DEFAULT_F_PORT = 1  # where the publisher names none


class VectorError(SmartdorfError):
    """A vector cannot be used."""


def read_published(path: Path, models: Mapping[str, DeviceModel]) -> tuple[list[Case], list[Problem]]:
    """The cases of one file; what is no such file is a problem.

    ``models``: beside each it is listed in which fields a published vector is known to differ.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return [], [Problem(str(path), 0, 0, _("cannot be read: {error}").format(error=error.strerror))]
    except UnicodeDecodeError as error:
        message = _("is not UTF-8 (byte {position}); save it as UTF-8").format(position=error.start)
        return [], [Problem(str(path), 0, 0, message)]
    except json.JSONDecodeError as error:
        message = _("is not valid JSON: {problem}").format(problem=error.msg)
        return [], [Problem(str(path), error.lineno, error.colno, message)]
    except RecursionError:
        return [], [Problem(str(path), 0, 0, _("is nested too deeply"))]
    if not isinstance(document, dict) or not isinstance(document.get("vectors"), list):
        return [], [Problem(str(path), 0, 0, _('expected {"vendor": …, "model": …, "vectors": […]}'))]
    model = f"{document.get('vendor')}/{document.get('model')}"
    cases: list[Case] = []
    listed, problems = listed_beside(models[model]) if model in models else ({}, [])
    problems = [*problems]
    for number, vector in enumerate(document["vectors"], 1):
        try:
            cases.append(_case(model, path, number, vector, listed))
        except VectorError as error:
            message = _("vector {number} cannot be used: {problem}").format(number=number, problem=error)
            problems.append(Problem(str(path), 0, 0, message))
    return cases, problems


def _case(model: str, path: Path, number: int, vector: Any, known: Mapping[bytes, Listed]) -> Case:
    """Raises VectorError with what is wrong."""
    if not isinstance(vector, dict):
        raise VectorError(_("expected an object"))
    for key in ("f_port", "bytes"):
        if key not in vector:
            raise VectorError(_('"{key}" is missing').format(key=key))
    f_port = vector["f_port"]
    if f_port is not None and (isinstance(f_port, bool) or f_port not in range(256)):
        raise VectorError(_("f_port {value} is no number from 0 to 255").format(value=json.dumps(f_port)))
    time = RECEIVED_AT
    if (said := vector.get("recv_time")) is not None:
        parsed = parse_time(said)
        if parsed is None:
            raise VectorError(_("recv_time {value} is no time").format(value=json.dumps(said)))
        time = parsed
    # port 0 is the network's own; where a publisher writes it, it names none
    uplink = make_uplink(int(f_port or _DEFAULT_F_PORT), _bytes(vector["bytes"]), time)
    expected = vector.get("expected")
    objects = expected if isinstance(expected, list) else [] if expected is None else [expected]
    if not all(isinstance(said, dict) for said in objects):
        raise VectorError(_("expected is neither an object nor a list of objects"))
    must_fail = bool(vector.get("errors")) or expected is None
    listed = None if must_fail else known.get(uplink.data)

    def differences(model: DeviceModel) -> list[str]:
        decoded = decode_uplink(model, uplink, {})
        if must_fail:
            return [] if decoded.fault else [_("had to be refused, but was decoded")]
        if decoded.fault is not None:
            return [refusal(decoded)]
        found, _compared = compare_all(model, decoded, objects)
        if listed is None:
            return found
        if not found:
            return [_("is listed as different, and is not")]
        try:
            found, compared = compare_all(model, decoded, [listed.adjust(said) for said in objects])
        except LookupError as error:
            return [_('"{field}" is listed, and not there').format(field=error.args[0])]
        return found if compared else [_("but for what is listed as different, nothing is left to compare")]

    def compare_all(
        model: DeviceModel, decoded: Decoded, objects: list[dict[str, Any]]
    ) -> tuple[list[str], int]:
        """The differences, and how many values were compared."""
        found: list[str] = []
        told: set[Key] = set()
        for said in reversed(objects):  # of several values of one moment the last one stands
            mapped = map_object(model.plan, said, time, model.defaults).samples
            found += _compare(
                model, decoded, said, [s for s in mapped if (s.metric, s.channel, s.time) not in told]
            )
            told |= {(s.metric, s.channel, s.time) for s in mapped}
        return found, len(told)

    name = f"{number}. {vector.get('description') or ''}".strip()
    return Case(model, name, str(path), 0, differences, listed.why if listed else "")


def _bytes(text: Any) -> bytes:
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        raise VectorError(_("bytes {value} is no hex").format(value=json.dumps(text))) from None


def _compare(
    model: DeviceModel, decoded: Decoded, said: Mapping[str, Any], mapped: Iterable[Sample]
) -> list[str]:
    ours = values_of(decoded)
    # A published object has no time for a value that the frame dates back: it stands where current ones do. Where the
    # frame has no current one, it is compared with the dated one.
    dated = {(s.metric, s.channel): s.time for s in decoded.samples if s.quality & Quality.HISTORY}
    theirs = {}
    for s in mapped:
        key = (s.metric, s.channel, s.time)
        theirs[key if key in ours else (*key[:2], dated.get(key[:2], s.time))] = s.value
    digits = _last_digits(model, said)

    def tolerance(key: Key) -> float:
        return max(_TOLERANCE * abs(theirs[key]), digits.get(key[:2], 0.0))

    return compare_values(ours, theirs, tolerance)


def _last_digits(model: DeviceModel, said: Mapping[str, Any]) -> dict[tuple[str, int], float]:
    """For fields whose unit is converted: how much the last digit that the publisher printed is worth."""
    worth = {}
    for step in model.plan.steps:
        value = said.get(step.key)
        ratio = step.factor / step.divisor
        if isinstance(value, float) and (ratio != 1.0 or step.offset):
            decimals = len(repr(value).partition(".")[2])
            worth[step.metric, step.channel] = abs(ratio) * 10.0**-decimals * (1 + _TOLERANCE)
    return worth
