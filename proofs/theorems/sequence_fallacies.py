"""False statements on whole answers: every engine that can express them has to refuse them.

With one token most of them are true; each has a counterexample with two.
"""

from __future__ import annotations

from proofs.statements import SequenceGradient, SequenceValue, Statement, gradient_of_mean, log_ratios, sg
from proofs.symbols import LENGTH, M, P
from proofs.theorem import USUAL, Theorem
from proofs.theorems.off_policy_sequences import (
    cumulative,
    detached,
    live,
    mean_ratio,
    off_policy,
    own,
    sampler_ratio_sum,
    weighted_detached,
    whole,
)
from proofs.theorems.sequences import (
    DIVERGENCES,
    NORMALISED_K1,
    REFERENCE_DIVERGENCES,
    SEQUENCE_KL,
    SEQUENCE_REFERENCE_KL,
    forward_value,
    k1,
    k2,
    k3,
    log_ratio_sum,
    nothing,
    of_answer,
    on_policy,
    rewarded,
    to_go,
    tokens,
)

_FAMILY = "false statements"


def _false(name: str, words: str, statement: Statement, why: str) -> Theorem:
    return Theorem(f"false.sequence.{name}", words, statement, USUAL, why, _FAMILY, holds=False)


_ON_POLICY = (
    _false(
        "token-k2-loss",
        "k2 summed over the tokens as loss has the gradient of KL(policy||reference)_seq.",
        on_policy(tokens(k2), SEQUENCE_KL),
        "the later terms are missing",
    ),
    _false(
        "token-k3-loss",
        "k3 summed over the tokens as loss has the gradient of KL(reference||policy)_seq.",
        on_policy(tokens(k3), SEQUENCE_REFERENCE_KL),
        "it has KL(reference||policy)_t on prefixes of the policy, not of the reference",
    ),
    _false(
        "token-k3-loss-is-k2",
        "k3 summed over the tokens as loss has the gradients of KL(policy||reference)_t.",
        on_policy(tokens(k3), DIVERGENCES),
        "it has those of KL(reference||policy)_t",
    ),
    _false(
        "sequence-k3-loss",
        "k3 of the whole answer as loss has the gradient of KL(policy||reference)_seq, whose value it estimates.",
        on_policy(of_answer(k3), SEQUENCE_KL),
        "value taken for gradient",
    ),
    _false(
        "sequence-k2-loss-is-token-k2",
        "k2 of the whole answer and k2 summed over the tokens have the same expected gradient as losses.",
        on_policy(of_answer(k2), tokens(k2)),
        "the cross terms L_t L_t' of later tokens stay",
    ),
    _false(
        "k3-reward-to-go",
        "k3 in reward as return-to-go, alone, has the gradient of KL(policy||reference)_seq.",
        on_policy(rewarded(to_go(k3)), SEQUENCE_KL),
        "k3 as loss is missing",
    ),
    _false(
        "k1-immediate-reward",
        "k1 in the immediate reward of its token has the gradient of KL(policy||reference)_seq.",
        on_policy(rewarded(lambda t, horizon: log_ratios(horizon)[t]), SEQUENCE_KL),
        "the later terms are missing",
    ),
    _false(
        "full-vocabulary-loss",
        "The full-vocabulary divergences KL(policy||reference)_t as loss have the gradient of "
        "KL(policy||reference)_seq.",
        on_policy(DIVERGENCES, SEQUENCE_KL),
        "exact in value, not in gradient",
    ),
    _false(
        "reference-divergences",
        "The full-vocabulary divergences KL(reference||policy)_t as loss have the gradient of their own expected sum.",
        on_policy(REFERENCE_DIVERGENCES, gradient_of_mean(REFERENCE_DIVERGENCES)),
        "the prefixes are held fixed",
    ),
    _false(
        "future-terms-vanish",
        "The log ratios of later tokens add nothing to the expected gradient of an earlier token's score.",
        on_policy(rewarded(to_go(k1, 1)), nothing),
        "past and future swapped",
    ),
    _false(
        "length-normalised-k1",
        "k1 as loss, averaged over each answer's own length, has zero expected gradient.",
        on_policy(NORMALISED_K1, nothing, True),
        "it has that of E_policy[1/N]",
    ),
    _false(
        "length-normalised-k1-reward",
        "k1 in reward, averaged over each answer's length, has the gradient of E_policy[(sum_t L_t)/N].",
        on_policy(rewarded(lambda _, horizon: log_ratio_sum(horizon) / LENGTH), gradient_of_mean(NORMALISED_K1), True),
        "grad E_policy[1/N] is missing",
    ),
)

