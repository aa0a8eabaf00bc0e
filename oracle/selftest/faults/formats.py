"""Faults of number formats: a step in 16 bits, in a cache, under autocast, or at too large an offset."""

from __future__ import annotations

import torch
from torch import Tensor

from ..record import UNNAMED, Correct, Pair, forward_kl, reverse_kl


def ratio_in_bfloat16(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    d = ref_logprobs - logprobs
    ratio = d.to(torch.bfloat16).exp().to(d.dtype)  # fault: near 1 a ratio in 8 bits is 1 or 0.996
    return ratio - 1 - d


def ratio_in_its_own_format(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    d = ref_logprobs - logprobs
    ratio = d.exp().to(d.dtype)
    return ratio - 1 - d


def reference_cached_in_half(
    log_probs: Tensor, old_log_probs: Tensor, ref_log_probs: Tensor, mask: Tensor, *, kl_coef: float
) -> Tensor:
    cached = ref_log_probs.half()  # fault: to save memory; 3 decimal digits of a log-probability are left
    diff = log_probs - cached.to(log_probs.dtype)
    weight = torch.exp(log_probs - old_log_probs).detach()
    return kl_coef * (0.5 * weight * diff * diff * mask).sum(-1).div(mask.sum(-1)).mean()


def reference_cached_in_float(
    log_probs: Tensor, old_log_probs: Tensor, ref_log_probs: Tensor, mask: Tensor, *, kl_coef: float
) -> Tensor:
    cached = ref_log_probs.float()
    diff = log_probs - cached.to(log_probs.dtype)
    weight = torch.exp(log_probs - old_log_probs).detach()
    return kl_coef * (0.5 * weight * diff * diff * mask).sum(-1).div(mask.sum(-1)).mean()


def _sum_of_squares(x: Tensor) -> Tensor:
    return torch.matmul(x.reshape(1, -1), x.reshape(-1, 1)).squeeze()


def product_under_autocast(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):  # fault: reaches further than the model's forward pass
        total = _sum_of_squares((logp - ref_logp) * mask)
    return 0.5 * beta * total / mask.sum()


def product_outside_autocast(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        total = _sum_of_squares((logp - ref_logp) * mask)
    return 0.5 * beta * total / mask.sum()


def weight_in_half(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = (logp - old_logp).half().exp().to(logp.dtype).detach()  # fault: exact at policy = sampler alone
    return beta * (weight * (logp - ref_logp).square() * mask).sum() / (2 * mask.sum())


def weight_in_float(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = (logp - old_logp).float().exp().to(logp.dtype).detach()
    return beta * (weight * (logp - ref_logp).square() * mask).sum() / (2 * mask.sum())


def answers_in_bfloat16(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    total = ((logp - ref_logp) * mask).bfloat16().sum(-1)  # fault: a sum of hundreds of tokens in 8 bits
    return beta * total.to(logp.dtype).square().mean() / 2


def mask_in_bfloat16(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    total = ((logp - ref_logp) * mask.bfloat16().to(logp.dtype)).sum(-1)  # 0 and 1 have all their digits there
    return beta * total.square().mean() / 2


PAIRS: tuple[Pair, ...] = (
    Correct(weight_in_float, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        weight_in_half, "dtype.bound", reverse_kl(), reverse_kl(scale=None)
    ),
    Correct(mask_in_bfloat16, reverse_kl("sequence"), UNNAMED, "reverse_kl/sequence").with_fault(
        answers_in_bfloat16, "dtype.bound", reverse_kl("sequence", scale=None), UNNAMED
    ),
    Correct(ratio_in_its_own_format, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        ratio_in_bfloat16, "dtype.bound", forward_kl(scale=None), UNNAMED
    ),
    Correct(reference_cached_in_float, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        reference_cached_in_half, "dtype.bound", reverse_kl(scale=None), reverse_kl(scale=None)
    ),
    Correct(product_outside_autocast, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        product_under_autocast, "dtype.bound", reverse_kl(), UNNAMED, "autocast leaves float64 alone"
    ),
)
