"""What a value says beside those before it: jumps, sensors that stand still, counters that fall, failing decoders.

Pure. Flags and never drops: a flood is a jump as well. Only values newer than the last of their series are looked at;
what comes late cannot be judged by what came after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from smartdorf.decoding.plausible import Plausibility
from smartdorf.directory import Directory
from smartdorf.ingest.frames import LedgerBatch
from smartdorf.ingest.rows import RETRANSMISSION, Rows, measurement_rows
from smartdorf.model import Quality, Sample, Uplink

DECODE_FAULT = "decode_fault"  # the quantity
STUCK_READINGS = 10  # a sensor that reports once a day is not stuck after two equal days
# After the nearest step of the counter's range: what is more was no roll-over but a counter that began anew.
ROLLOVER_SHARE = 1 / 8

_HOUR = timedelta(hours=1)
_OUT_OF_RANGE = int(Quality.OUT_OF_RANGE)
_JUMP, _STUCK, _RESTARTING = int(Quality.JUMP), int(Quality.STUCK), int(Quality.RESTARTING)

SeriesKey = tuple[int, int, str]  # device_id, channel, quantity
Watched = Mapping[tuple[str, int], Plausibility]  # of a model, by quantity and channel


class Known(Struct, frozen=True, gc=False):
    """The last value of a series. ``base``: the last one that was no jump; ``since``: from when on it stands still."""

    time: datetime
    value: float
    base: float
    since: datetime
    readings: int  # since then


class SeriesLedger:
    """The series that are watched. Batches change it through ``begin`` and ``apply``."""

    def __init__(self, known: Mapping[SeriesKey, Known] | None = None) -> None:
        self.known: dict[SeriesKey, Known] = dict(known or {})

    def begin(self) -> SeriesBatch:
        return SeriesBatch(self)

    def apply(self, batch: SeriesBatch) -> None:
        """Take over what a committed batch has seen."""
        self.known.update(batch.known)

    def remember(self, device_id: int, samples: Iterable[Sample]) -> None:
        """Take over values that were decoded anew, where they are the newest."""
        for sample in samples:
            key, time, value = (device_id, sample.channel, sample.metric), sample.time, sample.value
            if (before := self.known.get(key)) is not None and time >= before.time:
                self.known[key] = Known(time, value, value, time, 1)


class SeriesBatch:
    """What one batch adds; thrown away when its transaction fails."""

    def __init__(self, ledger: SeriesLedger) -> None:
        self._ledger = ledger
        self.known: dict[SeriesKey, Known] = {}

    def last(self, key: SeriesKey) -> Known | None:
        return self.known.get(key) or self._ledger.known.get(key)

    def judge(self, key: SeriesKey, sample: Sample, plausibility: Plausibility) -> int:
        """The flags of one value, which is the last of its series from now on."""
        before, time, value = self.last(key), sample.time, sample.value
        if before is None:
            self.known[key] = Known(time, value, value, time, 1)
            return 0
        if time <= before.time:
            return 0
        if value == before.value:
            return self._judge_still(key, before, time, plausibility.stuck)
        jumped = _jumped(before, time, value, plausibility)
        self.known[key] = Known(time, value, before.base if jumped else value, time, 1)
        return _JUMP if jumped else 0

    def _judge_still(self, key: SeriesKey, before: Known, time: datetime, longest: timedelta | None) -> int:
        if longest is not None and time - before.time > longest:  # nobody knows what was in between
            self.known[key] = Known(time, before.value, before.value, time, 1)
            return 0
        readings = before.readings + 1
        self.known[key] = Known(time, before.value, before.value, before.since, readings)
        is_stuck = longest is not None and readings >= STUCK_READINGS and time - before.since >= longest
        return _STUCK if is_stuck else 0

    def note_fault(self, device_id: int, time: datetime, *, fault: bool) -> bool:
        """A frame could be read, or not; returns whether that is to be told: each fault is, and their end."""
        key = (device_id, 0, DECODE_FAULT)
        before = self.last(key)
        told = fault if before is None else (fault or before.value == 1) and time > before.time
        if not told:
            return False
        self.known[key] = Known(time, float(fault), float(fault), time, 1)
        return True


def _jumped(before: Known, time: datetime, value: float, plausibility: Plausibility) -> bool:
    """Far from the last value, and also from the last one before that one jumped: the way back is no jump."""
    if plausibility.is_counter and value < before.value and value < before.base:
        size = plausibility.rollover
        return not (size and value + size - before.value <= size * ROLLOVER_SHARE)
    if abs(value - before.value) <= plausibility.jump:
        return False
    reach = plausibility.jump * max(1.0, (time - before.time) / _HOUR)
    return abs(value - before.value) > reach and abs(value - before.base) > reach


def judged(
    first: Mapping[UUID, tuple[Uplink, Rows]],
    new: Collection[UUID],
    batch: SeriesBatch,
    watched: Mapping[str, Watched],
    ledger: LedgerBatch,
    directory: Directory,
    metrics: Mapping[str, int],
) -> dict[UUID, tuple[Uplink, Rows]]:
    """The batch's rows, the new ones with their flags. ``watched``: by model."""
    found = dict(first)
    for key, (uplink, rows) in first.items():
        row = rows.uplink
        if key not in new or row.model is None or row.status == RETRANSMISSION:
            continue
        is_restarting = ledger.is_restarting(row.device_id, uplink.time)
        flags = _flags(rows, batch, watched.get(row.model, {}), is_restarting=is_restarting)
        if flags:
            found[key] = uplink, _flagged(rows, flags)
        fault = row.fault is not None
        if batch.note_fault(row.device_id, uplink.time, fault=fault):
            found[key] = uplink, _with_fault(found[key][1], directory, metrics, fault=fault)
    return found


