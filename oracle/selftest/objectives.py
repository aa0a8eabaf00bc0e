"""Faults in what is compared with what: sign, direction, power, level, and a lost reference."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .record import (
    UNNAMED,
    ZERO,
    Pair,
    chi2_half,
    forward_kl,
    reverse_kl,
    total_variation,
)


def _clipped(logp: Tensor, old_logp: Tensor, advantages: Tensor) -> Tensor:
    if advantages.dim() == 1:
        advantages = advantages.unsqueeze(1)
    ratio = torch.exp(logp - old_logp)
    return -torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)


def _masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    mask = mask.to(x.dtype)
    return (x * mask).sum() / mask.sum().clamp(min=1.0)


# --- sign -----------------------------------------------------------------------------------------


def negated_k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    diff = logp - ref_logp
    return -0.5 * diff.square()  # fault: pushes the policy away from the reference


def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    diff = logp - ref_logp
    return 0.5 * diff.square()


def subtracted_kl(
    per_token_logps: Tensor,
    old_per_token_logps: Tensor,
    ref_per_token_logps: Tensor,
    advantages: Tensor,
    completion_mask: Tensor,
    beta: float,
) -> Tensor:
    pg = _clipped(per_token_logps, old_per_token_logps, advantages)
    diff = ref_per_token_logps - per_token_logps
    kl = torch.expm1(diff) - diff
    return _masked_mean(pg - beta * kl, completion_mask)  # fault: a loss must add the penalty


def added_kl(
    per_token_logps: Tensor,
    old_per_token_logps: Tensor,
    ref_per_token_logps: Tensor,
    advantages: Tensor,
    completion_mask: Tensor,
    beta: float,
) -> Tensor:
    pg = _clipped(per_token_logps, old_per_token_logps, advantages)
    diff = ref_per_token_logps - per_token_logps
    kl = torch.expm1(diff) - diff
    return _masked_mean(pg + beta * kl, completion_mask)


def swapped_log_ratio(log_probs: Tensor, log_probs_base: Tensor) -> Tensor:
    return torch.sub(log_probs_base, log_probs)  # fault: reference minus policy


def log_ratio(log_probs: Tensor, log_probs_base: Tensor) -> Tensor:
    return torch.sub(log_probs, log_probs_base)


class _BackwardLosesSign(torch.autograd.Function):
    """Value of k3, gradient of k2, written by hand."""

    @staticmethod
    def forward(ctx: Any, logp: Tensor, ref_logp: Tensor) -> Tensor:
        diff = ref_logp - logp
        ctx.save_for_backward(diff)
        return torch.expm1(diff) - diff

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (diff,) = ctx.saved_tensors
        return grad_outputs[0] * diff, None  # fault: d(k2)/d(logp) is minus diff


class _Backward(torch.autograd.Function):
    """Value of k3, gradient of k2, written by hand."""

    @staticmethod
    def forward(ctx: Any, logp: Tensor, ref_logp: Tensor) -> Tensor:
        diff = ref_logp - logp
        ctx.save_for_backward(diff)
        return torch.expm1(diff) - diff

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (diff,) = ctx.saved_tensors
        return -grad_outputs[0] * diff, None


def handwritten_backward_loses_sign(logp: Tensor, ref_logp: Tensor) -> Tensor:
    out: Tensor = _BackwardLosesSign.apply(logp, ref_logp)  # type: ignore[no-untyped-call]
    return out


def handwritten_backward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    out: Tensor = _Backward.apply(logp, ref_logp)  # type: ignore[no-untyped-call]
    return out


# --- direction ------------------------------------------------------------------------------------


def inverted_k3(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    log_ratio = logprobs - ref_logprobs  # fault: k3 wants reference over policy
    return torch.exp(log_ratio) - 1 - log_ratio


def k3(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    log_ratio = ref_logprobs - logprobs
    return torch.exp(log_ratio) - 1 - log_ratio


def _low_variance_kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p||q) from samples of p."""
    return torch.expm1(q - p) - (q - p)


