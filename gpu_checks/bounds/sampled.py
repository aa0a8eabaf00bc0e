"""What a kernel of the family `sampled` has to return, with its tolerance.

A row with logits x, token a, the reference's log-probability b and, off-policy, the sampler's:

    logp = x_a/T - lse(x/T),  L = logp - b,  rho = exp(logp - sampler's),
    value = w(rho) k(L),  gradient = upstream c(L, rho) (e_a - p)/T

with k, w and c from the claim (`oracle.claims`), c by the product rule on w k, term by term, as automatic
differentiation adds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sympy import Expr, Integer

from gpu_checks.bounds.cost import CostModel
from gpu_checks.bounds.expressions import evaluate
from gpu_checks.bounds.softmax import log_softmax, scaled
from gpu_checks.bounds.tracked import Arithmetic, Tracked, exactly, stored
from gpu_checks.formats import SINGLE_UNIT, Array, Format
from gpu_checks.subject import SampledBatch
from oracle.claims.claim import Claim, Form
from oracle.claims.language import parse_claim
from oracle.errors import ClaimError
from proofs.calculus import score_derivative
from proofs.estimators import K3
from proofs.symbols import RHO, L

_OUTER_ROUNDINGS = 4
"""Products with beta, the upstream derivative, the weight and 1/T."""
_SWITCHED_ROUNDINGS = 8
"""Four units in the last place, more than an expm1 of two and a sum."""


@dataclass(frozen=True)
class Formula:
    """A form on one token: what the value is, and the terms that the coefficient is the sum of."""

    form: Form
    value: Expr
    terms: tuple[Expr, ...]

    @property
    def coefficient(self) -> Expr:
        """The coefficient of the score, d value / d logp for a loss."""
        return sum(self.terms, Integer(0))

    @cached_property
    def weighted(self) -> bool:
        """Whether the sampler matters."""
        return self.form.weight.kind != "none"


def formula_of(claim: str) -> Formula:
    """Parse the claim of a `sampled` kernel; raises ClaimError where it is none of one token's form."""
    parsed: Claim = parse_claim(claim)
    form = parsed.form
    if form is None:
        raise ClaimError(
            f"claim {claim!r} names an objective; a kernel that scores sampled tokens is held against a form, "
            'such as "k3 as loss"'
        )
    if form.returns or form.weight.level != "token" or form.weight.kind == "surrogate" or form.weight.cut:
        raise ClaimError(
            f"claim {claim!r}: a kernel's rows are single tokens; leave out returns, thresholds and weights of more "
            "than the own token"
        )
    value, slope = form.estimator.value, score_derivative(form.estimator.value)
    weight = Integer(1) if form.weight.kind == "none" else RHO
    terms: list[Expr] = []
    if form.placement != "reward":
        terms.append(weight * slope)
        if form.weight.kind == "differentiated":
            terms.append(weight * value)
    if form.placement != "loss":
        terms.append(weight * value)
    return Formula(form, weight * value, tuple(terms))


@dataclass(frozen=True)
class Expected:
    """What one row has to be: [] or [token] tracked numbers, before the gradient is stored."""

    log_probability: Tracked
    log_ratio: Tracked
    value: Tracked
    coefficient: Tracked
    gradient: Tracked


def expected(
    formula: Formula, batch: SampledBatch, row: int, cost: CostModel, form: Format, temperature: float = 1.0
) -> Expected:
    """Return what the kernel has to give for one row, the gradient as stored in `form`."""
    arithmetic = Arithmetic(cost)
    log_p = log_softmax(arithmetic, scaled(arithmetic, batch.logits[row].astype(np.float64), temperature))
    token = int(batch.tokens[row])
    log_probability = log_p[token]
    ratio = log_probability - arithmetic.given(batch.reference[row])
    values = {L: ratio}
    if formula.weighted:
        assert batch.sampler is not None
        values[RHO] = arithmetic.exp(log_probability - arithmetic.given(batch.sampler[row]))
    value = _value(formula, values, arithmetic)
    coefficient = _sum([evaluate(term, values, arithmetic) for term in formula.terms])
    one_hot = np.zeros_like(log_p.value)
    one_hot[token] = 1.0
    direction = exactly(one_hot) - arithmetic.exp(log_p)
    outer = exactly(float(np.float32(batch.upstream[row])) / float(np.float32(temperature)))
    gradient = (outer * (coefficient * direction)).worsened(_OUTER_ROUNDINGS)
    return Expected(log_probability, ratio, value, coefficient, stored(gradient, form))


def _value(formula: Formula, values: dict[Any, Tracked], arithmetic: Arithmetic) -> Tracked:
    how = arithmetic.cost.k3
    if formula.form.estimator != K3 or how == "naive":
        return evaluate(formula.value, values, arithmetic).worsened(_OUTER_ROUNDINGS)
    ratio = values[L]
    difference = arithmetic.expm1(-ratio)
    exact = difference.value + ratio.value
    moved = (abs(difference.value) + difference.error) * ratio.error
    # a switched form is good to a few units of its value, a difference to those of what is subtracted
    sizes = abs(exact) if how == "switched" else abs(difference.value) + abs(exact)
    k3 = Tracked(exact, moved + _SWITCHED_ROUNDINGS * SINGLE_UNIT * sizes + 2.0**-126)
    whole = values[RHO] * k3 if formula.weighted else k3
    return whole.worsened(_OUTER_ROUNDINGS)


def _sum(parts: list[Tracked]) -> Tracked:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def coefficient_at(formula: Formula, log_ratio: Array, log_weight: Array) -> Array:
    """Return c(L, rho) in float64, without cancellation; [n] -> [n]."""
    from oracle.claims.forms import coefficients

    return np.asarray(coefficients(formula.form, log_ratio[:, None], log_weight[:, None])[:, 0])
