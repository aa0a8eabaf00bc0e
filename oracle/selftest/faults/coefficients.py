"""Faults of the coefficient: capped, squared, rounded, or set by the batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..record import UNNAMED, Pair, forward_kl, reverse_kl
from .twins import MEAN


def _k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


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


PAIRS: tuple[Pair, ...] = (
    MEAN.with_fault(coefficient_capped, "beta.linearity", reverse_kl(), UNNAMED),
    MEAN.with_fault(coefficient_under_root, "beta.linearity", reverse_kl(), UNNAMED),
    MEAN.with_fault(coefficient_inside_square, "beta.linearity", reverse_kl(), UNNAMED),
    MEAN.with_fault(coefficient_as_integer, "beta.linearity", reverse_kl(), UNNAMED),
    MEAN.with_fault(coefficient_of_the_ratio, "beta.linearity", forward_kl(), UNNAMED),
    MEAN.with_fault(adaptive_coefficient, "batch.coupling", reverse_kl(scale=None), UNNAMED),
)
