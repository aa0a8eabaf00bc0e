"""Where a rewarded policy comes to rest, and what clipping switches off."""

from __future__ import annotations

from sympy import Expr, Integer, Max, Min, Rational, Symbol, exp, log

from proofs.statements import LOG_RATIO, RATIO, SampleGradient, Stationary, Total, Value, sg
from proofs.symbols import BETA, REWARD, P, Q
from proofs.theorem import FINITE, FULL_SUPPORT, USUAL, Theorem
from proofs.theorems.table import REVERSE_KL, from_sampler, in_reward

_FAMILY = "fixed points and clipping"
PARTITION = Symbol("Z", positive=True)
"""The normaliser of the Boltzmann policy."""
MULTIPLIER = Symbol("Lambda", real=True)
_CONDITIONS = (*USUAL, "bandit: one reward a token")
_BOLTZMANN = Q * exp(REWARD / BETA) / PARTITION

_REST = (
    Theorem(
        "fixed-point.boltzmann",
        "With k1 in reward or k2 as loss the policy reference exp(R/beta)/Z is a fixed point: R - beta L is the same "
        "for every token.",
        Stationary(_BOLTZMANN, REWARD - BETA * LOG_RATIO),
        _CONDITIONS,
        "Korbak et al. 2022, arXiv 2205.11275",
        _FAMILY,
    ),
    Theorem(
        "fixed-point.k3-loss",
        "With k3 as loss the policy beta reference/(Lambda - R), Lambda > max R its normaliser, is a fixed point: a "
        "polynomial, not an exponential tilt.",
        Stationary(BETA * Q / (MULTIPLIER - REWARD), REWARD - BETA * (1 - Q / P)),
        (*_CONDITIONS, "Lambda > max R"),
        "arXiv 2510.20817; arXiv 2502.18548",
        _FAMILY,
    ),
    Theorem(
        "fixed-point.chi2",
        "With k3's ratio inverted the policy reference (1 + (R - Lambda)/beta) is a fixed point, as long as it is "
        "positive: a linear tilt.",
        Stationary(Q * (1 + (REWARD - MULTIPLIER) / BETA), REWARD - BETA * (P / Q - 1)),
        (*_CONDITIONS, "1 + (R - Lambda)/beta > 0"),
        "Huang et al. 2024, arXiv 2407.13399",
        _FAMILY,
    ),
    Theorem(
        "regularised-return",
        "E[R] - beta KL(policy||reference) is beta log Z - beta KL(policy||Boltzmann): maximising it is minimising the "
        "divergence to the Boltzmann policy.",
        Value(
            Total(P * REWARD) - BETA * Total(REVERSE_KL),
            BETA * log(PARTITION) - BETA * Total(P * (log(P) - log(Q) - REWARD / BETA + log(PARTITION))),
        ),
        (FINITE, FULL_SUPPORT),
        "arXiv 2510.20817",
        _FAMILY,
    ),
)

CLIP = Symbol("e", positive=True)
"""eps = e/(1 + e): a clip range between 0 and 1."""
_EPS = CLIP / (1 + CLIP)
_OVER = Symbol("t", positive=True)
_FORCE = Symbol("c", positive=True)


def _ratio(value: Expr) -> Expr:
    """An importance ratio of this value, alive in gradient."""
    return value * P / sg(P)


def _head(rho: Expr, advantage: Expr, eps: Expr = _EPS) -> Expr:
    """The clipped PPO loss (arXiv 1707.06347, equation 7); SymPy takes long to see that it cannot order it."""
    clipped = Max(Min(rho, 1 + eps, evaluate=False), 1 - eps, evaluate=False)
    return -Min(rho * advantage, clipped * advantage, evaluate=False)


_ABOVE = (1 + _EPS) * (1 + _OVER)
_BELOW = (1 - _EPS) / (1 + _OVER)
_INSIDE = 1 - _EPS + 2 * _EPS * _OVER / (1 + _OVER)
_PPO = "arXiv 1707.06347, equation 7; arXiv 2510.01555, section 5"


def _clip(name: str, words: str, left: Expr, right: Expr) -> Theorem:
    return Theorem(f"clip.{name}", words, SampleGradient(left, right), USUAL, _PPO, _FAMILY)


