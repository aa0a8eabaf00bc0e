"""Losses and penalties without a fault, in many styles: no check may accuse one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .record import (
    UNNAMED,
    Correct,
    chi2_half,
    forward_kl,
    jeffreys,
    reverse_kl,
    total_variation,
)

# --- penalties ------------------------------------------------------------------------------------


def k2_addcmul(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = logp - ref_logp
    return torch.addcmul(torch.zeros_like(d), d, d, value=0.5)


def k2_lerp(logp: Tensor, ref_logp: Tensor) -> Tensor:
    middle = torch.lerp(logp, ref_logp, 0.5)
    return 2.0 * (logp - middle).square()


def k2_mse(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * F.mse_loss(logp, ref_logp, reduction="none")


def k2_with_baseline(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """On-policy k1 adds nothing but a baseline."""
    d = logp - ref_logp
    return 0.5 * d * d + 0.25 * d


def k2_inplace(log_probs: Tensor, log_probs_base: Tensor) -> Tensor:
    out = log_probs.float().clone()
    out.sub_(log_probs_base.float())
    return out.pow_(2).div_(2)


def k3_cast(logprob: Tensor, ref_logprob: Tensor) -> Tensor:
    neg = ref_logprob.float() - logprob.float()
    return torch.expm1(neg) - neg


def k3_family(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """k1 + lambda * (reference/policy - 1), lambda = 1/2: half of k3's gradient on-policy."""
    d = ref_logp - logp
    return 0.5 * torch.expm1(d) - d


