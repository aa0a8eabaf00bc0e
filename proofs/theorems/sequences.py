"""Whole answers, on-policy: what sums over tokens, sequence estimators and returns have as gradients.

Two objectives have to be told apart. The divergence of whole answers, KL(policy||reference)_seq, is
E_policy[sum_t L_t], and its gradient sees how every token changes the prefixes that come after it.
The token-level field, sum_t grad KL(policy||reference)_t, holds the prefixes fixed.
"""

from __future__ import annotations

from collections.abc import Callable

from sympy import Add, Expr, Integer, Mul, Symbol, exp

from proofs.statements import SequenceGradient, SequenceValue, Statement, Surrogate, gradient_of_mean, log_ratios, sg
from proofs.symbols import LENGTH, P, divergence_symbol, log_policy_symbol, reference_divergence_symbol
from proofs.theorem import USUAL, Theorem

_FAMILY = "sequences"
_PAPER = "arXiv 2510.01555, section on sequences"
_RETURNS = "policy gradient theorem, Sutton et al. 2000"
_RAO_BLACKWELL = "arXiv 2504.10637"
_DERIVED = "the project's own derivation"
ENDS = "answers end at an end token or after T tokens"
DIVISOR = Symbol("d", positive=True)
"""A divisor that is the same for every answer, such as the longest length allowed."""


def k1(log_ratio: Expr) -> Expr:
    """k1 = L."""
    return log_ratio


def k2(log_ratio: Expr) -> Expr:
    """k2 = L^2/2."""
    return log_ratio**2 / 2


def k3(log_ratio: Expr) -> Expr:
    """k3 = exp(-L) - 1 + L."""
    return exp(-log_ratio) - 1 + log_ratio


def log_ratio_sum(horizon: int) -> Expr:
    """sum_t L_t: the log ratio of the whole answer."""
    return Add(*log_ratios(horizon))


def scores(*positions: int) -> Expr:
    """The sum of log policy over some positions: its gradient is the sum of their scores."""
    return Add(*(log_policy_symbol(t) for t in positions))


def each(term: Callable[[int, int], Expr]) -> Surrogate:
    """Return sum_t term(t, T)."""
    return lambda horizon: Add(*(term(t, horizon) for t in range(horizon)))


def tokens(k: Callable[[Expr], Expr]) -> Surrogate:
    """Return sum_t k(L_t)."""
    return each(lambda t, horizon: k(log_ratios(horizon)[t]))


def rewarded(penalty: Callable[[int, int], Expr]) -> Surrogate:
    """Return sum_t sg(penalty(t, T)) log p_t: the penalty of position t sits in its reward or return."""
    return each(lambda t, horizon: sg(penalty(t, horizon)) * log_policy_symbol(t))


def to_go(k: Callable[[Expr], Expr], after: int = 0) -> Callable[[int, int], Expr]:
    """Return the sum of k over the positions from t + `after` on."""
    return lambda t, horizon: Add(*(k(x) for x in log_ratios(horizon)[t + after :]))


def plus(*surrogates: Surrogate) -> Surrogate:
    """Return the sum of surrogates."""
    return lambda horizon: Add(*(surrogate(horizon) for surrogate in surrogates))


def minus(left: Surrogate, right: Surrogate) -> Surrogate:
    """Return the difference of surrogates."""
    return lambda horizon: left(horizon) - right(horizon)


def nothing(_horizon: int) -> Expr:
    """Return 0."""
    return Integer(0)


def of_answer(k: Callable[[Expr], Expr]) -> Surrogate:
    """Return k of the whole answer's log ratio."""
    return lambda horizon: k(log_ratio_sum(horizon))


def normalised(surrogate: Surrogate) -> Surrogate:
    """Return the surrogate divided by the answer's length."""
    return lambda horizon: surrogate(horizon) / LENGTH


def forward_value(horizon: int) -> Expr:
    """-exp(-L) L of the whole answer: drawn from the policy its mean is KL(reference||policy)_seq."""
    return -exp(-log_ratio_sum(horizon)) * log_ratio_sum(horizon)


def reference_weight(t: int, horizon: int) -> Expr:
    """reference/policy of the first t tokens."""
    return Mul(*(exp(-x) for x in log_ratios(horizon)[:t]))


DIVERGENCES = each(lambda t, _: divergence_symbol(t))
"""sum_t KL(policy||reference)_t: as loss, the full-vocabulary divergence with the prefixes as drawn."""
REFERENCE_DIVERGENCES = each(lambda t, _: reference_divergence_symbol(t))
"""sum_t KL(reference||policy)_t."""
SEQUENCE_KL = gradient_of_mean(log_ratio_sum)
"""grad KL(policy||reference)_seq = grad E_policy[sum_t L_t]."""
SEQUENCE_REFERENCE_KL = gradient_of_mean(forward_value)
"""grad KL(reference||policy)_seq."""
RAO_BLACKWELL = each(lambda t, _: divergence_symbol(t) + sg(divergence_symbol(t)) * scores(*range(t)))
"""sum_t (grad KL_t + KL_t times the scores before t)."""
NORMALISED_K1 = normalised(log_ratio_sum)
INVERSE_LENGTH = gradient_of_mean(lambda _: 1 / LENGTH)
"""grad E_policy[1/N]."""
_LATER_DIVERGENCES = rewarded(lambda t, horizon: Add(*(divergence_symbol(i) for i in range(t + 1, horizon))))


