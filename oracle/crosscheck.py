"""Cross-check: on drawn inputs the formulas read must give the very gradient that runs; what fails is shrunk."""

from __future__ import annotations

import warnings
from typing import Any

import hypothesis
import numpy as np
import torch
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st

from oracle.case import Case
from oracle.errors import SubjectError
from oracle.probing.signal import kl_part
from oracle.reading.atoms import Unread
from oracle.reading.field import KlReading, at_point, read_kl
from oracle.subject.batch import Batch, from_log_ratios

_OFFSET = 0.0137
"""Keeps drawn log-ratios off the round numbers where clamps have their kinks; 0 itself (pi = ref) is drawn too."""


@st.composite
def batches(draw: Any, shape: tuple[int, int] = (2, 2)) -> Batch:
    """Batches of one shape with |L| up to .5, 2 or 5 and |log rho| up to .5 or 1.5, pi = ref and mu = pi among them."""
    n = shape[0] * shape[1]
    scale = draw(st.sampled_from([4, 16, 40]))
    eighths = draw(st.lists(st.integers(-scale, scale), min_size=2 * n, max_size=2 * n))
    policy = draw(st.lists(st.integers(1, 40), min_size=n, max_size=n))

    def grid(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64).reshape(shape)

    def ratios(steps: list[int], most: int) -> torch.Tensor:
        return grid([(max(-most, min(most, k)) / 8 + _OFFSET) if k else 0.0 for k in steps])

    return from_log_ratios(grid([-k / 8 for k in policy]), ratios(eighths[:n], 40), ratios(eighths[n:], 12))


class _Differs(Exception):
    """The formula and the gradient that ran differ at a batch."""


def crosscheck(case: Case) -> None:
    """Hold the reading of a case against runs on drawn batches; note other paths, and defects."""
    if case.kl is None:
        return
    worst: list[Batch] = []
    kl = case.kl

    def agree(batch: Batch) -> None:
        if not agrees(case, kl, batch):
            worst[:] = [batch]
            raise _Differs

    if not _search(agree, case):
        return
    _other_path(case, worst[0])


def _search(agree: Any, case: Case) -> bool:
    """Whether Hypothesis finds (and shrinks) a batch on which ``agree`` raises."""
    settings = hypothesis.settings(
        max_examples=max(1, case.options.max_examples),
        database=None,
        deadline=None,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    test = hypothesis.seed(case.options.seed)(settings(hypothesis.given(batches())(agree)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            test()
        except _Differs:
            return True
    return False


def agrees(case: Case, kl: KlReading, batch: Batch) -> bool:
    """Whether the formulas give the gradient that runs at a batch (NaN where it is NaN)."""
    try:
        expected = at_point(kl, batch)
    except (Unread, ZeroDivisionError, OverflowError):
        return True  # at a kink or a pole the formula says nothing
    seen = kl_part(case.subject, case.placement, batch).coefficient.numpy()
    size = max(1.0, float(np.abs(expected).max()))
    loose = max(1e-7, 10 * case.tolerance)
    return bool(np.allclose(seen, expected, rtol=loose, atol=loose * size, equal_nan=True))


def _other_path(case: Case, batch: Batch) -> None:
    """A batch where the formula fails: either the code took another branch there, or the reading is wrong."""
    try:
        there = read_kl(case.subject, case.placement, batch)
        explained = agrees(case, there, batch) and bool(there.escapes)
    except (Unread, SubjectError):
        explained = bool(case.kl is not None and case.kl.escapes)
    where = f"L = {_numbers(batch.policy - batch.reference)}, log rho = {_numbers(batch.policy - batch.sampler)}"
    if explained:
        case.path.append(f"another formula holds at {where}")
    else:
        case.disagreements.append(f"the formula read and the gradient that ran differ at {where}")


def _numbers(t: torch.Tensor) -> str:
    return str([[float(f"{x:.3g}") for x in row] for row in t.tolist()])
