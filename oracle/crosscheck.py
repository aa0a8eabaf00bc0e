"""Cross-check on drawn inputs: the formulas must give the very gradient that runs, and the names must hold.

What fails is shrunk. A failure is explained by another path of the code or by a clamp that acts there, and then said;
or it is a defect of this tool, and said as one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import hypothesis
import numpy as np
import torch
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st

from oracle.case import Case
from oracle.enumeration import expected_gradients
from oracle.errors import SubjectError
from oracle.probing.expectation import of_objective
from oracle.probing.instances import Instance, describe
from oracle.probing.signal import kl_part
from oracle.probing.strategies import batches, policies
from oracle.reading.atoms import Select, Unread
from oracle.reading.field import KlReading, at_point, read_kl
from oracle.records import ObjectiveRecord
from oracle.subject.batch import Batch


class _Differs(Exception):
    """A drawn input on which two answers differ."""


def crosscheck(case: Case) -> None:
    """Hold formulas and names of a case against runs on drawn inputs; note other paths, and defects."""
    if case.kl is not None:
        kl = case.kl
        batch = _search(batches(), lambda b: agrees(case, kl, b), case, case.options.max_examples)
        if batch is not None:
            _other_path(case, batch)
    # a formula that holds sample by sample needs few policies more; without one they are all the evidence there is
    count = case.options.max_examples if case.kl is None else max(1, case.options.max_examples // 5)
    for on, record in ((True, case.on_policy), (False, case.off_policy)):
        if record is None or record.objective == "unnamed":
            continue
        instance = _search(policies(on), lambda i, r=record: name_holds(case, r, i), case, count)  # type: ignore[misc]
        if instance is not None:
            _name_fails(case, record, instance, on)
            return


def _search(strategy: st.SearchStrategy[Any], holds: Callable[[Any], bool], case: Case, count: int) -> Any:
    """The smallest drawn value for which ``holds`` is false, or None."""
    worst: list[Any] = []

    def test(value: Any) -> None:
        if not holds(value):
            worst[:] = [value]
            raise _Differs

    settings = hypothesis.settings(
        max_examples=max(1, count),
        database=None,
        deadline=None,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            hypothesis.seed(case.options.seed)(settings(hypothesis.given(strategy)(test)))()
        except _Differs:
            return worst[0]
    return None


def agrees(case: Case, kl: KlReading, batch: Batch) -> bool:
    """Whether the formulas give the gradient that runs at a batch.

    Where that is not finite rounding has the word (0 * inf at policy = reference, an overflow): for the checks to say.
    """
    try:
        expected = at_point(kl, batch)
    except (Unread, ZeroDivisionError, OverflowError):
        return True  # at a kink or a pole the formula says nothing
    seen = kl_part(case.subject, case.placement, batch).coefficient.numpy()
    size = max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)))
    loose = max(1e-7, 10 * case.tolerance)
    ran = np.isfinite(seen)
    return bool(np.allclose(seen[ran], expected[ran], rtol=loose, atol=loose * size))


def name_holds(case: Case, record: ObjectiveRecord, instance: Instance) -> bool:
    """Whether the expected gradient at an instance is that of the objective named, at its scale."""
    (seen,) = expected_gradients(case, [instance])
    if not np.isfinite(seen).all():
        return True
    expected = np.zeros_like(seen)
    if record.objective != "zero" and record.scale is not None:
        expected = record.scale * of_objective(record.objective, record.level or "token", "sampler", instance)
    size = float(np.linalg.norm(of_objective("reverse_kl", "token", "sampler", instance)) + np.linalg.norm(expected))
    # at policy = reference nothing is left but the rounding of terms that cancel
    dust = 1e-12 if case.tolerance <= 1e-8 else 1e-2 * case.tolerance
    return bool(np.linalg.norm(seen - expected) <= max(1e-6, 10 * case.tolerance) * size + dust)


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


def _name_fails(case: Case, record: ObjectiveRecord, instance: Instance, on: bool) -> None:
    """A policy where the name fails: a clamp or a branch acts there, or naming is wrong."""
    side = "on-policy" if on else "off-policy"
    shown = describe(instance)
    where = f"policy {shown['policy'][0]}, reference {shown['reference'][0]}"
    smooth = case.kl is not None and not case.path and not any(e.has(Select) for e in case.kl.full.flat)
    if smooth and not (case.field is not None and case.field.coupled):
        case.disagreements.append(f"{side}: {record.objective} does not hold at {where}")
    else:
        case.path.append(f"{side} the name holds near policy = reference, not at {where}")


def _numbers(t: torch.Tensor) -> str:
    return str([[float(f"{x:.3g}") for x in row] for row in t.tolist()])
