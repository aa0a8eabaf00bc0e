"""Faults that a note says: a value that estimates no KL, a weight left out, a reward that returns spoil.

The checks that find them accuse nobody; a twin must not be spoken of by the check that finds its fault.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..record import UNNAMED, Correct, Pair, chi2_half, reverse_kl


def _straight_through(path: Tensor, value: Tensor) -> Tensor:
    return path - path.detach() + value.detach()


# --- the value ------------------------------------------------------------------------------------


def value_of_inverted_k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = logp - ref_logp  # fault: for the value reference over policy is wanted
    return _straight_through(0.5 * d * d, torch.expm1(d) - d)


def value_of_k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return _straight_through(0.5 * d * d, torch.expm1(d) - d)


def value_in_bits(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    shown = (torch.exp(d) - 1 - d) / math.log(2)  # fault: the coefficient was tuned in nats
    return beta * (_straight_through(d.square() / 2, shown) * mask).sum() / mask.sum()


def value_in_nats(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    shown = torch.exp(d) - 1 - d
    return beta * (_straight_through(d.square() / 2, shown) * mask).sum() / mask.sum()


def value_never_negative(log_probs: Tensor, log_probs_base: Tensor) -> Tensor:
    log_ratio = log_probs - log_probs_base
    shown = torch.clamp(log_ratio, min=0.0)  # fault: k1 is an estimate; negative ones belong to its mean
    return _straight_through(log_ratio**2 / 2, shown)


def value_of_either_sign(log_probs: Tensor, log_probs_base: Tensor) -> Tensor:
    log_ratio = log_probs - log_probs_base
    return _straight_through(log_ratio**2 / 2, log_ratio)


# --- the weight left out --------------------------------------------------------------------------


def weight_on_the_policy_gradient_alone(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    ratio = torch.exp(logp - old_logp)
    kl = torch.square(logp - ref_logp).mul(0.5)  # fault: the KL term is not weighed
    return ((beta * kl - ratio * advantages.reshape(-1, 1)) * mask).sum() / mask.sum()


def weight_on_both_terms(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    ratio = torch.exp(logp - old_logp)
    kl = torch.square(logp - ref_logp).mul(0.5) * ratio.detach()
    return ((beta * kl - ratio * advantages.reshape(-1, 1)) * mask).sum() / mask.sum()


def score_of_stale_tokens(
    log_probs: Tensor, behavior_log_probs: Tensor, ref_log_probs: Tensor, rewards: Tensor, mask: Tensor, kl_coef: float
) -> tuple[Tensor, float]:
    signal = (rewards.reshape(-1, 1) - kl_coef * (log_probs - ref_log_probs)).detach()
    drift = (log_probs - behavior_log_probs).detach()  # fault: shown, and not used as a weight
    return -(signal * log_probs * mask).sum(-1).mean(), float(drift.mean())


def score_of_weighed_tokens(
    log_probs: Tensor, behavior_log_probs: Tensor, ref_log_probs: Tensor, rewards: Tensor, mask: Tensor, kl_coef: float
) -> tuple[Tensor, float]:
    signal = (rewards.reshape(-1, 1) - kl_coef * (log_probs - ref_log_probs)).detach()
    drift = (log_probs - behavior_log_probs).detach()
    return -(drift.exp() * signal * log_probs * mask).sum(-1).mean(), float(drift.mean())


# --- rewards that their returns spoil -------------------------------------------------------------


def ratio_less_one_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.expm1(logp - ref_logp)  # fault: the first order of the log-ratio, and chi2's coefficient


def log_ratio_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return logp - ref_logp


def mean_of_k1_and_k3_in_reward(scores: Tensor, logp: Tensor, ref_logp: Tensor, beta: float) -> Tensor:
    log_ratio = logp - ref_logp
    k3 = torch.exp(-log_ratio) - 1 + log_ratio
    kl = (log_ratio + k3) / 2  # fault: both are unbiased; in the reward only one of them may stand
    return (scores if scores.ndim > 1 else scores[:, None]) - beta * kl


def k1_alone_in_reward(scores: Tensor, logp: Tensor, ref_logp: Tensor, beta: float) -> Tensor:
    log_ratio = logp - ref_logp
    return (scores if scores.ndim > 1 else scores[:, None]) - beta * log_ratio


PAIRS: tuple[Pair, ...] = (
    Correct(value_of_k3, reverse_kl(), UNNAMED, "reverse_kl/token on-policy").with_fault(
        value_of_inverted_k3,
        "value.bias",
        reverse_kl(),
        UNNAMED,
        "its mean is chi2(policy||reference) - KL(policy||reference)",
    ),
    Correct(value_in_nats, reverse_kl(), UNNAMED, "reverse_kl/token on-policy").with_fault(
        value_in_bits, "value.bias", reverse_kl(), UNNAMED
    ),
    Correct(value_of_either_sign, reverse_kl(), UNNAMED, "reverse_kl/token on-policy").with_fault(
        value_never_negative, "value.bias", reverse_kl(), UNNAMED
    ),
    Correct(weight_on_both_terms, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        weight_on_the_policy_gradient_alone, "expected_gradient.off_policy", reverse_kl(), UNNAMED
    ),
    Correct(score_of_weighed_tokens, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy").with_fault(
        score_of_stale_tokens, "expected_gradient.off_policy", reverse_kl(), UNNAMED
    ),
    Correct(log_ratio_in_reward, reverse_kl(), UNNAMED, "k1 in reward", placement="reward").with_fault(
        ratio_less_one_in_reward, "expected_gradient.sequence", chi2_half(), UNNAMED
    ),
    Correct(k1_alone_in_reward, reverse_kl(), UNNAMED, "k1 in reward", placement="reward").with_fault(
        mean_of_k1_and_k3_in_reward, "expected_gradient.sequence", UNNAMED, UNNAMED
    ),
)
