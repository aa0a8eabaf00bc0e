"""Wrong verdicts that an attack on the tool found, one test each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracle.errors import SubjectError
from oracle.judge import judge_binding
from oracle.records import Verdict
from oracle.subject.binding import bind
from oracle.subject.target import Target


def judged(function: Callable[..., Any], placement: str | None = None) -> Verdict:
    """The first verdict on a function, on a few examples."""
    from oracle.case import Options

    target = Target(getattr(function, "__name__", "f"), function, None)
    return judge_binding(target, bind(function), placement, Options(max_examples=4))[0]  # type: ignore[arg-type]


def failed(verdict: Verdict) -> set[str]:
    """The checks that failed."""
    return {f.check for f in verdict.findings if f.outcome == "fail"}


def test_error_in_the_backward_pass_is_an_error_of_the_subject() -> None:
    def k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
        ratio = torch.exp(ref_logp - logp)
        return ratio.sub_(1.0)  # overwrites what the backward pass of exp needs

    with pytest.raises(SubjectError, match="backward pass"):
        judged(k3)


def test_float32_inside_a_float64_function_is_within_tolerance() -> None:
    def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
        return ((logp.float() - ref_logp.float()) ** 2 / 2).to(logp.dtype)

    verdict = judged(k2)
    assert verdict.on_policy is not None
    assert (verdict.on_policy.objective, verdict.on_policy.evidence) == ("reverse_kl", "proved")
    assert verdict.outcome == "described"


def test_module_instance_binds_by_its_forward() -> None:
    class Penalty(nn.Module):
        def forward(self, logp: Tensor, ref_logp: Tensor) -> Tensor:
            return 0.5 * (logp - ref_logp) ** 2

    verdict = judged(Penalty())
    assert verdict.on_policy is not None
    assert verdict.on_policy.objective == "reverse_kl"


def test_branches_of_a_sign_are_resolved_where_their_side_holds() -> None:
    def dual_clip(logp: Tensor, ref_logp: Tensor, old_logp: Tensor, advantages: Tensor, beta: float = 0.1) -> Tensor:
        a = advantages[:, None] - beta * (logp - ref_logp).detach()
        ratio = (logp - old_logp).exp()
        value = torch.max(-a * ratio, -a * ratio.clamp(0.8, 1.2))
        return torch.where(a < 0, torch.min(value, -3.0 * a), value).sum(1).mean()

    verdict = judged(dual_clip)
    for record in (verdict.on_policy, verdict.off_policy):
        assert record is not None
        assert (record.objective, record.level, record.scale, record.evidence) == ("reverse_kl", "token", 1.0, "proved")


def test_sign_of_a_clamped_ratio_is_read() -> None:
    def hinge(logp: Tensor, ref_logp: Tensor) -> Tensor:
        return torch.relu(logp - ref_logp)

    verdict = judged(hinge, "loss")
    assert verdict.on_policy is not None
    assert (verdict.on_policy.objective, verdict.on_policy.evidence) == ("total_variation", "proved")


@pytest.mark.parametrize("square", [True, False])
def test_aggregation_of_sums_over_a_sequence(square: bool) -> None:
    def loss(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float = 0.1) -> Tensor:
        total = ((logp - ref_logp) * mask).sum(1)
        per_sequence = total.square() / 2 if square else torch.exp(-total) - 1 + total
        return beta * per_sequence.mean()

    assert judged(loss).aggregation == "seq-mean-token-sum"


def test_leave_one_out_baseline_is_unbiased_and_not_accused() -> None:
    def rloo(logp: Tensor, ref_logp: Tensor, old_logp: Tensor, mask: Tensor, beta: float = 0.1) -> Tensor:
        kl = beta * ((logp - ref_logp) * mask).sum(1).detach()
        penalty = kl - (kl.sum() - kl) / (len(kl) - 1)
        return (penalty * ((logp - old_logp) * mask).sum(1).exp()).mean()

    verdict = judged(rloo)
    for record in (verdict.on_policy, verdict.off_policy):
        assert record is not None
        assert (record.objective, record.level, record.scale) == ("reverse_kl", "sequence", 1.0)
        assert record.evidence == "proved"
    assert "batch.coupling" not in failed(verdict)


def test_no_subject_is_called_without_sequences() -> None:
    def by_row(logp: Tensor, ref_logp: Tensor) -> Tensor:
        return torch.stack([(p - q) ** 2 / 2 for p, q in zip(logp, ref_logp, strict=True)])

    assert not [f for f in judged(by_row).findings if f.outcome == "inconclusive"]


def test_dead_zone_at_the_reference_is_no_defect_of_the_tool() -> None:
    def free_nats(logp: Tensor, ref_logp: Tensor) -> Tensor:
        return (0.5 * (logp - ref_logp) ** 2 - 0.001).clamp(min=0)

    verdict = judged(free_nats, "loss")
    assert verdict.on_policy is not None
    assert verdict.on_policy.objective == "unnamed"
    assert verdict.outcome == "described"


def test_constant_in_decimal_digits_is_named_by_numbers() -> None:
    def base_two(logp: Tensor, ref_logp: Tensor) -> Tensor:
        bits = (ref_logp - logp) * 1.4426950408889634
        return torch.exp2(bits) - 1 - bits * 0.6931471805599453

    verdict = judged(base_two, "loss")
    assert verdict.on_policy is not None
    assert verdict.on_policy.objective == "forward_kl"
    assert verdict.outcome == "described"


def test_no_gradient_at_all_is_not_disproportion_to_beta() -> None:
    def floored(logp: Tensor, ref_logp: Tensor, beta: float = 0.1) -> Tensor:
        return beta * (0.5 * (logp - ref_logp) ** 2).clamp(min=0.5)

    assert "beta.linearity" not in failed(judged(floored))


def test_root_of_a_square_is_an_absolute_value_that_fails_at_the_reference() -> None:
    def absolute(logp: Tensor, ref_logp: Tensor) -> Tensor:
        return torch.sqrt((logp - ref_logp) ** 2)

    verdict = judged(absolute, "loss")
    assert verdict.on_policy is not None
    assert (verdict.on_policy.objective, verdict.on_policy.scale) == ("total_variation", 2.0)
    assert verdict.outcome == "described"  # NaN at policy = reference is the code's, and no defect of the tool
    assert "reference.zero_at_reference" in failed(verdict)


def squared_mean(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    return beta * (((logp - ref_logp) * mask).sum() / mask.sum()) ** 2


def test_a_name_that_holds_in_large_batches_alone_is_said_to() -> None:
    # of n tokens the expected gradient is 2/n of that of KL(policy||reference): none in the limit, and never none
    verdict = judged(squared_mean)
    assert verdict.on_policy is not None
    assert verdict.on_policy.objective == "zero"
    assert "batch.coupling" in failed(verdict)
    assert isinstance(verdict.path, list)
    assert any("very many sequences" in p for p in verdict.path)
