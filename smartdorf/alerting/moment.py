"""One instance at one moment: which values it sees, and what its conditions say of them.

How several sensors at one place are read: each has its own value. The condition holds if it holds with any of
them, and is cleared only if it is cleared with all of them. A sensor that was taken down counts only until its
successor has spoken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import product

from smartdorf.alerting.bound import Instance
from smartdorf.alerting.hearing import OUT_OF_SERVICE
from smartdorf.alerting.memory import Look, Series, View
from smartdorf.alerting.muting import muted_until
from smartdorf.alerting.sight import Choice, current
from smartdorf.alerting.state import AlertState, Input, Verdict
from smartdorf.alerting.texts import Facts
from smartdorf.alerting.windows import compute, usually
from smartdorf.alerting.zones import aggregate, look, told
from smartdorf.config.durations import format_duration
from smartdorf.config.kleene import Slots
from smartdorf.config.rule import Rule
from smartdorf.config.terms import Slot
from smartdorf.local_time import local_hour

_MICROSECOND = timedelta(microseconds=1)


def surely_changes_nothing(view: View, instance: Instance, alert: AlertState | None, at: datetime) -> bool:
    """The short way to "nothing new" for the usual case: one sensor, no times, and either nothing going on or an alert
    that fires, can rise no higher and is not clear."""
    plan, rule = instance.plan, instance.rule
    if instance.sole is None or plan.ages or plan.silence is not None or not _is_settled(instance, alert):
        return False
    slots = instance.template.copy()
    if not _fill_values(view, instance, instance.sole, slots, at):
        return False
    if plan.windows and _keeps(rule, alert, slots):
        return True  # whatever they would say
    if not _fill_windows(view, instance, instance.sole, slots, at):
        return False
    if alert is None and not plan.zones:
        return rule.when(slots) is not True
    return _keeps(rule, alert, slots)


def _is_settled(instance: Instance, alert: AlertState | None) -> bool:
    return alert is None or (
        alert.is_settled and alert.stage + 1 >= len(instance.rule.stages) and instance.active is None
    )


def _fill_values(
    view: View, instance: Instance, device_id: int, slots: list[float | None], at: datetime
) -> bool:
    """False: it is not the usual case."""
    plan = instance.plan
    if plan.hour is not None:
        slots[plan.hour] = local_hour(at)
    for slot, metric in plan.values:
        known = view.series(device_id, metric)
        if len(known) > 1:
            return False
        if known and (reading := view.reading(known[0])) is not None:
            if instance.place is not None and not instance.installations[0].in_force(reading[1]):
                return False
            slots[slot] = reading[0]
    return True


def _fill_windows(
    view: View, instance: Instance, device_id: int, slots: list[float | None], at: datetime
) -> bool:
    """As above."""
    for (slot, window), span in zip(instance.plan.windows, instance.spans, strict=True):
        known = view.series(device_id, window.name)
        reading = view.reading(known[0]) if known else None
        if len(known) > 1 or (reading is not None and reading[1] > at):
            return False
        if reading is not None:
            slots[slot] = window_of(view, instance, window, span, (known[0], reading), at)
    return True


def _keeps(rule: Rule, alert: AlertState | None, slots: Slots) -> bool:
    """What is known of the slots is enough to say that it stays as it is."""
    if alert is None:
        return rule.when(slots) is False
    return rule.when(slots) is True if rule.clear is None else rule.clear(slots) is False


def window_of(
    view: View, instance: Instance, window: Slot, span: timedelta, choice: Choice, at: datetime
) -> float | None:
    """What a sensor said in the last time, as far as it did so here."""
    series, (_value, time) = choice
    since = None
    if instance.device is None:
        here = (i.valid_from for i in instance.installations if i.covers(series[1], time))
        since = max(here, default=None)
    is_counter = instance.rule.quantities[window.name].kind == "counter"
    history = view.history_of(series)

    def value(time: datetime) -> float | None:
        return compute(window.function, history, time, span, since=since, is_counter=is_counter)

    return usually(value, at) if window.usual else value(at)


def begin_of(view: View, instance: Instance, slot: int, at: datetime) -> datetime | None:
    """Since when the slot of a silence or an age counts; with several sensors the longest. None: unknown.

    Where another alert explained it, it counts from the end of that one.
    """
    if slot == instance.plan.silence:
        begin = _silent_since(view, instance, at)
    else:
        metric = instance.rule.slots[slot].name
        times = (time for _series, (_value, time) in current(view, instance, metric, at))
        begin = min(times, default=None)
    if begin is None or not instance.rule.depends_on:
        return begin
    muted = muted_until(view, instance, at)
    return begin if muted is None else max(begin, muted)


def last_sign(view: View, instance: Instance) -> datetime | None:
    """When the gateway last heard anything; of a rule about our own, when it last told that it works."""
    assert instance.gateway is not None
    gateway_id = instance.gateway.id
    hearing = view.hearing
    return hearing.told_by(gateway_id) if instance.rule.for_each.is_own else hearing.last_of(gateway_id)


def usual_of(view: View, instance: Instance) -> timedelta:
    """How long a silence of the gateway is nothing unusual; where that is not known yet, for as long as it may be.

    One that tells of itself does so all the time.
    """
    assert instance.gateway is not None
    if instance.rule.for_each.is_own:
        return timedelta(0)
    usual = view.hearing.usual(instance.gateway.id)
    return OUT_OF_SERVICE if usual is None else min(usual, OUT_OF_SERVICE)


def silence_of(view: View, instance: Instance, slot: int, at: datetime) -> float | None:
    """What a silence or an age is, in microseconds.

    Of a gateway it is unknown where it is no longer than usual (nobody can say yet whether that is a silence), and
    where it was taken away.
    """
    begin = begin_of(view, instance, slot, at)
    if begin is None:
        return None
    passed = max(timedelta(0), at - begin)
    if instance.gateway is not None and passed and not usual_of(view, instance) < passed <= OUT_OF_SERVICE:
        return None
    return passed // _MICROSECOND


def _silent_since(view: View, instance: Instance, at: datetime) -> datetime | None:
    """The last uplink, or the mounting where that was later: nobody misses a sensor that is still in its box.

    One that is to be mounted in future is in its box until then. A gateway is silent since its last reception.
    """
    if instance.gateway is not None:
        return last_sign(view, instance)
    mounted = [i for i in instance.installations if i.in_force(at)]
    if not mounted:
        mounted = [i for i in instance.installations if i.valid_from > at]
    if instance.device is not None:
        times = [i.valid_from for i in mounted]
        heard = view.heard(instance.device.id)
        return max([*times, heard] if heard is not None else times, default=None)
    since = [max(view.heard(i.device_id) or i.valid_from, i.valid_from) for i in mounted]
    return min(since, default=None)


class Moment:
    """What an instance sees at one time."""

    __slots__ = (
        "_best",
        "_certain",
        "_choices",
        "_fresh",
        "_given",
        "_instance",
        "_looks",
        "_slots",
        "_view",
        "at",
    )

    def __init__(self, view: View, instance: Instance, at: datetime, fresh: Collection[Series]) -> None:
        self._view = view
        self._instance = instance
        self._given = fresh
        self._looks: tuple[Look, ...] = ()  # what its zones say, once somebody has asked
        self._certain = False  # nothing is concluded from the known places of a zone about the others
        self._stand(at)

    def _stand(self, at: datetime) -> None:
        """See what there is at this time, or at that of the newest value where that is later."""
        view, instance, plan = self._view, self._instance, self._instance.plan
        self._choices = [current(view, instance, metric, at) for metric in plan.measured]
        newest = max((time for choices in self._choices for _series, (_value, time) in choices), default=at)
        if (
            newest > at
        ):  # a moment is not earlier than what is seen in it; by then a sensor may have been swapped
            at = newest
            self._choices = [current(view, instance, metric, at) for metric in plan.measured]
        self.at = at
        seen = {series for choices in self._choices for series, _reading in choices}
        for _slot, metric in plan.ages:
            seen.update(series for series, _reading in current(view, instance, metric, at))
        self._fresh = seen.intersection(self._given)  # without the late value of a sensor that was swapped
        self._slots = instance.template.copy()
        for slot in (
            *(slot for slot, _metric in plan.ages),
            *(() if plan.silence is None else (plan.silence,)),
        ):
            self._slots[slot] = silence_of(view, instance, slot, at)
        if plan.hour is not None:
            self._slots[plan.hour] = local_hour(at)
        self._best: tuple[Choice | None, ...] = tuple(
            choices[0] if choices else None for choices in self._choices
        )

    def verdict(self, *, firing: bool, is_data: bool) -> Verdict:
        rule, active = self._instance.rule, self._instance.active
        said = self._said(firing=firing, is_data=is_data)
        if active is None or active.is_open(self.at):
            return said
        # outside of its hours no stage holds, whatever the values are, nor if they are unknown
        clears = True if firing and rule.clear is None else said.clears
        return said._replace(levels=(False,) * len(said.levels), clears=clears)

    def _said(self, *, firing: bool, is_data: bool) -> Verdict:
        verdict = self._verdict(firing=firing, is_data=is_data)
        if self._instance.zones and (None in verdict.levels or (firing and verdict.clears is None)):
            self._look_around()  # what is decided without them is decided whatever they say
            latest = max(around.at for around in self._looks)
            if latest > self.at:  # as with the own values: no moment is earlier than what is seen in it
                self._stand(latest)
                self._look_around()
            verdict = self._verdict(firing=firing, is_data=is_data)
            if firing:
                verdict = self._careful(verdict)
        return verdict

    def _careful(self, verdict: Verdict) -> Verdict:
        """What was concluded may keep an alert up or raise it, but only what is certain ends it."""
        self._certain = True
        sure = self._verdict(firing=True, is_data=verdict.fresh)
        self._certain = False
        levels = (holds or certain for holds, certain in zip(verdict.levels, sure.levels, strict=True))
        return verdict._replace(levels=tuple(levels), clears=sure.clears)

    def _look_around(self) -> None:
        """Let the zones have their say."""
        self._looks = tuple(look(self._view, zone, self.at) for zone in self._instance.zones)

    def _verdict(self, *, firing: bool, is_data: bool) -> Verdict:
        rule = self._instance.rule
        if any(len(choices) > 1 for choices in self._choices):
            return self._verdict_of_several(firing=firing, is_data=is_data)
        slots = self._filled(self._best)
        levels = rule.levels(slots)
        clears = None if not firing else _not(levels[0]) if rule.clear is None else rule.clear(slots)
        return Verdict(levels, clears, (bool(self._fresh),) * len(levels), is_data)

    def _verdict_of_several(self, *, firing: bool, is_data: bool) -> Verdict:
        rule = self._instance.rule
        combinations = list(product(*self._each_choice()))
        each = [rule.levels(self._filled(chosen)) for chosen in combinations]
        levels = tuple(_any(verdicts) for verdicts in zip(*each, strict=True))
        readings = []
        for stage, holds in enumerate(levels):
            holding = [chosen for chosen, verdict in zip(combinations, each, strict=True) if verdict[stage]]
            fresh = [chosen for chosen in holding if any(c and c[0] in self._fresh for c in chosen)]
            readings.append(bool(fresh))  # a good value of one sensor is no second bad reading of another
            if holds:  # those of the highest stage that holds are told
                self._best = (fresh or holding)[0]
        clears: bool | None = None
        if firing and rule.clear is None:
            clears = _not(levels[0])
        elif firing and rule.clear is not None:
            clears = _not(_any([_not(rule.clear(self._filled(chosen))) for chosen in combinations]))
        return Verdict(levels, clears, tuple(readings), is_data)

    def _each_choice(self) -> list[list[Choice | None]]:
        """Of each quantity, the sensors that tell it; None where none does."""
        return [[*found] or [None] for found in self._choices]

    def _filled(self, chosen: Iterable[Choice | None]) -> Slots:
        slots, instance = self._slots.copy(), self._instance
        choices = dict(zip(instance.plan.measured, chosen, strict=True))
        for slot, metric in instance.plan.values:
            choice = choices[metric]
            slots[slot] = None if choice is None else choice[1][0]
        for (slot, window), span in zip(instance.plan.windows, instance.spans, strict=True):
            choice = choices[window.name]
            slots[slot] = (
                None if choice is None else window_of(self._view, instance, window, span, choice, self.at)
            )
        for (least, top, zone), around in zip(instance.plan.zones, self._looks, strict=False):
            values = around.without(instance.place)
            slots[least], greatest = aggregate(zone, values, certain=self._certain)
            if top is not None:
                slots[top] = greatest
        return slots

    def slots(self) -> Slots:
        """What the decision was made on, in the order of the rule's slots."""
        return self._filled(self._best)

    def combinations(self) -> Iterator[tuple[dict[str, Choice | None], Slots]]:
        """The value of one sensor for each quantity, and the slots with them: as the condition is asked."""
        if not self._looks:
            self._look_around()
        for chosen in product(*self._each_choice()):
            yield dict(zip(self._instance.plan.measured, chosen, strict=True)), self._filled(chosen)

    # -- to be told ---------------------------------------------------------------------------------------------

    def inputs(self) -> dict[str, Input]:
        """The values that decided, by quantity."""
        plan = self._instance.plan
        if not self._looks:
            self._look_around()
        seen = {
            metric: max(current(self._view, self._instance, metric, self.at), key=_time_of, default=None)
            for _slot, metric in plan.ages
        }
        seen.update(zip(plan.measured, self._best, strict=True))
        inputs = {
            metric: Input(choice[1][0], choice[1][1]) for metric, choice in seen.items() if choice is not None
        }
        filled = self._filled(self._best)
        for (slot, window), span in zip(plan.windows, self._instance.spans, strict=True):
            value, choice = filled[slot], seen[window.name]
            if value is not None and choice is not None:
                name = f"{window.function}({window.name}, {format_duration(span // _MICROSECOND)})"
                name = f"usual({name})" if window.usual else name
                inputs[name] = Input(value, choice[1][1])
        for (least, top, zone), around in zip(plan.zones, self._looks, strict=True):
            value = told(filled[least], None if top is None else filled[top])
            if value is not None:
                inputs[zone.text] = Input(value, around.newest or self.at)
        return inputs

    def facts(self, stage: int) -> Facts:
        """What the placeholders of the texts stand for. ``stage``: the one that was reached."""
        if not self._looks:
            self._look_around()
        instance, directory = self._instance, self._view.rules.directory
        mounted = [i for i in instance.installations if i.in_force(self.at)]
        devices = [directory.devices[i.device_id] for i in mounted if i.device_id in directory.devices]
        places = [directory.places[i.place_id] for i in mounted if i.place_id in directory.places]
        if instance.device is not None:
            devices = [instance.device]
        if instance.place is not None:
            places = [instance.place]
        device_names = ", ".join(dict.fromkeys(device.name or device.dev_eui for device in devices))
        place_names = ", ".join(dict.fromkeys(place.name for place in places))
        silent_since = _silent_since(self._view, instance, self.at)
        plan, slots, seen = instance.plan, list(enumerate(instance.rule.slots)), self._filled(self._best)
        return Facts(
            place=place_names,
            device=device_names,
            values={
                metric: None if choice is None else choice[1][0]
                for metric, choice in zip(plan.measured, self._best, strict=True)
            },
            windows={slot.placeholder: (slot, seen[index]) for index, slot in reversed(plan.windows)},
            zones=[
                (zone, told(seen[least], None if top is None else seen[top]), around.without(instance.place))
                for (least, top, zone), around in zip(plan.zones, self._looks, strict=True)
            ],
            limits={slot.name: self._slots[index] for index, slot in slots if slot.kind == "limit"},
            silence=None if silent_since is None else max(0, (self.at - silent_since) // _MICROSECOND),
            stage=instance.rule.stages[stage].name,
            gateway=str(instance.gateway or ""),
        )


def _time_of(choice: Choice) -> datetime:
    return choice[1][1]


def _any(verdicts: Iterable[bool | None]) -> bool | None:
    found = list(verdicts)
    return True if True in found else None if None in found else False


def _not(verdict: bool | None) -> bool | None:
    return None if verdict is None else not verdict
