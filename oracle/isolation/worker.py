"""The process of one subject: it judges a request and sends the records back.

The records go over a descriptor of their own, so that nothing the subject prints, from Python or from C, gets among
them. MessagePack, not JSON: numbers that are not finite come through.
"""

from __future__ import annotations

import ctypes
import fcntl
import io
import os
import signal
import sys
from multiprocessing.connection import Connection
from typing import NoReturn

import msgspec

import proofs.sequences  # noqa: F401 - loaded once, before the processes are forked
from oracle.isolation.limits import Limits, limit_memory, limits_memory, unlimit_memory
from oracle.records import Verdict
from oracle.running import Explain, Request, find, judge_found

READY = b"+"
"""Sent when the subject is about to be loaded; the records follow, and nothing else."""

_FAR = 900  # descriptors from here on: code that closes "all" descriptors stops at 256 or so


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is started with."""

    request: Request
    limits: Limits
    environment: dict[bytes, bytes]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What it sends back: verdicts, or the names of the targets where the text names several."""

    verdicts: list[Verdict] = []
    names: list[str] = []
    notes: list[str] = []


def run(work: bytes, answers: Connection, prints: Connection) -> NoReturn:
    """The whole life of the process; it ends here, whatever threads the subject leaves."""
    os.setsid()  # a group of its own, which ends as one
    _end_with_parent()
    channel = fcntl.fcntl(answers.fileno(), fcntl.F_DUPFD_CLOEXEC, _FAR)
    answers.close()
    _redirect(prints)
    job = msgspec.msgpack.decode(work, type=Work)
    os.environ.clear()
    os.environ.update({os.fsdecode(n): os.fsdecode(v) for n, v in job.environment.items()})
    _send(channel, READY)
    answer = _answer(job.request, job.limits)
    _send(channel, msgspec.msgpack.encode(answer))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    ctypes.CDLL(None).fflush(None)  # what C code printed and nobody wrote out
    os._exit(0)


def _answer(request: Request, limits: Limits) -> Answer:
    if limits.memory is None or not limits_memory():
        return _judged(request, None)
    limit_memory(limits.memory)

    def explain(error: BaseException) -> str | None:
        if not _of_memory(error):
            return None
        return f"used more than the {limits.memory} MiB it may; raise the limit with --memory, or mend the function"

    try:
        return _judged(request, explain)
    finally:
        unlimit_memory()


def _judged(request: Request, explain: Explain | None) -> Answer:
    found = find(request, explain)
    if isinstance(found, Verdict):
        return Answer(verdicts=[found])
    if len(found) > 1:
        return Answer(names=[t.name for t in found])
    (target,) = found
    notes = [target.note] if target.note else []
    return Answer(verdicts=judge_found(request, target, explain), notes=notes)


def _of_memory(error: BaseException | None) -> bool:
    """Whether memory that was refused is behind an error; PyTorch says so in a RuntimeError's text alone."""
    while error is not None:
        if isinstance(error, MemoryError) or any(w in str(error) for w in _REFUSALS):
            return True
        error = error.__cause__ or error.__context__
    return False


_REFUSALS = ("can't allocate memory", "Cannot allocate memory", "not enough memory", "std::bad_alloc")


def _send(channel: int, data: bytes) -> None:
    while data:
        data = data[os.write(channel, data) :]


def _redirect(prints: Connection) -> None:
    """Standard output and error, of Python and of C, lead to ``prints``."""
    for number in (1, 2):
        os.dup2(prints.fileno(), number)
    prints.close()

    def stream(number: int) -> io.TextIOWrapper:
        raw = io.FileIO(number, "w", closefd=False)
        return io.TextIOWrapper(raw, "utf-8", "backslashreplace", line_buffering=True, write_through=True)

    sys.stdout = sys.__stdout__ = stream(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = stream(2)  # type: ignore[misc]


def _end_with_parent() -> None:
    """Have the system end this process where the one that waits for it is gone (Linux: prctl PR_SET_PDEATHSIG)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
