"""Exact expectations: against enumeration with weights, and against autograd of each divergence from its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from oracle.probing.expectation import as_batch, of_objective, of_subject, score_sum
from oracle.probing.instances import Instance, draw
from oracle.probing.naming import Bench
from oracle.probing.strategies import policies
from oracle.subject.binding import bind
from oracle.subject.subject import Subject, open_subject
from oracle.subject.target import Target


def subject(function: object) -> Subject:
    return open_subject(Target("f", function, None), bind(function))  # type: ignore[arg-type]


DIVERGENCES = {
    "reverse_kl": lambda p, r: (p * (p / r).log()).sum(-1),
    "forward_kl": lambda p, r: (r * (r / p).log()).sum(-1),
    "chi2_half": lambda p, r: ((p - r) ** 2 / r).sum(-1) / 2,
    "chi2_reference_half": lambda p, r: ((p - r) ** 2 / p).sum(-1) / 2,
    "jeffreys": lambda p, r: ((p - r) * (p / r).log()).sum(-1),
    "jensen_shannon": lambda p, r: (p * (2 * p / (p + r)).log() + r * (2 * r / (p + r)).log()).sum(-1) / 2,
    "hellinger_squared": lambda p, r: ((p.sqrt() - r.sqrt()) ** 2).sum(-1) / 2,
    "total_variation": lambda p, r: (p - r).abs().sum(-1) / 2,
}


def by_autograd(name: str, level: str, prefixes: str | None, i: Instance) -> np.ndarray:
    """The gradient from the definition: a divergence of each prefix's tokens, or of whole answers."""
    logits = torch.from_numpy(i.policy_logits).requires_grad_()
    p, r = logits.softmax(-1), torch.from_numpy(i.reference_logits).softmax(-1)
    m = torch.from_numpy(np.log(i.counts)).softmax(-1)
    d = DIVERGENCES[name]
    if i.horizon == 1:
        value = d(p[0], r[0])
    elif level == "sequence":
        value = d((p[0][:, None] * p[1:]).reshape(-1), (r[0][:, None] * r[1:]).reshape(-1))
    else:
        reach = (m[0] if prefixes == "sampler" else p[0]).detach()
        value = d(p[0], r[0]) + (reach * d(p[1:], r[1:])).sum()
    (gradient,) = torch.autograd.grad(value, logits)
    return gradient.numpy()


def test_every_objective_is_compared() -> None:
    from proofs.divergences import OBJECTIVES

    assert set(OBJECTIVES) == set(DIVERGENCES)


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize(
    ("horizon", "level", "prefixes"),
    [(1, "token", "sampler"), (2, "token", "sampler"), (2, "token", "policy"), (2, "sequence", None)],
)
def test_objectives_from_their_definition(name: str, horizon: int, level: str, prefixes: str | None) -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        i = draw(rng, horizon, 1.5, 0.7)
        expected = by_autograd(name, level, prefixes, i)
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(of_objective(name, level, prefixes, i), expected, rtol=1e-10, atol=1e-12)


@given(i=policies(on=False))
@settings(max_examples=30)
def test_the_batch_is_the_expectation(i: Instance) -> None:
    """A plain mean over the frequency-matched batch equals the sum weighted by the sampler's probabilities."""
    batch, _, _ = as_batch(i)
    tokens, rows, times = i.sequences()
    probability = np.exp(i.log_sampler()[rows, tokens].sum(1))
    np.testing.assert_allclose(probability, times / times.sum(), rtol=1e-12)
    assert len(batch.policy) == times.sum() == i.counts[0].sum() ** 2
    statistic = np.cos(i.log_policy()[rows, tokens].sum(1))
    mean = float(torch.cos(batch.policy.sum(1)).mean())
    assert mean == pytest.approx(float(probability @ statistic), rel=1e-12, abs=1e-14)


@given(i=policies(on=False))
@settings(max_examples=20)
def test_the_score_is_that_of_the_softmax(i: Instance) -> None:
    tokens, rows, _ = i.sequences()
    weight = np.sin(1.0 + np.arange(tokens.size, dtype=np.float64)).reshape(tokens.shape)
    logits = torch.from_numpy(i.policy_logits).requires_grad_()
    value = (torch.from_numpy(weight) * logits.log_softmax(-1)[rows, tokens]).sum()
    (expected,) = torch.autograd.grad(value, logits)
    np.testing.assert_allclose(score_sum(i, rows, tokens, weight), expected.numpy(), atol=1e-12)


def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp).square()


def test_golden_instance() -> None:
    """pi = (.4, .3, .2, .1), ref = (.1, .2, .3, .4), mu uniform; two independent implementations agree on these."""
    pi, ref = np.log([[0.4, 0.3, 0.2, 0.1]]), np.log([[0.1, 0.2, 0.3, 0.4]])
    on = Instance(1, pi, ref, np.array([[4, 3, 2, 1]]))
    off = Instance(1, pi, ref, np.array([[1, 1, 1, 1]]))
    got, _ = of_subject(subject(k2), "loss", on)
    np.testing.assert_allclose(got[0], [0.37194382, -0.01529091, -0.17237999, -0.18427292], atol=5e-9)
    got, _ = of_subject(subject(k2), "loss", off)
    np.testing.assert_allclose(got[0], [0.34657359, 0.10136628, -0.10136628, -0.34657359], atol=5e-9)
    got, _ = of_subject(subject(k2), "reward", on)
    np.testing.assert_allclose(got[0], [0.17574101, -0.13180576, -0.08787051, 0.04393525], atol=5e-9)
    np.testing.assert_allclose(
        of_objective("forward_kl", "token", "sampler", on)[0], [0.3, 0.1, -0.1, -0.3], atol=1e-12
    )


def test_two_zeros_are_no_agreement() -> None:
    same = draw(np.random.default_rng(0), 2, 0.0, 0.0)
    with pytest.raises(ValueError, match="pi = ref"):
        Bench([Instance(2, same.policy_logits, same.policy_logits, same.counts)])
