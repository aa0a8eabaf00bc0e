"""value.bias: biases against sums over drawn policies done by hand, and closed forms."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from oracle.enumeration import expected_value, instances
from oracle.probing.expectation import reverse_kl_of
from tests.oracle.checks.asking import Loss, ask, case_of, verdict_of

CHECK = "value.bias"


def k1(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return logp - ref_logp


def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


def k3_plus(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    path = d * d / 2
    return (d.exp() - 1 - d).detach() + path - path.detach()


def k_lambda(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return (logp - ref_logp) + 0.3 * torch.expm1(ref_logp - logp)


def half_of_k3(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    return 0.5 * beta * ((d.expm1() - d) * mask).sum() / mask.sum()


def weighted_k3(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    return beta * ((logp - old_logp).exp() * (d.expm1() - d) * mask).sum() / mask.sum()


@pytest.mark.parametrize(
    ("unbiased", "theorem"),
    [(k1, "k1-value"), (k3_plus, "k3-value"), (k_lambda, "k-lambda-value")],
    ids=lambda f: getattr(f, "__name__", f),
)
def test_unbiased_for_every_policy(unbiased: Loss, theorem: str) -> None:
    found = ask(CHECK, unbiased, "reward" if unbiased is k1 else "loss")
    assert (found.outcome, found.evidence, found.theorems) == ("pass", "proved", [theorem])


def test_unbiased_by_enumeration() -> None:
    found = ask(CHECK, weighted_k3)
    assert (found.outcome, found.evidence) == ("pass", "tested")


def by_hand(value: Callable[[float], float]) -> list[tuple[float, float]]:
    """(E value, KL) of answers of two tokens at the drawn policies, by sums over all nine answers."""
    out = []
    for i in instances(0, 2, True, wide=True):
        p, q = np.exp(i.log_policy()), np.exp(i.log_reference())
        mean = kl = 0.0
        for a in range(3):
            for b in range(3):
                weight = p[0, a] * p[1 + a, b]
                first, second = np.log(p[0, a] / q[0, a]), np.log(p[1 + a, b] / q[1 + a, b])
                mean += weight * (value(first) + value(second))
                kl += weight * (first + second)
        out.append((mean, kl))
    return out


def test_bias_of_k2_is_the_sum_by_hand() -> None:
    found = ask(CHECK, k2)
    assert (found.outcome, found.severity) == ("fail", "note")
    told = [float(x) for x in re.findall(r"([+-][\d.]+)% at KL", found.message)]
    assert told == pytest.approx([100 * (m / kl - 1) for m, kl in by_hand(lambda x: x * x / 2)], abs=0.06)
    assert "L**3/6 + ..." in found.message  # theory 6: -E[d^3]/6 with d = -L


def test_a_factor_is_a_bias() -> None:
    found = ask(CHECK, half_of_k3)
    assert (found.outcome, found.severity) == ("fail", "note")
    assert "-50.0%" in found.message


def test_values_are_those_by_hand() -> None:
    case = case_of(k2)
    for instance, (mean, kl) in zip(instances(0, 2, True, wide=True), by_hand(lambda x: x * x / 2), strict=True):
        assert expected_value(case, instance).mean == pytest.approx(mean, rel=1e-12)
        assert reverse_kl_of(instance)[0] == pytest.approx(kl, rel=1e-12)


def test_a_surrogate_has_no_value_to_judge() -> None:
    def reinforce(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
        reward = advantages[:, None] - beta * (logp - ref_logp).detach()
        return -(reward * logp * mask).sum() / mask.sum()

    assert verdict_of(CHECK, reinforce) == "skip"


def test_without_a_gradient_the_scale_of_a_mean_is_not_known() -> None:
    # the mean over tokens estimates KL well; nothing says that it is a mean
    def of_the_sampler(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, beta: float) -> Tensor:
        ratio = (logp - old_logp).exp()
        return -(ratio * advantages[:, None]).mean() + beta * (old_logp - ref_logp).mean()

    assert verdict_of(CHECK, of_the_sampler) == "skip"
