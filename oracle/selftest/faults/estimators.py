"""Faults of the estimator itself: a wrong power, base, argument or scale, in penalties."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..record import (
    UNNAMED,
    ZERO,
    Correct,
    Pair,
    chi2_reference_half,
    forward_kl,
    hellinger_squared,
    reverse_kl,
    total_variation,
)


def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


def k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.expm1(ref_logp - logp) - (ref_logp - logp)


K2 = Correct(k2, reverse_kl(), UNNAMED, "k2 as loss")
K3 = Correct(k3, forward_kl(), UNNAMED, "k3 as loss", tail="overflow")


# --- faults of k3 ---------------------------------------------------------------------------------


def half_of_the_ratio(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return 0.5 * (d.exp() - 1) - d  # fault: halves the ratio and not the log


def ratio_squared_inside(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = 2 * (ref_logp - logp)  # fault: the log-ratio is doubled before it is used
    return torch.expm1(d) - d


def ratio_of_halved_log(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    d = (ref_logprobs - logprobs) / 2  # fault: halved as k2 would be
    return d.exp() - 1 - d


def exponent_of_absolute_value(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = (ref_logp - logp).abs()  # fault: symmetric by force
    return torch.expm1(d) - d


def ratio_from_base_two(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return torch.exp2(d) - 1 - d  # fault: 2 ** d for exp(d)


def taylor_of_k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return d**2 / 2 + d**3 / 6  # fault: cut off after the third order


def square_of_ratio_minus_one(logp: Tensor, ref_logp: Tensor) -> Tensor:
    r = torch.exp(ref_logp - logp)
    return 0.5 * (r - 1) ** 2  # fault: of the second order, as k2 and k3 are, and neither


# --- faults of k2 ---------------------------------------------------------------------------------


def bits_for_nats(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = (logp - ref_logp) / math.log(2.0)  # fault: in bits
    return 0.5 * d * d


def cube(log_probs: Tensor, ref_log_probs: Tensor) -> Tensor:
    return (log_probs - ref_log_probs).abs().pow(3) / 3  # fault: the third power


def fourth_power(log_probs: Tensor, ref_log_probs: Tensor) -> Tensor:
    square = (log_probs - ref_log_probs).square() / 2
    return square.square()  # fault: squared by two helpers in turn


def distance_of_probabilities(policy_logps: Tensor, ref_logps: Tensor) -> Tensor:
    return F.mse_loss(policy_logps.exp(), ref_logps.exp(), reduction="none") / 2  # fault: of probabilities


def relative_square(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = logp - ref_logp
    return 0.5 * d * d / ref_logp.abs()  # fault: a relative error of log-probabilities


def logarithm_of_square(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * torch.log1p((logp - ref_logp) ** 2)  # fault: squashed, so that outliers pull less


def squashed_log_ratio(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * torch.tanh(logp - ref_logp) ** 2  # fault: squashed


def hyperbolic_cosine(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.cosh(logp - ref_logp) - 1  # fault: k3 of either direction, halved


def one_sided(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * torch.relu(logp - ref_logp) ** 2  # fault: no pull where the policy is below


def hinge(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return (logp - ref_logp).clamp(min=0)  # fault: a hinge for the log-ratio


def huber_with_small_knee(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return F.huber_loss(logp, ref_logp, reduction="none", delta=0.001) / 0.001  # fault: almost everywhere linear


def halved_by_detach(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = logp - ref_logp
    return 0.5 * d * d.detach()  # fault: one factor is detached, and the half is kept


def rounded_log_ratio(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = logp - ref_logp
    return 0.5 * (torch.round(d * 100) / 100) ** 2  # fault: round has no gradient


def tempered_policy(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp / 0.9 - ref_logp) ** 2  # fault: a temperature on one side only


def epsilon_inside_the_log(logp: Tensor, ref_logp: Tensor) -> Tensor:
    log_p, log_q = torch.log(logp.exp() + 1e-2), torch.log(ref_logp.exp() + 1e-2)  # fault: the epsilon is no dust
    return 0.5 * (log_p - log_q) ** 2


def against_the_mean(logp: Tensor, ref_logp: Tensor) -> Tensor:
    middle = torch.logaddexp(logp, ref_logp) - math.log(2.0)
    return logp - middle  # fault: half of Jensen-Shannon's value, back-propagated


def value_of_k3_gradient_of_k1(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = logp - ref_logp
    return d + (torch.expm1(-d) + d - d).detach()  # fault: the path is k1's


def only_where_large(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = logp - ref_logp
    return torch.where(d.abs() > 0.5, 0.5 * d * d, torch.zeros_like(d))  # fault: free below a threshold


PAIRS: tuple[Pair, ...] = (
    K3.with_fault(half_of_the_ratio, "objective", forward_kl(scale=0.5), UNNAMED),
    K3.with_fault(ratio_squared_inside, "objective", chi2_reference_half(scale=4.0), UNNAMED),
    K3.with_fault(ratio_of_halved_log, "objective", hellinger_squared(), UNNAMED),
    K3.with_fault(exponent_of_absolute_value, "objective", UNNAMED, UNNAMED),
    K3.with_fault(ratio_from_base_two, "objective", UNNAMED, UNNAMED),
    K3.with_fault(taylor_of_k3, "objective", UNNAMED, UNNAMED),
    K3.with_fault(square_of_ratio_minus_one, "objective", UNNAMED, UNNAMED),
    K2.with_fault(bits_for_nats, "objective", reverse_kl(scale=1 / math.log(2.0) ** 2), UNNAMED),
    K2.with_fault(cube, "objective", UNNAMED, UNNAMED),
    K2.with_fault(fourth_power, "objective", UNNAMED, UNNAMED),
    K2.with_fault(distance_of_probabilities, "objective", UNNAMED, UNNAMED),
    K2.with_fault(relative_square, "objective", UNNAMED, UNNAMED),
    K2.with_fault(logarithm_of_square, "objective", UNNAMED, UNNAMED),
    K2.with_fault(squashed_log_ratio, "objective", UNNAMED, UNNAMED),
    K2.with_fault(hyperbolic_cosine, "objective", UNNAMED, UNNAMED),
    K2.with_fault(one_sided, "clamp.dead_gradient", UNNAMED, UNNAMED),
    K2.with_fault(hinge, "clamp.dead_gradient", total_variation(), UNNAMED),
    K2.with_fault(huber_with_small_knee, "objective", total_variation(scale=2.0), UNNAMED),
    K2.with_fault(halved_by_detach, "objective", reverse_kl(scale=0.5), UNNAMED),
    K2.with_fault(rounded_log_ratio, "reference.dependence", ZERO, ZERO),
    K2.with_fault(tempered_policy, "reference.zero_at_reference", UNNAMED, UNNAMED),
    K2.with_fault(epsilon_inside_the_log, "objective", UNNAMED, UNNAMED),
    K2.with_fault(against_the_mean, "sign", UNNAMED, UNNAMED),
    K3.with_fault(value_of_k3_gradient_of_k1, "reference.dependence", ZERO, UNNAMED),
    K2.with_fault(only_where_large, "clamp.dead_gradient", ZERO, ZERO),
)
