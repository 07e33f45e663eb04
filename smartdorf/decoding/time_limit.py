"""A limit for how long a codec may think about one frame, so that one that loops stops neither us nor the others.

Processor time, counted by the kernel (``ITIMER_VIRTUAL``): a machine that stands still is no codec's fault. Works in
the main thread, where the service decodes; elsewhere, and where there is no such timer (Windows), nothing is limited.
"""

from __future__ import annotations

import atexit
import signal
import threading
from types import FrameType

INTERVAL = 0.5  # seconds between two looks; a frame takes microseconds


class TookTooLongError(BaseException):
    """Raised inside the codec. No Exception: a codec that catches everything must not catch this one."""


class TimeLimit:
    """``with`` it around one call of a codec; raises TookTooLongError out of one that two looks have found.

    The timer runs on once it was started: setting it for each call would take longer than most codecs do.
    """

    def __init__(self) -> None:
        self._call = 0
        self._watching = False
        self._seen = 0  # the call that the last look has found
        self._ready: bool | None = None  # None: nobody has asked yet

    def __enter__(self) -> None:
        if self._ready is None:
            self._ready = self._start()
        self._call += 1
        self._watching = True

    def __exit__(self, *_exception: object) -> None:
        self._watching = False

    def _start(self) -> bool:
        if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
            return False
        signal.signal(signal.SIGVTALRM, self._look)
        signal.setitimer(signal.ITIMER_VIRTUAL, INTERVAL, INTERVAL)
        # Python takes its handlers away when it ends, and a signal without one would kill the process
        atexit.register(signal.setitimer, signal.ITIMER_VIRTUAL, 0)
        return True

    def _look(self, _number: int, _frame: FrameType | None) -> None:
        if not self._watching:
            return
        if (
            self._seen == self._call
        ):  # again and again: it may be raised where it is lost (a __del__, a callback)
            raise TookTooLongError(f"no result after {INTERVAL:g} s of processor time")
        self._seen = self._call
