"""Faults of chance and memory: another loss at each call."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ..record import UNNAMED, Pair, reverse_kl
from .twins import MEAN


def _k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


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


PAIRS: tuple[Pair, ...] = (
    MEAN.with_fault(with_dropout, "determinism", reverse_kl(scale=None), UNNAMED),
    MEAN.with_fault(warmed_up_by_calls, "determinism", reverse_kl(scale=None), UNNAMED),
)
