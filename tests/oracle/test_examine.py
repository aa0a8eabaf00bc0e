"""What real-looking losses descend, as theory demands (master table), proved where a formula can be read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from oracle.case import Options
from oracle.examine import examine
from oracle.probing.expectation import of_subject
from oracle.probing.instances import draw
from oracle.reading.operators import OPERATORS
from oracle.subject.binding import bind
from oracle.subject.subject import open_subject
from oracle.subject.target import Target
from tests.oracle.judging import accused, finding, is_set, said, verdict

RKL, FKL = ("reverse_kl", "token", 1.0), ("forward_kl", "token", 1.0)
UNNAMED, ZERO = ("unnamed", None, None), ("zero", None, None)


def k1(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return logp - ref_logp


def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


def k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return d.exp() - 1 - d


def k3_clamped(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = (ref_logp - logp).clamp(-20, 20)
    return (d.exp() - d - 1).clamp(-10, 10)


def k3_plus(logp: Tensor, ref_logp: Tensor) -> Tensor:
    value, path = k3(logp, ref_logp), k2(logp, ref_logp)
    return path + (value - path).detach()


@pytest.mark.parametrize(
    ("penalty", "loss", "formula", "reward", "value"),
    [
        (k1, ZERO, "1", RKL, "L"),
        (k2, RKL, "L", UNNAMED, "L**2/2"),
        (k3, FKL, "1 - exp(-L)", UNNAMED, "L - 1 + exp(-L)"),
        (k3_clamped, FKL, "1 - exp(-L)", UNNAMED, "L - 1 + exp(-L)"),
        (k3_plus, RKL, "L", UNNAMED, "L - 1 + exp(-L)"),
    ],
)
def test_penalties(penalty: Callable[..., Tensor], loss: tuple, formula: str, reward: tuple, value: str) -> None:
    as_loss, in_reward = verdict(penalty, "loss"), verdict(penalty, "reward")
    assert (said(as_loss.on_policy), as_loss.on_policy.formula) == (loss, formula)
    assert (said(in_reward.on_policy), in_reward.on_policy.formula) == (reward, value)
    for v in (as_loss, in_reward):
        assert v.on_policy.evidence == v.off_policy.evidence == "proved"
        assert said(v.off_policy) == UNNAMED


def test_with_returns_to_go() -> None:
    w = verdict(k1, "reward").with_returns
    assert (w.objective, w.level, w.scale, w.evidence) == ("reverse_kl", "sequence", 1.0, "proved")
    assert verdict(k3, "reward").with_returns.objective == "unnamed"
    assert not is_set(verdict(k1, "loss").with_returns)


def test_k3_in_reward_says_what_it_is() -> None:
    assert verdict(k3, "reward").on_policy.combination == {"reverse_kl": 1.0, "forward_kl": -1.0}


def test_k1_as_loss_off_policy_raises_the_divergence_from_the_sampler() -> None:
    """theory, master table: E_mu[grad k1] = -grad KL(sampler||policy), whatever the reference."""
    assert verdict(k1).off_policy.combination == {"kl_sampler_policy": -1.0}
    assert not is_set(verdict(k2).off_policy.combination)
    instance = draw(np.random.default_rng(1), 1, 1.0, 0.7)
    seen, _ = of_subject(open_subject(Target("k1", k1, None), bind(k1)), "loss", instance)
    logits = torch.from_numpy(instance.policy_logits).requires_grad_()
    mu = torch.from_numpy(instance.log_sampler())
    (expected,) = torch.autograd.grad((mu.exp() * (mu - logits.log_softmax(-1))).sum(), logits)
    assert np.abs(expected.numpy()).max() > 1e-2
    np.testing.assert_allclose(seen, -expected.numpy(), atol=1e-12)


def test_dead_zones_as_intervals() -> None:
    found = finding(verdict(k3_clamped), "clamp.dead_gradient")
    assert (found.outcome, found.evidence) == ("fail", "proved")
    # roots of exp(-L) + L - 1 = 10, by mpmath: -2.61086930..., 10.99998329...
    assert found.counterexample["intervals"] == ["L < -2.610869", "L > 10.99998"]


def grpo(
    logp: Tensor,
    old_logp: Tensor,
    ref_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    beta: float,
    corrected: bool = False,
) -> Tensor:
    ratio = (logp - old_logp).exp()
    a = advantages[:, None]
    kl = k3(logp, ref_logp) * (ratio if corrected else 1.0)
    per = -torch.minimum(ratio * a, ratio.clamp(0.8, 1.2) * a) + beta * kl
    return ((per * mask).sum(-1) / mask.sum(-1)).mean()


@pytest.mark.parametrize(
    ("corrected", "on", "off", "formula"), [(False, FKL, UNNAMED, "1 - exp(-L)"), (True, RKL, RKL, "L*rho")]
)
def test_whole_losses(corrected: bool, on: tuple, off: tuple, formula: str) -> None:
    v = verdict(grpo, settings={"corrected": corrected})
    assert (said(v.on_policy), said(v.off_policy), v.off_policy.formula) == (on, off, formula)
    assert (v.on_policy.evidence, v.off_policy.evidence) == ("proved", "proved")
    assert v.aggregation == "seq-mean-token-mean"
    assert not accused(v)


def test_no_grad_is_judged() -> None:
    v = verdict(torch.no_grad()(k2))
    assert said(v.on_policy) == said(v.off_policy) == ZERO
    assert v.depends_on_reference is False
    assert "no gradient to the policy" in finding(v, "reference.dependence").message
    # in reward the value is all that counts
    assert said(verdict(torch.no_grad()(k1), "reward").on_policy) == RKL


def branching(logp: Tensor, ref_logp: Tensor) -> Tensor:
    kl = k2(logp, ref_logp)
    if (kl > 1.0).any():
        kl = kl * 3
    return kl


def test_a_branch_on_data_is_stated_and_the_other_path_found() -> None:
    v = verdict(branching)
    assert said(v.on_policy) == RKL
    assert any("is False" in line for line in v.path)
    assert any(line.startswith("another formula holds at") for line in v.path)


def hidden_number(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return k2(logp, ref_logp) * float(logp.mean())


def test_a_number_taken_from_the_batch_is_no_formula() -> None:
    v = verdict(hidden_number)
    assert "changes with the inputs" in v.unread
    assert v.on_policy.evidence == "tested"


def with_metrics(logp: Tensor, ref_logp: Tensor) -> tuple[Tensor, dict[str, float]]:
    kl = k2(logp, ref_logp)
    return kl.mean(), {"kl": kl.mean().item(), "most": kl.max().item(), "all": sum(kl.flatten().tolist())}


def test_metrics_do_not_disturb_the_reading() -> None:
    v = verdict(with_metrics)
    assert (said(v.on_policy), v.on_policy.evidence) == (RKL, "proved")
    assert not is_set(v.path)


def test_a_wrong_rule_of_the_reading_never_reaches_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs checks what is read: a formula that gives other numbers is no formula."""
    true_rule = OPERATORS["exp"]
    monkeypatch.setitem(OPERATORS, "exp", lambda a, *r, **k: -true_rule(a, *r, **k))
    v = verdict(k3)
    assert "the formula gives" in v.unread
    assert (said(v.on_policy), v.on_policy.evidence) == (FKL, "tested")


def test_a_wrong_name_of_the_formula_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming and enumeration check each other: a disagreement is reported as a defect, not decided."""
    from proofs import sequences

    wrong = sequences.FieldNaming("reverse_kl", "token", "sampler", sequences.S.One)
    monkeypatch.setattr(sequences, "name_field", lambda *a, **k: wrong)
    v = verdict(k3)
    assert v.outcome == "inconclusive"
    assert "defect of kl-oracle" in finding(v, "reading.probing").message


def test_a_wrong_objective_in_probing_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    from oracle import enumeration as module

    true_gradients = module.expected_gradients
    monkeypatch.setattr(module, "expected_gradients", lambda *a, **k: [-g for g in true_gradients(*a, **k)])
    assert verdict(k3).outcome == "inconclusive"


def test_seeds_do_not_change_a_verdict() -> None:
    subject = open_subject(Target("k3", k3, None), bind(k3))
    cases = [examine(subject, "loss", Options(seed=s, max_examples=3)) for s in range(4)]
    assert {(said(c.on_policy), said(c.off_policy), c.on_policy.evidence) for c in cases} == {(FKL, UNNAMED, "proved")}