def chi2_as_loss(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = logp - ref_logp
    return torch.expm1(d) - d


def jeffreys_as_loss(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return 0.5 * d.square() + (d.expm1() - d)


def total_variation_as_loss(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp).abs()


def k1_keyword_only(*, logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    return logprobs - ref_logprobs


@torch.no_grad()
def k1_no_grad(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return logp - ref_logp


def forward_kl_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return -torch.expm1(ref_logp - logp)


def straight_through_closure(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    def value(d: Tensor) -> Tensor:
        if name == "k3":
            return torch.expm1(-d) + d
        return d.abs() if name == "abs" else d

    def penalty(logp: Tensor, ref_logp: Tensor) -> Tensor:
        d = logp - ref_logp
        path = 0.5 * d.square()
        return value(d).detach() + (path - path.detach())

    return penalty


k3_plus = straight_through_closure("k3")
abs_plus = straight_through_closure("abs")


class _BoundedValue(torch.autograd.Function):
    """Bounds what is shown and hands the gradient through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clamp(max=10.0)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return grad_outputs[0]


def k2_bounded_value(logp: Tensor, ref_logp: Tensor) -> Tensor:
    out: Tensor = _BoundedValue.apply(  # type: ignore[no-untyped-call]
        0.5 * (logp - ref_logp) ** 2
    )
    return out


# --- losses: styles -------------------------------------------------------------------------------


def _tokens(advantages: Tensor) -> Tensor:
    return advantages.unsqueeze(-1) if advantages.dim() == 1 else advantages


def grpo(
    per_token_logps: Tensor,
    old_per_token_logps: Tensor,
    ref_per_token_logps: Tensor,
    advantages: Tensor,
    completion_mask: Tensor,
    *,
    beta: float = 0.04,
    epsilon: float = 0.2,
) -> tuple[Tensor, dict[str, float]]:
    ratio = torch.exp(per_token_logps - old_per_token_logps)
    clipped = torch.clamp(ratio, 1 - epsilon, 1 + epsilon)
    adv = _tokens(advantages)
    loss = -torch.min(ratio * adv, clipped * adv)
    metrics: dict[str, float] = {}
    if beta != 0.0:
        diff = ref_per_token_logps - per_token_logps
        kl = torch.exp(diff) - diff - 1
        loss = loss + beta * kl
        metrics["kl"] = ((kl * completion_mask).sum() / completion_mask.sum()).item()
    hit = ((ratio < 1 - epsilon) & (adv < 0)) | ((ratio > 1 + epsilon) & (adv > 0))
    metrics["clip"] = (hit * completion_mask).float().mean().item()
    loss = (loss * completion_mask).sum(-1) / completion_mask.sum(-1).clamp(min=1.0)
    return loss.mean(), metrics


def grpo_corrected(
    per_token_logps: Tensor,
    old_per_token_logps: Tensor,
    ref_per_token_logps: Tensor,
    advantages: Tensor,
    completion_mask: Tensor,
    beta: float,
) -> dict[str, Tensor]:
    ratio = torch.exp(per_token_logps - old_per_token_logps)
    adv = _tokens(advantages)
    diff = ref_per_token_logps - per_token_logps
    kl = (torch.exp(diff) - diff - 1) * ratio
    loss = torch.maximum(-ratio * adv, -ratio.clamp(0.8, 1.2) * adv) + beta * kl
    mask = completion_mask.to(loss.dtype)
    return {"loss": (loss * mask).sum() / mask.sum(), "ratio": ratio.detach().mean()}


def constant_divisor(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
    max_tokens: int = 16,
) -> Tensor:
    ratio = (logp - old_logp).exp()
    loss = -ratio * _tokens(advantages) + beta * ratio.detach() * (logp - ref_logp).square() / 2
    return (loss * mask).sum() / (logp.shape[0] * max_tokens)


def summed(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    return beta * torch.sum(mask * (logp - ref_logp) ** 2) / 2


def sequence_mean_of_sums(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = torch.einsum("...t,...t->...", 0.5 * (logp - ref_logp) ** 2, mask.to(logp.dtype))
    return beta * kl.mean()


def matmul_sums(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    m = mask.to(logp.dtype)
    d = (logp - ref_logp) * m
    total = torch.matmul(d.reshape(1, -1), d.reshape(-1, 1)).squeeze()
    return beta * 0.5 * total / m.sum()


def token_by_token(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    total, count = logp.new_zeros(()), logp.new_zeros(())
    columns = zip(logp.unbind(1), ref_logp.unbind(1), mask.unbind(1), strict=True)
    for policy, reference, keep in columns:
        total = total + (0.5 * (policy - reference) ** 2 * keep).sum()
        count = count + keep.sum()
    return beta * total / count


def chunked(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    parts = []
    pieces = zip(logp.chunk(2), ref_logp.chunk(2), mask.chunk(2), strict=True)
    for policy, reference, keep in pieces:
        d = reference - policy
        parts.append(((d.expm1() - d) * keep).sum())
    return beta * torch.stack(parts).sum() / mask.sum()


def boolean_indexing(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    keep = mask.bool()
    d = logp[keep] - ref_logp[keep]
    return beta * 0.5 * d.dot(d) / d.numel()


def masked_fill_first(log_probs: Tensor, log_probs_base: Tensor, action_mask: Tensor, kl_coef: float) -> Tensor:
    hole = torch.logical_or(action_mask == 0, torch.isnan(log_probs_base))
    d = (log_probs_base - log_probs).masked_fill(hole, 0.0)
    return kl_coef * (torch.expm1(d) - d).sum() / (~hole).sum()


def written_through_views(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    buffer = torch.zeros_like(logp)
    buffer[:, 0] = logp[:, 0]
    buffer[:, 1:] += logp[:, 1:]
    buffer -= ref_logp
    buffer.mul_(mask)
    return beta * buffer.square().sum().mul(0.5) / mask.sum()


def early_exit(
    policy_logprobs: Tensor,
    rollout_log_probs: Tensor,
    reference_logprobs: Tensor,
    advantages: Tensor,
    response_mask: Tensor,
    *,
    kl_coef: float,
) -> Tensor:
    rho = torch.exp(policy_logprobs - rollout_log_probs)
    m = response_mask.to(rho.dtype)
    loss = -(rho * _tokens(advantages) * m).sum() / m.sum()
    if not kl_coef:
        return loss
    weight = rho.clamp(max=10.0).detach()
    d = policy_logprobs - reference_logprobs
    return loss + kl_coef * (weight * d * d / 2 * m).sum() / m.sum()


def with_metrics(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> tuple[Tensor, float, float]:
    ratio = torch.exp(logp - old_logp)
    d = logp - ref_logp
    m = mask.to(logp.dtype)
    with torch.no_grad():
        k3 = ((torch.expm1(-d) + d) * m).sum() / m.sum()
        worst = (d.abs() * m).max().item()
    loss = -(ratio * _tokens(advantages)) + beta * 0.5 * d.square()
    return (loss * m).sum() / m.sum(), k3.item(), worst


def masks_in_float32(logp: Tensor, ref_logp: Tensor, loss_mask: Tensor, beta: float) -> tuple[Tensor, None]:
    d = logp.float() - ref_logp.float()
    weights = loss_mask.float() / loss_mask.float().sum(-1, keepdim=True)
    return beta * (0.5 * d * d * weights).sum(-1).mean(), None


# --- losses: weights and levels -------------------------------------------------------------------


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
    Correct("k2_addcmul", k2_addcmul, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct("k2_lerp", k2_lerp, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct("k2_mse", k2_mse, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct("k2_with_baseline", k2_with_baseline, reverse_kl(), UNNAMED, "reverse_kl/token on-policy"),
    Correct("k2_inplace", k2_inplace, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(
        "k3_cast",
        k3_cast,
        forward_kl(),
        UNNAMED,
        "k3 as loss",
        tail="overflow",
    ),
    Correct(
        "k3_family",
        k3_family,
        forward_kl(scale=0.5),
        UNNAMED,
        "forward_kl/token on-policy",
        tail="overflow",
    ),
    Correct(
        "chi2_as_loss",
        chi2_as_loss,
        chi2_half(),
        UNNAMED,
        "chi2_half/token on-policy",
        tail="overflow",
    ),
    Correct(
        "jeffreys_as_loss",
        jeffreys_as_loss,
        jeffreys(),
        UNNAMED,
        "jeffreys/token on-policy",
        tail="overflow",
    ),
    Correct(
        "total_variation_as_loss",
        total_variation_as_loss,
        total_variation(),
        UNNAMED,
        "total_variation/token on-policy",
    ),
    Correct(
        "k1_keyword_only",
        k1_keyword_only,
        reverse_kl(),
        UNNAMED,
        "k1 in reward",
        placement="reward",
    ),
    Correct(
        "k1_no_grad",
        k1_no_grad,
        reverse_kl(),
        UNNAMED,
        "k1 in reward",
        placement="reward",
        note="in the reward no gradient is wanted",
    ),
    Correct(
        "forward_kl_in_reward",
        forward_kl_in_reward,
        forward_kl(),
        UNNAMED,
        "forward_kl/token on-policy",
        placement="reward",
        tail="overflow",
    ),
    Correct("k3_plus", k3_plus, reverse_kl(), UNNAMED, "reverse_kl/token on-policy"),
    Correct("abs_plus", abs_plus, reverse_kl(), UNNAMED, "reverse_kl/token on-policy"),
    Correct("k2_bounded_value", k2_bounded_value, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(
        "grpo",
        grpo,
        forward_kl(),
        UNNAMED,
        "k3 as loss",
        tail="overflow",
    ),
    Correct(
        "grpo_corrected",
        grpo_corrected,
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
        tail="rounding",
    ),
    Correct(
        "constant_divisor",
        constant_divisor,
        reverse_kl(scale=None),
        reverse_kl(scale=None),
        "reverse_kl/token off-policy",
        note="1 over rows times max_tokens",
    ),
    Correct("summed", summed, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct("sequence_mean_of_sums", sequence_mean_of_sums, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct("matmul_sums", matmul_sums, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct("token_by_token", token_by_token, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(
        "chunked",
        chunked,
        forward_kl(),
        UNNAMED,
        "k3 as loss",
        tail="overflow",
    ),
    Correct("boolean_indexing", boolean_indexing, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(
        "masked_fill_first",
        masked_fill_first,
        forward_kl(),
        UNNAMED,
        "k3 as loss",
        tail="overflow",
    ),
    Correct("written_through_views", written_through_views, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct("early_exit", early_exit, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy"),
    Correct("with_metrics", with_metrics, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct("masks_in_float32", masks_in_float32, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(
        "weighted_family",
        weighted_family,
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
        tail="rounding",
    ),
    Correct(
        "detached_weight_on_chi2",
        detached_weight_on_chi2,
        chi2_half(),
        chi2_half(),
        "chi2_half/token off-policy",
        tail="overflow",
    ),
    Correct(
        "reward_in_advantage",
        reward_in_advantage,
        reverse_kl(),
        reverse_kl(),
        "reverse_kl/token off-policy",
    ),
    Correct(
        "reinforce_returns",
        reinforce_returns,
        reverse_kl("sequence"),
        UNNAMED,
        "reverse_kl/sequence on-policy",
    ),
    Correct(
        "sequence_k2",
        sequence_k2,
        reverse_kl("sequence"),
        UNNAMED,
        "reverse_kl/sequence on-policy",
    ),
    Correct(
        "sequence_k3",
        sequence_k3,
        forward_kl("sequence"),
        UNNAMED,
        "forward_kl/sequence on-policy",
        tail="overflow",
    ),
    Correct(
        "weighted_sequence_k2",
        weighted_sequence_k2,
        reverse_kl("sequence"),
        reverse_kl("sequence"),
        "reverse_kl/sequence off-policy",
    ),
    Correct(
        "weighted_sequence_k3",
        weighted_sequence_k3,
        forward_kl("sequence"),
        forward_kl("sequence"),
        "forward_kl/sequence off-policy",
        tail="overflow",
    ),
    Correct(
        "cumulative_weight_on_k3",
        cumulative_weight_on_k3,
        reverse_kl("sequence"),
        reverse_kl("sequence"),
        "reverse_kl/sequence off-policy",
        tail="overflow",
    ),
)
