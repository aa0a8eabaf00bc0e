"""What the estimators' values are: means, variances, covariances, and the control variate."""

from __future__ import annotations

from sympy import Rational, Symbol, log

from proofs.statements import K1, K3, Total, Value
from proofs.symbols import M, P, Q
from proofs.theorem import FINITE, FULL_SUPPORT, Theorem
from proofs.theorems.table import FORWARD_KL, REVERSE_KL

_FAMILY = "values"
_CONDITIONS = (FINITE, FULL_SUPPORT)
_SCHULMAN = "Schulman 2020"
RATIO = Q / P
"""r = reference/policy, Schulman's ratio."""
MISSED = Symbol("Q_out", nonnegative=True)
"""The reference's mass outside of the policy's support."""
_LAMBDA = Symbol("lambda", real=True)
_KL = Total(REVERSE_KL)
_REFERENCE_KL = Total(FORWARD_KL)
_CHI2_REFERENCE = Total((P - Q) ** 2 / P)
"""chi2(reference||policy)."""


def mean(x: object) -> Total:
    """E_policy of an expression in p and q."""
    return Total(P * x)


_MEANS = (
    Theorem(
        "k1-value",
        "k1 is an unbiased estimator of KL(policy||reference).",
        Value(mean(K1), _KL),
        _CONDITIONS,
        _SCHULMAN,
        _FAMILY,
    ),
    Theorem(
        "k3-value",
        "k3 is an unbiased estimator of KL(policy||reference).",
        Value(mean(K3), _KL),
        _CONDITIONS,
        _SCHULMAN,
        _FAMILY,
    ),
    Theorem(
        "k-lambda-value",
        "k1 + lambda (r - 1) is an unbiased estimator of KL(policy||reference) for every lambda.",
        Value(mean(K1 + _LAMBDA * (RATIO - 1)), _KL),
        _CONDITIONS,
        _SCHULMAN,
        _FAMILY,
    ),
    Theorem(
        "k3-value.missed-mass",
        "Where the policy is zero on tokens to which the reference gives the mass Q_out (top-p, top-k), E k3 is "
        "KL(policy||reference) - Q_out: biased.",
        Value(mean(K3), _KL - MISSED, {P: Rational(1), Q: 1 - MISSED, M: Rational(1)}),
        (FINITE, "sums over the policy's support; the reference has the mass 1 - Q_out there"),
        "arXiv 2510.01555, with its condition",
        _FAMILY,
        refutes="k3 is unbiased whatever the supports",
    ),
    Theorem(
        "weighted-k1-value",
        "Drawn from the sampler, rho k1 is an unbiased estimator of KL(policy||reference).",
        Value(Total(M * (P / M) * K1), _KL),
        _CONDITIONS,
        "importance sampling",
        _FAMILY,
    ),
    Theorem(
        "weighted-k3-value",
        "Drawn from the sampler, rho k3 is an unbiased estimator of KL(policy||reference).",
        Value(Total(M * (P / M) * K3), _KL),
        _CONDITIONS,
        "importance sampling",
        _FAMILY,
    ),
    Theorem(
        "ratio-mean",
        "E_policy[reference/policy] is 1.",
        Value(mean(RATIO), Rational(1)),
        _CONDITIONS,
        "normalisation",
        _FAMILY,
    ),
    Theorem(
        "sampler-divergence.value",
        "Drawn from the sampler, w - 1 - log w with w = policy/sampler has the mean KL(sampler||policy).",
        Value(Total(M * (P / M - 1 - log(P / M))), Total(M * log(M / P))),
        _CONDITIONS,
        "arXiv 2505.17508",
        _FAMILY,
    ),
)

_SPREAD = (
    Theorem(
        "k3-coefficient-variance",
        "The variance of k3's coefficient 1 - r under the policy is chi2(reference||policy).",
        Value(mean((1 - RATIO) ** 2) - mean(1 - RATIO) ** 2, _CHI2_REFERENCE),
        _CONDITIONS,
        "arXiv 2510.01555",
        _FAMILY,
    ),
    Theorem(
        "ratio-covariance",
        "Cov_policy(k1, r) is -(KL(policy||reference) + KL(reference||policy)).",
        Value(mean(K1 * RATIO) - mean(K1) * mean(RATIO), -_KL - _REFERENCE_KL),
        _CONDITIONS,
        "definition of the covariance",
        _FAMILY,
    ),
    Theorem(
        "control-variate",
        "The lambda of least variance of k1 + lambda (r - 1) is J / chi2(reference||policy) with J = "
        "KL(policy||reference) + KL(reference||policy): there the derivative of the variance vanishes.",
        Value(
            _CHI2_REFERENCE * (mean(K1 * RATIO) - mean(K1) * mean(RATIO))
            + (_KL + _REFERENCE_KL) * (mean(RATIO**2) - mean(RATIO) ** 2),
            Rational(0),
        ),
        _CONDITIONS,
        "control variates; Schulman 2020 asks for this lambda",
        _FAMILY,
    ),
    Theorem(
        "family-variance",
        "Var(k1 + lambda (r - 1)) = Var(k1) - 2 lambda J + lambda^2 chi2(reference||policy), J = "
        "KL(policy||reference) + KL(reference||policy).",
        Value(
            mean((K1 + _LAMBDA * (RATIO - 1)) ** 2) - mean(K1 + _LAMBDA * (RATIO - 1)) ** 2,
            mean(K1**2) - mean(K1) ** 2 - 2 * _LAMBDA * (_KL + _REFERENCE_KL) + _LAMBDA**2 * _CHI2_REFERENCE,
        ),
        _CONDITIONS,
        "definition of the variance",
        _FAMILY,
    ),
    Theorem(
        "weighted-mean-shift",
        "E_sampler[k3] - E_policy[k3] is the sum of (sampler - policy) k3: the bias of unweighted code.",
        Value(Total(M * K3) - mean(K3), Total((M - P) * K3)),
        _CONDITIONS,
        "arXiv 2510.01555, section 5",
        _FAMILY,
    ),
    Theorem(
        "chi2-expansion",
        "chi2(reference||policy) = E_policy[r^2] - 1.",
        Value(_CHI2_REFERENCE, mean(RATIO**2) - 1),
        _CONDITIONS,
        "Neyman 1949",
        _FAMILY,
    ),
)

_TOP_K = (
    Theorem(
        "generalised-kl.top-k",
        "Over a part of the vocabulary, the sum of policy log(policy/reference) - policy + reference differs from that "
        "of policy log(policy/reference) by the missing masses.",
        Value(
            Total(REVERSE_KL - P + Q),
            _KL - Symbol("P_in", positive=True) + Symbol("Q_in", positive=True),
            {P: Symbol("P_in", positive=True), Q: Symbol("Q_in", positive=True), M: Rational(1)},
        ),
        (FINITE, "sums over any part of the vocabulary, of mass P_in under the policy and Q_in under the reference"),
        "generalised Kullback-Leibler divergence",
        _FAMILY,
    ),
)

__all__ = ["THEOREMS"]
THEOREMS = (*_MEANS, *_SPREAD, *_TOP_K)
