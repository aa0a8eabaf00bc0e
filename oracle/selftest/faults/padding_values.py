"""Faults of what padding may hold: NaN or inf there, swallowed together with the tokens that count."""

from __future__ import annotations

import torch
from torch import Tensor

from ..record import UNNAMED, Correct, Pair, forward_kl, reverse_kl


def nan_of_answers_swallowed(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    of_answers = ((torch.expm1(d) - d) * mask).sum(-1)
    return beta * torch.nan_to_num(of_answers).mean()  # fault: NaN * 0 is NaN, and the answer counts for nothing


def padding_filled_before(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = (ref_logp - logp).masked_fill(mask == 0, 0.0)
    of_answers = ((torch.expm1(d) - d) * mask).sum(-1)
    return beta * torch.nan_to_num(of_answers).mean()


def finite_rows_alone(log_probs: Tensor, log_probs_base: Tensor, action_mask: Tensor, kl_coef: float) -> Tensor:
    square = (log_probs - log_probs_base) ** 2
    rows = torch.isfinite(square.sum(dim=1))  # fault: looks at padding too
    kept = torch.where(action_mask.bool(), square, torch.zeros_like(square))[rows]
    return kl_coef * kept.sum() / (2.0 * action_mask.sum())


def finite_rows_of_real_tokens(
    log_probs: Tensor, log_probs_base: Tensor, action_mask: Tensor, kl_coef: float
) -> Tensor:
    log_ratio = torch.where(action_mask.bool(), log_probs - log_probs_base, torch.zeros_like(log_probs))
    square = log_ratio**2
    rows = torch.isfinite(square.sum(dim=1))
    return kl_coef * square[rows].sum() / (2.0 * action_mask.sum())


def batch_skipped_when_not_finite(
    policy_logps: Tensor, old_logps: Tensor, reference_logps: Tensor, advantages: Tensor, loss_mask: Tensor, beta: float
) -> Tensor:
    ratio = torch.exp(policy_logps - old_logps)
    kl = torch.square(policy_logps - reference_logps) / 2
    loss = -ratio * advantages.reshape(-1, 1) + beta * ratio.detach() * kl
    loss = (loss * loss_mask).sum() / loss_mask.sum()  # fault: padding makes it NaN, and the batch is skipped
    return torch.where(torch.isfinite(loss), loss, torch.zeros_like(loss))


def batch_skipped_when_tokens_are_not_finite(
    policy_logps: Tensor, old_logps: Tensor, reference_logps: Tensor, advantages: Tensor, loss_mask: Tensor, beta: float
) -> Tensor:
    padding = loss_mask == 0
    ratio = torch.exp((policy_logps - old_logps).masked_fill(padding, 0.0))
    kl = torch.square((policy_logps - reference_logps).masked_fill(padding, 0.0)) / 2
    loss = -ratio * advantages.reshape(-1, 1) + beta * ratio.detach() * kl
    loss = (loss * loss_mask).sum() / loss_mask.sum()
    return torch.where(torch.isfinite(loss), loss, torch.zeros_like(loss))


PAIRS: tuple[Pair, ...] = (
    Correct(padding_filled_before, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        nan_of_answers_swallowed, "mask.nonfinite", forward_kl(), UNNAMED
    ),
    Correct(finite_rows_of_real_tokens, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        finite_rows_alone, "mask.nonfinite", reverse_kl(), UNNAMED
    ),
    Correct(
        batch_skipped_when_tokens_are_not_finite, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy"
    ).with_fault(batch_skipped_when_not_finite, "mask.nonfinite", reverse_kl(), reverse_kl()),
)
