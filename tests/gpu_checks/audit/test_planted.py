"""Planted faults are caught, the kernels without them pass; `kl-oracle audit --faults` runs all of both.

Here one fault of each kind that another check catches, in kernels of our own, and two in a library's.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec

import pytest

from gpu_checks.audit.cell import Plan, run_cell
from gpu_checks.audit.planted import TOLERANCES, Planted, judge, planted
from gpu_checks.subjects import bundled

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
needs_liger = pytest.mark.skipif(
    find_spec("triton") is None or find_spec("liger_kernel") is None, reason="Triton or Liger Kernel is not installed"
)
OWN = ("own-kl", "own-whole-kl", "own-gumbel")


def fault(name: str) -> Planted:
    return next(p for p in planted(list(bundled().values())) if p.name == name)


def test_there_are_faults_enough_in_our_kernels_and_in_those_of_others() -> None:
    names = [p.plan.subject.name for p in planted(list(bundled().values()))]
    assert sum(name in OWN for name in names) >= 30
    assert sum(name not in OWN for name in names) >= 12
    assert len({p.name for p in planted(list(bundled().values()))}) == len(names)


CAUGHT = [
    ("k2-gradient", "coefficient", "it is that of k2 as loss"),
    ("gradient-sign", "coefficient", "-1 x (k3 as loss)"),
    ("no-rescaling", "columns", "outside the bound"),
    ("no-temperature-in-gradient", "columns", "gradient outside the bound"),
    ("coefficient-overflows", "tails", "an extreme row is wrong"),
    ("sum-in-order-of-arrival", "determinism", "other bits"),
    ("index-of-32-bits", "far_rows", "from element"),
    ("weight-detached", "coefficient", "weight detached"),
    ("bfloat16-truncated", "coefficient", "times the bound"),
    ("centring-dropped", "columns", "gradient outside the bound"),
    ("impossible-token-nan", "tails", "an extreme row is wrong"),
    ("uniform-reaches-1", "replay", "where a word is the largest"),
    ("token-before-drawn", "replay", "where its counters give"),
]


@needs_compiler
@pytest.mark.parametrize(("name", "check", "said"), CAUGHT, ids=[name for name, *_ in CAUGHT])
def test_a_fault_in_our_kernels_is_caught_by_the_check_that_is_for_it(name: str, check: str, said: str) -> None:
    judged = judge(fault(name))
    assert (judged.outcome, judged.caught_by) == ("caught", check)
    assert judged.message is not None
    assert said in judged.message
    if judged.subject != "own-gumbel":
        assert set(judged.passes) == set(TOLERANCES)


@needs_compiler
def test_upstream_tolerances_let_the_gradient_of_k2_pass_for_that_of_k3() -> None:
    """What the audit is for: on log-ratios as in training, the coarse tolerance sees no difference."""
    assert judge(fault("k2-gradient")).passes == {"coarse": True, "values": True}
    assert judge(fault("k1-value")).passes == {"coarse": False, "values": False}


@needs_compiler
def test_a_fault_that_changes_no_result_is_neutral_and_says_why() -> None:
    judged = judge(fault("last-wins-ties"))
    assert judged.outcome == "neutral"
    assert judged.message is not None
    assert "near-ties" in judged.message


@needs_compiler
@pytest.mark.parametrize(
    ("subject", "claim"),
    [
        ("own-kl", "k3 as loss"),
        ("own-kl", "k2 as loss, weight detached"),
        ("own-kl", "k1 in reward"),
        ("own-whole-kl", "reverse_kl"),
        ("own-whole-kl", "forward_kl"),
        ("own-gumbel", "softmax"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_our_kernels_pass_as_they_are(subject: str, claim: str, dtype: str) -> None:
    cell = run_cell(Plan(bundled()[subject], claim, "host", dtype, 5_003))
    assert cell.outcome == "passes", cell.failures
    assert cell.state == "EXECUTED_CPU_SAME_SOURCE"
    assert not [c.check for c in cell.checks if c.outcome != "pass" and c.check != "measured"]
    assert "gpu_checks/kernels/token_kl.cu" in cell.sources or subject != "own-kl"


@needs_compiler
def test_our_kernel_of_another_form_is_not_passed_for_the_claim() -> None:
    subject = bundled()["own-kl"]
    cell = run_cell(Plan(subject, "k2 as loss", "host", "float32", 1_003, settings={"form": "k3 as loss"}))
    assert cell.outcome == "fails"
    assert "it is that of k3 as loss" in cell.failures[0].message


@needs_liger
def test_a_library_s_kernel_passes_and_its_faults_are_caught() -> None:
    subject = bundled()["liger-grpo"]
    cell = run_cell(Plan(subject, "k3 as loss", "triton-interpreter", "bfloat16", 4_133))
    assert cell.outcome == "passes", cell.failures
    assert cell.objective == "forward_kl"
    assert "liger_kernel.ops.grpo_loss" in cell.sources
    for name in ("grpo: k2's gradient", "grpo: last block not written"):
        judged = judge(fault(name))
        assert (judged.outcome, judged.caught_by) == ("caught", "coefficient" if "k2" in name else judged.caught_by)


@needs_liger
def test_an_edit_that_another_version_no_longer_has_did_not_run() -> None:
    subject = bundled()["liger-grpo"]
    plan = Plan(subject, "k3 as loss", "triton-interpreter", "float32", 4_133, edits=(("no such text", "x"),))
    judged = judge(Planted("gone", plan))
    assert judged.outcome == "not run"
    assert judged.message is not None
    assert "no such text" in judged.message
