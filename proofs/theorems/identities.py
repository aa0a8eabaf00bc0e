"""What holds for every estimator, and what holds sample by sample."""

from __future__ import annotations

from sympy import Expr, Integer, Max, Min, Symbol, log

from proofs.statements import (
    DK,
    K1,
    K2,
    K3,
    LOG_RATIO,
    RATIO,
    ExpectedGradient,
    Gradient,
    K,
    SampleGradient,
    Statement,
    sg,
)
from proofs.symbols import REWARD, THRESHOLD, M, P, Q
from proofs.theorem import USUAL, Theorem
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

_PAPER = "arXiv 2510.01555"
_ANY_K = K(LOG_RATIO)
_LIVE = P / sg(P)
"""The ratio rho on-policy, as code has it: exp(logp - logp.detach()), 1 in value and alive in gradient."""
LAMBDA = Symbol("lambda", real=True)
CONSTANT = Symbol("c", real=True)
K_LAMBDA = LOG_RATIO + LAMBDA * (Q / P - 1)
INVERTED_K3 = P / Q - 1 - LOG_RATIO
_CHI2_HALF = (P - Q) ** 2 / (2 * Q)


def _identity(
    name: str, words: str, statement: Statement, source: str = _PAPER, conditions: tuple[str, ...] = USUAL
) -> Theorem:
    return Theorem(name, words, statement, conditions, source, "identities")


def _same_sample(left: Expr, right: Expr) -> SampleGradient:
    return SampleGradient(left, right)


_FOR_ANY_ESTIMATOR = (
    _identity(
        "any-loss-is-a-reward.sample",
        "Any differentiable estimator k as loss is, sample by sample, its derivative k' with respect to log policy in "
        "reward: grad k = k'(L) s, whoever drew the token.",
        _same_sample(_ANY_K, in_reward(DK(LOG_RATIO))),
        f"{_PAPER}, section 4",
    ),
    _identity(
        "any-loss-is-a-reward.on-policy",
        "On-policy, the expected gradient of any differentiable estimator k as loss is that of k' in reward.",
        ExpectedGradient(Gradient(P, _ANY_K), Gradient(P, in_reward(DK(LOG_RATIO)))),
        f"{_PAPER}, section 4",
    ),
    _identity(
        "any-loss-is-a-reward.off-policy",
        "Off-policy without importance weight, the expected gradient of any differentiable k as loss is that of k' in "
        "reward, under the same sampler.",
        ExpectedGradient(Gradient(M, _ANY_K), Gradient(M, in_reward(DK(LOG_RATIO)))),
        f"{_PAPER}, section 4",
    ),
    _identity(
        "product-rule",
        "k in reward and k as loss together are the gradient of E_policy[k], for every differentiable estimator k.",
        from_policy(_ANY_K + in_reward(_ANY_K), P * _ANY_K),
        "log-derivative rule; arXiv 2512.21852",
    ),
    _identity(
        "product-rule.differentiated-weight",
        "Off-policy, any estimator with the differentiated weight rho has the gradient of E_policy[k].",
        from_sampler(RATIO * _ANY_K, P * _ANY_K),
        "change of measure",
    ),
    _identity(
        "detached-weight-is-on-policy",
        "With the detached weight sg(rho), any estimator as loss has off-policy the expected gradient that it has "
        "on-policy without one.",
        ExpectedGradient(Gradient(M, sg(RATIO) * _ANY_K), Gradient(P, _ANY_K)),
        "importance sampling",
    ),
    _identity(
        "surrogate.coefficient",
        "The PPO surrogate rho sg(k) with the coefficient k' has off-policy the expected gradient that k as loss has "
        "on-policy, while no clip is active.",
        ExpectedGradient(Gradient(M, RATIO * sg(DK(LOG_RATIO))), Gradient(P, _ANY_K)),
        f"{_PAPER}, section 5; arXiv 1707.06347, equation 6",
    ),
    _identity(
        "score-identity",
        "A coefficient that is the same for all tokens has zero expected gradient under the policy: a baseline changes "
        "nothing.",
        from_policy(in_reward(CONSTANT), Integer(0)),
        "Williams 1992",
    ),
    _identity(
        "baseline",
        "A constant added to the coefficient changes no expected gradient under the policy.",
        ExpectedGradient(Gradient(P, in_reward(_ANY_K + CONSTANT)), Gradient(P, in_reward(_ANY_K))),
        "Williams 1992",
    ),
    _identity(
        "reward-gradient",
        "The score-function surrogate sg(R) log policy has the gradient of E_policy[R].",
        from_policy(in_reward(REWARD), P * REWARD),
        "Williams 1992",
    ),
    _identity(
        "merged-advantage",
        "A penalty's coefficient may be merged into the advantage, rho sg(R - beta k'), or stand as a head of its own: "
        "without clipping the expected gradient is the same.",
        ExpectedGradient(
            Gradient(M, RATIO * sg(REWARD - Symbol("beta", positive=True) * DK(LOG_RATIO))),
            Gradient(M, RATIO * sg(REWARD) - sg(RATIO) * Symbol("beta", positive=True) * in_reward(DK(LOG_RATIO))),
        ),
        f"{_PAPER}, section 5",
    ),
)

