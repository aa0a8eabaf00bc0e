"""Faults of a KL inside the advantage: live, stale, or in one head of the clip only."""

from __future__ import annotations

from typing import NamedTuple

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
    Correct(reinforce_detached_coefficient, reverse_kl(), UNNAMED, "reverse_kl/token on-policy").with_fault(
        reinforce_live_coefficient, "detach.reward", UNNAMED, UNNAMED
    ),
    Correct(clipped_detached_coefficient, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        clipped_live_coefficient,
        "detach.reward",
        reverse_kl(),
        reverse_kl(),
        "the expectation is right where nothing is clipped, as E[ratio * score] is 0; beyond"
        " the clip (ratio > 10, policy below the reference) it moves the policy, the twin does not",
    ),
    Correct(detached_returns, reverse_kl("sequence"), UNNAMED, "reverse_kl/sequence on-policy").with_fault(
        live_returns,
        "detach.reward",
        reverse_kl("sequence"),
        UNNAMED,
        "on-policy the expectation is right, as E[score] is 0",
    ),
    Correct(kl_in_both_heads, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        kl_in_one_head, "objective", UNNAMED, UNNAMED
    ),
    Correct(current_coefficient, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        rollout_time_coefficient,
        "objective",
        reverse_kl(),
        UNNAMED,
        "off-policy: the gradient of KL(policy||reference) - KL(policy||sampler)",
    ),
)
