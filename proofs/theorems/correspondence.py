"""Coefficients and f-divergences: which generator belongs to which coefficient, and which are convex."""

from __future__ import annotations

import sympy as sp
from sympy import Expr, Integer, exp, log

from proofs.divergences import OBJECTIVES
from proofs.statements import DK, LOG_RATIO, ExpectedGradient, Gradient, Inequality, K
from proofs.symbols import L, P, Q, U
from proofs.theorem import USUAL, Theorem
from proofs.theorems.table import from_policy, in_reward

_SOURCE = "arXiv 2605.15417"
_FAMILY = "coefficients and f-divergences"


def divergence(generator: Expr) -> Expr:
    """Return the summand q f(p/q) of the f-divergence."""
    return Q * generator.subs(U, P / Q)


_ANY = (
    Theorem(
        "f-divergence.any-generator",
        "The gradient of sum reference f(policy/reference) is E_policy[f'(policy/reference) s], for every "
        "differentiable f.",
        ExpectedGradient(Gradient(P, in_reward(DK(P / Q))), Gradient(Integer(1), Q * K(P / Q))),
        USUAL,
        _SOURCE,
        _FAMILY,
    ),
)

_OBJECTIVES = tuple(
    Theorem(
        f"gradient.{o.name}",
        f"The coefficient {o.coefficient} of the score has on-policy the expected gradient of {o.display}.",
        from_policy(in_reward(o.coefficient.subs(L, LOG_RATIO)), divergence(o.generator)),
        USUAL,
        o.source,
        _FAMILY,
    )
    for o in OBJECTIVES.values()
    if o.name != "total_variation"
)

_TOTAL_VARIATION = (
    Theorem(
        "gradient.total_variation",
        "The coefficient sign(L)/2 of the score has on-policy the expected gradient of TV(policy, reference), wherever "
        "no token has policy = reference.",
        from_policy(in_reward(sp.sign(LOG_RATIO) / 2), sp.Abs(P - Q) / 2),
        (*USUAL, "policy(y) is not reference(y) for any y: there |.| has a kink"),
        "Csiszar 1967",
        _FAMILY,
    ),
)

# coefficient of the score, generator with f(1) = 0
_ROWS: tuple[tuple[str, str, Expr, Expr], ...] = (
    ("k1-reward", "k1 in reward and k2 as loss", L, U * log(U) - U + 1),
    ("k3-loss", "k3 as loss", 1 - exp(-L), U - log(U) - 1),
    ("inverted-k3-loss", "k3 with the ratio inverted as loss", exp(L) - 1, (U - 1) ** 2 / 2),
    ("k2-reward", "k2 in reward", L**2 / 2, U * (log(U) ** 2 / 2 - log(U) + 1) - 1),
    ("k3-reward", "k3 in reward", exp(-L) - 1 + L, (U + 1) * log(U) - 2 * U + 2),
    ("mean-k2", "k2 in both loss and reward", L + L**2 / 2, U * log(U) ** 2 / 2),
)

_GENERATORS = tuple(
    Theorem(
        f"generator.{name}",
        f"The expected gradient of {who} is that of sum reference f(policy/reference) with f(u) = {f}.",
        from_policy(in_reward(c.subs(L, LOG_RATIO)), divergence(f)),
        USUAL,
        _SOURCE,
        _FAMILY,
    )
    for name, who, c, f in _ROWS
)

_CONVEX = tuple(
    Theorem(
        f"convex.{name}",
        f"The generator {f} of {who} is strictly convex: it belongs to a true f-divergence.",
        Inequality(sp.factor(sp.diff(f, U, 2)), U, Integer(0)),
        ("u > 0",),
        _SOURCE,
        _FAMILY,
    )
    for name, who, f in (
        ("k1-reward", "k1 in reward and k2 as loss", U * log(U) - U + 1),
        ("k3-loss", "k3 as loss", U - log(U) - 1),
        ("jeffreys", "KL(policy||reference) + KL(reference||policy)", (U - 1) * log(U)),
        ("jensen_shannon", "JS(policy, reference)", OBJECTIVES["jensen_shannon"].generator),
        ("hellinger_squared", "Hellinger^2(policy, reference)", OBJECTIVES["hellinger_squared"].generator),
    )
)

_NOT_CONVEX = tuple(
    Theorem(
        f"not-convex.{name}",
        f"The generator {f} of {who} is strictly concave for u < {end}: it belongs to no divergence, and pushes "
        "under-covered tokens away from the reference.",
        Inequality(-sp.factor(sp.diff(f, U, 2)), U, Integer(0), end),
        (f"0 < u < {end}",),
        "arXiv 2512.21852 reports the collapse of k3 in reward",
        _FAMILY,
    )
    for name, who, f, end in (
        ("k2-reward", "k2 in reward", U * (log(U) ** 2 / 2 - log(U) + 1) - 1, Integer(1)),
        ("k3-reward", "k3 in reward", (U + 1) * log(U) - 2 * U + 2, Integer(1)),
        ("mean-k2", "k2 in both loss and reward", U * log(U) ** 2 / 2, exp(-1)),
    )
)

THEOREMS = (*_ANY, *_OBJECTIVES, *_TOTAL_VARIATION, *_GENERATORS, *_CONVEX, *_NOT_CONVEX)
