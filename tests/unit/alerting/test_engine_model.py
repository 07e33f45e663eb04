"""The engine against a second, plain writing of what it ought to do, over any history."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from smartdorf.alerting.engine import Observation
from smartdorf.directory import Installation
from tests.unit.alerting.model import Model, Mounted
from tests.unit.alerting.village import Village, at, make_device, make_place, make_rules

# Few times and values, so that late, repeated and early data, swaps and timers meet often.
MINUTES = st.integers(0, 12).map(lambda tens: 20 * tens)
VALUES = st.one_of(
    st.sampled_from([10.0, 70.0, 80.0, 95.0, 95.0]).map(lambda value: ("fill_level_pct", value)),
    st.sampled_from([0.0, 1.0, 1.0]).map(lambda value: ("container_tilted", value)),
)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    values = dict(draw(st.lists(VALUES, max_size=2)))
    channel = draw(st.sampled_from([0, 0, 0, 1]))
    told = tuple((channel, name, value) for name, value in values.items())
    return Observation(draw(st.integers(1, 3)), at(draw(MINUTES)), told)


STEPS = st.lists(st.one_of(observations(), MINUTES), max_size=30)

BEGIN = -600  # minutes; what was mounted then and never heard is silent


def both() -> tuple[Village, Model]:
    """Two sensors at the first place, one of which was at the second before; there, it was swapped."""
    village = Village(
        make_rules("Full", "Tilted", "Steady", "PlaceSilent"),
        places=[make_place(1), make_place(2)],
        devices=[make_device(1), make_device(2), make_device(3)],
        installations=[
            Installation(1, 1, at(BEGIN)),
            Installation(2, 1, at(50)),
            Installation(2, 2, at(BEGIN), valid_to=at(50)),
            Installation(3, 2, at(50)),
        ],
    )
    model = Model(
        [
            Mounted(1, 1, BEGIN),
            Mounted(2, 1, 50),
            Mounted(2, 2, BEGIN, 50),
            Mounted(3, 2, 50),
        ]
    )
    village.tick(BEGIN)  # the service runs since then
    model.tick(BEGIN)
    return village, model


@settings(max_examples=300, deadline=None)  # the model is slow
@given(STEPS)
def test_the_engine_does_what_its_rules_mean(steps: list[Observation | int]) -> None:
    village, model = both()
    latest = 0
    for step in steps:
        if isinstance(step, Observation):
            village.see_all(step)
            model.see(step)
        else:
            latest = max(latest, step)  # the clock never goes back
            village.tick(latest)
            model.tick(latest)
        assert sorted(village.log) == sorted(model.log)
    assert {
        (key.rule, key.id): state.phase == "firing" for key, state in village.state.instances.items()
    } == {key: alert.firing for key, alert in model.alerts.items()}
