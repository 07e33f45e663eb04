"""A limit for how long a codec may think about one frame, so that one that loops stops neither us nor the others.

Processor time, counted by the kernel (``ITIMER_VIRTUAL``): a machine that stands still is no codec's fault. Works in
the main thread, where the service decodes; elsewhere, and where there is no such timer (Windows), nothing is limited.

The timer ticks from the first call on, whether or not a codec runs: to set it anew for every frame would cost a
tenth of decoding.
"""

from __future__ import annotations

import atexit
import signal
import threading
from types import FrameType

TICK = 0.5  # seconds

_MAIN_THREAD = threading.main_thread().ident
_limits: list[TimeLimit] = []  # those that a tick has to look at


class TookTooLongError(BaseException):
    """Raised inside the codec. No Exception: a codec that catches everything must not catch this one."""


class TimeLimit:
    """``with`` it around one call of a codec; raises TookTooLongError out of it.

    A call that has seen more than ``ticks`` of them has taken at least so many times TICK.
    """

    def __init__(self, ticks: int) -> None:
        self._allowed = ticks
        self._seen = 0
        self._watching = False

    def __enter__(self) -> None:
        if threading.get_ident() == _MAIN_THREAD:
            if self not in _limits:
                _watch(self)
            self._seen = 0
            self._watching = True

    def __exit__(self, *_exception: object) -> None:
        self._watching = False

    def tick(self) -> None:
        if self._watching:
            self._seen += 1
            # again and again: the first one may come where it cannot be raised (a __del__, a bare except)
            if self._seen > self._allowed:
                raise TookTooLongError(f"no result after {self._allowed * TICK:g} s of processor time")


def _watch(limit: TimeLimit) -> None:
    _limits.append(limit)
    if hasattr(signal, "setitimer") and signal.getsignal(signal.SIGVTALRM) is not _tick:
        signal.signal(signal.SIGVTALRM, _tick)
        signal.setitimer(signal.ITIMER_VIRTUAL, TICK, TICK)
        # Python takes its handlers away when it ends, and a signal without one would kill the process
        atexit.register(signal.setitimer, signal.ITIMER_VIRTUAL, 0)


def _tick(_number: int, _frame: FrameType | None) -> None:
    for limit in _limits:
        limit.tick()
