"""False statements, one for each way to get this wrong: every engine has to refuse them.

They are what a wrong sign, a swapped argument, a forgotten weight or a misplaced detach amounts to.
None is true for some other reading of its words: each has a counterexample, which the ledger shows.
"""

from __future__ import annotations

from sympy import Integer, Rational, exp, log

from proofs.statements import (
    DK,
    K1,
    K2,
    K3,
    LOG_RATIO,
    RATIO,
    DerivativeAt,
    ExpectedGradient,
    Gradient,
    Identity,
    Inequality,
    Instance,
    K,
    SampleGradient,
    Statement,
    Stationary,
    Total,
    Value,
    sg,
)
from proofs.symbols import BETA, REWARD, L, M, P, Q, U
from proofs.theorem import USUAL, Theorem
from proofs.theorems.fixed_points import MULTIPLIER
from proofs.theorems.identities import INVERTED_K3, LAMBDA
from proofs.theorems.table import (
    FORWARD_KL,
    MEAN_K2,
    POLICY_SAMPLER_KL,
    REVERSE_KL,
    SAMPLER_POLICY_KL,
    from_policy,
    from_sampler,
    in_reward,
)

_FAMILY = "false statements"


def _false(name: str, words: str, statement: Statement, why: str) -> Theorem:
    return Theorem(f"false.{name}", words, statement, USUAL, why, _FAMILY, holds=False)


_ON_POLICY = (
    _false(
        "k3-loss-is-reverse-kl",
        "k3 as loss has on-policy the gradient of KL(policy||reference).",
        from_policy(K3, REVERSE_KL),
        "it has that of KL(reference||policy)",
    ),
    _false(
        "k2-loss-is-forward-kl",
        "k2 as loss has on-policy the gradient of KL(reference||policy).",
        from_policy(K2, FORWARD_KL),
        "the two directions swapped",
    ),
    _false(
        "k1-loss-is-reverse-kl",
        "k1 as loss has on-policy the gradient of KL(policy||reference), whose value it estimates.",
        from_policy(K1, REVERSE_KL),
        "value taken for gradient",
    ),
    _false(
        "k2-loss-is-mean-k2",
        "k2 as loss has on-policy the gradient of E_policy[k2].",
        from_policy(K2, MEAN_K2),
        "the sampling is not differentiated",
    ),
    _false(
        "k3-reward-is-reverse-kl",
        "k3 in reward has on-policy the gradient of KL(policy||reference).",
        from_policy(in_reward(K3), REVERSE_KL),
        "value taken for gradient",
    ),
    _false(
        "k2-reward-is-reverse-kl",
        "k2 in reward has on-policy the gradient of KL(policy||reference).",
        from_policy(in_reward(K2), REVERSE_KL),
        "value taken for gradient",
    ),
    _false(
        "sign",
        "k1 in reward has on-policy the gradient of -KL(policy||reference).",
        from_policy(in_reward(K1), -REVERSE_KL),
        "a wrong sign",
    ),
    _false(
        "factor-two",
        "L^2 as loss has on-policy the gradient of KL(policy||reference).",
        from_policy(LOG_RATIO**2, REVERSE_KL),
        "the 1/2 of k2 forgotten",
    ),
    _false(
        "swapped-arguments",
        "k3 of the swapped log-probabilities as loss has on-policy the gradient of KL(reference||policy).",
        from_policy(INVERTED_K3, FORWARD_KL),
        "it has that of 1/2 chi2(policy||reference)",
    ),
    _false(
        "live-ratio-is-a-no-op",
        "On-policy, k3 times exp(log p - sg(log p)) has the gradient of k3 alone: the ratio is 1.",
        ExpectedGradient(Gradient(P, P / sg(P) * K3), Gradient(P, K3)),
        "1 in value, not in gradient",
    ),
    _false(
        "k-lambda-loss-is-reverse-kl",
        "k1 + lambda (r - 1) as loss has on-policy the gradient of KL(policy||reference) for every lambda.",
        from_policy(LOG_RATIO + LAMBDA * (Q / P - 1), REVERSE_KL),
        "the weight forgotten",
    ),
    _false(
        "any-loss-is-its-own-reward",
        "Every k as loss has on-policy the expected gradient of k in reward.",
        ExpectedGradient(Gradient(P, K(LOG_RATIO)), Gradient(P, in_reward(K(LOG_RATIO)))),
        "k' is the coefficient, not k",
    ),
    _false(
        "product-rule-without-score",
        "k as loss has on-policy the gradient of E_policy[k].",
        from_policy(K(LOG_RATIO), P * K(LOG_RATIO)),
        "the sampling is not differentiated",
    ),
    _false(
        "k2-loss-is-chi2",
        "k2 as loss has on-policy the gradient of 1/2 chi2(policy||reference).",
        from_policy(K2, (P - Q) ** 2 / (2 * Q)),
        "equal to second order only",
    ),
)

