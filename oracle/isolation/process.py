"""Start the process of one subject, wait for its records, and say in a line how it ended where it sent none."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from multiprocessing.connection import wait
from typing import Any

import msgspec

from oracle.errors import OracleError
from oracle.isolation.limits import Limits
from oracle.judge import failed_to_run
from oracle.records import Verdict
from oracle.running import Request

_START = 300.0
"""Seconds until a process has to be ready: PyTorch and SymPy are loaded first, which a cold disk may make long."""

_SHOWN, _LINE, _LARGEST = 4000, 200, 2**26
"""Bytes of what a subject printed that are passed on, characters of a line of it, bytes of an answer that are taken."""

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _Ended(Exception):
    """The process ended, or was ended, without records; the message follows the subject's name."""


def judge_isolated(request: Request, limits: Limits, hear: Callable[[str], None]) -> Iterator[Verdict]:
    """The verdicts of a request, each target judged in a process of its own; ``hear`` is told what it printed."""
    from oracle.isolation.worker import Answer

    def ask(asked: Request) -> Answer:
        try:
            return msgspec.msgpack.decode(_run(asked, limits, hear), type=Answer)
        except _Ended as error:
            return Answer(verdicts=[failed_to_run(asked.target, OracleError(f"{asked.target} {error}"))])
        except msgspec.MsgspecError:
            words = f"{asked.target} sent something that is no verdict; it writes to descriptors that are not its own"
            return Answer(verdicts=[failed_to_run(asked.target, OracleError(words))])

    first = ask(request)
    for answer in [ask(msgspec.structs.replace(request, target=n)) for n in first.names] if first.names else [first]:
        for note in answer.notes:
            hear(note)
        yield from answer.verdicts


def _context() -> Any:
    """On Linux a server loads PyTorch and SymPy once, and is forked for each subject; elsewhere each loads them."""
    if not sys.platform.startswith("linux"):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["oracle.isolation.worker"])
    return context


def _run(request: Request, limits: Limits, hear: Callable[[str], None]) -> bytes:
    """The bytes that the process sends. Raises _Ended."""
    from oracle.isolation.worker import READY, Work, run

    environment = {os.fsencode(n): os.fsencode(v) for n, v in os.environ.items()}
    work = msgspec.msgpack.encode(Work(request=request, limits=limits, environment=environment))
    context = _context()
    answers, answering = context.Pipe(duplex=False)
    prints, printing = context.Pipe(duplex=False)
    process = context.Process(target=run, args=(work, answering, printing), daemon=True)
    with contextlib.ExitStack() as stack:
        for end in (answers, prints):
            stack.callback(end.close)
        with _one_thread():
            process.start()
        stack.callback(_end, process)
        answering.close()
        printing.close()
        sent, printed = _Stream(answers.fileno(), _LARGEST), _Stream(prints.fileno(), _SHOWN)
        try:
            in_time = _listen(process, sent, printed, limits.timeout)
        finally:
            printed.tell(hear, request.target)
        if not in_time and not sent.data:
            raise _Ended(f"was not begun: its process was not ready in {_START:g} s; run it again where less runs")
        if not in_time:
            raise _Ended(f"did not finish within {limits.timeout:g} s and was stopped; raise the limit with --timeout")
        if process.exitcode != 0 or sent.lost or not sent.data.startswith(READY) or sent.data == READY:
            raise _Ended(_ending(process.exitcode))
    return bytes(sent.data[len(READY) :])


def _listen(process: Any, sent: _Stream, printed: _Stream, timeout: float) -> bool:
    """Read both pipes until the process has ended; False where it took longer than it may."""
    deadline, ready = time.monotonic() + _START, False
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        awake = wait([*(s.number for s in (sent, printed) if s.open), process.sentinel], left)
        over = process.sentinel in awake
        if over:
            process.join()
            _end_group(process)  # what it started may print for ever
        sent.read(_LARGEST)
        printed.read(2**20)  # no more at a time: the deadline holds for what never stops printing
        if over:
            return True
        if sent.data and not ready:  # the time that a subject may take runs from when it is loaded
            deadline, ready = time.monotonic() + timeout, True


class _Stream:
    """What came over a pipe, as far as it is kept."""

    def __init__(self, number: int, largest: int) -> None:
        os.set_blocking(number, False)
        self.number, self.largest, self.data, self.lost, self.open = number, largest, bytearray(), 0, True

    def read(self, at_most: int) -> None:
        """Take what is there, about ``at_most`` bytes of it, and never wait."""
        for _ in range(-(-at_most // 2**16)):
            try:
                part = os.read(self.number, 2**16)
            except BlockingIOError:
                return
            self.open = bool(part)
            if not part:
                return
            room = max(self.largest - len(self.data), 0)
            self.data += part[:room]
            self.lost += len(part[room:])

    def tell(self, hear: Callable[[str], None], name: str) -> None:
        """Pass on what was printed, line by line; a subject is called often, and prints the same each time."""
        for line, group in groupby(self.data.decode("utf-8", "backslashreplace").splitlines()):
            times = len(list(group))
            shown = line if len(line) <= _LINE else f"{line[:_LINE]} ..."
            hear(f"{name} printed{f' {times} times' if times > 1 else ''}: {shown}")
        if self.lost:
            hear(f"{name} printed {self.lost} bytes more")


def _end_group(process: Any) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(process: Any) -> None:
    """End the process, and whatever it started."""
    _end_group(process)
    process.kill()
    process.join()
    process.close()


def _ending(status: int | None) -> str:
    if status is None or status >= 0:
        return f"ended its process with exit status {status} before it was judged; it must return, not exit"
    if status == -signal.SIGKILL:
        return "was killed, as the system does where memory is short; allow it less with --memory, or mend it"
    with contextlib.suppress(ValueError):
        name = signal.Signals(-status).name
        return f"crashed its process, by signal {-status} ({name}); call it alone to see where, and mend it"
    return f"crashed its process, by signal {-status}; call it alone to see where, and mend it"


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """The environment that the server starts with: threads do not survive a fork, so there must be none."""
    before = {n: os.environ.get(n) for n in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
