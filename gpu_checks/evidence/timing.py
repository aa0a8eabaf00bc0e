"""Kernel times against the bandwidth floor: what a kernel has to move, at the speed of a copy in the same run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpu_checks.audit.inputs import REGIMES, sampled_batch, whole_batch
from gpu_checks.backends.own_runners import Launcher, OwnRunner, Prepared, TokenKl, WholeKl, taken
from gpu_checks.evidence.records import Timing
from gpu_checks.formats import FORMATS, Array
from gpu_checks.kernels.sources import Source
from gpu_checks.subject import Request, SampledBatch, WholeBatch

Clock = Callable[[Callable[[], Any]], float]
"""Returns the time, in ms, of what the work launches."""

_REPEATS = 7
_ROWS = 4
"""Rows that are drawn; the others repeat them."""

_MOVED = {"own-kl": 3, "own-whole-kl": 5}
"""Passes over a row: two readings (log-sum-exp, gradient) of each distribution, and the gradient written."""


def timed(load: Callable[[Source], Launcher], clock: Clock, dtype: str, rows: int, vocabulary: int) -> list[Timing]:
    """Return the least time of seven of each kernel that is bound by memory, in one format.

    Raises Unavailable, RuntimeError.
    """
    found = []
    for subject, passes in _MOVED.items():
        prepared, launcher, logits = _prepared(subject, load, dtype, rows, vocabulary)
        copied = 2 * logits.nbytes / (1e-3 * _least(clock, _copy(launcher, logits)))

        def work(prepared: Prepared = prepared) -> None:
            for launch in prepared.launches:
                launch()

        took = _least(clock, work)
        moved = passes * logits.nbytes
        found.append(
            Timing(
                subject=subject,
                dtype=dtype,
                rows=rows,
                vocabulary=vocabulary,
                milliseconds=took,
                moved=moved,
                bandwidth=moved / (1e-3 * took),
                copied=copied,
            )
        )
    return found


def _prepared(
    subject: str, load: Callable[[Source], Launcher], dtype: str, rows: int, vocabulary: int
) -> tuple[Prepared, Launcher, Array]:
    """Arrays handed over to a kernel, with its launcher, and the logits as they were."""
    launchers: list[Launcher] = []

    def loading(source: Source) -> Launcher:
        launchers.append(load(source))
        return launchers[-1]

    request, form, random = Request(dtype, vocabulary), FORMATS[dtype], np.random.default_rng(0)
    runner: OwnRunner
    if subject == "own-kl":
        one = sampled_batch(form, vocabulary, REGIMES[0], False, 1.0, random)
        batch = SampledBatch(*(_repeated(a, rows) for a in (one.logits, one.tokens, one.reference, one.upstream)))
        runner = TokenKl(request, loading)
        return runner.prepared(batch), launchers[0], batch.logits
    pair = whole_batch(form, vocabulary, REGIMES[0], False, random)
    whole = WholeBatch(*(_repeated(a, rows) for a in (pair.policy, pair.reference, pair.upstream)))
    runner = WholeKl(request, loading)
    return runner.prepared(whole), launchers[0], whole.policy


def _repeated(array: Array, rows: int) -> Array:
    return np.resize(array, (rows, *array.shape[1:]))


def _copy(launcher: Launcher, array: Array) -> Callable[[], None]:
    source, destination = taken(launcher, array), taken(launcher, np.empty_like(array))

    def copy() -> None:
        destination[...] = source

    return copy


def _least(clock: Clock, work: Callable[[], None]) -> float:
    """The first run is not counted: it loads what the others find."""
    return min([clock(work) for _ in range(_REPEATS + 1)][1:])
