"""mask.leak: positions that the mask leaves out must neither be trained nor be heard."""

from __future__ import annotations

import dataclasses

import torch

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.probing.signal import kl_part
from oracle.subject.batch import Batch
from oracle.subject.roles import Role


@check(
    "mask.leak",
    question="Are masked positions without gradient, and without influence on the others?",
    severity="error",
    failure="masked positions take part",
    remedy="multiply each token's value by the mask before it is summed or averaged",
    no_theorem="which positions count is a matter of the code's mask, and every objective leaves the others out",
)
def mask_leak(case: Case) -> Answer:
    """Gradient at mask = 0 must be 0; moving what stands there must not move the gradient elsewhere."""
    if not case.subject.has(Role.MASK):
        return skipped("no parameter plays the mask")
    answer = _leak(case, case.ragged_batch, case.ragged_signal.coefficient)
    frame = case.subject.convention.frame
    if answer.outcome == "fail" or frame is None or frame.layout != "shifted":
        return answer
    # whole sequences: there a prompt, or padding on the left, is masked before the tokens that count
    led = mirrored(case.ragged_batch)
    return _leak(case, led, kl_part(case.subject, case.placement, led).coefficient)


def mirrored(batch: Batch) -> Batch:
    """The same tokens with what is masked before them, not after."""
    order = torch.stack([torch.argsort(row, stable=True) for row in batch.mask])

    def moved(x: torch.Tensor) -> torch.Tensor:
        return x.gather(1, order)

    return dataclasses.replace(
        batch,
        policy=moved(batch.policy),
        reference=moved(batch.reference),
        sampler=moved(batch.sampler),
        mask=moved(batch.mask),
    )


def _leak(case: Case, batch: Batch, signal: torch.Tensor) -> Answer:
    hidden = batch.mask == 0
    size = float(signal[~hidden].abs().max()) if signal[~hidden].numel() else 0.0
    leak = torch.where(hidden, signal.abs(), torch.zeros_like(signal))
    if not bool((leak <= max(1e-9 * size, case.noise)).all()):
        b, t = divmod(int(torch.nan_to_num(leak, nan=torch.inf).argmax()), batch.shape[1])
        what = "value" if case.placement == "reward" else "gradient"
        return Answer(
            "fail",
            f"the {what} at a masked position is {float(signal[b, t]):.3g} (largest at real ones: {size:.3g})",
            "tested",
            {
                "sequence": b,
                "position": t,
                "length": int(batch.mask[b].sum()),
                "expected": 0.0,
                "actual": float(signal[b, t]),
            },
        )
    moved = dataclasses.replace(
        batch,
        policy=batch.policy - 0.5 * (1 - batch.mask),
        reference=batch.reference - 0.2 * (1 - batch.mask),
        sampler=batch.sampler - 0.4 * (1 - batch.mask),
    )
    other = kl_part(case.subject, case.placement, moved).coefficient
    change = float((other - signal)[~hidden].abs().max())
    if not change <= max(1e-9, case.tolerance) * max(size, case.noise):
        return Answer(
            "fail",
            f"what stands at masked positions moves the gradient of real tokens by {change / max(size, 1e-30):.2%}",
            "tested",
            {"change": change},
        )
    return passed("no gradient at masked positions, and no influence from them")
