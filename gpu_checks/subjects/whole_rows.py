"""Row by row through a loss that returns one scalar for all its rows.

Such a loss is called once for each row, on GROUP rows of which one counts: the others are either masked by an ignored
label, or have equal distributions, whose divergence and gradient terms are exactly 0. So a row's value and gradient
come out alone, while the row still stands at its place in the batch, where a wrong stride would show.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch

from gpu_checks.backends.triton_adapter import to_numpy, to_torch
from gpu_checks.subject import Result, WholeBatch

GROUP = 4
"""Rows a call: a power of two, so that a division by their number is exact."""

IGNORED = -100
"""The label of a row that does not count."""

Evaluate: TypeAlias = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]
]
"""(policy [row, token], reference [row, token], labels [row], upstream []) -> (value [], gradient [row, token])."""

Loss: TypeAlias = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(policy [row, token], reference [row, token], labels [row]) -> scalar that autograd differentiates."""


def row_by_row(
    batch: WholeBatch, evaluate: Evaluate, *, equal_others: bool = False, infinite_alone: bool = False
) -> Result:
    """Return each row's value, and its gradient by the policy for the upstream derivative that the batch gives it.

    Rows that do not count have the label IGNORED; with `equal_others` also a reference equal to their policy, for a
    loss that takes no labels. Every call is made on GROUP rows, the last one repeated as needed; with `infinite_alone`
    on one row alone where a number of the group is infinite, since `linear` would spread 0 x infinity to the others.
    """
    policy, reference = to_torch(batch.policy), to_torch(batch.reference)
    values, gradients = [], []
    for row in range(policy.shape[0]):
        start = row - row % GROUP
        rows = [min(start + i, policy.shape[0] - 1) for i in range(GROUP)]
        if infinite_alone and not bool((policy[rows].isfinite() & reference[rows].isfinite()).all()):
            rows = [row]
        place = rows.index(row)
        labels = torch.full((len(rows),), IGNORED, dtype=torch.int64)
        labels[place] = 0
        mine, theirs = policy[rows], reference[rows]
        if equal_others:
            theirs = torch.where((labels == IGNORED)[:, None], mine, theirs)
        value, gradient = evaluate(mine, theirs, labels, torch.tensor(float(batch.upstream[row])))
        values.append(value)
        gradients.append(gradient[place])
    return Result(to_numpy(torch.stack(values)), to_numpy(torch.stack(gradients)))


def through_autograd(loss: Loss) -> Evaluate:
    """Return the evaluation of a loss whose backward pass takes the upstream derivative."""

    def evaluate(
        policy: torch.Tensor, reference: torch.Tensor, labels: torch.Tensor, upstream: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        policy.requires_grad_()
        value = loss(policy, reference, labels)
        value.backward(upstream.to(value.dtype))
        if policy.grad is None:
            raise RuntimeError("the loss has no gradient by the policy's input")
        return value.detach(), policy.grad

    return evaluate


def times(gradient: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
    """Return gradient x upstream: multiplied in float32, rounded to the gradient's format, as Triton's stores do."""
    return (gradient.float() * upstream).to(gradient.dtype)


def linear(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return hidden states [row, row] and a weight [token, row] whose product is exactly the logits [row, token].

    The hidden states are the unit vectors, so the weight's column r is row r's logits, `hidden @ weight.T` adds only
    zeros to each of them, and the gradient by the weight is the transposed gradient by the logits.
    """
    return torch.eye(logits.shape[0], dtype=logits.dtype), logits.detach().t().contiguous()
