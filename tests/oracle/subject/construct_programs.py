"""Targets that are no plain functions: modules, classes with a method, partials, lambdas."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn


class Loss(nn.Module):
    """A module whose constructor has the coefficient; ``kind`` chooses the estimator."""

    def __init__(self, beta: float = 0.1, kind: str = "k2") -> None:
        super().__init__()
        self.beta, self.kind, self.calls = beta, kind, 0

    def forward(self, log_probs: Tensor, ref_log_probs: Tensor, mask: Tensor) -> Tensor:
        """The mean over tokens."""
        self.calls += 1
        assert self.calls == 1, "an instance is called once"
        d = log_probs - ref_log_probs
        kl = 0.5 * d.square() if self.kind == "k2" else torch.expm1(-d) + d
        return self.beta * (kl * mask).sum() / mask.sum()


class Penalties:
    """A class with methods of every kind."""

    def __init__(self, coef: float) -> None:
        self.coef = coef

    def k1(self, logp: Tensor, ref_logp: Tensor) -> Tensor:
        """The log-ratio, scaled."""
        return self.coef * (logp - ref_logp)

    def __call__(self, logp: Tensor, ref_logp: Tensor) -> Tensor:
        """k2, scaled."""
        return self.coef * 0.5 * (logp - ref_logp).square()

    @staticmethod
    def fixed(logp: Tensor, ref_logp: Tensor) -> Tensor:
        """k2."""
        return 0.5 * (logp - ref_logp).square()

    @classmethod
    def made(cls, logp: Tensor, ref_logp: Tensor) -> Tensor:
        """k2 by way of an instance."""
        return cls(1.0)(logp, ref_logp)


class Uncalled:
    """Nothing to call but a method."""

    def k2(self, logp: Tensor, ref_logp: Tensor) -> Tensor:
        """k2."""
        return 0.5 * (logp - ref_logp).square()


class Bare:
    """Nothing at all."""


def _two(logp: Tensor, ref_logp: Tensor, kind: int) -> Tensor:
    return 0.5 * (logp - ref_logp).square() if kind == 2 else logp - ref_logp


second = partial(_two, kind=2)
short = lambda logp, ref_logp: 0.5 * (logp - ref_logp) ** 2  # noqa: E731
instance = Penalties(1.0)
