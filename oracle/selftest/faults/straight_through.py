"""Faults of straight-through estimators: the value of one estimator, the gradient of a wrong one."""

from __future__ import annotations

from torch import Tensor

from ..record import UNNAMED, ZERO, Correct, Pair, forward_kl, reverse_kl


def straight_through_without_detach(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    path, value = 0.5 * d * d, d.expm1() - d
    return path + (value - path)  # fault: without detach the path cancels


def straight_through(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    path, value = 0.5 * d * d, d.expm1() - d
    return path + (value - path).detach()


def straight_through_k1(rollout_logp: Tensor, logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    del rollout_logp
    path = logp - ref_logp  # fault: the value is k3's, the gradient k1's
    d = ref_logp - logp
    kl = path + ((d.expm1() - d) - path).detach()
    return beta * (kl * mask).sum() / mask.sum()


def straight_through_k2(rollout_logp: Tensor, logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    del rollout_logp
    path = (logp - ref_logp).square() / 2
    d = ref_logp - logp
    kl = path + ((d.expm1() - d) - path).detach()
    return beta * (kl * mask).sum() / mask.sum()


PAIRS: tuple[Pair, ...] = (
    Correct(straight_through, reverse_kl(), UNNAMED, "reverse_kl/token on-policy").with_fault(
        straight_through_without_detach, "objective", forward_kl(), UNNAMED
    ),
    Correct(straight_through_k2, reverse_kl(), UNNAMED, "reverse_kl/token on-policy").with_fault(
        straight_through_k1, "reference.dependence", ZERO, UNNAMED
    ),
)
