"""logits.shift: logits say the same whatever constant is added to all of a position."""

from __future__ import annotations

import torch

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.probing.signal import kl_part_on_logits
from oracle.subject.roles import Role


@check(
    "logits.shift",
    question="Does a constant added to all logits of a position change nothing?",
    severity="error",
    failure="a constant added to all logits of a position gets through",
    remedy="normalise the logits over the vocabulary (log_softmax along the last axis) before they are used",
    no_theorem="logits stand for a distribution, which such a constant does not change",
)
def logits_shift(case: Case) -> Answer:
    """Value and gradient at the logits of the mild batch, and at the same logits with a constant for each position."""
    subject = case.subject
    if not (subject.has(Role.LOGITS) or subject.has(Role.HIDDEN)):
        return skipped("no parameter takes the policy's logits")
    batch = case.mild_batch
    logits = subject.logits(batch)
    generator = torch.Generator().manual_seed(case.options.seed + 71)
    shift = 1 + 2 * torch.rand(*logits.shape[:2], 1, generator=generator, dtype=torch.float64).to(logits.dtype)
    values = [subject.result_on(batch, x.detach().clone()).detach().double() for x in (logits, logits + shift)]
    pairs = [("value", values[0], values[1])]
    if case.placement != "reward":
        plain, moved = (kl_part_on_logits(subject, batch, x) for x in (logits, logits + shift))
        pairs.append(("gradient", plain, moved))
    for what, plain, moved in pairs:
        size = float(plain.abs().max())
        change = float((moved - plain).abs().max())
        if not change <= max(1e-9, 10 * case.tolerance) * max(size, 1e-6):
            example = {"shift": float(f"{float(shift[0, 0, 0]):.6g}"), "change": change}
            return Answer("fail", f"the {what} moves by {change / max(size, 1e-6):.2%}", "tested", example)
    if not any(bool(plain.any()) for _, plain, _ in pairs):
        return skipped("value and gradient are 0 whatever the logits")
    return passed("a constant for each position changes neither value nor gradient")
