"""Aggregations are recognised by their weights, whatever the estimator and the coding style."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from torch import Tensor

from oracle.probing.aggregation import Aggregation, Shape, aggregation_of, weights
from oracle.subject.binding import bind
from oracle.subject.subject import open_subject
from oracle.subject.target import Target


def k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return (ref_logp - logp).exp() - 1 - (ref_logp - logp)


def token_mean(logp: Tensor, ref_logp: Tensor, mask: Tensor) -> Tensor:
    return (k3(logp, ref_logp) * mask).sum() / mask.sum()


def token_mean_by_index(logp: Tensor, ref_logp: Tensor, mask: Tensor) -> Tensor:
    return k3(logp, ref_logp)[mask.bool()].mean()


def seq_mean_token_mean(logp: Tensor, ref_logp: Tensor, mask: Tensor) -> Tensor:
    return ((k3(logp, ref_logp) * mask).sum(-1) / (mask.sum(-1) + 1e-8)).mean()


def per_sequence(logp: Tensor, ref_logp: Tensor, mask: Tensor) -> Tensor:
    return (k3(logp, ref_logp) * mask).sum(-1) / mask.sum(-1)


def seq_mean_token_sum(logp: Tensor, ref_logp: Tensor, mask: Tensor) -> Tensor:
    return (k3(logp, ref_logp) * mask).sum(-1).mean()


def padded_width(logp: Tensor, ref_logp: Tensor, mask: Tensor) -> Tensor:
    return (k3(logp, ref_logp) * mask).mean()


def fixed_length(logp: Tensor, ref_logp: Tensor, mask: Tensor, max_len: int = 64) -> Tensor:
    return (k3(logp, ref_logp) * mask).sum() / (logp.shape[0] * max_len)


def fixed_number(logp: Tensor, ref_logp: Tensor, mask: Tensor, width: float = 2.5) -> Tensor:
    return (k3(logp, ref_logp) * mask).sum(-1).div(width).mean()


def whole_sum(logp: Tensor, ref_logp: Tensor, mask: Tensor) -> Tensor:
    return (k3(logp, ref_logp) * mask).sum()


def maskless_mean(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return k3(logp, ref_logp).mean()


def odd_weights(logp: Tensor, ref_logp: Tensor, mask: Tensor) -> Tensor:
    return ((k3(logp, ref_logp) * mask).sum(-1) / mask.sum(-1).sqrt()).mean()


@pytest.mark.parametrize(
    ("loss", "name", "factor"),
    [
        (token_mean, "token-mean", 1 / 12),
        (token_mean_by_index, "token-mean", 1 / 12),
        (seq_mean_token_mean, "seq-mean-token-mean", 1 / 12),
        (per_sequence, "seq-mean-token-mean", 1 / 12),
        (seq_mean_token_sum, "seq-mean-token-sum", 1 / 3),
        (padded_width, "constant", 1 / 12),
        (fixed_length, "constant", 1 / (3 * 64)),
        (fixed_number, "constant", 1 / (3 * 2.5)),
        (whole_sum, "sum", 1.0),
        (maskless_mean, "token-mean", 1 / 12),
    ],
)
def test_named(loss: Callable[..., Tensor], name: str, factor: float) -> None:
    found = aggregation_of(open_subject(Target("f", loss, None), bind(loss)))
    assert found is not None
    assert found.name == name
    assert float(found.factor(3, 4)) == pytest.approx(factor)


def test_unusual_weights_are_not_named() -> None:
    found = aggregation_of(open_subject(Target("f", odd_weights, None), bind(odd_weights)))
    assert found is None or found.name is None


def test_a_penalty_has_none() -> None:
    assert aggregation_of(open_subject(Target("f", k3, None), bind(k3))) is None


@pytest.mark.parametrize(
    ("found", "factor"),
    [
        (Aggregation("seq-mean-token-sum", per_sequence=False), 1 / 3),
        (Aggregation(None, per_sequence=True), 1 / 3),
        (Aggregation(None, per_sequence=False), 1.0),
        (Aggregation("constant", 0.123456), 1 / (3 * 0.123456)),
    ],
)
def test_the_weight_of_a_token(found: Aggregation, factor: float) -> None:
    assert float(found.factor(3, 4)) == pytest.approx(factor, rel=1e-9)


def test_weights_are_gradients_of_tokens_that_are_alike() -> None:
    # k3's slope in log policy is 1 - exp(-L), at L = 0.3 and -0.3
    up, down = 1 - math.exp(-0.3), 1 - math.exp(0.3)
    subject = open_subject(Target("f", whole_sum, None), bind(whole_sum))
    shape = Shape((2, 1), 3)
    assert weights(subject, shape) == pytest.approx(np.array([[up, up, 0], [up, 0, 0]]))
    assert weights(subject, shape, alternate=True) == pytest.approx(np.array([[up, up, 0], [down, 0, 0]]))
    # of answers, the first token alone is off the reference, and it alone is told
    answers = open_subject(Target("f", of_answers, None), bind(of_answers))
    assert weights(answers, shape, first=True) == pytest.approx(np.array([[0.3], [0.3]]))
    assert weights(answers, shape) == pytest.approx(np.array([[0.6, 0.6, 0], [0.3, 0, 0]]))


def of_answers(logp: Tensor, ref_logp: Tensor, mask: Tensor) -> Tensor:
    return ((logp - ref_logp) * mask).sum(-1).square().sum() / 2
