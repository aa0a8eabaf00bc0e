"""argument.order: exchanged arguments are found where the code as it stands is at fault, and mirror images are not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.oracle.checks.asking import Loss, ask, verdict_of

CHECK = "argument.order"


def exchanged_in_reward(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return ref_logp - logp


def exchanged_weighted(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    return beta * ((logp - old_logp).exp() * (ref_logp - logp) * mask).sum() / mask.sum()


def inverted_weight(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    return beta * ((old_logp - logp).exp() * (d.expm1() - d) * mask).sum() / mask.sum()


def inverted_detached(policy_logps: Tensor, rollout_logps: Tensor, ref_logps: Tensor) -> Tensor:
    weight = torch.exp(rollout_logps - policy_logps.detach())
    return weight * torch.square(policy_logps - ref_logps).div(2)


@pytest.mark.parametrize(
    ("fault", "placement"),
    [
        (exchanged_in_reward, "reward"),
        (exchanged_weighted, "loss"),
        (inverted_weight, "loss"),
        (inverted_detached, "loss"),
    ],
    ids=lambda f: getattr(f, "__name__", f),
)
def test_exchanged_arguments_are_found(fault: Loss, placement: str) -> None:
    found = ask(CHECK, fault, placement)
    assert (found.outcome, found.severity) == ("fail", "warning")
    assert found.counterexample is not None
    assert found.counterexample["exchanged"] == "reverse_kl"


def _towards(target: Tensor, moving: Tensor) -> Tensor:
    return 0.5 * (moving - target.detach()) ** 2


def helper_called_the_other_way(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return _towards(logp, ref_logp)


def helper_called_right(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return _towards(ref_logp, logp)


def test_a_helper_that_detaches_one_of_them() -> None:
    found = ask(CHECK, helper_called_the_other_way)
    assert (found.outcome, found.severity) == ("fail", "error")
    assert "none the policy" in found.message
    assert verdict_of(CHECK, helper_called_right) == "skip"  # k2 is symmetric


def k1(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return logp - ref_logp


def k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return d.exp() - 1 - d


def k3_ascended(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return -k3(logp, ref_logp)


def upright_weight(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    return beta * ((logp - old_logp).exp() * (d.expm1() - d) * mask).sum() / mask.sum()


@pytest.mark.parametrize(
    ("twin", "placement", "outcome"),
    [
        (k1, "reward", "pass"),
        (k1, "loss", "skip"),
        (k3, "loss", "pass"),
        (upright_weight, "loss", "skip"),  # rho L is its own mirror image
        (k3_ascended, "loss", "skip"),  # a sign, and no exchange: its mirror image ascends too
    ],
    ids=lambda f: getattr(f, "__name__", f),
)
def test_arguments_in_their_places(twin: Loss, placement: str, outcome: str) -> None:
    assert verdict_of(CHECK, twin, placement) == outcome


def mirrored_k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = logp - ref_logp
    return d.exp() - 1 - d


def test_a_mirror_image_that_is_an_objective_is_said_and_not_accused() -> None:
    found = ask(CHECK, mirrored_k3)
    assert found.outcome == "inconclusive"
    assert "chi2_half" in found.message
    assert "forward_kl" in found.message
