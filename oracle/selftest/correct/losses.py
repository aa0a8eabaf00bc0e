"""Losses without a fault, in many styles."""

from __future__ import annotations

import torch
from torch import Tensor

from ..record import UNNAMED, Correct, forward_kl, reverse_kl


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


CORRECT: tuple[Correct, ...] = (
    Correct(grpo, forward_kl(), UNNAMED, "k3 as loss", tail="overflow"),
    Correct(grpo_corrected, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy", tail="rounding"),
    Correct(
        constant_divisor,
        reverse_kl(scale=None),
        reverse_kl(scale=None),
        "reverse_kl/token off-policy",
        note="1 over rows times max_tokens",
    ),
    Correct(summed, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(sequence_mean_of_sums, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(matmul_sums, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(token_by_token, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(chunked, forward_kl(), UNNAMED, "k3 as loss", tail="overflow"),
    Correct(boolean_indexing, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(masked_fill_first, forward_kl(), UNNAMED, "k3 as loss", tail="overflow"),
    Correct(written_through_views, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(early_exit, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy"),
    Correct(with_metrics, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(masks_in_float32, reverse_kl(), UNNAMED, "k2 as loss"),
)
