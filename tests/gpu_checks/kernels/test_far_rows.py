"""A row whose first element lies beyond 2^32: indices of 32 bits wrap around, 64 bits do not.

The arrays are address space alone: 8.6 GB of bfloat16 of which a few rows are ever touched. Beyond 2^32 and not 2^31,
because there a wrapped index falls on other rows of the same array, and the mutant writes nowhere else.
"""

from __future__ import annotations

import resource

import numpy as np
import pytest

from gpu_checks.backends.host import open_token_kl, open_whole_kl, sparse_zeros
from gpu_checks.formats import BFLOAT16
from gpu_checks.kernels.mutants import mutant
from gpu_checks.subject import Request, SampledBatch, WholeBatch

from .support import needs_compiler, sampled_batch, sampled_truth, whole_batch, whole_truth

pytestmark = needs_compiler

VOCABULARY = 128_256
ROW = 2**32 // VOCABULARY + 1


@pytest.fixture(scope="module")
def far() -> SampledBatch:
    """A batch of which row ROW is set, and every other row is 0."""
    near = sampled_batch("bfloat16", VOCABULARY, rows=1)
    try:
        logits = sparse_zeros((ROW + 1, VOCABULARY), BFLOAT16.dtype)
    except OSError as error:
        pytest.skip(f"needs 8.6 GB of address space: {error}")
    logits[ROW] = near.logits[0]
    assert near.sampler is not None
    columns = [np.zeros(ROW + 1, a.dtype) for a in (near.tokens, near.reference, near.upstream)]
    for column, one in zip(columns, (near.tokens, near.reference, near.upstream), strict=True):
        column[ROW] = one[0]
    return SampledBatch(logits, *columns)


def test_a_far_row_is_right_and_little_memory_is_touched(far: SampledBatch) -> None:
    near = sampled_batch("bfloat16", VOCABULARY, rows=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = open_token_kl(Request("bfloat16", VOCABULARY, settings={"rows": (ROW,)}))(far)
    value, gradient, _ = sampled_truth(near, "k3 as loss")
    assert result.gradient.shape == (1, VOCABULARY)
    assert np.allclose(result.value, value, rtol=1e-3)
    assert np.allclose(result.gradient.astype(np.float64), gradient, rtol=0.01, atol=1e-6 * np.abs(gradient).max())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize("name", ["index-of-32-bits", "index-of-32-bits-unsigned"])
def test_an_index_of_32_bits_is_found(far: SampledBatch, name: str) -> None:
    request = Request("bfloat16", VOCABULARY, mutant(name).edits, {"rows": (ROW,)})
    result = open_token_kl(request)(far)
    assert np.isnan(result.gradient.astype(np.float32)).all()  # it wrote to another row
    near = sampled_batch("bfloat16", VOCABULARY, rows=3)
    own = open_token_kl(Request("bfloat16", VOCABULARY, mutant(name).edits))(near)
    assert np.allclose(own.value, sampled_truth(near, "k3 as loss")[0], rtol=1e-3)  # and is right where others look


def test_a_far_row_of_two_distributions() -> None:
    near = whole_batch("bfloat16", VOCABULARY, rows=1)
    try:
        policy, reference = (sparse_zeros((ROW + 1, VOCABULARY), BFLOAT16.dtype) for _ in range(2))
    except OSError as error:
        pytest.skip(f"needs 17 GB of address space: {error}")
    upstream = np.zeros(ROW + 1, np.float32)
    policy[ROW], reference[ROW], upstream[ROW] = near.policy[0], near.reference[0], near.upstream[0]
    runner = open_whole_kl(Request("bfloat16", VOCABULARY, settings={"rows": [ROW]}))
    result = runner(WholeBatch(policy, reference, upstream))
    value, gradient = whole_truth(near, "reverse_kl")
    assert np.allclose(result.value, value, rtol=1e-4)
    assert np.allclose(result.gradient.astype(np.float64), gradient, rtol=0.02, atol=1e-5 * np.abs(gradient).max())
