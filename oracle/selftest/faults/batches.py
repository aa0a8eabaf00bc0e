"""Faults that couple the rows of a batch, or bend the dependence on beta."""

from __future__ import annotations

import torch
from torch import Tensor

from ..record import UNNAMED, Correct, Pair, forward_kl, reverse_kl


def _column(advantages: Tensor) -> Tensor:
    return advantages[:, None] if advantages.ndim == 1 else advantages


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    weights = mask.to(x.dtype)
    return torch.einsum("bt,bt->", x, weights) / weights.sum()


# --- rows that see each other ---------------------------------------------------------------------


def centred_log_ratio(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    diff = logp - ref_logp
    diff = diff - _mean(diff, mask)  # fault: subtracts what the other rows hold
    return beta * _mean(0.5 * diff * diff, mask)


def uncentred_log_ratio(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    diff = logp - ref_logp
    return beta * _mean(0.5 * diff * diff, mask)


def divided_by_batch_max(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = 0.5 * (logp - ref_logp).square() * mask
    kl = kl / kl.detach().max().clamp(min=1e-8)  # fault: the strength follows the worst row
    return beta * kl.sum() / mask.sum()


def undivided(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = 0.5 * (logp - ref_logp).square() * mask
    return beta * kl.sum() / mask.sum()


def whitened_penalty(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    kl_coef: float,
) -> Tensor:
    with torch.no_grad():
        kl = logp - ref_logp
        centre = _mean(kl, mask)
        spread = _mean((kl - centre).square(), mask).sqrt()
        kl = (kl - centre) / (spread + 1e-8)  # fault: standardised over the batch
    ratio = torch.exp(logp - old_logp)
    return _mean(-ratio * (_column(advantages) - kl_coef * kl), mask)


def raw_penalty(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    kl_coef: float,
) -> Tensor:
    with torch.no_grad():
        kl = logp - ref_logp
    ratio = torch.exp(logp - old_logp)
    return _mean(-ratio * (_column(advantages) - kl_coef * kl), mask)


def reference_of_another_row(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    reference = torch.roll(ref_logp, shifts=1, dims=0)  # fault: rolled along the batch
    diff = reference - logp
    return beta * _mean(torch.expm1(diff) - diff, mask)


def reference_of_this_row(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    reference = torch.cat(ref_logp.split(1, dim=0), dim=0)
    diff = reference - logp
    return beta * _mean(torch.expm1(diff) - diff, mask)


def self_normalised_weight(logp: Tensor, behaviour_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp(logp - behaviour_logp).detach()
    weight = weight / _mean(weight, mask)  # fault: a row's weight depends on the other rows
    return beta * _mean(weight * (logp - ref_logp) ** 2, mask) / 2


def plain_weight(logp: Tensor, behaviour_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp(logp - behaviour_logp).detach()
    return beta * _mean(weight * (logp - ref_logp) ** 2, mask) / 2


# --- beta -----------------------------------------------------------------------------------------


def _scaled_kl(logp: Tensor, ref_logp: Tensor, coef: float) -> Tensor:
    return coef * 0.5 * (logp - ref_logp) ** 2


def beta_squared(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    kl = _scaled_kl(logp, ref_logp, beta)
    pg = -torch.exp(logp - old_logp) * _column(advantages)
    return _mean(pg + beta * kl, mask)  # fault: the helper has multiplied already


def beta_once(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
) -> Tensor:
    kl = _scaled_kl(logp, ref_logp, beta)
    pg = -torch.exp(logp - old_logp) * _column(advantages)
    return _mean(pg + kl, mask)


def beta_ignored(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, *, beta: float) -> Tensor:
    kl = _scaled_kl(logp, ref_logp, 0.04)  # fault: a number instead of the argument
    return _mean(kl - logp * _column(advantages), mask)


def beta_heeded(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, *, beta: float) -> Tensor:
    kl = _scaled_kl(logp, ref_logp, beta)
    return _mean(kl - logp * _column(advantages), mask)


def beta_as_a_switch(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    loss = -logp * _column(advantages)
    if beta == 0:
        return _mean(loss, mask)
    diff = ref_logp - logp
    return _mean(loss + 0.05 * (torch.expm1(diff) - diff), mask)  # fault: on or off, no strength


def beta_as_strength(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    loss = -logp * _column(advantages)
    if beta == 0:
        return _mean(loss, mask)
    diff = ref_logp - logp
    return _mean(loss + beta * (torch.expm1(diff) - diff), mask)


def beta_normalised(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    kl = (logp - ref_logp).square() / 2
    pg = -logp * _column(advantages)
    return _mean(pg + kl_coef * kl, mask) / (1.0 + kl_coef)  # fault: beta sits below the line too


def beta_unnormalised(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    kl = (logp - ref_logp).square() / 2
    pg = -logp * _column(advantages)
    return _mean(pg + kl_coef * kl, mask)


PAIRS: tuple[Pair, ...] = (
    Correct(uncentred_log_ratio, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        centred_log_ratio,
        "batch.coupling",
        reverse_kl(),
        UNNAMED,
        "over a batch that holds every sequence the centre is a baseline; a real batch of n loses 1/n of the gradient",
    ),
    Correct(undivided, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        divided_by_batch_max, "batch.coupling", reverse_kl(scale=None), UNNAMED
    ),
    Correct(raw_penalty, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        whitened_penalty, "batch.coupling", reverse_kl(scale=None), reverse_kl(scale=None)
    ),
    Correct(reference_of_this_row, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        reference_of_another_row, "batch.coupling", UNNAMED, UNNAMED
    ),
    Correct(plain_weight, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        self_normalised_weight,
        "batch.coupling",
        reverse_kl(),
        reverse_kl(),
        "over a batch that holds every sequence the weights have mean 1",
    ),
    Correct(beta_once, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        beta_squared, "beta.linearity", reverse_kl(), UNNAMED
    ),
    Correct(beta_heeded, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        beta_ignored,
        "beta.linearity",
        reverse_kl(scale=0.04),
        UNNAMED,
        "what changes nothing is no coefficient: the KL term stands there with 0.04",
    ),
    Correct(beta_as_strength, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        beta_as_a_switch, "beta.linearity", forward_kl(scale=0.05), UNNAMED
    ),
    Correct(beta_unnormalised, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        beta_normalised,
        "beta.linearity",
        reverse_kl(scale=0.5),
        UNNAMED,
        "with zero advantages; with others gradient(beta) - gradient(0) holds the policy gradient"
        " too, and no objective fits",
    ),
)
