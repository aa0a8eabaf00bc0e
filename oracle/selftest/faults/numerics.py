"""Faults of floating point: dead clamps, tails that are not finite, digits that cancel."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..record import UNNAMED, Correct, Pair, forward_kl, reverse_kl


def _masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    mask = mask.to(x.dtype)
    return (x * mask).sum() / mask.sum()


# --- clamps that kill the gradient ----------------------------------------------------------------


def clamped_k3_value(logprob: Tensor, ref_logprob: Tensor) -> Tensor:
    diff = torch.clamp(ref_logprob - logprob, min=-20, max=20)
    kld = diff.exp() - diff - 1
    return torch.clamp(kld, min=-10, max=10)  # fault: no gradient once policy < reference / 13.6


def clamped_k3_value_straight_through(logprob: Tensor, ref_logprob: Tensor) -> Tensor:
    raw = ref_logprob - logprob
    diff = torch.clamp(raw, min=-20, max=20)
    value = torch.clamp(diff.exp() - diff - 1, min=-10, max=10)
    path = 0.5 * raw.square()
    return path - path.detach() + value.detach()


def clamped_k2_value(log_probs: Tensor, log_probs_base: Tensor, action_mask: Tensor, kl_coef: float) -> Tensor:
    kl = (log_probs - log_probs_base) ** 2 / 2.0
    kl = kl.clamp(min=-10, max=10)  # fault: no gradient once |L| > 4.47
    return kl_coef * _masked_mean(kl, action_mask)


def clamped_k2_shown_only(
    log_probs: Tensor, log_probs_base: Tensor, action_mask: Tensor, kl_coef: float
) -> tuple[Tensor, Tensor]:
    kl = (log_probs - log_probs_base) ** 2 / 2.0
    shown = kl.detach().clamp(min=-10, max=10)
    return kl_coef * _masked_mean(kl, action_mask), _masked_mean(shown, action_mask)


def clamped_log_ratio(logp: Tensor, ref_logp: Tensor, mask: Tensor, *, kl_coef: float) -> Tensor:
    diff = torch.clip(logp - ref_logp, -2.0, 2.0)  # fault: a token that has drifted far is let go
    return kl_coef * _masked_mean(diff.mul(diff).mul(0.5), mask)


def clamped_coefficient(logp: Tensor, ref_logp: Tensor, mask: Tensor, *, kl_coef: float) -> Tensor:
    diff = torch.clip((logp - ref_logp).detach(), -2.0, 2.0)
    return kl_coef * _masked_mean(diff * logp, mask)


def minimum_with_cap(logp: Tensor, ref_logp: Tensor) -> Tensor:
    kl = 0.5 * (logp - ref_logp) ** 2
    return torch.minimum(kl, torch.full_like(kl, 3.0))  # fault: the cap is a constant


def linear_beyond_cap(logp: Tensor, ref_logp: Tensor) -> Tensor:
    size = (logp - ref_logp).abs()
    knee = math.sqrt(6.0)
    return torch.where(size < knee, 0.5 * size * size, knee * size - 3.0)


# --- tails ----------------------------------------------------------------------------------------


def exp_before_clamp(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    r = d.exp().clamp(max=1e6)  # fault: exp has overflowed already, and 0 * inf is NaN
    return r - 1 - d


def clamp_before_exp(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    near = d.clamp(max=13.0)
    r = near.exp() * (1 + (d - near))  # beyond 13 the tangent goes on
    return r - 1 - d


def where_around_overflow(logp: Tensor, ref_logp: Tensor, completion_mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    slope = math.exp(20.0)
    # fault: the branch not taken still overflows, and its gradient is 0 * inf
    kl = torch.where(d > 20, slope * (d - 19) - 1 - d, d.exp() - 1 - d)
    return beta * _masked_mean(kl, completion_mask)


def where_twice(logp: Tensor, ref_logp: Tensor, completion_mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    slope = math.exp(20.0)
    safe = torch.where(d > 20, torch.zeros_like(d), d)
    kl = torch.where(d > 20, slope * (d - 19) - 1 - d, safe.exp() - 1 - d)
    return beta * _masked_mean(kl, completion_mask)


def through_probabilities(policy_logps: Tensor, ref_logps: Tensor) -> Tensor:
    p, q = policy_logps.exp(), ref_logps.exp()
    return 0.5 * (p / q).log() ** 2  # fault: exp underflows, and the logarithm of 0 is -inf


def through_log_probabilities(policy_logps: Tensor, ref_logps: Tensor) -> Tensor:
    return 0.5 * (policy_logps - ref_logps) ** 2


# --- cancellation ---------------------------------------------------------------------------------


def bfloat16_before_subtraction(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    x, y = logp.to(torch.bfloat16), ref_logp.to(torch.bfloat16)  # fault: the digits of L are lost
    diff = (x - y).to(torch.float32)
    return beta * _masked_mean(0.5 * diff * diff, mask)


def float32_before_subtraction(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    x, y = logp.to(torch.float32), ref_logp.to(torch.float32)
    diff = x - y
    return beta * _masked_mean(0.5 * diff * diff, mask)


def half_penalty(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    diff = ref_logprobs.half() - logprobs.half()  # fault: the digits of L are lost
    return (0.5 * diff**2).float()


def float_penalty(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    diff = ref_logprobs.float() - logprobs.float()
    return 0.5 * diff**2


PAIRS: tuple[Pair, ...] = (
    Correct(clamped_k3_value_straight_through, reverse_kl(), UNNAMED, "reverse_kl/token on-policy").with_fault(
        clamped_k3_value,
        "clamp.dead_gradient",
        forward_kl(),
        UNNAMED,
        "dead where log(reference/policy) > 2.61, and beyond 20 either way",
    ),
    Correct(clamped_k2_shown_only, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        clamped_k2_value, "clamp.dead_gradient", reverse_kl(), UNNAMED, "dead where |L| > sqrt(20)"
    ),
    Correct(clamped_coefficient, reverse_kl(), UNNAMED, "reverse_kl/token on-policy").with_fault(
        clamped_log_ratio,
        "clamp.dead_gradient",
        reverse_kl(),
        UNNAMED,
        "dead where |L| > 2; the twin's force is bounded there, not gone",
    ),
    Correct(linear_beyond_cap, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        minimum_with_cap, "clamp.dead_gradient", reverse_kl(), UNNAMED, "dead where |L| > sqrt(6)"
    ),
    Correct(clamp_before_exp, forward_kl(), UNNAMED, "k3 as loss").with_fault(
        exp_before_clamp, "tail.finite", forward_kl(), UNNAMED, "float32: NaN where log(reference/policy) > 88.7"
    ),
    Correct(where_twice, forward_kl(), UNNAMED, "k3 as loss").with_fault(
        where_around_overflow, "tail.finite", forward_kl(), UNNAMED, "float32: NaN where log(reference/policy) > 88.7"
    ),
    Correct(through_log_probabilities, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        through_probabilities,
        "tail.finite",
        reverse_kl(),
        UNNAMED,
        "float32: not finite where a log-probability is below -88 or so",
    ),
    Correct(float32_before_subtraction, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        bfloat16_before_subtraction, "cancellation", reverse_kl(scale=None), UNNAMED
    ),
    Correct(float_penalty, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        half_penalty, "cancellation", reverse_kl(scale=None), UNNAMED
    ),
)