_OFF_POLICY = (
    _false(
        "k1-off-policy-zero",
        "k1 as loss without importance weight has zero expected gradient off-policy.",
        from_sampler(K1, Integer(0)),
        "the score identity needs the policy's own samples",
    ),
    _false(
        "k1-off-policy-sign",
        "k1 as loss without importance weight has off-policy the gradient of KL(sampler||policy).",
        from_sampler(K1, SAMPLER_POLICY_KL),
        "a wrong sign: descending it un-learns the samples",
    ),
    _false(
        "k2-uncorrected-is-reverse-kl",
        "k2 as loss without importance weight has off-policy the gradient of KL(policy||reference).",
        from_sampler(K2, REVERSE_KL),
        "the weight forgotten",
    ),
    _false(
        "k3-uncorrected-is-forward-kl",
        "k3 as loss without importance weight has off-policy the gradient of KL(reference||policy).",
        from_sampler(K3, FORWARD_KL),
        "the weight forgotten",
    ),
    _false(
        "k3-detached-weight-is-reverse-kl",
        "k3 as loss with the detached weight has off-policy the gradient of KL(policy||reference).",
        from_sampler(sg(RATIO) * K3, REVERSE_KL),
        "k3 needs the differentiated weight",
    ),
    _false(
        "k1-detached-weight-is-reverse-kl",
        "k1 as loss with the detached weight has off-policy the gradient of KL(policy||reference).",
        from_sampler(sg(RATIO) * K1, REVERSE_KL),
        "k1 needs the differentiated weight",
    ),
    _false(
        "k2-differentiated-weight-is-reverse-kl",
        "k2 as loss with the differentiated weight has off-policy the gradient of KL(policy||reference).",
        from_sampler(RATIO * K2, REVERSE_KL),
        "k2 needs the detached weight",
    ),
    _false(
        "k3-differentiated-weight-is-forward-kl",
        "k3 as loss with the differentiated weight has off-policy the gradient of KL(reference||policy).",
        from_sampler(RATIO * K3, FORWARD_KL),
        "it has that of KL(policy||reference)",
    ),
    _false(
        "inverted-weight",
        "k2 as loss with the weight sampler/policy, detached, has off-policy the gradient of KL(policy||reference).",
        from_sampler(sg(M / P) * K2, REVERSE_KL),
        "the importance ratio inverted",
    ),
    _false(
        "stale-reward-is-reverse-kl",
        "k1 in reward with the log-ratio of rollout time and importance weight has the gradient of "
        "KL(policy||reference).",
        from_sampler(RATIO * sg(log(M / Q)), REVERSE_KL),
        "it misses that of KL(policy||sampler)",
    ),
    _false(
        "stale-reward-wrong-anchor",
        "k1 in reward with the log-ratio of rollout time and importance weight has the gradient of "
        "KL(policy||reference) + KL(policy||sampler).",
        from_sampler(RATIO * sg(log(M / Q)), REVERSE_KL + POLICY_SAMPLER_KL),
        "a wrong sign",
    ),
    _false(
        "to-sampler-k1",
        "log(policy/sampler) as loss, drawn from the sampler, has the gradient of KL(sampler||policy).",
        from_sampler(log(RATIO), SAMPLER_POLICY_KL),
        "PrimeIntellect-ai/prime-rl, issue 1390",
    ),
    _false(
        "surrogate-with-value",
        "The surrogate rho sg(k), with the value of k and not its derivative, has off-policy the gradient that k as "
        "loss has on-policy.",
        ExpectedGradient(Gradient(M, RATIO * sg(K(LOG_RATIO))), Gradient(P, K(LOG_RATIO))),
        "the coefficient is k'",
    ),
)

