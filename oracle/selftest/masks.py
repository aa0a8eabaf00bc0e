"""Faults in masks, in divisors that count padding, and in alignment."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .record import UNNAMED, ZERO, Pair, forward_kl, reverse_kl


def _column(advantages: Tensor) -> Tensor:
    return advantages[:, None] if advantages.ndim == 1 else advantages


def _k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return torch.expm1(d) - d


# --- leaks ----------------------------------------------------------------------------------------


def sum_over_everything(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = 0.5 * (logp - ref_logp) ** 2
    return beta * kl.sum() / mask.sum()  # fault: divides by the mask, does not multiply by it


def sum_over_mask(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = 0.5 * (logp - ref_logp) ** 2
    return beta * (kl * mask).sum() / mask.sum()


def inverted_mask(logp: Tensor, ref_logp: Tensor, advantages: Tensor, completion_mask: Tensor, beta: float) -> Tensor:
    padding = torch.logical_not(completion_mask.bool())
    kl = _k3(logp, ref_logp).masked_fill(~padding, 0.0)  # fault: keeps the padding only
    pg = (-_column(advantages) * logp).masked_fill(padding, 0.0)
    return (pg + beta * kl).sum() / completion_mask.sum().clamp(min=1)


def upright_mask(logp: Tensor, ref_logp: Tensor, advantages: Tensor, completion_mask: Tensor, beta: float) -> Tensor:
    padding = torch.logical_not(completion_mask.bool())
    kl = _k3(logp, ref_logp).masked_fill(padding, 0.0)
    pg = (-_column(advantages) * logp).masked_fill(padding, 0.0)
    return (pg + beta * kl).sum() / completion_mask.sum().clamp(min=1)


def sequence_sum_leaks(log_probs: Tensor, log_probs_base: Tensor, action_mask: Tensor, kl_coef: float) -> Tensor:
    total = (log_probs - log_probs_base).sum(-1)  # fault: the sum runs over padding too
    del action_mask
    return kl_coef * total.square().mean() * 0.5


def sequence_sum(log_probs: Tensor, log_probs_base: Tensor, action_mask: Tensor, kl_coef: float) -> Tensor:
    total = torch.einsum("bt,bt->b", log_probs - log_probs_base, action_mask.to(log_probs.dtype))
    return kl_coef * total.square().mean() * 0.5


def ratio_leaks(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    ratio = (logp - old_logp).sum(-1, keepdim=True).exp()  # fault: the weight sees padding
    return beta * (ratio * _k3(logp, ref_logp) * mask).sum(-1).mean()


def ratio_masked(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    ratio = ((logp - old_logp) * mask).sum(-1, keepdim=True).exp()
    return beta * (ratio * _k3(logp, ref_logp) * mask).sum(-1).mean()


def rolled_mask(logp: Tensor, ref_logp: Tensor, response_mask: Tensor, *, beta: float) -> Tensor:
    m = torch.roll(response_mask, 1, dims=1)  # fault: the mask of the neighbour
    kl = (logp - ref_logp).pow(2).div(2)
    return beta * torch.where(m.bool(), kl, torch.zeros_like(kl)).sum() / m.sum()


def aligned_mask(logp: Tensor, ref_logp: Tensor, response_mask: Tensor, *, beta: float) -> Tensor:
    m = torch.roll(torch.roll(response_mask, 1, dims=1), -1, dims=1)
    kl = (logp - ref_logp).pow(2).div(2)
    return beta * torch.where(m.bool(), kl, torch.zeros_like(kl)).sum() / m.sum()


# --- padding in the divisor -----------------------------------------------------------------------


def mean_after_mask(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    pg = -torch.exp(logp - old_logp) * _column(advantages)
    loss = pg + beta * _k3(logp, ref_logp)
    return (loss * mask).mean()  # fault: padding is counted in the divisor


def mean_over_mask(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    pg = -torch.exp(logp - old_logp) * _column(advantages)
    loss = pg + beta * _k3(logp, ref_logp)
    return (loss * mask).sum() / mask.sum()


def divided_by_width(
    per_token_logps: Tensor, ref_per_token_logps: Tensor, completion_mask: Tensor, beta: float
) -> Tensor:
    kl = (per_token_logps - ref_per_token_logps).square_().mul_(0.5)
    kl = kl.mul(completion_mask)
    per_sequence = kl.sum(1) / per_token_logps.size(1)  # fault: the width of the padded batch
    return beta * per_sequence.mean()


def divided_by_length(
    per_token_logps: Tensor, ref_per_token_logps: Tensor, completion_mask: Tensor, beta: float
) -> Tensor:
    kl = (per_token_logps - ref_per_token_logps).square_().mul_(0.5)
    kl = kl.mul(completion_mask)
    per_sequence = kl.sum(1) / completion_mask.sum(1)
    return beta * per_sequence.mean()


# --- alignment ------------------------------------------------------------------------------------


def rolled_reference(logp: Tensor, ref_logp: Tensor) -> Tensor:
    ref = ref_logp.roll(1, dims=-1)  # fault: every token meets its neighbour's reference
    return 0.5 * torch.square(logp - ref)


def aligned_reference(logp: Tensor, ref_logp: Tensor) -> Tensor:
    ref = ref_logp.roll(1, dims=-1).roll(-1, dims=-1)
    return 0.5 * torch.square(logp - ref)


def reference_off_by_one(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    ref = F.pad(ref_logp[:, :-1], (1, 0))  # fault: labels shifted twice
    kl = (_k3(logp, ref) * mask).sum(-1) / mask.sum(-1)
    pg = -(logp * _column(advantages) * mask).sum(-1) / mask.sum(-1)
    return (pg + beta * kl).mean()


def reference_on_spot(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    ref = F.pad(ref_logp, (1, 0))[:, 1:]
    kl = (_k3(logp, ref) * mask).sum(-1) / mask.sum(-1)
    pg = -(logp * _column(advantages) * mask).sum(-1) / mask.sum(-1)
    return (pg + beta * kl).mean()


def view_written_one_off(logp: Tensor, ref_logp: Tensor) -> Tensor:
    diff = logp.clone()
    diff[:, 1:] -= ref_logp[:, :-1]  # fault: the slice of the reference lags behind
    diff[:, :1] -= ref_logp[:, :1]
    return diff.square().mul_(0.5)


def view_written(logp: Tensor, ref_logp: Tensor) -> Tensor:
    diff = logp.clone()
    diff[:, 1:] -= ref_logp[:, 1:]
    diff[:, :1] -= ref_logp[:, :1]
    return diff.square().mul_(0.5)


PAIRS: tuple[Pair, ...] = (
    Pair(
        "sum_over_everything",
        sum_over_everything,
        sum_over_mask,
        "mask.leak",
        reverse_kl(),
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "k2 as loss",
    ),
    Pair(
        "inverted_mask",
        inverted_mask,
        upright_mask,
        "mask.leak",
        ZERO,
        ZERO,
        forward_kl(),
        UNNAMED,
        "k3 as loss",
        note="zero on full masks",
        twin_tail="overflow",
    ),
    Pair(
        "sequence_sum_leaks",
        sequence_sum_leaks,
        sequence_sum,
        "mask.leak",
        reverse_kl("sequence"),
        UNNAMED,
        reverse_kl("sequence"),
        UNNAMED,
        "reverse_kl/sequence on-policy",
    ),
    Pair(
        "ratio_leaks",
        ratio_leaks,
        ratio_masked,
        "mask.leak",
        reverse_kl("sequence"),
        reverse_kl("sequence"),
        reverse_kl("sequence"),
        reverse_kl("sequence"),
        "reverse_kl/sequence off-policy",
        twin_tail="overflow",
    ),
    Pair(
        "rolled_mask",
        rolled_mask,
        aligned_mask,
        "mask.leak",
        reverse_kl(),
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "k2 as loss",
    ),
    Pair(
        "mean_after_mask",
        mean_after_mask,
        mean_over_mask,
        "padding.invariance",
        forward_kl(),
        UNNAMED,
        forward_kl(),
        UNNAMED,
        "k3 as loss",
        twin_tail="overflow",
    ),
    Pair(
        "divided_by_width",
        divided_by_width,
        divided_by_length,
        "padding.invariance",
        reverse_kl(),
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "k2 as loss",
    ),
    Pair(
        "rolled_reference",
        rolled_reference,
        aligned_reference,
        "objective",
        UNNAMED,
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "k2 as loss",
        note="at horizon 1 there is nothing to roll",
    ),
    Pair(
        "reference_off_by_one",
        reference_off_by_one,
        reference_on_spot,
        "objective",
        UNNAMED,
        UNNAMED,
        forward_kl(),
        UNNAMED,
        "k3 as loss",
        note="at horizon 1 the reference is lost altogether",
        twin_tail="overflow",
    ),
    Pair(
        "view_written_one_off",
        view_written_one_off,
        view_written,
        "objective",
        UNNAMED,
        UNNAMED,
        reverse_kl(),
        UNNAMED,
        "k2 as loss",
        note="at horizon 1 there is nothing to shift",
    ),
)
