"""mask.nonfinite: inf or NaN where the mask is 0 must not reach anything."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.errors import SubjectError
from oracle.probing.signal import Signal, kl_part
from oracle.subject.batch import Batch
from oracle.subject.roles import Role

_FILLS = {"NaN": math.nan, "-inf": -math.inf}


@check(
    "mask.nonfinite",
    question="Does inf or NaN at masked positions stay without effect?",
    severity="warning",
    failure="inf or NaN at masked positions gets through",
    remedy="replace the log-ratio at masked positions before it is used (masked_fill); NaN * 0 is NaN",
    no_theorem="which positions count is a matter of the code's mask, and every objective leaves the others out",
)
def mask_nonfinite(case: Case) -> Answer:
    """All three log-probabilities filled at masked positions. A loss that turns NaN says so itself: a note. One that
    looks healthy while real tokens learn something else is a warning."""
    if not case.subject.has(Role.MASK):
        return skipped("no parameter plays the mask")
    if case.subject.wide:
        return skipped("it is asked of per-token log-probabilities")
    batch, plain = case.ragged_batch, case.ragged_signal
    real = batch.mask == 1
    size = float(plain.coefficient[real].abs().max())
    if not (math.isfinite(size) and size > case.noise):
        return skipped("real tokens have no gradient")
    loud: Answer | None = None
    for name, fill in _FILLS.items():
        try:
            signal = kl_part(case.subject, case.placement, _filled(batch, fill))
        except SubjectError:
            continue  # code that refuses such numbers lets nothing through
        change = (signal.coefficient - plain.coefficient)[real]
        moved = not bool((change.abs() <= max(1e-9, case.tolerance) * size).all())
        if moved and _healthy(case, signal, real):
            b, t = (int(i) for i in (~torch.isclose(signal.coefficient, plain.coefficient) & real).nonzero()[0])
            actual = float(signal.coefficient[b, t])
            return Answer(
                "fail",
                f"{name} there leaves the value finite, and the gradient of real tokens another",
                "tested",
                {
                    "fill": name,
                    "sequence": b,
                    "position": t,
                    "expected": float(plain.coefficient[b, t]),
                    "actual": str(actual),
                },
            )
        loud = loud or _loud(name, signal, real, moved)
    return loud or passed("NaN and -inf at masked positions change nothing")


def _filled(batch: Batch, fill: float) -> Batch:
    hidden = batch.mask == 0
    policy, reference, sampler = (t.masked_fill(hidden, fill) for t in (batch.policy, batch.reference, batch.sampler))
    return replace(batch, policy=policy, reference=reference, sampler=sampler)


def _healthy(case: Case, signal: Signal, real: torch.Tensor) -> bool:
    """Whether the value shows nothing (that of a penalty: at real tokens)."""
    value = signal.value[real] if case.subject.kind == "penalty" else signal.value
    return bool(torch.isfinite(value).all())


def _loud(name: str, signal: Signal, real: torch.Tensor, moved: bool) -> Answer | None:
    if moved:
        what = "real tokens lose their gradient"
    elif not bool(torch.isfinite(signal.coefficient[~real]).all()):
        what = "the gradient at those positions is not finite, which a model's backward pass carries into every weight"
    elif not bool(torch.isfinite(signal.value).all()):
        what = "the value is not finite"
    else:
        return None
    return Answer("fail", f"{name} there: {what}", "tested", {"fill": name}, "note")
