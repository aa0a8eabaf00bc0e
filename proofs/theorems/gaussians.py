"""Schulman's Gaussians in closed form: policy N(0, 1), reference N(m, 1)."""

from __future__ import annotations

from sympy import Expr, Rational, Symbol, exp, log

from proofs.statements import GaussianMean, Identity, Instance
from proofs.theorem import Theorem

_FAMILY = "Gaussians"
_SOURCE = "Schulman 2020, in closed form"
_CONDITIONS = ("policy N(0, 1), reference N(m, 1), so that KL(policy||reference) = m^2/2",)
X = Symbol("x", real=True)
GAP = Symbol("m", real=True)
"""The mean gap."""
_LOG_R = GAP * X - GAP**2 / 2
"""log(reference/policy) at x."""
_K1 = -_LOG_R
_K2 = _LOG_R**2 / 2
_K3 = exp(_LOG_R) - 1 - _LOG_R
_KL = GAP**2 / 2


def _mean(name: str, words: str, integrand: Expr, value: Expr) -> Theorem:
    return Theorem(f"gaussian.{name}", words, GaussianMean(integrand, X, value), _CONDITIONS, _SOURCE, _FAMILY)


_MOMENTS = (
    _mean("k1-value", "E k1 = m^2/2, the divergence.", _K1, _KL),
    _mean("k3-value", "E k3 = m^2/2, the divergence.", _K3, _KL),
    _mean("k2-value", "E k2 = m^2/2 + m^4/8: the bias of k2 is m^4/8.", _K2, _KL + GAP**4 / 8),
    _mean("k1-variance", "The variance of k1 is m^2.", (_K1 - _KL) ** 2, GAP**2),
    _mean(
        "k2-variance",
        "The variance of k2 is m^4/2 + m^6/4.",
        (_K2 - _KL - GAP**4 / 8) ** 2,
        GAP**4 / 2 + GAP**6 / 4,
    ),
    _mean(
        "k3-variance",
        "The variance of k3 is exp(m^2) - 1 - m^2.",
        (_K3 - _KL) ** 2,
        exp(GAP**2) - 1 - GAP**2,
    ),
    _mean(
        "ratio-variance",
        "chi2(reference||policy), the variance of r, is exp(m^2) - 1.",
        (exp(_LOG_R) - 1) ** 2,
        exp(GAP**2) - 1,
    ),
    _mean(
        "ratio-covariance",
        "Cov(k1, r) is -m^2, so the best lambda is m^2/(exp(m^2) - 1).",
        (_K1 - _KL) * (exp(_LOG_R) - 1),
        -(GAP**2),
    ),
)


def _variance_difference(square: Rational) -> Expr:
    """Var k3 - Var k1 at m^2 = square."""
    return exp(square) - 1 - square - square


_ORDER = (
    Theorem(
        "gaussian.k3-noisier",
        "At m^2 = 1.26 (KL = 0.63) k3 has the larger variance.",
        Instance(_variance_difference(Rational(126, 100)), {"m^2": "1.26"}),
        _CONDITIONS,
        _SOURCE,
        _FAMILY,
        refutes="k3 has always lower variance than k1",
    ),
    Theorem(
        "gaussian.k1-noisier",
        "At m^2 = 1.25 (KL = 0.625) k1 has the larger variance: the order changes near m^2 = 1.2564.",
        Instance(-_variance_difference(Rational(125, 100)), {"m^2": "1.25"}),
        _CONDITIONS,
        _SOURCE,
        _FAMILY,
    ),
)

_SCALE_P = Symbol("sigma_p", positive=True)
_SCALE_Q = Symbol("sigma_q", positive=True)
_MEAN_P = Symbol("mu_p", real=True)
_MEAN_Q = Symbol("mu_q", real=True)


def _log_density(mean: Expr, scale: Expr) -> Expr:
    return -((X - mean) ** 2) / (2 * scale**2) - log(scale)


def _second_difference(function: Expr) -> Expr:
    """f(x + 1) - 2 f(x) + f(x - 1): twice the leading coefficient of a quadratic."""
    return function.subs(X, X + 1) - 2 * function + function.subs(X, X - 1)


_TAILS = (
    Theorem(
        "gaussian.k3-tail",
        "For a Gaussian policy N(mu_q, sigma_q^2) and reference N(mu_p, sigma_p^2), the integrand reference^2/policy "
        "of k3's second moment is exp of a quadratic with leading coefficient 1/(2 sigma_q^2) - 1/sigma_p^2: the "
        "variance is finite exactly if sigma_q^2 > sigma_p^2/2, for any means.",
        Identity(
            _second_difference(2 * _log_density(_MEAN_P, _SCALE_P) - _log_density(_MEAN_Q, _SCALE_Q)),
            2 * (1 / (2 * _SCALE_Q**2) - 1 / _SCALE_P**2),
        ),
        ("Gaussian policy and reference",),
        "arXiv 2510.01555, with strict inequality",
        _FAMILY,
    ),
    Theorem(
        "gaussian.published-example",
        "For reference N(0, 1) and policy N(0.1, 0.2^2) the leading coefficient 1/(2 * 0.04) - 1 is positive: the "
        "variance of k3 is infinite, and no sample standard deviation of it is a number to reproduce.",
        Instance(1 / (2 * Rational(4, 100)) - 1, {"reference": "N(0, 1)", "policy": "N(0.1, 0.2^2)"}),
        ("Gaussian policy and reference",),
        "arXiv 2510.01555, numeric example",
        _FAMILY,
        refutes="the standard deviation of k3 in the example is 8.8244",
    ),
)

THEOREMS = (*_MOMENTS, *_ORDER, *_TAILS)