_OFF_POLICY = (
    _false(
        "token-weight-k3",
        "rho_t k3, differentiated, has the gradient of KL(policy||reference)_seq.",
        off_policy(live(own, k3), SEQUENCE_KL),
        "right for each next token only",
    ),
    _false(
        "token-weight-k2",
        "sg(rho_t) k2 has the gradients of KL(policy||reference)_t on prefixes of the policy.",
        off_policy(detached(own, k2), DIVERGENCES),
        "the prefixes are the sampler's",
    ),
    _false(
        "cumulative-detached-k3",
        "sg(c_t) k3 summed over the tokens has the gradient of KL(policy||reference)_seq.",
        off_policy(detached(cumulative, k3), SEQUENCE_KL),
        "the weight has to be differentiated",
    ),
    _false(
        "cumulative-live-k2",
        "c_t k2 summed over the tokens, the weight differentiated, has the gradient of KL(policy||reference)_seq.",
        off_policy(live(cumulative, k2), SEQUENCE_KL),
        "it has that of E_policy[sum_t k2]",
    ),
    _false(
        "cumulative-detached-k2",
        "sg(c_t) k2 summed over the tokens has the gradient of KL(policy||reference)_seq.",
        off_policy(detached(cumulative, k2), SEQUENCE_KL),
        "the prefixes are right, the later terms are missing",
    ),
    _false(
        "whole-detached-k3",
        "The answer's ratio, detached, times the token sum of k3 has the gradient of KL(policy||reference)_seq.",
        off_policy(weighted_detached(tokens(k3)), SEQUENCE_KL),
        "the weight has to be differentiated",
    ),
    _false(
        "whole-detached-k3-is-forward",
        "The answer's ratio, detached, times the token sum of k3 has the gradient of KL(reference||policy)_seq.",
        off_policy(weighted_detached(tokens(k3)), SEQUENCE_REFERENCE_KL),
        "the prefixes are the policy's, not the reference's",
    ),
    _false(
        "sequence-weight-k3",
        "The geometric mean of the ratios, broadcast on the k3 of every token and differentiated, has the gradient of "
        "KL(policy||reference)_seq.",
        SequenceGradient(live(mean_ratio, k3), M, SEQUENCE_KL, P, True),
        "neither a token weight nor a sequence weight",
    ),
    _false(
        "uncorrected-k2",
        "k2 of the whole answer as loss, drawn from the sampler without weight, has the gradient of "
        "KL(policy||reference)_seq.",
        off_policy(of_answer(k2), SEQUENCE_KL),
        "the weight forgotten",
    ),
    _false(
        "stale-reward",
        "k1 in reward with the log ratio of rollout time and the answer's ratio has the gradient of "
        "KL(policy||reference)_seq.",
        off_policy(lambda horizon: whole(0, horizon) * sg(sampler_ratio_sum(horizon)), SEQUENCE_KL),
        "it misses that of KL(policy||sampler)_seq",
    ),
)

_VALUES = (
    _false(
        "value-uncorrected",
        "Drawn from the sampler without weight, sum_t L_t has the mean KL(policy||reference) of whole answers.",
        SequenceValue(log_ratio_sum, M, log_ratio_sum, P),
        "the weight forgotten",
    ),
    _false(
        "value-token-weight",
        "Drawn from the sampler, sum_t rho_t k1 is an unbiased estimator of KL(policy||reference) of whole answers.",
        SequenceValue(live(own, k1), M, log_ratio_sum, P),
        "the prefixes are the sampler's",
    ),
    _false(
        "value-k2",
        "The sum over tokens of k2 is an unbiased estimator of KL(policy||reference) of whole answers.",
        SequenceValue(tokens(k2), P, log_ratio_sum, P),
        "it is biased",
    ),
    _false(
        "value-reference-prefixes",
        "KL(reference||policy) of whole answers is the sum of KL(reference||policy)_t on prefixes of the policy.",
        SequenceValue(REFERENCE_DIVERGENCES, P, forward_value, P),
        "the chain rule goes along prefixes of the reference",
    ),
)

THEOREMS = (*_ON_POLICY, *_OFF_POLICY, *_VALUES)