_SAMPLEWISE = (
    _identity(
        "k1-reward-is-k2-loss.sample",
        "k1 in reward, computed from the current policy, and k2 as loss are the same random variable on every sample, "
        "for any sampler.",
        _same_sample(in_reward(K1), K2),
        f"{_PAPER}, theorem 5.1",
    ),
    _identity(
        "k1-reward-is-k2-loss.weighted-sample",
        "With the same importance weight, k1 in reward in the surrogate rho sg(k1) and k2 as loss with sg(rho) are the "
        "same random variable on every sample.",
        _same_sample(RATIO * sg(K1), sg(RATIO) * K2),
        f"{_PAPER}, theorem 5.1",
    ),
    _identity(
        "weighted-k3-is-k2.sample",
        "grad(rho k3) = grad(sg(rho) k2) = rho L s on every sample: k3 with a differentiated weight and k2 with a "
        "detached one are the same.",
        _same_sample(RATIO * K3, sg(RATIO) * K2),
        "arXiv 2512.02556, section 3.1 (DeepSeek-V3.2)",
    ),
    _identity(
        "weighted-k1.sample",
        "grad(rho k1) = rho (L + 1) s on every sample.",
        _same_sample(RATIO * K1, sg(RATIO) * in_reward(LOG_RATIO + 1)),
        "product rule",
    ),
    _identity(
        "live-ratio-k3.sample",
        "On-policy the weight exp(log p - sg(log p)) is 1 in value but not in gradient: k3 times it is k2 as loss on "
        "every sample, not k3 as loss.",
        _same_sample(_LIVE * K3, K2),
        "huggingface/trl, pull request 6503",
    ),
    _identity(
        "live-ratio-k3.on-policy",
        "On-policy, k3 times the live ratio exp(log p - sg(log p)) has the gradient of KL(policy||reference), where k3 "
        "alone has that of KL(reference||policy).",
        from_policy(_LIVE * K3, REVERSE_KL),
        "huggingface/trl, pull request 6503",
    ),
    _identity(
        "live-ratio-k1.on-policy",
        "On-policy, k1 times the live ratio exp(log p - sg(log p)) has the gradient of KL(policy||reference), where k1 "
        "alone has none.",
        from_policy(_LIVE * K1, REVERSE_KL),
        "change of measure",
    ),
    _identity(
        "live-ratio-k2.on-policy",
        "On-policy, k2 times the live ratio exp(log p - sg(log p)) has the gradient of E_policy[k2], not of "
        "KL(policy||reference).",
        from_policy(_LIVE * K2, MEAN_K2),
        "change of measure",
    ),
    _identity(
        "straight-through.sample",
        "The straight-through form k2 - sg(k2) + sg(k) has the value of k and, on every sample, the gradient of k2.",
        _same_sample(K2 - sg(K2) + sg(K3), K2),
        "verl, kl_penalty with a trailing '+'",
    ),
    _identity(
        "squared-log-ratio.sample",
        "The squared log-ratio without the factor 1/2 has twice the gradient of k2.",
        _same_sample(LOG_RATIO**2, in_reward(2 * LOG_RATIO)),
        "chain rule",
    ),
    _identity(
        "k3-as-loss.sample",
        "grad k3 = (1 - reference/policy) s on every sample.",
        _same_sample(K3, in_reward(1 - Q / P)),
        f"{_PAPER}, section 4",
    ),
)

