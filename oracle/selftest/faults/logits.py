"""Faults between logits and tokens: positions out of step, and logits that are not normalised."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..record import UNNAMED, Correct, Pair, forward_kl, reverse_kl


def _selected(logits: Tensor, ids: Tensor) -> Tensor:
    return torch.gather(logits.log_softmax(-1), 2, ids[:, :, None])[:, :, 0]


def _k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp).square()


# --- positions ------------------------------------------------------------------------------------


def tokens_not_shifted(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, completion_mask: Tensor, beta: float
) -> Tensor:
    ids, mask = input_ids[:, :-1], completion_mask[:, 1:]  # fault: each is scored by what comes after it
    kl = _k2(_selected(logits[:, :-1], ids), _selected(ref_logits[:, :-1], ids).detach())
    return beta * (kl * mask).sum() / mask.sum()


def tokens_shifted(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, completion_mask: Tensor, beta: float
) -> Tensor:
    ids, mask = input_ids[:, 1:], completion_mask[:, 1:]
    kl = _k2(_selected(logits[:, :-1], ids), _selected(ref_logits[:, :-1], ids).detach())
    return beta * (kl * mask).sum() / mask.sum()


def cross_entropy_a_step_late(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, attention_mask: Tensor, kl_coef: float
) -> dict[str, Tensor]:
    labels, mask = input_ids[:, 1:], attention_mask[:, 1:]
    policy, reference = (
        -F.cross_entropy(x[:, 1:].transpose(1, 2), labels, reduction="none")  # fault: from the first position on
        for x in (logits, ref_logits.detach())
    )
    d = reference - policy
    return {"loss": kl_coef * ((torch.expm1(d) - d) * mask).sum() / mask.sum()}


def cross_entropy_in_step(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, attention_mask: Tensor, kl_coef: float
) -> dict[str, Tensor]:
    labels, mask = input_ids[:, 1:], attention_mask[:, 1:]
    policy, reference = (
        -F.cross_entropy(x[:, :-1].transpose(1, 2), labels, reduction="none") for x in (logits, ref_logits.detach())
    )
    d = reference - policy
    return {"loss": kl_coef * ((torch.expm1(d) - d) * mask).sum() / mask.sum()}


# --- normalisation --------------------------------------------------------------------------------


def log_softmax_over_positions(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, completion_mask: Tensor, beta: float
) -> Tensor:
    log_p = torch.log_softmax(logits[:, :-1], dim=1)  # fault: the axis of positions
    ids, mask = input_ids[:, 1:], completion_mask[:, 1:]
    kl = _k2(log_p.gather(-1, ids.unsqueeze(-1)).squeeze(-1), _selected(ref_logits[:, :-1], ids).detach())
    return beta * (kl * mask).sum() / mask.sum()


def log_softmax_over_tokens(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, completion_mask: Tensor, beta: float
) -> Tensor:
    log_p = torch.log_softmax(logits[:, :-1], dim=2)
    ids, mask = input_ids[:, 1:], completion_mask[:, 1:]
    kl = _k2(log_p.gather(-1, ids.unsqueeze(-1)).squeeze(-1), _selected(ref_logits[:, :-1], ids).detach())
    return beta * (kl * mask).sum() / mask.sum()


def logits_for_log_probabilities(
    logits: Tensor, ref_logps: Tensor, labels: Tensor, mask: Tensor, beta: float
) -> Tensor:
    logp = logits.gather(-1, labels[..., None])[..., 0]  # fault: the normaliser is left out
    return beta * (_k2(logp, ref_logps) * mask).sum() / mask.sum()


def logits_less_their_normaliser(
    logits: Tensor, ref_logps: Tensor, labels: Tensor, mask: Tensor, beta: float
) -> Tensor:
    logp = logits.gather(-1, labels[..., None])[..., 0] - logits.logsumexp(-1)
    return beta * (_k2(logp, ref_logps) * mask).sum() / mask.sum()


PAIRS: tuple[Pair, ...] = (
    Correct(tokens_shifted, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        tokens_not_shifted, "logits.alignment", UNNAMED, UNNAMED
    ),
    Correct(cross_entropy_in_step, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        cross_entropy_a_step_late, "logits.alignment", UNNAMED, UNNAMED
    ),
    Correct(log_softmax_over_tokens, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        log_softmax_over_positions, "logits.shift", UNNAMED, UNNAMED
    ),
    Correct(logits_less_their_normaliser, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        logits_for_log_probabilities, "logits.shift", UNNAMED, UNNAMED
    ),
)
