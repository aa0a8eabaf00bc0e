"""Faults of a detached weight on k2: another power, cap, normalisation or distribution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..record import UNNAMED, Pair, reverse_kl
from .twins import WEIGHTED


def _k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


def weight_twice(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp(logp - old_logp).detach()
    kl = weight * _k2(logp, ref_logp)
    return beta * (weight * kl * mask).sum() / mask.sum()  # fault: by the helper and by its caller


def weight_under_root(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp(0.5 * (logp - old_logp)).detach()  # fault: half of the log-ratio
    return beta * (weight * _k2(logp, ref_logp) * mask).sum() / mask.sum()


def weight_upside_down(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp(old_logp - logp).detach()  # fault: sampler over policy
    return beta * (weight * _k2(logp, ref_logp) * mask).sum() / mask.sum()


def weight_normalised_in_answer(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp(logp - old_logp).detach()
    weight = weight * mask.sum(-1, keepdim=True) / (weight * mask).sum(-1, keepdim=True)  # fault: by its own mean
    return beta * (weight * _k2(logp, ref_logp) * mask).sum() / mask.sum()


def weight_capped_at_one(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp(logp - old_logp).detach().clamp(max=1.0)  # fault: the cap takes every ratio above 1
    return beta * (weight * _k2(logp, ref_logp) * mask).sum() / mask.sum()


def weight_of_the_mean(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    moved = ((logp - old_logp) * mask).sum(-1, keepdim=True) / mask.sum(-1, keepdim=True)
    weight = moved.exp().detach()  # fault: a geometric mean is no importance weight
    return beta * (weight * _k2(logp, ref_logp) * mask).sum() / mask.sum()


def weight_without_sampler(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp(logp).detach()  # fault: the policy's probability, not its ratio
    return beta * (weight * _k2(logp, ref_logp) * mask).sum() / mask.sum() + 0.0 * old_logp.sum()


def weight_against_reference(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp(logp - ref_logp).detach()  # fault: the reference is not the sampler
    return beta * (weight * _k2(logp, ref_logp) * mask).sum() / mask.sum() + 0.0 * old_logp.sum()


def weight_of_the_token_before(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = F.pad((logp - old_logp)[:, :-1], (1, 0)).exp().detach()  # fault: one position late
    return beta * (weight * _k2(logp, ref_logp) * mask).sum() / mask.sum()


def linear_weight(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = (1 + logp - old_logp).detach()  # fault: the exponential, cut off after the first order
    return beta * (weight * _k2(logp, ref_logp) * mask).sum() / mask.sum()


def k3_weighted_by_reference(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    weight = torch.exp(ref_logp - old_logp).detach()  # fault: as if the reference were trained
    return beta * (weight * (torch.expm1(d) - d) * mask).sum() / mask.sum()


PAIRS: tuple[Pair, ...] = (
    WEIGHTED.with_fault(weight_twice, "objective", reverse_kl(), UNNAMED),
    WEIGHTED.with_fault(weight_under_root, "objective", reverse_kl(), UNNAMED),
    WEIGHTED.with_fault(weight_upside_down, "objective", reverse_kl(), UNNAMED),
    WEIGHTED.with_fault(weight_normalised_in_answer, "objective", reverse_kl(), UNNAMED),
    WEIGHTED.with_fault(weight_capped_at_one, "objective", reverse_kl(), UNNAMED),
    WEIGHTED.with_fault(weight_of_the_mean, "objective", reverse_kl(), UNNAMED),
    WEIGHTED.with_fault(weight_without_sampler, "objective", UNNAMED, UNNAMED),
    WEIGHTED.with_fault(weight_against_reference, "objective", UNNAMED, UNNAMED),
    WEIGHTED.with_fault(weight_of_the_token_before, "objective", reverse_kl(), UNNAMED),
    WEIGHTED.with_fault(linear_weight, "objective", reverse_kl(), UNNAMED),
    WEIGHTED.with_fault(k3_weighted_by_reference, "objective", UNNAMED, UNNAMED),
)