_FAMILIES = (
    _identity(
        "k-lambda.differentiated",
        "k1 + lambda (r - 1) with the differentiated weight rho has the gradient of KL(policy||reference) for every "
        "lambda.",
        from_sampler(RATIO * K_LAMBDA, REVERSE_KL),
        "Schulman 2020; change of measure",
    ),
    _identity(
        "k-lambda.sample",
        "grad(rho k_lambda) = rho (L + 1 - lambda) s on every sample.",
        _same_sample(RATIO * K_LAMBDA, sg(RATIO) * in_reward(LOG_RATIO + 1 - LAMBDA)),
        "product rule",
    ),
    _identity(
        "k-lambda.on-policy",
        "k1 + lambda (r - 1) as loss has on-policy lambda times the gradient of KL(reference||policy).",
        from_policy(K_LAMBDA, LAMBDA * FORWARD_KL),
        "arXiv 2510.01555",
    ),
    _identity(
        "k2-plus-k1.on-policy",
        "k2 + c k1 as loss has the gradient of KL(policy||reference) for every c: k1 is a baseline.",
        from_policy(K2 + CONSTANT * K1, REVERSE_KL),
        "score identity",
    ),
    _identity(
        "k3-loss-and-reward.on-policy",
        "k3 in both reward and loss has the gradient of KL(policy||reference).",
        from_policy(K3 + in_reward(K3), REVERSE_KL),
        "arXiv 2512.21852, control experiment",
    ),
    _identity(
        "k2-loss-and-reward.on-policy",
        "k2 in both reward and loss has the gradient of E_policy[k2].",
        from_policy(K2 + in_reward(K2), MEAN_K2),
        "log-derivative rule",
    ),
    _identity(
        "inverted-k3.on-policy",
        "k3 with the ratio inverted, policy/reference - 1 - L, as loss has the gradient of "
        "1/2 chi2(policy||reference).",
        from_policy(INVERTED_K3, _CHI2_HALF),
        "chain rule",
    ),
    _identity(
        "inverted-k3.detached",
        "Off-policy with sg(rho), k3 with the ratio inverted still has the gradient of 1/2 chi2(policy||reference).",
        from_sampler(sg(RATIO) * INVERTED_K3, _CHI2_HALF),
        "importance sampling",
    ),
)

_TO_THE_SAMPLER = (
    _identity(
        "to-sampler.k3",
        "Where the sampler itself is the fixed reference, w - 1 - log w with w = policy/sampler as loss has the "
        "gradient of KL(sampler||policy): plain autograd is right.",
        from_sampler(RATIO - 1 - log(RATIO), SAMPLER_POLICY_KL),
        "arXiv 2505.17508, UFKL",
    ),
    _identity(
        "to-sampler.reverse",
        "w log w - w + 1 with w = policy/sampler as loss, drawn from the sampler, has the gradient of "
        "KL(policy||sampler).",
        from_sampler(RATIO * log(RATIO) - RATIO + 1, POLICY_SAMPLER_KL),
        "arXiv 2505.17508, URKL",
    ),
    _identity(
        "to-sampler.normalised-reverse",
        "w log w with w = policy/sampler as loss, drawn from the sampler, has the gradient of KL(policy||sampler) too.",
        from_sampler(RATIO * log(RATIO), POLICY_SAMPLER_KL),
        "arXiv 2505.17508, RKL",
    ),
    _identity(
        "to-sampler.k1",
        "log w with w = policy/sampler as loss, drawn from the sampler, has the gradient of -KL(sampler||policy): it "
        "drives the policy away from the sampler.",
        from_sampler(log(RATIO), -SAMPLER_POLICY_KL),
        "PrimeIntellect-ai/prime-rl, issue 1390",
    ),
    _identity(
        "to-sampler.negated-k1",
        "-log w with w = policy/sampler as loss, drawn from the sampler, has the gradient of KL(sampler||policy).",
        from_sampler(-log(RATIO), SAMPLER_POLICY_KL),
        "arXiv 2505.17508, FKL",
    ),
)

_TRUNCATED = (
    _identity(
        "truncated-weight.k1-loss",
        "With the truncated weight min(rho, C) k1 as loss is no longer null: its expected gradient is "
        "-sum (policy - C sampler)_+ s.",
        ExpectedGradient(
            Gradient(M, sg(Min(RATIO, THRESHOLD)) * K1),
            Gradient(-Max(P - THRESHOLD * M, 0), log(P)),
        ),
        "score identity",
    ),
    _identity(
        "truncated-weight.reward-constant",
        "With the truncated weight min(rho, C) a constant c added to the reward changes the expected gradient by "
        "-c sum (policy - C sampler)_+ s.",
        ExpectedGradient(
            Gradient(M, sg(Min(RATIO, THRESHOLD)) * in_reward(REWARD + CONSTANT)),
            Gradient(
                Integer(1),
                sg(M * Min(RATIO, THRESHOLD)) * in_reward(REWARD) - CONSTANT * sg(Max(P - THRESHOLD * M, 0)) * log(P),
            ),
        ),
        "score identity",
    ),
)

THEOREMS = (*_FOR_ANY_ESTIMATOR, *_SAMPLEWISE, *_FAMILIES, *_TO_THE_SAMPLER, *_TRUNCATED)
