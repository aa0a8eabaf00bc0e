"""The mutants are what they say, and what only schedules can show is shown by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpu_checks.backends.host import open_gumbel, open_token_kl, open_whole_kl
from gpu_checks.compiling import nvrtc
from gpu_checks.kernels.mutants import MUTANTS, Mutant, mutant
from gpu_checks.kernels.sources import KERNELS, source_of, text_of
from gpu_checks.subject import Request, Unavailable

from .support import SCHEDULES, needs_compiler, sampled_batch, sampled_truth, whole_batch, whole_truth

names = pytest.mark.parametrize("broken", MUTANTS, ids=lambda m: m.name)


def request_for(broken: Mutant, vocabulary: int, **settings: Any) -> Request:
    return Request(broken.dtypes[0], vocabulary, broken.edits, {**broken.settings, **settings})


def test_there_are_many_of_every_kernel_and_their_names_differ() -> None:
    assert len({m.name for m in MUTANTS}) == len(MUTANTS) >= 60
    assert {m.kernel for m in MUTANTS} == set(KERNELS)
    assert [m.name for m in MUTANTS if m.neutral] == ["max-unwritten", "last-wins-ties"]


@names
def test_an_edit_is_of_the_file_that_it_names_and_of_no_other(broken: Mutant) -> None:
    kernel = KERNELS[broken.kernel]
    assert broken.file in kernel.files
    for old, new in broken.edits:
        assert old != new
        assert [name for name in kernel.files if old in text_of(name)] == [broken.file]
    source_of(kernel, broken.dtypes[0], broken.settings, broken.edits)


@names
def test_a_mutant_compiles(broken: Mutant) -> None:
    """By NVRTC, in a tenth of a second: what is no CUDA C++ would be no fault."""
    try:
        nvrtc.header_folders()
        nvrtc.bindings()
    except Unavailable as absence:
        pytest.skip(str(absence))
    source = source_of(KERNELS[broken.kernel], broken.dtypes[0], broken.settings, broken.edits)
    assert nvrtc.compile_source(source, "compute_90").ptx


def test_a_mutant_by_its_name() -> None:
    assert mutant("k2-gradient").fault == "form"
    with pytest.raises(ValueError, match="no mutant 'k4-gradient': one of tail-counts-as-zero, "):
        mutant("k4-gradient")


def bits(broken: Mutant, schedule: str) -> bytes:
    """Everything that a broken kernel returns at 5003 tokens, under a schedule."""
    request = request_for(broken, 5003, schedule=schedule)
    if broken.kernel == "gumbel":
        logits = np.random.default_rng(1).standard_normal((2, 5003)).astype(np.float32)
        return open_gumbel(request)((logits, 3, 6)).tobytes()
    if broken.kernel == "whole_kl":
        result = open_whole_kl(request)(whole_batch(broken.dtypes[0], 5003))
    else:
        result = open_token_kl(request)(sampled_batch(broken.dtypes[0], 5003, rows=6))
    return result.value.tobytes() + result.gradient.tobytes()


@needs_compiler
@pytest.mark.parametrize(
    "broken", [m for m in MUTANTS if m.fault in ("barrier", "order") and not m.neutral], ids=lambda m: m.name
)
def test_a_missing_barrier_gives_other_bits_under_some_schedule(broken: Mutant) -> None:
    """The kernels as they are give the same bits under all of them: test_token_kl and its neighbours say so."""
    assert len({bits(broken, schedule) for schedule in SCHEDULES}) > 1


@needs_compiler
def test_a_maximum_that_is_too_low_changes_last_bits_alone() -> None:
    """Why max-unwritten is neutral: 200 rows are right, and a few have another last bit under another schedule."""
    broken = mutant("max-unwritten")
    batch = sampled_batch("float32", 5003, rows=200)
    found = []
    for schedule in ("forward", "reverse"):
        result = open_token_kl(request_for(broken, 5003, schedule=schedule))(batch)
        assert result.log_probability is not None
        assert np.allclose(result.log_probability, sampled_truth(batch, "k3 as loss")[2], rtol=0, atol=3e-6)
        found.append(result.log_probability)
    assert 0 < (found[0] != found[1]).sum() < 40


@needs_compiler
@pytest.mark.parametrize(
    ("name", "vocabulary", "hidden_at"),
    [("tail-counts-as-zero", 5003, 8192), ("last-block-dropped", 5003, 8192), ("no-rescaling", 5003, 4096)],
)
def test_a_fault_shows_at_the_vocabulary_that_it_needs_and_hides_at_another(
    name: str, vocabulary: int, hidden_at: int
) -> None:
    broken = mutant(name)
    for size, right in ((vocabulary, False), (hidden_at, True)):
        batch = sampled_batch("float32", size)
        result = open_token_kl(request_for(broken, size))(batch)
        _, _, own = sampled_truth(batch, "k3 as loss")
        assert result.log_probability is not None
        assert np.allclose(result.log_probability, own, rtol=0, atol=1e-5) is right


@needs_compiler
def test_a_centred_gradient_sums_to_0_and_the_mutant_does_not() -> None:
    batch = whole_batch("float32", 257)
    for edits, centred in ((), True), (mutant("centring-dropped").edits, False):
        result = open_whole_kl(Request("float32", 257, edits))(batch)
        assert np.allclose(result.value, whole_truth(batch, "reverse_kl")[0], rtol=1e-5)
        assert (np.abs(result.gradient.sum(axis=1)) < 1e-6).all() == centred
