"""Verdicts, findings and checks name the theorems they rely on: only such as hold, and only what was used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from oracle.case import Options
from oracle.checks import CHECKS
from oracle.checks.registry import ENTERED, check, passed
from oracle.claims import parse_claim
from oracle.judge import judge_binding
from oracle.records import Finding, Verdict
from oracle.reporters.text import render
from oracle.subject.binding import bind
from oracle.subject.target import Target
from tests.oracle.judging import finding, is_set, unknown_theorems, verdict


def k1(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return logp - ref_logp


def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


def k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return d.exp() - 1 - d


def live_k3(logp: Tensor, ref_logp: Tensor, old_logp: Tensor) -> Tensor:
    return (logp - old_logp).exp() * k3(logp, ref_logp)


def weighted_k2(logp: Tensor, ref_logp: Tensor, old_logp: Tensor) -> Tensor:
    return (logp - old_logp).exp().detach() * k2(logp, ref_logp)


def value_of_k3(logp: Tensor, ref_logp: Tensor, old_logp: Tensor) -> Tensor:
    path = weighted_k2(logp, ref_logp, old_logp)
    return k3(logp, ref_logp).detach() + path - path.detach()


def cumulative_k3(logp: Tensor, ref_logp: Tensor, old_logp: Tensor) -> Tensor:
    return (logp - old_logp).cumsum(-1).exp() * k3(logp, ref_logp)


def hidden_number(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return k2(logp, ref_logp) * (1.0 + float(logp.mean()) ** 2)


def grpo(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    per = -(logp - logp.detach()).exp() * advantages[:, None] + beta * k3(logp, ref_logp)
    return (per * mask).sum() / mask.sum()


@pytest.mark.parametrize(
    ("penalty", "placement", "on", "off"),
    [
        (k1, "loss", ["sequence.k1-loss", "k1-loss.on-policy"], ["k1-loss.uncorrected"]),
        (k2, "loss", ["sequence.token-k2-loss", "k2-loss.on-policy"], ["k2-loss.uncorrected"]),
        (k3, "loss", ["sequence.token-k3-loss", "k3-loss.on-policy"], ["k3-loss.uncorrected"]),
        (k1, "reward", ["sequence.token-k1-reward", "k1-reward.on-policy"], ["k1-reward.uncorrected"]),
        (k3, "reward", ["k3-reward.on-policy", "completeness"], ["k3-reward.uncorrected", "completeness"]),
        (grpo, "whole", ["sequence.token-k3-loss", "k3-loss.on-policy"], ["k3-loss.uncorrected"]),
        (
            live_k3,
            "loss",
            ["sequence.token-k2-loss", "live-ratio-k3.on-policy"],
            ["off-policy.token-weight.k3-live", "k3-loss.differentiated"],
        ),
        (
            weighted_k2,
            "loss",
            ["sequence.token-k2-loss", "k2-loss.on-policy"],
            ["off-policy.token-weight.k2-detached", "k2-loss.detached"],
        ),
        # the value of k3, but no weight in it: a theorem on rho k3 is not about this code
        (
            value_of_k3,
            "loss",
            ["sequence.token-k2-loss", "k2-loss.on-policy"],
            ["off-policy.token-weight.k2-detached", "k2-loss.detached"],
        ),
        (cumulative_k3, "loss", ["sequence.live-ratio"], ["off-policy.cumulative-live.k3"]),
    ],
)
def test_what_was_read_is_cited(penalty: Callable[..., Tensor], placement: str, on: list, off: list) -> None:
    v = verdict(penalty, placement)
    assert v.on_policy.evidence == "proved"
    assert (v.on_policy.theorems, v.off_policy.theorems) == (on, off)
    assert not unknown_theorems(v)


def test_returns_to_go() -> None:
    assert verdict(k1, "reward").with_returns.theorems == ["sequence.k1-reward-to-go"]
    assert verdict(k3, "reward").with_returns.theorems == []


def test_what_was_only_tested_cites_the_objective_and_no_form() -> None:
    v = verdict(hidden_number)
    assert is_set(v.unread)
    assert v.on_policy.evidence == "tested"
    assert v.on_policy.theorems == (["gradient.reverse_kl"] if v.on_policy.objective == "reverse_kl" else [])
    assert v.off_policy.theorems == []
    named = verdict(_unreadable)
    assert (named.on_policy.objective, named.on_policy.evidence) == ("reverse_kl", "tested")
    assert named.on_policy.theorems == ["gradient.reverse_kl"]


class _Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)  # type: ignore[attr-defined]
        return torch.from_numpy(0.5 * x.detach().numpy() ** 2)

    @staticmethod
    def backward(ctx: object, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return torch.from_numpy(g.detach().numpy() * x.detach().numpy())


def _unreadable(logp: Tensor, ref_logp: Tensor) -> Tensor:
    out: Tensor = _Square.apply(logp - ref_logp)
    return out


def test_no_gradient_cites_nothing() -> None:
    v = verdict(torch.no_grad()(k2))
    assert v.on_policy.objective == "zero"
    assert v.on_policy.theorems == v.off_policy.theorems == []
    assert not is_set(finding(v, "reference.dependence").theorems)


def test_findings() -> None:
    assert finding(verdict(k1), "reference.dependence").theorems == ["score-identity"]
    assert finding(verdict(k2), "sign").theorems == ["sequence.token-k2-loss", "k2-loss.on-policy"]
    assert not is_set(finding(verdict(k2), "tail.finite").theorems)
    assert not is_set(finding(verdict(k2), "reference.dependence").theorems)


@pytest.mark.parametrize(
    ("claim", "theorems"),
    [
        ("k2 as loss", ["any-loss-is-a-reward.sample"]),
        ("k2 in reward", None),
        ("reverse_kl", ["sequence.token-k2-loss", "k2-loss.on-policy"]),
        ("forward_kl", ["sequence.token-k2-loss", "k2-loss.on-policy"]),
    ],
)
def test_claims(claim: str, theorems: list[str] | None) -> None:
    (v,) = judge_binding(Target("k2", k2, None), bind(k2), None, Options(max_examples=2), [parse_claim(claim)])
    cited = finding(v, "claim").theorems
    assert (cited == theorems) if theorems else not is_set(cited)


@pytest.mark.parametrize("check_id", CHECKS)
def test_every_check_has_its_theorems_or_a_reason(check_id: str) -> None:
    from proofs.theorems import catalogue

    entered = CHECKS[check_id]
    assert bool(entered.theorems) is not bool(entered.no_theorem)
    holding = {t.id for t in catalogue() if t.holds}
    assert set(entered.theorems) <= holding


@pytest.mark.parametrize("stated", [{}, {"theorems": ("completeness",), "no_theorem": "none"}])
def test_a_check_without_theorem_or_reason_is_refused(stated: dict) -> None:
    with pytest.raises(ValueError, match="theorems or why it has none"):
        check("new", question="Is it?", severity="note", failure="no", remedy="do", **stated)(lambda _: passed("yes"))
    assert "new" not in ENTERED


def test_an_id_that_is_no_theorem_is_caught() -> None:
    """The guard of these tests itself: an unknown id in any place of a verdict is seen."""
    import msgspec

    v = verdict(k2)
    assert unknown_theorems(v) == set()
    wrong = msgspec.structs.replace(v.on_policy, theorems=["k2-loss.on-policies"])
    assert unknown_theorems(msgspec.structs.replace(v, on_policy=wrong)) == {"k2-loss.on-policies"}
    lie = Finding(
        check="x",
        outcome="fail",
        severity="note",
        message="",
        evidence="tested",
        theorems=["false.sequence.token-k2-loss"],
    )
    assert unknown_theorems(msgspec.structs.replace(v, findings=[lie])) == {"false.sequence.token-k2-loss"}


def test_the_terminal_names_them() -> None:
    text = render([verdict(k3)])
    assert "by sequence.token-k3-loss, k3-loss.on-policy" in text
    assert "kl-oracle prove ID" in text
    bare = render([verdict(torch.no_grad()(k2))])
    assert "kl-oracle prove" not in bare
    assert "theorem score-identity]" in " ".join(render([verdict(k1)]).split())


def test_checks_are_entered_without_the_catalogue() -> None:
    """Importing the checks costs no SymPy theorem: ids are held against the catalogue by tests alone."""
    code = "import oracle.checks, oracle.judge, sys; print([m for m in sys.modules if m.startswith('proofs.theorems')])"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"


def _all(v: Verdict) -> list[str]:
    return [*v.on_policy.theorems, *v.off_policy.theorems]


def test_at_most_three() -> None:
    for penalty in (k1, k2, k3, live_k3, cumulative_k3):
        v = verdict(penalty)
        assert all(len(r.theorems) <= 3 for r in (v.on_policy, v.off_policy)), _all(v)
