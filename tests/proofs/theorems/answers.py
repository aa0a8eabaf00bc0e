"""Whole answers as code sees them: every answer of a random tree listed, gradients by autograd, sg as detach.

Nothing here comes from `proofs` but the symbols that surrogates are written in.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import sympy as sp
import torch

from proofs.statements import sg
from proofs.symbols import LENGTH, P, divergence_symbol, log_policy_symbol, reference_divergence_symbol, token_symbols

Prefix = tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """Logits after every prefix; with `ends` token 0 ends an answer."""

    size: int
    horizon: int
    ends: bool
    policy: dict[Prefix, torch.Tensor]
    reference: dict[Prefix, torch.Tensor]
    sampler: dict[Prefix, torch.Tensor]

    @property
    def answers(self) -> list[Prefix]:
        full = product(range(self.size), repeat=self.horizon)
        if not self.ends:
            return list(full)
        return sorted({y[: y.index(0) + 1] if 0 in y else y for y in full})


def grow(size: int, horizon: int, seed: int, ends: bool = False) -> Tree:
    generator = torch.Generator().manual_seed(seed)
    prefixes = [p for t in range(horizon) for p in product(range(size), repeat=t) if not (ends and 0 in p)]

    def table(trained: bool) -> dict[Prefix, torch.Tensor]:
        return {
            p: torch.randn(size, generator=generator, dtype=torch.float64).requires_grad_(trained) for p in prefixes
        }

    return Tree(size, horizon, ends, table(True), table(False), table(False))


def log_chance(table: dict[Prefix, torch.Tensor], answer: Prefix) -> torch.Tensor:
    return sum(table[answer[:t]].log_softmax(0)[token] for t, token in enumerate(answer))


def next_token_divergence(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    left, right = left.log_softmax(0), right.log_softmax(0)
    return (left.exp() * (left - right)).sum()


def values(tree: Tree, answer: Prefix) -> dict[sp.Symbol, torch.Tensor]:
    zero = torch.zeros((), dtype=torch.float64)
    found = {LENGTH: torch.tensor(float(len(answer)), dtype=torch.float64)}
    for t in range(tree.horizon):
        log_ratio, rho = token_symbols(t)
        others = (log_policy_symbol(t), divergence_symbol(t), reference_divergence_symbol(t))
        if t >= len(answer):
            found |= {log_ratio: zero, rho: zero + 1, **dict.fromkeys(others, zero)}
            continue
        h, token = answer[:t], answer[t]
        p, q, m = (w[h].log_softmax(0)[token] for w in (tree.policy, tree.reference, tree.sampler))
        found |= {log_ratio: p - q, rho: (p - m).exp(), others[0]: p}
        found[others[1]] = next_token_divergence(tree.policy[h], tree.reference[h])
        found[others[2]] = next_token_divergence(tree.reference[h], tree.policy[h])
    return found


def expected(tree: Tree, surrogate, drawn: sp.Symbol) -> torch.Tensor:
    """E[surrogate], the sampling not differentiated."""
    expr = sp.sympify(surrogate(tree.horizon))
    symbols = sorted(expr.free_symbols, key=str)
    function = sp.lambdify(
        symbols,
        expr,
        [{sg.__name__: lambda x: x.detach() if torch.is_tensor(x) else x, "exp": torch.exp, "log": torch.log}],
    )
    table = tree.policy if drawn == P else tree.sampler
    total = torch.zeros((), dtype=torch.float64)
    for answer in tree.answers:
        at = values(tree, answer)
        # a constant of the statement may have any value
        total = total + log_chance(table, answer).exp().detach() * function(*(at.get(s, 2.0) for s in symbols))
    return total


def gradient(tree: Tree, objective: torch.Tensor) -> torch.Tensor:
    """The gradient by every logit of the policy, in one vector."""
    if not objective.requires_grad:
        return torch.zeros(tree.size * len(tree.policy), dtype=torch.float64)
    parts = torch.autograd.grad(objective, list(tree.policy.values()), allow_unused=True)
    return torch.cat([torch.zeros(tree.size, dtype=torch.float64) if part is None else part for part in parts])


def sequence_divergence(tree: Tree, forward: bool = False) -> torch.Tensor:
    """KL(policy||reference) of whole answers from its definition; `forward` is KL(reference||policy)."""
    pairs = [(log_chance(tree.policy, y), log_chance(tree.reference, y)) for y in tree.answers]
    if forward:
        pairs = [(q, p) for p, q in pairs]
    return sum(a.exp() * (a - b) for a, b in pairs)
