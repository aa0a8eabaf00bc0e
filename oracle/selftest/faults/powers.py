"""Faults of power and level: another function of the log-ratio, or of the sum over an answer."""

from __future__ import annotations

import torch
from torch import Tensor

from ..record import UNNAMED, Correct, Pair, forward_kl, reverse_kl, total_variation


def square_without_half(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return (logp - ref_logp) ** 2  # fault: the gradient is 2 L


def square_with_half(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return (logp - ref_logp) ** 2 / 2


def absolute_value(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return (logp - ref_logp).abs()  # fault: keeps the sign of the log-ratio and drops its size


def absolute_value_straight_through(logp: Tensor, ref_logp: Tensor) -> Tensor:
    value = (logp - ref_logp).abs()
    path = 0.5 * (logp - ref_logp).pow(2)
    return path - path.detach() + value.detach()


def squared_k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return torch.pow(d.expm1() - d, 2)  # fault: k3 is already of second order


def plain_k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return d.expm1() - d


def square_of_sum(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    diff = torch.where(mask.bool(), logp - ref_logp, 0.0)
    return beta * (0.5 * diff.sum(dim=1) ** 2).mean()  # fault: squares the whole sequence


def sum_of_squares(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    diff = torch.where(mask.bool(), logp - ref_logp, 0.0)
    return beta * (0.5 * diff**2).sum(dim=1).mean()


PAIRS: tuple[Pair, ...] = (
    Correct(square_with_half, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        square_without_half, "objective", reverse_kl(scale=2.0), UNNAMED, "seen in the scale alone"
    ),
    Correct(absolute_value_straight_through, reverse_kl(), UNNAMED, "reverse_kl/token on-policy").with_fault(
        absolute_value, "objective", total_variation(scale=2.0), UNNAMED
    ),
    Correct(plain_k3, forward_kl(), UNNAMED, "k3 as loss", tail="overflow").with_fault(
        squared_k3, "objective", UNNAMED, UNNAMED
    ),
    Correct(sum_of_squares, reverse_kl(), UNNAMED, "k2 as loss").with_fault(
        square_of_sum, "objective", reverse_kl("sequence"), UNNAMED, "a right loss for the sequence, not for the claim"
    ),
)
