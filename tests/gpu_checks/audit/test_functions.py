"""PyTorch functions at the full vocabulary: right ones pass, a fault fails in the check that is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpu_checks.audit.cell import Plan, run_cell
from gpu_checks.audit.records import Cell
from gpu_checks.subjects.functions import subjects_of
from oracle.errors import SubjectError

LOSSES = Path(__file__).parent / "losses.py"
VOCABULARY = 5_003


def audited(function: str, claim: str, dtype: str = "float32", vocabulary: int = VOCABULARY) -> Cell:
    (subject,) = subjects_of(f"{LOSSES}:{function}", claim)
    return run_cell(Plan(subject, claim, "torch", dtype, vocabulary))


def failed(cell: Cell) -> set[str]:
    return {check.check for check in cell.failures}


RIGHT = [
    ("k3", "k3 as loss", "forward_kl"),
    ("k3_careful", "k3 as loss", "forward_kl"),
    ("k2", "k2 as loss", "reverse_kl"),
    ("k1", "k1 in reward", "reverse_kl"),
    ("k1", "k1 as loss", "zero"),
    ("k2", "k2 in reward", "unnamed"),
    ("k3_swapped", "exp(L) - 1 - L as loss", "chi2_half"),
    ("k3_weighted", "k3 as loss, weight differentiated", "reverse_kl"),
    ("k3_weight_detached", "k3 as loss, weight detached", "forward_kl"),
    ("k3_on_logits", "k3 as loss", "forward_kl"),
    ("loss", "k3 as loss", "forward_kl"),
]


@pytest.mark.parametrize(("function", "claim", "objective"), RIGHT, ids=[f"{f}: {c}" for f, c, _ in RIGHT])
def test_right_code_passes_and_its_objective_is_named(function: str, claim: str, objective: str) -> None:
    cell = audited(function, claim)
    assert cell.outcome == "passes", cell.failures
    assert cell.state == "EXECUTED_CPU_SAME_SOURCE"
    assert cell.objective == objective
    assert cell.worst is not None
    assert 0 < cell.worst < 1


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_function_of_log_probabilities_passes_in_16_bit_storage(dtype: str) -> None:
    cell = audited("k3", "k3 as loss", dtype)
    assert cell.outcome == "passes", cell.failures
    assert cell.worst is not None
    assert 0.5 < cell.worst < 1  # the store's own rounding: a bound that is tight


WRONG = [
    ("k2", "k3 as loss", "coefficient", "it is that of k2 as loss"),
    ("k3", "k2 as loss", "expected_gradient", "descends forward_kl, where k2 as loss descends reverse_kl"),
    ("k3_swapped", "k3 as loss", "coefficient", "the gradient is not that of k3 as loss"),
    ("k3_ascending", "k3 as loss", "coefficient", r"-1 x \(k3 as loss\)"),
    ("k3_value_k2_gradient", "k3 as loss", "coefficient", "the gradient is not that of k3 as loss; it is that of"),
    ("k3_detached", "k3 as loss", "expected_gradient", "descends zero"),
    ("k3_clamped", "k3 as loss", "coefficient", "at L|log-ratio|gradient"),
    ("k3_in_16_bits", "k3 as loss", "columns", "outside the bound"),
    ("k3_slightly_off", "k3 as loss", "coefficient", "not that of k3"),
    ("k3_weight_detached", "k3 as loss, weight differentiated", "coefficient", "weight detached"),
    ("k3_weighted", "k3 as loss, weight detached", "coefficient", "weight differentiated"),
    ("k3_raising", "k3 as loss", "coefficient", "the kernel raised SubjectError.*too many rows"),
]


@pytest.mark.parametrize(("function", "claim", "check", "said"), WRONG, ids=[f"{f}: {c}" for f, c, *_ in WRONG])
def test_a_fault_fails_in_its_check_with_the_reason(function: str, claim: str, check: str, said: str) -> None:
    cell = audited(function, claim)
    assert cell.outcome == "fails"
    assert check in failed(cell)
    texts = [c.message for c in cell.failures if c.check == check]
    assert re.search(said, texts[0]), texts


WHOLE = [
    ("full_kl", "reverse_kl"),
    ("full_forward_kl", "forward_kl"),
    ("full_js", "jensen_shannon"),
    ("full_tv", "total_variation"),
    ("full_hellinger", "hellinger_squared"),
    ("full_chi2", "chi2_half"),
    ("full_jeffreys", "jeffreys"),
]


@pytest.mark.parametrize(("function", "objective"), WHOLE, ids=[o for _, o in WHOLE])
def test_divergences_over_the_whole_vocabulary_pass_as_what_they_are_alone(function: str, objective: str) -> None:
    cell = audited(function, objective)
    assert cell.outcome == "passes", cell.failures
    assert not [c.check for c in cell.checks if c.outcome == "note" and c.check != "tails"]  # 0 log 0 is NaN there
    other = "forward_kl" if objective != "forward_kl" else "reverse_kl"
    assert "columns" in failed(audited(function, other))


def test_a_divergence_with_a_detached_weight_fails() -> None:
    assert "columns" in failed(audited("full_kl_detached_weight", "reverse_kl"))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bit_logits_reach_the_function_as_they_are(dtype: str) -> None:
    """Code that brings them to float32 first is inside its bound, code that computes in 16 bits is far outside."""
    for function, claim in (("full_kl_upcast", "reverse_kl"), ("k3_on_logits_upcast", "k3 as loss")):
        cell = audited(function, claim, dtype)
        assert cell.outcome == "passes", cell.failures
        assert cell.worst is not None
        assert 0.5 < cell.worst < 1
    cell = audited("full_kl", "reverse_kl", dtype)
    assert "columns" in failed(cell)
    assert cell.failures[0].remedy is not None
    assert "bring the numbers to float32 first" in cell.failures[0].remedy


def test_hidden_states_are_refused_with_what_to_do() -> None:
    with pytest.raises(SubjectError, match=r"takes hidden states.*audit the part that takes logits"):
        subjects_of(f"{LOSSES}:hidden_kl", "reverse_kl")


def test_the_same_seed_gives_the_same_cell_and_another_one_other_numbers() -> None:
    (subject,) = subjects_of(f"{LOSSES}:k3", "k3 as loss")
    first, again, other = (run_cell(Plan(subject, "k3 as loss", "torch", "float32", VOCABULARY, s)) for s in (1, 1, 2))
    assert [c.ratio for c in first.checks] == [c.ratio for c in again.checks]
    assert [c.ratio for c in first.checks] != [c.ratio for c in other.checks]


def test_an_unknown_backend_did_not_run() -> None:
    (subject,) = subjects_of(f"{LOSSES}:k3", "k3 as loss")
    cell = run_cell(Plan(subject, "k3 as loss", "host", "float32", VOCABULARY))
    assert cell.state == "NOT_RUN"
    assert cell.reason is not None
    assert cell.reason.endswith("has no backend host: it has torch")
