"""Processes that prove: they know the catalogue, and remember all that SymPy computes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

_CACHE = "SYMPY_CACHE_SIZE"
_LEARN = "proofs.preloaded"


def cores() -> int:
    """Return how many processes can run at a time."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """Start processes; while they import the catalogue the caller can go on.

    They come from a process that has imported it and has no threads, where the system has such a thing. A
    fork of the caller's process may hang: solvers and progress bars have threads.
    """
    from_one = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if from_one else "spawn")
    with _unbounded_cache(), ProcessPoolExecutor(workers, context) as pool:
        if from_one:
            from multiprocessing.forkserver import ensure_running  # not on every system

            context.set_forkserver_preload([_LEARN])
            # started here, as the first process asked of it would wait until it has imported all that
            ensure_running()
        yield pool


@contextmanager
def _unbounded_cache() -> Iterator[None]:
    """Let SymPy remember all it computes in the processes started here: the memory is returned when they end."""
    if _CACHE in os.environ:
        yield
        return
    os.environ[_CACHE] = "None"
    try:
        yield
    finally:
        del os.environ[_CACHE]
