"""Faults that lose the reference: a constant without gradient, overwritten, or another in its place."""

from __future__ import annotations

import torch
from torch import Tensor

from ..record import UNNAMED, ZERO, Correct, Pair, forward_kl, reverse_kl


def _clipped(logp: Tensor, old_logp: Tensor, advantages: Tensor) -> Tensor:
    if advantages.dim() == 1:
        advantages = advantages.unsqueeze(1)
    ratio = torch.exp(logp - old_logp)
    return -torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)


def _masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    mask = mask.to(x.dtype)
    return (x * mask).sum() / mask.sum().clamp(min=1.0)


def k1_as_loss(
    log_probs: Tensor,
    old_log_probs: Tensor,
    log_probs_base: Tensor,
    advantages: Tensor,
    action_mask: Tensor,
    kl_coef: float,
) -> tuple[Tensor, dict[str, float]]:
    kl = log_probs - log_probs_base  # fault: the reference is a constant, so it has no gradient
    loss = _clipped(log_probs, old_log_probs, advantages) + kl_coef * kl
    return _masked_mean(loss, action_mask), {"kl": _masked_mean(kl, action_mask).item()}


def k2_as_loss(
    log_probs: Tensor,
    old_log_probs: Tensor,
    log_probs_base: Tensor,
    advantages: Tensor,
    action_mask: Tensor,
    kl_coef: float,
) -> tuple[Tensor, dict[str, float]]:
    kl = (log_probs - log_probs_base).square().mul(0.5)
    loss = _clipped(log_probs, old_log_probs, advantages) + kl_coef * kl
    return _masked_mean(loss, action_mask), {"kl": _masked_mean(kl, action_mask).item()}


@torch.no_grad()  # fault: as a loss it has no gradient at all
def kl_without_gradient(logprob: Tensor, ref_logprob: Tensor) -> Tensor:
    kl = ref_logprob - logprob
    return kl.exp() - kl - 1


def kl_with_gradient(logprob: Tensor, ref_logprob: Tensor) -> Tensor:
    kl = ref_logprob - logprob
    return kl.exp() - kl - 1


def policy_as_its_own_reference(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    ref_logp = logp.detach().clone()  # fault: overwrites the reference, so L is 0 everywhere
    delta = logp - ref_logp
    return beta * _masked_mean(0.5 * delta * delta, mask)


def reference_kept(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    ref_logp = ref_logp.detach().clone()
    delta = logp - ref_logp
    return beta * _masked_mean(0.5 * delta * delta, mask)


def kl_to_the_sampler(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    pg = _clipped(logp, old_logp, advantages)
    diff = old_logp - logp  # fault: the sampler stands where the reference belongs
    return _masked_mean(pg, mask) + beta * _masked_mean(diff.expm1() - diff, mask)


def kl_to_the_reference(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    pg = _clipped(logp, old_logp, advantages)
    diff = ref_logp - logp
    return _masked_mean(pg, mask) + beta * _masked_mean(diff.expm1() - diff, mask)


def placeholder_reference(logp: Tensor, ref_logp: Tensor) -> Tensor:
    reference = torch.zeros_like(ref_logp)  # fault: left over from a run without a reference model
    policy, base = torch.stack([logp, reference]).unbind(0)
    return torch.mul(policy - base, policy - base).mul(0.5)


def real_reference(logp: Tensor, ref_logp: Tensor) -> Tensor:
    policy, base = torch.stack([logp, ref_logp]).unbind(0)
    return torch.mul(policy - base, policy - base).mul(0.5)


PAIRS: tuple[Pair, ...] = (
    Correct(k2_as_loss, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        k1_as_loss, "reference.dependence", ZERO, UNNAMED
    ),
    Correct(kl_with_gradient, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        kl_without_gradient, "reference.dependence", ZERO, ZERO
    ),
    Correct(reference_kept, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        policy_as_its_own_reference, "reference.dependence", ZERO, ZERO
    ),
    Correct(kl_to_the_reference, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        kl_to_the_sampler, "reference.dependence", ZERO, UNNAMED
    ),
    Correct(real_reference, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        placeholder_reference, "reference.dependence", UNNAMED, UNNAMED, "what is left is the entropy"
    ),
)
