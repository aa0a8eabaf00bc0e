"""Faults in importance weights: live or detached where the other is right, and truncated."""

from __future__ import annotations

import torch
from torch import Tensor

from ..record import UNNAMED, ZERO, Correct, Pair, forward_kl, reverse_kl


def _column(advantages: Tensor) -> Tensor:
    return advantages.unsqueeze(-1) if advantages.dim() == 1 else advantages


def _token_mean(x: Tensor, mask: Tensor) -> Tensor:
    return torch.sum(x * mask) / torch.sum(mask)


def _sequence_mean(x: Tensor, mask: Tensor) -> Tensor:
    mask = mask.to(x.dtype)
    return ((x * mask).sum(-1) / mask.sum(-1).clamp(min=1)).mean()


# --- detach ---------------------------------------------------------------------------------------


def live_weight_on_k2(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    ratio = (logp - old_logp).exp()
    kl = ratio * 0.5 * (logp - ref_logp) ** 2  # fault: k2 is right only under a detached weight
    return _token_mean(-ratio * _column(advantages) + beta * kl, mask)


def detached_weight_on_k2(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    ratio = (logp - old_logp).exp()
    kl = ratio.detach() * 0.5 * (logp - ref_logp) ** 2
    return _token_mean(-ratio * _column(advantages) + beta * kl, mask)


def detached_weight_on_k3(
    per_token_logps: Tensor,
    old_per_token_logps: Tensor,
    ref_per_token_logps: Tensor,
    advantages: Tensor,
    completion_mask: Tensor,
    beta: float,
) -> Tensor:
    coef_1 = torch.exp(per_token_logps - old_per_token_logps)
    delta = ref_per_token_logps - per_token_logps
    per_token_kl = torch.exp(delta) - delta - 1
    per_token_kl = per_token_kl * coef_1.detach()  # fault: gives KL(reference||policy), unbiased
    loss = -coef_1 * _column(advantages) + beta * per_token_kl
    return _sequence_mean(loss, completion_mask)


def live_weight_on_k3(
    per_token_logps: Tensor,
    old_per_token_logps: Tensor,
    ref_per_token_logps: Tensor,
    advantages: Tensor,
    completion_mask: Tensor,
    beta: float,
) -> Tensor:
    coef_1 = torch.exp(per_token_logps - old_per_token_logps)
    delta = ref_per_token_logps - per_token_logps
    per_token_kl = torch.exp(delta) - delta - 1
    per_token_kl = per_token_kl * coef_1
    loss = -coef_1 * _column(advantages) + beta * per_token_kl
    return _sequence_mean(loss, completion_mask)


def detached_weight_on_k1(
    log_probs: Tensor, behavior_log_probs: Tensor, ref_log_probs: Tensor, mask: Tensor, beta: float
) -> Tensor:
    with torch.no_grad():  # fault: k1 has a gradient only through its weight
        weight = torch.exp(log_probs - behavior_log_probs)
    return beta * _token_mean(weight * (log_probs - ref_log_probs), mask)


def live_weight_on_k1(
    log_probs: Tensor, behavior_log_probs: Tensor, ref_log_probs: Tensor, mask: Tensor, beta: float
) -> Tensor:
    weight = torch.exp(log_probs - behavior_log_probs)
    return beta * _token_mean(weight * (log_probs - ref_log_probs), mask)


def swapped_arguments_of_weighted_k1(
    log_probs: Tensor, behavior_log_probs: Tensor, ref_log_probs: Tensor, mask: Tensor, beta: float
) -> Tensor:
    weight = torch.exp(log_probs - behavior_log_probs)
    return beta * _token_mean(weight * (ref_log_probs - log_probs), mask)  # fault: swapped


# --- truncation -----------------------------------------------------------------------------------


def truncated_live_weight(
    logp: Tensor, rollout_logp: Tensor, ref_logp: Tensor, response_mask: Tensor, kl_coef: float
) -> Tensor:
    weight = torch.exp(logp - rollout_logp).clamp(max=10.0)  # fault: truncated, but not detached
    kl = weight * (logp - ref_logp).square() / 2
    return kl_coef * _sequence_mean(kl, response_mask)


def truncated_detached_weight(
    logp: Tensor, rollout_logp: Tensor, ref_logp: Tensor, response_mask: Tensor, kl_coef: float
) -> Tensor:
    weight = torch.exp(logp - rollout_logp).clamp(max=10.0).detach()
    kl = weight * (logp - ref_logp).square() / 2
    return kl_coef * _sequence_mean(kl, response_mask)


def weight_cut_at_one(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp((logp - old_logp).clamp(max=0.0))  # fault: cuts half of the weights
    delta = ref_logp - logp
    return beta * (weight * (delta.expm1() - delta) * mask).sum()


def weight_uncut(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp(logp - old_logp)
    delta = ref_logp - logp
    return beta * (weight * (delta.expm1() - delta) * mask).sum()


K1 = Correct(live_weight_on_k1, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy")

PAIRS: tuple[Pair, ...] = (
    Correct(detached_weight_on_k2, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        live_weight_on_k2,
        "objective",
        UNNAMED,
        UNNAMED,
        "log-ratio + its square / 2: within 1% of half of chi2 near the reference",
    ),
    Correct(live_weight_on_k3, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy", tail="rounding").with_fault(
        detached_weight_on_k3, "objective", forward_kl(), forward_kl()
    ),
    K1.with_fault(detached_weight_on_k1, "reference.dependence", ZERO, ZERO),
    K1.with_fault(swapped_arguments_of_weighted_k1, "sign", reverse_kl(scale=-1.0), reverse_kl(scale=-1.0)),
    Correct(truncated_detached_weight, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        truncated_live_weight, "objective", UNNAMED, UNNAMED
    ),
    Correct(weight_uncut, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy", tail="rounding").with_fault(
        weight_cut_at_one,
        "objective",
        reverse_kl(),
        UNNAMED,
        "on-policy every ratio sits on the edge of the clamp, which lets the gradient pass",
    ),
)
