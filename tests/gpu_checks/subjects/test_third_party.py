"""Kernels of Liger Kernel and fla-core, forward and backward, against float64 formulas written apart from them.

The tolerances here are for a smoke test, the same for all kernels; the audit derives each kernel's own.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu_checks.formats import format_of
from gpu_checks.subject import Request, Result, Runner, Subject, Unavailable
from gpu_checks.subjects import third_party
from gpu_checks.subjects.third_party import BACKEND, SUBJECTS
from tests.gpu_checks.subjects.third_party_batches import batch_for, exact

BY_NAME = {subject.name: subject for subject in SUBJECTS}


def opened(subject: Subject, request: Request) -> Runner:
    package = third_party.FLA[0] if subject.name.startswith("fla") else third_party.LIGER[0]
    for needed in ("triton", package):
        if find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    return subject.backends[BACKEND](request)


def run(subject: Subject, dtype: str, vocabulary: int, rows: int = 4, **settings: Any) -> tuple[Result, Any]:
    runner = opened(subject, Request(dtype, vocabulary, settings=settings))
    batch = batch_for(subject, dtype, vocabulary, rows)
    try:
        return runner(batch), batch
    finally:
        runner.close()


def value_within(found: Any, true: Any, places: float) -> None:
    """Half a unit of the stored format, and so many of float32 at 1 nat: numbers of 10 nats are subtracted."""
    error = np.abs(found.astype(np.float64) - true).max()
    assert error <= format_of(found).unit * np.abs(true).max() + places * 2.0**-24, error


def gradient_within(found: Any, true: Any, places: float) -> None:
    """Half a unit of the stored format, and so many of float32, at the greatest element."""
    error, scale = np.abs(found.astype(np.float64) - true).max(), np.abs(true).max()
    assert error <= (format_of(found).unit + places * 2.0**-24) * scale, error / scale


CASES = [(subject.name, dtype) for subject in SUBJECTS for dtype in subject.dtypes]


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_value_and_gradient_are_the_formula(name: str, dtype: str) -> None:
    """V = 4133 for most: beyond one block of those that have small ones, and no multiple."""
    subject = BY_NAME[name]
    result, batch = run(subject, dtype, 4096 + 37)
    values, gradients = exact(subject, batch, {})
    value_within(result.value, values, 64)
    gradient_within(result.gradient, gradients, 64)
    assert result.gradient.dtype == batch_dtype(batch)


def batch_dtype(batch: Any) -> Any:
    return (batch.logits if hasattr(batch, "logits") else batch.policy).dtype


@pytest.mark.parametrize("name", ["liger-kl-div", "liger-tvd", "fla-grpo", "fla-kl"])
def test_more_than_one_of_the_large_blocks(name: str) -> None:
    subject = BY_NAME[name]
    result, batch = run(subject, "float32", subject.block + 37, rows=2)
    values, gradients = exact(subject, batch, {})
    value_within(result.value, values, 64)
    gradient_within(result.gradient, gradients, 64)


@pytest.mark.parametrize("name", [subject.name for subject in SUBJECTS if len(subject.temperatures) > 1])
def test_a_temperature_divides_the_logits(name: str) -> None:
    subject = BY_NAME[name]
    result, batch = run(subject, "float32", 2048 + 37, temperature=0.75)
    values, gradients = exact(subject, batch, {"temperature": 0.75})
    value_within(result.value, values, 200)
    gradient_within(result.gradient, gradients, 200)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_liger_grpo_at_the_vocabulary_of_llama_3(dtype: str) -> None:
    subject = BY_NAME["liger-grpo"]
    result, batch = run(subject, dtype, 128256)
    values, gradients = exact(subject, batch, {})
    value_within(result.value, values, 200)
    gradient_within(result.gradient, gradients, 200)


def test_an_odd_number_of_rows_is_one_sequence() -> None:
    subject = BY_NAME["liger-grpo"]
    result, batch = run(subject, "float32", 2048 + 37, rows=3)
    gradient_within(result.gradient, exact(subject, batch, {})[1], 64)


@pytest.mark.parametrize("name", ["liger-fused-linear-jsd-forward", "fla-kl"])
def test_an_infinite_logit_stays_in_its_row(name: str) -> None:
    """The hidden states are unit vectors, and 0 x infinity would reach the other rows of a call."""
    subject = BY_NAME[name]
    batch = batch_for(subject, "float32", 64)
    values, gradients = exact(subject, batch, {})
    batch.policy[1, 5] = batch.reference[1, 5] = -np.inf  # type: ignore[union-attr]
    result = opened(subject, Request("float32", 64))(batch)
    finite = [0, 2, 3]
    value_within(result.value[finite], values[finite], 64)
    gradient_within(result.gradient[finite], gradients[finite], 64)


def test_sixteen_bit_total_variation_is_refused() -> None:
    """The kernel sums in the storage format (tl.sum of a 16-bit block), which the interpreter does not order."""
    with pytest.raises(NotImplementedError, match=r"cannot run a 16-bit reduction \(sum_combine\)"):
        run(BY_NAME["liger-tvd"], "bfloat16", 64)


def test_an_absent_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    monkeypatch.setattr(
        "gpu_checks.backends.triton_interpreter.find_spec", lambda name: None if name == "fla" else find_spec(name)
    )
    with pytest.raises(Unavailable, match=r"^fla is not installed: pip install --no-deps fla-core==0\.6\.0 einops$"):
        BY_NAME["fla-kl"].backends[BACKEND](Request("float32", 64))


def test_short_names_are_unique_and_blocks_are_known() -> None:
    assert len(BY_NAME) == len(SUBJECTS)
    assert all(subject.block for subject in SUBJECTS)


def test_the_rows_of_a_call_are_those_that_the_cost_models_assume() -> None:
    from gpu_checks.subjects.whole_rows import GROUP

    assert third_party.ROWS_A_CALL == GROUP


@pytest.mark.parametrize("name", BY_NAME)
def test_the_installed_modules_count_as_sources(name: str) -> None:
    modules = [s.removeprefix("module:") for s in BY_NAME[name].sources if s.startswith("module:")]
    assert modules
    if find_spec(modules[0].partition(".")[0]) is None:
        pytest.skip(f"{modules[0]} is not installed")
    site = third_party_root(modules[0])
    assert [module for module in modules if not site.joinpath(*module.split(".")).with_suffix(".py").is_file()] == []


def third_party_root(module: str) -> Path:
    """The folder that a module's package lies in; nothing is imported."""
    spec = find_spec(module.partition(".")[0])
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]).parent
