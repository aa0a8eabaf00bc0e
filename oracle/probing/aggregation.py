"""Aggregation: how a loss weighs tokens of sequences of unequal length, found by trying shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch

from oracle.probing.expectation import Numbers
from oracle.probing.signal import kl_part
from oracle.subject.batch import from_log_ratios
from oracle.subject.roles import Role
from oracle.subject.subject import Subject

_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Shape:
    """Sequences of given lengths in a batch padded to ``width`` tokens."""

    lengths: tuple[int, ...]
    width: int


Weights = Callable[[Shape], Numbers]


def _each(shape: Shape, weight: Callable[[int], float]) -> Numbers:
    out = np.zeros((len(shape.lengths), shape.width))
    for b, n in enumerate(shape.lengths):
        out[b, :n] = weight(n)
    return out


AGGREGATIONS: dict[str, Weights] = {
    "token-mean": lambda s: _each(s, lambda n: 1 / sum(s.lengths)),
    "seq-mean-token-mean": lambda s: _each(s, lambda n: 1 / (len(s.lengths) * n)),
    "seq-mean-token-sum": lambda s: _each(s, lambda n: 1 / len(s.lengths)),
    "constant": lambda s: _each(s, lambda n: 1 / (len(s.lengths) * s.width)),
    "sum": lambda s: _each(s, lambda n: 1.0),
}

_RAGGED = (Shape((4, 2), 4), Shape((4, 4), 4), Shape((4, 2, 2), 4), Shape((4, 2), 6), Shape((3, 1, 2, 3), 4))
_FULL = (Shape((2, 2), 2), Shape((4, 4), 4), Shape((2, 2, 2, 2), 2))
_ALIKE = ("seq-mean-token-mean", "constant")
"""On full batches these are the same as the mean over tokens."""


@dataclass(frozen=True)
class Aggregation:
    """The name (None where only the dependence on the number of sequences is known), and the divisor of a constant
    that the caller fixed (None: the padded width)."""

    name: str | None
    constant: float | None = None
    per_sequence: bool = True
    ragged: bool = False
    """Whether sequences of unequal lengths are weighed as the name says; else only full batches are."""

    def factor(self, sequences: int, tokens: int) -> Fraction:
        """The weight of one token in a full batch of this shape."""
        if self.constant is not None:
            return Fraction(1, sequences) / Fraction(self.constant).limit_denominator(10**6)
        if self.name in ("token-mean", "seq-mean-token-mean", "constant"):
            return Fraction(1, sequences * tokens)
        return Fraction(1, sequences) if self.name == "seq-mean-token-sum" or self.per_sequence else Fraction(1)


def weights(subject: Subject, shape: Shape, alternate: bool = False, first: bool = False) -> Numbers:
    """The gradient of each token where all tokens are alike (or alike but for the sign of L, by sequence).

    ``first``: L is not 0 on each sequence's first token alone, and only that token is weighed. So sums over a sequence
    that enter a coefficient (sequence-level losses, returns-to-go) do not grow with its length.
    """
    size = (len(shape.lengths), shape.width)
    mask = torch.from_numpy(_each(shape, lambda n: 1.0))
    one = torch.ones(size, dtype=torch.float64)
    sign = one.clone()
    if alternate:
        sign[1::2] = -1.0
    if first:
        sign[:, 1:] = 0.0
    batch = from_log_ratios(-1.2 * one, 0.3 * sign, 0 * one, mask)
    out: Numbers = (kl_part(subject, "whole", batch).coefficient * mask).numpy()
    return out[:, :1] if first else out


def aggregation_of(subject: Subject) -> Aggregation | None:
    """The aggregation of a loss; None for a penalty, or where there is no gradient to weigh."""
    if subject.kind != "loss":
        return None
    if subject.has(Role.MASK):
        for first in (False, True):
            name = _matching([weights(subject, s, first=first) for s in _RAGGED], _RAGGED, tuple(AGGREGATIONS))
            if name is not None:
                return replace(_with_constant(subject, name), ragged=True)
    # unequal lengths fit none (or there is no mask): what full batches say, by the mean size of the gradient
    plain = tuple(n for n in AGGREGATIONS if n not in _ALIKE)
    for first in (True, False):
        sizes = [np.array([[np.abs(weights(subject, s, alternate=True, first=first)).mean()]]) for s in _FULL]
        name = _matching(sizes, _FULL, plain)
        if name is not None:
            return _with_constant(subject, name)
    small, _, many = (float(w[0, 0]) for w in sizes)
    if not (np.isfinite([small, many]).all() and small > 0):
        return None
    return Aggregation(None, per_sequence=abs(many - small) > _TOLERANCE * small)


def _matching(seen: list[Numbers], shapes: tuple[Shape, ...], names: tuple[str, ...]) -> str | None:
    """The first aggregation whose weights are proportional to those seen, over all shapes at once."""
    flat = np.concatenate([w.ravel() for w in seen])
    size = float(np.abs(flat).max())
    if size == 0.0 or not np.isfinite(flat).all():
        return None
    for name in names:
        models = [AGGREGATIONS[name](s) for s in shapes]
        # what was seen is every token, the first of each sequence, or one number for all
        model = np.concatenate([m[: w.shape[0], : w.shape[1]].ravel() for m, w in zip(models, seen, strict=True)])
        scale = float(flat @ model / (model @ model))
        if np.abs(flat - scale * model).max() <= _TOLERANCE * size:
            return name
    return None


def _with_constant(subject: Subject, name: str) -> Aggregation:
    """A sum whose weights halve when a numeric parameter doubles is divided by that parameter."""
    per_sequence = name != "sum"
    if name == "seq-mean-token-sum":
        plain = weights(subject, _FULL[0])
        for parameter, value in subject.binding.numbers.items():
            if value > 1 and plain.any():
                doubled: float | int = int(2 * value) if value.is_integer() else 2 * value
                other = weights(subject.with_settings({parameter: doubled}), _FULL[0])
                if np.allclose(2 * other, plain, rtol=_TOLERANCE, atol=0):
                    return Aggregation("constant", value)
    return Aggregation(name, per_sequence=per_sequence)
