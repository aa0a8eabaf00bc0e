"""What a kernel of the family `whole` has to return, with its tolerance: one formula an objective.

With a = log p of the policy, b = log q of the reference, d = a - b, and the gradient by the policy's logits:

    reverse_kl  KL(policy||reference) = sum p d,   gradient p (d - KL)
    forward_kl  KL(reference||policy) = -sum q d,  gradient p - q
    all others                                     as their functions say

A subject that takes log-probabilities has the gradient by these, without the softmax's Jacobian; total variation there
is by the policy's probabilities.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import sympy as sp

from gpu_checks.bounds.cost import CostModel
from gpu_checks.bounds.expressions import evaluate
from gpu_checks.bounds.softmax import log_softmax, scaled
from gpu_checks.bounds.tracked import Arithmetic, Tracked, exactly, stored
from gpu_checks.formats import Format
from gpu_checks.subject import WholeBatch
from oracle.errors import ClaimError
from proofs.divergences import OBJECTIVES
from proofs.symbols import L, U

_OUTER_ROUNDINGS = 4


@dataclass(frozen=True)
class Pair:
    """One row: log-probabilities of both, [token], with the arithmetic of the kernel."""

    arithmetic: Arithmetic
    policy: Tracked
    reference: Tracked
    by_logits: bool


_FROM_THEIR_GENERATOR = ("chi2_half", "chi2_reference_half", "jeffreys", "hellinger_squared")

ValueAndGradient: TypeAlias = tuple[Tracked, Tracked]
WholeFormula: TypeAlias = Callable[[Pair], ValueAndGradient]


def _weighted(probability: Tracked, factor: Tracked) -> Tracked:
    """Return p x with 0 x = 0, also where x is infinite."""
    product = probability * factor
    nothing = (probability.value == 0) & (probability.error == 0)
    return Tracked(np.where(nothing, 0.0, product.value), np.where(nothing, 0.0, product.error))


def reverse_kl(pair: Pair) -> ValueAndGradient:
    """KL(policy||reference)."""
    p = pair.arithmetic.exp(pair.policy)
    d = pair.policy - pair.reference
    value = pair.arithmetic.sum(_weighted(p, d))
    if pair.by_logits:
        return value, _weighted(p, d - value)
    return value, _weighted(p, d + exactly(1.0))


def forward_kl(pair: Pair) -> ValueAndGradient:
    """KL(reference||policy)."""
    q = pair.arithmetic.exp(pair.reference)
    value = pair.arithmetic.sum(_weighted(q, pair.reference - pair.policy))
    if pair.by_logits:
        return value, pair.arithmetic.exp(pair.policy) - q
    return value, -q


def skewed_jensen_shannon(share: float) -> WholeFormula:
    """Jensen-Shannon with the weight `share` of the reference: the claim `jensen_shannon/SHARE`.

    share sum q (b - m) + (1 - share) sum p (a - m) with m = log(share q + (1 - share) p) (Lin 1991).
    """
    theirs, mine = exactly(share), exactly(1 - share)

    def formula(pair: Pair) -> ValueAndGradient:
        p, q = pair.arithmetic.exp(pair.policy), pair.arithmetic.exp(pair.reference)
        middle = pair.arithmetic.log(mine * p + theirs * q)
        own = mine * _weighted(p, pair.policy - middle)
        value = pair.arithmetic.sum(own + theirs * _weighted(q, pair.reference - middle))
        if pair.by_logits:
            return value, own - p * pair.arithmetic.sum(own)
        return value, own

    return formula


def total_variation(pair: Pair) -> ValueAndGradient:
    """TV(policy, reference) = sum |p - q| / 2; its gradient by p, sign(p - q) / 2, is carried on to logits."""
    half = exactly(0.5)
    p = pair.arithmetic.exp(pair.policy)
    difference = p - pair.arithmetic.exp(pair.reference)
    value = pair.arithmetic.sum(half * Tracked(abs(difference.value), difference.error))
    sure = abs(difference.value) > difference.error
    slope = half * Tracked(np.sign(difference.value), np.where(sure, 0.0, 2.0))
    return value, _through_softmax(pair, p, slope) if pair.by_logits else slope


def _through_softmax(pair: Pair, p: Tracked, by_probability: Tracked) -> Tracked:
    """p_i (g_i - sum_j p_j g_j)."""
    weighted = _weighted(p, by_probability)
    return weighted - p * pair.arithmetic.sum(weighted)


def divergence(objective: str) -> WholeFormula:
    """Any named objective, sum q f(p/q), from its generator: each node of f and f' is one operation of the kernel."""
    generator = OBJECTIVES[objective].generator
    summand, slope = (sp.powdenest(e.subs(U, sp.exp(L)), force=True) for e in (generator, sp.diff(generator, U)))

    def formula(pair: Pair) -> ValueAndGradient:
        ratio = {L: pair.policy - pair.reference}
        p, q = pair.arithmetic.exp(pair.policy), pair.arithmetic.exp(pair.reference)
        value = pair.arithmetic.sum(_weighted(q, evaluate(summand, ratio, pair.arithmetic)))
        by_p = evaluate(slope, ratio, pair.arithmetic)
        return value, _through_softmax(pair, p, by_p) if pair.by_logits else _weighted(p, by_p)

    return formula


FORMULAS: Mapping[str, WholeFormula] = MappingProxyType(
    {
        "reverse_kl": reverse_kl,
        "forward_kl": forward_kl,
        "jensen_shannon": skewed_jensen_shannon(0.5),
        "total_variation": total_variation,
        **{name: divergence(name) for name in OBJECTIVES if name in _FROM_THEIR_GENERATOR},
    }
)
"""Every objective that a kernel over the whole vocabulary is held against."""


def formula_of_objective(claim: str) -> WholeFormula:
    """Return the formula of an objective; raises ClaimError, with the nearest name, for one that has none here."""
    name = claim.strip()
    if name in FORMULAS:
        return FORMULAS[name]
    if share := re.fullmatch(r"jensen_shannon/(0?\.\d+)", name):
        return skewed_jensen_shannon(float(share[1]))
    close = get_close_matches(name, FORMULAS, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(FORMULAS)}"
    raise ClaimError(f"claim {claim!r}: a kernel over the whole vocabulary is held against an objective; {hint}")


def expected_whole(
    formula: WholeFormula, batch: WholeBatch, row: int, cost: CostModel, form: Format, temperature: float = 1.0
) -> ValueAndGradient:
    """Return value [] and gradient [token], as stored in `form`, that the kernel has to give for one row."""
    arithmetic = Arithmetic(cost)
    rows = [np.asarray(side[row], np.float64) for side in (batch.policy, batch.reference)]
    if cost.inputs == "logits":
        policy, reference = (log_softmax(arithmetic, scaled(arithmetic, x, temperature)) for x in rows)
    else:
        policy, reference = (arithmetic.given(x) for x in rows)
    value, gradient = formula(Pair(arithmetic, policy, reference, cost.inputs == "logits"))
    outer = exactly(float(np.float32(batch.upstream[row])) / float(np.float32(temperature)))
    if (scale := cost.stored_first) is not None:
        inner = exactly(scale / float(np.float32(temperature)))
        gradient = stored((inner * gradient).worsened(_OUTER_ROUNDINGS), form)
        outer = exactly(float(np.float32(batch.upstream[row])) / scale)
    return value[0].worsened(_OUTER_ROUNDINGS), stored((outer * gradient).worsened(_OUTER_ROUNDINGS), form)
