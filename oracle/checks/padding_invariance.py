"""padding.invariance: longer padding must not change what real tokens learn."""

from __future__ import annotations

import dataclasses

import torch

from oracle.case import Case
from oracle.checks.mask_leak import mirrored
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.probing.signal import kl_part
from oracle.subject.batch import Batch, ragged
from oracle.subject.roles import Role


def _cut(batch: Batch, width: int) -> Batch:
    return dataclasses.replace(
        batch,
        policy=batch.policy[:, :width].clone(),
        reference=batch.reference[:, :width].clone(),
        sampler=batch.sampler[:, :width].clone(),
        mask=batch.mask[:, :width].clone(),
    )


@check(
    "padding.invariance",
    question="Is the gradient of real tokens the same however far the batch is padded?",
    severity="error",
    failure="the gradient of real tokens changes with the padded length",
    remedy="divide by counts of real tokens or by a constant, never by the padded width",
    no_theorem="padding is a matter of the code's arrays; no objective knows of it",
)
def padding_invariance(case: Case) -> Answer:
    """The same sequences padded to 4 and to 7 tokens."""
    if not case.subject.has(Role.MASK):
        return skipped("no parameter plays the mask")
    wide = ragged((4, 2, 1), 7, case.options.seed + 22)
    short = _cut(wide, 4)
    real = short.mask == 1
    one = kl_part(case.subject, case.placement, short).coefficient[real]
    two = kl_part(case.subject, case.placement, wide).coefficient[:, :4][real]
    size = float(one.abs().max())
    if size <= case.noise:
        return skipped("real tokens have no gradient")
    near = max(1e-9, 10 * case.tolerance) * size
    if float((one - two).abs().max()) <= near:
        frame = case.subject.convention.frame
        if frame is None or frame.layout != "shifted":
            return passed("padding from 4 to 7 tokens changes nothing")
        # whole sequences: prompts are of unequal length, and are padded on the left
        led = mirrored(short)
        three = kl_part(case.subject, case.placement, led).coefficient[led.mask == 1]
        if float((one - three).abs().max()) <= near:
            return passed("padding from 4 to 7 tokens changes nothing, on the right or on the left")
        change = float((one - three).abs().max()) / size
        example = {"side": "left", "change": change}
        return Answer("fail", f"padding on the left, not on the right, changes it by {change:.2%}", "tested", example)
    ratio = float((one * two).sum() / (one * one).sum())
    only_scale = bool(torch.allclose(two, ratio * one, rtol=1e-6, atol=1e-9 * size))
    message = (
        f"padding from 4 to 7 tokens scales it by {ratio:.4g}"
        if only_scale
        else "padding from 4 to 7 tokens changes it unevenly"
    )
    return Answer("fail", message, "tested", {"width": [4, 7], "scale": ratio}, "warning" if only_scale else "error")
