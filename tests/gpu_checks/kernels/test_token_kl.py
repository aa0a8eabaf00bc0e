"""token_kl.cu on the CPU: every form, format and size against float64."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from gpu_checks.backends.host import open_token_kl
from gpu_checks.formats import FORMATS
from gpu_checks.subject import Request

from .support import (
    SCHEDULES,
    SOFTMAX,
    VOCABULARIES,
    log_softmax,
    needs_compiler,
    sampled_batch,
    sampled_truth,
    within,
)

pytestmark = needs_compiler


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_value_gradient_and_log_probability(dtype: str, vocabulary: int) -> None:
    batch = sampled_batch(dtype, vocabulary)
    result = open_token_kl(Request(dtype, vocabulary))(batch)
    value, gradient, own = sampled_truth(batch, "k3 as loss")
    assert result.gradient.dtype == FORMATS[dtype].dtype
    assert result.log_probability is not None
    assert np.allclose(result.log_probability, own, rtol=0, atol=SOFTMAX)
    assert np.allclose(result.value, value, rtol=1e-5, atol=2 * SOFTMAX)  # |k3'| < 2 at these log-ratios
    p = np.exp(log_softmax(batch.logits))
    score = np.abs((np.arange(vocabulary) == batch.tokens[:, None]) - p)
    assert within(result.gradient, gradient, 2 * SOFTMAX * np.abs(batch.upstream)[:, None] * (score + p), dtype)


FORMS = [f"{k} {how}" for k, how in product(("k1", "k2", "k3"), ("as loss", "in reward"))]


@pytest.mark.parametrize(("form", "weight"), list(product(FORMS, ("none", "detached", "differentiated"))))
def test_every_form(form: str, weight: str) -> None:
    batch = sampled_batch("float32", 257)
    result = open_token_kl(Request("float32", 257, settings={"form": form, "weight": weight}))(batch)
    value, gradient, _ = sampled_truth(batch, form, weight)
    assert np.allclose(result.value, value, rtol=1e-5, atol=1e-6)
    assert np.allclose(result.gradient, gradient, rtol=1e-4, atol=1e-6 * np.abs(gradient).max())


def test_a_temperature_divides_the_logits() -> None:
    batch = sampled_batch("float32", 1000)
    result = open_token_kl(Request("float32", 1000, settings={"temperature": 0.7}))(batch)
    value, gradient, own = sampled_truth(batch, "k3 as loss", temperature=0.7)
    assert result.log_probability is not None
    assert np.allclose(result.log_probability, own, rtol=1e-6)
    assert np.allclose(result.value, value, rtol=1e-5)
    assert np.allclose(result.gradient, gradient, rtol=1e-4, atol=1e-6 * np.abs(gradient).max())


@pytest.mark.parametrize("threads", [32, 1024])
def test_other_sizes_of_a_block(threads: int) -> None:
    batch = sampled_batch("float32", 4097)
    result = open_token_kl(Request("float32", 4097, settings={"threads": threads}))(batch)
    value, gradient, _ = sampled_truth(batch, "k3 as loss")
    assert np.allclose(result.value, value, rtol=1e-4)
    assert np.allclose(result.gradient, gradient, rtol=1e-4, atol=1e-5 * np.abs(gradient).max())


def test_every_schedule_gives_the_same_bits() -> None:
    batch = sampled_batch("float32", 4097)
    results = [open_token_kl(Request("float32", 4097, settings={"schedule": s}))(batch) for s in SCHEDULES]
    assert len({r.value.tobytes() + r.gradient.tobytes() for r in results}) == 1


def test_an_impossible_token_has_no_gradient_and_spoils_nothing() -> None:
    batch = sampled_batch("float32", 300)
    batch.logits[:, 7:11] = -np.inf
    batch.logits[0, :] = np.where(np.arange(300) == 299, 1.0, -np.inf)  # one token left
    result = open_token_kl(Request("float32", 300))(batch)
    value, gradient, _ = sampled_truth(batch, "k3 as loss")
    assert np.isfinite(result.gradient).all()
    assert (result.gradient[:, 7:11] == 0).all()
    assert np.allclose(result.value, value, rtol=1e-5)
    assert np.allclose(result.gradient, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("spoiled", [np.nan, np.inf])
def test_a_logit_that_is_no_number_spoils_its_row_alone(spoiled: float) -> None:
    batch = sampled_batch("float32", 300)
    batch.logits[1, 200] = spoiled
    result = open_token_kl(Request("float32", 300))(batch)
    assert np.isnan(result.value).tolist() == [False, True, False]
    assert np.isnan(result.gradient).all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize("shift", [900.0, -900.0])
def test_large_logits_do_not_overflow(shift: float) -> None:
    batch = sampled_batch("float32", 300)
    logits = (batch.logits * 100 + np.float32(shift)).astype(np.float32)
    own = log_softmax(logits)[np.arange(3), batch.tokens].astype(np.float32)
    result = open_token_kl(Request("float32", 300))(replace(batch, logits=logits, reference=own))
    assert result.log_probability is not None
    assert np.allclose(result.log_probability, own, rtol=1e-6)
    assert (np.abs(result.gradient) < 1e-3).all()
