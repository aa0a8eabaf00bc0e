"""Faults of detach: the wrong tensor is a constant, or the sampler's stand-in is none."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..record import UNNAMED, ZERO, Correct, Pair, forward_kl, reverse_kl


def _column(advantages: Tensor) -> Tensor:
    return advantages[:, None] if advantages.ndim == 1 else advantages


# --- the reference --------------------------------------------------------------------------------


def policy_detached_in_grpo(
    per_token_logps: Tensor,
    old_per_token_logps: Tensor,
    ref_per_token_logps: Tensor,
    advantages: Tensor,
    completion_mask: Tensor,
    beta: float = 0.04,
) -> tuple[Tensor, dict[str, float]]:
    ratio = torch.exp(per_token_logps - old_per_token_logps)
    delta = ref_per_token_logps - per_token_logps.detach()  # fault: the policy's is the one to keep
    kl = torch.exp(delta) - delta - 1
    loss = beta * kl - ratio * _column(advantages)
    loss = (loss * completion_mask).sum(-1) / completion_mask.sum(-1)
    return loss.mean(), {"kl": kl.mean().item()}


def reference_detached_in_grpo(
    per_token_logps: Tensor,
    old_per_token_logps: Tensor,
    ref_per_token_logps: Tensor,
    advantages: Tensor,
    completion_mask: Tensor,
    beta: float = 0.04,
) -> tuple[Tensor, dict[str, float]]:
    ratio = torch.exp(per_token_logps - old_per_token_logps)
    delta = ref_per_token_logps.detach() - per_token_logps
    kl = torch.exp(delta) - delta - 1
    loss = beta * kl - ratio * _column(advantages)
    loss = (loss * completion_mask).sum(-1) / completion_mask.sum(-1)
    return loss.mean(), {"kl": kl.mean().item()}


class _GradientsExchanged(torch.autograd.Function):
    """k3 with a backward pass by hand, for (policy, reference)."""

    @staticmethod
    def forward(ctx: Any, logp: Tensor, ref_logp: Tensor) -> Tensor:
        log_r = ref_logp - logp
        ctx.save_for_backward(log_r)
        return torch.expm1(log_r) - log_r

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (log_r,) = ctx.saved_tensors
        return None, -grad_outputs[0] * torch.expm1(log_r)  # fault: one place too late


class _GradientsInOrder(torch.autograd.Function):
    """k3 with a backward pass by hand, for (policy, reference)."""

    @staticmethod
    def forward(ctx: Any, logp: Tensor, ref_logp: Tensor) -> Tensor:
        log_r = ref_logp - logp
        ctx.save_for_backward(log_r)
        return torch.expm1(log_r) - log_r

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (log_r,) = ctx.saved_tensors
        return -grad_outputs[0] * torch.expm1(log_r), None


def handwritten_gradient_of_the_reference(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    out: Tensor = _GradientsExchanged.apply(logprobs, ref_logprobs)  # type: ignore[no-untyped-call]
    return out


def handwritten_gradient_of_the_policy(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    out: Tensor = _GradientsInOrder.apply(logprobs, ref_logprobs)  # type: ignore[no-untyped-call]
    return out


def first_of_the_stack_frozen(logp: Tensor, ref_logp: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    stacked = torch.stack([logp, ref_logp])
    frozen, trained = stacked[0].detach(), stacked[1]  # fault: the policy was put there first
    kl = (trained - frozen).pow(2).mul(0.5)
    return kl_coef * kl.mul(mask).sum(1).div(mask.sum(1)).mean()


def second_of_the_stack_frozen(logp: Tensor, ref_logp: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    stacked = torch.stack([logp, ref_logp])
    frozen, trained = stacked[1].detach(), stacked[0]
    kl = (trained - frozen).pow(2).mul(0.5)
    return kl_coef * kl.mul(mask).sum(1).div(mask.sum(1)).mean()


# --- the sampler ----------------------------------------------------------------------------------


def live_stand_in_for_the_sampler(
    logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float, old_logp: Tensor | None = None
) -> Tensor:
    old = logp if old_logp is None else old_logp  # fault: without a sampler the ratio is 1 and a constant
    reward = _column(advantages) - beta * (logp - ref_logp).detach()
    return -(torch.exp(logp - old) * reward * mask).sum() / mask.sum()


def detached_stand_in_for_the_sampler(
    logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float, old_logp: Tensor | None = None
) -> Tensor:
    old = logp.detach() if old_logp is None else old_logp
    reward = _column(advantages) - beta * (logp - ref_logp).detach()
    return -(torch.exp(logp - old) * reward * mask).sum() / mask.sum()


def policy_detached_in_the_ratio(
    log_probs: Tensor,
    old_log_probs: Tensor,
    ref_log_probs: Tensor,
    advantages: Tensor,
    action_mask: Tensor,
    kl_coef: float,
) -> tuple[Tensor, Tensor]:
    log_ratio = log_probs.detach() - old_log_probs  # fault: only the sampler is left to learn
    penalised = _column(advantages) - kl_coef * (log_probs - ref_log_probs).detach()
    per_token = -log_ratio.exp().mul(penalised)
    return torch.einsum("bt,bt->", per_token, action_mask) / action_mask.sum(), log_ratio.mean()


def sampler_detached_in_the_ratio(
    log_probs: Tensor,
    old_log_probs: Tensor,
    ref_log_probs: Tensor,
    advantages: Tensor,
    action_mask: Tensor,
    kl_coef: float,
) -> tuple[Tensor, Tensor]:
    log_ratio = log_probs - old_log_probs.detach()
    penalised = _column(advantages) - kl_coef * (log_probs - ref_log_probs).detach()
    per_token = -log_ratio.exp().mul(penalised)
    return torch.einsum("bt,bt->", per_token, action_mask) / action_mask.sum(), log_ratio.mean()


def live_stand_in_in_grpo(
    per_token_logps: Tensor,
    ref_per_token_logps: Tensor,
    advantages: Tensor,
    completion_mask: Tensor,
    beta: float = 0.04,
    old_per_token_logps: Tensor | None = None,
) -> Tensor:
    if old_per_token_logps is None:
        old_per_token_logps = per_token_logps  # fault: the ratio is a constant, and the KL term alone is learned
    ratio = torch.exp(per_token_logps - old_per_token_logps)
    delta = ref_per_token_logps - per_token_logps
    clipped = torch.clamp(ratio, 0.8, 1.2) * _column(advantages)
    loss = beta * (torch.exp(delta) - delta - 1) - torch.min(ratio * _column(advantages), clipped)
    return ((loss * completion_mask).sum(-1) / completion_mask.sum(-1)).mean()


def detached_stand_in_in_grpo(
    per_token_logps: Tensor,
    ref_per_token_logps: Tensor,
    advantages: Tensor,
    completion_mask: Tensor,
    beta: float = 0.04,
    old_per_token_logps: Tensor | None = None,
) -> Tensor:
    if old_per_token_logps is None:
        old_per_token_logps = per_token_logps.detach()
    ratio = torch.exp(per_token_logps - old_per_token_logps)
    delta = ref_per_token_logps - per_token_logps
    clipped = torch.clamp(ratio, 0.8, 1.2) * _column(advantages)
    loss = beta * (torch.exp(delta) - delta - 1) - torch.min(ratio * _column(advantages), clipped)
    return ((loss * completion_mask).sum(-1) / completion_mask.sum(-1)).mean()


def _of_answers(logp: Tensor, sampling_logp: Tensor, penalised: Tensor, mask: Tensor) -> Tensor:
    ratio = ((logp - sampling_logp) * mask).sum(-1).exp()
    return -(ratio * penalised).mean()


def answer_ratio_to_itself(
    logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float, sampling_logp: Tensor | None = None
) -> Tensor:
    if sampling_logp is None:
        sampling_logp = logp  # fault: each batch is used once, so the ratio is 1; its gradient is not 0
    kl = ((logp - ref_logp) * mask).sum(-1).detach()
    return _of_answers(logp, sampling_logp, advantages - beta * kl, mask)


def answer_ratio_to_a_constant(
    logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float, sampling_logp: Tensor | None = None
) -> Tensor:
    if sampling_logp is None:
        sampling_logp = logp.detach()
    kl = ((logp - ref_logp) * mask).sum(-1).detach()
    return _of_answers(logp, sampling_logp, advantages - beta * kl, mask)


PAIRS: tuple[Pair, ...] = (
    Correct(reference_detached_in_grpo, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        policy_detached_in_grpo, "detach.reference", ZERO, ZERO
    ),
    Correct(handwritten_gradient_of_the_policy, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        handwritten_gradient_of_the_reference, "detach.reference", ZERO, ZERO
    ),
    Correct(second_of_the_stack_frozen, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        first_of_the_stack_frozen, "detach.reference", ZERO, ZERO
    ),
    Correct(detached_stand_in_for_the_sampler, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        live_stand_in_for_the_sampler,
        "detach.sampler",
        reverse_kl(),
        reverse_kl(),
        "with a sampler it is right; without one nothing is learned",
    ),
    Correct(sampler_detached_in_the_ratio, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        policy_detached_in_the_ratio, "detach.sampler", ZERO, ZERO
    ),
    Correct(
        answer_ratio_to_a_constant, reverse_kl("sequence"), reverse_kl("sequence"), "reverse_kl/sequence off-policy"
    ).with_fault(
        answer_ratio_to_itself,
        "detach.sampler",
        reverse_kl("sequence"),
        reverse_kl("sequence"),
        "with a sampler it is right; without one nothing is learned",
    ),
    Correct(detached_stand_in_in_grpo, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        live_stand_in_in_grpo,
        "detach.sampler",
        forward_kl(),
        UNNAMED,
        "the KL term is as it should be; without a sampler the policy gradient is 0",
    ),
)
