"""Bounds the time that an attempt may take, where an algorithm may not end or may take too long.

The clock is the process's interval timer, which only the main thread of a POSIX system may set.
Elsewhere an attempt that may never end is not made, and the caller says that it does not know.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")
_REPEAT_SECONDS = 0.05


class TimeIsUp(BaseException):
    """The attempt took too long, or could not be timed.

    It derives from BaseException so that no library's `except Exception` swallows it.
    """


def can_time() -> bool:
    """Whether an attempt can be timed here."""
    main = threading.current_thread() is threading.main_thread()
    return main and hasattr(signal, "setitimer")


@contextmanager
def at_most(seconds: float, untimed: bool = False) -> Iterator[None]:
    """Raise TimeIsUp inside the block once it has run for this long; blocks may be nested.

    Where nothing can be timed the block runs if `untimed` is set; TimeIsUp is raised if it is not.
    """
    if not can_time():
        if not untimed:
            raise TimeIsUp("attempts are timed in the main thread of a POSIX system only")
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TimeIsUp(f"no result after {seconds:.3g} s")

    begun = time.monotonic()
    outer = signal.getitimer(signal.ITIMER_REAL)[0]
    seconds = min(seconds, outer) if outer else seconds
    previous = signal.signal(signal.SIGALRM, stop)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), _REPEAT_SECONDS)
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, previous)
        if outer:
            left = max(outer - (time.monotonic() - begun), 1e-3)
            signal.setitimer(signal.ITIMER_REAL, left, _REPEAT_SECONDS)


class Budget:
    """A time that several attempts share."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def attempt(self, seconds: float, make: Callable[[], T], otherwise: T) -> T:
        """Return what `make` returns within `seconds` and within the budget, or `otherwise`."""
        left = min(seconds, self.end - time.monotonic())
        if left <= 0:
            return otherwise
        try:
            with at_most(left, untimed=True):
                return make()
        except TimeIsUp:
            return otherwise
