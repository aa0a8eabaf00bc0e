"""Objectives on part of the vocabulary: the likeliest tokens alone, renormalised, cut off, or with the rest as one.

theory 6: cut off, the divergence is biased and may be negative; renormalised, it is restricted to the part; with a
bucket for the rest it is a lower bound. None is the divergence of the whole vocabulary, though on a vocabulary that is
hardly larger than the part it may look like it: so wide subjects are looked at on a larger one too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Literal

import numpy as np
from jaxtyping import Float64

from oracle.probing.expectation import coefficient
from oracle.probing.instances import Instance, Table, log_softmax

Treatment = Literal["renormalised", "tail bucket", "cut off", "cut off, plus reference - policy"]
Row = Float64[np.ndarray, " tokens"]
TREATMENTS: tuple[Treatment, ...] = ("renormalised", "tail bucket", "cut off", "cut off, plus reference - policy")
CHOOSERS = ("reference", "policy", "sampler")
VOCABULARY, _COUNT = 9, 3
"""The larger vocabulary, and how many policies are drawn."""


@dataclass(frozen=True)
class Restriction:
    """``objective`` on the ``k`` likeliest tokens of ``chosen_by``, at a scale."""

    objective: str
    k: int
    chosen_by: str
    treatment: Treatment
    scale: float


@cache
def large(seed: int, on: bool) -> tuple[Instance, ...]:
    """Single tokens from a vocabulary of 9; no two are equally likely, so that the likeliest are certain."""
    rng = np.random.default_rng([seed, VOCABULARY, 77])
    out = []
    for _ in range(_COUNT):
        counts = (1 + rng.permutation(VOCABULARY))[None]
        base = np.log(counts)
        drift, away = (s * rng.uniform(-1, 1, counts.shape) for s in (0.4, 0.6))
        drawn = Instance(1, base + drift, base + away, counts.astype(np.int64))
        out.append(drawn.on_policy() if on else drawn)
    return tuple(out)


def gradient(instance: Instance, restriction: Restriction) -> Table:
    """The exact gradient at the policy's logits of the objective on that part (scale 1), single tokens."""
    log_pi, log_ref, log_mu = (t[0] for t in (instance.log_policy(), instance.log_reference(), instance.log_sampler()))
    by = {"reference": log_ref, "policy": log_pi, "sampler": log_mu}[restriction.chosen_by]
    inside = np.zeros(len(by), dtype=bool)
    inside[np.argsort(-by, kind="stable")[: restriction.k]] = True
    c = coefficient(restriction.objective)
    if restriction.treatment == "renormalised":
        ratio = log_softmax(log_pi[inside][None])[0] - log_softmax(log_ref[inside][None])[0]
        out: Table = np.zeros_like(instance.log_policy())
        out[0, inside] = _pull(np.exp(log_softmax(log_pi[inside][None])[0]), c(ratio))
        return out
    ratio = log_pi - log_ref
    if restriction.treatment == "tail bucket":
        rest: float = np.log(np.exp(log_pi[~inside]).sum()) - np.log(np.exp(log_ref[~inside]).sum())
        ratio = np.where(inside, ratio, rest)
        return _pull(np.exp(log_pi), c(ratio))[None]
    # the derivative of a sum of r f(p/r) over the part alone
    constant = _constant(restriction.objective) if restriction.treatment == "cut off" else 0.0
    weight = np.where(inside, c(ratio) + constant, 0.0)
    return _pull(np.exp(log_pi), weight)[None]


def _pull(p: Row, c: Row) -> Row:
    """E_p[c grad log p] at the logits."""
    out: Row = p * (c - p @ c)
    return out


@cache
def _constant(objective: str) -> float:
    """f'(1) of the divergence as a sum over tokens is usually written: 1 for p log(p/r), -1 for r log(r/p).

    On the whole vocabulary a constant is nothing; on a part of it the score does not vanish.
    """
    return {"reverse_kl": 1.0, "forward_kl": -1.0, "jeffreys": 0.0}.get(objective, 0.0)


@cache
def _candidates(seed: int, on: bool) -> list[tuple[Restriction, Float64[np.ndarray, " all"]]]:
    from proofs.divergences import OBJECTIVES

    out = []
    for name, k, by, how in product(OBJECTIVES, range(1, VOCABULARY - 1), CHOOSERS, TREATMENTS):
        if how == "renormalised" and k == 1:
            continue  # one token renormalised has probability 1, and no gradient
        r = Restriction(name, k, by, how, 1.0)
        out.append((r, np.concatenate([gradient(i, r).ravel() for i in large(seed, on)])))
    return out


def restriction_of(seed: int, on: bool, gradients: Sequence[Table], tolerance: float) -> Restriction | None:
    """The objective on part of the vocabulary whose gradient these are, on the instances of ``large``; else None."""
    g = np.concatenate([t.ravel() for t in gradients])
    size = float(np.linalg.norm(g))
    if not np.isfinite(size) or size == 0.0:
        return None
    best: tuple[float, Restriction] | None = None
    for r, target in _candidates(seed, on):
        norm = float(target @ target)
        scale = float(target @ g) / norm if norm > 0 else 0.0
        error = float(np.linalg.norm(g - scale * target)) / size
        if best is None or error < 0.5 * best[0]:
            best = error, Restriction(r.objective, r.k, r.chosen_by, r.treatment, float(f"{scale:.6g}"))
    return best[1] if best is not None and best[0] <= max(tolerance, 1e-9) else None


def scale_of_whole(name: str, on: bool, seed: int, gradients: Sequence[Table], tolerance: float) -> float | None:
    """The scale at which these are the gradients of an objective on the whole larger vocabulary; None where none is."""
    g = np.concatenate([t.ravel() for t in gradients])
    own = np.concatenate([(_pull(np.exp(i.log_policy()[0]), _c(name, i))).ravel() for i in large(seed, on)])
    scale = float(own @ g) / float(own @ own)
    fits = np.linalg.norm(g - scale * own) <= max(10 * tolerance, 1e-7) * np.linalg.norm(g)
    return scale if fits else None


def _c(name: str, instance: Instance) -> Row:
    out: Row = coefficient(name)((instance.log_policy() - instance.log_reference())[0])
    return out
