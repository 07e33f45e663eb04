"""Gateways that stop hearing, and what waits for the end of another alert. Times are hours since the beginning."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from smartdorf.alerting.engine import AlertKey, bind
from smartdorf.alerting.hearing import NOTED_EVERY, Hearing, Listening
from smartdorf.directory import Installation
from tests.unit.alerting.village import LONG_AGO, Village, at, make_device, make_place, make_rules, seen

HOUR = 60
RULES = make_rules("Deaf", "Missing")


def village(
    *names: str, gateways: dict[int, float] | None = None, devices: int = 3, **bodies: str
) -> Village:
    """Gateways whose longest pauses are an hour (so their limit is the rule's), and sensors without a place."""
    rules = make_rules(*names, **bodies) if names or bodies else RULES
    sensors = [make_device(n) for n in range(1, devices + 1)]
    known = gateways or {1: HOUR, 2: HOUR}
    return Village(rules, places=(), devices=sensors, installations=(), gateways=known)


def log(made: Village, rule: str) -> list[tuple[str, float]]:
    return [(kind, minutes / HOUR) for name, kind, minutes in made.log if name == rule]


def fired(made: Village, rule: str) -> list[int]:
    """At what: ids."""
    return sorted(k.id for k, s in made.state.instances.items() if k.rule == rule and s.phase == "firing")


# -- a gateway ----------------------------------------------------------------------------------------------------


def test_a_gateway_that_hears_nothing_is_reported_and_any_reception_ends_it() -> None:
    made = village()
    made.see(0, 1, by=[1]).see(HOUR, 2, by=[1]).tick(3 * HOUR)
    assert made.log == []
    made.tick(3 * HOUR + 1)
    assert [kind for kind, _hour in log(made, "Deaf")] == ["fired"]
    assert made.last is not None
    [transition] = made.last.transitions
    assert transition.key == AlertKey("Deaf", "gateway", 1)
    assert transition.summary == {"de": "Gateway 1: seit 2\xa0Stunden", "en": "Gateway 1: for 2\xa0hours"}
    made.see(9 * HOUR, 3, by=[2, 1])
    assert log(made, "Deaf")[-1] == ("resolved", 9)


def test_a_gateway_with_long_pauses_is_given_twice_the_second_longest() -> None:
    """Every night it hears nothing for 7 hours; one night it was 30."""
    made = village(gateways={1: 7 * HOUR})
    made.state.hearing.pauses[1][at(0).toordinal() - 4] = timedelta(hours=30)
    made.see(0, 1, by=[1]).tick(14 * HOUR)
    assert made.log == []
    made.tick(14 * HOUR + 1)
    assert fired(made, "Deaf") == [1]


def test_its_pauses_are_learned() -> None:
    """For two weeks it hears one sensor, at six and at noon: eighteen hours are nothing, and thirty-six are not yet."""
    made = village(gateways={1: 1})
    made.state.hearing.pauses.clear()
    hours = [24 * day + hour for day in range(1, 15) for hour in (6, 12)]
    for hour in hours:
        made.tick(hour * HOUR).see(hour * HOUR, 1, by=[1])
    assert log(made, "Deaf") == []
    last = hours[-1]
    made.tick((last + 36) * HOUR)
    assert log(made, "Deaf") == []
    made.tick((last + 36) * HOUR + 1)
    assert fired(made, "Deaf") == [1]


def test_a_gateway_that_was_heard_on_three_days_only_is_not_missed() -> None:
    """A foreign one, by chance."""
    made = village(gateways={1: 1})
    made.state.hearing.pauses.clear()
    made.see(0, 1, by=[1]).see(24 * HOUR, 1, by=[1]).see(48 * HOUR, 1, by=[1])
    made.tick(29 * 24 * HOUR)
    assert log(made, "Deaf") == []


def test_after_a_month_it_counts_as_taken_away_and_may_come_back() -> None:
    made = village()
    made.see(0, 1, by=[1]).tick(30 * 24 * HOUR)
    assert fired(made, "Deaf") == [1]
    made.tick(30 * 24 * HOUR + 1)
    assert fired(made, "Deaf") == []
    assert made.last is not None
    assert [(t.kind, t.reason) for t in made.last.transitions if t.key.rule == "Deaf"] == [
        ("resolved", "gateway out of service")
    ]
    made.tick(50 * 24 * HOUR)
    assert fired(made, "Deaf") == []
    made.see(50 * 24 * HOUR, 1, by=[1])
    made.state.hearing.pauses[1].update({at(50 * 24 * HOUR).toordinal() - n: timedelta(0) for n in (1, 2, 3)})
    made.tick(50 * 24 * HOUR + 3 * HOUR)
    assert fired(made, "Deaf") == [1]


def test_a_gateway_that_is_gone_from_the_directory_ends_its_alert() -> None:
    made = village()
    made.see(0, 1, by=[1]).tick(3 * HOUR)
    made.directory.gateways.clear()  # type: ignore[attr-defined]
    made.rebind(4 * HOUR)
    assert made.last is not None
    assert [(t.kind, t.reason) for t in made.last.transitions] == [("resolved", "gateway removed")]


def test_late_data_changes_nothing() -> None:
    made = village()
    made.see(2 * HOUR, 1, by=[1]).see(0, 2, by=[1]).tick(4 * HOUR)
    assert made.log == []
    made.tick(4 * HOUR + 1)
    assert fired(made, "Deaf") == [1]
    made.see(3, 2, by=[1])
    assert fired(made, "Deaf") == [1]


# -- who waits ----------------------------------------------------------------------------------------------------


def test_what_only_it_hears_waits_and_what_another_hears_does_not() -> None:
    made = village(gateways={1: HOUR, 2: 24 * HOUR})
    made.see(0, 1, by=[1]).see(0, 2, by=[1, 2]).see(0, 3, by=[2])
    made.tick(27 * HOUR)
    assert fired(made, "Deaf") == [1]
    assert fired(made, "Missing") == [2, 3]
    waits = made.state.instances[AlertKey("Missing", "device", 1)]
    assert (waits.phase, waits.muted_by) == ("pending", (AlertKey("Deaf", "gateway", 1),))
    made.tick(29 * 24 * HOUR)  # however long it takes
    assert fired(made, "Missing") == [2, 3]


def test_two_gateways_explain_it_together() -> None:
    made = village()
    made.see(0, 1, by=[1, 2]).tick(27 * HOUR)
    assert fired(made, "Deaf") == [1, 2]
    assert made.state.instances[AlertKey("Missing", "device", 1)].muted_by == (
        AlertKey("Deaf", "gateway", 1),
        AlertKey("Deaf", "gateway", 2),
    )


def test_a_gateway_that_heard_it_more_than_a_week_before_its_last_message_counts_no_more() -> None:
    made = village(gateways={1: HOUR, 2: 24 * HOUR})
    made.see(0, 1, by=[1, 2]).see(8 * 24 * HOUR, 1, by=[1]).see(8 * 24 * HOUR, 2, by=[2])
    made.tick(9 * 24 * HOUR + 3 * HOUR)
    assert fired(made, "Missing") == [2]


def test_nobody_knows_who_hears_it_so_it_is_told() -> None:
    made = village()
    made.see(0, 1, by=[1]).see(0, 2).tick(27 * HOUR)
    assert fired(made, "Missing") == [2]


def test_both_come_due_at_the_same_moment() -> None:
    """The gateway comes first, however late the tick."""
    same = RULES_AT_ONCE
    for steps in ([26 * HOUR + 1], [100 * HOUR]):
        made = village(Deaf=same, Missing=MISSING)
        made.see(0, 1, by=[1])
        for minutes in steps:
            made.tick(minutes)
        assert fired(made, "Deaf") == [1]
        assert fired(made, "Missing") == []


RULES_AT_ONCE = """
        for_each: {gateway: any}
        when: silent_for() > "26h"
        summary: {de: a, en: a}"""
MISSING = """
        for_each: {device: any}
        when: silent_for() > "26h"
        depends_on: [Deaf]
        summary: {de: b, en: b}"""


def test_one_that_holds_and_waits_for_its_time_explains_too() -> None:
    """Else forty sensors would be told in the minutes before their gateway is."""
    patient = RULES_AT_ONCE.replace('"26h"', '"25h55m"') + "\n        for: 10m"
    made = village(Deaf=patient, Missing=MISSING)
    made.see(0, 1, by=[1])
    for minute in range(26 * HOUR - 10, 26 * HOUR + 20):
        made.tick(minute)
    assert (fired(made, "Deaf"), fired(made, "Missing")) == ([1], [])
    assert [(kind, round(hour, 6)) for kind, hour in log(made, "Missing")] == [("pending", 26)]


# -- when it is over ----------------------------------------------------------------------------------------------


def test_who_stays_silent_is_told_a_whole_limit_later_and_with_its_true_silence() -> None:
    made = village(gateways={1: 12 * HOUR})
    made.see(0, 1, by=[1]).see(0, 2, by=[1]).tick(35 * HOUR)
    assert (fired(made, "Deaf"), made.phase("Missing")) == ([1], "pending")
    made.see(40 * HOUR, 1, by=[1]).tick(40 * HOUR)
    assert made.state.instances == {}
    made.see(60 * HOUR, 1, by=[1]).tick(66 * HOUR)
    assert fired(made, "Missing") == []
    made.tick(66 * HOUR + 1)
    assert fired(made, "Missing") == [2]
    assert made.last is not None
    assert made.last.transitions[0].summary["en"] == "Sensor 2: for 66\xa0hours"


def test_who_was_not_due_yet_has_a_whole_limit_as_well() -> None:
    """A daily sensor whose hour was within the outage."""
    made = village(gateways={1: 12 * HOUR})
    made.see(0, 2, by=[1]).see(0, 1, by=[1]).tick(24 * HOUR + 1)
    assert fired(made, "Deaf") == [1]
    made.see(25 * HOUR, 1, by=[1]).tick(25 * HOUR)
    made.see(45 * HOUR, 1, by=[1]).tick(51 * HOUR)
    assert fired(made, "Missing") == []
    made.tick(51 * HOUR + 1)
    assert fired(made, "Missing") == [2]


def test_of_two_gateways_the_first_that_is_back_ends_it() -> None:
    made = village(gateways={1: 12 * HOUR, 2: 12 * HOUR}, devices=4)
    made.see(0, 1, by=[1, 2]).tick(40 * HOUR)
    made.see(40 * HOUR, 3, by=[1]).tick(40 * HOUR)
    assert fired(made, "Deaf") == [2]
    made.see(50 * HOUR, 4, by=[2]).see(60 * HOUR, 3, by=[1]).see(60 * HOUR, 4, by=[2]).tick(66 * HOUR)
    assert fired(made, "Missing") == []
    made.tick(66 * HOUR + 1)
    assert fired(made, "Missing") == [1]


def test_a_restart_forgets_nothing_of_it() -> None:
    made = village(gateways={1: 12 * HOUR})
    made.see(0, 1, by=[1]).see(0, 2, by=[1]).restart().tick(35 * HOUR).restart().tick(36 * HOUR)
    assert (fired(made, "Deaf"), made.phase("Missing", 2)) == ([1], "pending")
    made.see(40 * HOUR, 1, by=[1]).restart().tick(41 * HOUR)
    assert AlertKey("Missing", "device", 2) not in made.state.instances
    made.see(60 * HOUR, 1, by=[1]).restart().tick(66 * HOUR)
    assert fired(made, "Missing") == []
    made.restart().tick(66 * HOUR + 1)
    assert fired(made, "Missing") == [2]


def test_what_is_told_already_stays() -> None:
    made = village(gateways={1: 12 * HOUR})
    made.see(0, 1, by=[1]).see(10 * HOUR, 2, by=[1]).tick(27 * HOUR)
    assert fired(made, "Missing") == [1]
    made.tick(41 * HOUR)
    assert (fired(made, "Deaf"), fired(made, "Missing")) == ([1], [1])
    made.see(45 * HOUR, 2, by=[1]).tick(50 * HOUR)
    assert fired(made, "Missing") == [1]


def test_a_rule_of_values_waits_as_well_and_begins_anew() -> None:
    """The same place: while the well is being worked at, its level says nothing."""
    bodies = {
        "Works": """
        for_each: {place_type: container}
        when: container_tilted
        summary: {de: a, en: a}""",
        "High": """
        for_each: {place_type: container}
        when: fill_level_pct > 80
        for: 30m
        depends_on: [Works]
        summary: {de: b, en: b}""",
    }
    made = Village(make_rules(**bodies))
    made.see(0, container_tilted=1, fill_level_pct=90).tick(HOUR)
    assert (made.phase("Works"), made.phase("High")) == ("firing", "pending")
    made.see(2 * HOUR, container_tilted=0).tick(2 * HOUR + 29)
    assert made.phase("High") == "pending"
    made.tick(2 * HOUR + 30)
    assert made.phase("High") == "firing"


def test_a_place_waits_only_where_all_its_sensors_are_explained() -> None:
    quiet = """
        for_each: {place_type: container}
        when: silent_for() > "26h"
        depends_on: [Deaf]
        summary: {de: b, en: b}"""
    made = Village(
        make_rules("Deaf", Quiet=quiet),
        places=[make_place(1), make_place(2)],
        devices=[make_device(1), make_device(2), make_device(3)],
        installations=[
            Installation(1, 1, LONG_AGO),
            Installation(2, 1, LONG_AGO),
            Installation(3, 2, LONG_AGO),
        ],
        gateways={1: HOUR, 2: 24 * HOUR},
    )
    made.see(0, 1, by=[1]).see(0, 2, by=[2]).see(0, 3, by=[1]).tick(27 * HOUR)
    assert fired(made, "Quiet") == [1]
    assert made.phase("Quiet", 2) == "pending"


def test_what_two_explained_together_is_known_also_when_one_of_them_was_down_again() -> None:
    made = village()
    made.see(0, 1, by=[1, 2]).tick(20 * HOUR)  # both are deaf from the third hour on
    made.see(23 * HOUR, 2, by=[1, 2])
    made.tick(26 * HOUR).see(26 * HOUR, 3, by=[2])  # the second was deaf once more, for an hour
    made.restart().tick(30 * HOUR)
    assert log(made, "Missing") == []  # its time began anew when both were back


# -- every history --------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.integers(1, 3), st.sets(st.integers(1, 2)), st.integers(1, 20)
        ),  # an uplink after so many hours
        st.integers(1, 30),  # only time
        st.just("restart"),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_nothing_begins_while_it_is_explained_and_nothing_ends_by_it(steps: list[object]) -> None:
    made = village()
    hour = 0
    heard: dict[int, set[int]] = {}  # by device; long ago is not reached in so few steps, so it is left out
    for step in steps:
        before = dict(made.state.instances)
        so_far = len(made.log)
        if step == "restart":
            made.restart()
            continue
        if isinstance(step, tuple):
            device, gateways, passed = step
            hour += passed
            made.tick(hour * HOUR)
            made.see(hour * HOUR, device, by=sorted(gateways))
            heard.setdefault(device, set()).update(gateways)
        else:
            assert isinstance(step, int)
            hour += step
            made.tick(hour * HOUR)
        if isinstance(step, int):  # an alert that began is not one that was explained all the time
            deaf = {key.id for key, state in before.items() if key.rule == "Deaf" and state.phase == "firing"}
            deaf &= set(fired(made, "Deaf"))
            for key, state in made.state.instances.items():
                was = before.get(key)
                began = state.phase == "firing" and (was is None or was.phase != "firing")
                if key.rule == "Missing" and began and hour < 7 * 24:
                    assert not heard.get(key.id) or not heard[key.id] <= deaf
            for key, state in before.items():  # time ends no alert
                assert state.phase != "firing" or key in made.state.instances or hour > 30 * 24
        for rule, kind, _minutes in made.log[so_far:]:
            if rule == "Missing" and kind == "resolved":
                assert isinstance(step, tuple)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_a_restart_in_between_makes_no_difference(steps: list[object]) -> None:
    plain, restarted = village(), village()
    hour = 0
    for step in steps:
        if step == "restart":
            restarted.restart()
            continue
        hour += step[2] if isinstance(step, tuple) else step  # type: ignore[operator]
        for made in (plain, restarted):
            made.tick(hour * HOUR)
            if isinstance(step, tuple):
                made.see(hour * HOUR, step[0], by=sorted(step[1]))
            made.tick(hour * HOUR)
    assert restarted.log == plain.log
    assert restarted.state.instances == plain.state.instances


