"""Gradients by raw logits, and with indexed sums for a vocabulary of any size."""

from __future__ import annotations

from functools import cache

import sympy as sp
from sympy import Dummy, Expr, Idx, IndexedBase, KroneckerDelta, Symbol, exp

from proofs.engines.explicit.derivative import derivative
from proofs.engines.explicit.rational import differs_at, points_of, vanishes
from proofs.engines.explicit.regimes import regimes
from proofs.ledger import Finding, Outcome
from proofs.statements import ExpectedGradient, Gradient, SampleGradient, Stationary, sg
from proofs.symbols import REWARD, M, P, Q

_FROZEN = Symbol("p_frozen", positive=True)
"""The policy's probability at the parameters that drew the tokens; it is p in value."""
_SIZES = (2, 3)


@cache
def _frozen_parts(expr: Expr) -> Expr:
    """sg(x) is x with the frozen policy in it; only what contains one is made anew."""
    if not expr.has(sg):
        return expr
    if isinstance(expr, sg):
        return _frozen_parts(expr.args[0]).xreplace({P: _FROZEN})
    return expr.func(*map(_frozen_parts, expr.args))


def _surrogate(side: Gradient) -> Expr:
    return side.weight.xreplace({P: _FROZEN}) * _frozen_parts(side.of)


def prove_expected_gradient(statement: ExpectedGradient) -> Finding:
    """Prove with indexed sums for any vocabulary, and again with every sum of 2 and 3 logits written out."""
    difference = _surrogate(statement.left) - _surrogate(statement.right)
    slope = derivative(difference, P).xreplace({_FROZEN: P})
    cases = regimes(slope)
    if all(_same_on_all_tokens(case, cases[0]) for case in cases) and _vanishes_with_indexed_sums(cases[0]):
        rational = len(cases) == 1 and all(power.exp.is_Integer for power in slope.atoms(sp.Pow) if power.base != sp.E)
        if rational and not all(_vanishes_written_out(cases[0], size) for size in _SIZES):
            return Finding(Outcome.INCONCLUSIVE, detail="indexed sums and raw logits disagree")
        return Finding(Outcome.PROVED, "any vocabulary")
    return _refuted_on_tokens(slope)


def _same_on_all_tokens(slope: Expr, first: Expr) -> bool:
    """Whether the slope has one value on two tokens, each with probabilities of its own."""
    return vanishes(slope - _renamed(first))


def _renamed(expr: Expr) -> Expr:
    return expr.xreplace({s: _other(s) for s in (P, Q, M, REWARD)})


@cache
def _other(symbol: Symbol) -> Symbol:
    """The same quantity on another token."""
    return Dummy(f"{symbol}_other", positive=symbol.is_positive, real=True)


def _vanishes_with_indexed_sums(slope: Expr) -> bool:
    """sum_i a_i grad_k p_i = sum_i a_i p_i (delta_ik - p_k) = p_k (a_k - sum_i p_i a_i), summed by SymPy."""
    size = Symbol("V", integer=True, positive=True)
    i, k = Idx("i", size), Idx("k", size)
    p = IndexedBase("p", positive=True)
    a = sp.cancel(sp.expand_log(slope, force=True))
    if a.has(P, Q, M, REWARD):
        return False
    summand = sp.expand(p[i] * a * (KroneckerDelta(i, k) - p[k]))
    total = sp.Integer(0)
    for term in sp.Add.make_args(summand):
        outside, inside = term.as_independent(i, as_Add=False)
        if inside.has(KroneckerDelta):
            total += outside * (inside / KroneckerDelta(i, k)).subs(i, k)
        else:
            total += outside * (1 if inside == p[i] else sp.Sum(inside, (i, 0, size - 1)))
    return bool(sp.expand(total) == 0)


@cache
def _softmax(size: int) -> tuple[tuple[Symbol, ...], dict[Symbol, Expr], tuple[Expr, ...]]:
    """Probabilities as symbols, what they are in exp(logit), and SymPy's derivatives by the first logit."""
    logits = [Symbol(f"x{i}", real=True) for i in range(size)]
    total = sp.Add(*map(exp, logits))
    symbols = tuple(Dummy(f"p{i}", positive=True) for i in range(size))
    weights = {exp(x): Dummy(f"E{i}", positive=True) for i, x in enumerate(logits)}
    values = {p: (exp(x) / total).subs(weights) for p, x in zip(symbols, logits, strict=True)}
    slopes = tuple(sp.diff(exp(x) / total, logits[0]).subs(weights) for x in logits)
    return symbols, values, slopes


def _vanishes_written_out(slope: Expr, size: int) -> bool:
    """Sum slope * d p_i / d logit over all tokens, by the first logit; the others follow by renaming tokens."""
    policy, values, derivatives = _softmax(size)
    total = sp.Integer(0)
    for i in range(size):
        own = {s: Symbol(f"{s}{i}", positive=s.is_positive, real=True) for s in (Q, M, REWARD)}
        total += slope.xreplace({**own, P: policy[i]}) * derivatives[i]
    return vanishes(total, values)


def _refuted_on_tokens(slope: Expr) -> Finding:
    """Look for two tokens with certainly different slopes."""
    difference = slope - _renamed(slope)
    point = differs_at(difference, points_of(difference.free_symbols))
    if point is None:
        return Finding(Outcome.INCONCLUSIVE, detail="the slopes do not cancel, and no point tells them apart")
    shown = {s.name: str(v) for s, v in sorted(point.items(), key=lambda item: str(item[0]))}
    return Finding(Outcome.REFUTED, "two tokens", "the slopes of two tokens differ", shown)


def prove_sample_gradient(statement: SampleGradient) -> Finding:
    """Differentiate both sides with the detached parts frozen; they have to cancel."""
    sides = _frozen_parts(statement.left) - _frozen_parts(statement.right)
    difference = derivative(sides, P).xreplace({_FROZEN: P})
    if all(vanishes(case) for case in regimes(difference)):
        return Finding(Outcome.PROVED, "any vocabulary")
    point = differs_at(difference, points_of(difference.free_symbols))
    if point is None:
        return Finding(Outcome.INCONCLUSIVE, detail="the sides do not cancel, and no point tells them apart")
    return Finding(Outcome.REFUTED, "one token", "the gradients differ", {s.name: str(v) for s, v in point.items()})


def prove_stationary(statement: Stationary) -> Finding:
    """Put the policy in on two tokens; the forces have to cancel."""
    force = statement.force.subs(P, statement.policy)
    difference = force - force.xreplace({s: _other(s) for s in (Q, REWARD)})
    if vanishes(difference):
        return Finding(Outcome.PROVED, "any vocabulary")
    positive = [p for p in points_of(difference.free_symbols, 12) if statement.policy.subs(p).is_positive]
    point = differs_at(difference, positive)
    if point is None:
        return Finding(Outcome.INCONCLUSIVE, detail="the forces do not cancel, and no point tells them apart")
    return Finding(Outcome.REFUTED, "two tokens", "the forces differ", {s.name: str(v) for s, v in point.items()})
