"""The coefficients of the score as functions of L: bias, saturation, explosion, stiffness."""

from __future__ import annotations

import sympy as sp
from sympy import Expr, Integer, Rational, Symbol, exp, log, sinh

from proofs.statements import DerivativeAt, Identity, Inequality, Statement
from proofs.symbols import L, P, Q
from proofs.theorem import Theorem

_PAPER = "arXiv 2510.01555"
K3_COEFFICIENT = 1 - exp(-L)
"""k3' : the coefficient of k3 as loss."""
_K3 = exp(-L) - 1 + L
DELTA = Symbol("delta", positive=True)
"""reference/policy, the ratio of arXiv 2510.01555."""
X = Symbol("x", positive=True)
Z = Symbol("z", real=True)


def _of(name: str, words: str, statement: Statement, source: str = _PAPER, refutes: str | None = None) -> Theorem:
    return Theorem(name, words, statement, ("every real L",), source, "coefficients", refutes=refutes)


_LOGISTIC = exp(Z) / (1 + exp(Z))

_K3_THEOREMS = (
    _of(
        "k3-coefficient.bias",
        "The bias of k3's coefficient against that of KL(policy||reference), L - (1 - exp(-L)), is k3 itself.",
        Identity(log(1 / DELTA) - (1 - DELTA), DELTA - 1 - log(DELTA)),
    ),
    _of(
        "k3-coefficient.below-k1",
        "k3's coefficient never exceeds L: their difference, k3, is positive except at L = 0.",
        Inequality(_K3, L, zeros=(Integer(0),)),
    ),
    _of(
        "k3-coefficient.bias-to-third-order",
        "In delta = reference/policy the bias is at least (delta - 1)^2/2 - (delta - 1)^3/3, with equality only at "
        "delta = 1.",
        Inequality(
            -log(DELTA) - (1 - DELTA) - (DELTA - 1) ** 2 / 2 + (DELTA - 1) ** 3 / 3,
            DELTA,
            Integer(0),
            zeros=(Integer(1),),
        ),
    ),
    _of(
        "k3-coefficient.saturates",
        "k3's coefficient stays below 1, however far the policy over-covers.",
        Inequality(1 - K3_COEFFICIENT, L),
    ),
    _of(
        "k3-coefficient.approaches-one",
        "k3's coefficient approaches 1 as the policy over-covers: for L > 0 it is within 1/L of it.",
        Inequality(1 / L - (1 - K3_COEFFICIENT), L, Integer(0)),
    ),
    _of(
        "k3-coefficient.explodes",
        "Where the policy under-covers, L = -x, the coefficient of k3 falls below -(x + x^2/2): faster than the "
        "logarithm's -x, as reference/policy itself.",
        Inequality(-K3_COEFFICIENT.subs(L, -X) - X - X**2 / 2, X, Integer(0)),
    ),
    _of(
        "k3-coefficient.asymmetric",
        "k3's coefficient pulls harder from below than from above: -c(-L) > c(L) for L > 0.",
        Inequality(-K3_COEFFICIENT.subs(L, -X) - K3_COEFFICIENT.subs(L, X), X, Integer(0)),
    ),
    _of(
        "k3-coefficient.same-sign",
        "The coefficients of k3 and of KL(policy||reference) always have the same sign.",
        Inequality(L * K3_COEFFICIENT, L, zeros=(Integer(0),)),
    ),
    _of(
        "k3-coefficient.second-order-above",
        "For L > 0 k3's coefficient lies above its second-order expansion L - L^2/2.",
        Inequality(K3_COEFFICIENT - L + L**2 / 2, L, Integer(0)),
    ),
    _of(
        "k3-coefficient.second-order-below",
        "For L < 0 k3's coefficient lies below its second-order expansion L - L^2/2.",
        Inequality(L - L**2 / 2 - K3_COEFFICIENT, L, high=Integer(0)),
    ),
    _of(
        "k3-coefficient.mean-force",
        "Weighted by its probability, k3's coefficient is policy - reference: bounded by 1 in expectation, whatever a "
        "single sample does.",
        Identity(P * (1 - Q / P), P - Q),
        refutes="k3 as loss explodes in expectation on under-sampled tokens",
    ),
)

_BINARY = (
    _of(
        "binary-force-ratio",
        "For two tokens, a uniform reference and a policy with logit z, the logit gradient of KL(reference||policy) is "
        "sinh(z)/z times that of KL(policy||reference).",
        Identity((_LOGISTIC - Rational(1, 2)) * Z / sinh(Z), _LOGISTIC * (1 - _LOGISTIC) * Z),
        "softmax closed forms",
    ),
    _of(
        "binary-force-ratio.above-one",
        "sinh(z) > z for z > 0: in that case k3 as loss pulls harder than KL(policy||reference), not weaker.",
        Inequality(sinh(X) - X, X, Integer(0)),
        "softmax closed forms",
        refutes="k3 as loss is always the weaker regulariser",
    ),
)

_SLOPES: tuple[tuple[str, str, Expr, int], ...] = (
    ("k1-loss", "k1 as loss", Integer(1) + 0 * L, 0),
    ("k1-reward", "k1 in reward and k2 as loss", L, 1),
    ("k3-loss", "k3 as loss", K3_COEFFICIENT, 1),
    ("inverted-k3-loss", "k3 with the ratio inverted as loss", exp(L) - 1, 1),
    ("k2-reward", "k2 in reward", L**2 / 2, 0),
    ("k3-reward", "k3 in reward", _K3, 0),
    ("mean-k2", "k2 in both loss and reward", L + L**2 / 2, 1),
)

_STIFFNESS = tuple(
    _of(
        f"stiffness.{name}",
        f"At policy = reference the coefficient of {who} has slope {slope} in L: the Jacobian of its expected gradient "
        f"is there {'the Fisher matrix' if slope else 'zero, no restoring force to first order'}.",
        DerivativeAt(c, L, Integer(0), Integer(slope)),
        "arXiv 2605.15417",
    )
    for name, who, c, slope in _SLOPES
    if name != "k1-loss"
)

_MEAN_K2_SHAPE = (
    _of(
        "k2-value.not-convex",
        "E_policy[k2] is no f-divergence: as a function of r = reference/policy its generator log(r)^2/2 is concave "
        "for r > e.",
        Inequality(-sp.diff(log(X) ** 2 / 2, X, 2), X, sp.E),
        "second derivative",
        refutes="E[k2] is an f-divergence (Schulman 2020), without the condition |log r| <= 1",
    ),
)

THEOREMS = (*_K3_THEOREMS, *_BINARY, *_STIFFNESS, *_MEAN_K2_SHAPE)
