"""Faults between the penalty and the update: rewards, returns, advantages, heads, and where gradient may flow."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..record import UNNAMED, ZERO, Correct, Pair, forward_kl, reverse_kl


def _column(advantages: Tensor) -> Tensor:
    return advantages[:, None] if advantages.ndim == 1 else advantages


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    return (x * mask).sum() / mask.sum()


# --- penalties in the reward ----------------------------------------------------------------------


def k1_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return logp - ref_logp


K1 = Correct(k1_in_reward, reverse_kl(), UNNAMED, "k1 in reward", placement="reward")


def absolute_value_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return (logp - ref_logp).abs()  # fault: pushes away tokens below the reference too


def cut_at_zero_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.clamp(logp - ref_logp, min=0.0)  # fault: "a KL is never negative"


def doubled_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 2 * (logp - ref_logp)  # fault: twice the penalty


def ratio_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.exp(ref_logp - logp) - 1  # fault: reference over policy falls where the policy rises


def neighbour_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return (logp - ref_logp).roll(-1, dims=1)  # fault: each token pays for the next


def bounded_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.tanh(logp - ref_logp)  # fault: squashed


def probability_gap_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return logp.exp() - ref_logp.exp()  # fault: a difference of probabilities


def mean_of_answer_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = logp - ref_logp
    return d.mean(-1, keepdim=True).expand_as(d)  # fault: a mean over the answer where its sum belongs


def only_last_token_pays(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = logp - ref_logp
    d[:, :-1] = 0  # fault: overwrites all but the last
    return d


# --- KL in the advantage --------------------------------------------------------------------------


def advantage_less_kl(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    ratio = torch.exp(logp - old_logp)
    a = _column(advantages) - beta * (logp - ref_logp).detach()
    return _mean(-ratio * a, mask)


SURROGATE = Correct(advantage_less_kl, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy")


def advantage_plus_kl(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    ratio = torch.exp(logp - old_logp)
    a = _column(advantages) + beta * (logp - ref_logp).detach()  # fault: pays for the drift
    return _mean(-ratio * a, mask)


def loss_without_minus(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    ratio = torch.exp(logp - old_logp)
    a = _column(advantages) - beta * (logp - ref_logp).detach()
    return _mean(ratio * a, mask)  # fault: an objective to maximise, returned as a loss


def ratio_to_itself(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    ratio = torch.exp(logp - logp.detach())  # fault: 1 in value, so that the sampler is forgotten
    a = _column(advantages) - beta * (logp - ref_logp).detach()
    return _mean(-ratio * a, mask)


def kl_counted_twice(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    ratio = torch.exp(logp - old_logp)
    d = logp - ref_logp
    a = _column(advantages) - beta * d.detach()
    return _mean(-ratio * a + beta * ratio.detach() * 0.5 * d**2, mask)  # fault: in the reward and as a loss


def k3_in_advantage(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    ratio = torch.exp(logp - old_logp)
    d = ref_logp - logp
    a = _column(advantages) - beta * (torch.expm1(d) - d).detach()  # fault: only k1 may sit there
    return _mean(-ratio * a, mask)


def ratio_to_reference(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    ratio = torch.exp(logp - ref_logp)  # fault: the reference stands where the sampler belongs
    a = _column(advantages) - beta * (logp - ref_logp).detach()
    return _mean(-ratio * a, mask)


def rollout_against_reference(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    penalty = (logp - old_logp).detach()  # fault: the policy against its sampler
    ratio = torch.exp(logp - old_logp)
    return _mean(-ratio * (_column(advantages) - beta * penalty), mask)


def detached_ratio(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    ratio = torch.exp(logp - old_logp).detach()  # fault: the surrogate has no gradient left
    a = _column(advantages) - beta * (logp - ref_logp).detach()
    return _mean(-ratio * a, mask)


def advantage_with_live_kl_and_score(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    a = _column(advantages) - beta * (logp - ref_logp)  # fault: live, and multiplied by a live log-probability
    weight = torch.exp(logp - old_logp).detach()
    return _mean(-weight * a * logp, mask)


def product_of_ratios_cut(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    ratio = torch.exp(logp - old_logp)
    capped = torch.minimum(ratio, torch.ones_like(ratio))  # fault: a cap at 1 takes every ratio above it
    a = _column(advantages) - beta * (logp - ref_logp).detach()
    return _mean(-capped * a, mask)


# --- returns --------------------------------------------------------------------------------------


def returns_to_go(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    reward = -beta * ((logp - ref_logp) * mask).detach()
    togo = reward.flip(-1).cumsum(-1).flip(-1)
    return -((togo + _column(advantages)) * logp * mask).sum(-1).mean()


RETURNS = Correct(returns_to_go, reverse_kl("sequence"), UNNAMED, "reverse_kl/sequence on-policy")


def returns_so_far(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    reward = -beta * ((logp - ref_logp) * mask).detach()
    so_far = reward.cumsum(-1)  # fault: sums over the past
    return -((so_far + _column(advantages)) * logp * mask).sum(-1).mean()


def discounted_returns(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    reward = -beta * ((logp - ref_logp) * mask).detach()
    togo: list[Tensor] = []
    carry = torch.zeros_like(reward[:, 0])
    for t in reversed(range(reward.shape[1])):
        carry = reward[:, t] + 0.5 * carry  # fault: a discount, which no divergence of answers has
        togo.insert(0, carry)
    return -((torch.stack(togo, 1) + _column(advantages)) * logp * mask).sum(-1).mean()


def returns_without_own_token(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    reward = -beta * ((logp - ref_logp) * mask).detach()
    togo = reward.sum(-1, keepdim=True) - reward.cumsum(-1)  # fault: leaves out the token's own
    return -((togo + _column(advantages)) * logp * mask).sum(-1).mean()


def mean_instead_of_sum(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    reward = -beta * ((logp - ref_logp) * mask).detach()
    total = reward.sum(-1, keepdim=True) / mask.sum(-1, keepdim=True)  # fault: the mean over the answer
    return -((total + _column(advantages)) * logp * mask).sum(-1).mean()


def returns_over_the_batch(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    reward = -beta * ((logp - ref_logp) * mask).detach()
    togo = reward.flip(0).cumsum(0).flip(0)  # fault: along the batch, not along the answer
    return -((togo + _column(advantages)) * logp * mask).sum(-1).mean()


def live_k3_returns(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    reward = -beta * ((torch.expm1(d) - d) * mask).detach()  # fault: k3 in the returns
    togo = reward.flip(-1).cumsum(-1).flip(-1)
    return -((togo + _column(advantages)) * logp * mask).sum(-1).mean()


# --- where gradient stops -------------------------------------------------------------------------


def k3_loss(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    return beta * _mean(torch.expm1(d) - d, mask)


K3 = Correct(k3_loss, forward_kl(), UNNAMED, "k3 as loss", tail="overflow")


def through_numpy(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = (ref_logp - logp).detach().numpy()
    kl = torch.from_numpy(np.expm1(d) - d)  # fault: NumPy knows no gradient
    return beta * _mean(kl, mask) + 0.0 * logp.sum()


def rewrapped(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    return torch.tensor(beta * float(_mean(torch.expm1(d) - d, mask)))  # fault: a new tensor without history


def helper_without_grad(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    @torch.no_grad()
    def log_ratio(x: Tensor, y: Tensor) -> Tensor:
        return y - x  # fault: the helper was written for metrics

    d = log_ratio(logp, ref_logp)
    return beta * _mean(torch.expm1(d) - d, mask) + 0.0 * logp.mean()


def data_attribute(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp.data  # fault: .data cuts the graph
    return beta * _mean(torch.expm1(d) - d, mask)


def policy_detached_for_reference(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp.detach()  # fault: detaches the wrong one of the two
    return beta * _mean(torch.expm1(d) - d, mask)


def reference_overwritten(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    ref_logp.copy_(logp.detach())  # fault: a shared buffer
    d = ref_logp - logp
    return beta * _mean(torch.expm1(d) - d, mask)


def integer_log_ratio(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = torch.floor((ref_logp - logp) * 50) / 50  # fault: binned, which has no gradient
    return beta * _mean(torch.expm1(d) - d, mask)


def reference_with_entropy(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    surprise = logp.exp() * logp
    return beta * _mean(torch.expm1(d) - d + 0.5 * surprise, mask)  # fault: another term under the coefficient


PAIRS: tuple[Pair, ...] = (
    K1.with_fault(absolute_value_in_reward, "expected_gradient.on_policy", UNNAMED, UNNAMED),
    K1.with_fault(cut_at_zero_in_reward, "objective", UNNAMED, UNNAMED),
    K1.with_fault(doubled_in_reward, "objective", reverse_kl(scale=2.0), UNNAMED),
    K1.with_fault(ratio_in_reward, "sign", forward_kl(scale=-1.0), UNNAMED),
    K1.with_fault(neighbour_in_reward, "objective", UNNAMED, UNNAMED),
    K1.with_fault(bounded_in_reward, "objective", UNNAMED, UNNAMED),
    K1.with_fault(probability_gap_in_reward, "objective", UNNAMED, UNNAMED),
    K1.with_fault(mean_of_answer_in_reward, "objective", reverse_kl("sequence", 0.5), UNNAMED, "at two tokens"),
    K1.with_fault(only_last_token_pays, "objective", UNNAMED, UNNAMED),
    SURROGATE.with_fault(advantage_plus_kl, "sign", reverse_kl(scale=-1.0), reverse_kl(scale=-1.0)),
    SURROGATE.with_fault(loss_without_minus, "sign", reverse_kl(scale=-1.0), reverse_kl(scale=-1.0)),
    SURROGATE.with_fault(ratio_to_itself, "objective", reverse_kl(), UNNAMED),
    SURROGATE.with_fault(kl_counted_twice, "objective", reverse_kl(scale=2.0), reverse_kl(scale=2.0)),
    SURROGATE.with_fault(k3_in_advantage, "expected_gradient.on_policy", UNNAMED, UNNAMED),
    SURROGATE.with_fault(ratio_to_reference, "objective", UNNAMED, UNNAMED),
    SURROGATE.with_fault(rollout_against_reference, "reference.dependence", ZERO, UNNAMED),
    SURROGATE.with_fault(detached_ratio, "reference.dependence", ZERO, ZERO),
    SURROGATE.with_fault(advantage_with_live_kl_and_score, "detach.reward", UNNAMED, UNNAMED),
    SURROGATE.with_fault(
        product_of_ratios_cut,
        "objective",
        reverse_kl(scale=0.5),
        UNNAMED,
        "on-policy every ratio is a tie, which halves it",
    ),
    RETURNS.with_fault(returns_so_far, "objective", reverse_kl(), UNNAMED, "past rewards are a baseline"),
    RETURNS.with_fault(discounted_returns, "objective", UNNAMED, UNNAMED),
    RETURNS.with_fault(returns_without_own_token, "objective", UNNAMED, UNNAMED),
    RETURNS.with_fault(mean_instead_of_sum, "objective", reverse_kl("sequence", 0.5), UNNAMED, "at two tokens"),
    RETURNS.with_fault(
        returns_over_the_batch, "batch.coupling", UNNAMED, UNNAMED, "a batch in order has like neighbours"
    ),
    RETURNS.with_fault(live_k3_returns, "objective", UNNAMED, UNNAMED),
    K3.with_fault(through_numpy, "reference.dependence", ZERO, ZERO),
    K3.with_fault(rewrapped, "reference.dependence", ZERO, ZERO),
    K3.with_fault(helper_without_grad, "reference.dependence", ZERO, ZERO),
    K3.with_fault(data_attribute, "reference.dependence", ZERO, ZERO),
    K3.with_fault(policy_detached_for_reference, "reference.dependence", ZERO, ZERO),
    K3.with_fault(reference_overwritten, "reference.dependence", ZERO, ZERO),
    K3.with_fault(integer_log_ratio, "reference.dependence", ZERO, ZERO),
    K3.with_fault(reference_with_entropy, "reference.zero_at_reference", UNNAMED, UNNAMED),
)