def on_policy(left: Surrogate, right: Surrogate, variable_length: bool = False) -> SequenceGradient:
    """Return: drawn from the policy, both surrogates have the same expected gradient."""
    return SequenceGradient(left, P, right, P, variable_length)


def _theorem(name: str, words: str, statement: Statement, source: str = _DERIVED, *conditions: str) -> Theorem:
    return Theorem(f"sequence.{name}", words, statement, (*USUAL, *conditions), source, _FAMILY)


_VALUES = (
    _theorem(
        "value.chain-rule",
        "KL(policy||reference) of whole answers, E_policy[sum_t L_t], is the expected sum of the next-token "
        "divergences: E_policy[sum_t KL(policy||reference)_t].",
        SequenceValue(log_ratio_sum, P, DIVERGENCES, P),
        "chain rule of relative entropy, Cover and Thomas",
    ),
    _theorem(
        "value.token-k3",
        "The sum over tokens of k3 is an unbiased estimator of KL(policy||reference) of whole answers.",
        SequenceValue(tokens(k3), P, log_ratio_sum, P),
        "Schulman 2020, token by token",
    ),
    _theorem(
        "value.sequence-k3",
        "k3 of the whole answer, with the product of the ratios, is an unbiased estimator of KL(policy||reference) of "
        "whole answers.",
        SequenceValue(of_answer(k3), P, log_ratio_sum, P),
        "Schulman 2020, the answer as one action",
    ),
    _theorem(
        "value.reference-chain-rule",
        "KL(reference||policy) of whole answers is the sum of the next-token divergences KL(reference||policy)_t on "
        "prefixes of the reference.",
        SequenceValue(
            forward_value,
            P,
            each(lambda t, horizon: reference_weight(t, horizon) * reference_divergence_symbol(t)),
            P,
        ),
        "chain rule of relative entropy, Cover and Thomas",
    ),
)

_SEQUENCE_LEVEL = (
    _theorem(
        "k1-loss",
        "k1 summed over the tokens as loss has zero expected gradient.",
        on_policy(log_ratio_sum, nothing),
        "score identity",
    ),
    _theorem(
        "k2-loss",
        "k2 of the whole answer, (sum_t L_t)^2/2, as loss has the gradient of KL(policy||reference)_seq.",
        on_policy(of_answer(k2), SEQUENCE_KL),
        _PAPER,
    ),
    _theorem(
        "k3-loss",
        "k3 of the whole answer, with the product of the ratios, as loss has the gradient of "
        "KL(reference||policy)_seq.",
        on_policy(of_answer(k3), SEQUENCE_REFERENCE_KL),
        _PAPER,
    ),
    _theorem(
        "forward-kl.scores",
        "The gradient of KL(reference||policy)_seq is minus the sum of the scores, expected under the reference.",
        on_policy(
            lambda horizon: -sg(reference_weight(horizon, horizon)) * scores(*range(horizon)), SEQUENCE_REFERENCE_KL
        ),
        "maximum likelihood",
    ),
    _theorem(
        "forward-kl.reference-prefixes",
        "The gradient of KL(reference||policy)_seq is the sum of the gradients of KL(reference||policy)_t on prefixes "
        "of the reference: no later term is missing there.",
        on_policy(
            each(lambda t, horizon: sg(reference_weight(t, horizon)) * reference_divergence_symbol(t)),
            SEQUENCE_REFERENCE_KL,
        ),
        _DERIVED,
    ),
)

_TOKEN_LEVEL = (
    _theorem(
        "token-k2-loss",
        "k2 summed over the tokens as loss has the token-level gradient: the sum of the gradients of "
        "KL(policy||reference)_t, the policy's prefixes held fixed.",
        on_policy(tokens(k2), DIVERGENCES),
        _PAPER,
    ),
    _theorem(
        "token-k1-reward",
        "k1 of a token in the immediate reward of that token (discount 0) has the token-level gradient, that of the "
        "full-vocabulary KL(policy||reference)_t as loss.",
        on_policy(rewarded(lambda t, horizon: log_ratios(horizon)[t]), DIVERGENCES),
        "on-policy distillation",
    ),
    _theorem(
        "token-k3-loss",
        "k3 summed over the tokens as loss has the gradient of KL(reference||policy)_t on prefixes of the policy, held "
        "fixed.",
        on_policy(tokens(k3), REFERENCE_DIVERGENCES),
        "arXiv 2402.03300",
    ),
    _theorem(
        "token-k3-both",
        "k3 in the immediate reward of its token plus k3 as loss has the gradient of the token sum of k2.",
        on_policy(plus(rewarded(lambda t, horizon: k3(log_ratios(horizon)[t])), tokens(k3)), tokens(k2)),
        "arXiv 2512.21852",
    ),
)