_CLIPPED = (
    _clip(
        "above.pushed-up",
        "A clipped head with advantage > 0 (penalty coefficient < 0) has no gradient where rho > 1 + eps.",
        _head(_ratio(_ABOVE), _FORCE),
        in_reward(Integer(0)),
    ),
    _clip(
        "above.pushed-down",
        "A clipped head with advantage < 0 (penalty coefficient > 0) keeps its whole gradient where rho > 1 + eps.",
        _head(_ratio(_ABOVE), -_FORCE),
        in_reward(_FORCE * _ABOVE),
    ),
    _clip(
        "below.pushed-up",
        "A clipped head with advantage > 0 (penalty coefficient < 0) keeps its whole gradient where rho < 1 - eps.",
        _head(_ratio(_BELOW), _FORCE),
        in_reward(-_FORCE * _BELOW),
    ),
    _clip(
        "below.pushed-down",
        "A clipped head with advantage < 0 (penalty coefficient > 0) has no gradient where rho < 1 - eps.",
        _head(_ratio(_BELOW), -_FORCE),
        in_reward(Integer(0)),
    ),
    _clip(
        "inside",
        "Between 1 - eps and 1 + eps the clip is not active, whatever the sign of the advantage.",
        _head(_ratio(_INSIDE), _FORCE) + _head(_ratio(_INSIDE), -2 * _FORCE),
        in_reward(_FORCE * _INSIDE),
    ),
    _clip(
        "merged-head.above",
        "rho = 1.3, A = 1, beta c = 0.4, eps = 0.2: merged into one advantage, reward and penalty are clipped "
        "together, and no gradient is left.",
        _head(_ratio(Rational(13, 10)), 1 - Rational(2, 5), Rational(1, 5)),
        in_reward(Integer(0)),
    ),
    _clip(
        "separate-heads.above",
        "rho = 1.3, A = 1, beta c = 0.4, eps = 0.2: with heads of their own the reward is clipped and the penalty "
        "still pulls, with 0.4 rho.",
        _head(_ratio(Rational(13, 10)), Integer(1), Rational(1, 5))
        + _head(_ratio(Rational(13, 10)), -Rational(2, 5), Rational(1, 5)),
        in_reward(Rational(2, 5) * Rational(13, 10)),
    ),
    _clip(
        "merged-head.below",
        "rho = 0.7, A = 1, beta c = 1.6, eps = 0.2: merged into one advantage, which is negative, reward and penalty "
        "are clipped together.",
        _head(_ratio(Rational(7, 10)), 1 - Rational(8, 5), Rational(1, 5)),
        in_reward(Integer(0)),
    ),
    _clip(
        "separate-heads.below",
        "rho = 0.7, A = 1, beta c = 1.6, eps = 0.2: with heads of their own the penalty is clipped and the reward "
        "still pulls.",
        _head(_ratio(Rational(7, 10)), Integer(1), Rational(1, 5))
        + _head(_ratio(Rational(7, 10)), -Rational(8, 5), Rational(1, 5)),
        in_reward(-Rational(7, 10)),
    ),
)

_RECIPE = (
    Theorem(
        "surrogate.k1-coefficient",
        "The recipe 'the coefficient of k2, L, in the surrogate rho sg(L)' gives off-policy the gradient of "
        "KL(policy||reference).",
        from_sampler(RATIO * sg(LOG_RATIO), REVERSE_KL),
        USUAL,
        "arXiv 2510.01555, section 5",
        _FAMILY,
    ),
    Theorem(
        "surrogate.k3-coefficient",
        "The same recipe with k3's coefficient, rho sg(1 - reference/policy), gives off-policy the gradient of "
        "KL(reference||policy).",
        from_sampler(RATIO * sg(1 - Q / P), Q * log(Q / P)),
        USUAL,
        "arXiv 2510.01555, section 5, with what it restores",
        _FAMILY,
        refutes="the corrected k3 surrogate restores KL(policy||reference)",
    ),
)

THEOREMS = (*_REST, *_CLIPPED, *_RECIPE)
