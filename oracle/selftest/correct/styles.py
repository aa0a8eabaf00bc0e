"""More losses without a fault, in the styles of different libraries and hands."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.distributions as D
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..record import (
    UNNAMED,
    Correct,
    chi2_half,
    chi2_reference_half,
    forward_kl,
    hellinger_squared,
    jensen_shannon,
    reverse_kl,
    total_variation,
)

# --- penalties ------------------------------------------------------------------------------------


def k2_of_normals(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """KL of two unit normals is half the squared distance of their means."""
    out: Tensor = D.kl_divergence(D.Normal(logp, 1.0), D.Normal(ref_logp, 1.0))
    return out


def k3_as_poisson_loss(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return F.poisson_nll_loss(d, torch.ones_like(d), log_input=True, reduction="none") - 1


def k2_by_vmap(logp: Tensor, ref_logp: Tensor) -> Tensor:
    def one(x: Tensor, y: Tensor) -> Tensor:
        return 0.5 * (x - y) * (x - y)

    out: Tensor = torch.vmap(torch.vmap(one))(logp, ref_logp)
    return out


def k3_recomputed(logp: Tensor, ref_logp: Tensor) -> Tensor:
    def one(x: Tensor, y: Tensor) -> Tensor:
        return torch.expm1(y - x) - (y - x)

    out: Tensor = checkpoint(one, logp, ref_logp, use_reentrant=False)
    return out


def k2_column_by_column(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.stack([(logp[:, t] - ref_logp[:, t]).square() / 2 for t in range(logp.shape[1])], dim=1)


def hellinger_as_loss(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return torch.exp(d / 2) - d / 2


def neyman_as_loss(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return 0.25 * torch.expm1(2 * d) - 0.5 * d


def jensen_shannon_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return -0.5 * F.softplus(ref_logp - logp) + 0.5 * math.log(2.0)


def total_variation_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * torch.sign(logp - ref_logp)


def k1_with_a_constant_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """A constant in the reward is a baseline."""
    return logp - ref_logp + 1.0


def k1_so_far_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """What earlier tokens paid is a baseline."""
    return torch.cumsum(logp - ref_logp, dim=-1)


class Penalty(torch.nn.Module):
    """A module with its estimator chosen by name."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, logp: Tensor, ref_logp: Tensor) -> Tensor:
        d = logp - ref_logp
        return {"k2": lambda: d.pow(2) / 2, "k3": lambda: torch.expm1(-d) + d}[self.kind]()


def _general(logp: Tensor, ref_logp: Tensor, power: int, scale: float) -> Tensor:
    return scale * (logp - ref_logp) ** power


k2_partial = functools.partial(_general, power=2, scale=0.5)


