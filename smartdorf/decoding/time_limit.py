"""A limit for how long a codec may think about one frame, so that one that loops stops neither us nor the others.

Processor time, counted by the kernel (``ITIMER_VIRTUAL``): a machine that stands still is no codec's fault. Works in
the main thread, where the service decodes; elsewhere, and where there is no such timer (Windows), nothing is limited.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

SECONDS = 1.0  # a frame takes microseconds


class TookTooLongError(BaseException):
    """Raised inside the codec. No Exception: a codec that catches everything must not catch this one."""


class TimeLimit:
    """``with`` it around one call of a codec; raises TookTooLongError out of it."""

    def __init__(self) -> None:
        self._watching = False
        self._ready: bool | None = None  # None: nobody has asked yet

    def __enter__(self) -> None:
        if self._ready is None:
            self._ready = self._prepare()
        if self._ready:
            self._watching = True
            # again and again: the first one may come where it cannot be raised (a __del__, a callback)
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS, SECONDS)

    def __exit__(self, *_exception: object) -> None:
        if self._ready:
            self._watching = False
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    def _prepare(self) -> bool:
        if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
            return False
        signal.signal(signal.SIGVTALRM, self._ring)
        return True

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        if self._watching:  # not for one that came to its end a moment ago
            raise TookTooLongError(f"no result after {SECONDS:g} s of processor time")
