"""Instances: tabular policies with a sampler of rational probabilities, small enough to enumerate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

Table = Float64[np.ndarray, "prefixes tokens"]
Counts = Int64[np.ndarray, "prefixes tokens"]
Answers = Int64[np.ndarray, "answers horizon"]


@dataclass(frozen=True)
class Instance:
    """Policy, reference and sampler over sequences of ``horizon`` tokens from ``V`` tokens.

    Tables have one row a prefix (the empty prefix first, then one row a first token at horizon 2) and one column a
    token. ``counts`` are positive integers: the sampler draws token a after prefix h with counts[h, a]/sum(counts[h]).
    """

    horizon: int
    policy_logits: Table
    reference_logits: Table
    counts: Counts

    @property
    def vocabulary(self) -> int:
        """The number of tokens V."""
        return int(self.counts.shape[1])

    def on_policy(self) -> Instance:
        """The same sampler with the policy equal to it."""
        return Instance(self.horizon, np.log(self.counts), self.reference_logits, self.counts)

    def log_policy(self) -> Table:
        """log pi(a|h), shape [prefixes, V]."""
        return log_softmax(self.policy_logits)

    def log_reference(self) -> Table:
        """log ref(a|h), shape [prefixes, V]."""
        return log_softmax(self.reference_logits)

    def log_sampler(self) -> Table:
        """log mu(a|h), shape [prefixes, V]."""
        return log_softmax(np.log(self.counts))

    def sequences(self) -> tuple[Answers, Answers, Int64[np.ndarray, " answers"]]:
        """(tokens [n, T], prefix rows [n, T], multiplicities [n]) of all V^T sequences."""
        v = self.vocabulary
        if self.horizon == 1:
            tokens = np.arange(v)[:, None]
            return tokens, np.zeros_like(tokens), self.counts[0]
        first, second = (a.ravel() for a in np.meshgrid(np.arange(v), np.arange(v), indexing="ij"))
        rows = np.stack([np.zeros_like(first), 1 + first], 1)
        tokens = np.stack([first, second], 1)
        # every prefix has the same total (see ``draw``), so that one multiplicity a sequence is exact
        return tokens, rows, self.counts[0, first] * self.counts[1 + first, second]


def log_softmax(logits: Table) -> Table:
    """Row-wise log-softmax in float64."""
    shifted = logits - logits.max(-1, keepdims=True)
    out: Table = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return out


def draw(
    rng: np.random.Generator,
    horizon: int,
    reference_scale: float,
    drift: float,
    vocabulary: int = 3,
    total: int = 8,
) -> Instance:
    """A seeded instance: the sampler near uniform, the policy within ``drift`` of it, the reference in its scale."""
    rows = 1 if horizon == 1 else 1 + vocabulary
    counts = np.stack(
        [1 + rng.multinomial(total - vocabulary, np.full(vocabulary, 1 / vocabulary)) for _ in range(rows)]
    )
    base = np.log(counts)
    return Instance(
        horizon,
        base + drift * rng.uniform(-1, 1, base.shape),
        base + reference_scale * rng.uniform(-1, 1, base.shape),
        counts.astype(np.int64),
    )


def describe(instance: Instance) -> dict[str, Any]:
    """The instance with few digits, for a person to read."""

    def short(t: Table) -> Any:
        return [[float(f"{x:.4g}") for x in row] for row in np.exp(t).tolist()]

    return {
        "horizon": instance.horizon,
        "policy": short(instance.log_policy()),
        "reference": short(instance.log_reference()),
        "sampler": short(instance.log_sampler()),
    }