def swapped_arguments(
    policy_logprobs: Tensor, reference_logprobs: Tensor, response_mask: Tensor, kl_coef: float
) -> dict[str, Any]:
    kl = _low_variance_kl(reference_logprobs, policy_logprobs)  # fault: the order of the arguments
    loss = _masked_mean(kl, response_mask)
    return {"loss": kl_coef * loss, "kl": loss.item()}


def ordered_arguments(
    policy_logprobs: Tensor, reference_logprobs: Tensor, response_mask: Tensor, kl_coef: float
) -> dict[str, Any]:
    kl = _low_variance_kl(policy_logprobs, reference_logprobs)
    loss = _masked_mean(kl, response_mask)
    return {"loss": kl_coef * loss, "kl": loss.item()}


def k3_for_reverse_kl(logp: Tensor, ref_logp: Tensor, mask: Tensor, *, beta: float = 1.0) -> Tensor:
    x = ref_logp - logp
    kl = torch.expm1(x) - x  # fault: right value, but its gradient is that of KL(reference||policy)
    m = mask.to(kl.dtype)
    return beta * torch.mean(torch.sum(kl * m, -1) / torch.sum(m, -1))


def k2_for_reverse_kl(logp: Tensor, ref_logp: Tensor, mask: Tensor, *, beta: float = 1.0) -> Tensor:
    x = ref_logp - logp
    kl = x * x / 2
    m = mask.to(kl.dtype)
    return beta * torch.mean(torch.sum(kl * m, -1) / torch.sum(m, -1))


# --- power and level ------------------------------------------------------------------------------


