"""The master lemma: E_pi[c s]_k = p_k (c_k - E_pi c), in logit coordinates.

It is proved here twice: for a vocabulary of any size with indexed sums, and by brute force for an
explicit softmax with symbolic logits. Every step is computed by SymPy and checked; a step that does
not check raises `ProofError`. From it follows when two gradients agree
(`proofs.calculus.equal_up_to_constant`); that an objective's coefficient is right is derived here
from the objective's own definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sympy as sp
from sympy import Expr, Idx, IndexedBase, KroneckerDelta, S, Sum, Symbol, exp, log

from proofs.decide import is_zero
from proofs.divergences import Objective
from proofs.steps import Step
from proofs.symbols import U


class ProofError(AssertionError):
    """A step of a proof that does not hold."""


def prove_for_any_vocabulary() -> tuple[Step, ...]:
    """Prove the lemma for V tokens, V symbolic, and return the derivation."""
    size = Symbol("V", integer=True, positive=True)
    i, j, k = (Idx(name, size) for name in "ijk")
    logit, c = IndexedBase("x", real=True), IndexedBase("c", real=True)
    partition = Sum(exp(logit[j]), (j, 0, size - 1))
    total = Symbol("Z", positive=True)

    score = sp.diff(logit[i] - log(partition), logit[k])
    score = score.replace(Sum, lambda body, limits: _over_kronecker(body, limits))
    p = IndexedBase("p", positive=True)
    closed = KroneckerDelta(i, k) - p[k]
    opened = closed.subs(p[k], exp(logit[k]) / total)
    steps = [proved_step(score.subs(partition, total), opened, "log p_i = x_i - log Z, differentiated")]

    total_of = indexed_sum(p[i] * c[i] * closed, i)
    expected = Sum(p[i] * c[i], (i, 0, size - 1))
    result = p[k] * (c[k] - expected)
    steps.append(proved_step(total_of, sp.expand(result), "E[c s]_k = sum_i p_i c_i (delta_ik - p_k)"))
    return tuple(steps)


def indexed_sum(summand: Expr, index: Idx, known: Mapping[Expr, Expr] = MappingProxyType({})) -> Expr:
    """Return sum over the index, from 0 to V - 1, term by term: a Kronecker delta picks its term.

    `known` are the sums that have a value, such as that of p_i, which is 1; others stay.
    """
    limits = (index, index.lower, index.upper)
    total = S.Zero
    for term in sp.Add.make_args(sp.expand(summand)):
        inside, outside = _split(term, index)
        if inside.has(KroneckerDelta):
            total += outside * _over_kronecker(inside, limits)
        else:
            total += outside * known.get(inside, Sum(inside, limits))
    return total


def _split(term: Expr, index: Idx) -> tuple[Expr, Expr]:
    """The factors of a term that depend on the index, and those that do not."""
    outside, inside = term.as_independent(index, as_Add=False)
    return inside, outside


def _over_kronecker(body: Expr, limits: Any) -> Expr:
    """sum_j f(j) delta(j, k) = f(k), for k among the values of j; other sums stay."""
    index = limits[0]
    deltas = [factor for factor in sp.Mul.make_args(body) if isinstance(factor, KroneckerDelta)]
    if len(deltas) != 1:
        return Sum(body, limits)
    (other,) = (argument for argument in deltas[0].args if argument != index)
    return (body / deltas[0]).subs(index, other)


def proved_step(left: Expr, right: Expr, reason: str, rule: str = "indexed sums") -> Step:
    """Return the step, if both sides are equal once expanded; raises ProofError if they are not."""
    if sp.expand(left - right) != 0:
        raise ProofError(f"{left} is not {right}: {reason}")
    return Step(rule, right, reason, left)


@dataclass(frozen=True)
class Softmax:
    """An explicit softmax: symbolic logits, and for each token its probability and score."""

    logits: tuple[Symbol, ...]
    probabilities: tuple[Expr, ...]
    scores: tuple[tuple[Expr, ...], ...]
    """scores[i][k] = d log p_i / d x_k."""


def softmax(size: int) -> Softmax:
    """Return the softmax over `size` symbolic logits, its scores by differentiation."""
    logits = tuple(Symbol(f"x{i}", real=True) for i in range(size))
    total = sp.Add(*map(exp, logits))
    probabilities = tuple(exp(x) / total for x in logits)
    scores = tuple(tuple(sp.diff(x - log(total), y) for y in logits) for x in logits)
    return Softmax(logits, probabilities, scores)


def prove_for_explicit_vocabulary(size: int = 3) -> tuple[Step, ...]:
    """Prove the lemma by expanding every sum of a softmax over `size` logits."""
    policy = softmax(size)
    c = [Symbol(f"c{i}", real=True) for i in range(size)]
    p = policy.probabilities
    mean = sum((a * b for a, b in zip(p, c, strict=True)), S.Zero)
    steps = []
    for k in range(size):
        left = sum((p[i] * c[i] * policy.scores[i][k] for i in range(size)), S.Zero)
        right = p[k] * (c[k] - mean)
        if not is_zero(left - right):
            raise ProofError(f"component {k} of {size}")
        steps.append(Step("all sums written out", right, f"component {k}", left))
    return tuple(steps)


def prove_objective(objective: Objective, size: int = 3) -> tuple[Step, ...]:
    """Prove that grad sum_i q_i f(p_i/q_i) is E_pi[f'(p/q) s], every sum written out.

    The left side is the derivative of the objective's own definition by each logit, the reference
    any positive numbers.
    """
    policy = softmax(size)
    q = [Symbol(f"q{i}", positive=True) for i in range(size)]
    ratios = [p / r for p, r in zip(policy.probabilities, q, strict=True)]
    value = sum((r * objective.generator.subs(U, u) for r, u in zip(q, ratios, strict=True)), S.Zero)
    slope = sp.diff(objective.generator, U)
    slopes = [slope.subs(U, u) for u in ratios]
    steps = []
    for k, x in enumerate(policy.logits):
        left = sp.diff(value, x)
        right = sum((policy.probabilities[i] * slopes[i] * policy.scores[i][k] for i in range(size)), S.Zero)
        if not is_zero(left - right):
            raise ProofError(f"{objective.name}: component {k} of {size}")
        steps.append(Step("all sums written out", right, f"{objective.display}, component {k}", left))
    return tuple(steps)
