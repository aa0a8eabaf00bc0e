"""Penalties without a fault, in many styles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..record import UNNAMED, Correct, chi2_half, forward_kl, jeffreys, reverse_kl, total_variation


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


CORRECT: tuple[Correct, ...] = (
    Correct(k2_addcmul, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(k2_lerp, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(k2_mse, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(k2_with_baseline, reverse_kl(), UNNAMED, "reverse_kl/token on-policy"),
    Correct(k2_inplace, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(k3_cast, forward_kl(), UNNAMED, "k3 as loss", tail="overflow"),
    Correct(k3_family, forward_kl(scale=0.5), UNNAMED, "forward_kl/token on-policy", tail="overflow"),
    Correct(chi2_as_loss, chi2_half(), UNNAMED, "chi2_half/token on-policy", tail="overflow"),
    Correct(jeffreys_as_loss, jeffreys(), UNNAMED, "jeffreys/token on-policy", tail="overflow"),
    Correct(total_variation_as_loss, total_variation(), UNNAMED, "total_variation/token on-policy"),
    Correct(k1_keyword_only, reverse_kl(), UNNAMED, "k1 in reward", placement="reward"),
    Correct(
        k1_no_grad,
        reverse_kl(),
        UNNAMED,
        "k1 in reward",
        placement="reward",
        note="in the reward no gradient is wanted",
    ),
    Correct(
        forward_kl_in_reward, forward_kl(), UNNAMED, "forward_kl/token on-policy", placement="reward", tail="overflow"
    ),
    Correct(k3_plus, reverse_kl(), UNNAMED, "reverse_kl/token on-policy", called="k3_plus"),
    Correct(abs_plus, reverse_kl(), UNNAMED, "reverse_kl/token on-policy", called="abs_plus"),
    Correct(k2_bounded_value, reverse_kl(), UNNAMED, "k2 as loss"),
)
