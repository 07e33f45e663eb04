"""What the frame counters tell: which uplinks are retransmissions, and which are missing. Pure.

ChirpStack counts f_cnt on to 32 bits and refuses frames that go back, so within one session
(dev_eui, dev_addr) the counters rise with time; a join or an ABP re-activation begins a new session.
Sources: LoRaWAN 1.0.4 §4.3.1.5 (FCnt); reference behaviour of ChirpStack v4 (`skip_fcnt_check`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from smartdorf.model import Uplink

# A device repeats an unconfirmed frame within seconds (NbTrans); ChirpStack's own window is 200 ms.
RETRANSMISSION_WINDOW = timedelta(minutes=5)

# A session that another one of its device has followed for so long is over: uplinks of it come no more. A device
# that joins every day would else fill the memory in the course of the years.
SESSION_KEPT = timedelta(days=7)

# A device that begins anew so often within a day is restarting all the time; a new battery and a few presses of the
# button on the day it is mounted are fewer.
RESTARTS = 4
RESTARTS_WITHIN = timedelta(days=1)

FrameKey = tuple[int, str, int]  # device_id, dev_addr, f_cnt
SessionKey = tuple[int, str]  # device_id, dev_addr


class Session(Struct, frozen=True):
    """One counter of one device, from its first frame to its last."""

    started_at: datetime
    first_f_cnt: int
    last_f_cnt: int
    received: int
    retransmissions: int
    last_time: datetime

    @property
    def missing(self) -> int:
        return self.last_f_cnt - self.first_f_cnt + 1 - self.received

    def after(self, uplink: Uplink, *, retransmission: bool) -> Session:
        """The session after one more frame of it."""
        return Session(
            started_at=self.started_at,
            first_f_cnt=min(self.first_f_cnt, uplink.f_cnt),
            last_f_cnt=max(self.last_f_cnt, uplink.f_cnt),
            received=self.received + (not retransmission),
            retransmissions=self.retransmissions + retransmission,
            last_time=max(self.last_time, uplink.time),
        )


class FrameLedger:
    """All sessions and the frames of the last minutes. Batches change it through ``begin`` and ``apply``."""

    def __init__(self) -> None:
        self.sessions: dict[SessionKey, Session] = {}
        self.recent: dict[FrameKey, tuple[datetime, bytes, UUID]] = {}
        self.starts: dict[int, list[datetime]] = {}  # of each device: when its last sessions began
        self._addresses: dict[int, list[str]] = {}  # of each device: the keys of its sessions

    def keep(self, key: SessionKey, session: Session) -> None:
        """Note a session as it is now; one that is new to the device ends those long before it."""
        device_id, dev_addr = key
        if key not in self.sessions:
            known = self._addresses.get(device_id, [])
            over = session.last_time - SESSION_KEPT
            ended = {address for address in known if self.sessions[device_id, address].last_time < over}
            for address in ended:
                del self.sessions[device_id, address]
            self._addresses[device_id] = [*(a for a in known if a not in ended), dev_addr]
        self.sessions[key] = session

    def remember(
        self, device_id: int, dev_addr: str, f_cnt: int, frame: tuple[datetime, bytes, UUID]
    ) -> None:
        """Note a frame of the last minutes, read back at start."""
        self.recent[device_id, dev_addr, f_cnt] = frame

    def begin(self) -> LedgerBatch:
        return LedgerBatch(self)

    def apply(self, batch: LedgerBatch) -> None:
        """Take over what a committed batch has counted."""
        for session_key, session in batch.sessions.items():
            self.keep(session_key, session)
        for device_id, time in batch.started:
            starts = [start for start in self.starts.get(device_id, ()) if start > time - RESTARTS_WITHIN]
            self.starts[device_id] = [*starts, time]
        for key, frame in batch.recent.items():
            self.recent.pop(key, None)  # so that the newest stand last
            self.recent[key] = frame
        if batch.newest is not None:
            self._forget(batch.newest - 2 * RETRANSMISSION_WINDOW)

    def _forget(self, before: datetime) -> None:
        for key in list(self._leading(before)):
            del self.recent[key]

    def _leading(self, before: datetime) -> Iterable[FrameKey]:
        for key, (time, _data, _id) in self.recent.items():
            if time >= before:
                return
            yield key


class LedgerBatch:
    """What one batch adds to the ledger; thrown away when its transaction fails."""

    def __init__(self, ledger: FrameLedger) -> None:
        self._ledger = ledger
        self.sessions: dict[SessionKey, Session] = {}
        self.recent: dict[FrameKey, tuple[datetime, bytes, UUID]] = {}
        self.started: list[tuple[int, datetime]] = []  # sessions: device and time
        self.newest: datetime | None = None

    def is_restarting(self, device_id: int, time: datetime) -> bool:
        """Whether the device has begun anew so often before this batch that something is wrong with it."""
        starts = self._ledger.starts.get(device_id, ())
        return len(starts) >= RESTARTS and sum(start > time - RESTARTS_WITHIN for start in starts) >= RESTARTS

    def is_retransmission(self, device_id: int, uplink: Uplink) -> bool:
        """Whether another uplink carried the same frame within the window; notes this one."""
        key = (device_id, uplink.dev_addr, uplink.f_cnt)
        known = self.recent.get(key) or self._ledger.recent.get(key)
        if (
            known is not None
            and known[2] != uplink.deduplication_id  # the very same uplink again is a redelivery
            and known[1] == uplink.data
            and abs(known[0] - uplink.time) <= RETRANSMISSION_WINDOW
        ):
            return True
        self.recent[key] = (uplink.time, uplink.data, uplink.deduplication_id)
        if self.newest is None or uplink.time > self.newest:
            self.newest = uplink.time
        return False

    def count(self, device_id: int, uplink: Uplink, *, retransmission: bool) -> int:
        """Count one new uplink in its session; returns by how much the number of missing frames changed."""
        key = (device_id, uplink.dev_addr)
        session = self.sessions.get(key) or self._ledger.sessions.get(key)
        restarted = (
            session is not None and uplink.f_cnt < session.last_f_cnt and uplink.time > session.last_time
        )
        if session is None or (restarted and not retransmission):
            self.sessions[key] = Session(uplink.time, uplink.f_cnt, uplink.f_cnt, 1, 0, uplink.time)
            self.started.append((device_id, uplink.time))
            return 0
        after = session.after(uplink, retransmission=retransmission)
        self.sessions[key] = after
        return after.missing - session.missing
