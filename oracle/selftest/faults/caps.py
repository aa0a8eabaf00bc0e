"""Faults of digits and caps: 16 bits, clamps, free nats, a root without a slope."""

from __future__ import annotations

import torch
from torch import Tensor

from ..record import UNNAMED, ZERO, Correct, Pair, forward_kl, reverse_kl
from .twins import MEAN, SEQUENCES


def _k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


def bfloat16_penalty(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    x, y = logp.bfloat16(), ref_logp.bfloat16()  # fault: log-probabilities in 16 bits
    kl = _k2(x, y).float()
    return beta * (kl * mask).sum() / mask.sum()


def half_ratio(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = (ref_logp.half() - logp.half()).float()  # fault: the digits of the log-ratio are gone
    return beta * ((torch.expm1(d) - d) * mask).sum() / mask.sum()


def capped_estimate(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = torch.clamp(_k2(logp, ref_logp), 0.0, 5.0)  # fault: no gradient beyond
    return beta * (kl * mask).sum() / mask.sum()


def capped_answer(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = (_k2(logp, ref_logp) * mask).sum(-1)
    return beta * torch.clamp(kl, max=20.0).mean()  # fault: no gradient for the answers that drift most


def free_nats(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.relu(0.5 * (logp - ref_logp) ** 2 - 0.5)  # fault: nothing holds within |L| < 1


def k2_of_each_token(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


TOKENS = Correct(k2_of_each_token, reverse_kl(), UNNAMED, "k2 as loss")


def root_of_square(logp: Tensor, ref_logp: Tensor) -> Tensor:
    size = torch.sqrt((logp - ref_logp) ** 2)  # fault: the root has no slope at 0, where training starts
    return 0.5 * size**2


def soft_cap(logp: Tensor, ref_logp: Tensor) -> Tensor:
    kl = 0.5 * (logp - ref_logp) ** 2
    return torch.where(kl < 8.0, kl, kl.detach())  # fault: beyond 8 only the value goes on


PAIRS: tuple[Pair, ...] = (
    MEAN.with_fault(bfloat16_penalty, "cancellation", reverse_kl(scale=None), UNNAMED),
    MEAN.with_fault(half_ratio, "cancellation", forward_kl(scale=None), UNNAMED),
    MEAN.with_fault(capped_estimate, "clamp.dead_gradient", reverse_kl(), UNNAMED),
    SEQUENCES.with_fault(capped_answer, "clamp.dead_gradient", reverse_kl(), UNNAMED),
    TOKENS.with_fault(free_nats, "clamp.dead_gradient", ZERO, ZERO),
    TOKENS.with_fault(root_of_square, "reference.zero_at_reference", reverse_kl(), UNNAMED),
    TOKENS.with_fault(soft_cap, "clamp.dead_gradient", reverse_kl(), UNNAMED),
)
