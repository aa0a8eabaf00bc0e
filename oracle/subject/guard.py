"""What a subject may do to the process that runs it, undone after each call.

A subject is somebody's training code: it sets the default dtype, seeds generators, changes the number of threads,
prints, asks for input, exits. None of it may reach the next call, the next subject or the report. What happens in the
process itself (a crash, memory that is not given back, a hang) takes ``--isolate``.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np
import torch


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a subject ran; a KeyboardInterrupt that the subject raised itself is an error of the subject."""


@contextlib.contextmanager
def guarded(imports: bool = False) -> Iterator[None]:
    """Call a subject inside; what it sets comes back as it was, and what it prints goes to stderr.

    ``imports`` is for a module that is being imported: the search path and the environment stay as it leaves
    them, since its functions may rely on them. Raises Interrupted on Ctrl-C, whatever the subject made of it.
    """
    with _hearing_interrupts(), contextlib.ExitStack() as stack:
        stack.enter_context(_streams())
        # the filters are a list that a subject may replace or edit; both are undone
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for keep in (*_KEPT, *(() if imports else _KEPT_FROM_CALLS)):
            stack.callback(keep())
        yield


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Judge a subject inside, or import its module; what takes too long to undo after each call is undone here.

    That is the generators of Python and NumPy, signal handlers and alarms.
    """
    with contextlib.ExitStack() as stack:
        for keep in _KEPT_FROM_SUBJECTS:
            stack.callback(keep())
        yield


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()  # signals arrive nowhere else


@contextlib.contextmanager
def _hearing_interrupts() -> Iterator[None]:
    """Tell a real Ctrl-C, which a signal announces, from a KeyboardInterrupt that code raises."""
    usual = signal.getsignal(signal.SIGINT)
    heard = False

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal heard
        heard = True
        usual(number, frame)  # type: ignore[operator, misc]

    hears = callable(usual) and _in_main_thread()
    if hears:
        signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        if hears:
            signal.signal(signal.SIGINT, usual)
        if heard:
            raise Interrupted


class _Relay(io.TextIOBase):
    """stderr, as a stream that a subject may close without harm."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write to stderr; a stream that is gone swallows it."""
        with contextlib.suppress(ValueError, OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush stderr, where it is still there."""
        with contextlib.suppress(ValueError, OSError):
            self._stream.flush()

    def writable(self) -> bool:
        """True, as for stderr."""
        return True

    def fileno(self) -> int:
        """That of stderr, for code that writes there by number. Raises OSError where it has none."""
        return int(self._stream.fileno())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of stderr."""
        return getattr(self._stream, "encoding", None) or "utf-8"


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """stdout and stderr both lead to stderr; stdin is at its end, so that ``input()`` raises and never waits."""
    saved = sys.stdin, sys.stdout, sys.stderr
    if saved[2] is not None:  # pythonw has no streams
        relay: Any = _Relay(saved[2])
        sys.stdout = sys.stderr = relay
    sys.stdin = io.StringIO()
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = saved


def _keeper(get: Callable[[], Any], put: Callable[[Any], object]) -> Callable[[], Callable[[], None]]:
    """Note a setting now; what is returned puts it back where it was changed."""

    def keep() -> Callable[[], None]:
        value = get()

        def restore() -> None:
            if get() != value:
                put(value)

        return restore

    return keep


def _keep_generators() -> Callable[[], None]:
    """Those of PyTorch: the processor's, and the devices' where one is in use."""
    state = torch.get_rng_state()
    of_devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None

    def restore() -> None:
        torch.set_rng_state(state)
        if of_devices is not None:
            torch.cuda.set_rng_state_all(of_devices)

    return restore


def _keep_signals() -> Callable[[], None]:
    if not _in_main_thread():
        return lambda: None
    before = {s: h for s in signal.valid_signals() if (h := signal.getsignal(s)) is not None}
    timer = signal.getitimer(signal.ITIMER_REAL) if hasattr(signal, "getitimer") else None

    def restore() -> None:
        if timer == (0.0, 0.0):
            signal.setitimer(signal.ITIMER_REAL, 0)  # an alarm that the subject left would end the run later
        for number, handler in before.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    return restore


def _keep_environment() -> Callable[[], None]:
    raw: Any = getattr(os.environ, "_data", os.environ)  # as stored: to decode each entry takes longer
    before, mapping = dict(raw), os.environ

    def restore() -> None:
        os.environ = mapping  # noqa: B003 - the very object comes back, whatever the subject put in its place
        if dict(raw) != before:
            texts = {os.fsdecode(n): os.fsdecode(v) for n, v in before.items()}
            for name in [n for n in mapping if n not in texts]:
                del mapping[name]
            mapping.update(texts)

    return restore


def _keep_search_path() -> Callable[[], None]:
    the_list, items = sys.path, list(sys.path)

    def restore() -> None:
        sys.path = the_list
        if the_list != items:
            the_list[:] = items

    return restore


def _keep_folder() -> Callable[[], None]:
    try:
        folder = os.getcwd()
    except OSError:  # it was removed; there is none to come back to
        return lambda: None

    def restore() -> None:
        try:
            moved = os.getcwd() != folder
        except OSError:
            moved = True
        if moved:
            with contextlib.suppress(OSError):
                os.chdir(folder)

    return restore


def _denormals_are_zero() -> bool:
    smallest = sys.float_info.min
    return smallest / 2 == 0.0


def _keep_floats() -> Callable[[], None]:
    """How NumPy answers a division by zero, and whether the processor keeps denormal numbers."""
    errors, flushed = np.geterr(), _denormals_are_zero()

    def restore() -> None:
        np.seterr(**errors)
        if _denormals_are_zero() != flushed:
            torch.set_flush_denormal(flushed)

    return restore


def _set_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


def _set_anomaly(value: tuple[bool, bool]) -> None:
    torch.autograd.set_detect_anomaly(*value)


_KEPT: tuple[Callable[[], Callable[[], None]], ...] = (
    _keep_generators,
    _keep_floats,
    _keep_folder,
    _keeper(torch.get_default_dtype, torch.set_default_dtype),
    _keeper(torch.get_num_threads, torch.set_num_threads),
    _keeper(torch.is_grad_enabled, lambda on: torch._C._set_grad_enabled(on)),
    _keeper(
        lambda: (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
        _set_deterministic,
    ),
    _keeper(
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        _set_anomaly,
    ),
    _keeper(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    _keeper(lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on)),
    _keeper(sys.getrecursionlimit, sys.setrecursionlimit),
)
_KEPT_FROM_CALLS = (_keep_environment, _keep_search_path)
_KEPT_FROM_SUBJECTS = (
    _keep_signals,
    _keeper(random.getstate, random.setstate),
    lambda: functools.partial(np.random.set_state, np.random.get_state()),
)
