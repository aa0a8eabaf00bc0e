"""Losses on logits, distributions and hidden states: with one fault each, and the same without it.

The expectations are those of theory: per-token k2 gives KL(policy||reference), k3 KL(reference||policy), token level;
the sum over the vocabulary of p log(p/q) has the gradient of KL(policy||reference) at each position by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Subject = Callable[..., Any]


@dataclass(frozen=True)
class Pair:
    """``found_by`` is a check that must fail on the fault, or "objective": the fault must not be named as the twin."""

    fault: Subject
    twin: Subject
    found_by: str
    twin_on: str
    twin_off: str = "unnamed"


def _picked(logits: Tensor, ids: Tensor) -> Tensor:
    return logits.log_softmax(-1).gather(-1, ids.unsqueeze(-1)).squeeze(-1)


def _k2(logp: Tensor, ref: Tensor) -> Tensor:
    return 0.5 * (logp - ref).square()


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum()


def shifted(logits: Tensor, ref_logits: Tensor, input_ids: Tensor, completion_mask: Tensor, beta: float) -> Tensor:
    logp, ref = _picked(logits[:, :-1], input_ids[:, 1:]), _picked(ref_logits[:, :-1], input_ids[:, 1:]).detach()
    return beta * _mean(_k2(logp, ref), completion_mask[:, 1:])


def ids_unshifted(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, completion_mask: Tensor, beta: float
) -> Tensor:
    ids = input_ids[:, :-1]  # fault: the token that stands there, not the one that comes next
    return beta * _mean(
        _k2(_picked(logits[:, :-1], ids), _picked(ref_logits[:, :-1], ids).detach()), completion_mask[:, 1:]
    )


def logits_a_step_late(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, completion_mask: Tensor, beta: float
) -> Tensor:
    ids = input_ids[:, 1:]
    logp, ref = _picked(logits[:, 1:], ids), _picked(ref_logits[:, 1:], ids).detach()  # fault: both a step late
    return beta * _mean(_k2(logp, ref), completion_mask[:, 1:])


def reference_unshifted(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, completion_mask: Tensor, beta: float
) -> Tensor:
    ids = input_ids[:, 1:]
    logp, ref = _picked(logits[:, :-1], ids), _picked(ref_logits[:, 1:], ids).detach()  # fault: the reference's alone
    return beta * _mean(_k2(logp, ref), completion_mask[:, 1:])


def mask_unshifted(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, completion_mask: Tensor, beta: float
) -> Tensor:
    ids = input_ids[:, 1:]
    logp, ref = _picked(logits[:, :-1], ids), _picked(ref_logits[:, :-1], ids).detach()
    return beta * _mean(_k2(logp, ref), completion_mask[:, :-1])  # fault: the last token of the prompt counts


def prompt_counts(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, completion_mask: Tensor, beta: float
) -> Tensor:
    ids = input_ids[:, 1:]
    kl = _k2(_picked(logits[:, :-1], ids), _picked(ref_logits[:, :-1], ids).detach())
    return beta * kl.sum() / completion_mask[:, 1:].sum()  # fault: divided by the mask, not multiplied


def counted_from_the_left(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, completion_mask: Tensor, beta: float
) -> Tensor:
    ids, mask = input_ids[:, 1:], completion_mask[:, 1:]
    logp, ref = _picked(logits[:, :-1], ids), _picked(ref_logits[:, :-1], ids).detach()
    left = torch.arange(mask.shape[1])[None] < mask.sum(1, keepdim=True)  # fault: as if nothing stood before them
    return beta * _mean(_k2(logp, ref), left.to(logp.dtype))


def over_the_sequence(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, completion_mask: Tensor, beta: float
) -> Tensor:
    def picked(x: Tensor) -> Tensor:
        y = torch.log_softmax(x[:, :-1], dim=1)  # fault: normalised over positions
        return y.gather(-1, input_ids[:, 1:, None])[..., 0]

    return beta * _mean(_k2(picked(logits), picked(ref_logits).detach()), completion_mask[:, 1:])


def live_reference(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, completion_mask: Tensor, beta: float
) -> Tensor:
    logp, ref = _picked(logits[:, :-1], input_ids[:, 1:]), _picked(ref_logits[:, :-1], input_ids[:, 1:])
    return beta * _mean(_k2(logp, ref), completion_mask[:, 1:])  # fault: gradient into the reference


def full_reverse(student_logits: Tensor, teacher_logits: Tensor, mask: Tensor) -> Tensor:
    p, q = student_logits.log_softmax(-1), teacher_logits.log_softmax(-1).detach()
    return _mean((p.exp() * (p - q)).sum(-1), mask)


def full_swapped(student_logits: Tensor, teacher_logits: Tensor, mask: Tensor) -> Tensor:
    p, q = student_logits.log_softmax(-1), teacher_logits.log_softmax(-1).detach()
    return _mean(F.kl_div(p, q, log_target=True, reduction="none").sum(-1), mask)  # fault: KL(reference||policy)


def top_two(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    q, index = teacher_logits.log_softmax(-1).topk(2, dim=-1)
    p = student_logits.log_softmax(-1).gather(-1, index).log_softmax(-1)
    return (p.exp() * (p - q.log_softmax(-1))).sum(-1).mean()


def top_two_cut_off(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    q, index = teacher_logits.log_softmax(-1).topk(2, dim=-1)
    p = student_logits.log_softmax(-1).gather(-1, index)  # fault: neither is normalised again
    return (p.exp() * (p - q)).sum(-1).mean()


def top_two_and_tail(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    q, index = teacher_logits.log_softmax(-1).topk(2, dim=-1)
    p = student_logits.log_softmax(-1).gather(-1, index)

    def with_tail(x: Tensor) -> Tensor:
        return torch.cat([x, torch.log1p(-x.exp().sum(-1, keepdim=True))], -1)

    p, q = with_tail(p), with_tail(q)
    return (q.exp() * (q - p)).sum(-1).mean()


def from_hidden(
    hidden: Tensor, weight: Tensor, ref_hidden: Tensor, ref_weight: Tensor, labels: Tensor, mask: Tensor, beta: float
) -> Tensor:
    logp = _picked(F.linear(hidden, weight), labels)
    ref = _picked(F.linear(ref_hidden, ref_weight), labels).detach()
    return beta * _mean(torch.expm1(ref - logp) - (ref - logp), mask)


def from_hidden_one_head(
    hidden: Tensor, weight: Tensor, ref_hidden: Tensor, ref_weight: Tensor, labels: Tensor, mask: Tensor, beta: float
) -> Tensor:
    del ref_weight
    logp = _picked(F.linear(hidden, weight), labels)
    ref = _picked(F.linear(ref_hidden, weight.detach()), labels).detach()  # fault: the policy's matrix
    return beta * _mean(torch.expm1(ref - logp) - (ref - logp), mask)


PAIRS = {
    "ids_unshifted": Pair(ids_unshifted, shifted, "logits.alignment", "reverse_kl"),
    "logits_a_step_late": Pair(logits_a_step_late, shifted, "logits.alignment", "reverse_kl"),
    "reference_unshifted": Pair(reference_unshifted, shifted, "objective", "reverse_kl"),
    "mask_unshifted": Pair(mask_unshifted, shifted, "mask.leak", "reverse_kl"),
    "prompt_counts": Pair(prompt_counts, shifted, "mask.leak", "reverse_kl"),
    "counted_from_the_left": Pair(counted_from_the_left, shifted, "padding.invariance", "reverse_kl"),
    "over_the_sequence": Pair(over_the_sequence, shifted, "logits.shift", "reverse_kl"),
    "full_swapped": Pair(full_swapped, full_reverse, "objective", "reverse_kl", "reverse_kl"),
    "top_two_cut_off": Pair(top_two_cut_off, top_two, "reference.zero_at_reference", "unnamed"),
    "from_hidden_one_head": Pair(from_hidden_one_head, from_hidden, "objective", "forward_kl"),
}