@dataclass
class CallableLoss:
    """An object with settings, called as a function."""

    weight: float

    def __call__(self, logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
        d = (logp - ref_logp).masked_fill(mask == 0, 0.0)
        return beta * self.weight * d.square().sum() / mask.sum()


# --- losses: masks and reductions -----------------------------------------------------------------


def log_ratio_masked_first(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = torch.where(mask.bool(), ref_logp - logp, torch.zeros_like(logp))
    return beta * (torch.expm1(d) - d).sum() / mask.sum()


def summed_over_rows_first(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = 0.5 * (logp - ref_logp) ** 2 * mask
    return beta * kl.mean(0).sum()


def packed(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    at = mask.flatten().nonzero().squeeze(-1)
    d = logp.flatten().index_select(0, at) - ref_logp.flatten().index_select(0, at)
    return beta * F.mse_loss(d, torch.zeros_like(d)) / 2


def scattered(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    rows = torch.arange(logp.shape[0]).repeat_interleave(logp.shape[1])
    kl = (0.5 * (logp - ref_logp) ** 2 * mask).flatten()
    sums = torch.zeros(logp.shape[0], dtype=kl.dtype).index_add(0, rows, kl)
    return beta * (sums / mask.sum(-1)).mean()


def row_by_row(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    total = torch.zeros((), dtype=logp.dtype)
    for x, y, m in zip(logp, ref_logp, mask, strict=True):
        d = (x - y)[m.bool()]
        total = total + 0.5 * d.dot(d) / d.numel()
    return beta * total / len(logp)


def weights_before_sum(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    share = mask / mask.sum(-1, keepdim=True) / mask.shape[0]
    return beta * torch.einsum("bt,bt,bt->", share, logp - ref_logp, logp - ref_logp) / 2


def mean_without_mask(logp: Tensor, ref_logp: Tensor, beta: float) -> Tensor:
    return beta * torch.mean((logp - ref_logp) ** 2) / 2


# --- losses: corrections --------------------------------------------------------------------------


def k3_in_reward_and_as_loss(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    """By the product rule the two halves make KL(policy||reference)."""
    d = ref_logp - logp
    k3 = torch.expm1(d) - d
    ratio = torch.exp(logp - old_logp)
    adv = advantages[:, None] - beta * k3.detach()
    return ((-ratio * adv + beta * ratio.detach() * k3) * mask).sum() / mask.sum()


def generalised_k1(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    """rho log(policy/reference), differentiated: value and gradient of KL(policy||reference)."""
    ratio = torch.exp(logp - old_logp)
    return beta * (ratio * (logp - ref_logp) * mask).sum() / mask.sum()


def unnormalised_divergence(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    """rho log u - rho, whose second term has no expected gradient."""
    ratio = (logp - old_logp).exp()
    return beta * ((ratio * (logp - ref_logp) - ratio) * mask).sum(-1).mean()


def future_ratios(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    """The ratios of later tokens have mean 1."""
    move = (logp - old_logp) * mask
    weight = move.flip(-1).cumsum(-1).flip(-1).exp().detach()
    return beta * (weight * 0.5 * (logp - ref_logp) ** 2 * mask).sum() / mask.sum()


def leave_one_out(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    move = ((logp - old_logp) * mask).sum(-1).exp()
    kl = ((logp - ref_logp) * mask).sum(-1).detach()
    others = (kl.sum() - kl) / (kl.numel() - 1)
    return -(move * (advantages - beta * (kl - others))).mean()


def clipped_both_heads(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, kl_coef: float, low: float = 0.2
) -> Tensor:
    ratio = (logp - old_logp).exp()
    a = (advantages[:, None] - kl_coef * (logp - ref_logp)).detach()
    heads = torch.stack([-ratio * a, -ratio.clamp(1 - low, 1 + 0.28) * a])
    return (heads.amax(0) * mask).sum() / mask.sum()


class _Output(NamedTuple):
    loss: Tensor
    metrics: dict[str, Any]


def with_named_output(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> _Output:
    d = (logp - ref_logp) * mask
    kl = d.square().sum(-1) / 2
    return _Output(beta * kl.mean(), {"kl": kl.detach().mean().item(), "tokens": int(mask.sum())})


def chi2_weighted(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    """chi2(policy||reference) / 2 by its own coefficient, in the reward."""
    ratio = torch.exp(logp - old_logp)
    pull = torch.expm1(logp - ref_logp).detach()
    return beta * (ratio * pull * mask).sum(-1).mean()


def in_float32_and_back(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        d = logp.float() - ref_logp.float()
        kl = (torch.exp(-d) + d - 1) * mask.float()
        return (beta * kl.sum() / mask.float().sum()).to(logp.dtype)


CORRECT: tuple[Correct, ...] = (
    Correct(k2_of_normals, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(k3_as_poisson_loss, forward_kl(), UNNAMED, "k3 as loss", tail="overflow"),
    Correct(k2_by_vmap, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(k3_recomputed, forward_kl(), UNNAMED, "k3 as loss", tail="overflow"),
    Correct(k2_column_by_column, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(hellinger_as_loss, hellinger_squared(), UNNAMED, "hellinger_squared/token"),
    Correct(neyman_as_loss, chi2_reference_half(), UNNAMED, tail="overflow"),
    Correct(jensen_shannon_in_reward, jensen_shannon(), UNNAMED, placement="reward"),
    Correct(total_variation_in_reward, total_variation(), UNNAMED, placement="reward"),
    Correct(k1_with_a_constant_in_reward, reverse_kl(), UNNAMED, "reverse_kl/token on-policy", placement="reward"),
    Correct(k1_so_far_in_reward, reverse_kl(), UNNAMED, placement="reward"),
    Correct(Penalty("k2"), reverse_kl(), UNNAMED, "k2 as loss", called="module_k2"),
    Correct(Penalty("k3"), forward_kl(), UNNAMED, "k3 as loss", tail="overflow", called="module_k3"),
    Correct(k2_partial, reverse_kl(), UNNAMED, "k2 as loss", called="k2_partial"),
    Correct(CallableLoss(0.5), reverse_kl(), UNNAMED, "k2 as loss, token-mean", called="callable_object"),
    Correct(log_ratio_masked_first, forward_kl(), UNNAMED, "k3 as loss", tail="overflow"),
    Correct(summed_over_rows_first, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(packed, reverse_kl(), UNNAMED, "k2 as loss, token-mean"),
    Correct(scattered, reverse_kl(), UNNAMED, "k2 as loss, seq-mean-token-mean"),
    Correct(row_by_row, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(weights_before_sum, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(mean_without_mask, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(k3_in_reward_and_as_loss, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy", tail="rounding"),
    Correct(generalised_k1, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy"),
    Correct(unnormalised_divergence, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy"),
    Correct(future_ratios, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy"),
    Correct(leave_one_out, reverse_kl("sequence"), reverse_kl("sequence"), "reverse_kl/sequence off-policy"),
    Correct(clipped_both_heads, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy"),
    Correct(with_named_output, reverse_kl(), UNNAMED, "k2 as loss"),
    Correct(chi2_weighted, chi2_half(), chi2_half(), "chi2_half/token off-policy", tail="overflow"),
    Correct(in_float32_and_back, forward_kl(), UNNAMED, "k3 as loss", tail="overflow"),
)
