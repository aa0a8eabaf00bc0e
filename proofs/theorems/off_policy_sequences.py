"""Whole answers drawn from the sampler: what each importance weight corrects, and what it leaves.

rho_t is policy/sampler of one token, c_t the product of rho up to and with token t, w the product
over the whole answer. A detached weight corrects the token-level gradient; only a differentiated
weight that reaches over the whole prefix brings back how a token changes the prefixes after it.
"""

from __future__ import annotations

from collections.abc import Callable

from sympy import Add, Expr, Mul, log

from proofs.statements import SequenceGradient, SequenceValue, Statement, Surrogate, log_ratios, ratios, sg
from proofs.symbols import LENGTH, M, P, divergence_symbol, log_policy_symbol
from proofs.theorem import USUAL, Theorem
from proofs.theorems.sequences import (
    DIVERGENCES,
    ENDS,
    REFERENCE_DIVERGENCES,
    SEQUENCE_KL,
    SEQUENCE_REFERENCE_KL,
    each,
    k1,
    k2,
    k3,
    log_ratio_sum,
    nothing,
    of_answer,
    rewarded,
    scores,
    tokens,
)

_FAMILY = "sequences off-policy"
_DERIVED = "the project's own derivation"
_SAMPLING = "importance sampling"
_OPEN = "left open by arXiv 2512.21852, section 3; the project's own derivation"

Weight = Callable[[int, int], Expr]
"""From a position and the horizon to the weight there."""


def own(t: int, horizon: int) -> Expr:
    """rho_t, the weight of the token alone."""
    return ratios(horizon)[t]


def cumulative(t: int, horizon: int) -> Expr:
    """c_t, the product of rho up to and with token t."""
    return Mul(*ratios(horizon)[: t + 1])


def before(t: int, horizon: int) -> Expr:
    """c_{t-1}, the product of rho over the tokens before t."""
    return Mul(*ratios(horizon)[:t])


def whole(_t: int, horizon: int) -> Expr:
    """w, the product of rho over the whole answer."""
    return Mul(*ratios(horizon))


def mean_ratio(_t: int, horizon: int) -> Expr:
    """The geometric mean of rho over the answer, exp(mean log rho)."""
    return Mul(*(rho ** (1 / LENGTH) for rho in ratios(horizon)))


def live(weight: Weight, k: Callable[[Expr], Expr]) -> Surrogate:
    """Return sum_t weight_t k(L_t), the weight differentiated."""
    return each(lambda t, horizon: weight(t, horizon) * k(log_ratios(horizon)[t]))


def detached(weight: Weight, k: Callable[[Expr], Expr]) -> Surrogate:
    """Return sum_t sg(weight_t) k(L_t)."""
    return each(lambda t, horizon: sg(weight(t, horizon)) * k(log_ratios(horizon)[t]))


def weighted(surrogate: Surrogate) -> Surrogate:
    """Return w times the surrogate, the weight differentiated."""
    return lambda horizon: whole(0, horizon) * surrogate(horizon)


def weighted_detached(surrogate: Surrogate) -> Surrogate:
    """Return sg(w) times the surrogate."""
    return lambda horizon: sg(whole(0, horizon)) * surrogate(horizon)


def sampler_ratio_sum(horizon: int) -> Expr:
    """sum_t log(sampler/reference): the log ratio as it was when the answer was drawn."""
    return Add(*(x - log(rho) for x, rho in zip(log_ratios(horizon), ratios(horizon), strict=True)))


RAO_BLACKWELL = each(
    lambda t, horizon: sg(before(t, horizon)) * (divergence_symbol(t) + sg(divergence_symbol(t)) * scores(*range(t)))
)
"""sum_t c_{t-1} (grad KL_t + KL_t times the scores before t)."""


def off_policy(left: Surrogate, right: Surrogate, right_drawn_from: object = P) -> SequenceGradient:
    """Return: drawn from the sampler, `left` has the expected gradient that `right` has, drawn as said."""
    return SequenceGradient(left, M, right, M if right_drawn_from is M else P)


def _theorem(name: str, words: str, statement: Statement, source: str = _DERIVED, *conditions: str) -> Theorem:
    return Theorem(f"off-policy.{name}", words, statement, (*USUAL, *conditions), source, _FAMILY)


