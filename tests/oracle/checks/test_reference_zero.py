"""reference.zero_at_reference: pulls at policy = reference are found, baselines are none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.oracle.checks.asking import Loss, ask, verdict_of

CHECK = "reference.zero_at_reference"


def tempered(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp / 1.3) ** 2  # fault: the reference at another temperature


def with_entropy(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    kl = d.expm1() - d + 0.1 * logp * logp.detach()  # fault: an entropy bonus under the KL coefficient
    return beta * (kl * mask).sum() / mask.sum()


def root_of_square(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return ((logp - ref_logp) ** 2).sqrt()  # fault: the derivative of sqrt at 0 is infinite


def cross_entropy(logp: Tensor, ref_logp: Tensor, beta: float) -> Tensor:
    return beta * (-(logp - ref_logp).detach() * logp + 0.3 * ref_logp.exp() * logp).mean()


@pytest.mark.parametrize("fault", [tempered, with_entropy, root_of_square, cross_entropy], ids=lambda f: f.__name__)
def test_a_pull_at_the_reference_is_found(fault: Loss) -> None:
    found = ask(CHECK, fault)
    assert (found.outcome, found.severity) == ("fail", "error")
    assert found.counterexample is not None
    assert found.counterexample["policy"] == found.counterexample["reference"]


def same_temperature(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp / 1.3 - ref_logp / 1.3) ** 2


def without_entropy(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    return beta * ((d.expm1() - d) * mask).sum() / mask.sum()


def absolute(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return (logp - ref_logp).abs()


def baseline(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp - 0.7) ** 2  # coefficient L - .7: the constant has zero mean


@pytest.mark.parametrize(
    ("twin", "evidence"),
    [(same_temperature, "proved"), (without_entropy, "proved"), (absolute, "proved"), (baseline, "proved")],
    ids=lambda f: getattr(f, "__name__", f),
)
def test_no_pull(twin: Loss, evidence: str) -> None:
    found = ask(CHECK, twin)
    assert (found.outcome, found.evidence) == ("pass", evidence)


def test_a_baseline_pulls_off_policy_and_that_is_said() -> None:
    assert "off-policy" in ask(CHECK, baseline).message


def k1(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return logp - ref_logp


def test_two_zeros_are_no_agreement() -> None:
    assert verdict_of(CHECK, k1) == "skip"
    assert verdict_of(CHECK, k1, "reward") == "pass"


def test_a_value_read_by_enumeration_alone_is_tested() -> None:
    def in_numpy(logp: Tensor, ref_logp: Tensor) -> Tensor:
        weight = torch.tensor((logp - ref_logp).detach().tolist(), dtype=logp.dtype)
        return weight * logp

    found = ask(CHECK, in_numpy)
    assert (found.outcome, found.evidence) == ("pass", "tested")
