"""What holds for every history: data, time and restarts in any order."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from smartdorf.alerting import engine
from smartdorf.alerting.engine import Observation, evaluate, tick
from smartdorf.directory import Installation
from tests.unit.alerting.village import LONG_AGO, Village, at, make_device, make_place, make_rules

EXAMPLES = settings(max_examples=60)
RULES = make_rules("Full", "Tilted", "Steady", "Frost", "Silent", "PlaceSilent", "Lately", "Stale")

VALUES = {
    "fill_level_pct": [10.0, 59.0, 60.0, 79.0, 80.0, 95.0],
    "container_tilted": [0.0, 1.0],
    "air_temperature_c": [-1.0, 5.0],
    "ground_temperature_c": [-1.0, 5.0],
}


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=3))
    channel = draw(st.sampled_from([0, 0, 0, 1]))
    values = tuple((channel, name, draw(st.sampled_from(VALUES[name]))) for name in names)
    return Observation(draw(st.integers(1, 3)), at(draw(st.integers(0, 400))), values)


STEPS = st.lists(
    st.one_of(
        st.lists(observations(), min_size=1, max_size=4),
        st.integers(0, 400).map(at),  # a tick
    ),
    max_size=25,
)


def village() -> Village:
    """Two sensors at the first place, one (and a former one) at the second."""
    return Village(
        RULES,
        places=[make_place(1), make_place(2)],
        devices=[make_device(1), make_device(2), make_device(3)],
        installations=[
            Installation(1, 1, LONG_AGO),
            Installation(2, 1, at(50)),
            Installation(2, 2, LONG_AGO, valid_to=at(50)),
            Installation(3, 2, at(50)),
        ],
    )


def run(
    made: Village, steps: list[object], between: Callable[[Village], object] = lambda _village: None
) -> None:
    """Ticks never go back, as the clock of the service does not."""
    latest = at(0)
    for step in steps:
        if isinstance(step, list):
            made.see_all(*step)
        else:
            latest = max(latest, step)  # type: ignore[call-overload]  # a step is a list or a time
            made.tick((latest - at(0)) / timedelta(minutes=1))
        between(made)


@EXAMPLES
@given(STEPS)
def test_one_open_alert_per_rule_and_place_and_every_step_follows_from_the_one_before(
    steps: list[object],
) -> None:
    made = village()
    phases: dict[object, str] = {}
    follows = {
        ("none", "pending"): "pending",
        ("none", "fired"): "firing",
        ("pending", "fired"): "firing",
        ("pending", "dropped"): "none",
        ("firing", "resolved"): "none",
    }

    def check(made: Village) -> None:
        assert made.last is not None
        for transition in made.last.transitions:
            key = transition.key
            phases[key] = follows[phases.get(key, "none"), transition.kind]
            assert transition.time >= transition.since
        open_now = {key: phase for key, phase in phases.items() if phase != "none"}
        assert open_now == {key: state.phase for key, state in made.state.instances.items()}

    run(made, steps, check)


@EXAMPLES
@given(STEPS)
def test_time_alone_never_resolves_anything(steps: list[object]) -> None:
    made = village()

    def check(made: Village) -> None:
        assert made.last is not None
        before = dict(made.state.instances)
        for minutes in (500, 5000, 500_000):
            later = tick(made.bound, made.state, at(minutes))
            assert all(transition.kind != "resolved" for transition in later.transitions)
        assert before == made.state.instances

    run(made, steps, check)


@EXAMPLES
@given(STEPS)
@example(
    [at(0), [Observation(3, at(50))], at(0)]
)  # ahead of the clock, from a sensor that is to be mounted then
def test_a_restart_at_any_point_changes_nothing(steps: list[object]) -> None:
    through, restarted = village(), village()
    run(through, steps)
    run(restarted, steps, lambda made: made.restart())
    assert restarted.log == through.log
    assert restarted.state.instances == through.state.instances


@EXAMPLES
@given(STEPS)
def test_the_outcome_does_not_depend_on_how_observations_are_batched(steps: list[object]) -> None:
    together, one_by_one = village(), village()
    run(together, steps)
    run(
        one_by_one,
        [part for step in steps for part in ([[o] for o in step] if isinstance(step, list) else [step])],
    )
    assert together.log == one_by_one.log
    assert together.state.instances == one_by_one.state.instances


@EXAMPLES
@given(STEPS)
def test_what_was_seen_already_changes_nothing_when_it_comes_again(steps: list[object]) -> None:
    made = village()
    run(made, steps)
    log = list(made.log)
    for step in steps:
        if isinstance(step, list):
            made.see_all(*step)
    assert made.log == log


@EXAMPLES
@given(STEPS)
def test_evaluating_changes_nothing_and_says_the_same_twice(steps: list[object]) -> None:
    made = village()
    for step in steps:
        before = copy.deepcopy(
            (made.state.instances, made.state.latest, made.state.last_heard, made.state.series)
        )
        first, second = (
            evaluate(made.bound, made.state, step)
            if isinstance(step, list)
            else tick(made.bound, made.state, step)  # type: ignore[arg-type]  # a step is a list or a time
            for _time in range(2)
        )
        assert first.transitions == second.transitions
        assert first.changes.instances == second.changes.instances
        assert before == (made.state.instances, made.state.latest, made.state.last_heard, made.state.series)
        made.state.apply(second)


@EXAMPLES
@given(STEPS, st.lists(st.integers(1, 400), max_size=20))
def test_ticks_in_between_do_not_change_what_fires_by_time(steps: list[object], extra: list[int]) -> None:
    """A service that ticks every second and one that was busy for an hour say the same, if no data comes."""
    rare, often = village(), village()
    run(rare, steps)
    run(often, steps)
    for minutes in sorted(extra):
        often.tick(400 + minutes)
    often.tick(1000)
    rare.tick(1000)
    assert sorted(rare.log) == sorted(often.log)


@EXAMPLES
@given(STEPS)
def test_the_short_way_agrees_with_the_long_one(steps: list[object]) -> None:
    short, long = village(), village()
    run(short, steps)
    original = engine.surely_changes_nothing
    engine.surely_changes_nothing = lambda view, instance, alert, at: False
    try:
        run(long, steps)
    finally:
        engine.surely_changes_nothing = original
    assert short.log == long.log
