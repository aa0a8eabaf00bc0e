"""Faults in masks, in divisors that count padding, and in alignment."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..record import UNNAMED, ZERO, Correct, Pair, forward_kl, reverse_kl


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
    Correct(sum_over_mask, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        sum_over_everything, "mask.leak", reverse_kl(), UNNAMED
    ),
    Correct(upright_mask, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        inverted_mask, "mask.leak", ZERO, ZERO, "zero on full masks"
    ),
    Correct(sequence_sum, reverse_kl("sequence"), UNNAMED, "reverse_kl/sequence on-policy").with_fault(
        sequence_sum_leaks, "mask.leak", reverse_kl("sequence"), UNNAMED
    ),
    Correct(
        ratio_masked, reverse_kl("sequence"), reverse_kl("sequence"), "reverse_kl/sequence off-policy", tail="overflow"
    ).with_fault(ratio_leaks, "mask.leak", reverse_kl("sequence"), reverse_kl("sequence")),
    Correct(aligned_mask, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        rolled_mask, "mask.leak", reverse_kl(), UNNAMED
    ),
    Correct(mean_over_mask, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        mean_after_mask, "padding.invariance", forward_kl(), UNNAMED
    ),
    Correct(divided_by_length, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        divided_by_width, "padding.invariance", reverse_kl(), UNNAMED
    ),
    Correct(aligned_reference, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        rolled_reference, "objective", UNNAMED, UNNAMED, "at horizon 1 there is nothing to roll"
    ),
    Correct(reference_on_spot, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        reference_off_by_one, "objective", UNNAMED, UNNAMED, "at horizon 1 the reference is lost altogether"
    ),
    Correct(view_written, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        view_written_one_off, "objective", UNNAMED, UNNAMED, "at horizon 1 there is nothing to shift"
    ),
)
