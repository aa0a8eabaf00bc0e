"""Losses without a fault under importance weights, in the reward, and of whole answers."""

from __future__ import annotations

import torch
from torch import Tensor

from ..record import UNNAMED, Correct, chi2_half, forward_kl, reverse_kl


def _tokens(advantages: Tensor) -> Tensor:
    return advantages.unsqueeze(-1) if advantages.dim() == 1 else advantages


def weighted_family(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    """Under a live weight every lambda gives KL(policy||reference)."""
    ratio = torch.exp(logp - old_logp)
    d = ref_logp - logp
    return beta * (ratio * (0.25 * torch.expm1(d) - d) * mask).sum() / mask.sum()


def detached_weight_on_chi2(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    ratio = torch.exp(logp - old_logp).detach()
    d = logp - ref_logp
    return beta * (ratio * (torch.expm1(d) - d) * mask).sum() / mask.sum()


def reward_in_advantage(
    log_probs: Tensor,
    old_log_probs: Tensor,
    ref_log_probs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    kl_coef: float,
) -> Tensor:
    ratio = torch.exp(log_probs - old_log_probs)
    adv = _tokens(advantages) - kl_coef * (log_probs - ref_log_probs).detach()
    return -(ratio * adv * mask).sum() / mask.sum()


def reinforce_returns(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    reward = ((ref_logp - logp) * mask).detach() * beta
    total = reward.sum(-1, keepdim=True)
    togo = total - reward.cumsum(-1) + reward
    return -((togo + _tokens(advantages)) * logp * mask).sum(-1).mean()


def sequence_k2(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    total = ((logp - ref_logp) * mask).sum(-1)
    return beta * total.pow(2).mean() / 2


def sequence_k3(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    total = ((ref_logp - logp) * mask).sum(-1)
    return beta * (torch.expm1(total) - total).mean()


def weighted_sequence_k2(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = ((logp - old_logp) * mask).sum(-1).exp().detach()
    total = ((logp - ref_logp) * mask).sum(-1)
    return beta * (weight * total.pow(2)).mean() / 2


def weighted_sequence_k3(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = ((logp - old_logp) * mask).sum(-1).exp().detach()
    total = ((ref_logp - logp) * mask).sum(-1)
    return beta * (weight * (torch.expm1(total) - total)).mean()


def cumulative_weight_on_k3(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = ((logp - old_logp) * mask).cumsum(-1).exp()
    d = ref_logp - logp
    return beta * (weight * (torch.expm1(d) - d) * mask).sum(-1).mean()


CORRECT: tuple[Correct, ...] = (
    Correct(weighted_family, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy", tail="rounding"),
    Correct(detached_weight_on_chi2, chi2_half(), chi2_half(), "chi2_half/token off-policy", tail="overflow"),
    Correct(reward_in_advantage, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy"),
    Correct(reinforce_returns, reverse_kl("sequence"), UNNAMED, "reverse_kl/sequence on-policy"),
    Correct(sequence_k2, reverse_kl("sequence"), UNNAMED, "reverse_kl/sequence on-policy"),
    Correct(sequence_k3, forward_kl("sequence"), UNNAMED, "forward_kl/sequence on-policy", tail="overflow"),
    Correct(weighted_sequence_k2, reverse_kl("sequence"), reverse_kl("sequence"), "reverse_kl/sequence off-policy"),
    Correct(
        weighted_sequence_k3,
        forward_kl("sequence"),
        forward_kl("sequence"),
        "forward_kl/sequence off-policy",
        tail="overflow",
    ),
    Correct(
        cumulative_weight_on_k3,
        reverse_kl("sequence"),
        reverse_kl("sequence"),
        "reverse_kl/sequence off-policy",
        tail="overflow",
    ),
)
