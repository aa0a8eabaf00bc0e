"""Faults in importance weights and in the coefficient of the policy gradient."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .record import UNNAMED, ZERO, Pair, forward_kl, reverse_kl


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


# --- which ratio ----------------------------------------------------------------------------------


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


# --- the KL inside the advantage ------------------------------------------------------------------


def reinforce_live_coefficient(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    reward = _column(advantages) - beta * (logp - ref_logp)  # fault: the reward carries a gradient
    return _sequence_mean(-reward * logp, mask)


def reinforce_detached_coefficient(
    logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    reward = _column(advantages) - beta * (logp - ref_logp)
    return _sequence_mean(-reward.detach() * logp, mask)


def clipped_live_coefficient(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    ratio = torch.exp(logp - old_logp)
    adv = _column(advantages) - beta * (logp - ref_logp)  # fault: live where the ratio is clipped
    loss = torch.maximum(-ratio * adv, -torch.clamp(ratio, 0.1, 10.0) * adv)
    return _token_mean(loss, mask)


def clipped_detached_coefficient(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    ratio = torch.exp(logp - old_logp)
    adv = _column(advantages) - beta * (logp - ref_logp).detach()
    loss = torch.maximum(-ratio * adv, -torch.clamp(ratio, 0.1, 10.0) * adv)
    return _token_mean(loss, mask)


def live_returns(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    reward = -beta * (logp - ref_logp) * mask  # fault: the returns carry a gradient
    returns = reward.flip(1).cumsum(1).flip(1) + _column(advantages)
    ratio = torch.exp(logp - old_logp)
    return -(ratio * returns * mask).sum(1).mean()


def detached_returns(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    with torch.no_grad():
        reward = -beta * (logp - ref_logp) * mask
        returns = reward.flip(1).cumsum(1).flip(1) + _column(advantages)
    ratio = torch.exp(logp - old_logp)
    return -(ratio * returns * mask).sum(1).mean()


def kl_in_one_head(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    ratio = torch.exp(logp - old_logp)
    adv = _column(advantages)
    penalised = adv - beta * (logp - ref_logp).detach()
    unclipped = ratio * penalised
    clipped = ratio.clamp(0.1, 10.0) * adv  # fault: this head forgets the penalty
    return _token_mean(-torch.min(unclipped, clipped), mask)


def kl_in_both_heads(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    ratio = torch.exp(logp - old_logp)
    adv = _column(advantages)
    penalised = adv - beta * (logp - ref_logp).detach()
    unclipped = ratio * penalised
    clipped = ratio.clamp(0.1, 10.0) * penalised
    return _token_mean(-torch.min(unclipped, clipped), mask)


class _Loss(NamedTuple):
    loss: Tensor
    approx_kl: float


def rollout_time_coefficient(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    kl_coef: float,
) -> _Loss:
    penalty = old_logp - ref_logp  # fault: the penalty of the sampler, not of the policy
    ratio = torch.exp(logp - old_logp)
    loss = -ratio * (_column(advantages) - kl_coef * penalty)
    return _Loss(_token_mean(loss, mask), penalty.mean().item())


def current_coefficient(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    kl_coef: float,
) -> _Loss:
    penalty = logp.detach() - ref_logp
    ratio = torch.exp(logp - old_logp)
    loss = -ratio * (_column(advantages) - kl_coef * penalty)
    return _Loss(_token_mean(loss, mask), penalty.mean().item())


PAIRS: tuple[Pair, ...] = (
    Pair(
        "live_weight_on_k2",
        live_weight_on_k2,
        detached_weight_on_k2,
        "objective",
        UNNAMED,
        UNNAMED,
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
        note="log-ratio + its square / 2: within 1% of half of chi2 near the reference",
    ),
    Pair(
        "detached_weight_on_k3",
        detached_weight_on_k3,
        live_weight_on_k3,
        "objective",
        forward_kl(),
        forward_kl(),
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
        twin_tail="rounding",
    ),
    Pair(
        "detached_weight_on_k1",
        detached_weight_on_k1,
        live_weight_on_k1,
        "reference.dependence",
        ZERO,
        ZERO,
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
    ),
    Pair(
        "swapped_arguments_of_weighted_k1",
        swapped_arguments_of_weighted_k1,
        live_weight_on_k1,
        "sign",
        reverse_kl(scale=-1.0),
        reverse_kl(scale=-1.0),
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
    ),
    Pair(
        "truncated_live_weight",
        truncated_live_weight,
        truncated_detached_weight,
        "objective",
        UNNAMED,
        UNNAMED,
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
    ),
    Pair(
        "weight_cut_at_one",
        weight_cut_at_one,
        weight_uncut,
        "objective",
        reverse_kl(),
        UNNAMED,
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
        note="on-policy every ratio sits on the edge of the clamp, which lets the gradient pass",
        twin_tail="rounding",
    ),
    Pair(
        "mean_ratio_on_token_kl",
        mean_ratio_on_token_kl,
        token_ratio_on_token_kl,
        "objective",
        UNNAMED,
        UNNAMED,
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
        twin_tail="rounding",
    ),
    Pair(
        "product_ratio_on_k2",
        product_ratio_on_k2,
        token_ratio_on_k2,
        "objective",
        reverse_kl(),
        UNNAMED,
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
        note="off-policy the fault takes its prefixes from the policy: the gradient on-policy",
    ),
    Pair(
        "product_ratio_on_k3",
        product_ratio_on_k3,
        token_ratio_on_k3,
        "objective",
        reverse_kl("sequence"),
        reverse_kl("sequence"),
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
        note="exact for the sequence, on- and off-policy; the fault is against the claim",
        twin_tail="rounding",
    ),
    Pair(
        "inverted_weight",
        inverted_weight,
        upright_weight,
        "objective",
        UNNAMED,
        UNNAMED,
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
        twin_tail="rounding",
    ),
    Pair(
        "reinforce_live_coefficient",
        reinforce_live_coefficient,
        reinforce_detached_coefficient,
        "detach.reward",
        UNNAMED,
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "reverse_kl/token on-policy",
    ),
    Pair(
        "clipped_live_coefficient",
        clipped_live_coefficient,
        clipped_detached_coefficient,
        "detach.reward",
        reverse_kl(),
        reverse_kl(),
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
        note="the expectation is right where nothing is clipped, as E[ratio * score] is 0; beyond"
        " the clip (ratio > 10, policy below the reference) it moves the policy, the twin does not",
    ),
    Pair(
        "live_returns",
        live_returns,
        detached_returns,
        "detach.reward",
        reverse_kl("sequence"),
        UNNAMED,
        reverse_kl("sequence"),
        UNNAMED,
        "reverse_kl/sequence on-policy",
        note="on-policy the expectation is right, as E[score] is 0",
    ),
    Pair(
        "kl_in_one_head",
        kl_in_one_head,
        kl_in_both_heads,
        "objective",
        UNNAMED,
        UNNAMED,
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
    ),
    Pair(
        "rollout_time_coefficient",
        rollout_time_coefficient,
        current_coefficient,
        "objective",
        reverse_kl(),
        UNNAMED,
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
        note="off-policy: the gradient of KL(policy||reference) - KL(policy||sampler)",
    ),
)