def _flags(rows: Rows, batch: SeriesBatch, watched: Watched, *, is_restarting: bool) -> dict[int, int]:
    """Which of the measurements, by number, get which flags."""
    samples, device_id = rows.samples, rows.uplink.device_id
    flags = dict.fromkeys(range(len(samples)), _RESTARTING) if is_restarting else {}
    if not watched or not samples:
        return flags
    numbers: Iterable[int] = range(len(samples))
    if samples[0].time is not samples[-1].time:  # nearly always all are of one time
        numbers = sorted(numbers, key=lambda number: samples[number].time)
    for number in numbers:
        sample = samples[number]
        plausibility = watched.get((sample.metric, sample.channel))
        # one that is out of range has its flag, and says nothing of the next
        if plausibility is None or sample.quality & _OUT_OF_RANGE:
            continue
        if found := batch.judge((device_id, sample.channel, sample.metric), sample, plausibility):
            flags[number] = flags.get(number, 0) | found
    return flags


def _flagged(rows: Rows, flags: Mapping[int, int]) -> Rows:
    measurements = [
        row._replace(quality=row.quality | flags.get(number, 0)) for number, row in enumerate(rows.plain)
    ]
    return rows._replace(measurements=[*measurements], plain=measurements)


def fault_sample(time: datetime, *, fault: bool) -> Sample:
    """Whether a frame could be read, as a measurement of its device."""
    return Sample(DECODE_FAULT, float(fault), time)


def _with_fault(rows: Rows, directory: Directory, metrics: Mapping[str, int], *, fault: bool) -> Rows:
    """The rows, and that the decoder failed, or no longer does, as a measurement of the device."""
    sample = fault_sample(rows.uplink.time, fault=fault)
    [row] = measurement_rows([sample], rows.uplink.device_id, directory, metrics, sample.time, 0)
    *earlier, last = rows.observations
    told = replace(last, values=(*last.values, (0, sample.metric, sample.value)))
    return rows._replace(measurements=[*rows.measurements, row], observations=[*earlier, told])
