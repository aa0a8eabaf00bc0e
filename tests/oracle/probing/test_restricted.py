"""Objectives on part of the vocabulary: gradients against autograd, and each treatment told from the others."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from oracle.probing.instances import Instance, Table
from oracle.probing.restricted import TREATMENTS, Restriction, gradient, large, restriction_of, scale_of_whole


def value(p: Tensor, q: Tensor, objective: str, treatment: str, inside: Tensor) -> Tensor:
    """The divergence as one writes it, from log-probabilities."""
    if treatment == "renormalised":
        p, q = p[inside].log_softmax(-1), q[inside].log_softmax(-1)
    elif treatment == "tail bucket":
        p, q = (torch.cat([x[inside], x[~inside].logsumexp(-1, keepdim=True)]) for x in (p, q))
    else:
        p, q = p[inside], q[inside]
    out = (p.exp() * (p - q)).sum() if objective == "reverse_kl" else (q.exp() * (q - p)).sum()
    if treatment == "cut off, plus reference - policy":
        sign = 1 if objective == "reverse_kl" else -1
        out = out + sign * (q.exp() - p.exp()).sum()
    return out


def by_autograd(instance: Instance, r: Restriction) -> Table:
    logits = torch.from_numpy(instance.policy_logits[0]).requires_grad_()
    p, q = logits.log_softmax(-1), torch.from_numpy(instance.log_reference()[0])
    chooser = {"reference": q, "policy": p.detach(), "sampler": torch.from_numpy(instance.log_sampler()[0])}
    inside = torch.zeros_like(q, dtype=torch.bool)
    inside[chooser[r.chosen_by].topk(r.k).indices] = True
    (out,) = torch.autograd.grad(value(p, q, r.objective, r.treatment, inside), logits)
    return out.numpy()[None]  # type: ignore[no-any-return]


CASES = [
    Restriction(name, k, by, how, 1.0)
    for name, k, by, how in product(
        ("reverse_kl", "forward_kl"), (2, 5), ("reference", "policy", "sampler"), TREATMENTS
    )
]


@pytest.mark.parametrize("r", CASES, ids=lambda r: f"{r.objective}-{r.k}-{r.chosen_by}-{r.treatment}")
def test_gradients_are_those_of_autograd(r: Restriction) -> None:
    for instance in large(0, on=False):
        expected = by_autograd(instance, r)
        assert np.abs(expected).max() > 1e-4
        assert np.allclose(gradient(instance, r), expected, atol=1e-12)


@pytest.mark.parametrize("r", CASES[::3], ids=lambda r: f"{r.objective}-{r.k}-{r.chosen_by}-{r.treatment}")
def test_each_is_recognised(r: Restriction) -> None:
    seen = [2.5 * by_autograd(i, r) for i in large(0, on=False)]
    found = restriction_of(0, False, seen, 1e-8)
    assert found is not None
    assert (found.objective, found.k, found.chosen_by, found.treatment) == (r.objective, r.k, r.chosen_by, r.treatment)
    assert found.scale == pytest.approx(2.5, rel=1e-5)
    assert scale_of_whole(r.objective, False, 0, seen, 1e-8) is None


def test_the_whole_is_no_part_and_noise_is_nothing() -> None:
    rng = np.random.default_rng(0)
    everything = Restriction("reverse_kl", 9, "reference", "cut off", 1.0)
    seen = [by_autograd(i, everything) for i in large(0, on=False)]
    assert scale_of_whole("reverse_kl", False, 0, seen, 1e-8) == pytest.approx(1.0)
    assert scale_of_whole("forward_kl", False, 0, seen, 1e-8) is None
    assert restriction_of(0, False, seen, 1e-8) is None
    assert restriction_of(0, False, [rng.normal(size=g.shape) for g in seen], 1e-8) is None
    assert restriction_of(0, False, [0 * g for g in seen], 1e-8) is None
