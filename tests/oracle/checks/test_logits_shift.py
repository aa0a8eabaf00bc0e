"""logits.shift: logits used as log-probabilities are found; a softmax along the vocabulary clears."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.oracle.checks.asking import Loss, ask, verdict_of

CHECK = "logits.shift"


def _picked(logits: Tensor, ids: Tensor) -> Tensor:
    return logits.gather(-1, ids.unsqueeze(-1)).squeeze(-1)


def logits_as_log_probabilities(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, mask: Tensor, beta: float
) -> Tensor:
    d = _picked(logits, input_ids) - _picked(ref_logits.log_softmax(-1), input_ids)  # fault: one is not normalised
    return beta * (d.square() / 2 * mask).sum() / mask.sum()


def normalised_along_the_tokens(
    logits: Tensor, ref_logits: Tensor, input_ids: Tensor, mask: Tensor, beta: float
) -> Tensor:
    logp = _picked(torch.nn.functional.log_softmax(logits, dim=-2), input_ids)  # fault: the sequence's axis
    d = logp - _picked(ref_logits.log_softmax(-1), input_ids)
    return beta * (d.square() / 2 * mask).sum() / mask.sum()


def shifted_softmax_forgotten(logits: Tensor, ref_logits: Tensor, mask: Tensor, beta: float) -> Tensor:
    p = logits - logits.exp().sum(-1, keepdim=True)  # fault: the logarithm of the sum is missing
    q = ref_logits.log_softmax(-1)
    return beta * ((q.exp() * (q - p)).sum(-1) * mask).sum() / mask.sum()


def by_hand(logits: Tensor, ref_logits: Tensor, input_ids: Tensor, mask: Tensor, beta: float) -> Tensor:
    top = logits - logits.amax(-1, keepdim=True)
    logp = _picked(top - top.exp().sum(-1, keepdim=True).log(), input_ids)
    d = logp - _picked(ref_logits.log_softmax(-1), input_ids)
    return beta * (d.square() / 2 * mask).sum() / mask.sum()


def whole_vocabulary(logits: Tensor, ref_logits: Tensor, mask: Tensor, beta: float) -> Tensor:
    p, q = logits.log_softmax(-1), ref_logits.log_softmax(-1)
    return beta * ((p.exp() * (p - q)).sum(-1) * mask).sum() / mask.sum()


@pytest.mark.parametrize(
    "fault",
    [logits_as_log_probabilities, normalised_along_the_tokens, shifted_softmax_forgotten],
    ids=lambda f: f.__name__,
)
def test_logits_that_are_not_normalised(fault: Loss) -> None:
    found = ask(CHECK, fault)
    assert (found.outcome, found.severity) == ("fail", "error")
    assert found.counterexample is not None


@pytest.mark.parametrize("twin", [by_hand, whole_vocabulary], ids=lambda f: f.__name__)
def test_logits_that_are_normalised(twin: Loss) -> None:
    assert verdict_of(CHECK, twin) == "pass"


def test_log_probabilities_have_no_shift() -> None:
    def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
        return (logp - ref_logp) ** 2 / 2

    assert verdict_of(CHECK, k2) == "skip"


@pytest.mark.parametrize(
    "check", ["batch.permutation", "aggregation", "beta.linearity", "mask.leak", "padding.invariance"]
)
def test_rounding_of_a_zero_accuses_nobody(check: str) -> None:
    def detached_probabilities(logits: Tensor, ref_logits: Tensor, mask: Tensor, beta: float) -> Tensor:
        # sum_v sg(p) grad log p = 0 but for rounding
        p, q = logits.log_softmax(-1), ref_logits.log_softmax(-1)
        return beta * ((p.exp().detach() * (p - q)).sum(-1) * mask).sum() / mask.sum()

    assert verdict_of(check, detached_probabilities) in ("skip", "pass")
