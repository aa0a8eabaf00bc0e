"""The worker process of Triton's interpreter, seen from outside: one for all runners, started when first asked for."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from multiprocessing import Pipe
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import Any

from gpu_checks.backends.triton_shim.refused import Refused
from gpu_checks.subject import Unavailable

START_SECONDS = 180.0
"""How long the worker may take to import torch and triton."""

ROOT = Path(__file__).resolve().parents[2]


class WorkerLost(RuntimeError):
    """The worker ended or hung; the message is one line that says during what, and its last words."""


class KernelFailed(RuntimeError):
    """The kernel or its library raised; the message is one line with the type and the text of that error."""


ERRORS: Mapping[str, type[Exception]] = MappingProxyType(
    {"refused": Refused, "unavailable": Unavailable, "value": ValueError, "failed": KernelFailed}
)
"""What an error of the worker is raised as here."""


class Worker:
    """A process that interprets Triton. `version` is Triton's."""

    def __init__(self) -> None:
        """Start it and wait until it is ready. Raises Unavailable, WorkerLost."""
        if find_spec("triton") is None:
            raise Unavailable("triton is not installed: pip install triton (Linux only)")
        self._errors = TemporaryFile()  # noqa: SIM115 - closed in close()
        self._connection, theirs = Pipe()
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gpu_checks.backends.triton_worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            env={
                "OMP_NUM_THREADS": "1",
                **os.environ,
                "TRITON_INTERPRET": "1",
                "PYTHONPATH": os.pathsep.join(paths),
            },
        )
        theirs.close()
        self.version = str(self._receive("starting", START_SECONDS))

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._process.poll() is None

    def ask(self, message: tuple[Any, ...], doing: str, seconds: float) -> Any:
        """Send a message and return the answer's content.

        `doing` names the work in an error's line. Raises what the worker reports (ERRORS), or WorkerLost where it has
        ended or does not answer in time; it is ended then.
        """
        if self._connection.closed:
            raise WorkerLost(f"Triton's worker was ended before {doing}; open the runner anew")
        try:
            self._connection.send(message)
        except OSError:
            raise self._lost(doing) from None
        return self._receive(doing, seconds)

    def _receive(self, doing: str, seconds: float) -> Any:
        try:
            if not self._connection.poll(seconds):
                self.close()
                raise WorkerLost(f"Triton's worker did not answer within {seconds:g} s while {doing}; it was ended")
            answer = self._connection.recv()
        except (EOFError, OSError):
            raise self._lost(doing) from None
        if answer[0] == "error":
            raise ERRORS[answer[1]](answer[2])
        return answer[1]

    def _lost(self, doing: str) -> WorkerLost:
        """Return the error for a worker that has gone, with the last line that it wrote."""
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")
        self.close()
        return WorkerLost(f"Triton's worker ended with status {status} while {doing}: {last}")

    def close(self) -> None:
        """End it."""
        if self.alive:
            self._process.kill()
        self._process.wait()
        self._connection.close()
        if not self._errors.closed:
            self._errors.close()


_shared: Worker | None = None


def shared_worker() -> Worker:
    """Return this process's worker, started anew where there is none alive. Raises Unavailable, WorkerLost."""
    global _shared
    if _shared is None or not _shared.alive:
        stop_worker()
        _shared = Worker()
    return _shared


@atexit.register
def stop_worker() -> None:
    """End this process's worker, if it has one; runners that are still open can be used no more."""
    global _shared
    if _shared is not None:
        _shared.close()
        _shared = None
