"""Bounds the time that an attempt may take, where an algorithm may not end or may take too long.

Time is the process's own processor time: what else the machine is doing changes no answer. The clock
is the process's interval timer, which only the main thread of a POSIX system may set.
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
_REPEAT_SECONDS = 0.01
_SOON = 1e-4
_INTERRUPTIBLE = {"sympy", "mpmath", "proofs"}
_CALLBACKS = {"weakref", "_weakrefset"}
_deadlines: list[float] = []


class TimeIsUp(BaseException):
    """The attempt took too long, or could not be timed.

    It derives from BaseException so that no library's `except Exception` swallows it.
    """


def can_time() -> bool:
    """Whether an attempt can be timed here."""
    main = threading.current_thread() is threading.main_thread()
    return main and hasattr(signal, "setitimer")


def _may_be_left(frame: FrameType | None) -> bool:
    """Whether an exception raised here reaches the attempt: not inside a finaliser or a callback.

    If not, the timer comes again.
    """
    here = frame
    while here is not None:
        if here.f_globals.get("__name__") in _CALLBACKS or here.f_code.co_name == "__del__":
            return False
        here = here.f_back
    module = "" if frame is None else str(frame.f_globals.get("__name__", ""))
    return module != __name__ and module.partition(".")[0] in _INTERRUPTIBLE


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

    def stop(_number: int, frame: FrameType | None) -> None:
        if _may_be_left(frame):
            raise TimeIsUp(f"no result after {seconds:.3g} s")

    now = time.process_time()
    outer = _deadlines[-1] if _deadlines else None
    if outer is not None and outer <= now:
        raise TimeIsUp("no time left")
    deadline = now + seconds if outer is None else min(now + seconds, outer)
    previous = signal.signal(signal.SIGPROF, stop)
    _deadlines.append(deadline)
    try:
        try:
            signal.setitimer(signal.ITIMER_PROF, max(deadline - now, _SOON), _REPEAT_SECONDS)
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    finally:
        _deadlines.pop()
        signal.signal(signal.SIGPROF, previous)
        if outer is not None:
            left = max(outer - time.process_time(), _SOON)
            signal.setitimer(signal.ITIMER_PROF, left, _REPEAT_SECONDS)


class Budget:
    """A time that several attempts share."""

    def __init__(self, seconds: float) -> None:
        self.end = time.process_time() + seconds

    def attempt(self, seconds: float, make: Callable[[], T], otherwise: T) -> T:
        """Return what `make` returns within `seconds` and within the budget, or `otherwise`."""
        left = min(seconds, self.end - time.process_time())
        if left <= 0:
            return otherwise
        try:
            with at_most(left, untimed=True):
                return make()
        except TimeIsUp:
            return otherwise
