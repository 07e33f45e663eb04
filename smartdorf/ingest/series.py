"""What a value says beside those before it: jumps, sensors that stand still, counters that fall. And what smartdorf
notes of a device by itself: frames that it cannot read, a weak link, session after session.

Pure. Flags and never drops: a flood is a jump as well. Only values newer than the last of their series are looked at;
what comes late cannot be judged by what came after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from smartdorf.decoding.plausible import Plausibility
from smartdorf.directory import Directory
from smartdorf.ingest.frames import LedgerBatch
from smartdorf.ingest.rows import RETRANSMISSION, Rows, measurement_rows
from smartdorf.model import Quality, Sample, Uplink
from smartdorf.vocabulary import DECODE_FAULT, LINK_WEAK, NOTED, RESTARTING

# SX1301 data sheet, table 14: at its slowest data rate (SF12, 125 kHz) a frame is received down to an SNR of -20 dB.
# However fast a device is told to be, it can become as slow as that; what it has left above is its reserve.
LOWEST_SNR = -20.0
LEAST_RESERVE = 3.0  # dB; our start value: a lorry in front of the antenna takes as much
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
        # devices of which something bad was noted; of all others there is nothing to take back
        self.troubled = {key[0] for key in self.known if key[2] in NOTED}

    def begin(self) -> SeriesBatch:
        return SeriesBatch(self)

    def apply(self, batch: SeriesBatch) -> None:
        """Take over what a committed batch has seen."""
        self.known.update(batch.known)
        self.troubled |= batch.troubled

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
        self.troubled: set[int] = set()

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

    def note(self, device_id: int, time: datetime, states: Iterable[tuple[str, bool]]) -> list[Sample]:
        """What is to be told of a device: everything that is bad, each time, and the end of it."""
        if device_id not in self.troubled and device_id not in self._ledger.troubled:
            states = [(name, is_bad) for name, is_bad in states if is_bad]
        told = []
        for name, is_bad in states:
            key = (device_id, 0, name)
            before = self.last(key)
            if is_bad if before is None else (is_bad or before.value == 1) and time > before.time:
                self.known[key] = Known(time, float(is_bad), float(is_bad), time, 1)
                self.troubled.add(device_id)
                told.append(noted(name, time, is_bad=is_bad))
        return told


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
        states = (
            (DECODE_FAULT, row.fault is not None),
            (LINK_WEAK, _is_weak(uplink)),
            (RESTARTING, is_restarting),
        )
        if told := batch.note(row.device_id, uplink.time, states):
            found[key] = uplink, _with_noted(found[key][1], told, directory, metrics)
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


def noted(quantity: str, time: datetime, *, is_bad: bool) -> Sample:
    """Something that smartdorf noted itself, as a measurement of the device."""
    return Sample(quantity, float(is_bad), time)


def _is_weak(uplink: Uplink) -> bool:
    """No gateway heard it with a reserve worth speaking of."""
    return bool(uplink.receptions) and all(r.snr - LOWEST_SNR < LEAST_RESERVE for r in uplink.receptions)


def _with_noted(rows: Rows, told: Sequence[Sample], directory: Directory, metrics: Mapping[str, int]) -> Rows:
    """The rows, and what is told of the device as its measurements."""
    uplink = rows.uplink
    made = measurement_rows(told, uplink.device_id, directory, metrics, uplink.time, 0)
    *earlier, last = rows.observations
    values = tuple((0, sample.metric, sample.value) for sample in told)
    with_told = replace(last, values=(*last.values, *values))
    return rows._replace(measurements=[*rows.measurements, *made], observations=[*earlier, with_told])