_RETURNS_TO_GO = (
    _theorem(
        "k1-full-return",
        "k1 in reward, every token credited with the whole answer's sum, has the gradient of "
        "KL(policy||reference)_seq.",
        on_policy(rewarded(lambda _, horizon: log_ratio_sum(horizon)), SEQUENCE_KL),
        _RETURNS,
    ),
    _theorem(
        "k1-reward-to-go",
        "k1 in reward, every token credited with the sum from it on, has the gradient of KL(policy||reference)_seq.",
        on_policy(rewarded(to_go(k1)), SEQUENCE_KL),
        _RETURNS,
    ),
    _theorem(
        "k3-reward-to-go-and-loss",
        "k3 in reward as return-to-go plus k3 as loss, both summed over the tokens, has the gradient of "
        "KL(policy||reference)_seq.",
        on_policy(plus(rewarded(to_go(k3)), tokens(k3)), SEQUENCE_KL),
        "arXiv 2512.21852",
    ),
    _theorem(
        "past-terms-vanish",
        "The log ratios of earlier tokens add nothing to the expected gradient of a later token's score.",
        on_policy(rewarded(lambda t, horizon: Add(*log_ratios(horizon)[:t])), nothing),
        _RETURNS,
    ),
    _theorem(
        "missing-term",
        "What the token sum of k2 misses of the gradient of KL(policy||reference)_seq is E[sum_t s_t sum_{t' > t} "
        "L_t'].",
        on_policy(minus(SEQUENCE_KL, tokens(k2)), rewarded(to_go(k1, 1))),
        _DERIVED,
    ),
    _theorem(
        "missing-term.divergences",
        "The missing term is also E[sum_t s_t sum_{t' > t} KL(policy||reference)_t'].",
        on_policy(rewarded(to_go(k1, 1)), _LATER_DIVERGENCES),
        _DERIVED,
    ),
    _theorem(
        "exact-divergence-gradient",
        "The full-vocabulary divergences as loss, exact in value, miss E[sum_t s_t sum_{t' > t} "
        "KL(policy||reference)_t'] of the gradient of their own expected sum.",
        on_policy(plus(DIVERGENCES, _LATER_DIVERGENCES), gradient_of_mean(DIVERGENCES)),
        _RAO_BLACKWELL,
    ),
    _theorem(
        "rao-blackwell",
        "The sum over the tokens of grad KL(policy||reference)_t plus KL(policy||reference)_t times the scores before "
        "t has the gradient of KL(policy||reference)_seq.",
        on_policy(RAO_BLACKWELL, SEQUENCE_KL),
        _RAO_BLACKWELL,
    ),
    _theorem(
        "live-ratio",
        "On-policy, k3 of each token times the live ratio of its whole prefix, prod exp(log p - sg(log p)), which is 1 "
        "in value, has the gradient of KL(policy||reference)_seq.",
        on_policy(
            each(
                lambda t, horizon: (
                    Mul(*(exp(log_policy_symbol(i) - sg(log_policy_symbol(i))) for i in range(t + 1)))
                    * k3(log_ratios(horizon)[t])
                )
            ),
            SEQUENCE_KL,
        ),
        _DERIVED,
    ),
)

_LENGTHS = (
    _theorem(
        "length-normalised-k1",
        "k1 as loss averaged over each answer's own length has the gradient of E_policy[1/N], N the length: not zero, "
        "and independent of the reference. Descending it lengthens answers.",
        on_policy(NORMALISED_K1, INVERSE_LENGTH, True),
        _DERIVED,
        ENDS,
    ),
    _theorem(
        "length-normalised-k1-reward",
        "grad E_policy[(sum_t L_t)/N] is what k1 in reward, averaged over each answer's length, has as gradient, plus "
        "grad E_policy[1/N].",
        on_policy(
            gradient_of_mean(NORMALISED_K1),
            plus(rewarded(lambda _, horizon: log_ratio_sum(horizon) / LENGTH), INVERSE_LENGTH),
            True,
        ),
        _DERIVED,
        ENDS,
    ),
    _theorem(
        "constant-divisor",
        "k1 as loss, summed over the tokens and divided by a constant, has zero expected gradient whatever the "
        "lengths.",
        on_policy(lambda horizon: log_ratio_sum(horizon) / DIVISOR, nothing, True),
        "arXiv 2503.20783",
        ENDS,
    ),
)

THEOREMS = (*_VALUES, *_SEQUENCE_LEVEL, *_TOKEN_LEVEL, *_RETURNS_TO_GO, *_LENGTHS)
