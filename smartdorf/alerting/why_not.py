"""Why there is no alert: what the engine sees at one place or device now, said in sentences. Pure.

Looks with the engine's own eyes (``Moment``) at a state that was read from the database, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from babel.dates import format_timedelta

from smartdorf.alerting.bound import Instance
from smartdorf.alerting.explain import Words
from smartdorf.alerting.memory import EngineState, View
from smartdorf.alerting.moment import Moment
from smartdorf.alerting.sight import Choice
from smartdorf.alerting.state import AlertState, due_of
from smartdorf.config.clauses import NEGATED, Reason, Side, clauses, reasons
from smartdorf.config.kleene import Slots
from smartdorf.config.rule import Rule
from smartdorf.config.terms import Slot
from smartdorf.directory import Device, Directory, Gateway, Installation, Place
from smartdorf.i18n import translations
from smartdorf.local_time import time_text

# A value counts as unknown after three missed uplinks; a sensor of unknown habits is given a day.
MISSED_UPLINKS = 3
UNKNOWN_AFTER = timedelta(hours=24)
MOST_SENSORS = 5  # of one place; what the others say is no news by then


def silent_after(device: Device | None, intervals: Mapping[str, timedelta]) -> timedelta:
    """The age at which what the device has said says nothing any more. ``intervals``: by sensor model."""
    interval = intervals.get(device.model or "") if device is not None else None
    return interval * MISSED_UPLINKS if interval is not None else UNKNOWN_AFTER


def why_unwatched(
    rule: Rule,
    subject: Place | Device | Gateway,
    installations: Sequence[Installation],
    categories: Mapping[str, str],
    language: str,
) -> list[str]:
    """What keeps the rule from watching the subject; it does not. ``categories``: by sensor model."""
    _ = translations(language).gettext
    wanted, found = rule.for_each, []
    if isinstance(subject, Gateway):
        text = _("{name} has never told of itself (ChirpStack's stats), so it is not known to be our own.")
        return [text.format(name=subject.name or subject.gateway_id)]
    if isinstance(subject, Place):
        name = subject.name
        if wanted.place_types and subject.place_type not in wanted.place_types:
            text = _("{rule} watches places of the type {wanted}; {name} is a {found}.")
            types = ", ".join(wanted.place_types)
            found.append(text.format(rule=rule.name, wanted=types, name=name, found=subject.place_type))
    else:
        name = subject.name or subject.dev_eui
        if subject.model is None:
            found.append(_("{name} is not onboarded yet: `smartdorf devices add`.").format(name=name))
        elif installations and all(i.valid_to is not None for i in installations):
            found.append(_("{name} was taken down everywhere; it is out of service.").format(name=name))
        pairs = [
            (_("model"), wanted.model, subject.model),
            (_("category"), wanted.category, categories.get(subject.model or "")),
        ]
        for what, asked, has in pairs:
            if subject.model is not None and asked not in (None, has):
                text = _("{rule} watches devices of the {what} {wanted}; {name} has {found}.")
                words = {"rule": rule.name, "what": what, "wanted": asked, "name": name, "found": has or "–"}
                found.append(text.format(**words))
    for tag, value in wanted.tags.items():
        if subject.tags.get(tag) != value:
            text = _("{rule} wants the tag {tag}={wanted}; {name} has {found}.")
            has = f"{tag}={subject.tags[tag]}" if tag in subject.tags else _("no such tag")
            found.append(text.format(rule=rule.name, tag=tag, wanted=value, name=name, found=has))
    return found


class Look:
    """At one instance, at one time. ``intervals``: how often devices of a model report."""

    def __init__(
        self,
        instance: Instance,
        directory: Directory,
        state: EngineState,
        view: View,
        now: datetime,
        intervals: Mapping[str, timedelta],
        language: str,
    ) -> None:
        self._instance = instance
        self._directory = directory
        self._alert: AlertState | None = state.instances.get(instance.key)
        self._view = view
        self._now = now
        self._intervals = intervals
        self._language = language
        self._ = translations(language).gettext

    def sentences(self) -> list[str]:
        """Why no alert is open there; or that one is."""
        alert, _ = self._alert, self._
        if alert is not None and alert.phase == "firing":
            return [
                _("An alert is open since {time}.").format(time=self._time(alert.fired_at or alert.since))
            ]
        found = list(self._pending(alert)) if alert is not None else []
        if alert is not None and alert.phase == "closed":
            text = _("It was closed by hand ({time}) and opens again only with newer data.")
            found.append(text.format(time=self._time(alert.since)))
        if not self._counts:
            text = _("Now the condition does not count: it is outside of its hours, {hours}.")
            found.append(text.format(hours=self._instance.rule.active))
        if alert is None or alert.phase == "closed":
            found += self._conditions()
        return [*found, *self._silent()]

    @property
    def _counts(self) -> bool:
        active = self._instance.active
        return active is None or active.is_open(self._now)

    def _time(self, time: datetime) -> str:
        return time_text(time, self._language)

    def _pending(self, alert: AlertState) -> Iterator[str]:
        if alert.phase != "pending":
            return
        _, hold = self._, self._instance.rule.hold
        text = _("The condition has held since {since}, but not yet for long enough.")
        yield text.format(since=self._time(alert.since))
        if alert.readings < hold.readings:
            text = _("{seen} of {wanted} readings have come.")
            yield text.format(seen=alert.readings, wanted=hold.readings)
        due = due_of(alert, self._instance.rule.timing)
        end = due or (alert.since + hold.duration if hold.duration else None)
        if end is not None:
            yield _("It fires {time} at the earliest, if nothing has changed by then.").format(
                time=self._time(end)
            )

    # -- conditions ---------------------------------------------------------------------------------------------

    def _conditions(self) -> list[str]:
        """What each sensor says to the conditions of all stages: any of them would do."""
        instance, _ = self._instance, self._
        if instance.place is not None and not instance.installations and not instance.zones:
            return [_("No sensor is mounted here.")]
        moment = Moment(self._view, instance, self._now, ())
        combinations = list(moment.combinations())
        found: dict[str, None] = {}
        for chosen, slots in combinations[:MOST_SENSORS]:
            name = self._names(chosen) if len(combinations) > 1 else ""
            for sentence in self._of_one(chosen, slots):
                found[f"{name}: {sentence}" if name else sentence] = None
        return list(found)

    def _names(self, chosen: Mapping[str, Choice | None]) -> str:
        ids = dict.fromkeys(choice[0][0] for choice in chosen.values() if choice is not None)
        devices = [self._directory.devices[id_] for id_ in ids if id_ in self._directory.devices]
        return ", ".join(device.name or device.dev_eui for device in devices)

    def _of_one(self, chosen: Mapping[str, Choice | None], slots: Slots) -> Iterator[str]:
        rule, _ = self._instance.rule, self._
        holding = next((stage for stage in rule.stages if stage.when(slots) is True), None)
        if holding is not None:
            yield (
                _("The condition holds now; the next message or look at the timers will begin the alert.")
                if self._counts
                else _("Else it would hold now.")
            )
            return
        words = Words(rule, slots, self._language)
        for stage in rule.stages:
            name = stage.name.get(self._language) or stage.name.get("de", "")
            for reason in reasons(clauses(rule, stage.when.text), slots):
                sentence = self._reason(words, reason, chosen, slots)
                yield f"{name}: {sentence}" if name else sentence

    def _reason(self, words: Words, reason: Reason, chosen: Mapping[str, Choice | None], slots: Slots) -> str:
        _, clause = self._, reason.clause
        left, right = clause.left, clause.right
        assert left is not None
        if reason.holds is None and (left.top is None or left.value(slots) is None):
            unknown = left if left.value(slots) is None or right is None else right
            return self._unknown(words, unknown, chosen)
        what = words.what(left)
        if left.slot is not None and left.slot.function == "stuck":
            text = _("It is not so {what}.") if reason.wanted else _("It is so {what}.")
            return text.format(what=what)
        if right is None or words.is_state(left):
            wanted = self._wanted_state(words, reason)
        else:
            wanted = self._wanted(words, reason)
        choice = _choice(left.slot, chosen)
        if choice is None or left.slot is None or left.slot.kind != "value":
            return _("{what} is {value}; the rule wants {wanted}.").format(
                what=_capital(what), value=words.value(left), wanted=wanted
            )
        text = _("{what} is {value} ({time}); the rule wants {wanted}.")
        sentence = text.format(
            what=what, value=words.value(left), time=self._time(choice[1][1]), wanted=wanted
        )
        return sentence + self._too_old(choice)

    def _wanted(self, words: Words, reason: Reason) -> str:
        _, left, right = self._, reason.clause.left, reason.clause.right
        assert left is not None
        assert right is not None
        sign = reason.clause.sign if reason.wanted else NEGATED[reason.clause.sign]
        texts = {
            ">=": _("at least {limit}"),
            ">": _("more than {limit}"),
            "<=": _("at most {limit}"),
            "<": _("less than {limit}"),
            "==": _("exactly {limit}"),
            "!=": _("anything but {limit}"),
        }
        limit = words.value(right, beside=left)
        if not right.fixed or (right.slot is not None and right.slot.kind == "limit"):
            limit = f"{limit} ({words.what(right)})"
        return texts[sign].format(limit=limit)

    def _wanted_state(self, words: Words, reason: Reason) -> str:
        _, left, right = self._, reason.clause.left, reason.clause.right
        assert left is not None
        if right is None:  # a state by itself: anything but 0
            return _("the opposite")
        same = (reason.clause.sign == "==") is reason.wanted
        if reason.clause.sign not in ("==", "!="):
            return self._wanted(words, reason)
        text = _("“{value}”") if same else _("anything but “{value}”")
        return text.format(value=words.value(right, beside=left))

    # -- what is not known --------------------------------------------------------------------------------------

    def _unknown(self, words: Words, side: Side, chosen: Mapping[str, Choice | None]) -> str:
        _, slot = self._, side.slot
        what = words.what(side)
        if slot is not None and slot.kind in ("value", "age") and _choice(slot, chosen) is None:
            return _("{what} is unknown: there is no value yet.").format(what=_capital(what))
        if slot is not None and slot.kind == "window":
            if _choice(slot, chosen) is None:
                return _("{what} is unknown: there is no value yet.").format(what=_capital(what))
            return _("{what} is unknown: the readings do not cover that time.").format(what=_capital(what))
        if slot is not None and slot.zone is not None:
            return _("{what} is unknown: too little is known of the places.").format(what=_capital(what))
        if self._instance.gateway is not None:
            return _("{what} is unknown: it is no longer than the gateway's pauses usually are.").format(
                what=_capital(what)
            )
        return _("{what} is unknown.").format(what=_capital(what))

    def _too_old(self, choice: Choice) -> str:
        device = self._directory.devices.get(choice[0][0])
        age = self._now - choice[1][1]
        if age <= silent_after(device, self._intervals):
            return ""
        text = self._(" That was {ago}: what is so now is unknown.")
        return text.format(ago=self._ago(age))

    def _silent(self) -> Iterator[str]:
        """Sensors from which nothing comes, and so nothing can begin."""
        instance, _ = self._instance, self._
        for device in watching(instance, self._directory, self._now):
            heard, name = self._view.heard(device.id), device.name or device.dev_eui
            if heard is None:
                yield _("{name} has never been heard.").format(name=name)
            elif self._now - heard > silent_after(device, self._intervals):
                text = _("{name} is silent: its last message came {ago}.")
                yield text.format(name=name, ago=self._ago(self._now - heard))

    def _ago(self, age: timedelta) -> str:
        return str(format_timedelta(-age, add_direction=True, locale=self._language))


def watching(instance: Instance, directory: Directory, now: datetime) -> Iterator[Device]:
    """The device itself, or the devices that are mounted at the place."""
    if instance.device is not None:
        yield instance.device
        return
    ids: Iterable[int] = dict.fromkeys(i.device_id for i in instance.installations if i.in_force(now))
    yield from (directory.devices[id_] for id_ in ids if id_ in directory.devices)


def _choice(slot: Slot | None, chosen: Mapping[str, Choice | None]) -> Choice | None:
    return chosen.get(slot.name) if slot is not None else None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
