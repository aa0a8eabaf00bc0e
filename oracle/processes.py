"""Work in several processes, for the runs that judge hundreds of functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def _one_thread() -> None:
    """Small tensors run slower on many threads, and the processes share the cores."""
    import torch

    torch.set_num_threads(1)


def in_processes(work: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Iterator[Result]:
    """The results of ``work`` on ``items``, as they come; in this process where ``jobs`` is 1.

    ``work`` and what it takes and gives must be picklable. Raises what ``work`` raises.
    """
    if jobs == 1:
        yield from map(work, items)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a worker's torch reads it when it is first imported
    rest = iter(items)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        pending: set[Future[Result]] = {pool.submit(work, item) for item in islice(rest, 2 * jobs)}
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            pending |= {pool.submit(work, item) for item in islice(rest, len(done))}
            for future in done:
                yield future.result()
