"""Faults of which ratio weighs a token: its own, the mean or the product of an answer, or upside down."""

from __future__ import annotations

import torch
from torch import Tensor

from ..record import UNNAMED, Correct, Pair, reverse_kl


def _column(advantages: Tensor) -> Tensor:
    return advantages.unsqueeze(-1) if advantages.dim() == 1 else advantages


def _token_mean(x: Tensor, mask: Tensor) -> Tensor:
    return torch.sum(x * mask) / torch.sum(mask)


def _sequence_mean(x: Tensor, mask: Tensor) -> Tensor:
    mask = mask.to(x.dtype)
    return ((x * mask).sum(-1) / mask.sum(-1).clamp(min=1)).mean()


def mean_ratio_on_token_kl(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    log_ratio = (logp - old_logp) * mask
    log_ratio = (log_ratio.sum(-1) / mask.sum(-1)).unsqueeze(-1)  # fault: no token's weight
    ratio = log_ratio.exp()
    delta = ref_logp - logp
    loss = -ratio * _column(advantages) + beta * ratio * (delta.exp() - delta - 1)
    return _sequence_mean(loss, mask)


def token_ratio_on_token_kl(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    log_ratio = (logp - old_logp) * mask
    sequence_ratio = (log_ratio.sum(-1) / mask.sum(-1)).unsqueeze(-1).exp()
    delta = ref_logp - logp
    loss = -sequence_ratio * _column(advantages)
    loss = loss + beta * log_ratio.exp() * (delta.exp() - delta - 1)
    return _sequence_mean(loss, mask)


def product_ratio_on_k2(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, *, beta: float) -> Tensor:
    log_ratio = torch.where(mask.bool(), logp - old_logp, torch.zeros_like(logp))
    weight = log_ratio.detach().sum(-1, keepdim=True).exp()  # fault: also re-weights the prefixes
    return beta * (weight * (logp - ref_logp).square() * mask).sum().div(2)


def token_ratio_on_k2(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, *, beta: float) -> Tensor:
    log_ratio = torch.where(mask.bool(), logp - old_logp, torch.zeros_like(logp))
    weight = log_ratio.detach().exp()
    return beta * (weight * (logp - ref_logp).square() * mask).sum().div(2)


def product_ratio_on_k3(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = ((logp - old_logp) * mask).sum(-1, keepdim=True).exp()  # fault: whole-sequence ratio
    delta = ref_logp - logp
    return beta * (weight * torch.expm1(delta).sub(delta) * mask).sum(-1).mean()


def token_ratio_on_k3(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = ((logp - old_logp) * mask).exp()
    delta = ref_logp - logp
    return beta * (weight * torch.expm1(delta).sub(delta) * mask).sum(-1).mean()


def inverted_weight(
    policy_logprobs: Tensor, old_logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, beta: float
) -> Tensor:
    weight = torch.exp(old_logprobs - policy_logprobs)  # fault: sampler over policy
    delta = ref_logprobs - policy_logprobs
    return beta * _token_mean(weight * (torch.expm1(delta) - delta), mask)


def upright_weight(
    policy_logprobs: Tensor, old_logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, beta: float
) -> Tensor:
    weight = torch.exp(policy_logprobs - old_logprobs)
    delta = ref_logprobs - policy_logprobs
    return beta * _token_mean(weight * (torch.expm1(delta) - delta), mask)


PAIRS: tuple[Pair, ...] = (
    Correct(
        token_ratio_on_token_kl, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy", tail="rounding"
    ).with_fault(mean_ratio_on_token_kl, "objective", UNNAMED, UNNAMED),
    Correct(token_ratio_on_k2, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        product_ratio_on_k2,
        "objective",
        reverse_kl(),
        UNNAMED,
        "off-policy the fault takes its prefixes from the policy: the gradient on-policy",
    ),
    Correct(token_ratio_on_k3, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy", tail="rounding").with_fault(
        product_ratio_on_k3,
        "objective",
        reverse_kl("sequence"),
        reverse_kl("sequence"),
        "exact for the sequence, on- and off-policy; the fault is against the claim",
    ),
    Correct(upright_weight, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy", tail="rounding").with_fault(
        inverted_weight, "objective", UNNAMED, UNNAMED
    ),
)