# -- what is kept ---------------------------------------------------------------------------------------------------


def test_little_is_kept_and_written() -> None:
    hearing = Hearing()
    written = 0
    for minute in range(0, 30 * 24 * HOUR, 20):
        listening = Listening(hearing)
        listening.hear(1, [1 + minute % 3], at(minute))
        hearing.apply(listening)
        written += len(listening.pairs) + len(listening.pauses)
    assert len(hearing.pauses[1]) <= 14
    # every three hours the device with each of three gateways; each day the gateways' pauses
    assert written <= 3 * 30 * (timedelta(days=1) / NOTED_EVERY) + 3 * 30 * 4
    listening = Listening(hearing)
    listening.hear(1, [9], at(60 * 24 * HOUR))
    hearing.apply(listening)
    assert hearing.pairs == {1: {9: at(60 * 24 * HOUR)}}


def test_rules_come_after_what_they_depend_on() -> None:
    made = village()
    assert made.bound.ranks == {"Deaf": 0, "Missing": 1}
    assert made.bound.muting == {"Deaf"}
    assert bind(make_rules("Deaf"), made.directory, {}).muting == frozenset()


def test_observations_of_one_batch_count_in_their_order() -> None:
    made = village()
    made.see_all(seen(0, 1, by=[1]), seen(0, 2, by=[1]), seen(0, 3, by=[2]))
    made.tick(27 * HOUR)
    assert fired(made, "Deaf") == [1, 2]
    made.see_all(seen(27 * HOUR, 1, by=[1]), seen(27 * HOUR, 3, by=[2]))
    assert fired(made, "Deaf") == []
    made.tick(28 * HOUR)
    assert made.state.instances == {}


def test_a_rule_on_trial_explains_nothing_to_one_that_tells_people() -> None:
    """Nobody was told of the gateway, so somebody has to be told of the sensor."""
    for mode, phase in (("live", "firing"), ("shadow", "pending")):
        made = village(Deaf=RULES_AT_ONCE.replace("26h", "2h"), Missing=MISSING + f"\n        mode: {mode}")
        made.see(0, 1, by=[1]).tick(27 * HOUR)
        assert (fired(made, "Deaf"), made.phase("Missing")) == ([1], phase)
