"""Faults of penalties in the reward that are right as losses."""

from __future__ import annotations

from torch import Tensor

from ..record import UNNAMED, Correct, Pair, reverse_kl


def k3_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return d.expm1() - d  # fault: in the reward only the log-ratio is right


def k2_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp).square()  # fault: in the reward only the log-ratio is right


def k1_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return logp - ref_logp


K1 = Correct(k1_reward, reverse_kl(), UNNAMED, "k1 in reward", placement="reward")

PAIRS: tuple[Pair, ...] = (
    K1.with_fault(k3_reward, "objective", UNNAMED, UNNAMED),
    K1.with_fault(k2_reward, "objective", UNNAMED, UNNAMED),
)
