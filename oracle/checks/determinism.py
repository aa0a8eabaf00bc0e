"""determinism: the same inputs give the same bits, and the inputs are left as they were."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed
from oracle.probing.signal import Signal, once
from oracle.probing.writes import overwritten
from oracle.subject.batch import mild


@check(
    "determinism",
    question="Do the same inputs give the same bits, call after call?",
    severity="warning",
    failure="the same inputs do not give the same result",
    remedy="keep random numbers and state that changes from call to call out of the KL term, and write into copies",
    no_theorem="an objective is a function of the policy alone; the code's state is not part of it",
)
def determinism(case: Case) -> Answer:
    """Called again after another batch, and from another random state; and what it writes into."""
    batch = case.mild_batch

    def run(seed: int, after: bool = False) -> Signal:
        with random_state(seed):
            if after:
                once(case.subject, case.placement, mild(*batch.shape, seed=case.options.seed + 61))
                _seed(seed)
            return once(case.subject, case.placement, batch)

    first = run(1)
    if not _same(first, other := run(1, after=True)):
        change = _change(first, other)
        return Answer("fail", f"called again after another batch it changes by {change}: it keeps state", "tested")
    if not _same(first, other := run(2)):
        return Answer(
            "fail", f"from another random state it changes by {_change(first, other)}: it draws numbers", "tested"
        )
    written = overwritten(case.subject, batch)
    if written:
        return Answer(
            "fail",
            f"it overwrites {' and '.join(written)} in place, so that the next epoch over the batch has other inputs",
            "tested",
            {"overwritten": list(written)},
        )
    return passed("bit for bit the same after another batch and from another random state")


def _same(a: Signal, b: Signal) -> bool:
    pairs = ((a.value, b.value), (a.coefficient, b.coefficient))
    return all(x.shape == y.shape and bool(torch.isclose(x, y, rtol=0, atol=0, equal_nan=True).all()) for x, y in pairs)


def _change(a: Signal, b: Signal) -> str:
    size = max(float(a.coefficient.abs().max()), 1e-30)
    change = float((a.coefficient - b.coefficient).abs().max())
    if change == 0.0:
        return f"{float((a.value - b.value).double().abs().max()):.3g} in value"
    return f"{change / size:.2%}"


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


@contextlib.contextmanager
def random_state(seed: int) -> Iterator[None]:
    """All generators a subject may draw from, seeded; afterwards they are as they were."""
    python, numbers = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            _seed(seed)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numbers)