_SAMPLES = (
    _false(
        "k1-reward-is-k3-loss.sample",
        "k1 in reward and k3 as loss are the same random variable.",
        SampleGradient(in_reward(K1), K3),
        "1 - exp(-L) is not L",
    ),
    _false(
        "weighted-k3-detached.sample",
        "grad(sg(rho) k3) = grad(sg(rho) k2) on every sample.",
        SampleGradient(sg(RATIO) * K3, sg(RATIO) * K2),
        "the weight has to be differentiated",
    ),
    _false(
        "straight-through-of-value.sample",
        "k2 - sg(k2) + sg(k3) has the gradient of k3 on every sample.",
        SampleGradient(K2 - sg(K2) + sg(K3), K3),
        "it has that of k2",
    ),
    _false(
        "baseline-on-a-sample",
        "A constant added to the coefficient changes nothing on any sample.",
        SampleGradient(in_reward(DK(LOG_RATIO) + 1), in_reward(DK(LOG_RATIO))),
        "it changes nothing in expectation",
    ),
)

_VALUES = (
    _false(
        "k2-value",
        "k2 is an unbiased estimator of KL(policy||reference).",
        Value(Total(P * K2), Total(REVERSE_KL)),
        "it is biased",
    ),
    _false(
        "k3-value-off-policy",
        "Drawn from the sampler without weight, k3 is an unbiased estimator of KL(policy||reference).",
        Value(Total(M * K3), Total(REVERSE_KL)),
        "the weight forgotten",
    ),
    _false(
        "variance-direction",
        "The variance of k3's coefficient is chi2(policy||reference).",
        Value(Total(P * (1 - Q / P) ** 2), Total((P - Q) ** 2 / Q)),
        "it is chi2(reference||policy)",
    ),
    _false(
        "covariance-sign",
        "Cov(k1, r) is KL(policy||reference) + KL(reference||policy).",
        Value(
            Total(P * LOG_RATIO * Q / P) - Total(P * LOG_RATIO) * Total(Q),
            Total(REVERSE_KL) + Total(FORWARD_KL),
        ),
        "a wrong sign",
    ),
    _false(
        "symmetric-divergence",
        "KL(policy||reference) = KL(reference||policy).",
        Value(Total(REVERSE_KL), Total(FORWARD_KL)),
        "the two directions differ",
    ),
)

_SCALARS = (
    _false(
        "bias-is-second-order",
        "The bias of k3's coefficient is exactly L^2/2.",
        Identity(L - (1 - exp(-L)), L**2 / 2),
        "equal to second order only",
    ),
    _false(
        "k3-coefficient-above",
        "k3's coefficient is above L for L > 0.",
        Inequality(1 - exp(-L) - L, L, Integer(0)),
        "a wrong sign",
    ),
    _false(
        "k3-coefficient-bounded-below",
        "k3's coefficient stays above -1000.",
        Inequality(1 - exp(-L) + 1000, L),
        "fails only far in the tail",
    ),
    _false(
        "k3-strictly-positive",
        "k3 is positive everywhere.",
        Inequality(exp(-L) - 1 + L, L),
        "it is 0 at L = 0",
    ),
    _false(
        "k2-reward-convex",
        "The generator u (log(u)^2/2 - log u + 1) - 1 of k2 in reward is convex.",
        Inequality(log(U) / U, U, Integer(0)),
        "it is concave for u < 1",
    ),
    _false(
        "k2-reward-stiff",
        "The coefficient of k2 in reward has slope 1 at L = 0.",
        DerivativeAt(L**2 / 2, L, Integer(0), Integer(1)),
        "its slope there is 0",
    ),
    _false(
        "k3-always-quieter",
        "At m^2 = 1.3 the variance of k3 is below that of k1.",
        Instance(2 * Rational(13, 10) - (exp(Rational(13, 10)) - 1), {"m^2": "1.3"}),
        "true below m^2 = 1.2564 only",
    ),
)

_RESTS = (
    _false(
        "k3-fixed-point-is-boltzmann",
        "With k3 as loss the policy reference exp(R/beta)/Z is a fixed point.",
        Stationary(Q * exp(REWARD / BETA), REWARD - BETA * (1 - Q / P)),
        "its fixed point is beta reference/(Lambda - R)",
    ),
    _false(
        "k1-fixed-point-is-polynomial",
        "With k1 in reward the policy beta reference/(Lambda - R) is a fixed point.",
        Stationary(BETA * Q / (MULTIPLIER - REWARD), REWARD - BETA * LOG_RATIO),
        "its fixed point is the Boltzmann policy",
    ),
)

THEOREMS = (*_ON_POLICY, *_OFF_POLICY, *_SAMPLES, *_VALUES, *_SCALARS, *_RESTS)
