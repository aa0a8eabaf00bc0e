"""The process in which Triton interprets: `python -m gpu_checks.backends.triton_worker DESCRIPTOR`.

It answers, one after another, pickled messages that come by a pipe:

| message | answer |
|---|---|
| none; sent at the start | `("ready", Triton's version)` |
| `("open", number, "module:adapter", request)` | `("opened", None)` |
| `("run", number, batch)` | `("result", Result)` |
| `("close", number)` | `("closed", None)` |
| `("first configurations",)` | `("result", mapping of autotuned kernels to the configuration taken)` |

Any answer may be `("error", kind, line)` instead, where the kind is a key of `triton_process.ERRORS`.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

import numpy as np

from gpu_checks.backends import triton_shim
from gpu_checks.backends.triton_source import modules_with
from gpu_checks.subject import Request, Unavailable

PROGRAMS = "programs"
"""The setting that every adapter has: program ids (x, y, z) that alone are run; None for all."""


class Opened:
    """An adapter with its modules loaded and its settings complete."""

    def __init__(self, path: str, request: Request) -> None:
        module, _, name = path.partition(":")
        self.adapter = getattr(import_module(module), name)
        given = dict(request.settings)
        programs = given.pop(PROGRAMS, None)
        self.programs = None if programs is None else frozenset(tuple(ids) for ids in programs)
        self.settings = self.adapter.complete(given)
        self.modules: dict[str, ModuleType] = modules_with(self.adapter.modules, request.edits)

    def run(self, batch: Any) -> Any:
        """Run one batch, NumPy silent about overflow as a device is."""
        with triton_shim.only(self.programs), np.errstate(all="ignore"):
            return self.adapter.call(self.modules, batch, self.settings)


def answer(opened: dict[int, Opened], message: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the answer to one message."""
    match message:
        case ("open", int(number), str(path), Request() as request):
            opened[number] = Opened(path, request)
            return ("opened", None)
        case ("run", int(number), batch):
            return ("result", opened[number].run(batch))
        case ("close", int(number)):
            opened.pop(number, None)
            return ("closed", None)
        case ("first configurations",):
            return ("result", triton_shim.first_configurations())
    raise ValueError(f"unknown message {message[0]!r}")


def as_error(error: BaseException) -> tuple[str, str, str]:
    """Return an exception as an answer: the first of its causes that is typed, else the innermost."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    for link in chain:
        for kind, types in (
            ("refused", triton_shim.Refused),
            ("unavailable", Unavailable),
        ):
            if isinstance(link, types):
                return ("error", kind, str(link))
    if isinstance(error, ValueError):
        return ("error", "value", str(error))
    inner = chain[-1]
    line = (str(inner).splitlines() or [""])[0]
    return ("error", "failed", f"{type(inner).__name__}: {line}")


def serve(connection: Connection) -> None:
    """Answer until the other end closes."""
    warnings.simplefilter("ignore")
    try:
        version = triton_shim.install()
        triton_shim.poison()
    except Unavailable as error:
        connection.send(as_error(error))
        return
    connection.send(("ready", version))
    opened: dict[int, Opened] = {}
    while True:
        try:
            message = connection.recv()
        except EOFError:
            return
        try:
            reply = answer(opened, message)
        except Exception as error:  # a kernel may raise anything, and the caller is to hear of it
            reply = as_error(error)
        connection.send(reply)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
