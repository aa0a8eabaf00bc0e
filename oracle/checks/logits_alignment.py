"""logits.alignment: the logits that score a token are those of its own position, not of a neighbour."""

from __future__ import annotations

import torch
from torch import Tensor

from oracle.case import Case
from oracle.checks.registry import Answer, check, passed, skipped
from oracle.probing.signal import kl_part_on_logits
from oracle.subject.frames import SAYS
from oracle.subject.roles import Role
from oracle.subject.vocabulary import coefficients, rest_of


@check(
    "logits.alignment",
    question="Does each token's loss reach the logits that score it, and those alone?",
    severity="error",
    failure="logits and tokens are out of step",
    remedy="score ids[:, 1:] with logits[:, :-1] (or both from one aligned slice), and shift every array alike",
    no_theorem="which logits score which token is a matter of the code's arrays",
)
def logits_alignment(case: Case) -> Answer:
    """The gradient at the logits of a position must run along the score of its own token, not of one next to it."""
    subject = case.subject
    if not subject.wide or not subject.has(Role.TOKENS):
        return skipped("it takes no logits beside token ids")
    if case.placement == "reward":
        return skipped("a penalty in reward carries no gradient of its own")
    batch, frame = case.mild_batch, subject.convention.frame
    assert frame is not None
    logits = subject.logits(batch).detach()
    gradient = kl_part_on_logits(subject, batch, logits)
    t, size = batch.shape[1], float(gradient.norm(dim=-1).max())
    if size == 0.0:
        return skipped("there is no gradient at the logits")
    near = max(1e-7, 10 * case.tolerance) * size
    if gradient.shape[1] > t and float(gradient[:, t:].abs().max()) > near:
        example = {"position": t, "expected": 0.0, "actual": float(gradient[:, t:].abs().max())}
        return Answer("fail", f"the logits at position {t} score no token and have a gradient", "tested", example)
    tokens = frame.ids(rest_of(batch.policy, batch.reference, batch.sampler, batch.tables).tokens, logits.shape[-1])
    own = tokens[:, frame.prompt :]
    rows = gradient[:, :t], logits[:, :t].double()
    if subject.whole:
        for step in (1, -1):
            if _along(rows, tokens, frame.prompt + step, own, near):
                place = "next" if step > 0 else "previous"
                return Answer(
                    "fail",
                    f"the gradient at a position runs along the score of the {place} token, not of its own",
                    "tested",
                    {"position": 1, "step": step},
                )
    return passed(SAYS[frame.layout])


def _along(rows: tuple[Tensor, Tensor], tokens: Tensor, start: int, own: Tensor, near: float) -> bool:
    """Whether the gradient at each position is a multiple of the score of the token ``start`` places on."""
    gradient, logits = rows
    t = gradient.shape[1]
    places = torch.arange(t) + start
    inside = (places >= 0) & (places < tokens.shape[1])
    other = tokens[:, places.clamp(0, tokens.shape[1] - 1)]
    across = coefficients(gradient, logits, other)[1]
    seen = inside & (gradient.norm(dim=-1) > near) & (other != own)
    return bool(seen.any()) and bool((across[seen] <= near).all())
