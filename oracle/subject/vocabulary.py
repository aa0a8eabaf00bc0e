"""From log-probabilities of tokens to those of the whole vocabulary, and back.

A callable on logits is called with rows that give each token the log-probability its batch says. The rest of the
probability is spread over the other tokens in fixed proportions, which turn with the token: to a callable that treats
tokens alike all positions are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

SIZE = 5
"""Tokens of the vocabulary where a batch names none: no other dimension of a trial batch has as many."""
_REST = (3, 1, 2, 2), (2, 1, 4, 1)
"""Eighths of the rest that the next tokens get, under the policy, and under another policy of the same tokens."""
_REFERENCE_REST = (2, 2, 1, 3)
_ROOM = 1e-3


@dataclass(frozen=True)
class Tables:
    """Log-probabilities of every token at each position, in nats, and the token that stands there."""

    policy: Float[Tensor, "b t v"]
    reference: Float[Tensor, "b t v"]
    sampler: Float[Tensor, "b t v"]
    tokens: Int64[Tensor, "b t"]

    @property
    def size(self) -> int:
        """The number of tokens of the vocabulary."""
        return int(self.policy.shape[-1])


@dataclass(frozen=True)
class Rest:
    """How the probability that a token leaves is spread: 0 at the token itself, else parts that sum to 1."""

    policy: Float[Tensor, "b t v"]
    reference: Float[Tensor, "b t v"]
    sampler: Float[Tensor, "b t v"]
    tokens: Int64[Tensor, "b t"]
    excess: Float[Tensor, "b t"]
    """What to take from all log-probabilities of a position so that each is that of a probability below 1."""
    tables: Tables | None = None
    """The batch's own, where they are of this batch."""


def rest_of(
    policy: Float[Tensor, "b t"],
    reference: Float[Tensor, "b t"],
    sampler: Float[Tensor, "b t"],
    tables: Tables | None,
    variant: int = 0,
    plain: bool = False,
) -> Rest:
    """The rest of each position's probability: that of ``tables`` where they are of this batch, else a fixed one.

    ``variant`` 1 is another rest and another token for the same log-probabilities; ``plain`` is one other token.
    """
    with _disable_current_modes():
        numbers = [x.detach().double() for x in (policy, reference, sampler)]
        excess = (torch.stack(numbers).amax(0) + _ROOM).clamp(min=0.0)
        if tables is not None and _fits(tables, numbers):
            own, away, drawn = (_share(x, tables.tokens) for x in (tables.policy, tables.reference, tables.sampler))
            return Rest(own, away, drawn, tables.tokens, torch.zeros_like(excess), tables)
        b, t = policy.shape
        if plain:
            tokens = (torch.arange(b)[:, None] + torch.arange(t)[None, :]) % 2
            other = _turned(torch.ones(1, dtype=torch.float64), tokens)
            return Rest(other, other, other, tokens, excess)
        tokens = (torch.arange(b)[:, None] + 2 * torch.arange(t)[None, :] + variant) % SIZE
        own = _turned(torch.tensor(_REST[variant], dtype=torch.float64) / 8, tokens)
        away = _turned(torch.tensor(_REFERENCE_REST, dtype=torch.float64) / 8, tokens)
        # at policy = reference on a token the two are the same everywhere
        apart = (numbers[0] != numbers[1]).double()[..., None] / 8
        return Rest(own, own + apart * (away - own), own, tokens, excess)


def _fits(tables: Tables, numbers: list[Tensor]) -> bool:
    """Whether tables say of their tokens what a batch says (a batch that was changed since says something else)."""
    if tables.tokens.shape != numbers[0].shape:
        return False
    at = [
        x.double().gather(-1, tables.tokens[..., None])[..., 0]
        for x in (tables.policy, tables.reference, tables.sampler)
    ]
    return all(bool(torch.allclose(x, y, rtol=1e-6, atol=1e-6)) for x, y in zip(at, numbers, strict=True))


def _share(rows: Float[Tensor, "b t v"], tokens: Int64[Tensor, "b t"]) -> Float[Tensor, "b t v"]:
    left = rows.double().scatter(-1, tokens[..., None], -torch.inf)
    return left.softmax(-1)


def _turned(parts: Float[Tensor, " rest"], tokens: Int64[Tensor, "b t"]) -> Float[Tensor, "b t v"]:
    whole = torch.cat([torch.zeros(1, dtype=parts.dtype), parts])
    return whole[(torch.arange(whole.numel()) - tokens[..., None]) % whole.numel()]


def rows_of(
    logp: Float[Tensor, "b t"], share: Float[Tensor, "b t v"], tokens: Int64[Tensor, "b t"]
) -> Float[Tensor, "b t v"]:
    """Log-probabilities of the vocabulary that give each token ``logp``, differentiable in it."""
    with _disable_current_modes():
        own = torch.arange(share.shape[-1]) == tokens[..., None]
        share = share.to(logp.dtype)
    left = (-torch.expm1(logp))[..., None] * share
    return torch.where(own, logp[..., None], torch.log(torch.where(own, torch.ones_like(left), left)))


def coefficients(
    gradient: Float[Tensor, "b t v"], rows: Float[Tensor, "b t v"], tokens: Int64[Tensor, "b t"]
) -> tuple[Float[Tensor, "b t"], Float[Tensor, "b t"]]:
    """What multiplies each token's score in a gradient at the logits, and the size of what is no multiple of it."""
    score = torch.nn.functional.one_hot(tokens, rows.shape[-1]).to(rows.dtype) - rows.exp()
    along = (gradient * score).sum(-1) / (score * score).sum(-1)
    return along, (gradient - along[..., None] * score).norm(dim=-1)
