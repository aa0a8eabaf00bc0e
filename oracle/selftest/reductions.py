"""Faults of what is summed, averaged, chosen or repeated: masks, divisors, axes, orders, coefficients."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .record import UNNAMED, ZERO, Pair, Twin, forward_kl, reverse_kl


def _k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


def token_mean(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = _k2(logp, ref_logp)
    return beta * (kl * mask).sum() / mask.sum()


def mean_of_sequences(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = _k2(logp, ref_logp)
    return beta * ((kl * mask).sum(-1) / mask.sum(-1)).mean()


MEAN = Twin(token_mean, reverse_kl(), UNNAMED, "k2 as loss")
SEQUENCES = Twin(mean_of_sequences, reverse_kl(), UNNAMED, "k2 as loss")


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


def rewards_of_answers(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = ((logp - ref_logp) * mask).sum(-1).detach()
    reward = advantages - beta * kl
    return -(reward[:, None] * logp * mask).sum(-1).mean()


ANSWERS = Twin(rewards_of_answers, reverse_kl("sequence"), UNNAMED, "reverse_kl/sequence on-policy")


def scaled_by_the_spread(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = ((logp - ref_logp) * mask).sum(-1).detach()
    reward = advantages - beta * kl / (kl.std() + 1e-6)  # fault: the strength follows the batch
    return -(reward[:, None] * logp * mask).sum(-1).mean()


# --- the coefficient ------------------------------------------------------------------------------


def coefficient_capped(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    return min(beta, 1.0) * (_k2(logp, ref_logp) * mask).sum() / mask.sum()  # fault: capped


def coefficient_under_root(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    root = math.sqrt(beta)  # fault: the root of it
    return root * (_k2(logp, ref_logp) * mask).sum() / mask.sum()


def coefficient_inside_square(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = beta * (logp - ref_logp)  # fault: squared with the log-ratio
    return (0.5 * d**2 * mask).sum() / mask.sum()


def coefficient_as_integer(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    return int(beta) * (_k2(logp, ref_logp) * mask).sum() / mask.sum()  # fault: .5 becomes 0


def coefficient_of_the_ratio(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = beta * (ref_logp - logp)  # fault: inside the exponential
    return ((torch.expm1(d) - d) * mask).sum() / mask.sum()


def adaptive_coefficient(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = (_k2(logp, ref_logp) * mask).sum() / mask.sum()
    return beta * (kl.detach() / 0.1).clamp(0.01, 100.0) * kl  # fault: the batch sets its own coefficient


# --- weights --------------------------------------------------------------------------------------


def weighted_k2(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp(logp - old_logp).detach()
    return beta * (weight * _k2(logp, ref_logp) * mask).sum() / mask.sum()


WEIGHTED = Twin(weighted_k2, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy")


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


# --- chance and digits ----------------------------------------------------------------------------


def with_dropout(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = F.dropout(_k2(logp, ref_logp), 0.5)  # fault: another loss at each call
    return beta * (kl * mask).sum() / mask.sum()


class _Running:
    """Remembers between calls."""

    def __init__(self) -> None:
        self.calls = 0


_RUNNING = _Running()


def warmed_up_by_calls(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    _RUNNING.calls += 1
    warm = 1.0 + 1.0 / _RUNNING.calls  # fault: each call counts, an evaluation too
    return beta * warm * (_k2(logp, ref_logp) * mask).sum() / mask.sum()


def bfloat16_penalty(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    x, y = logp.bfloat16(), ref_logp.bfloat16()  # fault: log-probabilities in 16 bits
    kl = _k2(x, y).float()
    return beta * (kl * mask).sum() / mask.sum()


def half_ratio(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = (ref_logp.half() - logp.half()).float()  # fault: the digits of the log-ratio are gone
    return beta * ((torch.expm1(d) - d) * mask).sum() / mask.sum()


def capped_estimate(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = torch.clamp(_k2(logp, ref_logp), 0.0, 5.0)  # fault: no gradient beyond
    return beta * (kl * mask).sum() / mask.sum()


def capped_answer(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = (_k2(logp, ref_logp) * mask).sum(-1)
    return beta * torch.clamp(kl, max=20.0).mean()  # fault: no gradient for the answers that drift most


def free_nats(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.relu(0.5 * (logp - ref_logp) ** 2 - 0.5)  # fault: nothing holds within |L| < 1


def k2_of_each_token(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


TOKENS = Twin(k2_of_each_token, reverse_kl(), UNNAMED, "k2 as loss")


def root_of_square(logp: Tensor, ref_logp: Tensor) -> Tensor:
    size = torch.sqrt((logp - ref_logp) ** 2)  # fault: the root has no slope at 0, where training starts
    return 0.5 * size**2


def soft_cap(logp: Tensor, ref_logp: Tensor) -> Tensor:
    kl = 0.5 * (logp - ref_logp) ** 2
    return torch.where(kl < 8.0, kl, kl.detach())  # fault: beyond 8 only the value goes on


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
    MEAN.with_fault(coefficient_capped, "beta.linearity", reverse_kl(), UNNAMED),
    MEAN.with_fault(coefficient_under_root, "beta.linearity", reverse_kl(), UNNAMED),
    MEAN.with_fault(coefficient_inside_square, "beta.linearity", reverse_kl(), UNNAMED),
    MEAN.with_fault(coefficient_as_integer, "beta.linearity", reverse_kl(), UNNAMED),
    MEAN.with_fault(coefficient_of_the_ratio, "beta.linearity", forward_kl(), UNNAMED),
    MEAN.with_fault(adaptive_coefficient, "batch.coupling", reverse_kl(scale=None), UNNAMED),
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
    MEAN.with_fault(with_dropout, "determinism", reverse_kl(scale=None), UNNAMED),
    MEAN.with_fault(warmed_up_by_calls, "determinism", reverse_kl(scale=None), UNNAMED),
    MEAN.with_fault(bfloat16_penalty, "cancellation", reverse_kl(scale=None), UNNAMED),
    MEAN.with_fault(half_ratio, "cancellation", forward_kl(scale=None), UNNAMED),
    MEAN.with_fault(capped_estimate, "clamp.dead_gradient", reverse_kl(), UNNAMED),
    SEQUENCES.with_fault(capped_answer, "clamp.dead_gradient", reverse_kl(), UNNAMED),
    TOKENS.with_fault(free_nats, "clamp.dead_gradient", ZERO, ZERO),
    TOKENS.with_fault(root_of_square, "reference.zero_at_reference", reverse_kl(), UNNAMED),
    TOKENS.with_fault(soft_cap, "clamp.dead_gradient", reverse_kl(), UNNAMED),
)
