"""The numbers a subject is called with: one batch of sequences, log-probabilities in nats."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from oracle.subject.vocabulary import Tables


@dataclass(frozen=True)
class Batch:
    """Per-token log-probabilities of ``b`` sequences of ``t`` tokens, with 1 in ``mask`` where a token counts."""

    policy: Float[Tensor, "b t"]
    reference: Float[Tensor, "b t"]
    sampler: Float[Tensor, "b t"]
    mask: Float[Tensor, "b t"]
    advantages: Float[Tensor, " b"]
    beta: float = 1.0
    tables: Tables | None = None
    """The whole vocabulary at each position, where it is known; used only where it says the same of the tokens."""

    @property
    def shape(self) -> tuple[int, int]:
        """(sequences, tokens)."""
        b, t = self.policy.shape
        return b, t

    def with_beta(self, beta: float) -> Batch:
        """The same batch under another KL coefficient."""
        return replace(self, beta=beta)

    def to(self, dtype: torch.dtype) -> Batch:
        """The same numbers, rounded to ``dtype``."""
        return replace(
            self,
            policy=self.policy.to(dtype),
            reference=self.reference.to(dtype),
            sampler=self.sampler.to(dtype),
            mask=self.mask.to(dtype),
            advantages=self.advantages.to(dtype),
        )


def from_log_ratios(
    policy: Float[Tensor, "b t"],
    log_ratio: Float[Tensor, "b t"],
    log_weight: Float[Tensor, "b t"] | None = None,
    mask: Float[Tensor, "b t"] | None = None,
    advantages: Float[Tensor, " b"] | None = None,
) -> Batch:
    """A batch with log(policy/reference) = ``log_ratio`` and log(policy/sampler) = ``log_weight`` (0 where omitted)."""
    weight = torch.zeros_like(policy) if log_weight is None else log_weight
    return Batch(
        policy,
        policy - log_ratio,
        policy - weight,
        torch.ones_like(policy) if mask is None else mask,
        torch.zeros(policy.shape[0], dtype=policy.dtype) if advantages is None else advantages,
    )


def mild(b: int, t: int, seed: int, dtype: torch.dtype = torch.float64) -> Batch:
    """Seeded numbers near pi = ref = mu: |L| in [.05, .35], |log rho| in [.01, .09], no two alike."""
    g = torch.Generator().manual_seed(seed)

    def spread(low: float, high: float) -> Float[Tensor, "b t"]:
        sign = torch.randint(0, 2, (b, t), generator=g) * 2 - 1
        return (low + (high - low) * torch.rand(b, t, generator=g, dtype=torch.float64)) * sign

    policy = -0.4 - 2.2 * torch.rand(b, t, generator=g, dtype=torch.float64)
    return from_log_ratios(policy, spread(0.05, 0.35), spread(0.01, 0.09)).to(dtype)


def ragged(lengths: tuple[int, ...], width: int, seed: int) -> Batch:
    """A mild batch of sequences of these lengths, padded on the right to ``width`` tokens."""
    batch = mild(len(lengths), width, seed)
    mask = torch.zeros_like(batch.policy)
    for b, n in enumerate(lengths):
        mask[b, :n] = 1.0
    return replace(batch, mask=mask)
