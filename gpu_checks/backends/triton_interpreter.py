"""The backend `triton-interpreter`: a Triton kernel's own source, run on the CPU in a process of its own.

Its state is EXECUTED_CPU_SAME_SOURCE. gpu_checks.backends.triton_shim says what that covers and what it does not.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from itertools import count
from typing import Any

from gpu_checks.backends.triton_process import Worker, shared_worker
from gpu_checks.subject import Opener, Request, Runner, Unavailable

RUN_SECONDS = 600.0
"""How long one batch may take; then the worker is ended."""

_numbers = count(1)


class TritonRunner:
    """A Triton subject, opened in the worker that all of them share."""

    def __init__(self, adapter: str, request: Request, seconds: float = RUN_SECONDS) -> None:
        """Load `adapter` ("module:name" of an Adapter) with the request's edits and settings in the worker.

        Raises Unavailable, ValueError (an edit's old text that does not occur, an unknown setting), KernelFailed where
        the module does not import, WorkerLost.
        """
        self._name = f"{adapter.rpartition(':')[2]} ({request.dtype}, V = {request.vocabulary})"
        self._seconds = seconds
        self._worker: Worker | None = shared_worker()
        self._number = next(_numbers)
        plain = replace(request, settings=dict(request.settings))
        self._worker.ask(("open", self._number, adapter, plain), f"loading {self._name}", seconds)

    def __call__(self, batch: Any) -> Any:
        """Run one batch. Raises Refused, ValueError, KernelFailed, WorkerLost; RuntimeError once it is closed."""
        if self._worker is None:
            raise RuntimeError(f"{self._name} is closed")
        return self._worker.ask(("run", self._number, batch), f"running {self._name}", self._seconds)

    def close(self) -> None:
        """Have the worker forget it; the worker itself goes on until this process ends, or `stop_worker`."""
        worker, self._worker = self._worker, None
        if worker is not None and worker.alive:
            worker.ask(("close", self._number), f"closing {self._name}", self._seconds)


def triton_interpreter(adapter: str, package: str, brings: str, **settings: Any) -> Opener:
    """Return the opener of a Triton subject.

    `package` is the module that has to be installed and `brings` the command that brings it; `settings` are the
    subject's own, under which a request's come. Raises of the opener: see TritonRunner.
    """

    def opener(request: Request) -> Runner:
        if find_spec("triton") is None:
            raise Unavailable("triton is not installed: pip install triton (Linux only)")
        if find_spec(package) is None:
            raise Unavailable(f"{package} is not installed: {brings}")
        return TritonRunner(adapter, replace(request, settings={**settings, **request.settings}))

    return opener


def first_configurations() -> dict[str, str]:
    """Return the autotuned kernels that the worker ran, each with the configuration taken for it."""
    answer: dict[str, str] = shared_worker().ask(("first configurations",), "asking for configurations", RUN_SECONDS)
    return answer
