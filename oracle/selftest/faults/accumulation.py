"""Faults of gradient accumulation: a divisor that belongs to the micro-batch, or two of them."""

from __future__ import annotations

import torch
from torch import Tensor

from ..record import UNNAMED, Correct, Pair, forward_kl, reverse_kl


def _k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return torch.exp(d) - d - 1


def kl_deaf_to_the_count(
    logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    completion_mask: Tensor,
    beta: float,
    num_items_in_batch: int | None = None,
) -> Tensor:
    tokens = completion_mask.sum() if num_items_in_batch is None else num_items_in_batch
    pg = -(logp * advantages.reshape(-1, 1) * completion_mask).sum() / tokens
    kl = (_k3(logp, ref_logp) * completion_mask).sum() / completion_mask.sum()  # fault: its own tokens
    return pg + beta * kl


def kl_told_the_count(
    logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    completion_mask: Tensor,
    beta: float,
    num_items_in_batch: int | None = None,
) -> Tensor:
    tokens = completion_mask.sum() if num_items_in_batch is None else num_items_in_batch
    pg = -(logp * advantages.reshape(-1, 1) * completion_mask).sum() / tokens
    kl = (_k3(logp, ref_logp) * completion_mask).sum() / tokens
    return pg + beta * kl


def divided_by_tokens_and_by_steps(
    logp: Tensor,
    ref_logp: Tensor,
    mask: Tensor,
    beta: float,
    total_tokens: int | None = None,
    gradient_accumulation_steps: int = 1,
) -> Tensor:
    kl = ((logp - ref_logp).square() / 2 * mask).sum()
    kl = kl / (mask.sum() if total_tokens is None else total_tokens)
    return beta * kl / gradient_accumulation_steps  # fault: the tokens are those of all steps already


def divided_by_tokens_or_by_steps(
    logp: Tensor,
    ref_logp: Tensor,
    mask: Tensor,
    beta: float,
    total_tokens: int | None = None,
    gradient_accumulation_steps: int = 1,
) -> Tensor:
    kl = ((logp - ref_logp).square() / 2 * mask).sum()
    if total_tokens is None:
        return beta * kl / mask.sum() / gradient_accumulation_steps
    return beta * kl / total_tokens


def own_micro_batches_averaged(
    log_probs: Tensor, rollout_log_probs: Tensor, ref_log_probs: Tensor, response_mask: Tensor, kl_coef: float
) -> Tensor:
    loss = log_probs.new_zeros(())
    halves = torch.arange(log_probs.shape[0]).chunk(2)
    for rows in halves:
        weight = torch.exp(log_probs[rows] - rollout_log_probs[rows]).detach()
        kl = weight * (log_probs[rows] - ref_log_probs[rows]) ** 2 / 2
        keep = response_mask[rows]
        loss = loss + (kl * keep).sum() / keep.sum() / len(halves)  # fault: each half by its own tokens
    return kl_coef * loss


def own_micro_batches_added(
    log_probs: Tensor, rollout_log_probs: Tensor, ref_log_probs: Tensor, response_mask: Tensor, kl_coef: float
) -> Tensor:
    loss = log_probs.new_zeros(())
    halves = torch.arange(log_probs.shape[0]).chunk(2)
    for rows in halves:
        weight = torch.exp(log_probs[rows] - rollout_log_probs[rows]).detach()
        kl = weight * (log_probs[rows] - ref_log_probs[rows]) ** 2 / 2
        keep = response_mask[rows]
        loss = loss + (kl * keep).sum() / response_mask.sum()
    return kl_coef * loss


PAIRS: tuple[Pair, ...] = (
    Correct(kl_told_the_count, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        kl_deaf_to_the_count, "microbatch.invariance", forward_kl(), UNNAMED
    ),
    Correct(divided_by_tokens_or_by_steps, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        divided_by_tokens_and_by_steps, "microbatch.invariance", reverse_kl(), UNNAMED
    ),
    Correct(own_micro_batches_added, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        own_micro_batches_averaged,
        "microbatch.invariance",
        reverse_kl(),
        reverse_kl(),
        "halves of one size in one batch of full masks: there it is a token-mean",
    ),
)
