"""Whole losses as a trainer computes them: a clipped policy-gradient part and a KL part.

    kl-oracle identify examples/losses.py:grpo examples/losses.py:grpo_corrected

`logp`, `old_logp` and `ref_logp` are the log-probabilities of the sampled tokens under the policy,
the sampler and the reference, of shape [batch, token]; `advantages` has one entry for each
sequence; `mask` is 1 on the tokens of the answer and 0 on padding.
"""

import torch
from torch import Tensor

CLIP = 0.2


def grpo(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    """GRPO as published: k3 as loss, with nothing to correct it off-policy."""
    penalty = _k3(logp, ref_logp)
    return _mean_of_means(_surrogate(logp, old_logp, advantages) + beta * penalty, mask)


def grpo_corrected(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    """GRPO with k3 weighted by the importance ratio, which is differentiated too."""
    penalty = (logp - old_logp).exp() * _k3(logp, ref_logp)
    return _mean_of_means(_surrogate(logp, old_logp, advantages) + beta * penalty, mask)


def k1_loss(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    """The log-ratio as loss: its value estimates the KL, its gradient never sees the reference."""
    penalty = logp - ref_logp
    return _mean_of_means(_surrogate(logp, old_logp, advantages) + beta * penalty, mask)


def _k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    log_ratio = ref_logp - logp
    return log_ratio.exp() - 1 - log_ratio


def _surrogate(logp: Tensor, old_logp: Tensor, advantages: Tensor) -> Tensor:
    """PPO's clipped surrogate, to be minimised."""
    ratio = (logp - old_logp).exp()
    advantage = advantages.unsqueeze(-1)
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)


def _mean_of_means(per_token: Tensor, mask: Tensor) -> Tensor:
    """The mean over sequences of each sequence's mean over its tokens."""
    weight = mask.to(per_token.dtype)
    return ((per_token * weight).sum(-1) / weight.sum(-1)).mean()