_VALUES = (
    _theorem(
        "value.cumulative-k1",
        "Drawn from the sampler, sum_t c_t k1 is an unbiased estimator of KL(policy||reference) of whole answers.",
        SequenceValue(live(cumulative, k1), M, log_ratio_sum, P),
        _SAMPLING,
    ),
    _theorem(
        "value.cumulative-k3",
        "Drawn from the sampler, sum_t c_t k3 is an unbiased estimator of KL(policy||reference) of whole answers.",
        SequenceValue(live(cumulative, k3), M, log_ratio_sum, P),
        _SAMPLING,
    ),
    _theorem(
        "value.whole-k3",
        "Drawn from the sampler, the answer's ratio w times sum_t k3 is an unbiased estimator of "
        "KL(policy||reference) of whole answers.",
        SequenceValue(weighted(tokens(k3)), M, log_ratio_sum, P),
        _SAMPLING,
    ),
    _theorem(
        "value.rao-blackwell",
        "Drawn from the sampler, sum_t c_{t-1} KL(policy||reference)_t has the mean KL(policy||reference) of whole "
        "answers.",
        SequenceValue(
            each(lambda t, horizon: before(t, horizon) * divergence_symbol(t)),
            M,
            log_ratio_sum,
            P,
        ),
        "arXiv 2504.10637, off-policy",
    ),
    _theorem(
        "value.token-k3",
        "Drawn from the sampler, sum_t rho_t k3 has the mean of KL(policy||reference)_t summed over prefixes of the "
        "sampler.",
        SequenceValue(live(own, k3), M, DIVERGENCES, M),
        _SAMPLING,
    ),
)

_TOKEN_WEIGHT = (
    _theorem(
        "token-weight.k3-live",
        "rho_t k3, differentiated, has the gradients of KL(policy||reference)_t on prefixes of the sampler: right for "
        "each next token, on the wrong prefixes, without later terms.",
        off_policy(live(own, k3), DIVERGENCES, M),
        "arXiv 2512.02556",
    ),
    _theorem(
        "token-weight.k1-live",
        "rho_t k1, differentiated, has the gradients of KL(policy||reference)_t on prefixes of the sampler.",
        off_policy(live(own, k1), DIVERGENCES, M),
    ),
    _theorem(
        "token-weight.k2-detached",
        "sg(rho_t) k2 has the gradients of KL(policy||reference)_t on prefixes of the sampler.",
        off_policy(detached(own, k2), DIVERGENCES, M),
    ),
    _theorem(
        "token-weight.k3-detached",
        "sg(rho_t) k3 has the gradients of KL(reference||policy)_t on prefixes of the sampler.",
        off_policy(detached(own, k3), REFERENCE_DIVERGENCES, M),
    ),
)

_DETACHED = (
    _theorem(
        "cumulative-detached.k2",
        "sg(c_t) k2 summed over the tokens has the on-policy token-level gradient, that of KL(policy||reference)_t on "
        "prefixes of the policy, held fixed.",
        off_policy(detached(cumulative, k2), DIVERGENCES),
    ),
    _theorem(
        "cumulative-detached.k3",
        "sg(c_t) k3 summed over the tokens has the gradient of KL(reference||policy)_t on prefixes of the policy, held "
        "fixed.",
        off_policy(detached(cumulative, k3), REFERENCE_DIVERGENCES),
    ),
    _theorem(
        "prefix-detached.k3",
        "sg(c_{t-1}) rho_t k3, the token's own weight differentiated, has the on-policy token-level gradient.",
        off_policy(
            each(
                lambda t, horizon: sg(before(t, horizon)) * own(t, horizon) * k3(log_ratios(horizon)[t]),
            ),
            DIVERGENCES,
        ),
    ),
    _theorem(
        "whole-detached.k2",
        "The answer's ratio, detached, times the token sum of k2 has the on-policy token-level gradient.",
        off_policy(weighted_detached(tokens(k2)), DIVERGENCES),
        _SAMPLING,
    ),
    _theorem(
        "whole-detached.k1",
        "The answer's ratio, detached, times the token sum of k1 has zero expected gradient.",
        off_policy(weighted_detached(log_ratio_sum), nothing),
        "score identity",
    ),
    _theorem(
        "whole-detached.sequence-k2",
        "The answer's ratio, detached, times k2 of the whole answer has the gradient of KL(policy||reference)_seq.",
        off_policy(weighted_detached(of_answer(k2)), SEQUENCE_KL),
        _SAMPLING,
    ),
    _theorem(
        "whole-detached.sequence-k3",
        "The answer's ratio, detached, times k3 of the whole answer has the gradient of KL(reference||policy)_seq.",
        off_policy(weighted_detached(of_answer(k3)), SEQUENCE_REFERENCE_KL),
        _SAMPLING,
    ),
)

