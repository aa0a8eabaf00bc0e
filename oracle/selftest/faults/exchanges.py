"""Faults of order: policy, reference or sampler handed to a helper in another's place."""

from __future__ import annotations

import torch
from torch import Tensor

from ..record import UNNAMED, ZERO, Correct, Pair, reverse_kl


def _log_ratio(p: Tensor, q: Tensor) -> Tensor:
    """An estimate of KL(p||q) from samples of p."""
    return p - q


# --- policy and reference -------------------------------------------------------------------------


def rewards_less_exchanged_kl(
    token_level_scores: Tensor, log_probs: Tensor, ref_log_probs: Tensor, kl_coef: float
) -> Tensor:
    scores = token_level_scores if token_level_scores.dim() == 2 else token_level_scores[:, None]
    return scores - kl_coef * _log_ratio(ref_log_probs, log_probs)  # fault: the reference goes first


def rewards_less_kl(token_level_scores: Tensor, log_probs: Tensor, ref_log_probs: Tensor, kl_coef: float) -> Tensor:
    scores = token_level_scores if token_level_scores.dim() == 2 else token_level_scores[:, None]
    return scores - kl_coef * _log_ratio(log_probs, ref_log_probs)


def surrogate_of_exchanged_kl(
    logprobs: Tensor, old_logprobs: Tensor, ref_logprobs: Tensor, advantages: Tensor, mask: Tensor, *, beta: float
) -> dict[str, Tensor]:
    with torch.no_grad():
        kl = _log_ratio(p=ref_logprobs, q=logprobs)  # fault: p is to be the policy
        target = advantages.view(-1, 1) - beta * kl
    importance = (logprobs - old_logprobs).exp()
    return {"loss": -(importance * target * mask).sum() / mask.sum(), "kl": (kl * mask).mean()}


def surrogate_of_kl(
    logprobs: Tensor, old_logprobs: Tensor, ref_logprobs: Tensor, advantages: Tensor, mask: Tensor, *, beta: float
) -> dict[str, Tensor]:
    with torch.no_grad():
        kl = _log_ratio(p=logprobs, q=ref_logprobs)
        target = advantages.view(-1, 1) - beta * kl
    importance = (logprobs - old_logprobs).exp()
    return {"loss": -(importance * target * mask).sum() / mask.sum(), "kl": (kl * mask).mean()}


def _pull(trained: Tensor, frozen: Tensor) -> Tensor:
    return torch.square(trained - frozen.detach()) * 0.5


def pull_on_the_reference(
    logp: Tensor, ref_logp: Tensor, advantages: Tensor, response_mask: Tensor, beta: float
) -> Tensor:
    kl = _pull(ref_logp, logp)  # fault: detaches the policy, and would train the reference
    loss = beta * kl - logp * (advantages[:, None] if advantages.ndim == 1 else advantages)
    return (loss * response_mask).sum() / response_mask.sum()


def pull_on_the_policy(
    logp: Tensor, ref_logp: Tensor, advantages: Tensor, response_mask: Tensor, beta: float
) -> Tensor:
    kl = _pull(logp, ref_logp)
    loss = beta * kl - logp * (advantages[:, None] if advantages.ndim == 1 else advantages)
    return (loss * response_mask).sum() / response_mask.sum()


# --- policy and sampler ---------------------------------------------------------------------------


def _importance(new: Tensor, old: Tensor, cap: float) -> Tensor:
    return torch.exp(new - old).detach().clamp(max=cap)


def truncated_weight_exchanged(
    logp: Tensor, rollout_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float
) -> Tensor:
    weight = _importance(rollout_logp, logp, cap=2.0)  # fault: sampler over policy
    return beta * (weight * (logp - ref_logp) ** 2 * mask).sum() / (2 * mask.sum())


def truncated_weight(logp: Tensor, rollout_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = _importance(logp, rollout_logp, cap=2.0)
    return beta * (weight * (logp - ref_logp) ** 2 * mask).sum() / (2 * mask.sum())


PAIRS: tuple[Pair, ...] = (
    Correct(rewards_less_kl, reverse_kl(), UNNAMED, "k1 in reward", placement="reward").with_fault(
        rewards_less_exchanged_kl, "argument.order", reverse_kl(scale=-1.0), UNNAMED
    ),
    Correct(surrogate_of_kl, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        surrogate_of_exchanged_kl, "argument.order", reverse_kl(scale=-1.0), reverse_kl(scale=-1.0)
    ),
    Correct(pull_on_the_policy, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        pull_on_the_reference, "argument.order", ZERO, ZERO
    ),
    Correct(truncated_weight, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        truncated_weight_exchanged, "argument.order", reverse_kl(), UNNAMED
    ),
)