def square_without_half(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return (logp - ref_logp) ** 2  # fault: the gradient is 2 L


def square_with_half(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return (logp - ref_logp) ** 2 / 2


def absolute_value(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return (logp - ref_logp).abs()  # fault: keeps the sign of the log-ratio and drops its size


def absolute_value_straight_through(logp: Tensor, ref_logp: Tensor) -> Tensor:
    value = (logp - ref_logp).abs()
    path = 0.5 * (logp - ref_logp).pow(2)
    return path - path.detach() + value.detach()


def squared_k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return torch.pow(d.expm1() - d, 2)  # fault: k3 is already of second order


def plain_k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return d.expm1() - d


def square_of_sum(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    diff = torch.where(mask.bool(), logp - ref_logp, 0.0)
    return beta * (0.5 * diff.sum(dim=1) ** 2).mean()  # fault: squares the whole sequence


def sum_of_squares(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    diff = torch.where(mask.bool(), logp - ref_logp, 0.0)
    return beta * (0.5 * diff**2).sum(dim=1).mean()


# --- the reference is lost ------------------------------------------------------------------------


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


# --- straight-through -----------------------------------------------------------------------------


def straight_through_without_detach(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    path, value = 0.5 * d * d, d.expm1() - d
    return path + (value - path)  # fault: without detach the path cancels


def straight_through(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    path, value = 0.5 * d * d, d.expm1() - d
    return path + (value - path).detach()


def straight_through_k1(rollout_logp: Tensor, logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    del rollout_logp
    path = logp - ref_logp  # fault: the value is k3's, the gradient k1's
    d = ref_logp - logp
    kl = path + ((d.expm1() - d) - path).detach()
    return beta * (kl * mask).sum() / mask.sum()


def straight_through_k2(rollout_logp: Tensor, logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    del rollout_logp
    path = (logp - ref_logp).square() / 2
    d = ref_logp - logp
    kl = path + ((d.expm1() - d) - path).detach()
    return beta * (kl * mask).sum() / mask.sum()


# --- penalties in the reward ----------------------------------------------------------------------


def k3_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return d.expm1() - d  # fault: in the reward only the log-ratio is right


def k2_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp).square()  # fault: in the reward only the log-ratio is right


def k1_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return logp - ref_logp


PAIRS: tuple[Pair, ...] = (
    Pair(
        "negated_k2",
        negated_k2,
        k2,
        "sign",
        reverse_kl(scale=-1.0),
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "k2 as loss",
    ),
    Pair(
        "subtracted_kl",
        subtracted_kl,
        added_kl,
        "sign",
        forward_kl(scale=-1.0),
        UNNAMED,
        forward_kl(),
        UNNAMED,
        "k3 as loss",
        twin_tail="overflow",
    ),
    Pair(
        "swapped_log_ratio",
        swapped_log_ratio,
        log_ratio,
        "sign",
        reverse_kl(scale=-1.0),
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "k1 in reward",
        placement="reward",
    ),
    Pair(
        "handwritten_backward",
        handwritten_backward_loses_sign,
        handwritten_backward,
        "sign",
        reverse_kl(scale=-1.0),
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "reverse_kl/token on-policy",
    ),
    Pair(
        "inverted_k3",
        inverted_k3,
        k3,
        "objective",
        chi2_half(),
        UNNAMED,
        forward_kl(),
        UNNAMED,
        "k3 as loss",
        twin_tail="overflow",
    ),
    Pair(
        "swapped_arguments",
        swapped_arguments,
        ordered_arguments,
        "objective",
        chi2_half(),
        UNNAMED,
        forward_kl(),
        UNNAMED,
        "k3 as loss",
        twin_tail="overflow",
    ),
    Pair(
        "k3_for_reverse_kl",
        k3_for_reverse_kl,
        k2_for_reverse_kl,
        "objective",
        forward_kl(),
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "reverse_kl/token on-policy",
    ),
    Pair(
        "square_without_half",
        square_without_half,
        square_with_half,
        "objective",
        reverse_kl(scale=2.0),
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "k2 as loss",
        note="seen in the scale alone",
    ),
    Pair(
        "absolute_value",
        absolute_value,
        absolute_value_straight_through,
        "objective",
        total_variation(scale=2.0),
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "reverse_kl/token on-policy",
    ),
    Pair(
        "squared_k3",
        squared_k3,
        plain_k3,
        "objective",
        UNNAMED,
        UNNAMED,
        forward_kl(),
        UNNAMED,
        "k3 as loss",
        twin_tail="overflow",
    ),
    Pair(
        "square_of_sum",
        square_of_sum,
        sum_of_squares,
        "objective",
        reverse_kl("sequence"),
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "k2 as loss",
        note="a right loss for the sequence, not for the claim",
    ),
    Pair(
        "k1_as_loss",
        k1_as_loss,
        k2_as_loss,
        "reference.dependence",
        ZERO,
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "k2 as loss",
    ),
    Pair(
        "kl_without_gradient",
        kl_without_gradient,
        kl_with_gradient,
        "reference.dependence",
        ZERO,
        ZERO,
        forward_kl(),
        UNNAMED,
        "k3 as loss",
        twin_tail="overflow",
    ),
    Pair(
        "policy_as_its_own_reference",
        policy_as_its_own_reference,
        reference_kept,
        "reference.dependence",
        ZERO,
        ZERO,
        reverse_kl(),
        UNNAMED,
        "k2 as loss",
    ),
    Pair(
        "kl_to_the_sampler",
        kl_to_the_sampler,
        kl_to_the_reference,
        "reference.dependence",
        ZERO,
        UNNAMED,
        forward_kl(),
        UNNAMED,
        "k3 as loss",
        twin_tail="overflow",
    ),
    Pair(
        "placeholder_reference",
        placeholder_reference,
        real_reference,
        "reference.dependence",
        UNNAMED,
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "k2 as loss",
        note="what is left is the entropy",
    ),
    Pair(
        "straight_through_without_detach",
        straight_through_without_detach,
        straight_through,
        "objective",
        forward_kl(),
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "reverse_kl/token on-policy",
    ),
    Pair(
        "straight_through_k1",
        straight_through_k1,
        straight_through_k2,
        "reference.dependence",
        ZERO,
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "reverse_kl/token on-policy",
    ),
    Pair(
        "k3_reward",
        k3_reward,
        k1_reward,
        "objective",
        UNNAMED,
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "k1 in reward",
        placement="reward",
    ),
    Pair(
        "k2_reward",
        k2_reward,
        k1_reward,
        "objective",
        UNNAMED,
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "k1 in reward",
        placement="reward",
    ),
)
