"""What would change if stored uplinks were decoded anew, and what a device itself has changed."""

from datetime import UTC, datetime, timedelta

from smartdorf.ingest.drift import Difference, Drift, Key, Switch
from smartdorf.model import Decoded, Fault, Sample

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
EUI = "24e124136c012345"


def decoded(**values: float) -> Decoded:
    return Decoded(tuple(Sample(name, value, NOON) for name, value in values.items()))


def stored(time: datetime = NOON, **values: float) -> dict[Key, float]:
    return {(0, name, time): value for name, value in values.items()}


def test_values_that_stay_change_come_and_go():
    drift = Drift()
    drift.add(EUI, NOON, (2, 4), decoded(a=1.0, b=2.0, c=3.0), stored(a=1.0, b=2.5, d=4.0))
    counts = {name: (q.same, q.changed, q.new, q.gone) for name, q in drift.quantities.items()}
    assert counts == {"a": (1, 0, 0, 0), "b": (0, 1, 0, 0), "c": (0, 0, 1, 0), "d": (0, 0, 0, 1)}
    assert drift.quantities["b"].examples == [Difference(EUI, 0, NOON, 2.5, 2.0)]
    assert drift.differs


def test_a_frame_that_could_be_read_and_no_longer_can():
    drift = Drift()
    drift.add(EUI, NOON, (2, 4), Decoded(fault=Fault("length")), stored(a=1.0))
    drift.add(EUI, NOON + HOUR, (2, 4), Decoded(fault=Fault("length")), {})  # never could
    assert drift.faults == {"length": 1}
    assert drift.quantities == {}
    assert drift.differs


def test_the_same_is_no_difference():
    drift = Drift()
    drift.add(EUI, NOON, (2, 4), decoded(a=1.0), stored(a=1.0))
    assert not drift.differs
    assert drift.uplinks == 1


def test_history_of_another_frame_is_not_gone():
    drift = Drift()
    drift.add(EUI, NOON, (2, 4), decoded(a=1.0), stored(a=1.0) | stored(NOON - HOUR, b=7.0))
    assert not drift.differs


def frames(*lengths: int, **objects: str) -> Drift:
    drift = Drift()
    for number, length in enumerate(lengths):
        found = Decoded((), {"firmware_version": objects["firmware"][number]} if objects else None)
        drift.add(EUI, NOON + number * HOUR, (2, length), found, {})
    return drift


def test_a_device_whose_frames_have_another_length_since_then():
    assert list(frames(8, 8, 8, 11, 11, 11).switches()) == [
        Switch(EUI, "f_port 2, bytes", ("8",), ("11",), NOON + 3 * HOUR)
    ]


def test_lengths_that_come_and_go_are_no_change():
    assert list(frames(8, 11, 8, 11, 8, 11, 8).switches()) == []


def test_one_odd_frame_is_no_change():
    assert list(frames(8, 8, 8, 8, 11).switches()) == []


def test_a_new_firmware_is_named():
    drift = frames(8, 8, 8, 8, 8, 8, firmware="111222")
    assert list(drift.switches()) == [Switch(EUI, "firmware_version", ("1",), ("2",), NOON + 3 * HOUR)]
