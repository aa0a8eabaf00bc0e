"""From a form to the coefficient of the score, for an arbitrary vocabulary.

With s = grad log policy of the drawn token the rules are

    D L = s        the reference is frozen
    D rho = rho s  the sampler is frozen
    D sg(x) = 0    detached is a number
    D log policy = s

so the sample gradient of any form is g s with one expression g(L, rho): arXiv 2510.01555, section 4,
where k' = d k / d log policy. The expected gradient under the sampler is E_mu[g s] = E_pi[(g/rho) s],
and the master lemma E_pi[c s]_k = p_k (c_k - E_pi c) (`proofs.master_lemma`) turns the equality of
two gradients into a statement about their coefficients.
"""

from __future__ import annotations

from functools import lru_cache

import sympy as sp
from sympy import Dummy, Expr, Rational, Symbol

from proofs.cells import TooManyCells, by_intervals
from proofs.decide import Undecided, is_zero
from proofs.forms import Correction, Form, Placement
from proofs.normal_form import TooLarge, normal_form
from proofs.patience import TimeIsUp, at_most
from proofs.symbols import RHO, L

__all__ = [
    "Undecided",
    "equal_up_to_constant",
    "is_zero",
    "on_policy",
    "sample_coefficient",
    "score_derivative",
    "under_policy",
    "weight_of",
]

_LOG_POLICY = Symbol("log_policy", real=True)
_AT_REFERENCE = {L: 0, RHO: 1}
_ELSEWHERE = {L: Rational(1, 3), RHO: Rational(5, 7)}


def score_derivative(expr: Expr) -> Expr:
    """Return g with grad expr = g s, by the rules above. Kinks get SymPy's one-sided Piecewise."""
    smooth = expr
    if expr.has(sp.Min, sp.Max):
        smooth = expr.replace(lambda e: isinstance(e, sp.Min | sp.Max), lambda e: e.rewrite(sp.Piecewise))
    return sp.diff(smooth, L) + RHO * sp.diff(smooth, RHO) + sp.diff(smooth, _LOG_POLICY)


def weight_of(form: Form) -> Expr:
    """Return the importance weight of a form."""
    if form.correction is Correction.NONE:
        return sp.Integer(1)
    return sp.Min(RHO, form.cut) if form.correction is Correction.TRUNCATED else RHO


def sample_coefficient(form: Form) -> Expr:
    """Return g(L, rho): on one token drawn from the sampler the gradient of the form is g s.

    As loss it is the derivative of weight * k. In reward it is that of weight * sg(k) * log policy
    for a detached weight, and of the surrogate rho * sg(k) of PPO (arXiv 1707.06347, equation 6)
    for a differentiated one, which are the same.
    """
    weight = Dummy("weight", positive=True)
    g = sp.Integer(0)
    if form.placement is not Placement.REWARD:
        g += _as_loss(form, weight)
    if form.placement is not Placement.LOSS:
        g += _in_reward(form, weight)
    return weight_of(form) * _tidy(sp.expand_mul(g / weight))


def _as_loss(form: Form, weight: Dummy) -> Expr:
    if form.correction is Correction.DIFFERENTIATED:
        return score_derivative(RHO * form.estimator.value).subs(RHO, weight)
    return score_derivative(weight * form.estimator.value)


def _in_reward(form: Form, weight: Dummy) -> Expr:
    penalty = Dummy("penalty", real=True)
    if form.correction is Correction.DIFFERENTIATED:
        g = score_derivative(RHO * penalty).subs(RHO, weight)
    else:
        g = score_derivative(weight * penalty * _LOG_POLICY)
    return g.subs(penalty, form.estimator.value)


def under_policy(g: Expr) -> Expr:
    """Return g/rho, the coefficient under the policy: E_mu[g s] = E_pi[(g/rho) s]."""
    return _tidy(sp.expand_mul(g / RHO))


def on_policy(g: Expr) -> Expr:
    """Return g where sampler and policy agree: rho = 1, set after differentiation."""
    return _tidy(g.subs(RHO, 1))


@lru_cache(maxsize=1024)
def _tidy(expr: Expr) -> Expr:
    """The shorter of the expression and its normal form; nested conditions become intervals of L."""
    try:
        form = normal_form(expr).expr
        if expr.has(sp.Piecewise) and expr.free_symbols == {L}:
            with at_most(0.5, untimed=True):
                return by_intervals(expr, L)
    except (TooLarge, TooManyCells, TimeIsUp):
        return expr
    return min((expr, form), key=lambda e: (sp.count_ops(e), len(str(e))))


def equal_up_to_constant(c1: Expr, c2: Expr) -> bool:
    """Whether two coefficients have the same expected gradient for every policy, V >= 3.

    By the master lemma the gradients agree iff p_k (d_k - E_pi d) = 0 for d = c1 - c2 and every k,
    that is iff d takes one value on all tokens. If d is a constant it does. If not, take two points
    of (exp(-L), 1/rho) where d differs; with a third that puts (1, 1) inside their triangle, its
    weights are a policy for which reference and sampler sum to 1, and d is not constant on it. Three
    tokens are needed: with two, a token with L = 0 forces the other to L = 0.
    """
    difference = c1 - c2
    try:
        form = normal_form(difference)
        moving = [m for m in form.terms if m.has(L, RHO)]
        if not moving or form.conclusive:
            return not moving
    except TooLarge as error:
        raise Undecided(str(error)) from error
    value = difference.subs(_AT_REFERENCE)
    if value.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        value = difference.subs(_ELSEWHERE)
    return is_zero(difference - value)
