"""A user's own Triton kernel, through the interpreter: right, with another gradient, and with a column left out."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from gpu_checks.audit.cell import Plan, run_cell
from gpu_checks.audit.records import Cell
from gpu_checks.subjects.functions import subjects_of
from oracle.errors import SubjectError

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
LOSSES = Path(__file__).parent / "triton_losses.py"


def audited(function: str, dtype: str) -> Cell:
    (subject,) = subjects_of(f"{LOSSES}:{function}", "k3 as loss", interpreted=True)
    return run_cell(Plan(subject, "k3 as loss", "triton-interpreter", dtype, 1_003))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_right_kernel_passes_and_its_objective_is_named(dtype: str) -> None:
    cell = audited("fused_k3", dtype)
    assert cell.outcome == "passes", cell.failures
    assert cell.objective == "forward_kl"
    assert [Path(name).name for name in cell.sources] == ["triton_losses.py"]


def test_the_gradient_of_another_form_is_named() -> None:
    cell = audited("fused_k3_with_the_gradient_of_k2", "bfloat16")
    assert "it is that of k2 as loss" in cell.failures[0].message
    assert cell.objective == "reverse_kl"


def test_a_column_left_out_of_the_sum_is_found_at_the_full_vocabulary_alone() -> None:
    cell = audited("fused_k3_without_the_last_column", "float32")
    assert [check.check for check in cell.failures] == ["columns"]


def test_what_cannot_be_opened_there_is_one_line() -> None:
    with pytest.raises(SubjectError, match=r"nothing.*cannot be opened in Triton's interpreter"):
        subjects_of(f"{LOSSES}:nothing", "k3 as loss", interpreted=True)
