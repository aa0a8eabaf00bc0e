"""Faults of what is summed, averaged, chosen or repeated: masks, divisors, axes, orders."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..record import UNNAMED, ZERO, Pair, reverse_kl
from .twins import ANSWERS, MEAN, SEQUENCES, WEIGHTED


def _k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


# --- masks ----------------------------------------------------------------------------------------


def mask_of_the_next(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = _k2(logp, ref_logp)
    shifted = F.pad(mask[:, :-1], (1, 0), value=1.0)  # fault: one position late
    return beta * (kl * shifted).sum() / shifted.sum()


def mask_from_values(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    keep = (ref_logp != 0).to(logp.dtype)  # fault: padding is told by a value that it need not have
    return beta * (_k2(logp, ref_logp) * keep).sum() / mask.sum()


def mask_of_the_first_row(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    keep = mask[:1].expand_as(mask)  # fault: the lengths of one sequence for all
    return beta * (_k2(logp, ref_logp) * keep).sum() / mask.sum()


def masked_with_one(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = (logp - ref_logp) * mask + (1 - mask) * logp  # fault: padding is compared with nothing
    return beta * (0.5 * d**2).sum() / mask.sum()


def padding_in_sequence_ratio(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = (logp - old_logp).mean(-1, keepdim=True).exp().detach()  # fault: the mean runs over padding too
    return beta * (weight * _k2(logp, ref_logp) * mask).sum() / mask.sum()


def mask_before_the_ratio(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    total = (logp * mask).sum(-1) - ref_logp.sum(-1)  # fault: only one of the two is masked
    return beta * 0.5 * (total**2).mean()


def first_token_dropped(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl, keep = _k2(logp, ref_logp)[:, 1:], mask[:, 1:]  # fault: shifted once more than the labels were
    return beta * (kl * keep).sum() / keep.sum().clamp(min=1)


def prompt_kept_answer_dropped(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = torch.where(mask.bool(), torch.zeros_like(logp), _k2(logp, ref_logp))  # fault: the branches exchanged
    return beta * kl.sum() / mask.sum()


def nan_hidden(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    total = torch.nan_to_num(logp - ref_logp).sum(-1)  # fault: hides what padding holds and sums the rest of it
    return beta * 0.5 * (total**2).mean() + 0.0 * mask.sum()


# --- divisors -------------------------------------------------------------------------------------


def divided_by_square_root_of_length(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = (_k2(logp, ref_logp) * mask).sum(-1) / mask.sum(-1).sqrt()  # fault: neither a sum nor a mean
    return beta * kl.mean()


def divided_by_squared_length(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = (_k2(logp, ref_logp) * mask).sum(-1) / mask.sum(-1)
    return beta * (kl / mask.sum(-1)).mean()  # fault: divided by the length twice


def divided_by_longest(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = (_k2(logp, ref_logp) * mask).sum(-1)
    return beta * (kl / logp.shape[-1]).sum() / logp.shape[0]  # fault: the padded width


def mean_of_positions(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = (_k2(logp, ref_logp) * mask).sum(0) / mask.sum(0).clamp(min=1)  # fault: along the batch first
    return beta * kl.mean()


def every_length_under_every_sum(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    sums = (_k2(logp, ref_logp) * mask).sum(-1)
    return beta * (sums / mask.sum(-1, keepdim=True)).mean()  # fault: [b] over [b, 1] is [b, b]


def sum_for_mean(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = (_k2(logp, ref_logp) * mask).sum(-1)
    return beta * kl.mean() * 0.01  # fault: a factor tuned by hand


def mean_of_means_of_chunks(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    parts = [
        (_k2(x, y) * m).sum() / m.sum() for x, y, m in zip(logp.split(2), ref_logp.split(2), mask.split(2), strict=True)
    ]
    return beta * torch.stack(parts).mean()  # fault: token-means of pieces, averaged


# --- choosing -------------------------------------------------------------------------------------


def worst_token_only(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    return beta * (_k2(logp, ref_logp) * mask).max(-1).values.mean()  # fault: max for mean


def weighted_by_itself(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = _k2(logp, ref_logp)
    attention = torch.softmax(kl.detach() * 10, -1) * kl.shape[-1]  # fault: large ones weigh more
    return beta * (attention * kl * mask).sum() / mask.sum()


def weighted_by_position(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    decay: Tensor = 0.5 ** torch.arange(logp.shape[1], dtype=logp.dtype)  # fault: later tokens count less
    return beta * (decay * _k2(logp, ref_logp) * mask).sum() / mask.sum()


def confident_tokens_only(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    sure = (logp > ref_logp).to(logp.dtype)  # fault: only where the policy is above
    return beta * (sure * _k2(logp, ref_logp) * mask).sum() / mask.sum()


def weighted_by_probability(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = logp.exp().detach()  # fault: as if summed over the vocabulary, though the token was drawn
    return beta * (weight * _k2(logp, ref_logp) * mask).sum() / mask.sum()


# --- rows -----------------------------------------------------------------------------------------


def later_rows_weigh_more(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    place = torch.linspace(0.5, 1.5, logp.shape[0], dtype=logp.dtype)[:, None]  # fault: by place in the batch
    return beta * (place * _k2(logp, ref_logp) * mask).sum() / mask.sum()


def every_second_row(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = (_k2(logp, ref_logp) * mask)[::2]  # fault: half of the batch is not used
    return beta * kl.sum() / mask[::2].sum()


def last_row_dropped(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = (_k2(logp, ref_logp) * mask)[:-1]  # fault: the last sequence is left out
    return beta * kl.sum() / mask[:-1].sum()


def ranked_rows(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = (_k2(logp, ref_logp) * mask).sum(-1)
    rank = kl.detach().argsort().argsort().to(kl.dtype) + 1  # fault: a sequence's weight is its rank
    return beta * (rank / rank.mean() * kl).mean()


def centred_by_the_group(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = ((logp - ref_logp) * mask).sum(-1).detach()
    reward = advantages - beta * (kl - kl.mean())  # fault: the mean holds the sequence itself
    return -(reward[:, None] * logp * mask).sum(-1).mean()


def scaled_by_the_spread(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = ((logp - ref_logp) * mask).sum(-1).detach()
    reward = advantages - beta * kl / (kl.std() + 1e-6)  # fault: the strength follows the batch
    return -(reward[:, None] * logp * mask).sum(-1).mean()


PAIRS: tuple[Pair, ...] = (
    MEAN.with_fault(mask_of_the_next, "mask.leak", reverse_kl(), UNNAMED),
    MEAN.with_fault(mask_from_values, "mask.leak", reverse_kl(), UNNAMED),
    MEAN.with_fault(mask_of_the_first_row, "mask.leak", reverse_kl(), UNNAMED),
    MEAN.with_fault(masked_with_one, "mask.leak", reverse_kl(), UNNAMED),
    WEIGHTED.with_fault(padding_in_sequence_ratio, "mask.leak", reverse_kl(), UNNAMED),
    ANSWERS.with_fault(mask_before_the_ratio, "mask.leak", reverse_kl("sequence"), UNNAMED),
    MEAN.with_fault(first_token_dropped, "objective", UNNAMED, UNNAMED),
    MEAN.with_fault(prompt_kept_answer_dropped, "mask.leak", ZERO, ZERO),
    ANSWERS.with_fault(nan_hidden, "mask.leak", reverse_kl("sequence"), UNNAMED),
    SEQUENCES.with_fault(divided_by_square_root_of_length, "aggregation", reverse_kl(scale=None), UNNAMED),
    SEQUENCES.with_fault(divided_by_squared_length, "aggregation", reverse_kl(scale=None), UNNAMED),
    SEQUENCES.with_fault(divided_by_longest, "padding.invariance", reverse_kl(), UNNAMED),
    MEAN.with_fault(mean_of_positions, "padding.invariance", reverse_kl(), UNNAMED),
    SEQUENCES.with_fault(every_length_under_every_sum, "aggregation", reverse_kl(), UNNAMED),
    SEQUENCES.with_fault(sum_for_mean, "objective", reverse_kl(scale=0.01), UNNAMED),
    MEAN.with_fault(mean_of_means_of_chunks, "batch.permutation", reverse_kl(), UNNAMED),
    MEAN.with_fault(worst_token_only, "objective", UNNAMED, UNNAMED),
    MEAN.with_fault(weighted_by_itself, "objective", UNNAMED, UNNAMED),
    MEAN.with_fault(weighted_by_position, "objective", UNNAMED, UNNAMED),
    MEAN.with_fault(confident_tokens_only, "clamp.dead_gradient", UNNAMED, UNNAMED),
    MEAN.with_fault(weighted_by_probability, "objective", UNNAMED, UNNAMED),
    MEAN.with_fault(later_rows_weigh_more, "batch.permutation", UNNAMED, UNNAMED),
    MEAN.with_fault(every_second_row, "batch.permutation", UNNAMED, UNNAMED),
    MEAN.with_fault(last_row_dropped, "batch.permutation", UNNAMED, UNNAMED),
    MEAN.with_fault(ranked_rows, "batch.coupling", UNNAMED, UNNAMED),
    ANSWERS.with_fault(centred_by_the_group, "batch.coupling", reverse_kl("sequence"), UNNAMED),
    ANSWERS.with_fault(scaled_by_the_spread, "batch.coupling", reverse_kl("sequence", None), UNNAMED),
)
