"""Faults of sign and direction: what is descended is ascended, or compared the wrong way round."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..record import UNNAMED, Correct, Pair, chi2_half, forward_kl, reverse_kl


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


PAIRS: tuple[Pair, ...] = (
    Correct(k2, reverse_kl(), UNNAMED, "k2 as loss").with_fault(negated_k2, "sign", reverse_kl(scale=-1.0), UNNAMED),
    Correct(added_kl, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        subtracted_kl, "sign", forward_kl(scale=-1.0), UNNAMED
    ),
    Correct(log_ratio, reverse_kl(), UNNAMED, "k1 in reward", placement="reward").with_fault(
        swapped_log_ratio, "sign", reverse_kl(scale=-1.0), UNNAMED
    ),
    Correct(handwritten_backward, reverse_kl(), UNNAMED, "reverse_kl/token on-policy").with_fault(
        handwritten_backward_loses_sign, "sign", reverse_kl(scale=-1.0), UNNAMED, called="handwritten_backward"
    ),
    Correct(k3, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        inverted_k3, "objective", chi2_half(), UNNAMED
    ),
    Correct(ordered_arguments, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        swapped_arguments, "objective", chi2_half(), UNNAMED
    ),
    Correct(k2_for_reverse_kl, reverse_kl(), UNNAMED, "reverse_kl/token on-policy").with_fault(
        k3_for_reverse_kl, "objective", forward_kl(), UNNAMED
    ),
)
