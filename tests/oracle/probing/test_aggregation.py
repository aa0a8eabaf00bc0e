"""Aggregations are recognised by their weights, whatever the estimator and the coding style."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor

from oracle.probing.aggregation import aggregation_of
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
