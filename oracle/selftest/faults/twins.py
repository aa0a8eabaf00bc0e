"""Correct losses in which the faults of several modules are planted."""

from __future__ import annotations

import torch
from torch import Tensor

from ..record import UNNAMED, Correct, reverse_kl


def _k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


def token_mean(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = _k2(logp, ref_logp)
    return beta * (kl * mask).sum() / mask.sum()


def mean_of_sequences(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = _k2(logp, ref_logp)
    return beta * ((kl * mask).sum(-1) / mask.sum(-1)).mean()


def rewards_of_answers(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    kl = ((logp - ref_logp) * mask).sum(-1).detach()
    reward = advantages - beta * kl
    return -(reward[:, None] * logp * mask).sum(-1).mean()


def weighted_k2(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp(logp - old_logp).detach()
    return beta * (weight * _k2(logp, ref_logp) * mask).sum() / mask.sum()


MEAN = Correct(token_mean, reverse_kl(), UNNAMED, "k2 as loss")
SEQUENCES = Correct(mean_of_sequences, reverse_kl(), UNNAMED, "k2 as loss")
ANSWERS = Correct(rewards_of_answers, reverse_kl("sequence"), UNNAMED, "reverse_kl/sequence on-policy")
WEIGHTED = Correct(weighted_k2, reverse_kl(), reverse_kl(), "reverse_kl/token off-policy")