_LIVE = (
    _theorem(
        "cumulative-live.k1",
        "c_t k1 summed over the tokens, the weight differentiated, has the gradient of KL(policy||reference)_seq.",
        off_policy(live(cumulative, k1), SEQUENCE_KL),
        _OPEN,
    ),
    _theorem(
        "cumulative-live.k3",
        "c_t k3 summed over the tokens, the weight differentiated, has the gradient of KL(policy||reference)_seq.",
        off_policy(live(cumulative, k3), SEQUENCE_KL),
        _OPEN,
    ),
    _theorem(
        "cumulative-live.k3-sample",
        "The gradient of sum_t c_t k3 is sum_t c_t (L_t s_t + k3 times the scores before t): that form, coded by hand, "
        "has the gradient of KL(policy||reference)_seq.",
        off_policy(
            each(
                lambda t, horizon: (
                    sg(cumulative(t, horizon))
                    * (
                        sg(log_ratios(horizon)[t]) * log_policy_symbol(t)
                        + sg(k3(log_ratios(horizon)[t])) * scores(*range(t))
                    )
                )
            ),
            SEQUENCE_KL,
        ),
        _OPEN,
    ),
    _theorem(
        "cumulative-reward-to-go",
        "k1 in reward as return-to-go, each token's k1 with its cumulative weight, detached, has the gradient of "
        "KL(policy||reference)_seq.",
        off_policy(
            rewarded(
                lambda t, horizon: Add(*(cumulative(i, horizon) * log_ratios(horizon)[i] for i in range(t, horizon)))
            ),
            SEQUENCE_KL,
        ),
        "per-decision importance sampling, Precup et al. 2000",
    ),
    _theorem(
        "whole-live.k1",
        "The answer's ratio times the token sum of k1, the ratio differentiated, has the gradient of "
        "KL(policy||reference)_seq.",
        off_policy(weighted(log_ratio_sum), SEQUENCE_KL),
        _SAMPLING,
    ),
    _theorem(
        "whole-live.k3",
        "The answer's ratio times the token sum of k3, the ratio differentiated, has the gradient of "
        "KL(policy||reference)_seq.",
        off_policy(weighted(tokens(k3)), SEQUENCE_KL),
        _SAMPLING,
    ),
    _theorem(
        "whole-live.sequence-k3",
        "The answer's ratio times k3 of the whole answer, the ratio differentiated, has the gradient of "
        "KL(policy||reference)_seq.",
        off_policy(weighted(of_answer(k3)), SEQUENCE_KL),
        _SAMPLING,
    ),
    _theorem(
        "rao-blackwell",
        "sum_t c_{t-1} (grad KL(policy||reference)_t + KL(policy||reference)_t times the scores before t) has the "
        "gradient of KL(policy||reference)_seq.",
        off_policy(RAO_BLACKWELL, SEQUENCE_KL),
        "arXiv 2504.10637, off-policy",
    ),
)

_OTHERS = (
    _theorem(
        "stale-reward",
        "k1 in reward with the log ratio of rollout time, log(sampler/reference), and the answer's ratio has the "
        "gradient of KL(policy||reference)_seq - KL(policy||sampler)_seq.",
        off_policy(
            lambda horizon: whole(0, horizon) * sg(sampler_ratio_sum(horizon)),
            weighted(sampler_ratio_sum),
            M,
        ),
        "arXiv 2510.01555",
    ),
    _theorem(
        "sequence-weight.k3",
        "The geometric mean of the ratios over the answer, broadcast on the k3 of every token and differentiated, has "
        "the gradient of the detached weight times k3 plus the extra term E[weight (sum_t k3) grad mean log policy].",
        SequenceGradient(
            live(mean_ratio, k3),
            M,
            lambda horizon: (
                detached(mean_ratio, k3)(horizon)
                + sg(mean_ratio(0, horizon) * tokens(k3)(horizon)) * scores(*range(horizon)) / LENGTH
            ),
            M,
            variable_length=True,
        ),
        "huggingface/trl issue 6586",
        ENDS,
    ),
)

THEOREMS = (*_VALUES, *_TOKEN_WEIGHT, *_DETACHED, *_LIVE, *_OTHERS)
