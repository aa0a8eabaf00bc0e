"""The signal of a subject on a batch: what multiplies each token's score in the gradient of its KL part."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from oracle.subject.batch import Batch
from oracle.subject.roles import Role
from oracle.subject.subject import Placement, Subject


@dataclass(frozen=True)
class Signal:
    """``coefficient[b, t]`` multiplies the score of token t of sequence b; not ``connected``: no graph led there."""

    coefficient: Float[Tensor, "b t"]
    value: Tensor
    connected: bool


def once(subject: Subject, placement: Placement, batch: Batch) -> Signal:
    """Run the subject once.

    Placement loss or whole: the gradient of the loss (of a penalty's sum) with respect to the policy's
    log-probabilities. Placement reward: the penalty's value, detached.
    """
    leaf = batch.policy.detach().clone().requires_grad_()
    with torch.enable_grad():
        # a copy that is not a leaf, as a model's output would be: in-place code runs on it
        result = subject.result(batch, leaf.to(subject.convention.dtype).clone())
        value = result.detach()
        if placement == "reward":
            sign = -1.0 if subject.rewarding else 1.0
            return Signal(sign * value.double(), value, bool(result.requires_grad))
        if not result.requires_grad:
            return Signal(torch.zeros_like(batch.policy).double(), value, False)
        scalar = result.sum() if subject.kind == "penalty" else result.mean()
        gradient = subject.derivative(scalar, leaf)
    if gradient is None:
        return Signal(torch.zeros_like(leaf).double(), value, False)
    return Signal(gradient.double(), value, True)


def kl_part(subject: Subject, placement: Placement, batch: Batch) -> Signal:
    """The part that the KL coefficient scales: the signal at ``batch.beta`` less the signal at 0, where it has one."""
    signal = once(subject, placement, batch)
    if not subject.has(Role.BETA):
        return signal
    rest = once(subject, placement, batch.with_beta(0.0))
    return Signal(signal.coefficient - rest.coefficient, signal.value, signal.connected)


def once_on_logits(subject: Subject, batch: Batch, logits: Float[Tensor, "b n v"]) -> Float[Tensor, "b n v"]:
    """The gradient of a wide subject's loss (of a penalty's sum) with respect to the policy's logits."""
    leaf = logits.detach().clone().requires_grad_()
    with torch.enable_grad():
        result = subject.result_on(batch, leaf.to(subject.convention.dtype).clone())
        if not result.requires_grad:
            return torch.zeros_like(leaf).double().detach()
        scalar = result.sum() if subject.kind == "penalty" else result.mean()
        gradient = subject.derivative(scalar, leaf)
    return (torch.zeros_like(leaf) if gradient is None else gradient).double().detach()


def kl_part_on_logits(subject: Subject, batch: Batch, logits: Float[Tensor, "b n v"]) -> Float[Tensor, "b n v"]:
    """The part of that gradient which the KL coefficient scales."""
    gradient = once_on_logits(subject, batch, logits)
    if not subject.has(Role.BETA):
        return gradient
    return gradient - once_on_logits(subject, batch.with_beta(0.0), logits)
