"""What a function's expected gradient is, by definition: a small world, automatic differentiation, nothing else.

No part of the engine is used, neither scores nor coefficients: the policy is a table of logits, every answer is listed
as often as the sampler draws it, the function runs once on that batch, and its gradient is taken at the logits. Beside
it stand the gradients of the divergences, from sums over probabilities written down as in a textbook.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from oracle.errors import SubjectError
from oracle.subject.batch import Batch
from oracle.subject.roles import Role
from oracle.subject.subject import Subject

_VOCABULARY, _TOTAL = 3, 6

DEFINITIONS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "reverse_kl": lambda p, q: (p * (p / q).log()).sum(-1),
    "forward_kl": lambda p, q: (q * (q / p).log()).sum(-1),
    "chi2_half": lambda p, q: ((p - q) ** 2 / q).sum(-1) / 2,
    "chi2_reference_half": lambda p, q: ((p - q) ** 2 / p).sum(-1) / 2,
    "jeffreys": lambda p, q: ((p - q) * (p / q).log()).sum(-1),
    "jensen_shannon": lambda p, q: (p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()).sum(-1) / 2,
    "hellinger_squared": lambda p, q: ((p.sqrt() - q.sqrt()) ** 2).sum(-1) / 2,
    "total_variation": lambda p, q: (p - q).abs().sum(-1) / 2,
}
"""Divergences D(policy, reference) over the last axis, from probabilities."""


@dataclass(frozen=True)
class World:
    """Next-token logits of policy, reference and sampler after every prefix, one row a prefix of 0 .. T-1 tokens."""

    horizon: int
    policy: Tensor
    reference: Tensor
    counts: Tensor

    @property
    def prefixes(self) -> dict[tuple[int, ...], int]:
        """Prefix to its row."""
        listed = [p for t in range(self.horizon) for p in itertools.product(range(_VOCABULARY), repeat=t)]
        return {p: i for i, p in enumerate(listed)}

    @property
    def answers(self) -> list[tuple[int, ...]]:
        """Every answer of T tokens."""
        return list(itertools.product(range(_VOCABULARY), repeat=self.horizon))

    def rows(self, answer: tuple[int, ...]) -> list[int]:
        """The row of the prefix before each token of an answer."""
        rows = self.prefixes
        return [rows[answer[:t]] for t in range(self.horizon)]


def world(seed: int, horizon: int, on_policy: bool) -> World:
    """A drawn world: the sampler has small whole counts; on-policy the policy is the sampler."""
    g = torch.Generator().manual_seed(1000 + seed)
    rows = sum(_VOCABULARY**t for t in range(horizon))
    extra = torch.multinomial(torch.ones(rows, _VOCABULARY), _TOTAL - _VOCABULARY, replacement=True, generator=g)
    counts = 1 + torch.nn.functional.one_hot(extra, _VOCABULARY).sum(1)
    base = counts.double().log()

    def away(size: float) -> Tensor:
        return base + size * (2 * torch.rand(rows, _VOCABULARY, generator=g, dtype=torch.float64) - 1)

    policy, reference = away(0.05), away(0.3)
    return World(horizon, base if on_policy else policy, reference, counts)


def of_subject(subject: Subject, placement: str, world: World) -> Tensor:
    """The gradient at the policy's logits of what the function adds to a loss, tokens drawn from the sampler.

    A penalty as loss is averaged over answers; one in reward is the detached coefficient of its own token's
    log-probability. A loss is as it averages itself, less what is left without its KL coefficient.
    """
    listed: list[tuple[int, ...]] = []
    for answer in world.answers:
        rows = world.rows(answer)
        times = int(torch.stack([world.counts[r, a] for r, a in zip(rows, answer, strict=True)]).prod())
        listed += [answer] * times
    tokens = torch.tensor(listed)
    rows_of = torch.tensor([world.rows(a) for a in listed])
    logits = world.policy.clone().requires_grad_()

    def pick(table: Tensor) -> Tensor:
        return table.log_softmax(-1)[rows_of, tokens]

    policy = pick(logits)
    batch = Batch(
        policy.detach(),
        pick(world.reference),
        pick(world.counts.double().log()),
        torch.ones(policy.shape, dtype=torch.float64),
        torch.zeros(policy.shape[0], dtype=torch.float64),
    )

    def at(batch: Batch) -> Tensor:
        result = subject.result(batch, policy.to(subject.convention.dtype))
        if placement == "reward":
            sign = -1.0 if subject.rewarding else 1.0
            return (sign * result.detach().double() * policy).sum() / policy.shape[0]
        return (result.sum() / policy.shape[0] if subject.kind == "penalty" else result.mean()).double()

    total = at(batch)
    if subject.has(Role.BETA):
        total = total - at(replace(batch, beta=0.0))
    if not total.requires_grad:
        return torch.zeros_like(logits)
    gradient: Tensor | None = torch.autograd.grad(total, logits, allow_unused=True)[0]
    return torch.zeros_like(logits) if gradient is None else gradient.detach()


def answers_of(horizon: int) -> int:
    """How many answers the batch of a world lists, each as often as it is drawn."""
    return int(_TOTAL**horizon)


def of_objective(name: str, level: str, world: World) -> Tensor:
    """The gradient of a divergence at the policy's logits.

    Token level: of the sum of next-token divergences over prefixes as the sampler reaches them. Sequence level: of the
    divergence of the distributions over answers.
    """
    logits = world.policy.clone().requires_grad_()
    policy, reference = logits.softmax(-1), world.reference.softmax(-1)
    sampler = world.counts.double() / world.counts.sum(-1, keepdim=True)
    if level == "sequence":
        over = [torch.tensor([world.rows(a) for a in world.answers]), torch.tensor(world.answers)]
        value = DEFINITIONS[name](policy[over[0], over[1]].prod(-1), reference[over[0], over[1]].prod(-1))
    else:
        reach: dict[tuple[int, ...], Tensor] = {(): torch.ones((), dtype=torch.float64)}
        for prefix, row in world.prefixes.items():
            for a in range(_VOCABULARY):
                reach[(*prefix, a)] = reach[prefix] * sampler[row, a]
        each = DEFINITIONS[name](policy, reference)
        value = torch.stack([reach[p] * each[i] for p, i in world.prefixes.items()]).sum()
    (gradient,) = torch.autograd.grad(value, logits)
    return gradient


@cache
def _targets(on_policy: bool, horizon: int, count: int) -> tuple[list[World], dict[tuple[str, str], Tensor]]:
    worlds = [world(seed, horizon, on_policy) for seed in range(count)]
    return worlds, {
        (n, level): torch.cat([of_objective(n, level, w).flatten() for w in worlds])
        for n in DEFINITIONS
        for level in ("token", "sequence")
    }


@dataclass(frozen=True)
class Found:
    """Objective (``zero``, a name, ``unnamed``), level, and scale of a gradient, by least squares."""

    objective: str
    level: str | None = None
    scale: float | None = None
    nearest: str | None = None
    """The objective that fits best, whether or not it fits."""


def found(
    subject: Subject, placement: str, on_policy: bool, horizon: int = 3, tolerance: float = 1e-6, worlds: int = 3
) -> Found:
    """What the definitions name a function's expected gradient, the same over several drawn worlds.

    The scale is that of the gradient itself, whatever the aggregation. Raises SubjectError.
    """
    drawn, targets = _targets(on_policy, horizon, worlds)
    seen = torch.cat([of_subject(subject, placement, w).flatten() for w in drawn])
    if not bool(torch.isfinite(seen).all()):
        raise SubjectError("the gradient is not finite")
    unit = float(targets["reverse_kl", "token"].norm())
    if float(seen.norm()) <= tolerance * unit:
        return Found("zero")
    best, error_of_best = Found("unnamed"), 1.0
    for key, target in targets.items():
        scale = float(seen @ target / (target @ target))
        error = float((seen - scale * target).norm() / seen.norm())
        if error < error_of_best - 1e-12:
            best, error_of_best = Found(*key, scale, key[0]), error
    return best if error_of_best <= tolerance else Found("unnamed", nearest=best.nearest)
