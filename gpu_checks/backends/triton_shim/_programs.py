"""Only some programs of a grid: the last row of a tensor beyond 2^31 elements can be run without the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any, TypeAlias

from gpu_checks.backends.triton_shim._internals import Internals

Programs: TypeAlias = frozenset[tuple[int, int, int]]

_chosen: Programs | None = None


@contextmanager
def only(programs: Programs | None) -> Iterator[None]:
    """Run just these program ids (x, y, z) of every grid launched inside; None runs all."""
    global _chosen
    before, _chosen = _chosen, programs
    try:
        yield
    finally:
        _chosen = before


class _Restricted:
    """A kernel's body that returns at once for programs not chosen; it looks like the function to `inspect`."""

    def __init__(self, function: Any, builder: Any, programs: Programs) -> None:
        self._function, self._builder, self._programs = function, builder, programs
        self.__name__ = function.__name__
        self.__signature__ = signature(function)
        self.__globals__ = function.__globals__

    def __call__(self, **arguments: Any) -> None:
        if tuple(self._builder.grid_idx) in self._programs:
            self._function(**arguments)


def patch(internals: Internals) -> None:
    """Let a launch obey `only`."""
    executor, builder = internals.interpreter.GridExecutor, internals.interpreter.interpreter_builder
    stock = executor.__call__

    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        if _chosen is None:
            return stock(self, *arguments, **named)
        function = self.fn
        self.fn = _Restricted(function, builder, _chosen)
        try:
            return stock(self, *arguments, **named)
        finally:
            self.fn = function

    executor.__call__ = call
