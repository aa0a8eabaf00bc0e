"""whole_kl.cu on the CPU: both directions against float64."""

from __future__ import annotations

import numpy as np
import pytest

from gpu_checks.backends.host import open_whole_kl
from gpu_checks.formats import FORMATS
from gpu_checks.subject import Request, WholeBatch

from .support import SCHEDULES, SOFTMAX, VOCABULARIES, log_softmax, needs_compiler, whole_batch, whole_truth, within

pytestmark = needs_compiler

FORMS = ("reverse_kl", "forward_kl")


def errors(batch: WholeBatch) -> np.ndarray:
    """p (L - K) and p - q before the store: a few errors of a log-probability, times p, whatever cancels."""
    return 4 * SOFTMAX * np.abs(batch.upstream)[:, None] * np.exp(log_softmax(batch.policy))


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_reverse(dtype: str, vocabulary: int) -> None:
    batch = whole_batch(dtype, vocabulary)
    result = open_whole_kl(Request(dtype, vocabulary))(batch)
    value, gradient = whole_truth(batch, "reverse_kl")
    assert result.gradient.dtype == FORMATS[dtype].dtype
    assert np.allclose(result.value, value, rtol=1e-5)
    assert within(result.gradient, gradient, errors(batch), dtype)


@pytest.mark.parametrize("vocabulary", [5, 4097])
def test_forward(vocabulary: int) -> None:
    batch = whole_batch("float32", vocabulary)
    result = open_whole_kl(Request("float32", vocabulary, settings={"form": "forward_kl"}))(batch)
    value, gradient = whole_truth(batch, "forward_kl")
    assert np.allclose(result.value, value, rtol=1e-5)
    assert within(result.gradient, gradient, errors(batch), "float32")


@pytest.mark.parametrize("form", FORMS)
def test_equal_rows_have_no_divergence(form: str) -> None:
    batch = whole_batch("float32", 1000)
    same = WholeBatch(batch.policy, batch.policy, batch.upstream)
    result = open_whole_kl(Request("float32", 1000, settings={"form": form}))(same)
    assert (result.value == 0).all()
    assert (result.gradient == 0).all()


@pytest.mark.parametrize("form", FORMS)
def test_a_value_is_nowhere_negative(form: str) -> None:
    """Where sum p L would cancel: log-ratios of 1e-4, a divergence of 1e-9."""
    random = np.random.default_rng(3)
    policy = (random.standard_normal((4, 4097)) * 2).astype(np.float32)
    near = (policy + 1e-4 * random.standard_normal(policy.shape)).astype(np.float32)
    batch = WholeBatch(policy, near, np.ones(4, np.float32))
    result = open_whole_kl(Request("float32", 4097, settings={"form": form}))(batch)
    value, _ = whole_truth(batch, form)
    assert (result.value > 0).all()
    assert np.allclose(result.value, value, rtol=0.02)


@pytest.mark.parametrize("form", FORMS)
def test_impossible_tokens(form: str) -> None:
    batch = whole_batch("float32", 300)
    batch.policy[0, 5] = batch.reference[0, 5] = -np.inf  # impossible for both
    barred = batch.policy if form == "reverse_kl" else batch.reference
    barred[1, 6] = -np.inf  # for the one that the other may give more
    open_end = batch.reference if form == "reverse_kl" else batch.policy
    open_end[2, 7] = -np.inf  # a divergence of infinity
    result = open_whole_kl(Request("float32", 300, settings={"form": form}))(batch)
    value, gradient = whole_truth(batch, form)
    assert np.allclose(result.value[:2], value[:2], rtol=1e-5)
    assert np.isposinf(result.value[2])
    assert np.isposinf(value[2])
    assert np.allclose(result.gradient[:2], gradient[:2], rtol=1e-3, atol=1e-6)
    assert result.gradient[0, 5] == 0


@pytest.mark.parametrize("form", FORMS)
def test_far_apart(form: str) -> None:
    """Log-ratios of several hundred: neither exp overflows, though their quotient would."""
    random = np.random.default_rng(4)
    policy = (random.standard_normal((3, 300)) * 60).astype(np.float32)
    reference = (random.standard_normal((3, 300)) * 60).astype(np.float32)
    batch = WholeBatch(policy, reference, np.ones(3, np.float32))
    result = open_whole_kl(Request("float32", 300, settings={"form": form}))(batch)
    value, gradient = whole_truth(batch, form)
    assert np.allclose(result.value, value, rtol=1e-5)
    assert np.allclose(result.gradient, gradient, rtol=1e-4, atol=1e-3)  # L - K loses four digits


def test_temperature() -> None:
    batch = whole_batch("float32", 257)
    result = open_whole_kl(Request("float32", 257, settings={"temperature": 0.7}))(batch)
    value, gradient = whole_truth(batch, "reverse_kl", 0.7)
    assert np.allclose(result.value, value, rtol=1e-5)
    assert np.allclose(result.gradient, gradient, rtol=1e-3, atol=1e-6)


def test_every_schedule_gives_the_same_bits() -> None:
    batch = whole_batch("float32", 4097)
    results = [open_whole_kl(Request("float32", 4097, settings={"schedule": s}))(batch) for s in SCHEDULES]
    assert len({r.value.tobytes() + r.gradient.tobytes() for r in results}) == 1
